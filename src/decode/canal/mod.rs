//! Canal's flat message (`FlatMessage` of its MQ connectors, 1.1.x): several rows of one table in a record,
//! every value a string, and the columns' types of the database beside them.
//!
//! It borrows rows from the record and converts no value: what a string means, the types beside it say
//! ([`WireType::Mysql`](crate::event::WireType)). The record has no key, so a row's key is found in the row.
//!
//! A change of primary key is an UPDATE with the former key in `old`, and the record is where the *new* key
//! hashes to; the former key is deleted only where it lives in the same partition.

mod message;
mod place;

use std::borrow::Cow;
use std::sync::Arc;

use super::json::{no_text, object, utf8};
use super::known::Known;
use super::rows::{Gathered, KeyColumns, Place, Tables};
use super::{DecodeError, Decoder, Reason};
use crate::config::{Partitioner, TopicSpec};
use crate::event::{Changes, Pass, Record, Row, RowSchema, SourcePosition};
use message::{Message, types};
use place::Hash;

/// The decoder of [`Format::CanalJson`](crate::config::Format::CanalJson).
#[derive(Debug)]
pub struct CanalJson {
    tables: Tables,
    key: KeyColumns,
    partitions: i32,
    partitioner: Option<Partitioner>,
    types: Known<Arc<RowSchema>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Insert,
    Update,
    Delete,
}

impl Decoder for CanalJson {
    fn decode<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        let value = record.value.ok_or_else(|| {
            DecodeError::new(
                Reason::Key,
                "the value is null, and Canal's records have no key that would name a row",
            )
        })?;
        let text = utf8(value, "value")?;
        let message: Message<'a> = object(text, Reason::Envelope, "Canal's flat message")?;
        let kind = match message.kind.as_deref() {
            Some("INSERT") => Kind::Insert,
            Some("UPDATE") => Kind::Update,
            Some("DELETE") => Kind::Delete,
            Some("TRUNCATE") if self.is_ours(&message) => return Ok(Changes::Pass(Pass::Truncate)),
            Some("TRUNCATE") => return Ok(Changes::Pass(Pass::OtherTable)),
            Some("CREATE" | "ALTER" | "ERASE" | "RENAME" | "CINDEX" | "DINDEX") => {
                return Ok(Changes::Pass(Pass::SchemaChange));
            }
            Some("QUERY") if message.is_ddl => return Ok(Changes::Pass(Pass::SchemaChange)),
            Some("QUERY") => {
                return Err(DecodeError::new(
                    Reason::Envelope,
                    "a statement without its rows: set binlog_format=ROW on the captured server",
                ));
            }
            Some("GTID" | "XACOMMIT" | "XAROLLBACK") => {
                return Ok(Changes::Pass(Pass::Transaction));
            }
            Some("MHEARTBEAT") => return Ok(Changes::Pass(Pass::Heartbeat)),
            Some(_) | None => {
                return Err(DecodeError::new(
                    Reason::Envelope,
                    "`type` is none of Canal's: the value is not its flat message (is canal.mq.flatMessage on?)",
                ));
            }
        };
        if !self.is_ours(&message) {
            return Ok(Changes::Pass(Pass::OtherTable));
        }
        self.check_key(&message)?;
        self.rows(kind, &message, record)
    }
}

// === impl CanalJson ===

impl CanalJson {
    /// A decoder for a topic's tables and key.
    pub fn new(topic: &TopicSpec) -> Self {
        Self {
            tables: Tables::new(&topic.reading.tables),
            key: KeyColumns::new(&topic.key),
            partitions: topic.partitions,
            partitioner: topic.partitioner,
            types: Known::default(),
        }
    }

    fn is_ours(&self, message: &Message<'_>) -> bool {
        let (Some(database), Some(table)) = (&message.database, &message.table) else {
            return false;
        };
        self.tables.hold(database, table)
    }

