//! Debezium's own records and recorded ones, through the decoder and the projection, against what is written
//! beside them by hand. No server is needed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::PathBuf;

use proptest::prelude::*;
use twolane::config::{ColumnType, DocumentSpec, Format, TopicSpec};
use twolane::decode::{DebeziumJson, DecodeError, Decoder};
use twolane::event::{
    Batch, Body, Changes, Epoch, Headers, Op, Origin, Pass, Position, Record, Shape,
    SourcePosition, Version,
};
use twolane::transform::{IdTemplate, Projection};

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/debezium")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The lines of a file that hold a message; the others are a licence.
fn messages(name: &str) -> Vec<String> {
    let text = fixture(name);
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines.map(str::to_owned).collect()
}

fn topic(key: &[&str], columns: &[(&str, ColumnType)]) -> TopicSpec {
    TopicSpec {
        name: "t".into(),
        format: Format::DebeziumJson,
        key: key.iter().map(|k| (*k).to_owned()).collect(),
        partitions: 1,
        epoch: Epoch::new(1).unwrap(),
        replication: None,
        partitioner: None,
        reading: Default::default(),
        config: Default::default(),
        columns: columns
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), kind.clone()))
            .collect(),
        file: PathBuf::new(),
    }
}

/// The table of `mariadb-all-types.sql`.
fn all_types() -> TopicSpec {
    let members = |all: &[&str]| all.iter().map(|m| (*m).to_owned()).collect();
    topic(
        &["id", "k2"],
        &[
            ("id", ColumnType::BigUnsigned),
            ("k2", ColumnType::Text),
            ("t_tiny", ColumnType::Integer),
            ("t_bool", ColumnType::Boolean),
            ("t_small", ColumnType::Unsigned),
            ("t_med", ColumnType::Integer),
            ("t_int", ColumnType::Unsigned),
            ("t_big", ColumnType::Integer),
            ("t_ubig", ColumnType::BigUnsigned),
            (
                "t_dec",
                ColumnType::Decimal {
                    precision: 20,
                    scale: 4,
                },
            ),
            (
                "t_udec",
                ColumnType::Decimal {
                    precision: 10,
                    scale: 0,
                },
            ),
            ("t_float", ColumnType::Float),
            ("t_double", ColumnType::Float),
            ("t_bit1", ColumnType::Bit(1)),
            ("t_bit13", ColumnType::Bit(13)),
            ("t_char", ColumnType::Text),
            ("t_text", ColumnType::Text),
            ("t_bin", ColumnType::Binary),
            ("t_vbin", ColumnType::Binary),
            ("t_blob", ColumnType::Binary),
            ("t_date", ColumnType::Date),
            ("t_time", ColumnType::Time(6)),
            ("t_dt", ColumnType::DateTime(0)),
            ("t_dt3", ColumnType::DateTime(3)),
            ("t_dt6", ColumnType::DateTime(6)),
            ("t_ts", ColumnType::Timestamp(0)),
            ("t_ts6", ColumnType::Timestamp(6)),
            ("t_year", ColumnType::Year),
            ("t_enum", ColumnType::Enum(members(&["a", "b,c", "d"]))),
            ("t_set", ColumnType::Set(members(&["x", "y", "z"]))),
            ("t_json", ColumnType::Json),
        ],
    )
}

/// A decoder and a projection, as a worker has them.
struct Lane {
    decoder: DebeziumJson,
    projection: Projection,
    batch: Batch,
}

impl Lane {
    fn new(topic: &TopicSpec, shape: Shape) -> Self {
        let id = match shape {
            Shape::Json => IdTemplate::joined(&topic.key),
            Shape::Fields => {
                let columns: Vec<_> = topic.key.iter().map(|k| format!("{{{k}}}")).collect();
                IdTemplate::parse(&format!("p:{}", columns.join(":")), &topic.key).unwrap()
            }
        };
        let document = DocumentSpec::default();
        Self {
            decoder: DebeziumJson::default(),
            projection: Projection::new(topic, &document, shape, id).unwrap(),
            batch: Batch::new(shape),
        }
    }

