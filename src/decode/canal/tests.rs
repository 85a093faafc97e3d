use super::*;
use crate::config::{Format, Reading};
use crate::event::{Change, Epoch, Headers, Key, Op, Position};

fn topic(partitions: i32, partitioner: Option<Partitioner>) -> TopicSpec {
    TopicSpec {
        name: "t".into(),
        format: Format::CanalJson,
        key: vec!["id".into()],
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

fn decode_in(topic: &TopicSpec, partition: i32, value: &str) -> Result<Vec<String>, DecodeError> {
    let record = Record {
        position: Position {
            partition,
            offset: 0,
        },
        timestamp_ms: 0,
        key: None,
        value: Some(value.as_bytes()),
        headers: Headers::default(),
    };
    let (rows, stray) = match CanalJson::new(topic).decode(&record)? {
        Changes::Pass(pass) => return Ok(vec![pass.reason().to_owned()]),
        Changes::One(row) => (vec![row], None),
        Changes::Many(rows) => (rows, None),
        Changes::Partly { rows, stray } => (rows, Some(stray)),
    };
    let show = |change: &Change<'_>| {
        let Key::Within(key) = &change.key else {
            panic!("Canal's keys are in the row");
        };
        match (change.op, &change.after) {
            (Op::Upsert, Some(row)) => format!("{} @{}", row.object, change.source.committed_ms),
            (Op::Delete, None) => format!("delete {}", key.object),
            _ => panic!("an upsert has a row, a delete has none"),
        }
    };
    let mut all: Vec<String> = rows.iter().map(show).collect();
    all.extend(stray.map(|stray| format!("stray: {stray}")));
    Ok(all)
}

fn decode(value: &str) -> Result<Vec<String>, DecodeError> {
    decode_in(&topic(1, None), 0, value)
}

/// A message of `app.t`, with what is given beside it.
fn message(kind: &str, more: &str) -> String {
    format!(
        r#"{{"database":"app","table":"t","type":"{kind}","es":5,"pkNames":["id"],"mysqlType":{{"id":"bigint","v":"varchar(9)"}},{more}}}"#
    )
}

#[test]
fn every_row_of_a_message_is_a_change_in_its_order() {
    let value = message(
        "INSERT",
        r#""old":null,"data":[{"id":"1","v":"a"},{"id":"2","v":null}]"#,
    );
    assert_eq!(
        decode(&value).unwrap(),
        [r#"{"id":"1","v":"a"} @5"#, r#"{"id":"2","v":null} @5"#]
    );
    let value = message("DELETE", r#""data":[{"id":"1"}]"#);
    assert_eq!(decode(&value).unwrap(), [r#"delete {"id":"1"}"#]);
}

#[test]
fn what_is_no_row_of_ours_passes() {
    for (value, reason) in [
        (
            message("INSERT", r#""data":[{}]"#).replace("app", "other"),
            "other_table",
        ),
        (
            message("ALTER", r#""isDdl":true,"data":null"#),
            "schema_change",
        ),
        (
            message("QUERY", r#""isDdl":true,"data":null"#),
            "schema_change",
        ),
        (
            message("TRUNCATE", r#""isDdl":true,"data":null"#),
            "truncate",
        ),
        (
            message("TRUNCATE", r#""isDdl":true,"data":null"#).replace("\"t\"", "\"u\""),
            "other_table",
        ),
        (message("XACOMMIT", r#""data":null"#), "transaction"),
        (message("MHEARTBEAT", r#""data":null"#), "heartbeat"),
    ] {
        assert_eq!(decode(&value).unwrap(), [reason], "{value}");
    }
}

#[test]
fn a_changed_key_is_deleted_within_one_partition() {
    // `old` lists `id` for both rows, since Canal gathers the changed columns of all of them.
    let value = message(
        "UPDATE",
        r#""data":[{"id":"2","v":"a"},{"id":"7","v":"b"}],"old":[{"id":"1","v":"a"},{"id":"7","v":"x"}]"#,
    );
    let rows = [
        r#"delete {"id":"1"}"#,
        r#"{"id":"2","v":"a"} @5"#,
        r#"{"id":"7","v":"b"} @5"#,
    ];
    assert_eq!(decode(&value).unwrap(), rows);
    let table = topic(8, Some(Partitioner::Table));
    assert_eq!(decode_in(&table, 3, &value).unwrap(), rows);
}

#[test]
fn a_key_that_leaves_another_partition_is_reported_and_not_deleted() {
    // "app" hashes to 96801; XOR with the codes of "1" (49), "3" (51) and "9" (57) gives 96784, 96786 and
    // 96792: partitions 0, 2 and 0 of 8.
    let canal = topic(8, Some(Partitioner::Canal));
    let value = |old: &str| {
        message(
            "UPDATE",
            &format!(r#""data":[{{"id":"1","v":"a"}}],"old":[{{"id":"{old}"}}]"#),
        )
    };
    let row = r#"{"id":"1","v":"a"} @5"#;
    let same = decode_in(&canal, 0, &value("9")).unwrap();
    assert_eq!(same, [r#"delete {"id":"9"}"#, row]);
    let other = decode_in(&canal, 0, &value("3")).unwrap();
    assert_eq!(other[0], row);
    assert!(other[1].contains("lies in another partition") && other.len() == 2);
    let unknown = decode_in(&topic(8, None), 0, &value("9")).unwrap();
    assert_eq!(unknown[0], row);
    assert!(unknown[1].contains("may lie in another partition") && unknown.len() == 2);
}

#[test]
fn a_row_off_its_predicted_partition_is_a_wrong_spec() {
    let canal = topic(8, Some(Partitioner::Canal));
    let value = message("INSERT", r#""data":[{"id":"1","v":"a"}]"#);
    assert!(decode_in(&canal, 0, &value).is_ok());
    let off = decode_in(&canal, 1, &value).unwrap_err();
    assert_eq!(off.reason, Reason::Partition);
    assert!(off.detail.contains("partition 0"), "{off}");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_reason() {
    for (value, reason, says) in [
        (String::new(), Reason::Malformed, "cut off"),
        ("{".into(), Reason::Malformed, "cut off"),
        ("x".into(), Reason::Malformed, "not JSON"),
        ("[]".into(), Reason::Envelope, "another shape"),
        (
            r#"{"op":"c"}"#.into(),
            Reason::Envelope,
            "canal.mq.flatMessage",
        ),
        (
            message("INSERT", r#""data":null"#),
            Reason::Envelope,
            "`data`",
        ),
        (
            message("INSERT", r#""data":[]"#),
            Reason::Envelope,
            "`data`",
        ),
        (
            message("INSERT", r#""data":["x"]"#),
            Reason::Envelope,
            "no object",
        ),
        (
            message("QUERY", r#""data":null"#),
            Reason::Envelope,
            "binlog_format=ROW",
        ),
        (
            message("INSERT", r#""data":[{"id":"1"}]"#).replace("[\"id\"]", "[\"id\",\"k\"]"),
            Reason::Key,
            "primary key is id, k",
        ),
        (
            message("INSERT", r#""data":[{"id":"1"}]"#).replace("\"bigint\"", "7"),
            Reason::Envelope,
            "mysqlType",
        ),
        (
            message("UPDATE", r#""data":[{"id":"1"}],"old":[{"id":"\ud800"}]"#),
            Reason::Malformed,
            "no character",
        ),
    ] {
        let error = decode(&value).unwrap_err();
        assert_eq!(error.reason, reason, "{value}: {error}");
        assert!(error.detail.contains(says), "{error}");
    }
    let tombstone = Record {
        position: Position {
            partition: 0,
            offset: 0,
        },
        timestamp_ms: 0,
        key: None,
        value: None,
        headers: Headers::default(),
    };
    let error = CanalJson::new(&topic(1, None)).decode(&tombstone);
    assert_eq!(error.unwrap_err().reason, Reason::Key);
}
