//! How a topic's records are read: keys that go with one format and not with another.

use super::*;
use crate::config::{
    BinaryMode, DecimalMode, Format, OnNewColumn, OnTruncate, Partitioner, TimeMode,
};

/// The good topic in another format, with these lines beside it.
fn topic(format: &str, lines: &str) -> String {
    let topic = changed(GOOD_TOPIC, "\"debezium-json\"", &format!("{format:?}"));
    changed(&topic, "[columns]", &format!("{lines}\n[columns]"))
}

fn problems(format: &str, lines: &str) -> Vec<String> {
    Folder::with(&[("topics/users.toml", &topic(format, lines))]).problems(&[])
}

const TABLES: &str = "tables = [\"app.users\"]";

#[test]
fn every_key_is_read() {
    let lines = "decimal_handling_mode = \"string\"\nbinary_handling_mode = \"hex\"\ntime_precision_mode = \"connect\"\non_truncate = \"dead-letter\"\non_new_column = \"ignore\"";
    let folder = Folder::with(&[("topics/users.toml", &topic("debezium-json", lines))]);
    let config = folder.load();
    let reading = &config.topics[0].reading;
    assert_eq!(reading.decimals, Some(DecimalMode::String));
    assert_eq!(reading.binaries, BinaryMode::Hex);
    assert_eq!(reading.times, TimeMode::Connect);
    assert_eq!(reading.on_truncate, OnTruncate::DeadLetter);
    assert_eq!(reading.on_new_column, OnNewColumn::Ignore);
    let lines = format!("{TABLES}\ntimestamp_zone = \"Asia/Shanghai\"\npartitioner = \"canal\"");
    let folder = Folder::with(&[("topics/users.toml", &topic("canal-json", &lines))]);
    let topic = &folder.load().topics[0];
    assert_eq!(topic.format, Format::CanalJson);
    assert_eq!(topic.partitioner, Some(Partitioner::Canal));
    assert_eq!(topic.reading.tables, ["app.users"]);
    assert_eq!(topic.reading.zone, "Asia/Shanghai".parse().ok());
    let config = Folder::with(&[]).load();
    let reading = &config.topics[0].reading;
    assert_eq!(reading.decimals, None);
    assert_eq!(reading.times, TimeMode::AdaptiveTimeMicroseconds);
    assert!(reading.tables.is_empty() && reading.zone.is_none());
}

#[test]
fn a_key_goes_with_its_formats() {
    for (format, lines, expected) in [
        ("maxwell-json", TABLES, &[][..]),
        (
            "maxwell-json",
            "",
            &[
                "topics/users.toml:2:14: format \"maxwell-json\" needs the tables whose rows are taken: add tables = [\"app.user_profile\"]",
            ],
        ),
        (
            "canal-json",
            "tables = [\"users\"]",
            &["topics/users.toml:7:11: tables: \"users\" must be written \"database.table\""],
        ),
        (
            "debezium-json",
            TABLES,
            &[
                "topics/users.toml:7:10: tables goes with format canal-json or maxwell-json, not with \"debezium-json\"",
            ],
        ),
        (
            "canal-json",
            "tables = [\"app.users\"]\ndecimal_handling_mode = \"string\"",
            &[
                "topics/users.toml:8:25: decimal_handling_mode goes with format debezium-json or debezium-avro, not with \"canal-json\"",
            ],
        ),
        (
            "canal-json",
            "tables = [\"app.users\"]\npartitioner = \"murmur2\"",
            &[
                "topics/users.toml:8:15: partitioner = \"murmur2\" needs a record's key, and Canal's have none: write \"canal\" or \"table\"",
            ],
        ),
        (
            "maxwell-json",
            "tables = [\"app.users\"]\ntimestamp_zone = \"Shanghai\"",
            &[
                "topics/users.toml:8:18: timestamp_zone: \"Shanghai\" is no zone: write \"UTC\", an offset such as \"+08:00\", or a name such as \"Asia/Shanghai\"",
            ],
        ),
    ] {
        assert_eq!(problems(format, lines), expected, "{format} {lines}");
    }
}

#[test]
fn canals_timestamps_need_their_zone() {
    let spec = topic("canal-json", TABLES);
    let born = changed(&spec, "balance = \"decimal(12,2)\"", "born = \"timestamp\"");
    let folder = Folder::with(&[("topics/users.toml", &born)]);
    assert_eq!(
        folder.problems(&[]),
        [
            "topics/users.toml:8:1: column \"born\" is a timestamp, which Canal prints in its own zone: add timestamp_zone = \"Asia/Shanghai\", or whichever it is"
        ]
    );
    let zone = changed(
        &born,
        TABLES,
        "tables = [\"app.users\"]\ntimestamp_zone = \"+08:00\"",
    );
    assert!(
        Folder::with(&[("topics/users.toml", &zone)])
            .problems(&[])
            .is_empty()
    );
}

