//! One column's value from the format's representation into the document's.
//!
//! A [`Conversion`] is chosen once for a column, from the type that the topic declares and the type that the
//! record's own schema gives. It never guesses between two readings of one value: where a value could be read
//! in two ways the topic's spec says which, or the representation is the format's default; everything else is
//! refused.

mod binary;
mod decimal;
mod geometry;
mod number;
mod printed;
mod resolve;
mod spelled;
mod text;
mod time;

#[cfg(test)]
mod tests;

use crate::event::TimeUnit;

use super::scan::{Broken, Value};
use binary::BinaryText;
use geometry::GeometryText;
pub(super) use resolve::{Representation, Unresolved, resolve};
use spelled::Spelled;

/// How a column's values are converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conversion {
    /// As it stands.
    AsIs,
    /// An integer within these bounds.
    Integer { min: i64, max: i64 },
    /// An integer to 2^64 − 1, in the format negative from 2^63 on, or a decimal of scale 0.
    BigUnsigned(DecimalText),
    /// True and false, or 0 and everything else.
    Boolean,
    /// Exact text.
    Decimal {
        /// The most digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
        /// How to read a string.
        text: DecimalText,
        /// As a JSON string, or as a JSON number of the same digits.
        quoted: bool,
    },
    /// A number.
    Float,
    /// `bit(1)`.
    Bit,
    /// Wider bits.
    Bits(u8),
    /// A string.
    Text,
    /// Base64 of at least so many bytes, with zeros behind.
    Binary { text: BinaryText, length: u8 },
    /// Days since 1970.
    Date,
    /// Time of day or span.
    Time { unit: TimeUnit, digits: u8 },
    /// Time since 1970, in no zone.
    DateTime { unit: TimeUnit, digits: u8 },
    /// Time since 1970 in UTC.
    Instant { unit: TimeUnit, digits: u8 },
    /// ISO text with a zone; `None` keeps the text's own digits.
    Timestamp { digits: Option<u8> },
    /// A member, one of these where they are declared.
    Enum(Option<Box<[String]>>),
    /// Members, of these where they are declared.
    Set(Option<Box<[String]>>),
    /// JSON in a string.
    Json,
    /// Well-known text of a geometry.
    Geometry(GeometryText),
    /// As Canal or Maxwell spells it.
    Spelled(Spelled),
}

/// How a decimal in a string is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecimalText {
    /// Base64 of the unscaled integer (`decimal.handling.mode=precise`).
    Base64,
    /// Digits (`decimal.handling.mode=string`).
    Digits,
    /// Not known: digits where there is a point, which base64 has not; else base64.
    ByPoint,
    /// A string is no decimal here.
    Never,
}

/// How a converted value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As a JSON value.
    Json,
    /// As plain text.
    Text,
}

/// Why a value cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not what its type can be; what it is instead, never its content.
    Mismatch(&'static str),
    /// A string in it is not text.
    Broken,
    /// Nested deeper than allowed.
    Depth,
    /// Debezium's mark for a column that the log has no value of.
    Unavailable,
    /// It stands for no value: a date of zeros.
    Null,
}

/// Levels of nesting that a document may have, itself being the first. Elasticsearch maps 20 unless its index
/// says otherwise; what is deeper than this is taken for an attack on some parser's stack.
pub(super) const MAX_DEPTH: usize = 64;

/// What Debezium puts in place of a value that the log lacks, and its base64 for binary columns.
const UNAVAILABLE: [&str; 2] = [
    "__debezium_unavailable_value",
    "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
];

impl From<Broken> for Fault {
    fn from(Broken: Broken) -> Self {
        Self::Broken
    }
}

// === impl Conversion ===

impl Conversion {
    /// Appends a value that is not null, and counts the members of nested objects into `members`. On an error
    /// a part of it may have been appended.
    #[inline]
    pub(super) fn write(
        &self,
        value: Value<'_>,
        form: Form,
        scratch: &mut Vec<u8>,
        members: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if let Value::String(s) = value
            && s.inner.len() >= UNAVAILABLE[0].len()
            && UNAVAILABLE.contains(&s.inner)
        {
            return Err(Fault::Unavailable);
        }
        match self {
            Self::AsIs => text::as_is(value, form, members, out),
            Self::Text => text::text(value, form, out),
            Self::Integer { min, max } => number::integer(value, *min, *max, out),
            Self::BigUnsigned(text) => number::big_unsigned(value, *text, scratch, out),
            Self::Boolean => number::boolean(value, out),
            Self::Decimal {
                precision,
                scale,
                text,
                quoted: true,
            } => quoted(form, out, |out| {
                decimal::write(value, *precision, *scale, *text, scratch, out)
            }),
            Self::Decimal {
                precision,
                scale,
                text,
                quoted: false,
            } => decimal::write(value, *precision, *scale, *text, scratch, out),
            Self::Float => number::float(value, out),
            Self::Bit => number::bit(value, out),
            Self::Bits(n) => number::bits(value, *n, scratch, out),
            Self::Binary { text, length } => quoted(form, out, |out| {
                binary::write(value, *text, *length, scratch, out)
            }),
            Self::Date => quoted(form, out, |out| time::date(value, out)),
            Self::Time { unit, digits } => {
                quoted(form, out, |out| time::time(value, *unit, *digits, out))
            }
            Self::DateTime { unit, digits } => {
                quoted(form, out, |out| time::date_time(value, *unit, *digits, out))
            }
            Self::Instant { unit, digits } => quoted(form, out, |out| {
                time::date_time(value, *unit, *digits, out)?;
                out.push(b'Z');
                Ok(())
            }),
            Self::Timestamp { digits } => quoted(form, out, |out| {
                time::timestamp(value, *digits, scratch, out)
            }),
            Self::Enum(allowed) => text::member(value, allowed.as_deref(), form, scratch, out),
            Self::Set(allowed) => text::set(value, allowed.as_deref(), scratch, out),
            Self::Json => text::json(value, members, scratch, out),
            Self::Geometry(text) => {
                quoted(form, out, |out| geometry::write(value, *text, scratch, out))
            }
            Self::Spelled(spelled) => spelled.write(value, form, scratch, members, out),
        }
    }
}

/// What is between needs no escapes.
#[inline]
fn quoted(
    form: Form,
    out: &mut Vec<u8>,
    inner: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    match form {
        Form::Text => inner(out),
        Form::Json => {
            out.push(b'"');
            inner(out)?;
            out.push(b'"');
            Ok(())
        }
    }
}

/// What a value is, for a message.
fn kind(value: Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Nested(_) => "an object or an array",
    }
}

fn mismatch<T>(value: Value<'_>) -> Result<T, Fault> {
    Err(Fault::Mismatch(kind(value)))
}

/// A string's text, in `scratch` where it has escapes.
#[inline]
fn content<'v>(value: Value<'v>, scratch: &'v mut Vec<u8>) -> Result<&'v str, Fault> {
    match value {
        Value::String(s) if !s.escaped => Ok(s.inner),
        Value::String(s) => {
            scratch.clear();
            s.unescape(scratch)?;
            std::str::from_utf8(scratch).map_err(|_| Fault::Broken)
        }
        other => mismatch(other),
    }
}
