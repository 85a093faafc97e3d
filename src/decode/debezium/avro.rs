//! Debezium's envelope in Avro, as Connect's AvroConverter writes it: the same fields as in JSON, each record
//! naming its schema in a registry. A row becomes JSON text in the representation that Connect's JSON has, so
//! that everything after it is the same.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::envelope::Seen;
use super::pass::{no_key, unknown_op, without_op};
use crate::decode::avro::{AvroSchema, Reader, Side, Wrong, frame};
use crate::decode::{DecodeError, Decoder, Reason, SchemaId, Schemas};
use crate::event::{Change, Changes, Key, Op, Pass, Record, Row, RowSchema, SourcePosition};

/// Schemas that one decoder keeps parsed. A topic's key and value each have one a change of the table.
const KNOWN: usize = 64;

/// The decoder of [`Format::DebeziumAvro`](crate::config::Format::DebeziumAvro).
#[derive(Debug)]
pub struct DebeziumAvro {
    schemas: Arc<Schemas>,
    known: HashMap<SchemaId, Arc<Known>>,
}

/// A schema and what is looked for in it.
#[derive(Debug)]
struct Known {
    schema: AvroSchema,
    /// Of the envelope's `after`, or of the key.
    row: Option<Arc<RowSchema>>,
    /// The envelope's fields.
    seen: Seen,
}

/// What an envelope's body holds.
#[derive(Default)]
struct Envelope<'b> {
    op: Option<&'b str>,
    after: Option<String>,
    source: SourcePosition<'b>,
}

impl Decoder for DebeziumAvro {
    fn decode<'a>(&mut self, record: &Record<'a>) -> Result<Changes<'a>, DecodeError> {
        let Some(value) = record.value else {
            return self.delete(record, SourcePosition::default());
        };
        let (id, body) = frame(value, record.headers, Side::Value)?;
        let known = self.schema(id, Side::Value)?;
        let envelope = envelope(&known.schema, body).map_err(|e| e.error(Side::Value))?;
        let Some(op) = envelope.op else {
            return without_op(&known.seen, false).map(Changes::Pass);
        };
        match op {
            "c" | "u" | "r" => {
                let object = envelope.after.ok_or_else(|| {
                    DecodeError::new(Reason::Envelope, "an event of a row has none in `after`")
                })?;
                Ok(Changes::One(Change {
                    op: Op::Upsert,
                    key: self.key(record)?,
                    after: Some(Row {
                        object: Cow::Owned(object),
                        checked: true,
                        schema: known.row.clone(),
                    }),
                    source: envelope.source,
                }))
            }
            "d" => self.delete(record, envelope.source),
            "t" => Ok(Changes::Pass(Pass::Truncate)),
            "m" => Ok(Changes::Pass(Pass::Message)),
            _ => Err(unknown_op()),
        }
    }
}

// === impl DebeziumAvro ===

