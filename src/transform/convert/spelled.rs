//! Values as Canal and Maxwell spell them: Canal writes every value as a string, as MySQL prints it, but for an
//! enum (its member's number) and a set (a bit mask); Maxwell writes numbers, arrays and inline JSON, and dates
//! and times as MySQL prints them.
//!
//! A date with a month or a day of zero stands for no date, as in Debezium, and is null.

use crate::config::Zone;
use crate::transform::scan::{self, Value};

use super::number::{put, put_bool, whole};
use super::text::{as_is, put_string};
use super::time::{FINER, TIME_HOURS, number, parse_local, put_clock, put_padded, put_seconds};
use super::{Fault, Form, content, mismatch, quoted};

/// How a value is spelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transform) enum Spelled {
    /// An integer within these bounds, as a number or its digits.
    Integer { min: i64, max: i64 },
    /// An integer to 2^64 − 1.
    BigUnsigned,
    /// 0, and everything else.
    Boolean,
    /// A number or its text.
    Float,
    /// So many bits as a number or its digits; one bit is a boolean.
    Bits(u8),
    /// `YYYY-MM-DD`.
    Date,
    /// `[-]H:MM:SS[.ffffff]`.
    Time { digits: u8 },
    /// `YYYY-MM-DD HH:MM:SS[.ffffff]`.
    DateTime { digits: u8 },
    /// The same in this zone.
    Timestamp { digits: u8, zone: Zone },
    /// A member's number, from 1; 0 is the empty text of an invalid value.
    EnumIndex(Box<[String]>),
    /// A bit a member, the first member's the lowest.
    SetMask(Box<[String]>),
    /// One of these members.
    Member(Box<[String]>),
    /// An array of these members.
    Members(Box<[String]>),
    /// JSON as it stands.
    Inline,
}

const NOT_INTEGER: Fault = Fault::Mismatch("what is no integer in its range");
const NOT_DATE: Fault = Fault::Mismatch("what is no date as MySQL prints it");
const NOT_TIME: Fault = Fault::Mismatch("what is no time as MySQL prints it");

// === impl Spelled ===

impl Spelled {
    pub(super) fn write(
        &self,
        value: Value<'_>,
        form: Form,
        scratch: &mut Vec<u8>,
        members: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match self {
            Self::Integer { min, max } => {
                let n: i64 = digits(value, scratch)?.parse().map_err(|_| NOT_INTEGER)?;
                if n < *min || n > *max {
                    return Err(NOT_INTEGER);
                }
                out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
                Ok(())
            }
            Self::BigUnsigned => {
                put(unsigned(digits(value, scratch)?)?, out);
                Ok(())
            }
            Self::Boolean => {
                let truth = match value {
                    Value::Bool(truth) => truth,
                    other => whole(digits(other, scratch)?)? != 0,
                };
                put_bool(truth, out);
                Ok(())
            }
            Self::Float => float(value, scratch, out),
            Self::Bits(n) => bits(value, *n, scratch, out),
            Self::Date => {
                let text = content(value, scratch)?;
                let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *text.as_bytes() else {
                    return Err(NOT_DATE);
                };
                if [[m0, m1], [d0, d1]].contains(b"00") {
                    return Err(Fault::Null);
                }
                let midnight = [
                    y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b' ', b'0', b'0', b':', b'0', b'0',
                    b':', b'0', b'0',
                ];
                parse_local(&midnight, b' ').ok_or(NOT_DATE)?;
                quoted(form, out, |out| {
                    out.extend_from_slice(text.as_bytes());
                    Ok(())
                })
            }
            Self::Time { digits } => {
                let text = content(value, scratch)?;
                quoted(form, out, |out| time(text, *digits, out))
            }
            Self::DateTime { digits } => {
                let text = content(value, scratch)?;
                let (seconds, fraction) = date_time(text)?;
                quoted(form, out, |out| {
                    put_seconds(seconds, out)?;
                    put_fraction(fraction, *digits, out)
                })
            }
            Self::Timestamp { digits, zone } => {
                let text = content(value, scratch)?;
                let (local, fraction) = date_time(text)?;
                let seconds = zone.instant(local).ok_or(Fault::Mismatch(
                    "a time that `timestamp_zone` has twice or never (clocks were put back or forward)",
                ))?;
                quoted(form, out, |out| {
                    put_seconds(seconds, out)?;
                    put_fraction(fraction, *digits, out)?;
                    out.push(b'Z');
                    Ok(())
                })
            }
            Self::EnumIndex(all) => {
                let index: usize = digits(value, scratch)?.parse().map_err(|_| NOT_INTEGER)?;
                let member = match index.checked_sub(1) {
                    None => "",
                    Some(at) => all.get(at).ok_or(Fault::Mismatch(
                        "the number of a member that its type has not",
                    ))?,
                };
                put_text(member, form, out);
                Ok(())
            }
            Self::SetMask(all) => set_mask(value, all, scratch, out),
            Self::Member(all) => {
                let member = content(value, scratch)?;
                if !member.is_empty() && !all.iter().any(|m| m == member) {
                    return Err(Fault::Mismatch("a string that is none of its members"));
                }
                put_text(member, form, out);
                Ok(())
            }
            Self::Members(all) => set_members(value, all, out),
            Self::Inline => as_is(value, Form::Json, members, out),
        }
    }
}

