//! A row change as a decoder gives it: borrowed from the record, not yet converted.

use std::borrow::Cow;
use std::sync::Arc;

use super::RowSchema;

/// What happened to a row. A snapshot's read is an [`Op::Upsert`] like an insert and an update, since row
/// images are full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// The row is now `after`.
    Upsert,
    /// The row is gone.
    Delete,
}

/// One row's change.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// What happened.
    pub op: Op,
    /// The key's columns as the record's key (or the format's equal of it) gives them.
    pub key: Key<'a>,
    /// The full row afterwards; `None` for a delete.
    pub after: Option<Row<'a>>,
    /// Where the source says that it stood, for counting rewinds and for freshness.
    pub source: SourcePosition<'a>,
}

/// Where the key's columns stand.
#[derive(Debug, Clone)]
pub enum Key<'a> {
    /// In the record's key: they and no others.
    Alone(Row<'a>),
    /// Among the columns of a row image, in formats whose record key says less or nothing.
    Within(Row<'a>),
}

/// A row image: a JSON object of columns in the format's own representation and order. It is read by
/// walking it once.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The object's text; a format that is not JSON owns what it wrote.
    pub object: Cow<'a, str>,
    /// Whether the text is known to be valid JSON, as a key's always is. Where it is not known, whoever walks the text
    /// finds out, and turns to [`Decoder::decode`](crate::decode::Decoder::decode) where it is not.
    pub checked: bool,
    /// The columns' types, where the record brings them.
    pub schema: Option<Arc<RowSchema>>,
}

/// Where a change stood in the source's log, as far as the format says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourcePosition<'a> {
    /// Binlog file; empty where the format gives none.
    pub file: &'a str,
    /// Position in the file.
    pub pos: u64,
    /// Row within the event at `pos`.
    pub row: u32,
    /// Commit time in milliseconds since 1970, or 0 where unknown. MariaDB's binlog has whole seconds.
    pub committed_ms: i64,
}

/// What one record holds.
#[derive(Debug, Clone)]
pub enum Changes<'a> {
    /// The usual case.
    One(Change<'a>),
    /// Several rows in one record, in row order; they share the record's version.
    Many(Vec<Change<'a>>),
    /// As [`Changes::Many`], beside something that the record may not write: the delete of a key that lives
    /// in another partition (its version would not be that partition's). It is reported, then the rows are
    /// written.
    Partly {
        /// What may be written.
        rows: Vec<Change<'a>>,
        /// What may not, and what to do about it. Never a row's value.
        stray: String,
    },
    /// Nothing for a sink: counted as filtered, with the reason.
    Pass(Pass),
}

/// Why a record changes no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pass {
    /// A heartbeat of the capture tool.
    Heartbeat,
    /// A transaction's begin or end.
    Transaction,
    /// A change of schema.
    SchemaChange,
    /// A TRUNCATE, which is ignored unless the topic says otherwise.
    Truncate,
    /// A logical message that no row stands behind.
    Message,
    /// The begin or the end of a bootstrap, whose rows come by themselves.
    Bootstrap,
    /// A row of a table that the topic's spec does not name.
    OtherTable,
}

impl Pass {
    /// The label in metrics and logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Transaction => "transaction",
            Self::SchemaChange => "schema_change",
            Self::Truncate => "truncate",
            Self::Message => "message",
            Self::Bootstrap => "bootstrap",
            Self::OtherTable => "other_table",
        }
    }
}
