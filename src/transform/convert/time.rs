//! Dates and times, from counts since 1970 (or midnight) and from ISO text.
//!
//! A value with more fractional digits than its column declares is refused: cutting them off would lose what
//! the table holds.

use crate::event::TimeUnit;
use crate::transform::scan::Value;

use super::{Fault, content, mismatch};

const SECONDS_A_DAY: i64 = 86_400;
/// MySQL's TIME goes to 838:59:59.999999.
pub(super) const TIME_HOURS: u64 = 839;

const BEYOND: Fault = Fault::Mismatch("a time outside the years 0 to 9999");
pub(super) const FINER: Fault = Fault::Mismatch("a time with more fractional digits");
const NOT_ISO: Fault = Fault::Mismatch("a string that is no ISO-8601 time with a zone");

/// Days since 1970 to `YYYY-MM-DD`.
pub(super) fn date(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    put_date(count(value)?, out)
}

/// A count of `unit` since midnight, perhaps negative or beyond a day, to `[-]HH[H]:MM:SS[.ffffff]`.
pub(super) fn time(
    value: Value<'_>,
    unit: TimeUnit,
    digits: u8,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let count = count(value)?;
    let magnitude = count.unsigned_abs();
    let seconds = magnitude / unit.per_second().unsigned_abs();
    let fraction = magnitude % unit.per_second().unsigned_abs();
    let hours = seconds / 3600;
    if hours >= TIME_HOURS {
        return Err(Fault::Mismatch("a time beyond 838:59:59"));
    }
    if count < 0 {
        out.push(b'-');
    }
    put_padded(hours, 2, out);
    put_clock(seconds % 3600, out);
    put_fraction(fraction, unit.digits(), digits, out)
}

/// A count of `unit` since 1970 to `YYYY-MM-DDTHH:MM:SS[.ffffff]`.
pub(super) fn date_time(
    value: Value<'_>,
    unit: TimeUnit,
    digits: u8,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let count = count(value)?;
    let seconds = count.div_euclid(unit.per_second());
    let fraction = count.rem_euclid(unit.per_second()).unsigned_abs();
    put_seconds(seconds, out)?;
    put_fraction(fraction, unit.digits(), digits, out)
}

/// ISO-8601 text with a zone to the same instant as `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`.
pub(super) fn timestamp(
    value: Value<'_>,
    digits: Option<u8>,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let text = content(value, scratch)?;
    let (local, rest) = text.split_at_checked(19).ok_or(NOT_ISO)?;
    let seconds = parse_local(local.as_bytes(), b'T').ok_or(NOT_ISO)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest.split_at_checked(end).ok_or(NOT_ISO)?
        }
        None => ("", rest),
    };
    // Java prints nanoseconds at most, MySQL has microseconds.
    if fraction.len() > 9 || rest.starts_with('.') && fraction.is_empty() {
        return Err(NOT_ISO);
    }
    let offset = parse_zone(zone).ok_or(NOT_ISO)?;
    if offset == 0 {
        out.extend_from_slice(local.as_bytes());
    } else {
        put_seconds(seconds - offset, out)?;
    }
    let wanted = digits.map_or(fraction.len(), usize::from);
    if fraction.bytes().skip(wanted).any(|digit| digit != b'0') {
        return Err(FINER);
    }
    if wanted > 0 {
        out.push(b'.');
        out.extend(fraction.bytes().chain(std::iter::repeat(b'0')).take(wanted));
    }
    out.push(b'Z');
    Ok(())
}

