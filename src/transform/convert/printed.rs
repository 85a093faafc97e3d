//! Which conversion a column has in Canal's and Maxwell's records, which mostly have values as MySQL prints
//! them.

use crate::config::ColumnType;
use crate::event::WireType;

use super::resolve::{Representation, SIGNED, UNSIGNED, Unresolved, binary};
use super::spelled::Spelled;
use super::{BinaryText, Conversion, DecimalText, GeometryText};

const INTEGER: Conversion = Conversion::Spelled(Spelled::Integer {
    min: i64::MIN,
    max: i64::MAX,
});

/// Canal's, where the record itself names the database's type. What is declared says how it is shown; of an
/// enum's and a set's members the record's own count, since their numbers are by those.
pub(super) fn canal(
    declared: Option<&ColumnType>,
    wire: Option<&WireType>,
    how: &Representation,
) -> Result<Conversion, Unresolved> {
    let own = match wire {
        Some(WireType::Mysql(own)) => Some(own),
        Some(_) | None => None,
    };
    let column = match (declared, own) {
        (None, None) => return Ok(Conversion::AsIs),
        (Some(column), None) | (None, Some(column)) => column,
        (Some(ColumnType::Enum(_)), Some(own @ ColumnType::Enum(_)))
        | (Some(ColumnType::Set(_)), Some(own @ ColumnType::Set(_))) => own,
        (Some(declared), Some(own)) => {
            if !shows(declared, own) {
                return Err(Unresolved::Contradiction(own.to_string()));
            }
            declared
        }
    };
    Ok(match column {
        ColumnType::Integer => INTEGER,
        ColumnType::Unsigned => Conversion::Spelled(Spelled::Integer {
            min: 0,
            max: i64::from(u32::MAX),
        }),
        ColumnType::BigUnsigned => Conversion::Spelled(Spelled::BigUnsigned),
        ColumnType::Boolean => Conversion::Spelled(Spelled::Boolean),
        ColumnType::Float => Conversion::Spelled(Spelled::Float),
        ColumnType::Binary | ColumnType::FixedBinary(_) => binary(column, BinaryText::Latin1),
        ColumnType::Enum(members) => {
            Conversion::Spelled(Spelled::EnumIndex(members.as_slice().into()))
        }
        ColumnType::Set(members) => {
            Conversion::Spelled(Spelled::SetMask(members.as_slice().into()))
        }
        ColumnType::Json => Conversion::Json,
        ColumnType::Geometry => Conversion::Geometry(GeometryText::Latin1),
        ColumnType::Decimal { .. }
        | ColumnType::Bit(_)
        | ColumnType::Text
        | ColumnType::Date
        | ColumnType::Time(_)
        | ColumnType::DateTime(_)
        | ColumnType::Timestamp(_)
        | ColumnType::Year => printed(column, how)?,
    })
}

/// Maxwell's, where the topic's spec alone says what a column is.
pub(super) fn maxwell(
    declared: &ColumnType,
    how: &Representation,
) -> Result<Conversion, Unresolved> {
    Ok(match declared {
        ColumnType::Integer => SIGNED,
        ColumnType::Unsigned => UNSIGNED,
        ColumnType::BigUnsigned => Conversion::BigUnsigned(DecimalText::Never),
        ColumnType::Boolean => Conversion::Boolean,
        ColumnType::Float => Conversion::Float,
        ColumnType::Binary | ColumnType::FixedBinary(_) => binary(declared, BinaryText::Base64),
        ColumnType::Enum(members) => {
            Conversion::Spelled(Spelled::Member(members.as_slice().into()))
        }
        ColumnType::Set(members) => {
            Conversion::Spelled(Spelled::Members(members.as_slice().into()))
        }
        ColumnType::Json => Conversion::Spelled(Spelled::Inline),
        ColumnType::Geometry => Conversion::Geometry(GeometryText::WellKnown),
        ColumnType::Decimal { .. }
        | ColumnType::Bit(_)
        | ColumnType::Text
        | ColumnType::Date
        | ColumnType::Time(_)
        | ColumnType::DateTime(_)
        | ColumnType::Timestamp(_)
        | ColumnType::Year => printed(declared, how)?,
    })
}

/// What Canal and Maxwell have in common: as MySQL prints it.
fn printed(column: &ColumnType, how: &Representation) -> Result<Conversion, Unresolved> {
    Ok(match column {
        ColumnType::Decimal { precision, scale } => {
            how.decimal(*precision, *scale, DecimalText::Digits)
        }
        ColumnType::Bit(n) => Conversion::Spelled(Spelled::Bits(*n)),
        ColumnType::Date => Conversion::Spelled(Spelled::Date),
        ColumnType::Time(digits) => Conversion::Spelled(Spelled::Time { digits: *digits }),
        ColumnType::DateTime(digits) => Conversion::Spelled(Spelled::DateTime { digits: *digits }),
        ColumnType::Timestamp(digits) => how.timestamp(*digits)?,
        ColumnType::Year => Conversion::Spelled(Spelled::Integer { min: 0, max: 9999 }),
        ColumnType::Text
        | ColumnType::Integer
        | ColumnType::Unsigned
        | ColumnType::BigUnsigned
        | ColumnType::Boolean
        | ColumnType::Float
        | ColumnType::Binary
        | ColumnType::FixedBinary(_)
        | ColumnType::Enum(_)
        | ColumnType::Set(_)
        | ColumnType::Json
        | ColumnType::Geometry => Conversion::Text,
    })
}

/// Whether a column of the database's type `own` can be shown as what is declared.
fn shows(declared: &ColumnType, own: &ColumnType) -> bool {
    match (declared, own) {
        (ColumnType::Decimal { scale, .. }, ColumnType::Decimal { scale: own, .. }) => scale == own,
        // Whether an integer of one digit is a boolean is a matter of taste, and MariaDB's JSON is text.
        (ColumnType::Integer | ColumnType::Boolean, ColumnType::Integer | ColumnType::Boolean)
        | (ColumnType::Text | ColumnType::Json, ColumnType::Text | ColumnType::Json)
        | (
            ColumnType::Binary | ColumnType::FixedBinary(_),
            ColumnType::Binary | ColumnType::FixedBinary(_),
        )
        | (ColumnType::Time(_), ColumnType::Time(_))
        | (ColumnType::DateTime(_), ColumnType::DateTime(_))
        | (ColumnType::Timestamp(_), ColumnType::Timestamp(_)) => true,
        (declared, own) => declared == own,
    }
}
