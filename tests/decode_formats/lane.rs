//! A decoder and a projection, as a worker has them.

use std::path::PathBuf;
use std::sync::Arc;

use twolane::config::{ColumnType, DocumentSpec, Format, Reading, TopicSpec};
use twolane::decode::{self, DecodeError, Decoder, Schemas};
use twolane::event::{
    Batch, Body, Changes, Epoch, Headers, Origin, Position, Record, Shape, Version,
};
use twolane::transform::{IdTemplate, Projection};

pub struct Lane {
    decoder: Box<dyn Decoder>,
    projection: Projection,
    batch: Batch,
}

pub fn topic(
    format: Format,
    key: &[&str],
    columns: &[(&str, &str)],
    reading: Reading,
) -> TopicSpec {
    TopicSpec {
        name: "t".into(),
        format,
        key: key.iter().map(|k| (*k).to_owned()).collect(),
        partitions: 1,
        epoch: Epoch::new(1).unwrap(),
        replication: None,
        partitioner: None,
        config: Default::default(),
        columns: columns
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), column(kind)))
            .collect(),
        reading,
        file: PathBuf::new(),
    }
}

pub fn column(text: &str) -> ColumnType {
    text.parse().unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// Reading rows of these tables.
pub fn tables(tables: &[&str]) -> Reading {
    Reading {
        tables: tables.iter().map(|t| (*t).to_owned()).collect(),
        ..Reading::default()
    }
}

impl Lane {
    pub fn new(topic: &TopicSpec) -> Self {
        Self::with(topic, Shape::Json, &Arc::default())
    }

    pub fn with(topic: &TopicSpec, shape: Shape, schemas: &Arc<Schemas>) -> Self {
        let id = match shape {
            Shape::Json => IdTemplate::joined(&topic.key),
            Shape::Fields => {
                let columns: Vec<_> = topic.key.iter().map(|k| format!("{{{k}}}")).collect();
                IdTemplate::parse(&format!("p:{}", columns.join(":")), &topic.key).unwrap()
            }
        };
        let document = DocumentSpec::default();
        Self {
            decoder: decode::decoder(topic, schemas),
            projection: Projection::new(topic, &document, shape, id).unwrap(),
            batch: Batch::new(shape),
        }
    }

    /// For each row `id TAB document` or `id TAB deleted`, or `pass TAB reason`; and `stray` at the end of a
    /// record that may not write all of what it changes.
    pub fn take(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<Vec<String>, DecodeError> {
        self.take_with(key, value, Headers::default())
    }

    pub fn take_with(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Headers<'_>,
    ) -> Result<Vec<String>, DecodeError> {
        let position = Position {
            partition: 0,
            offset: 1,
        };
        let record = Record {
            position,
            timestamp_ms: 0,
            key,
            value,
            headers,
        };
        let changes = self.decoder.decode(&record);
        let lines = changes.and_then(|changes| self.write(&record, changes));
        // What is made of it at a glance is the same, or nothing.
        match self.decoder.glance(&record) {
            Err(_) => assert!(lines.is_err()),
            Ok(changes) => {
                if let Ok(glanced) = self.write(&record, changes) {
                    assert_eq!(lines.as_ref(), Ok(&glanced));
                }
            }
        }
        lines
    }

    fn write(
        &mut self,
        record: &Record<'_>,
        changes: Changes<'_>,
    ) -> Result<Vec<String>, DecodeError> {
        let (changes, stray) = match changes {
            Changes::One(change) => (vec![change], false),
            Changes::Many(changes) => (changes, false),
            Changes::Partly { rows, .. } => (rows, true),
            Changes::Pass(pass) => return Ok(vec![format!("pass\t{}", pass.reason())]),
        };
        self.batch.clear();
        let mut lines = Vec::new();
        for change in &changes {
            let origin = Origin {
                position: record.position,
                version: Version::new(Epoch::new(1).unwrap(), 1).unwrap(),
                record: 0,
                committed_ms: change.source.committed_ms,
            };
            let at = self.projection.write(change, origin, &mut self.batch)?;
            let write = &self.batch.writes()[at as usize];
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let body = match self.batch.body(write) {
                Body::Json(span) => text(self.batch.slice(*span)),
                Body::Delete => "deleted".to_owned(),
                Body::Fields(fields) => {
                    let fields = self.batch.fields(*fields);
                    let fields = fields.map(|(n, v)| format!("{}={}", text(n), text(v)));
                    fields.collect::<Vec<_>>().join(";")
                }
            };
            lines.push(format!("{}\t{body}", self.batch.id(write)));
        }
        if stray {
            lines.push("stray".to_owned());
        }
        Ok(lines)
    }

    pub fn value(&mut self, value: &str) -> Vec<String> {
        self.take(None, Some(value.as_bytes()))
            .unwrap_or_else(|e| panic!("{e}: {value}"))
    }
}

pub fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The lines of a file that hold a message; the others are a licence.
pub fn messages(name: &str) -> Vec<String> {
    let text = fixture(name);
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines.map(str::to_owned).collect()
}

/// What is expected of a file's messages.
pub fn expected(name: &str) -> Vec<String> {
    fixture(name).lines().map(str::to_owned).collect()
}
