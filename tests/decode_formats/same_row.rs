//! The same changes of one row, in all formats, give the same documents. The records are made here, of the
//! README's table: what the tools themselves emit for a row is what their fixtures show, column by column.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use twolane::config::{Format, TopicSpec};
use twolane::decode::{SchemaId, Schemas};
use twolane::event::Shape;

use crate::avro_record;
use crate::lane::{Lane, topic};
use crate::value_table::{Line, lines, reading};

const FORMATS: [Format; 4] = [
    Format::DebeziumJson,
    Format::DebeziumAvro,
    Format::CanalJson,
    Format::MaxwellJson,
];

/// A row with a column for each line of the table.
struct Table {
    lines: Vec<Line>,
    /// Name and type.
    columns: Vec<(String, String)>,
}

/// Key and value of a record.
type Sent = (Option<Vec<u8>>, Option<Vec<u8>>);

/// A change of the row.
#[derive(Clone, Copy)]
enum Step {
    Insert,
    /// Every column but the key is NULL now.
    Clear,
    /// Back again, under the key 2.
    Move,
    Delete,
}

impl Table {
    fn new() -> Self {
        let lines = lines();
        let mut columns = vec![("id".to_owned(), "int".to_owned())];
        columns.extend(
            lines
                .iter()
                .enumerate()
                .map(|(i, line)| (format!("c{i}"), line.column.clone())),
        );
        Self { lines, columns }
    }

    fn topic(&self, format: Format) -> TopicSpec {
        let columns: Vec<(&str, &str)> = self
            .columns
            .iter()
            .map(|(name, kind)| (name.as_str(), kind.as_str()))
            .collect();
        topic(format, &["id"], &columns, reading(format))
    }

    /// The row as a format has it: text, since a parsed number may lose digits.
    fn row(&self, format: Format, id: i32, cleared: bool) -> String {
        let id = match format {
            Format::CanalJson => format!("\"{id}\""),
            _ => id.to_string(),
        };
        let cells = self.lines.iter().enumerate().map(|(i, line)| {
            let cell = match format {
                _ if cleared => "null",
                Format::CanalJson => &line.canal,
                Format::MaxwellJson => &line.maxwell,
                _ => &line.debezium,
            };
            format!(",\"c{i}\":{cell}")
        });
        format!("{{\"id\":{id}{}}}", cells.collect::<String>())
    }

    fn expected(&self, id: i32, cleared: bool) -> Value {
        let cells = self.lines.iter().enumerate().map(|(i, line)| {
            let value = if cleared {
                Value::Null
            } else {
                serde_json::from_str(&line.document).unwrap()
            };
            (format!("c{i}"), value)
        });
        let mut row: serde_json::Map<String, Value> = cells.collect();
        row.insert("id".into(), json!(id));
        Value::Object(row)
    }