impl DebeziumAvro {
    /// A decoder that finds its schemas here.
    pub fn new(schemas: &Arc<Schemas>) -> Self {
        Self {
            schemas: Arc::clone(schemas),
            known: HashMap::new(),
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
        let (id, body) = frame(key, record.headers, Side::Key)?;
        let known = self.schema(id, Side::Key)?;
        let Some(schema) = known.row.clone() else {
            return Err(DecodeError::new(
                Reason::Key,
                "the key's Avro schema is not of a record of columns",
            ));
        };
        let mut reader = Reader::new(&known.schema, body);
        let object = whole(&mut reader, known.schema.root()).map_err(|e| e.error(Side::Key))?;
        Ok(Key::Alone(Row {
            object: Cow::Owned(object),
            checked: true,
            schema: Some(schema),
        }))
    }

    /// The schema of this name, parsed.
    fn schema(&mut self, id: SchemaId, side: Side) -> Result<Arc<Known>, DecodeError> {
        if let Some(known) = self.known.get(&id) {
            return Ok(Arc::clone(known));
        }
        let text = self.schemas.get(id).ok_or_else(|| DecodeError::needs(id))?;
        let schema = AvroSchema::parse(&text).map_err(|wrong| {
            DecodeError::new(
                Reason::Schema,
                format!("its schema, {id} of the registry, cannot be read: {wrong}"),
            )
        })?;
        let fields = schema.record(schema.root());
        let row = match side {
            Side::Key => fields,
            Side::Value => fields
                .and_then(|fields| fields.iter().find(|field| *field.name == *"after"))
                .and_then(|after| schema.record(after.node)),
        };
        let known = Arc::new(Known {
            row: row.map(AvroSchema::row_schema),
            seen: seen(&schema),
            schema,
        });
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(id, Arc::clone(&known));
        Ok(known)
    }
}

/// Reads an envelope, as far as it is needed.
fn envelope<'b>(schema: &AvroSchema, body: &'b [u8]) -> Result<Envelope<'b>, Wrong> {
    const NO_RECORD: Wrong = Wrong::Content("no record");
    let mut reader = Reader::new(schema, body);
    let mut envelope = Envelope::default();
    let root = reader.branch(schema.root())?;
    for field in schema.record(root).ok_or(NO_RECORD)? {
        match &*field.name {
            "op" => envelope.op = reader.text(field.node)?,
            "after" => {
                let branch = reader.branch(field.node)?;
                match schema.record(branch) {
                    Some(_) => envelope.after = Some(object(&mut reader, branch)?),
                    None => reader.pass(branch)?,
                }
            }
            "source" => {
                let branch = reader.branch(field.node)?;
                match schema.record(branch) {
                    Some(_) => envelope.source = source(schema, &mut reader, branch)?,
                    None => reader.pass(branch)?,
                }
            }
            _ => reader.pass(field.node)?,
        }
    }
    reader.end()?;
    Ok(envelope)
}

fn source<'b>(
    schema: &AvroSchema,
    reader: &mut Reader<'_, 'b>,
    at: usize,
) -> Result<SourcePosition<'b>, Wrong> {
    let mut source = SourcePosition::default();
    for field in schema.record(at).unwrap_or_default() {
        match &*field.name {
            "file" => source.file = reader.text(field.node)?.unwrap_or_default(),
            "pos" => {
                let pos = reader.integer(field.node)?.unwrap_or_default();
                source.pos = u64::try_from(pos).unwrap_or_default();
            }
            "row" => {
                let row = reader.integer(field.node)?.unwrap_or_default();
                source.row = u32::try_from(row).unwrap_or(u32::MAX);
            }
            "ts_ms" => source.committed_ms = reader.integer(field.node)?.unwrap_or_default(),
            _ => reader.pass(field.node)?,
        }
    }
    Ok(source)
}

fn object(reader: &mut Reader<'_, '_>, at: usize) -> Result<String, Wrong> {
    let mut out = Vec::with_capacity(512);
    reader.json(at, &mut out)?;
    String::from_utf8(out).map_err(|_| Wrong::Content("a string that is not UTF-8"))
}

/// A record and nothing after it.
fn whole(reader: &mut Reader<'_, '_>, at: usize) -> Result<String, Wrong> {
    let at = reader.branch(at)?;
    let object = object(reader, at)?;
    reader.end()?;
    Ok(object)
}

/// Which of the envelope's fields the schema has.
fn seen(schema: &AvroSchema) -> Seen {
    let mut seen = Seen::default();
    for field in schema.record(schema.root()).unwrap_or_default() {
        match &*field.name {
            "before" => seen.before = true,
            "source" => seen.source = true,
            "transaction" => seen.transaction = true,
            "ts_ms" => seen.ts_ms = true,
            "ts_us" | "ts_ns" => {}
            "status" => seen.status = true,
            "id" => seen.id = true,
            "ddl" => seen.ddl = true,
            "databaseName" => seen.database_name = true,
            "tableChanges" => seen.table_changes = true,
            _ => seen.other = true,
        }
    }
    seen
}
