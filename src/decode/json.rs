//! What the JSON formats share: text from bytes, borrowed strings, and errors that never quote a value.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::error::Category;

use super::{DecodeError, Reason};

/// A string, borrowed unless it is written with escapes.
#[derive(Debug, Clone)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

/// The text of a key's or a value's bytes.
pub(super) fn utf8<'a>(bytes: &'a [u8], which: &str) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        DecodeError::new(
            Reason::Malformed,
            format!("the {which} is not UTF-8 at byte {at}"),
        )
    })
}

/// Reads an object. serde would take an array for its fields by place.
pub(super) fn object<'a, T: Deserialize<'a>>(
    text: &'a str,
    shape: Reason,
    whose: &str,
) -> Result<T, DecodeError> {
    if text.trim_ascii_start().starts_with('[') {
        return Err(DecodeError::new(
            shape,
            format!("the value has another shape than {whose}: it is an array"),
        ));
    }
    serde_json::from_str(text).map_err(|e| unreadable(&e, "value", shape, whose))
}

/// serde's own words for a value of the wrong type quote it, so they are not passed on. `shape` is the reason
/// where the text is JSON of another shape than `whose`.
pub(super) fn unreadable(
    error: &serde_json::Error,
    which: &str,
    shape: Reason,
    whose: &str,
) -> DecodeError {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Eof => DecodeError::new(
            Reason::Malformed,
            format!("the {which} is cut off at line {line} column {column}"),
        ),
        Category::Syntax | Category::Io => DecodeError::new(
            Reason::Malformed,
            format!("the {which} is not JSON at line {line} column {column}"),
        ),
        Category::Data => DecodeError::new(
            shape,
            format!("the {which} has another shape than {whose} at line {line} column {column}"),
        ),
    }
}

/// The error for a string that holds an escape which is no character.
pub(super) fn no_text(which: &str) -> DecodeError {
    DecodeError::new(
        Reason::Malformed,
        format!("the {which} holds an escape that is no character (a lone surrogate)"),
    )
}

/// The place from `at` on of a quote, a backslash or a control character, or the end: what a JSON string is looked
/// through for, eight bytes at a time, since most names and values are too short for anything wider.
#[inline]
pub(crate) fn to_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let found = specials(u64::from_le_bytes(*eight));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let ordinary = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    while bytes.get(at).is_some_and(ordinary) {
        at += 1;
    }
    at
}

/// The high bit of every byte that is a quote, a backslash or a control character. A byte above one of them may be
/// marked wrongly, so that only the lowest mark counts (Bit Twiddling Hacks, "determine if a word has a byte less than
/// n").
#[inline]
fn specials(eight: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let below = |x: u64, n: u64| x.wrapping_sub(ONES * n) & !x & HIGH;
    let quote = eight ^ (ONES * 0x22);
    let slash = eight ^ (ONES * 0x5c);
    below(eight, 0x20) | below(quote, 1) | below(slash, 1)
}

// === impl Text ===

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, s: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(s)))
    }

    fn visit_str<E>(self, s: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(s.to_owned())))
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::to_special;

    proptest! {
        #[test]
        fn what_a_string_ends_at_is_found_as_by_looking_at_each_byte(
            bytes in prop::collection::vec(prop_oneof![
                any::<u8>(), Just(b'"'), Just(b'\\'), 0x1f..0x25_u8, 0x5a..0x60_u8, 0x80..=0xff_u8,
            ], 0..40),
            from in 0..8_usize,
        ) {
            let from = from.min(bytes.len());
            let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
            let found = bytes[from..].iter().position(special);
            prop_assert_eq!(to_special(&bytes, from), found.map_or(bytes.len(), |n| from + n));
        }
    }
}
