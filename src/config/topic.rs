//! `topics/*.toml`: what a Kafka topic is and what its records hold.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::ColumnType;
use crate::event::Epoch;

/// One topic.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    /// The Kafka topic's name.
    pub name: String,
    /// The format of its records.
    pub format: Format,
    /// The key's columns, in the order in which they make a document's id.
    pub key: Vec<String>,
    /// The number of partitions, 1 to 10,000. More partitions means a new topic.
    pub partitions: i32,
    /// The topic's incarnation.
    pub epoch: Epoch,
    /// How the producer places a key, where that is to be checked on every record.
    pub partitioner: Option<Partitioner>,
    /// Broker-side topic settings, such as `cleanup.policy`.
    pub config: BTreeMap<String, String>,
    /// Column types that the format leaves out, by column.
    pub columns: BTreeMap<String, ColumnType>,
    /// The file that it was read from.
    pub file: PathBuf,
}

/// A change-event format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Debezium's JSON envelope, with or without its schema.
    DebeziumJson,
}

/// How a producer places a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioner {
    /// Java's default: murmur2 of the key's bytes, without its sign bit, modulo the partitions.
    Murmur2,
}
