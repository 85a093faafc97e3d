//! From a record's bytes to row changes. Decoders do no I/O, keep no state between records that changes a
//! result, and never panic on input: whatever they cannot read is a [`DecodeError`], which sends the record
//! to the dead-letter topic.

mod debezium;

pub use debezium::DebeziumJson;

use crate::config::Format;
use crate::event::{Changes, Record};

/// A change-event format. A decoder may remember what it has parsed (a schema that every record repeats), so
/// each worker has its own.
pub trait Decoder: Send {
    /// Takes one record apart.
    ///
    /// # Errors
    /// [`DecodeError`] where the record is not what the format and the topic's spec say.
    fn decode<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError>;
}

/// A decoder for one worker. A new format is its folder and a line here.
pub fn decoder(format: Format) -> Box<dyn Decoder> {
    match format {
        Format::DebeziumJson => Box::new(DebeziumJson::default()),
    }
}

/// Why a record cannot be used. The message names what was found and what to do; the caller adds the
/// topic, partition and offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct DecodeError {
    /// The reason's fixed name, used as a metric label and in the dead letter.
    pub reason: Reason,
    /// What was found, and what to do about it. Never a row's value.
    pub detail: String,
}

/// The fixed names of what can be wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not JSON, or cut off.
    Malformed,
    /// Well formed, but not an event of the topic's format.
    Envelope,
    /// The key lacks a declared column, or has another.
    Key,
    /// A row image without all of its columns.
    PartialRow,
    /// A value that the column's declared type cannot be.
    ColumnType,
    /// A column whose field name is the lane's own or another column's.
    FieldName,
    /// More bytes, depth or fields than are allowed.
    Limit,
}

// === impl DecodeError ===

impl DecodeError {
    /// An error of this reason.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

// === impl Reason ===

impl Reason {
    /// The name in metrics and dead letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Envelope => "envelope",
            Self::Key => "key",
            Self::PartialRow => "partial_row",
            Self::ColumnType => "column_type",
            Self::FieldName => "field_name",
            Self::Limit => "limit",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