/// Seconds since 1970 of `YYYY-MM-DDTHH:MM:SS`, with another character in the place of the `T`.
pub(super) fn parse_local(text: &[u8], between: u8) -> Option<i64> {
    let [
        y0,
        y1,
        y2,
        y3,
        b'-',
        m0,
        m1,
        b'-',
        d0,
        d1,
        sign,
        h0,
        h1,
        b':',
        i0,
        i1,
        b':',
        s0,
        s1,
    ] = *text
    else {
        return None;
    };
    let (year, month) = (number(&[y0, y1, y2, y3])?, number(&[m0, m1])?);
    let (day, hour) = (number(&[d0, d1])?, number(&[h0, h1])?);
    let (minute, second) = (number(&[i0, i1])?, number(&[s0, s1])?);
    let in_range = sign == between
        && (1..=12).contains(&month)
        && (1..=month_days(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    in_range.then(|| days(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second)
}

/// Seconds east of UTC of `Z`, `±HH:MM` or `±HH:MM:SS`.
fn parse_zone(text: &str) -> Option<i64> {
    let (sign, offset) = match text.as_bytes() {
        [b'Z'] => return Some(0),
        [b'+', offset @ ..] => (1, offset),
        [b'-', offset @ ..] => (-1, offset),
        _ => return None,
    };
    let (hours, minutes, seconds) = match *offset {
        [h0, h1, b':', m0, m1] => (number(&[h0, h1])?, number(&[m0, m1])?, 0),
        [h0, h1, b':', m0, m1, b':', s0, s1] => {
            (number(&[h0, h1])?, number(&[m0, m1])?, number(&[s0, s1])?)
        }
        _ => return None,
    };
    (hours <= 18 && minutes < 60 && seconds < 60)
        .then_some(sign * (hours * 3600 + minutes * 60 + seconds))
}

pub(super) fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |n, digit| {
        digit
            .is_ascii_digit()
            .then(|| n * 10 + i64::from(digit - b'0'))
    })
}

fn count(value: Value<'_>) -> Result<i64, Fault> {
    let Value::Number(text) = value else {
        return mismatch(value);
    };
    text.parse()
        .map_err(|_| Fault::Mismatch("a number that is no 64-bit integer"))
}

pub(super) fn put_seconds(seconds: i64, out: &mut Vec<u8>) -> Result<(), Fault> {
    put_date(seconds.div_euclid(SECONDS_A_DAY), out)?;
    let clock = seconds.rem_euclid(SECONDS_A_DAY).unsigned_abs();
    out.push(b'T');
    put_padded(clock / 3600, 2, out);
    put_clock(clock % 3600, out);
    Ok(())
}

/// Days from 1970-01-01 back to 0000-01-01, and on to 9999-12-31.
const DAYS: std::ops::RangeInclusive<i64> = -719_528..=2_932_896;

/// The proleptic Gregorian calendar counted in eras of 400 years from 0000-03-01, so that the leap day ends
/// its year (the method of Howard Hinnant's `civil_from_days`).
fn put_date(days: i64, out: &mut Vec<u8>) -> Result<(), Fault> {
    if !DAYS.contains(&days) {
        return Err(BEYOND);
    }
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (year_of_era + era * 400, month + 3)
    } else {
        (year_of_era + era * 400 + 1, month - 9)
    };
    put_padded(year.unsigned_abs(), 4, out);
    out.push(b'-');
    put_padded(month.unsigned_abs(), 2, out);
    out.push(b'-');
    put_padded(day.unsigned_abs(), 2, out);
    Ok(())
}

/// The inverse: days since 1970.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// `:MM:SS` of the seconds within an hour.
pub(super) fn put_clock(seconds: u64, out: &mut Vec<u8>) {
    out.push(b':');
    put_padded(seconds / 60, 2, out);
    out.push(b':');
    put_padded(seconds % 60, 2, out);
}

/// `.fff…` with `digits` digits of a fraction counted in 10^-`unit` seconds.
fn put_fraction(fraction: u64, unit: u8, digits: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
    let cut = 10_u64.pow(u32::from(unit.saturating_sub(digits)));
    if !fraction.is_multiple_of(cut) {
        return Err(FINER);
    }
    if digits > 0 {
        out.push(b'.');
        put_padded(fraction / cut, usize::from(digits.min(unit)), out);
        out.resize(out.len() + usize::from(digits.saturating_sub(unit)), b'0');
    }
    Ok(())
}

pub(super) fn put_padded(number: u64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number).as_bytes();
    out.resize(out.len() + width.saturating_sub(text.len()), b'0');
    out.extend_from_slice(text);
}