/// The text of a number, whether it stands in a string or not.
fn digits<'v>(value: Value<'v>, scratch: &'v mut Vec<u8>) -> Result<&'v str, Fault> {
    match value {
        Value::Number(text) => Ok(text),
        other => content(other, scratch),
    }
}

/// An integer to 2^64 − 1; Java's signed integers show what is above 2^63 − 1 negative.
fn unsigned(text: &str) -> Result<u64, Fault> {
    match text.parse::<u64>() {
        Ok(n) => Ok(n),
        Err(_) => whole(text).map(i64::cast_unsigned).map_err(|_| NOT_INTEGER),
    }
}

fn float(value: Value<'_>, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let text = digits(value, scratch)?;
    // The grammar is JSON's; what Java prints keeps to it but for what is not finite.
    let _: serde_json::Number =
        serde_json::from_str(text).map_err(|_| Fault::Mismatch("what is no finite number"))?;
    out.extend_from_slice(text.trim_ascii().as_bytes());
    Ok(())
}

fn bits(value: Value<'_>, n: u8, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let number = match value {
        Value::Bool(bit) => u64::from(bit),
        other => unsigned(digits(other, scratch)?)?,
    };
    if number
        .checked_shr(u32::from(n))
        .is_some_and(|high| high != 0)
    {
        return Err(Fault::Mismatch("a number of more bits"));
    }
    match n {
        1 => put_bool(number != 0, out),
        _ => put(number, out),
    }
    Ok(())
}

fn set_mask(
    value: Value<'_>,
    all: &[String],
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let mask = unsigned(digits(value, scratch)?)?;
    let beyond = u32::try_from(all.len()).unwrap_or(u32::MAX);
    if mask.checked_shr(beyond).is_some_and(|high| high != 0) {
        return Err(Fault::Mismatch("the bits of members that its type has not"));
    }
    out.push(b'[');
    let mut first = true;
    for (at, member) in all.iter().enumerate() {
        if mask >> at & 1 == 1 {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            put_string(member, out);
        }
    }
    out.push(b']');
    Ok(())
}

fn set_members(value: Value<'_>, all: &[String], out: &mut Vec<u8>) -> Result<(), Fault> {
    let Value::Nested(nested) = value else {
        return mismatch(value);
    };
    let members: Vec<String> = serde_json::from_str(nested)
        .map_err(|_| Fault::Mismatch("an array of others than texts"))?;
    out.push(b'[');
    for (i, member) in members.iter().enumerate() {
        if !all.contains(member) {
            return Err(Fault::Mismatch("an array of others than its members"));
        }
        if i > 0 {
            out.push(b',');
        }
        put_string(member, out);
    }
    out.push(b']');
    Ok(())
}

fn time(text: &str, digits: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (clock, fraction) = cut_fraction(rest)?;
    let mut parts = clock.split(':');
    let mut part = |most: std::ops::RangeInclusive<usize>| {
        let text = parts.next().filter(|part| most.contains(&part.len()))?;
        u64::try_from(number(text.as_bytes())?).ok()
    };
    let (hours, minutes, seconds) = (part(1..=3), part(2..=2), part(2..=2));
    let (Some(hours), Some(minutes @ ..60), Some(seconds @ ..60), None) =
        (hours, minutes, seconds, parts.next())
    else {
        return Err(NOT_TIME);
    };
    if hours >= TIME_HOURS {
        return Err(Fault::Mismatch("a time beyond 838:59:59"));
    }
    if negative {
        out.push(b'-');
    }
    put_padded(hours, 2, out);
    put_clock(minutes * 60 + seconds, out);
    put_fraction(fraction, digits, out)
}

/// Seconds since 1970, taken for UTC, and the digits of the fraction.
fn date_time(text: &str) -> Result<(i64, &str), Fault> {
    let (local, fraction) = cut_fraction(text)?;
    let local = local.as_bytes();
    if local.get(5..7) == Some(b"00") || local.get(8..10) == Some(b"00") {
        return Err(Fault::Null);
    }
    let seconds = parse_local(local, b' ').ok_or(NOT_DATE)?;
    Ok((seconds, fraction))
}

/// The digits behind the point. Java prints nine at the most.
fn cut_fraction(text: &str) -> Result<(&str, &str), Fault> {
    match text.split_once('.') {
        None => Ok((text, "")),
        Some((whole, fraction))
            if (1..=9).contains(&fraction.len())
                && fraction.bytes().all(|b| b.is_ascii_digit()) =>
        {
            Ok((whole, fraction))
        }
        Some(_) => Err(NOT_TIME),
    }
}

fn put_fraction(fraction: &str, digits: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
    let wanted = usize::from(digits);
    if fraction.bytes().skip(wanted).any(|digit| digit != b'0') {
        return Err(FINER);
    }
    if wanted > 0 {
        out.push(b'.');
        out.extend(fraction.bytes().chain(std::iter::repeat(b'0')).take(wanted));
    }
    Ok(())
}

fn put_text(text: &str, form: Form, out: &mut Vec<u8>) {
    match form {
        Form::Text => out.extend_from_slice(text.as_bytes()),
        Form::Json => {
            out.push(b'"');
            scan::escape(text, out);
            out.push(b'"');
        }
    }
}
