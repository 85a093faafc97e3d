//! Which conversion a column has: the declared type says what its values mean, the record's schema (or the
//! topic's format) how they are represented. Where both are there and cannot both be true, the column is
//! refused.

use crate::config::{ColumnType, DecimalMode, Decimals, Format, Reading, TimeMode, Zone};
use crate::decode::{DecodeError, Reason};
use crate::event::{TimeUnit, WireType};

use super::printed::{canal, maxwell};
use super::spelled::Spelled;
use super::{BinaryText, Conversion, DecimalText, GeometryText};

/// Digits that MySQL's DECIMAL can have.
const MAX_PRECISION: u8 = 65;

/// What a topic's spec says of how values are represented.
#[derive(Debug, Clone)]
pub(in crate::transform) struct Representation {
    format: Format,
    decimals: Option<DecimalMode>,
    binaries: BinaryText,
    times: TimeMode,
    zone: Option<Zone>,
    /// Whether a decimal is a JSON string.
    quoted: bool,
}

/// Why a column has no conversion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::transform) enum Unresolved {
    /// The record's own schema says that it is this, which the declared type cannot be.
    Contradiction(String),
    /// It is a time whose zone nobody gave.
    NoZone,
}

// === impl Representation ===

impl Representation {
    pub(in crate::transform) fn new(format: Format, reading: &Reading, decimals: Decimals) -> Self {
        Self {
            format,
            decimals: reading.decimals,
            binaries: reading.binaries.into(),
            times: reading.times,
            zone: match format {
                Format::MaxwellJson => Some(reading.zone.clone().unwrap_or(Zone::UTC)),
                Format::DebeziumJson
                | Format::DebeziumAvro
                | Format::CanalJson
                | Format::Avro
                | Format::Json => reading.zone.clone(),
            },
            quoted: match decimals {
                Decimals::String => true,
                Decimals::Number => false,
            },
        }
    }

    pub(super) fn decimal(&self, precision: u8, scale: u8, text: DecimalText) -> Conversion {
        Conversion::Decimal {
            precision,
            scale,
            text,
            quoted: self.quoted,
        }
    }

    pub(super) fn timestamp(&self, digits: u8) -> Result<Conversion, Unresolved> {
        let zone = self.zone.clone().ok_or(Unresolved::NoZone)?;
        Ok(Conversion::Spelled(Spelled::Timestamp { digits, zone }))
    }
}

// === impl Unresolved ===

impl Unresolved {
    /// The error for a column of this name.
    pub(in crate::transform) fn error(
        &self,
        column: &str,
        declared: Option<&ColumnType>,
    ) -> DecodeError {
        let detail = match self {
            Self::Contradiction(wire) => format!(
                "the column `{column}` is declared {} but is {wire} by the record's own schema: correct the topic's spec under [columns]",
                declared.map_or_else(String::new, ColumnType::to_string)
            ),
            Self::NoZone => format!(
                "the column `{column}` is a timestamp, which Canal prints in its own zone: give `timestamp_zone` in the topic's spec"
            ),
        };
        DecodeError::new(Reason::ColumnType, detail)
    }
}

/// The conversion for a column.
pub(in crate::transform) fn resolve(
    declared: Option<&ColumnType>,
    wire: Option<&WireType>,
    how: &Representation,
) -> Result<Conversion, Unresolved> {
    match how.format {
        Format::CanalJson => canal(declared, wire, how),
        Format::MaxwellJson => match declared {
            Some(declared) => maxwell(declared, how),
            None => Ok(Conversion::AsIs),
        },
        Format::DebeziumJson | Format::DebeziumAvro | Format::Avro | Format::Json => {
            match (declared, wire) {
                (None, None) => Ok(Conversion::AsIs),
                (None, Some(wire)) => Ok(of_wire(wire, how)),
                (Some(declared), None) => Ok(of_declared(declared, how)),
                (Some(declared), Some(wire)) => of_both(declared, wire, how)
                    .ok_or_else(|| Unresolved::Contradiction(wire.name())),
            }
        }
    }
}

/// By the record's schema alone. It does not say how many fractional digits a column has, so a time has as
/// many as its unit counts; nor the members of a set exactly (MySQL's may not hold commas, so they split).
fn of_wire(wire: &WireType, how: &Representation) -> Conversion {
    match wire {
        WireType::Integer => SIGNED,
        WireType::Float => Conversion::Float,
        WireType::Boolean => Conversion::Boolean,
        WireType::Text => Conversion::Text,
        WireType::Bytes => BYTES,
        WireType::Decimal { scale } => how.decimal(MAX_PRECISION, *scale, precise(how)),
        WireType::Bits { length } => bits(*length),
        WireType::Date => Conversion::Date,
        WireType::Time(unit) => Conversion::Time {
            unit: *unit,
            digits: unit_digits(*unit),
        },
        WireType::DateTime(unit) => Conversion::DateTime {
            unit: *unit,
            digits: unit_digits(*unit),
        },
        WireType::Instant(unit) => Conversion::Instant {
            unit: *unit,
            digits: unit_digits(*unit),
        },
        WireType::ZonedTimestamp => Conversion::Timestamp { digits: None },
        WireType::Year => YEAR,
        WireType::Enum => Conversion::Enum(None),
        WireType::Set => Conversion::Set(None),
        WireType::Json => Conversion::Json,
        WireType::Mysql(column) => of_declared(column, how),
        WireType::Nested => Conversion::AsIs,
    }
}

