//! Debezium's JSON envelope, as its connectors for MySQL and MariaDB write it, with or without Kafka
//! Connect's `{schema, payload}` around it (seen record by record, and for keys apart from values).
//!
//! It borrows what it gives out from the record, and reads of the envelope only what the lane needs: `before`
//! and the rest are checked to be JSON and skipped. A row image is checked to be one JSON object; what is in
//! it is the transform's to read. It never converts a value, and never decides what a change does to a sink.
//!
//! A null value, and a JSON `null` in its place (older JSON converters wrote that), delete the key's row.

mod envelope;
mod schema;
mod wrapper;

use serde_json::error::Category;
use serde_json::value::RawValue;

use super::{DecodeError, Decoder, Reason};
use crate::event::{Change, Changes, Key, Op, Pass, Record, Row, SourcePosition};
use envelope::{Envelope, Outer};
use schema::{KnownSchemas, Side};

/// The decoder of [`Format::DebeziumJson`](crate::config::Format::DebeziumJson).
#[derive(Debug)]
pub struct DebeziumJson {
    keys: KnownSchemas,
    values: KnownSchemas,
}

impl Default for DebeziumJson {
    fn default() -> Self {
        Self {
            keys: KnownSchemas::new(Side::Key),
            values: KnownSchemas::new(Side::Value),
        }
    }
}

impl Decoder for DebeziumJson {
    fn decode<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        let Some(value) = record.value else {
            return self.delete(record, SourcePosition::default());
        };
        let text = utf8(value, "value")?;
        let (schema, outer) = match self.values.split(text) {
            Some((schema, payload)) => (schema, Outer::of_payload(payload).map_err(in_value)?),
            None => {
                let outer = Outer::parse(text).map_err(in_value)?;
                let schema = outer.schema.map(|raw| self.values.get(raw)).transpose()?;
                (schema.flatten(), outer)
            }
        };
        if let Some(name) = outer.duplicate() {
            return Err(DecodeError::new(
                Reason::Envelope,
                format!(
                    "the value has two fields `{name}`: the producer or a transform is at fault"
                ),
            ));
        }
        let Some(envelope) = outer.envelope else {
            return self.delete(record, SourcePosition::default());
        };
        let Some(op) = envelope.op.as_deref() else {
            return without_op(&envelope).map(Changes::Pass);
        };
        let source = envelope.source.position();
        match op {
            "c" | "u" | "r" => {
                let object = envelope.after.filter(|raw| is_object(raw)).ok_or_else(|| {
                    DecodeError::new(
                        Reason::Envelope,
                        format!("an event with op `{op}` has no row in `after`"),
                    )
                })?;
                Ok(Changes::One(Change {
                    op: Op::Upsert,
                    key: self.key(record)?,
                    after: Some(Row { object, schema }),
                    source,
                }))
            }
            "d" => self.delete(record, source),
            "t" => Ok(Changes::Pass(Pass::Truncate)),
            "m" => Ok(Changes::Pass(Pass::Message)),
            _ => Err(DecodeError::new(
                Reason::Envelope,
                "`op` is none of c, u, r, d, t and m: the value is not Debezium's envelope, or a newer one's",
            )),
        }
    }
}

// === impl DebeziumJson ===

impl DebeziumJson {
    fn delete<'a>(
        &mut self,
        record: &Record<'a>,
        source: SourcePosition<'a>,
    ) -> Result<Changes<'a>, DecodeError> {
        Ok(Changes::One(Change {
            op: Op::Delete,
            key: self.key(record)?,
            after: None,
            source,
        }))
    }

    fn key<'a>(&mut self, record: &Record<'a>) -> Result<Key<'a>, DecodeError> {
        let key = record.key.ok_or_else(|| {
            DecodeError::new(
                Reason::Key,
                "the record has no key: give the table a primary key, or the connector message.key.columns",
            )
        })?;
        let text = utf8(key, "key")?;
        let (schema, object) = match self.keys.split(text) {
            Some((schema, payload)) => {
                let raw: &RawValue = serde_json::from_str(payload).map_err(in_key)?;
                (schema, raw)
            }
            None => match wrapper::wrapped_key(text).map_err(in_key)? {
                (Some(schema), payload) => (self.keys.get(schema)?, payload),
                (None, key) => (None, key),
            },
        };
        if !is_object(object) {
            return Err(DecodeError::new(
                Reason::Key,
                "the key is not a JSON object of columns: set the connector's key.converter to JsonConverter",
            ));
        }
        Ok(Key(Row { object, schema }))
    }
}

/// An envelope without `op` is one of Debezium's other records, or none of Debezium's.
fn without_op(envelope: &Envelope<'_>) -> Result<Pass, DecodeError> {
    let seen = &envelope.seen;
    if seen.ddl && (seen.database_name || seen.table_changes) {
        Ok(Pass::SchemaChange)
    } else if seen.status && seen.id {
        Ok(Pass::Transaction)
    } else if seen.ts_ms && !seen.other && envelope.after.is_none() && !seen.source {
        Ok(Pass::Heartbeat)
    } else {
        Err(DecodeError::new(
            Reason::Envelope,
            "the value has no `op`: it is not Debezium's envelope (is an unwrapping transform configured?)",
        ))
    }
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

fn utf8<'a>(bytes: &'a [u8], which: &str) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        DecodeError::new(
            Reason::Malformed,
            format!("the {which} is not UTF-8 at byte {at}"),
        )
    })
}

fn in_value(error: serde_json::Error) -> DecodeError {
    unreadable(&error, "value", Reason::Envelope)
}

fn in_key(error: serde_json::Error) -> DecodeError {
    unreadable(&error, "key", Reason::Key)
}

/// serde's own words for a value of the wrong type quote it, so they are not passed on.
fn unreadable(error: &serde_json::Error, which: &str, shape: Reason) -> DecodeError {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Eof => DecodeError::new(
            Reason::Malformed,
            format!("the {which} is cut off at line {line} column {column}"),
        ),
        Category::Syntax | Category::Io => DecodeError::new(
            Reason::Malformed,
            format!("the {which} is not JSON at line {line} column {column}"),
        ),
        Category::Data => DecodeError::new(
            shape,
            format!("the {which} has another shape than Debezium's at line {line} column {column}"),
        ),
    }
}

#[cfg(test)]
mod tests;