#[test]
fn plain_events_have_a_schema_that_knows_their_key() {
    let schema = r#"{"type":"record","name":"V","fields":[{"name":"id","type":"long"}]}"#;
    let spec = topic("avro", "");
    let missing = Folder::with(&[("topics/users.toml", &spec)]).problems(&[]);
    assert!(
        missing[0].contains("the topic's Avro schema topics/users.avsc cannot be read"),
        "{missing:?}"
    );
    let with = |schema: &str| {
        Folder::with(&[("topics/users.toml", &spec), ("topics/users.avsc", schema)]).problems(&[])
    };
    assert!(with(schema).is_empty());
    assert!(with("{}")[0].starts_with("topics/users.avsc: is no Avro schema"));
    assert_eq!(
        with(&schema.replace("\"id\"", "\"user\"")),
        ["topics/users.toml:3:15: key names \"id\", which topics/users.avsc has not"]
    );
    let lines = "schema = \"v2.avsc\"\nformer_schemas = [\"v1.avsc\"]";
    let folder = Folder::with(&[
        ("topics/users.toml", &topic("json", lines)),
        ("topics/v2.avsc", schema),
        ("topics/v1.avsc", &schema.replace("long", "int")),
    ]);
    let config = folder.load();
    let files = config.topics[0].reading.schemas.iter();
    let names: Vec<_> = files
        .map(|f| f.file.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["v2.avsc", "v1.avsc"]);
}

#[test]
fn a_schema_follows_its_predecessor_by_the_topics_rule() {
    let schema = |more: &str| {
        format!(r#"{{"type":"record","name":"V","fields":[{{"name":"id","type":"long"}}{more}]}}"#)
    };
    let problems = |rule: &str, before: &str, now: &str| {
        let lines = format!("schema = \"v2.avsc\"\nformer_schemas = [\"v1.avsc\"]\n{rule}");
        Folder::with(&[
            ("topics/users.toml", &topic("json", &lines)),
            ("topics/v2.avsc", now),
            ("topics/v1.avsc", before),
        ])
        .problems(&[])
    };
    let (small, large) = (schema(""), schema(r#",{"name":"n","type":"int"}"#));
    let optional = schema(r#",{"name":"n","type":"int","default":0}"#);
    let backward = problems("", &small, &large);
    assert!(
        backward.len() == 1
            && backward[0].starts_with(
                "topics/v2.avsc: as the successor of topics/v1.avsc it is not backward compatible: the field `n`"
            ),
        "{backward:?}"
    );
    let forward = "compatibility = \"forward\"";
    assert!(problems(forward, &small, &large).is_empty());
    assert!(problems(forward, &large, &small)[0].contains("not forward compatible: the field `n`"));
    let full = "compatibility = \"full\"";
    assert!(problems(full, &small, &optional).is_empty());
    assert!(!problems(full, &small, &large).is_empty());
    assert!(!problems(full, &large, &small).is_empty());
    assert!(problems("compatibility = \"none\"", &small, &large).is_empty());
}

#[test]
fn debeziums_avro_needs_a_registry() {
    let folder = Folder::with(&[("topics/users.toml", &topic("debezium-avro", ""))]);
    assert_eq!(
        folder.problems(&[]),
        [
            "topics/users.toml: format \"debezium-avro\" needs a schema registry: set schema_registry.url in the settings"
        ]
    );
    let url = ("TWOLANE_SCHEMA_REGISTRY_URL", "http://r:8081/");
    assert!(folder.problems(&[url]).is_empty());
    let credentials = ("TWOLANE_SCHEMA_REGISTRY_URL", "http://u:secret@r:8081");
    let refused = folder.problems(&[credentials]);
    assert!(refused[0].contains("schema_registry.url holds credentials"));
    assert!(!refused[0].contains("secret"));
    let user = ("TWOLANE_SCHEMA_REGISTRY_USERNAME", "u");
    let alone = Folder::with(&[]).problems(&[user]);
    assert_eq!(
        alone,
        ["TWOLANE_SCHEMA_REGISTRY_USERNAME: schema_registry.username needs schema_registry.url"]
    );
}