    /// The records that a format's tool sends for a step.
    fn records(&self, format: Format, step: Step) -> Vec<Sent> {
        match format {
            Format::DebeziumJson => {
                let key = |id: i32| Some(format!(r#"{{"id":{id}}}"#).into_bytes());
                let row = |op: &str, id, cleared| {
                    let after = self.row(format, id, cleared);
                    let value = format!(r#"{{"before":null,"after":{after},"op":"{op}"}}"#);
                    (key(id), Some(value.into_bytes()))
                };
                let delete = |id| {
                    let value = json!({"before": {}, "after": null, "op": "d"}).to_string();
                    [(key(id), Some(value.into_bytes())), (key(id), None)]
                };
                match step {
                    Step::Insert => vec![row("c", 1, false)],
                    Step::Clear => vec![row("u", 1, true)],
                    Step::Move => [delete(1).to_vec(), vec![row("c", 2, false)]].concat(),
                    Step::Delete => delete(2).to_vec(),
                }
            }
            Format::DebeziumAvro => {
                let schema = avro_record::envelope_of(&self.columns);
                let row = |op: &str, id, cleared| {
                    let json = serde_json::from_str(&self.row(format, id, cleared)).unwrap();
                    let after = avro_record::row(&self.columns, &json);
                    let change = avro_record::change(op, Some(after));
                    (
                        Some(avro_record::key_of(id)),
                        Some(avro_record::framed(1, &schema, change)),
                    )
                };
                let delete = |id| {
                    let change = avro_record::change("d", None);
                    let value = avro_record::framed(1, &schema, change);
                    let key = avro_record::key_of(id);
                    [(Some(key.clone()), Some(value)), (Some(key), None)]
                };
                match step {
                    Step::Insert => vec![row("c", 1, false)],
                    Step::Clear => vec![row("u", 1, true)],
                    Step::Move => [delete(1).to_vec(), vec![row("c", 2, false)]].concat(),
                    Step::Delete => delete(2).to_vec(),
                }
            }
            Format::CanalJson => {
                let (kind, data, old) = match step {
                    Step::Insert => ("INSERT", self.row(format, 1, false), "null"),
                    Step::Clear => ("UPDATE", self.row(format, 1, true), "[{}]"),
                    Step::Move => ("UPDATE", self.row(format, 2, false), r#"[{"id":"1"}]"#),
                    Step::Delete => ("DELETE", self.row(format, 2, false), "null"),
                };
                let types: serde_json::Map<String, Value> = self
                    .columns
                    .iter()
                    .map(|(name, kind)| (name.clone(), json!(kind)))
                    .collect();
                let types = Value::Object(types);
                let value = format!(
                    r#"{{"database":"app","table":"t","type":"{kind}","isDdl":false,"es":5,"pkNames":["id"],"mysqlType":{types},"data":[{data}],"old":{old}}}"#
                );
                vec![(None, Some(value.into_bytes()))]
            }
            Format::MaxwellJson => {
                let (kind, data, old) = match step {
                    Step::Insert => ("insert", self.row(format, 1, false), "null"),
                    Step::Clear => ("update", self.row(format, 1, true), "{}"),
                    Step::Move => ("update", self.row(format, 2, false), r#"{"id":1}"#),
                    Step::Delete => ("delete", self.row(format, 2, false), "null"),
                };
                let value = format!(
                    r#"{{"database":"app","table":"t","type":"{kind}","ts":5,"data":{data},"old":{old}}}"#
                );
                vec![(None, Some(value.into_bytes()))]
            }
            Format::Avro | Format::Json => panic!("plain events are no rows"),
        }
    }
}

#[test]
fn the_same_changes_give_the_same_documents() {
    let table = Table::new();
    let schemas = Arc::<Schemas>::default();
    schemas.insert(
        SchemaId::Number(1),
        avro_record::envelope_of(&table.columns),
    );
    schemas.insert(SchemaId::Number(2), avro_record::key());
    let states = [
        (
            Step::Insert,
            BTreeMap::from([("1", table.expected(1, false))]),
        ),
        (
            Step::Clear,
            BTreeMap::from([("1", table.expected(1, true))]),
        ),
        (
            Step::Move,
            BTreeMap::from([("2", table.expected(2, false))]),
        ),
        (Step::Delete, BTreeMap::new()),
    ];
    for format in FORMATS {
        let mut lane = Lane::with(&table.topic(format), Shape::Json, &schemas);
        let mut documents: BTreeMap<String, Value> = BTreeMap::new();
        for (n, (step, expected)) in states.iter().enumerate() {
            for (key, value) in table.records(format, *step) {
                let lines = lane
                    .take(key.as_deref(), value.as_deref())
                    .unwrap_or_else(|e| panic!("{format:?} step {n}: {e}"));
                for line in lines {
                    let (id, document) = line.split_once('\t').unwrap();
                    match document {
                        "deleted" => documents.remove(id),
                        document => {
                            documents.insert(id.to_owned(), serde_json::from_str(document).unwrap())
                        }
                    };
                }
            }
            let documents: BTreeMap<&str, Value> = documents
                .iter()
                .map(|(id, document)| (id.as_str(), document.clone()))
                .collect();
            assert_eq!(&documents, expected, "{format:?} step {n}");
        }
    }
}
