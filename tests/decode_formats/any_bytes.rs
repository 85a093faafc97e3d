//! No bytes make a decoder panic, or the projection write what is no document.

use std::sync::Arc;

use proptest::prelude::*;
use twolane::config::{AvroFile, Format, Reading, TopicSpec};
use twolane::decode::{SchemaId, Schemas};
use twolane::event::Shape;

use crate::avro_record;
use crate::lane::{Lane, messages, topic};
use crate::value_table::reading;

const FORMATS: [Format; 6] = [
    Format::DebeziumJson,
    Format::DebeziumAvro,
    Format::CanalJson,
    Format::MaxwellJson,
    Format::Avro,
    Format::Json,
];

const EVENT: &str = r#"{"type":"record","name":"e.View","fields":[{"name":"id","type":"long"},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"tags","type":{"type":"array","items":"string"},"default":[]}]}"#;

fn spec(format: Format) -> TopicSpec {
    let mut reading: Reading = reading(format);
    if matches!(format, Format::Avro | Format::Json) {
        reading.schemas = vec![AvroFile {
            file: "e.avsc".into(),
            text: EVENT.to_owned(),
        }];
    }
    topic(format, &["id"], &[("id", "bigint")], reading)
}

fn schemas() -> Arc<Schemas> {
    let schemas = Arc::<Schemas>::default();
    schemas.insert(SchemaId::Number(1), avro_record::envelope());
    schemas.insert(SchemaId::Number(2), avro_record::key());
    schemas.insert(SchemaId::Number(3), EVENT);
    schemas
}

/// Key and value of a sound record of each format, to be damaged.
fn sound() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = messages("canal/table-event-event-update.txt")
        .into_iter()
        .chain(messages("maxwell/table-schemaevolution-maxwell-data-2.txt"))
        .map(|value| {
            let value = value
                .replace("paimon_sync_table", "app")
                .replace("schema_evolution_2", "t")
                .replace("_id", "id")
                .replace("\"test\"", "\"app\"")
                .replace("\"product\"", "\"t\"");
            (Vec::new(), value.into_bytes())
        })
        .collect();
    all.push((
        br#"{"database":"app","table":"t","pk.id":1}"#.to_vec(),
        b"null".to_vec(),
    ));
    all.push((br#"["app","t",[{"id":1}]]"#.to_vec(), b"null".to_vec()));
    let (key, value) = avro_record::sound();
    all.push((key, value));
    // An event of schema 3: 7, 9 and the tags a and b.
    all.push((Vec::new(), vec![0, 0, 0, 0, 3, 14, 18, 4, 2, 97, 2, 98, 0]));
    all.push((Vec::new(), br#"{"id":1,"at":2,"tags":["a"]}"#.to_vec()));
    all
}

fn check(key: &[u8], value: &[u8]) -> Result<(), TestCaseError> {
    let schemas = schemas();
    for format in FORMATS {
        let mut lane = Lane::with(&spec(format), Shape::Json, &schemas);
        for value in [Some(value), None] {
            let Ok(lines) = lane.take(Some(key), value) else {
                continue;
            };
            for line in lines {
                if let Some((_, document)) = line.split_once('\t')
                    && document.starts_with('{')
                {
                    prop_assert!(!document.contains(['\n', '\r']));
                    let read = serde_json::from_str::<serde::de::IgnoredAny>(document);
                    prop_assert!(read.is_ok(), "{format:?}: {}", document);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn the_sound_records_are_read() {
    for (key, value) in sound() {
        let read = FORMATS.into_iter().any(|format| {
            let mut lane = Lane::with(&spec(format), Shape::Json, &schemas());
            let key = (!key.is_empty()).then_some(key.as_slice());
            matches!(lane.take(key, Some(&value)), Ok(lines) if !lines[0].starts_with("pass"))
        });
        assert!(read, "{}", String::from_utf8_lossy(&value));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_do_no_harm(key: Vec<u8>, value: Vec<u8>) {
        check(&key, &value)?;
    }

    #[test]
    fn damaged_records_do_no_harm(
        which: prop::sample::Index,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..5),
        cut: prop::sample::Index,
        is_cut: bool,
        in_key: bool,
    ) {
        let (mut key, mut value) = which.get(&sound()).clone();
        {
            let bytes = if in_key && !key.is_empty() { &mut key } else { &mut value };
            for (at, byte, inserted) in damage {
                let at = at.index(bytes.len());
                if inserted {
                    bytes.insert(at, byte);
                } else {
                    bytes[at] = byte;
                }
            }
            if is_cut {
                bytes.truncate(cut.index(bytes.len()));
            }
        }
        check(&key, &value)?;
    }
}