    /// `id TAB document`, `id TAB deleted` or `pass TAB reason`, and where the source says that it stood.
    fn take(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(String, String), DecodeError> {
        let position = Position {
            partition: 0,
            offset: 1,
        };
        let record = Record {
            position,
            timestamp_ms: 0,
            key,
            value,
            headers: Headers::default(),
        };
        let changes = self.decoder.decode(&record);
        let taken = changes.and_then(|changes| self.write(position, changes));
        // At a glance it is the same.
        let changes = self.decoder.glance(&record);
        let glanced = changes.and_then(|changes| self.write(position, changes));
        assert_eq!(glanced.as_ref().ok(), taken.as_ref().ok());
        taken
    }

    fn write(
        &mut self,
        position: Position,
        changes: Changes<'_>,
    ) -> Result<(String, String), DecodeError> {
        let change = match changes {
            Changes::One(change) => change,
            Changes::Many(_) | Changes::Partly { .. } => panic!("Debezium has one row a record"),
            Changes::Pass(pass) => return Ok((format!("pass\t{}", pass.reason()), String::new())),
        };
        let SourcePosition {
            file,
            pos,
            row,
            committed_ms,
        } = change.source;
        let source = format!("{file}:{pos}:{row}@{committed_ms}");
        assert_eq!(change.op == Op::Upsert, change.after.is_some());
        let origin = Origin {
            position,
            version: Version::new(Epoch::new(1).unwrap(), 1).unwrap(),
            record: 0,
            committed_ms,
        };
        self.batch.clear();
        let at = self.projection.write(&change, origin, &mut self.batch)?;
        let write = &self.batch.writes()[at as usize];
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let body = match self.batch.body(write) {
            Body::Json(span) => text(self.batch.slice(*span)),
            Body::Delete => "deleted".to_owned(),
            Body::Fields(fields) => {
                let fields = self.batch.fields(*fields);
                let fields = fields.map(|(name, value)| format!("{}={}", text(name), text(value)));
                fields.collect::<Vec<_>>().join(";")
            }
        };
        Ok((format!("{}\t{body}", self.batch.id(write)), source))
    }

    fn document(&mut self, key: &str, value: &str) -> (String, String) {
        self.take(Some(key.as_bytes()), Some(value.as_bytes()))
            .unwrap()
    }
}

/// Key and value of each record; an empty value stands for a null.
fn recording() -> Vec<(String, Option<String>)> {
    let text = fixture("mariadb-all-types.tsv");
    let records = text.lines().map(|line| {
        let (key, value) = line.split_once('\t').unwrap();
        let value = (!value.is_empty()).then(|| value.to_owned());
        (key.to_owned(), value)
    });
    records.collect()
}

#[test]
fn every_column_type_of_the_recording_arrives_as_written() {
    let mut lane = Lane::new(&all_types(), Shape::Json);
    let expected = fixture("expected/mariadb-all-types.tsv");
    let recording = recording();
    assert_eq!(recording.len(), expected.lines().count());
    for ((key, value), expected) in recording.iter().zip(expected.lines()) {
        let value = value.as_ref().map(String::as_bytes);
        let (document, _) = lane.take(Some(key.as_bytes()), value).unwrap();
        assert_eq!(document, expected);
    }
}

#[test]
fn fields_are_plain_text_without_nulls() {
    let mut lane = Lane::new(&all_types(), Shape::Fields);
    let recording = recording();
    let (key, value) = &recording[0];
    let (first, source) = lane.document(key, value.as_ref().unwrap());
    assert_eq!(source, "binlog.000001:7609:0@1795393440000");
    let expected = "p:18446744073709551615:a-b\t\
        id=18446744073709551615;k2=a-b;t_tiny=-128;t_bool=true;t_small=65535;t_med=-8388608;t_int=4294967295;\
        t_big=-9223372036854775808;t_ubig=18446744073709551615;t_dec=-1234567890123456.7891;t_udec=9999999999;\
        t_float=1.5;t_double=-2.25E300;t_bit1=true;t_bit13=4097;t_char=é🍼;t_text=line1\nline2\t\"q\";\
        t_bin=AP8QAA==;t_vbin=Ymlu;t_blob=3q2+7w==;t_date=2026-02-28;t_time=-838:59:58.999999;\
        t_dt=1000-01-01T00:00:00;t_dt3=2026-03-04T05:06:07.123;t_dt6=2026-03-04T05:06:07.123456;\
        t_ts=2026-03-04T05:06:07Z;t_ts6=2026-03-04T05:06:07.123456Z;t_year=2026;t_enum=b,c;t_set=[\"x\",\"z\"];\
        t_json={\"a\":[1,2,{\"b\":null}]}";
    assert_eq!(first, expected);
    let (key, value) = &recording[2];
    let (changed, _) = lane.document(key, value.as_ref().unwrap());
    assert_eq!(changed, "p:1:c\tid=1;k2=c;t_dec=0.0001;t_text=changed");
}

#[test]
fn schema_changes_pass() {
    let mut lane = Lane::new(&all_types(), Shape::Json);
    let messages = messages("mariadb-schema-changes.ndjson");
    assert!(!messages.is_empty());
    for message in messages {
        let passed = lane.take(None, Some(message.as_bytes())).unwrap();
        let expected = format!("pass\t{}", Pass::SchemaChange.reason());
        assert_eq!(passed.0, expected);
    }
}

#[test]
fn debeziums_own_examples_arrive_with_and_without_schema() {
    let plain = topic(&["id"], &[]);
    let typed = topic(
        &["id"],
        &[("id", ColumnType::Integer), ("email", ColumnType::Text)],
    );
    let key = r#"{"id":1004}"#;
    let schema = r#"{"type":"struct","fields":[{"type":"int32","optional":false,"field":"id"}]}"#;
    let wrapped = format!(r#"{{"schema":{schema},"payload":{key}}}"#);
    for name in ["serde-update", "serde-with-schema", "serde-without-schema"] {
        let value = fixture(&format!("{name}.json"));
        let expected = fixture(&format!("expected/{name}.tsv"));
        for topic in [&plain, &typed] {
            let mut lane = Lane::new(topic, Shape::Json);
            for key in [key, &wrapped, key] {
                let (document, source) = lane.document(key, &value);
                assert_eq!(document, expected.trim_end(), "{name}");
                assert_eq!(source, "mysql-bin.000003:154:0@0");
            }
        }
    }
}

#[test]
fn tables_from_paimon_arrive_with_the_types_of_their_schemas() {
    for (name, key) in [
        ("table-nullvalue-debezium-data-1", r#"{"id":1}"#),
        ("table-schema-alltype-debezium-data-1", r#"{"_id":1}"#),
        (
            "table-schema-schemaevolution-debezium-data-1",
            r#"{"id":101}"#,
        ),
        (
            "table-schema-schemaevolution-debezium-data-2",
            r#"{"id":103}"#,
        ),
    ] {
        let column = key[2..].split_once('"').unwrap().0;
        let mut lane = Lane::new(&topic(&[column], &[]), Shape::Json);
        let messages = messages(&format!("{name}.txt"));
        assert_eq!(messages.len(), 1, "{name}");
        // The second time its schema is known.
        for _ in 0..2 {
            let (document, _) = lane.document(key, &messages[0]);
            assert_eq!(
                document,
                fixture(&format!("expected/{name}.tsv")).trim_end(),
                "{name}"
            );
        }
    }
}

#[test]
fn declarations_that_agree_with_a_schema_give_their_own_digits() {
    let declared = topic(
        &["_id"],
        &[
            ("_datetime", ColumnType::DateTime(0)),
            ("_bigint_unsigned", ColumnType::BigUnsigned),
            ("_boolean", ColumnType::Boolean),
            ("_time", ColumnType::Time(0)),
        ],
    );
    let mut lane = Lane::new(&declared, Shape::Json);
    let message = messages("table-schema-alltype-debezium-data-1.txt").remove(0);
    let (document, _) = lane.document(r#"{"_id":1}"#, &message);
    for field in [
        r#""_datetime":"2023-03-23T14:30:05","#,
        r#""_bigint_unsigned":20000000000,"#,
        r#""_boolean":true,"#,
        r#""_time":"10:13:23","#,
    ] {
        assert!(document.contains(field), "{field}");
    }
    let contradicts = topic(&["_id"], &[("_datetime", ColumnType::Date)]);
    let mut lane = Lane::new(&contradicts, Shape::Json);
    let refused = lane.take(Some(br#"{"_id":1}"#), Some(message.as_bytes()));
    assert_eq!(refused.unwrap_err().reason.name(), "column_type");
}

/// Every key and value of the fixtures.
fn corpus() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = recording()
        .into_iter()
        .map(|(key, value)| (key.into(), value.unwrap_or_default().into()))
        .collect();
    let key = || br#"{"id":-1,"k2":"a"}"#.to_vec();
    for name in ["serde-update.json", "serde-with-schema.json"] {
        all.push((key(), fixture(name).into()));
    }
    for name in [
        "table-schema-schemaevolution-debezium-data-1.txt",
        "mariadb-schema-changes.ndjson",
    ] {
        all.push((key(), messages(name).remove(0).into()));
    }
    all
}

#[derive(Debug, Clone)]
enum Mutation {
    Put(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Drop(prop::sample::Index, usize),
    Insert(prop::sample::Index, String),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    let piece = prop::sample::select(vec![
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "-",
        "9",
        "\\ud83c",
        "\u{0}",
        "e9999",
        "\"after\":",
        "\"op\":\"u\",",
        "é",
        "\n",
    ]);
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Mutation::Put(at, byte)),
        (index(), prop::sample::select(b"\"{}[],:0-9ndut\\".to_vec()))
            .prop_map(|(at, byte)| Mutation::Put(at, byte)),
        index().prop_map(Mutation::Cut),
        (index(), 1_usize..20).prop_map(|(at, n)| Mutation::Drop(at, n)),
        (index(), piece).prop_map(|(at, piece)| Mutation::Insert(at, piece.to_owned())),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    let at = |index: &prop::sample::Index| index.index(bytes.len());
    if bytes.is_empty() {
        return;
    }
    match mutation {
        Mutation::Put(index, byte) => {
            let at = at(index);
            bytes[at] = *byte;
        }
        Mutation::Cut(index) => bytes.truncate(at(index)),
        Mutation::Drop(index, n) => {
            let at = at(index);
            bytes.drain(at..(at + n).min(bytes.len()));
        }
        Mutation::Insert(index, piece) => {
            let at = at(index);
            bytes.splice(at..at, piece.bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutated_record_panics_or_makes_what_is_no_document(
        which: prop::sample::Index, in_key: bool, mutations in prop::collection::vec(mutation(), 1..4), shape: bool
    ) {
        let corpus = corpus();
        let (mut key, mut value) = which.get(&corpus).clone();
        for mutation in &mutations {
            mutate(if in_key { &mut key } else { &mut value }, mutation);
        }
        let topic = all_types();
        let plain = topic_without_types();
        for topic in [&topic, &plain] {
            let mut lane = Lane::new(topic, if shape { Shape::Json } else { Shape::Fields });
            if let Ok((line, _)) = lane.take(Some(&key), Some(&value)) {
                let (id, document) = line.split_once('\t').unwrap();
                prop_assert!(!id.is_empty());
                if shape && document.starts_with('{') {
                    prop_assert!(!document.contains(['\n', '\r']));
                    let read = serde_json::from_str::<serde::de::IgnoredAny>(document);
                    prop_assert!(read.is_ok(), "{}", document);
                }
            }
        }
    }
}

fn topic_without_types() -> TopicSpec {
    topic(&["id", "k2"], &[])
}
