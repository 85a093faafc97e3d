//! Plain events in JSON.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::tombstone::{by_text, upsert};
use crate::config::TopicSpec;
use crate::decode::avro::AvroSchema;
use crate::decode::json::{unreadable, utf8};
use crate::decode::{DecodeError, Decoder, Reason};
use crate::event::{Changes, Record, Row, RowSchema};

/// The decoder of [`Format::Json`](crate::config::Format::Json).
#[derive(Debug)]
pub struct JsonEvents {
    key: Vec<String>,
    /// The schema in force, then those before it.
    schemas: Vec<(AvroSchema, Arc<RowSchema>)>,
}

impl Decoder for JsonEvents {
    fn decode<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        let value = match record.value {
            Some(value) if value.trim_ascii() != b"null" => value,
            Some(_) | None => return by_text(record, &self.key),
        };
        let text = utf8(value, "value")?;
        let raw: &RawValue = serde_json::from_str(text)
            .map_err(|e| unreadable(&e, "value", Reason::Malformed, "an event"))?;
        let mut first = None;
        for (schema, row) in &self.schemas {
            match schema.check_json(raw.get()) {
                Ok(()) => {
                    let row = Row {
                        object: Cow::Borrowed(raw.get()),
                        checked: true,
                        schema: Some(Arc::clone(row)),
                    };
                    return Ok(upsert(row, record));
                }
                Err(wrong) => first = first.or(Some(wrong)),
            }
        }
        let wrong = first.map_or_else(
            || "the topic has no schema".to_owned(),
            |unfit| unfit.to_string(),
        );
        Err(DecodeError::new(
            Reason::Invalid,
            format!("{wrong} by the topic's schema"),
        ))
    }
}

// === impl JsonEvents ===

impl JsonEvents {
    /// A decoder by the topic's schemas. Their texts were checked when the topic's spec was read.
    pub fn new(topic: &TopicSpec) -> Self {
        let schemas = topic.reading.schemas.iter().filter_map(|file| {
            let schema = AvroSchema::parse(&file.text).ok()?;
            let row = AvroSchema::row_schema(schema.record(schema.root())?);
            Some((schema, row))
        });
        Self {
            key: topic.key.clone(),
            schemas: schemas.collect(),
        }
    }
}
