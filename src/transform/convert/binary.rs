//! Bytes, in whichever text a format writes them, as base64.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use crate::config::BinaryMode;
use crate::transform::scan::Value;

use super::{Fault, content};

/// How bytes are written in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transform) enum BinaryText {
    Base64,
    /// With `-` and `_`.
    UrlSafe,
    Hex,
    /// A character a byte (ISO-8859-1), as Canal does.
    Latin1,
}

impl From<BinaryMode> for BinaryText {
    fn from(mode: BinaryMode) -> Self {
        match mode {
            BinaryMode::Base64 => Self::Base64,
            BinaryMode::Base64UrlSafe => Self::UrlSafe,
            BinaryMode::Hex => Self::Hex,
        }
    }
}

/// Appends base64 of the bytes, and of zeros up to `length`. What is not written as it should be is another
/// representation than the one declared.
pub(super) fn write(
    value: Value<'_>,
    written: BinaryText,
    length: u8,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let text = content(value, scratch)?;
    if written == BinaryText::Base64 {
        let bytes = base64_bytes(text)?;
        if bytes >= usize::from(length) {
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
    }
    let mut bytes = decode(text, written)?;
    if bytes.len() < usize::from(length) {
        bytes.resize(usize::from(length), 0);
    }
    put(&bytes, out);
    Ok(())
}

/// The bytes that a text stands for.
pub(super) fn decode(text: &str, written: BinaryText) -> Result<Vec<u8>, Fault> {
    const NOT_BASE64: Fault = Fault::Mismatch("a string that is not base64");
    match written {
        BinaryText::Base64 => STANDARD.decode(text).map_err(|_| NOT_BASE64),
        BinaryText::UrlSafe => URL_SAFE
            .decode(text)
            .map_err(|_| Fault::Mismatch("a string that is not URL-safe base64")),
        BinaryText::Hex => hex(text).ok_or(Fault::Mismatch("a string that is not hexadecimal")),
        BinaryText::Latin1 => text
            .chars()
            .map(|c| u8::try_from(c).ok())
            .collect::<Option<_>>()
            .ok_or(Fault::Mismatch(
                "a string with characters that are no bytes (beyond ISO-8859-1)",
            )),
    }
}

/// How many bytes a base64 text stands for.
fn base64_bytes(text: &str) -> Result<usize, Fault> {
    let text = text.as_bytes();
    let padding = text
        .iter()
        .rev()
        .take(2)
        .take_while(|b| **b == b'=')
        .count();
    let digits = text.get(..text.len() - padding).unwrap_or_default();
    let base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    if !text.len().is_multiple_of(4) || !digits.iter().all(base64) {
        return Err(Fault::Mismatch("a string that is not base64"));
    }
    Ok(text.len() / 4 * 3 - padding)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

/// Appends bytes as base64.
fn put(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // Four characters for each three bytes begun.
    out.resize(start + bytes.len().div_ceil(3) * 4, b'=');
    if let Some(place) = out.get_mut(start..) {
        // The place is as long as the text, so it fits.
        let written = STANDARD.encode_slice(bytes, place).unwrap_or(0);
        out.truncate(start + written);
    }
}