/// By the declared type alone, in Debezium's representation of it.
fn of_declared(declared: &ColumnType, how: &Representation) -> Conversion {
    match declared {
        ColumnType::Integer => SIGNED,
        ColumnType::Unsigned => UNSIGNED,
        ColumnType::BigUnsigned => Conversion::BigUnsigned(DecimalText::Never),
        ColumnType::Boolean => Conversion::Boolean,
        ColumnType::Decimal { precision, scale } => {
            let text = match how.decimals {
                None => DecimalText::ByPoint,
                Some(DecimalMode::Precise) => DecimalText::Base64,
                Some(DecimalMode::String) => DecimalText::Digits,
                Some(DecimalMode::Double) => DecimalText::Never,
            };
            how.decimal(*precision, *scale, text)
        }
        ColumnType::Float => Conversion::Float,
        ColumnType::Bit(n) => bits(*n),
        ColumnType::Text => Conversion::Text,
        ColumnType::Binary | ColumnType::FixedBinary(_) => binary(declared, how.binaries),
        ColumnType::Date => Conversion::Date,
        ColumnType::Time(digits) => Conversion::Time {
            unit: match how.times {
                TimeMode::Connect => TimeUnit::Millis,
                TimeMode::Adaptive if *digits <= 3 => TimeUnit::Millis,
                TimeMode::Adaptive | TimeMode::AdaptiveTimeMicroseconds => TimeUnit::Micros,
            },
            digits: *digits,
        },
        ColumnType::DateTime(digits) => Conversion::DateTime {
            unit: if *digits <= 3 || how.times == TimeMode::Connect {
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
        ColumnType::Geometry => Conversion::Geometry(GeometryText::Structure),
    }
}

fn of_both(declared: &ColumnType, wire: &WireType, how: &Representation) -> Option<Conversion> {
    let agreed = match (declared, wire) {
        (ColumnType::BigUnsigned, WireType::Decimal { scale: 0 }) => {
            Conversion::BigUnsigned(DecimalText::Base64)
        }
        (ColumnType::Decimal { precision, scale }, wire) => {
            let text = match wire {
                WireType::Decimal { scale: s } if s == scale => precise(how),
                WireType::Text => DecimalText::Digits,
                WireType::Float => DecimalText::Never,
                _ => return None,
            };
            how.decimal(*precision, *scale, text)
        }
        (ColumnType::Time(digits), WireType::Time(unit)) => Conversion::Time {
            unit: *unit,
            digits: *digits,
        },
        (ColumnType::DateTime(digits), WireType::DateTime(unit)) => Conversion::DateTime {
            unit: *unit,
            digits: *digits,
        },
        (ColumnType::Timestamp(digits), WireType::Instant(unit)) => Conversion::Instant {
            unit: *unit,
            digits: *digits,
        },
        (ColumnType::Binary | ColumnType::FixedBinary(_), WireType::Bytes) => {
            binary(declared, BinaryText::Base64)
        }
        (ColumnType::Bit(n), WireType::Bits { length }) if n == length => {
            of_declared(declared, how)
        }
        (ColumnType::Bit(1), WireType::Boolean)
        | (
            ColumnType::Integer | ColumnType::Unsigned | ColumnType::BigUnsigned,
            WireType::Integer,
        )
        | (ColumnType::Boolean, WireType::Integer | WireType::Boolean)
        | (ColumnType::Float, WireType::Float)
        // MariaDB's JSON is a LONGTEXT, and text may be declared for either.
        | (ColumnType::Text | ColumnType::Json, WireType::Text | WireType::Json)
        | (ColumnType::Binary | ColumnType::FixedBinary(_), WireType::Text)
        | (ColumnType::Date, WireType::Date)
        | (ColumnType::Timestamp(_), WireType::ZonedTimestamp)
        | (ColumnType::Year, WireType::Year | WireType::Integer)
        | (ColumnType::Enum(_), WireType::Enum)
        | (ColumnType::Set(_), WireType::Set)
        | (ColumnType::Geometry, WireType::Nested) => of_declared(declared, how),
        _ => return None,
    };
    Some(agreed)
}

pub(super) const SIGNED: Conversion = Conversion::Integer {
    min: i64::MIN,
    max: i64::MAX,
};
pub(super) const UNSIGNED: Conversion = Conversion::Integer {
    min: 0,
    max: u32::MAX as i64,
};
/// MySQL's YEAR is 0 or 1901 to 2155.
const YEAR: Conversion = Conversion::Integer { min: 0, max: 9999 };
const BYTES: Conversion = Conversion::Binary {
    text: BinaryText::Base64,
    length: 0,
};

pub(super) fn binary(column: &ColumnType, text: BinaryText) -> Conversion {
    let length = match column {
        ColumnType::FixedBinary(length) => *length,
        _ => 0,
    };
    Conversion::Binary { text, length }
}

/// How a string holds a decimal by the record's own schema: people write digits in plain JSON.
fn precise(how: &Representation) -> DecimalText {
    match how.format {
        Format::Json => DecimalText::Digits,
        Format::DebeziumJson
        | Format::DebeziumAvro
        | Format::Avro
        | Format::CanalJson
        | Format::MaxwellJson => DecimalText::Base64,
    }
}

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
