//! MySQL column types, as declared under `[columns]` of a topic spec: what there is, and how a value of it
//! looks in a document. `column_parse` reads them in MySQL's own notation.

use std::fmt;

/// A column's type, as far as converting its values needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// `tinyint … bigint`, signed: a JSON integer.
    Integer,
    /// `tinyint unsigned … int unsigned`: a JSON integer.
    Unsigned,
    /// `bigint unsigned`: a JSON integer up to 2^64 − 1, also where the format sends it negative.
    BigUnsigned,
    /// `boolean`: `tinyint(1)` shown as true and false.
    Boolean,
    /// `decimal(p,s)`: exact text.
    Decimal {
        /// Digits in all, 1 to 65.
        precision: u8,
        /// Digits after the point, 0 to 30 and at most `precision`.
        scale: u8,
    },
    /// `float`, `double`: a JSON number.
    Float,
    /// `bit(n)`, 1 to 64: `bit(1)` is true or false, wider ones an unsigned integer.
    Bit(u8),
    /// `char`, `varchar`, `text` and their sizes: text.
    Text,
    /// `varbinary`, `blob` and their sizes: base64.
    Binary,
    /// `binary(n)`: base64 of `n` bytes, 0 to 255. The binlog lacks trailing zeros, so some formats do.
    FixedBinary(u8),
    /// `date`: `YYYY-MM-DD`.
    Date,
    /// `time(0…6)`: `[-]HHH:MM:SS[.ffffff]`.
    Time(u8),
    /// `datetime(0…6)`: `YYYY-MM-DDTHH:MM:SS[.ffffff]`, without a zone.
    DateTime(u8),
    /// `timestamp(0…6)`: the same with `Z`.
    Timestamp(u8),
    /// `year`: a JSON integer.
    Year,
    /// `enum('a','b')`: the member's text.
    Enum(Vec<String>),
    /// `set('a','b')`: an array of the members' texts.
    Set(Vec<String>),
    /// `json`: inline.
    Json,
    /// `geometry`, `point` and the like: well-known text, such as `POINT (1 2)`.
    Geometry,
}

// === impl ColumnType ===

impl fmt::Display for ColumnType {
    /// As it would be written in a topic's spec, without an enum's members.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer => f.write_str("an integer"),
            Self::Unsigned => f.write_str("an unsigned integer"),
            Self::BigUnsigned => f.write_str("bigint unsigned"),
            Self::Boolean => f.write_str("boolean"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Float => f.write_str("double"),
            Self::Bit(n) => write!(f, "bit({n})"),
            Self::Text => f.write_str("text"),
            Self::Binary => f.write_str("varbinary"),
            Self::FixedBinary(n) => write!(f, "binary({n})"),
            Self::Date => f.write_str("date"),
            Self::Time(d) => write!(f, "time({d})"),
            Self::DateTime(d) => write!(f, "datetime({d})"),
            Self::Timestamp(d) => write!(f, "timestamp({d})"),
            Self::Year => f.write_str("year"),
            Self::Enum(_) => f.write_str("enum"),
            Self::Set(_) => f.write_str("set"),
            Self::Json => f.write_str("json"),
            Self::Geometry => f.write_str("geometry"),
        }
    }
}
