//! Avro: schemas, framing, and bodies read straight into JSON text, in the representation that Kafka Connect's
//! JSON has of the same types, so that one transform serves both.
//!
//! A body is walked by its writer's schema without building anything, under bounds that do not depend on what
//! the body says of itself: depth, items and bytes of text. It never panics on input.

mod check;
mod compile;
mod evolve;
mod frame;
mod read;
mod schema;
mod write;

pub use check::Unfit;
pub use evolve::unreadable;
pub(super) use frame::{Side, frame, single_object};
pub(super) use read::Reader;
pub use schema::AvroSchema;
pub(super) use schema::Field;

use super::{DecodeError, Reason};

/// The columns of a schema for a topic's events.
///
/// # Errors
/// One sentence where the text is no Avro schema, or none of a record.
pub fn columns(text: &str) -> Result<Vec<String>, String> {
    // The reference implementation's own reading is stricter: names, defaults, what may be in a union.
    apache_avro::Schema::parse_str(text).map_err(|e| e.to_string())?;
    let schema = AvroSchema::parse(text)?;
    let fields = schema
        .record(schema.root())
        .ok_or("it is not of a record")?;
    Ok(fields.iter().map(|field| field.name.to_string()).collect())
}

/// Why a body cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It ends too early, or goes on.
    Length,
    /// Something in it is not as its schema says.
    Content(&'static str),
    /// It has more of something than is allowed.
    Limit(&'static str),
}

// === impl Wrong ===

impl Wrong {
    /// The error for a record's key or value.
    pub(super) fn error(self, which: Side) -> DecodeError {
        let which = which.name();
        match self {
            Self::Length => DecodeError::new(
                Reason::Malformed,
                format!("the {which}'s Avro body is not as long as its schema says"),
            ),
            Self::Content(what) => DecodeError::new(
                Reason::Malformed,
                format!("the {which}'s Avro body holds {what}"),
            ),
            Self::Limit(what) => DecodeError::new(
                Reason::Limit,
                format!("the {which}'s Avro body has more than {what}"),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
