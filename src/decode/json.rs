//! What the JSON formats share: text from bytes, borrowed strings, and errors that never quote a value.

pub(crate) mod scan;

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
    // A tenth of what decoding takes with the standard library's, which looks at 16 bytes at a time (perf).
    simdutf8::compat::from_utf8(bytes).map_err(|e| {
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
