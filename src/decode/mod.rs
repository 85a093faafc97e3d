//! From a record's bytes to row changes. Decoders do no I/O, keep no state between records that changes a
//! result, and never panic on input: whatever they cannot read is a [`DecodeError`], which sends the record
//! to the dead-letter topic. Where a record names a schema that is not at hand, the error says which
//! ([`DecodeError::needs`]); the caller gets it from the registry and decodes the record again.

mod avro;
mod canal;
mod checked;
mod connect;
mod debezium;
mod json;
mod known;
mod maxwell;
mod plain;
mod rows;
mod schemas;

use std::sync::Arc;

pub use avro::{AvroSchema, Unfit, columns as avro_columns, unreadable};
pub use canal::CanalJson;
pub use debezium::{DebeziumAvro, DebeziumJson};
pub(crate) use json::scan;
pub use maxwell::MaxwellJson;
pub use plain::{AvroEvents, JsonEvents, fingerprint};
pub use schemas::{SchemaId, Schemas};

use crate::config::{Format, TopicSpec};
use crate::event::{Changes, Record};
use checked::Checked;

/// A change-event format. A decoder may remember what it has parsed (a schema that every record repeats), so
/// each worker has its own.
pub trait Decoder: Send {
    /// Takes one record apart.
    ///
    /// # Errors
    /// [`DecodeError`] where the record is not what the format and the topic's spec say.
    fn decode<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError>;

    /// The same, but rows may not have been looked at ([`Row::checked`](crate::event::Row)): to read them twice, once for
    /// their syntax and once for their columns, took an eighth of a worker's time (perf). Where a row turns out not to
    /// become a document, for whatever reason, [`Decoder::decode`] says what is wrong with the record, if anything.
    ///
    /// # Errors
    /// As [`Decoder::decode`], as far as anything was looked at.
    fn glance<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        self.decode(record)
    }
}

/// A decoder of a topic's records for one worker. `schemas` are the registry's, as far as they are known. A
/// new format is its folder and a line here.
pub fn decoder(topic: &TopicSpec, schemas: &Arc<Schemas>) -> Box<dyn Decoder> {
    let truncates = topic.reading.on_truncate;
    match topic.format {
        Format::DebeziumJson => Box::new(Checked::new(DebeziumJson::default(), truncates)),
        Format::DebeziumAvro => Box::new(Checked::new(DebeziumAvro::new(schemas), truncates)),
        Format::CanalJson => Box::new(Checked::new(CanalJson::new(topic), truncates)),
        Format::MaxwellJson => Box::new(Checked::new(MaxwellJson::new(topic), truncates)),
        Format::Avro => Box::new(Checked::new(AvroEvents::new(topic, schemas), truncates)),
        Format::Json => Box::new(Checked::new(JsonEvents::new(topic), truncates)),
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
    /// The schema without which the record cannot be read. Once it is among the decoder's [`Schemas`] the
    /// record can be decoded; if the registry has none of this id, it is a dead letter.
    pub needs: Option<SchemaId>,
}

/// The fixed names of what can be wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Not JSON or Avro, or cut off.
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
    /// A column that the spec does not declare, where it wants to hear of such.
    NewColumn,
    /// More bytes, depth or fields than are allowed.
    Limit,
    /// Its Avro schema is unknown or cannot be read.
    Schema,
    /// It does not agree with the topic's schema.
    Invalid,
    /// It is in another partition than the declared partitioner says. That is no poison but a wrong spec, so
    /// the branch halts.
    Partition,
    /// A TRUNCATE, where the topic's spec wants it kept.
    Truncate,
}

// === impl DecodeError ===

impl DecodeError {
    /// An error of this reason.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            needs: None,
        }
    }

    /// An error for want of a schema.
    pub fn needs(id: SchemaId) -> Self {
        Self {
            reason: Reason::Schema,
            detail: format!("its schema, {id}, is not known to the schema registry"),
            needs: Some(id),
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
            Self::NewColumn => "new_column",
            Self::Limit => "limit",
            Self::Schema => "schema",
            Self::Invalid => "invalid",
            Self::Partition => "partition",
            Self::Truncate => "truncate",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
