//! Where a record stands in its topic.

use std::fmt;

/// A record's place: the partition and the offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Kafka partition, from 0.
    pub partition: i32,
    /// Kafka offset, from 0.
    pub offset: i64,
}

/// A partition's watermark: every record below `offset` is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Kafka partition, from 0.
    pub partition: i32,
    /// The lowest offset that is not resolved yet.
    pub offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} offset {}", self.partition, self.offset)
    }
}
