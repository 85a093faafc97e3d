//! `topics/*.toml`: what a Kafka topic is and what its records hold.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{ColumnType, Zone};
use crate::event::Epoch;

/// One topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicSpec {
    /// The Kafka topic's name.
    pub name: String,
    /// The format of its records.
    pub format: Format,
    /// The key's columns, in the order in which they make a document's id.
    pub key: Vec<String>,
    /// The number of partitions, 1 to 10,000. More partitions means a new topic.
    pub partitions: i32,
    /// How many brokers hold each partition; the brokers' own default where absent.
    pub replication: Option<i32>,
    /// The topic's incarnation.
    pub epoch: Epoch,
    /// How the producer places a key, where that is to be checked on every record.
    pub partitioner: Option<Partitioner>,
    /// Broker-side topic settings, such as `cleanup.policy`.
    pub config: BTreeMap<String, String>,
    /// Column types that the format leaves out, by column.
    pub columns: BTreeMap<String, ColumnType>,
    /// How its records are read where the format leaves that open.
    pub reading: Reading,
    /// The file that it was read from.
    pub file: PathBuf,
}

/// A change-event format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Debezium's JSON envelope, with or without its schema.
    DebeziumJson,
    /// Debezium's envelope in Avro, with a schema registry.
    DebeziumAvro,
    /// Canal's flat message.
    CanalJson,
    /// Maxwell's JSON.
    MaxwellJson,
    /// Plain events in Avro, by the topic's schema.
    Avro,
    /// Plain events in JSON, checked against the topic's schema.
    Json,
}

/// What a topic's spec says of its records beyond their format: how the capture tool is configured, and what
/// becomes of what is no row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Debezium's `decimal.handling.mode`, where the record brings no schema.
    pub decimals: Option<DecimalMode>,
    /// Debezium's `binary.handling.mode`, where the record brings no schema, or one that says `string`.
    pub binaries: BinaryMode,
    /// Debezium's `time.precision.mode`, where the record brings no schema.
    pub times: TimeMode,
    /// The zone that TIMESTAMP text of Canal and Maxwell is in.
    pub zone: Option<Zone>,
    /// The tables whose rows are taken, as `database.table`; only with Canal and Maxwell, whose topics may
    /// hold several.
    pub tables: Vec<String>,
    /// What becomes of a TRUNCATE.
    pub on_truncate: OnTruncate,
    /// What becomes of a column that the declared columns do not name.
    pub on_new_column: OnNewColumn,
    /// The topic's own Avro schemas: the one in force, then those before it, the newest first.
    pub schemas: Vec<AvroFile>,
    /// What the schema in force must be to the one before it.
    pub compatibility: Compatibility,
}

/// A schema's file under `topics/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvroFile {
    /// Where it is.
    pub file: PathBuf,
    /// Its JSON.
    pub text: String,
}

/// What a topic's schema must be to the one before it, in the words of schema registries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compatibility {
    /// Who reads by the new one reads what was written by the old one.
    #[default]
    Backward,
    /// Who reads by the old one reads what is written by the new one.
    Forward,
    /// Both.
    Full,
    /// Anything.
    None,
}

/// How Debezium writes a DECIMAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalMode {
    /// Base64 of the unscaled integer.
    Precise,
    /// Digits in a string.
    String,
    /// A JSON number, which may have lost digits already.
    Double,
}

/// How Debezium writes binary columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BinaryMode {
    /// Base64: its `bytes` and `base64`.
    #[default]
    Base64,
    /// Base64 with `-` and `_`.
    Base64UrlSafe,
    /// Hexadecimal digits.
    Hex,
}

/// In what unit Debezium counts times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeMode {
    /// By the column's fractional digits, TIME always in microseconds.
    #[default]
    AdaptiveTimeMicroseconds,
    /// By the column's fractional digits.
    Adaptive,
    /// Milliseconds, whatever the column has.
    Connect,
}

/// What becomes of a TRUNCATE. No document is deleted by it: it has no key and no order beside the other
/// partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnTruncate {
    /// Counted, with an alarm.
    #[default]
    Ignore,
    /// A dead letter, which stays until somebody has seen to it.
    DeadLetter,
}

/// What becomes of a column that `[columns]` does not declare, where it declares any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnNewColumn {
    /// It is a field like the others, as it stands in the record.
    #[default]
    Map,
    /// It is left out.
    Ignore,
    /// The record is a dead letter.
    DeadLetter,
}

/// How a producer places a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioner {
    /// Java's default: murmur2 of the key's bytes, without its sign bit, modulo the partitions.
    Murmur2,
    /// Canal's own: Java's hash of the database and of the key's values as text.
    Canal,
    /// One partition for all rows of a table, whichever it is.
    Table,
}

// === impl Compatibility ===

impl Compatibility {
    /// What is wrong with a schema that follows another one: a sentence for each field at fault.
    pub fn faults(self, before: &str, now: &str) -> Vec<String> {
        let read = |writer, reader| {
            // The texts are schemas, or would not have been read.
            crate::decode::unreadable(writer, reader).unwrap_or_else(|why| vec![why])
        };
        let backward = || {
            read(before, now)
                .into_iter()
                .map(|fault| format!("not backward compatible: {fault}"))
        };
        let forward = || {
            read(now, before)
                .into_iter()
                .map(|fault| format!("not forward compatible: {fault}"))
        };
        match self {
            Self::Backward => backward().collect(),
            Self::Forward => forward().collect(),
            Self::Full => backward().chain(forward()).collect(),
            Self::None => Vec::new(),
        }
    }
}

// === impl Format ===

impl Format {
    /// Its name in a topic's spec.
    pub fn name(self) -> &'static str {
        match self {
            Self::DebeziumJson => "debezium-json",
            Self::DebeziumAvro => "debezium-avro",
            Self::CanalJson => "canal-json",
            Self::MaxwellJson => "maxwell-json",
            Self::Avro => "avro",
            Self::Json => "json",
        }
    }
}
