//! Integers, floating-point numbers, booleans and bits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::transform::scan::Value;

use super::{DecimalText, Fault, content, decimal, mismatch};

/// A JSON integer from `min` to `max`, copied as it stands.
#[inline]
pub(super) fn integer(
    value: Value<'_>,
    min: i64,
    max: i64,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let Value::Number(text) = value else {
        return mismatch(value);
    };
    let number = whole(text)?;
    if number < min || number > max {
        return Err(Fault::Mismatch("a number outside its range"));
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// An integer from 0 to 2^64 − 1; the format sends what is above 2^63 − 1 negative, or (with
/// `bigint.unsigned.handling.mode=precise`) as a decimal of scale 0.
pub(super) fn big_unsigned(
    value: Value<'_>,
    text: DecimalText,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    if let (Value::String(_), DecimalText::Base64) = (value, text) {
        let start = out.len();
        decimal::write(value, 20, 0, text, scratch, out)?;
        let digits = out.get(start..).unwrap_or_default();
        return match std::str::from_utf8(digits).map(str::parse::<u64>) {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Fault::Mismatch("a number outside its range")),
        };
    }
    let Value::Number(text) = value else {
        return mismatch(value);
    };
    if !text.starts_with('-') {
        text.parse::<u64>()
            .map_err(|_| Fault::Mismatch("a number that is no integer from 0 to 2^64 - 1"))?;
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    put(whole(text)?.cast_unsigned(), out);
    Ok(())
}

/// A boolean, or a `tinyint(1)`, of which every value but 0 is true.
pub(super) fn boolean(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let truth = match value {
        Value::Bool(b) => b,
        Value::Number(text) => whole(text)? != 0,
        other => return mismatch(other),
    };
    put_bool(truth, out);
    Ok(())
}

/// A JSON number as it stands.
pub(super) fn float(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let Value::Number(text) = value else {
        return mismatch(value);
    };
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// `bit(1)`, which is a boolean.
pub(super) fn bit(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let Value::Bool(b) = value else {
        return mismatch(value);
    };
    put_bool(b, out);
    Ok(())
}

/// `n` bits as base64 of little-endian bytes; leading zero bytes may be there or not.
pub(super) fn bits(
    value: Value<'_>,
    n: u8,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let text = content(value, scratch)?;
    // 12 characters hold 9 bytes, of which the last may only be 0.
    let mut bytes = [0; 9];
    let len = STANDARD
        .decode_slice(text, &mut bytes)
        .map_err(|_| Fault::Mismatch("a string that is not base64 of its bits"))?;
    let [a, b, c, d, e, f, g, h, over] = bytes;
    let number = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    if len == 0
        || over != 0
        || number
            .checked_shr(u32::from(n))
            .is_some_and(|high| high != 0)
    {
        return Err(Fault::Mismatch("a string of more bits, or of none"));
    }
    put(number, out);
    Ok(())
}

/// A JSON number that is a 64-bit integer, written as one. JSON has a negative zero, MySQL has not.
#[inline]
pub(super) fn whole(text: &str) -> Result<i64, Fault> {
    match text.parse() {
        Ok(n) if n != 0 || text == "0" => Ok(n),
        _ => Err(Fault::Mismatch("a number that is no 64-bit integer")),
    }
}

pub(super) fn put(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

pub(super) fn put_bool(truth: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if truth { b"true" } else { b"false" });
}
