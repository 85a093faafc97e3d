use super::*;
use crate::config::{Format, Reading};
use crate::event::{Epoch, Headers, Position};

fn topic(partitions: i32, partitioner: Option<Partitioner>) -> TopicSpec {
    TopicSpec {
        name: "t".into(),
        format: Format::MaxwellJson,
        key: vec!["Id".into(), "k".into()],
        partitions,
        epoch: Epoch::new(1).unwrap(),
        replication: None,
        partitioner,
        config: Default::default(),
        reading: Reading {
            tables: vec!["app.t".into()],
            ..Reading::default()
        },
        columns: Default::default(),
        file: Default::default(),
    }
}

fn decode_as(
    topic: &TopicSpec,
    key: Option<&str>,
    value: Option<&str>,
) -> Result<Vec<String>, DecodeError> {
    let record = Record {
        position: Position {
            partition: 0,
            offset: 0,
        },
        timestamp_ms: 0,
        key: key.map(str::as_bytes),
        value: value.map(str::as_bytes),
        headers: Headers::default(),
    };
    let (rows, stray) = match MaxwellJson::new(topic).decode(&record)? {
        Changes::Pass(pass) => return Ok(vec![pass.reason().to_owned()]),
        Changes::One(row) => (vec![row], None),
        Changes::Many(rows) => (rows, None),
        Changes::Partly { rows, stray } => (rows, Some(stray)),
    };
    let show = |change: &Change<'_>| {
        let SourcePosition {
            file,
            pos,
            committed_ms,
            ..
        } = change.source;
        match (&change.key, &change.after) {
            (Key::Within(_), Some(row)) => format!("{} @{file}:{pos}:{committed_ms}", row.object),
            (Key::Within(key), None) => format!("delete {}", key.object),
            (Key::Alone(key), None) => format!("delete alone {}", key.object),
            (Key::Alone(_), Some(_)) => panic!("a row has its key in it"),
        }
    };
    let mut all: Vec<String> = rows.iter().map(show).collect();
    all.extend(stray.map(|stray| format!("stray: {stray}")));
    Ok(all)
}

fn decode(value: &str) -> Result<Vec<String>, DecodeError> {
    decode_as(&topic(1, None), None, Some(value))
}

fn message(kind: &str, more: &str) -> String {
    format!(r#"{{"database":"app","table":"t","type":"{kind}","ts":1477053217{more}}}"#)
}

#[test]
fn rows_are_changes_with_their_place_in_the_log() {
    let position = r#","position":"master.000006:800911","xid":23396"#;
    let data = format!(r#"{position},"data":{{"Id":1,"k":"a","v":[1]}}"#);
    let row = r#"{"Id":1,"k":"a","v":[1]} @master.000006:800911:1477053217000"#;
    for kind in ["insert", "update", "bootstrap-insert"] {
        assert_eq!(decode(&message(kind, &data)).unwrap(), [row]);
    }
    let plain = message("insert", r#","data":{"Id":1,"k":"a"}"#);
    assert_eq!(
        decode(&plain).unwrap(),
        [r#"{"Id":1,"k":"a"} @:0:1477053217000"#]
    );
    assert_eq!(
        decode(&message("delete", &data)).unwrap(),
        [r#"delete {"Id":1,"k":"a","v":[1]}"#]
    );
}

#[test]
fn what_is_no_row_of_ours_passes() {
    for (kind, reason) in [
        ("bootstrap-start", "bootstrap"),
        ("bootstrap-complete", "bootstrap"),
        ("table-create", "schema_change"),
        ("table-alter", "schema_change"),
        ("table-drop", "schema_change"),
        ("database-create", "schema_change"),
        ("database-alter", "schema_change"),
        ("database-drop", "schema_change"),
    ] {
        assert_eq!(decode(&message(kind, r#","data":{}"#)).unwrap(), [reason]);
    }
    let other = message("insert", r#","data":{"Id":1,"k":"a"}"#).replace("\"t\"", "\"u\"");
    assert_eq!(decode(&other).unwrap(), ["other_table"]);
}

#[test]
fn a_changed_key_is_deleted_only_where_it_lives_in_the_same_partition() {
    let value = message(
        "update",
        r#","data":{"Id":2,"k":"a","v":1},"old":{"Id":1,"v":0}"#,
    );
    let rows = [
        r#"delete {"Id":1,"k":"a"}"#,
        r#"{"Id":2,"k":"a","v":1} @:0:1477053217000"#,
    ];
    assert_eq!(decode(&value).unwrap(), rows);
    let table = topic(8, Some(Partitioner::Table));
    assert_eq!(decode_as(&table, None, Some(&value)).unwrap(), rows);
    let unknown = decode_as(&topic(8, None), None, Some(&value)).unwrap();
    assert_eq!(unknown[0], rows[1]);
    assert!(unknown[1].contains("`partitioner`") && unknown.len() == 2);
    let same = message("update", r#","data":{"Id":2,"k":"a"},"old":{"v":0}"#);
    let topic = topic(8, None);
    assert_eq!(decode_as(&topic, None, Some(&same)).unwrap().len(), 1);
}

#[test]
fn a_null_value_deletes_what_the_key_names_in_either_form() {
    for key in [
        r#"{"database":"app","table":"t","pk.id":7,"pk.k":"a\"b"}"#,
        r#"["app","t",[{"id":7},{"k":"a\"b"}]]"#,
    ] {
        for value in [None, Some("null")] {
            let deleted = decode_as(&topic(1, None), Some(key), value).unwrap();
            assert_eq!(deleted, [r#"delete alone {"Id":7,"k":"a\"b"}"#]);
        }
    }
    let other = r#"["app","u",[]]"#;
    let passed = decode_as(&topic(1, None), Some(other), None).unwrap();
    assert_eq!(passed, ["other_table"]);
    for key in [
        None,
        Some(r#"{"database":"app","table":"t","_uuid":"dd0e6bc3"}"#),
        Some(r#"{"database":"app","table":"t","pk.other":7}"#),
        Some(r#"{"id":7}"#),
        Some(r#"["app"]"#),
        Some("7"),
    ] {
        let error = decode_as(&topic(1, None), key, None).unwrap_err();
        assert_eq!(error.reason, Reason::Key, "{key:?}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_reason() {
    for (value, reason, says) in [
        ("{".to_owned(), Reason::Malformed, "cut off"),
        (r#"{"op":"c"}"#.into(), Reason::Envelope, "`type`"),
        (message("insert", ""), Reason::Envelope, "`data`"),
        (
            message("insert", r#","data":"x""#),
            Reason::Envelope,
            "encrypt",
        ),
        (
            message("insert", r#","data":{"id":1},"primary_key_columns":["id"]"#),
            Reason::Key,
            "primary key is id",
        ),
    ] {
        let error = decode(&value).unwrap_err();
        assert_eq!(error.reason, reason, "{value}: {error}");
        assert!(error.detail.contains(says), "{error}");
    }
}
