//! Maxwell's JSON, as its Kafka producer writes it: one row a record, numbers and arrays as JSON's, dates and
//! times as MySQL prints them.
//!
//! It borrows the row from the record and converts no value. A row's key is found in the row; the record's
//! own key, in either of Maxwell's forms, is read only where the value is null. A change of primary key is an
//! update with the former key in `old`; that key is deleted only where it lives in the same partition.

mod key;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{Text, no_text, object, utf8};
use super::rows::{Gathered, KeyColumns, Place, Tables};
use super::{DecodeError, Decoder, Reason};
use crate::config::{Partitioner, TopicSpec};
use crate::event::{Change, Changes, Key, Op, Pass, Record, Row, SourcePosition};

/// The decoder of [`Format::MaxwellJson`](crate::config::Format::MaxwellJson).
#[derive(Debug)]
pub struct MaxwellJson {
    tables: Tables,
    key: KeyColumns,
    partitions: i32,
    partitioner: Option<Partitioner>,
}

/// A record's fields that are read.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    database: Option<Text<'a>>,
    #[serde(borrow, default)]
    table: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    /// Seconds since 1970 in rows.
    #[serde(borrow, default)]
    ts: Option<&'a RawValue>,
    /// `file:position`.
    #[serde(borrow, default)]
    position: Option<&'a RawValue>,
    #[serde(borrow, default)]
    primary_key_columns: Option<Vec<Text<'a>>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    old: Option<&'a RawValue>,
}

impl Decoder for MaxwellJson {
    fn decode<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        let Some(value) = record.value else {
            return self.tombstone(record);
        };
        let text = utf8(value, "value")?;
        if text.trim_ascii() == "null" {
            return self.tombstone(record);
        }
        let message: Message<'a> = object(text, Reason::Envelope, "Maxwell's")?;
        match message.kind.as_deref() {
            Some("insert" | "update" | "delete" | "bootstrap-insert") => {}
            Some("bootstrap-start" | "bootstrap-complete") => {
                return Ok(Changes::Pass(Pass::Bootstrap));
            }
            Some(
                "table-create" | "table-alter" | "table-drop" | "database-create"
                | "database-alter" | "database-drop",
            ) => return Ok(Changes::Pass(Pass::SchemaChange)),
            Some("heartbeat") => return Ok(Changes::Pass(Pass::Heartbeat)),
            Some(_) | None => {
                return Err(DecodeError::new(
                    Reason::Envelope,
                    "`type` is none of Maxwell's: the value is not its JSON",
                ));
            }
        }
        let database = message.database.as_deref().unwrap_or_default();
        if !self
            .tables
            .hold(database, message.table.as_deref().unwrap_or_default())
        {
            return Ok(Changes::Pass(Pass::OtherTable));
        }
        self.check_key(&message)?;
        self.row(&message)
    }
}

// === impl MaxwellJson ===

impl MaxwellJson {
    /// A decoder for a topic's tables and key.
    pub fn new(topic: &TopicSpec) -> Self {
        Self {
            tables: Tables::new(&topic.reading.tables),
            key: KeyColumns::new(&topic.key),
            partitions: topic.partitions,
            partitioner: topic.partitioner,
        }
    }

    /// Maxwell writes the columns' names only where it is told to.
    fn check_key(&self, message: &Message<'_>) -> Result<(), DecodeError> {
        match message.primary_key_columns.as_deref() {
            Some([]) | None => Ok(()),
            Some(names) => self.key.check(names.iter().map(|name| &**name)),
        }
    }

    fn row<'a>(&self, message: &Message<'a>) -> Result<Changes<'a>, DecodeError> {
        let object = message
            .data
            .map(|data| data.get())
            .filter(|data| data.starts_with('{'))
            .ok_or_else(|| {
                DecodeError::new(
                    Reason::Envelope,
                    "an event of a row has no object in `data` (is Maxwell's `encrypt` on?)",
                )
            })?;
        let source = position(message);
        let row = |object: Cow<'a, str>| Row {
            object,
            checked: true,
            schema: None,
        };
        let mut gathered = Gathered::default();
        if message.kind.as_deref() == Some("delete") {
            gathered.delete(row(Cow::Borrowed(object)), source);
            return Ok(gathered.changes());
        }
        let old = message
            .old
            .map(|old| old.get())
            .filter(|old| old.starts_with('{'));
        let former = old.map(|old| self.key.former(object, old)).transpose();
        if let Some(former) = former.map_err(|_| no_text("value"))?.flatten() {
            gathered.former(row(Cow::Owned(former)), self.place(), source);
        }
        gathered.upsert(row(Cow::Borrowed(object)), source);
        Ok(gathered.changes())
    }

    fn place(&self) -> Place {
        if self.partitions == 1 {
            return Place::Same;
        }
        match self.partitioner {
            Some(Partitioner::Table) => Place::Same,
            // By the primary key Maxwell hashes it in one of several ways, on its own.
            Some(Partitioner::Murmur2 | Partitioner::Canal) | None => Place::Unknown,
        }
    }

    /// A null value deletes the row that the record's key names.
    fn tombstone<'a>(&self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        let key = record.key.ok_or_else(|| {
            DecodeError::new(Reason::Key, "neither the key nor the value names a row")
        })?;
        let named = key::read(utf8(key, "key")?, &self.key)?;
        if !self.tables.hold(&named.database, &named.table) {
            return Ok(Changes::Pass(Pass::OtherTable));
        }
        Ok(Changes::One(Change {
            op: Op::Delete,
            key: Key::Alone(Row {
                object: Cow::Owned(named.object),
                checked: true,
                schema: None,
            }),
            after: None,
            source: SourcePosition::default(),
        }))
    }
}

fn position<'a>(message: &Message<'a>) -> SourcePosition<'a> {
    let seconds: i64 = message
        .ts
        .and_then(|ts| ts.get().parse().ok())
        .unwrap_or_default();
    let at = message
        .position
        .and_then(|raw| raw.get().strip_prefix('"')?.strip_suffix('"'))
        .and_then(|text| text.rsplit_once(':'));
    let (file, pos) = at.unwrap_or_default();
    SourcePosition {
        file,
        pos: pos.parse().unwrap_or_default(),
        row: 0,
        committed_ms: seconds.saturating_mul(1000),
    }
}

#[cfg(test)]
mod tests;
