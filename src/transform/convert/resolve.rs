//! Which conversion a column has: the declared type says what its values mean, the record's schema how they
//! are represented. Where both are there and cannot both be true, the column is refused.

use crate::config::ColumnType;
use crate::event::{TimeUnit, WireType};

use super::{Conversion, DecimalText};

/// Digits that MySQL's DECIMAL can have.
const MAX_PRECISION: u8 = 65;

/// The conversion for a column, or `Err` where the record's schema contradicts the declaration.
pub(in crate::transform) fn resolve(
    declared: Option<&ColumnType>,
    wire: Option<WireType>,
) -> Result<Conversion, WireType> {
    match (declared, wire) {
        (None, None) => Ok(Conversion::AsIs),
        (None, Some(wire)) => Ok(of_wire(wire)),
        (Some(declared), None) => Ok(of_declared(declared)),
        (Some(declared), Some(wire)) => of_both(declared, wire).ok_or(wire),
    }
}

/// By the record's schema alone. It does not say how many fractional digits a column has, so a time has as
/// many as its unit counts; nor the members of a set exactly (MySQL's may not hold commas, so they split).
fn of_wire(wire: WireType) -> Conversion {
    match wire {
        WireType::Integer => SIGNED,
        WireType::Float => Conversion::Float,
        WireType::Boolean => Conversion::Boolean,
        WireType::Text => Conversion::Text,
        WireType::Bytes => Conversion::Binary,
        WireType::Decimal { scale } => Conversion::Decimal {
            precision: MAX_PRECISION,
            scale,
            text: DecimalText::Base64,
        },
        WireType::Bits { length } => bits(length),
        WireType::Date => Conversion::Date,
        WireType::Time(unit) => Conversion::Time {
            unit,
            digits: unit_digits(unit),
        },
        WireType::DateTime(unit) => Conversion::DateTime {
            unit,
            digits: unit_digits(unit),
        },
        WireType::ZonedTimestamp => Conversion::Timestamp { digits: None },
        WireType::Year => YEAR,
        WireType::Enum => Conversion::Enum(None),
        WireType::Set => Conversion::Set(None),
        WireType::Json => Conversion::Json,
        WireType::Nested => Conversion::AsIs,
    }
}

/// By the declared type alone, in Debezium's default representation of it.
fn of_declared(declared: &ColumnType) -> Conversion {
    match declared {
        ColumnType::Integer => SIGNED,
        ColumnType::Unsigned => UNSIGNED,
        ColumnType::BigUnsigned => Conversion::BigUnsigned(DecimalText::Never),
        ColumnType::Boolean => Conversion::Boolean,
        ColumnType::Decimal { precision, scale } => Conversion::Decimal {
            precision: *precision,
            scale: *scale,
            text: DecimalText::ByPoint,
        },
        ColumnType::Float => Conversion::Float,
        ColumnType::Bit(n) => bits(*n),
        ColumnType::Text => Conversion::Text,
        ColumnType::Binary => Conversion::Binary,
        ColumnType::Date => Conversion::Date,
        ColumnType::Time(digits) => Conversion::Time {
            unit: TimeUnit::Micros,
            digits: *digits,
        },
        ColumnType::DateTime(digits) => Conversion::DateTime {
            unit: if *digits <= 3 {
                TimeUnit::Millis
            } else {
                TimeUnit::Micros
            },
            digits: *digits,
        },
        ColumnType::Timestamp(digits) => Conversion::Timestamp {
            digits: Some(*digits),
        },
        ColumnType::Year => YEAR,
        ColumnType::Enum(members) => Conversion::Enum(Some(members.as_slice().into())),
        ColumnType::Set(members) => Conversion::Set(Some(members.as_slice().into())),
        ColumnType::Json => Conversion::Json,
    }
}

fn of_both(declared: &ColumnType, wire: WireType) -> Option<Conversion> {
    let agreed = match (declared, wire) {
        (ColumnType::BigUnsigned, WireType::Decimal { scale: 0 }) => {
            Conversion::BigUnsigned(DecimalText::Base64)
        }
        (ColumnType::Decimal { precision, scale }, wire) => {
            let text = match wire {
                WireType::Decimal { scale: s } if s == *scale => DecimalText::Base64,
                WireType::Text => DecimalText::Digits,
                WireType::Float => DecimalText::Never,
                _ => return None,
            };
            Conversion::Decimal {
                precision: *precision,
                scale: *scale,
                text,
            }
        }
        (ColumnType::Time(digits), WireType::Time(unit)) => Conversion::Time {
            unit,
            digits: *digits,
        },
        (ColumnType::DateTime(digits), WireType::DateTime(unit)) => Conversion::DateTime {
            unit,
            digits: *digits,
        },
        (ColumnType::Bit(n), WireType::Bits { length }) if *n == length => of_declared(declared),
        (ColumnType::Bit(1), WireType::Boolean)
        | (
            ColumnType::Integer | ColumnType::Unsigned | ColumnType::BigUnsigned,
            WireType::Integer,
        )
        | (ColumnType::Boolean, WireType::Integer | WireType::Boolean)
        | (ColumnType::Float, WireType::Float)
        // MariaDB's JSON is a LONGTEXT, and text may be declared for either.
        | (ColumnType::Text | ColumnType::Json, WireType::Text | WireType::Json)
        | (ColumnType::Binary, WireType::Bytes | WireType::Text)
        | (ColumnType::Date, WireType::Date)
        | (ColumnType::Timestamp(_), WireType::ZonedTimestamp)
        | (ColumnType::Year, WireType::Year | WireType::Integer)
        | (ColumnType::Enum(_), WireType::Enum)
        | (ColumnType::Set(_), WireType::Set) => of_declared(declared),
        _ => return None,
    };
    Some(agreed)
}

const SIGNED: Conversion = Conversion::Integer {
    min: i64::MIN,
    max: i64::MAX,
};
const UNSIGNED: Conversion = Conversion::Integer {
    min: 0,
    max: u32::MAX as i64,
};
/// MySQL's YEAR is 0 or 1901 to 2155.
const YEAR: Conversion = Conversion::Integer { min: 0, max: 9999 };

fn bits(n: u8) -> Conversion {
    if n == 1 {
        Conversion::Bit
    } else {
        Conversion::Bits(n)
    }
}

/// MySQL has at most microseconds.
fn unit_digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Millis => 3,
        TimeUnit::Micros | TimeUnit::Nanos => 6,
    }
}

/// A declared type's name in messages: as it would be written in a topic's spec, without an enum's members.
pub(in crate::transform) fn declared_name(declared: &ColumnType) -> String {
    match declared {
        ColumnType::Integer => "an integer".into(),
        ColumnType::Unsigned => "an unsigned integer".into(),
        ColumnType::BigUnsigned => "bigint unsigned".into(),
        ColumnType::Boolean => "boolean".into(),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        ColumnType::Float => "double".into(),
        ColumnType::Bit(n) => format!("bit({n})"),
        ColumnType::Text => "text".into(),
        ColumnType::Binary => "binary".into(),
        ColumnType::Date => "date".into(),
        ColumnType::Time(d) => format!("time({d})"),
        ColumnType::DateTime(d) => format!("datetime({d})"),
        ColumnType::Timestamp(d) => format!("timestamp({d})"),
        ColumnType::Year => "year".into(),
        ColumnType::Enum(_) => "enum".into(),
        ColumnType::Set(_) => "set".into(),
        ColumnType::Json => "json".into(),
    }
}
