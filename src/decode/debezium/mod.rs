//! Debezium's JSON envelope, as its connectors for MySQL and MariaDB write it, with or without Kafka
//! Connect's `{schema, payload}` around it (seen record by record, and for keys apart from values).
//!
//! It borrows what it gives out from the record, and reads of the envelope only what the lane needs: `before`
//! and the rest are checked to be JSON and skipped. A row image is checked to be one JSON object, but at a glance
//! ([`Decoder::glance`]); what is in it is the transform's to read. It never converts a value, and never decides
//! what a change does to a sink.
//!
//! A null value, and a JSON `null` in its place (older JSON converters wrote that), delete the key's row.

mod avro;
mod envelope;
mod pass;
mod schema;
mod usual;
mod wrapper;

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{unreadable, utf8};
use super::{DecodeError, Decoder, Reason};
use crate::event::{Change, Changes, Key, Op, Pass, Record, Row, SourcePosition};
pub use avro::DebeziumAvro;
use envelope::Outer;
use pass::{no_key, unknown_op, without_op};
use schema::{KnownSchemas, Side};
use usual::{Look, Usual};

/// The decoder of [`Format::DebeziumJson`](crate::config::Format::DebeziumJson).
#[derive(Debug)]
pub struct DebeziumJson {
    keys: KnownSchemas,
    values: KnownSchemas,
    usual: Usual,
}

impl Default for DebeziumJson {
    fn default() -> Self {
        Self {
            keys: KnownSchemas::new(Side::Key),
            values: KnownSchemas::new(Side::Value),
            usual: Usual::default(),
        }
    }
}

impl Decoder for DebeziumJson {
    fn decode<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        self.read(record, Look::AtAll)
    }

    fn glance<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        // What is wrong with a record is said in the order in which it is read as a whole.
        let glanced = self.read(record, Look::NotAtTheRow);
        glanced.or_else(|_| self.read(record, Look::AtAll))
    }
}

// === impl DebeziumJson ===

impl DebeziumJson {
    fn read<'a>(&mut self, record: &Record<'a>, how: Look) -> Result<Changes<'a>, DecodeError> {
        let Some(value) = record.value else {
            return self.delete(record, SourcePosition::default());
        };
        let text = utf8(value, "value")?;
        let (schema, outer) = match self.values.split(text) {
            Some((schema, payload)) => {
                let outer = Outer::of_payload(payload, &mut self.usual, how).map_err(in_value)?;
                (schema, outer)
            }
            None => {
                let outer = Outer::parse(text, &mut self.usual, how).map_err(in_value)?;
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
            return without_op(&envelope.seen, envelope.after.is_some()).map(Changes::Pass);
        };
        let source = envelope.source.position();
        match op {
            "c" | "u" | "r" => {
                let object = envelope
                    .after
                    .filter(|text| is_object(text))
                    .ok_or_else(|| {
                        DecodeError::new(
                            Reason::Envelope,
                            format!("an event with op `{op}` has no row in `after`"),
                        )
                    })?;
                Ok(Changes::One(Change {
                    op: Op::Upsert,
                    key: self.key(record)?,
                    after: Some(Row {
                        object: Cow::Borrowed(object),
                        checked: !envelope.unread_row,
                        schema,
                    }),
                    source,
                }))
            }
            "d" => self.delete(record, source),
            "t" => Ok(Changes::Pass(Pass::Truncate)),
            "m" => Ok(Changes::Pass(Pass::Message)),
            _ => Err(unknown_op()),
        }
    }

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
        let key = record.key.ok_or_else(no_key)?;
        let text = utf8(key, "key")?;
        let (schema, object) = if let Some((schema, payload)) = self.keys.split(text) {
            let raw: &RawValue = serde_json::from_str(payload).map_err(in_key)?;
            (schema, raw.get())
        } else if usual::is_plain_key(text) {
            (None, text)
        } else {
            match wrapper::wrapped_key(text).map_err(in_key)? {
                (Some(schema), payload) => (self.keys.get(schema)?, payload.get()),
                (None, key) => (None, key.get()),
            }
        };
        if !is_object(object) {
            return Err(DecodeError::new(
                Reason::Key,
                "the key is not a JSON object of columns: set the connector's key.converter to JsonConverter",
            ));
        }
        Ok(Key::Alone(Row {
            object: Cow::Borrowed(object),
            checked: true,
            schema,
        }))
    }
}

fn is_object(text: &str) -> bool {
    text.starts_with('{')
}

fn in_value(error: serde_json::Error) -> DecodeError {
    unreadable(&error, "value", Reason::Envelope, "Debezium's")
}

fn in_key(error: serde_json::Error) -> DecodeError {
    unreadable(&error, "key", Reason::Key, "Debezium's")
}

#[cfg(test)]
mod tests;
