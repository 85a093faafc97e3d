//! What is fuzzed, as plain functions: every decoder with the projection behind it, key templates, column types, and
//! the parsers of specs and settings. They panic where something is wrong with the program.
//!
//! libFuzzer drives them through `fuzz_targets/` (`cargo +nightly fuzz run <target>` in this folder), and the tests of
//! `tests/decode_formats` do it for a bounded time, from the corpus and by mutation.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use twolane::config::{AvroFile, ColumnType, Format, LoadOptions, Reading, load};
use twolane::decode::{SchemaId, Schemas};
use twolane::event::Shape;
use twolane::transform::IdTemplate;

use crate::lane::{Lane, tables, topic};

/// A target: it takes any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 11] = [
    ("debezium_json", debezium_json),
    ("debezium_avro", debezium_avro),
    ("canal_json", canal_json),
    ("maxwell_json", maxwell_json),
    ("avro", avro),
    ("json", json),
    ("key_template", key_template),
    ("column_type", column_type),
    ("topic_spec", topic_spec),
    ("pipeline_spec", pipeline_spec),
    ("settings", settings),
];

/// Runs one target.
///
/// # Panics
/// Where there is none of that name, and where it finds something.
pub fn run(name: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, target) = found.expect("a target of that name");
    target(data);
}

const ENVELOPE: &str = r#"{"type":"record","name":"Envelope","namespace":"app.app.t","fields":[
{"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"long"},{"name":"v","type":["null","string"],"default":null}]}],"default":null},
{"name":"after","type":["null","Value"],"default":null},
{"name":"source","type":{"type":"record","name":"Source","fields":[{"name":"ts_ms","type":"long"}]}},
{"name":"op","type":"string"},{"name":"ts_ms","type":["null","long"],"default":null}]}"#;
const KEY: &str = r#"{"type":"record","name":"Key","namespace":"app.app.t","fields":[{"name":"id","type":"long"}]}"#;
const EVENT: &str = r#"{"type":"record","name":"e.View","fields":[{"name":"id","type":"long"},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"tags","type":{"type":"array","items":"string"},"default":[]}]}"#;

/// A record: a byte that says how long the key is (0 for none), the key, the value.
fn record(data: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let Some((length, rest)) = data.split_first() else {
        return (None, data);
    };
    match rest.split_at_checked(usize::from(*length)) {
        Some((key, value)) if *length > 0 => (Some(key), value),
        Some(_) | None => (None, rest),
    }
}

/// A sound value of Debezium's.
const SOUND: &[u8] = br#"{"before":null,"after":{"id":1,"n":"SDk=","d":20512,"t":1772600767123,"b":"ARA=","s":"x,y","j":"{\"a\":[1,null]}","g":{"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAABA","srid":null},"r":"Ymlu"},"source":{"ts_ms":1,"snapshot":"false","file":"a.000001","pos":4,"row":0},"op":"c","ts_ms":1}"#;

fn decode(format: Format, data: &[u8]) {
    let mut reading = match format {
        Format::CanalJson | Format::MaxwellJson => tables(&["app.t"]),
        Format::DebeziumJson | Format::DebeziumAvro | Format::Avro | Format::Json => {
            Reading::default()
        }
    };
    if matches!(format, Format::Avro | Format::Json) {
        reading.schemas = vec![AvroFile {
            file: "e.avsc".into(),
            text: EVENT.to_owned(),
        }];
    }
    let schemas = Arc::<Schemas>::default();
    schemas.insert(SchemaId::Number(1), ENVELOPE);
    schemas.insert(SchemaId::Number(2), KEY);
    schemas.insert(SchemaId::Number(3), EVENT);
    let columns = [
        ("id", "bigint"),
        ("n", "decimal(12,2)"),
        ("d", "date"),
        ("t", "datetime(3)"),
        ("b", "bit(13)"),
        ("s", "set('x','y')"),
        ("j", "json"),
        ("g", "point"),
        ("r", "varbinary(16)"),
    ];
    let columns = match format {
        Format::Avro | Format::Json | Format::DebeziumAvro => &columns[..1],
        Format::DebeziumJson | Format::CanalJson | Format::MaxwellJson => &columns[..],
    };
    let spec = topic(format, &["id"], columns, reading);
    let (key, value) = record(data);
    for shape in [Shape::Json, Shape::Fields] {
        let mut lane = Lane::with(&spec, shape, &schemas);
        if format == Format::DebeziumJson {
            // It remembers how an envelope ended, and reads what ends alike otherwise.
            assert!(lane.take(Some(br#"{"id":1}"#), Some(SOUND)).is_ok());
        }
        for value in [Some(value), None] {
            let Ok(lines) = lane.take(key, value) else {
                continue;
            };
            for line in lines {
                let document = line.split_once('\t').map(|(_, document)| document);
                if let Some(document) =
                    document.filter(|d| shape == Shape::Json && d.starts_with('{'))
                {
                    let read = serde_json::from_str::<serde::de::IgnoredAny>(document);
                    assert!(read.is_ok(), "no document: {document}");
                }
            }
        }
    }
}

fn debezium_json(data: &[u8]) {
    decode(Format::DebeziumJson, data);
}

fn debezium_avro(data: &[u8]) {
    decode(Format::DebeziumAvro, data);
}

fn canal_json(data: &[u8]) {
    decode(Format::CanalJson, data);
}

fn maxwell_json(data: &[u8]) {
    decode(Format::MaxwellJson, data);
}

fn avro(data: &[u8]) {
    decode(Format::Avro, data);
}

fn json(data: &[u8]) {
    decode(Format::Json, data);
}

fn key_template(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let key = ["id".to_owned(), "shard".to_owned()];
    if let Ok(template) = IdTemplate::parse(&text, &key) {
        assert!(template.columns().eq(["id", "shard"]));
        assert!(text.contains("{id}") && text.contains("{shard}"), "{text}");
    }
}

fn column_type(data: &[u8]) {
    let _ = String::from_utf8_lossy(data).parse::<ColumnType>();
}

const TOPIC: &str = "name = \"t\"\nformat = \"debezium-json\"\nkey = [\"id\"]\npartitions = 1\nepoch = 1\n[columns]\nid = \"bigint\"\n";
const PIPELINE: &str = "topic = \"t\"\n[[sink]]\ntype = \"redis\"\nkey = \"t:{id}\"\n";

/// Loads a folder in which one file is what is fuzzed. What is wrong with it is said without a panic, and in words.
fn spec(file: &str, data: &[u8]) {
    thread_local! {
        static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
    }
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().expect("a folder"));
        let put = |file: &str, data: &[u8]| {
            let path = folder.path().join(file);
            let parent = path.parent().unwrap_or(Path::new(""));
            std::fs::create_dir_all(parent).expect("a folder");
            std::fs::write(path, data).expect("a file");
        };
        put("twolane.toml", b"");
        put("topics/t.toml", TOPIC.as_bytes());
        put("pipelines/p.toml", PIPELINE.as_bytes());
        put(file, data);
        let loaded = load(&LoadOptions {
            settings: Some(folder.path().join("twolane.toml")),
            variables: BTreeMap::new(),
            directory: folder.path().to_owned(),
        });
        if let Err(problems) = loaded {
            assert!(!problems.to_string().is_empty());
        }
    });
}

fn topic_spec(data: &[u8]) {
    spec("topics/t.toml", data);
}

fn pipeline_spec(data: &[u8]) {
    spec("pipelines/p.toml", data);
}

fn settings(data: &[u8]) {
    spec("twolane.toml", data);
}
