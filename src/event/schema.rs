//! The column types that a record brings with it, where its format does (Kafka Connect's schema, Avro's, the
//! database's own types beside Canal's rows).
//!
//! A wire type says how the column's values are *represented*; a declared
//! [`ColumnType`](crate::config::ColumnType) says what they mean. Where both are there they must agree.

use crate::config::ColumnType;

/// The columns' types of one row image or key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSchema {
    /// By name.
    columns: Vec<(Box<str>, WireType)>,
    complete: bool,
}

/// How a column's values are represented in the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireType {
    /// Any of the signed integer types.
    Integer,
    /// A floating-point number.
    Float,
    /// True or false.
    Boolean,
    /// Text.
    Text,
    /// Base64 of bytes.
    Bytes,
    /// A decimal: base64 of its unscaled big-endian integer, or a JSON number.
    Decimal {
        /// Digits after the point.
        scale: u8,
    },
    /// Base64 of little-endian bytes.
    Bits {
        /// The number of bits, 1 to 64.
        length: u8,
    },
    /// Days since 1970.
    Date,
    /// Time since midnight, perhaps negative.
    Time(TimeUnit),
    /// Time since 1970 in no zone.
    DateTime(TimeUnit),
    /// Time since 1970 in UTC.
    Instant(TimeUnit),
    /// ISO-8601 text with a zone.
    ZonedTimestamp,
    /// A year's number.
    Year,
    /// An enumeration's member.
    Enum,
    /// A set's members with commas between.
    Set,
    /// JSON in a string.
    Json,
    /// A structure (such as a geometry), an array or a map: passed on as it stands.
    Nested,
    /// What the format makes of a column of this type in the database.
    Mysql(ColumnType),
}

/// What a number of time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Thousandths of a second.
    Millis,
    /// Millionths of a second.
    Micros,
    /// Billionths of a second.
    Nanos,
}

// === impl RowSchema ===

impl RowSchema {
    /// A schema of these columns; of two of one name the first counts.
    pub fn new(mut columns: Vec<(Box<str>, WireType)>) -> Self {
        columns.sort_by(|a, b| a.0.cmp(&b.0));
        columns.dedup_by(|b, a| a.0 == b.0);
        Self {
            columns,
            complete: false,
        }
    }

    /// As [`RowSchema::new`], of rows that are partial where they lack one of these columns.
    pub fn complete(columns: Vec<(Box<str>, WireType)>) -> Self {
        Self {
            complete: true,
            ..Self::new(columns)
        }
    }

    /// Whether a row must have every column.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The columns' names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| &**name)
    }

    /// A column's type.
    pub fn get(&self, column: &str) -> Option<&WireType> {
        self.columns
            .binary_search_by(|(name, _)| (**name).cmp(column))
            .ok()
            .and_then(|i| self.columns.get(i))
            .map(|(_, wire)| wire)
    }
}

// === impl TimeUnit ===

impl TimeUnit {
    /// Decimal digits of a second that it counts: 3, 6 or 9.
    pub fn digits(self) -> u8 {
        match self {
            Self::Millis => 3,
            Self::Micros => 6,
            Self::Nanos => 9,
        }
    }

    /// How many of it are a second.
    pub fn per_second(self) -> i64 {
        10_i64.pow(u32::from(self.digits()))
    }
}

// === impl WireType ===

impl WireType {
    /// Its name in messages.
    pub fn name(&self) -> String {
        let name = match self {
            Self::Integer => "an integer",
            Self::Float => "a floating-point number",
            Self::Boolean => "a boolean",
            Self::Text => "a string",
            Self::Bytes => "bytes",
            Self::Decimal { .. } => "a decimal",
            Self::Bits { .. } => "bits",
            Self::Date => "a date",
            Self::Time(_) => "a time",
            Self::DateTime(_) => "a timestamp without a zone",
            Self::Instant(_) => "an instant",
            Self::ZonedTimestamp => "a timestamp with a zone",
            Self::Year => "a year",
            Self::Enum => "an enum",
            Self::Set => "a set",
            Self::Json => "JSON",
            Self::Nested => "a structure, an array or a map",
            Self::Mysql(column) => return column.to_string(),
        };
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_whatever_their_order() {
        let schema = RowSchema::new(vec![
            ("b".into(), WireType::Text),
            ("a".into(), WireType::Date),
            ("b".into(), WireType::Json),
        ]);
        assert_eq!(schema.get("a"), Some(&WireType::Date));
        assert_eq!(schema.get("b"), Some(&WireType::Text));
        assert_eq!(schema.get("c"), None);
    }
}