    /// A table without a primary key has no `pkNames`; then the spec's key counts.
    fn check_key(&self, message: &Message<'_>) -> Result<(), DecodeError> {
        match &message.pk_names {
            Some(names) => self.key.check(names.iter().map(|name| &**name)),
            None => Ok(()),
        }
    }

    fn rows<'a>(
        &mut self,
        kind: Kind,
        message: &Message<'a>,
        record: &Record<'a>,
    ) -> Result<Changes<'a>, DecodeError> {
        let data = message.data.as_deref().unwrap_or_default();
        if data.is_empty() {
            return Err(DecodeError::new(
                Reason::Envelope,
                "an event of rows has none in `data`",
            ));
        }
        let old = message.old.as_deref().unwrap_or_default();
        let schema = match message.types {
            Some(raw) => Some(self.types.get(raw.get(), types)?),
            None => None,
        };
        let source = SourcePosition {
            committed_ms: message.es.unwrap_or_default(),
            ..SourcePosition::default()
        };
        let row = |object: Cow<'a, str>| Row {
            object,
            checked: true,
            schema: schema.clone(),
        };
        let mut gathered = Gathered::default();
        for (at, object) in data.iter().enumerate() {
            let object = object.get();
            if !object.starts_with('{') {
                return Err(DecodeError::new(
                    Reason::Envelope,
                    "a row in `data` is no object",
                ));
            }
            self.check_place(object, message, record)?;
            match kind {
                Kind::Insert => {}
                Kind::Delete => {
                    gathered.delete(row(Cow::Borrowed(object)), source);
                    continue;
                }
                Kind::Update => {
                    let old = old.get(at).copied().flatten();
                    let old = old.map(|old| old.get()).filter(|old| old.starts_with('{'));
                    let former = old.map(|old| self.key.former(object, old)).transpose();
                    if let Some(former) = former.map_err(|_| no_text("value"))?.flatten() {
                        let place = self.place(&former, message, record)?;
                        gathered.former(row(Cow::Owned(former)), place, source);
                    }
                }
            }
            gathered.upsert(row(Cow::Borrowed(object)), source);
        }
        Ok(gathered.changes())
    }

    /// Refuses a row that is elsewhere than the declared partitioner puts it.
    fn check_place(
        &self,
        row: &str,
        message: &Message<'_>,
        record: &Record<'_>,
    ) -> Result<(), DecodeError> {
        if self.partitioner != Some(Partitioner::Canal) {
            return Ok(());
        }
        let predicted = self.predicted(row, message)?;
        if predicted == record.position.partition {
            return Ok(());
        }
        Err(DecodeError::new(
            Reason::Partition,
            format!(
                "a row's key belongs to partition {predicted} by Canal's hash: canal.mq.partitionHash names other columns than the topic's `key`, canal.mq.database.hash is off, or the topic once had another number of partitions. Correct or remove `partitioner`"
            ),
        ))
    }

    fn place(
        &self,
        former: &str,
        message: &Message<'_>,
        record: &Record<'_>,
    ) -> Result<Place, DecodeError> {
        if self.partitions == 1 {
            return Ok(Place::Same);
        }
        match self.partitioner {
            Some(Partitioner::Table) => Ok(Place::Same),
            Some(Partitioner::Canal) => {
                let predicted = self.predicted(former, message)?;
                Ok(if predicted == record.position.partition {
                    Place::Same
                } else {
                    Place::Other
                })
            }
            // Canal's records have no key to hash.
            Some(Partitioner::Murmur2) | None => Ok(Place::Unknown),
        }
    }

    /// Where Canal puts the key that stands in `row`.
    fn predicted(&self, row: &str, message: &Message<'_>) -> Result<i32, DecodeError> {
        let mut hash = Hash::new(message.database.as_deref().unwrap_or_default());
        for value in self.key.values(row).map_err(|_| no_text("value"))? {
            hash.add(value).map_err(|_| no_text("value"))?;
        }
        Ok(hash.partition(self.partitions))
    }
}

#[cfg(test)]
mod tests;
