//! Plain events in Avro: the schema that a record was written with is named by a registry's id, or by its
//! fingerprint (single-object encoding), which must then be one of the topic's own schemas.
//!
//! An event is read by its writer's schema. Fields that only the topic's schema in force has are added with
//! their defaults, as Avro's own rules have it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use apache_avro::rabin::Rabin;

use super::tombstone::{by_text, delete, key, upsert};
use crate::config::TopicSpec;
use crate::decode::avro::{AvroSchema, Field, Reader, Side, Wrong, frame, single_object};
use crate::decode::{DecodeError, Decoder, Reason, SchemaId, Schemas};
use crate::event::{Changes, Key, Record, Row, RowSchema};
use crate::transform::scan;

/// Schemas of a registry that one decoder keeps parsed.
const KNOWN: usize = 64;

/// The decoder of [`Format::Avro`](crate::config::Format::Avro).
#[derive(Debug)]
pub struct AvroEvents {
    key: Vec<String>,
    schemas: Arc<Schemas>,
    /// The fields of the schema in force.
    current: Arc<[Field]>,
    /// By fingerprint.
    own: HashMap<u64, Arc<Writer>>,
    known: HashMap<SchemaId, Arc<Writer>>,
}

/// A schema that events are written with.
#[derive(Debug)]
struct Writer {
    schema: AvroSchema,
    row: Arc<RowSchema>,
    /// `,"name":default` of each field that it lacks.
    defaults: Vec<u8>,
}

impl Decoder for AvroEvents {
    fn decode<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        let Some(value) = record.value else {
            return self.tombstone(record);
        };
        let (writer, body) = match single_object(value) {
            Some((fingerprint, body)) => {
                let writer = self.own.get(&fingerprint).ok_or_else(|| {
                    DecodeError::new(
                        Reason::Schema,
                        format!(
                            "it was written with a schema of fingerprint {fingerprint:016x}, which is none of the topic's: add that schema's file to `former_schemas`"
                        ),
                    )
                })?;
                (Arc::clone(writer), body)
            }
            None => {
                let (id, body) = frame(value, record.headers, Side::Value)?;
                (self.writer(id)?, body)
            }
        };
        let object = writer.read(body).map_err(|e| e.error(Side::Value))?;
        let row = Row {
            object: Cow::Owned(object),
            checked: true,
            schema: Some(Arc::clone(&writer.row)),
        };
        Ok(upsert(row, record))
    }
}

// === impl AvroEvents ===

impl AvroEvents {
    /// A decoder by the topic's schemas, whose texts were checked when its spec was read, and by those of a
    /// registry.
    pub fn new(topic: &TopicSpec, schemas: &Arc<Schemas>) -> Self {
        let parsed: Vec<_> = topic
            .reading
            .schemas
            .iter()
            .filter_map(|file| {
                Some((
                    fingerprint(&file.text)?,
                    AvroSchema::parse(&file.text).ok()?,
                ))
            })
            .collect();
        let current: Arc<[Field]> = parsed
            .first()
            .and_then(|(_, schema)| schema.record(schema.root()))
            .unwrap_or_default()
            .into();
        let own = parsed.into_iter().filter_map(|(fingerprint, schema)| {
            let writer = Writer::new(schema, &current)?;
            Some((fingerprint, Arc::new(writer)))
        });
        Self {
            key: topic.key.clone(),
            schemas: Arc::clone(schemas),
            own: own.collect(),
            current,
            known: HashMap::new(),
        }
    }

    fn writer(&mut self, id: SchemaId) -> Result<Arc<Writer>, DecodeError> {
        if let Some(known) = self.known.get(&id) {
            return Ok(Arc::clone(known));
        }
        let schema = parse(&self.schemas, id)?;
        let writer = Writer::new(schema, &self.current).ok_or_else(|| {
            DecodeError::new(
                Reason::Schema,
                format!("its schema, {id} of the registry, is not of a record"),
            )
        })?;
        let writer = Arc::new(writer);
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(id, Arc::clone(&writer));
        Ok(writer)
    }

    /// A null value: the record's key is Avro of a registry's schema, or text.
    fn tombstone<'a>(&self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        let bytes = key(record)?;
        let Ok((id, body)) = frame(bytes, record.headers, Side::Key) else {
            return by_text(record, &self.key);
        };
        let schema = parse(&self.schemas, id)?;
        let mut reader = Reader::new(&schema, body);
        let mut out = Vec::new();
        reader
            .json(schema.root(), &mut out)
            .and_then(|()| reader.end())
            .map_err(|e| e.error(Side::Key))?;
        let row_schema = schema.record(schema.root()).map(AvroSchema::row_schema);
        let object = match (&row_schema, self.key.as_slice()) {
            (Some(_), _) => out,
            (None, [column]) => {
                let mut object = b"{\"".to_vec();
                scan::escape(column, &mut object);
                object.extend_from_slice(b"\":");
                object.extend_from_slice(&out);
                object.push(b'}');
                object
            }
            (None, _) => {
                return Err(DecodeError::new(
                    Reason::Key,
                    "the key's Avro schema is not of a record of columns",
                ));
            }
        };
        let object = String::from_utf8(object)
            .map_err(|_| DecodeError::new(Reason::Malformed, "the key is not UTF-8"))?;
        Ok(delete(Key::Alone(Row {
            object: Cow::Owned(object),
            checked: true,
            schema: row_schema,
        })))
    }
}

// === impl Writer ===

impl Writer {
    fn new(schema: AvroSchema, current: &[Field]) -> Option<Self> {
        let mut fields = schema.record(schema.root())?.to_vec();
        let mut defaults = Vec::new();
        for field in current {
            if fields.iter().any(|own| own.name == field.name) {
                continue;
            }
            let start = defaults.len();
            defaults.push(b',');
            if field.default_member(&mut defaults) {
                fields.push(field.clone());
            } else {
                defaults.truncate(start);
            }
        }
        Some(Self {
            row: AvroSchema::row_schema(&fields),
            defaults,
            schema,
        })
    }

    /// The event as a JSON object.
    fn read(&self, body: &[u8]) -> Result<String, Wrong> {
        let mut reader = Reader::new(&self.schema, body);
        let mut out = Vec::with_capacity(512);
        let at = reader.branch(self.schema.root())?;
        reader.json(at, &mut out)?;
        reader.end()?;
        if out.first() != Some(&b'{') {
            return Err(Wrong::Content("no record"));
        }
        if !self.defaults.is_empty() {
            out.pop();
            let defaults = match out.as_slice() {
                [b'{'] => self.defaults.get(1..).unwrap_or_default(),
                _ => &self.defaults,
            };
            out.extend_from_slice(defaults);
            out.push(b'}');
        }
        String::from_utf8(out).map_err(|_| Wrong::Content("a string that is not UTF-8"))
    }
}

fn parse(schemas: &Schemas, id: SchemaId) -> Result<AvroSchema, DecodeError> {
    let text = schemas.get(id).ok_or_else(|| DecodeError::needs(id))?;
    AvroSchema::parse(&text).map_err(|wrong| {
        DecodeError::new(
            Reason::Schema,
            format!("its schema, {id} of the registry, cannot be read: {wrong}"),
        )
    })
}

/// CRC-64-AVRO of the schema's canonical form.
pub fn fingerprint(text: &str) -> Option<u64> {
    let schema = apache_avro::Schema::parse_str(text).ok()?;
    let bytes = schema.fingerprint::<Rabin>().bytes;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}
