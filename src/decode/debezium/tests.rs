use super::*;
use crate::event::{Headers, Position, WireType};
use proptest::prelude::*;

const KEY: &str = r#"{"id":7}"#;

fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Record<'a> {
    Record {
        position: Position {
            partition: 0,
            offset: 0,
        },
        timestamp_ms: 0,
        key,
        value,
        headers: Headers::default(),
    }
}

fn decode(value: &str) -> Result<Changes<'_>, DecodeError> {
    DebeziumJson::default().decode(&record(Some(KEY.as_bytes()), Some(value.as_bytes())))
}

fn one(value: &str) -> Change<'_> {
    match decode(value) {
        Ok(Changes::One(change)) => change,
        other => panic!("{value}: {other:?}"),
    }
}

/// What the record's key has.
fn alone<'k, 'a>(key: &'k Key<'a>) -> &'k Row<'a> {
    match key {
        Key::Alone(row) => row,
        Key::Within(_) => panic!("Debezium's records have keys of their own"),
    }
}

fn reason(value: &str) -> Reason {
    decode(value).unwrap_err().reason
}

fn pass(value: &str) -> Pass {
    match decode(value) {
        Ok(Changes::Pass(pass)) => pass,
        other => panic!("{value}: {other:?}"),
    }
}

#[test]
fn rows_are_upserts_whatever_wrote_them() {
    for op in ["c", "u", "r"] {
        let value = format!(
            r#"{{"before":null,"after":{{"id":7}},"source":{{"file":"b.1","pos":9,"row":2,"ts_ms":5,"snapshot":true}},"op":"{op}"}}"#
        );
        let change = one(&value);
        assert_eq!(change.op, Op::Upsert);
        assert_eq!(alone(&change.key).object, KEY);
        let row = change.after.unwrap();
        assert_eq!(row.object, r#"{"id":7}"#);
        assert!(row.schema.is_none());
        assert_eq!(
            change.source,
            SourcePosition {
                file: "b.1",
                pos: 9,
                row: 2,
                committed_ms: 5
            }
        );
    }
}

#[test]
fn a_source_of_an_old_version_or_none_is_taken() {
    for source in [
        "",
        r#""source":null,"#,
        r#""source":{},"#,
        r#""source":{"file":null,"pos":null,"snapshot":"first"},"#,
    ] {
        let value = format!(r#"{{{source}"after":{{"id":7}},"op":"c"}}"#);
        assert_eq!(one(&value).source, SourcePosition::default(), "{source}");
    }
}

#[test]
fn deletes_tombstones_and_json_nulls_all_delete() {
    let mut decoder = DebeziumJson::default();
    let values: [Option<&[u8]>; 5] = [
        None,
        Some(br#"{"before":{"id":7},"after":null,"op":"d"}"#),
        Some(b"null"),
        Some(br#"{"schema":null,"payload":null}"#),
        Some(br#"{"schema":{"type":"struct"},"payload":{"op":"d","before":{"id":7}}}"#),
    ];
    for value in values {
        let Ok(Changes::One(change)) = decoder.decode(&record(Some(KEY.as_bytes()), value)) else {
            panic!("a delete");
        };
        assert_eq!((change.op, change.after.is_none()), (Op::Delete, true));
    }
}

#[test]
fn debeziums_other_records_pass_without_a_key() {
    for (value, why) in [
        (r#"{"ts_ms":1}"#, Pass::Heartbeat),
        (
            r#"{"ts_ms":1,"ts_us":1000,"ts_ns":1000000}"#,
            Pass::Heartbeat,
        ),
        (
            r#"{"schema":{"type":"struct","fields":[{"type":"int64","field":"ts_ms"}]},"payload":{"ts_ms":1}}"#,
            Pass::Heartbeat,
        ),
        (
            r#"{"status":"END","id":"x","ts_ms":1,"event_count":2,"data_collections":[]}"#,
            Pass::Transaction,
        ),
        (
            r#"{"source":{},"ts_ms":1,"databaseName":"a","schemaName":null,"ddl":"x","tableChanges":[]}"#,
            Pass::SchemaChange,
        ),
        (r#"{"op":"t","source":{},"ts_ms":1}"#, Pass::Truncate),
        (
            r#"{"op":"m","message":{"prefix":"p","content":""}}"#,
            Pass::Message,
        ),
    ] {
        assert_eq!(pass(value), why);
        let no_key = DebeziumJson::default().decode(&record(None, Some(value.as_bytes())));
        assert!(matches!(no_key, Ok(Changes::Pass(p)) if p == why));
    }
}

#[test]
fn what_is_no_envelope_is_told_from_what_is_no_json() {
    for value in [
        "5",
        "[]",
        r#""text""#,
        "{}",
        r#"{"id":7,"name":"x"}"#,
        r#"{"op":"x","after":{}}"#,
        r#"{"op":"c"}"#,
        r#"{"op":"u","after":null}"#,
        r#"{"op":"r","after":5}"#,
        r#"{"op":7,"after":{}}"#,
        r#"{"op":"c","after":{},"source":5}"#,
        r#"{"op":"c","after":{},"source":{"pos":"x"}}"#,
        r#"{"payload":5}"#,
        r#"{"op":"c","op":"c","after":{}}"#,
        r#"{"op":"c","after":{},"after":{}}"#,
        r#"{"before":{},"before":{},"op":"c","after":{}}"#,
        r#"{"op":"c","after":{},"source":{"pos":1,"pos":1}}"#,
        r#"{"payload":{"op":"c","after":{},"after":{}}}"#,
        r#"{"payload":null,"payload":null}"#,
        r#"{"schema":5,"payload":{"op":"c","after":{}}}"#,
    ] {
        assert_eq!(reason(value), Reason::Envelope, "{value}");
    }
    for value in [
        "",
        " ",
        "{",
        "not json",
        r#"{"op":"c","after":{"id":"#,
        r#"{"op":"c","after":{"id":7}"#,
        r#"{"op":"c","after":{"id":7}} x"#,
        r#"{"op":"c","after":{"id":07}}"#,
        r#"{"op":"c","after":{"id":7,}}"#,
        r#"{"\ud800":1,"op":"c","after":{}}"#,
        "\u{feff}{}",
    ] {
        assert_eq!(reason(value), Reason::Malformed, "{value}");
    }
    let not_utf8 =
        br#"{"op":"c","before":"\x80","after":{}}"#.map(|b| if b == b'x' { 0xff } else { b });
    let error = DebeziumJson::default()
        .decode(&record(Some(KEY.as_bytes()), Some(&not_utf8)))
        .unwrap_err();
    assert_eq!(error.reason, Reason::Malformed);
}

#[test]
fn no_depth_of_nesting_overflows_the_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(reason(&deep), Reason::Envelope);
    assert_eq!(reason(&"[".repeat(100_000)), Reason::Envelope);
    assert_eq!(reason(&r#"{"payload":"#.repeat(100_000)), Reason::Malformed);
    assert_eq!(
        reason(&format!(r#"{{"op":"c","after":{deep}}}"#)),
        Reason::Envelope
    );
    assert_eq!(
        reason(&format!(
            r#"{{"op":"c","after":{{"a":{}"#,
            "[".repeat(100_000)
        )),
        Reason::Malformed
    );
    // What is skipped is only checked to be JSON.
    assert_eq!(
        one(&format!(r#"{{"op":"c","after":{{}},"before":{deep}}}"#)).op,
        Op::Upsert
    );
    let objects = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    let error = DebeziumJson::default()
        .decode(&record(Some(deep.as_bytes()), None))
        .unwrap_err();
    assert_eq!(error.reason, Reason::Key);
    assert!(
        DebeziumJson::default()
            .decode(&record(Some(objects.as_bytes()), None))
            .is_ok()
    );
}

#[test]
fn a_row_without_a_usable_key_is_refused() {
    let value = br#"{"op":"c","after":{"id":7}}"#;
    for key in [
        "5",
        r#""x""#,
        "null",
        "[]",
        r#"{"schema":{"type":"int32"},"payload":5}"#,
    ] {
        let decoded = DebeziumJson::default().decode(&record(Some(key.as_bytes()), Some(value)));
        match decoded {
            Err(error) => assert_eq!(error.reason, Reason::Key, "{key}"),
            // Not a wrapper, so a key of the columns `schema` and `payload`: the transform's to refuse.
            Ok(Changes::One(change)) => assert_eq!(alone(&change.key).object, key),
            Ok(other) => panic!("{other:?}"),
        }
    }
    for key in [
        None,
        Some(&b""[..]),
        Some(b"{"),
        Some(b"\xff"),
        Some(b"{} x"),
    ] {
        assert!(
            DebeziumJson::default()
                .decode(&record(key, Some(value)))
                .is_err()
        );
        assert!(DebeziumJson::default().decode(&record(key, None)).is_err());
    }
}

#[test]
fn a_wrapper_is_seen_record_by_record_and_for_keys_apart() {
    let schema = r#"{"type":"struct","fields":[{"type":"struct","fields":[{"type":"int32","name":"io.debezium.time.Date","field":"d"}],"field":"after"}]}"#;
    let key_schema = r#"{"type":"struct","fields":[{"type":"int64","field":"id"}]}"#;
    let wrapped = format!(r#"{{"schema":{schema},"payload":{{"op":"c","after":{{"d":1}}}}}}"#);
    let turned = format!(r#"{{ "payload": {{"op":"c","after":{{"d":1}}}}, "schema": {schema} }}"#);
    let key = format!(r#"{{"schema":{key_schema},"payload":{KEY}}}"#);
    let bare = r#"{"op":"c","after":{"d":1}}"#;
    let mut decoder = DebeziumJson::default();
    let mut schemas = Vec::new();
    for (key, value, has_schema) in [
        (KEY, bare, false),
        (&key, &wrapped, true),
        (KEY, &wrapped, true),
        (&key, bare, false),
        (&key, &turned, true),
    ] {
        let Ok(Changes::One(change)) =
            decoder.decode(&record(Some(key.as_bytes()), Some(value.as_bytes())))
        else {
            panic!("a change");
        };
        assert_eq!(alone(&change.key).object, KEY);
        assert_eq!(alone(&change.key).schema.is_some(), key.len() > KEY.len());
        let row = change.after.unwrap();
        assert_eq!(row.object, r#"{"d":1}"#);
        assert_eq!(row.schema.is_some(), has_schema);
        schemas.extend(row.schema);
    }
    assert_eq!(schemas[0].get("d"), Some(&WireType::Date));
    assert!(
        schemas
            .iter()
            .all(|s| std::sync::Arc::ptr_eq(s, &schemas[0]))
    );
}

#[test]
fn a_known_schema_does_not_hide_a_broken_rest() {
    let schema = r#"{"type":"struct","fields":[]}"#;
    let good = format!(r#"{{"schema":{schema},"payload":{{"op":"c","after":{{}}}}}}"#);
    let mut decoder = DebeziumJson::default();
    for cut in 1..=good.len() {
        let whole = record(Some(KEY.as_bytes()), Some(good.as_bytes()));
        assert!(decoder.decode(&whole).is_ok());
        let text = &good.as_bytes()[..cut];
        let decoded = decoder.decode(&record(Some(KEY.as_bytes()), Some(text)));
        assert_eq!(decoded.is_ok(), cut == good.len(), "{cut}");
    }
    for rest in ["}", "x", ",\"payload\":null", " {}"] {
        let text = format!("{good}{rest}");
        let decoded = decoder.decode(&record(Some(KEY.as_bytes()), Some(text.as_bytes())));
        assert_eq!(decoded.unwrap_err().reason, Reason::Malformed, "{rest}");
    }
}

#[test]
fn a_glance_knows_endings_with_a_schema_and_without() {
    let schema = r#"{"type":"struct","fields":[{"field":"after","type":"struct","fields":[{"field":"id","type":"int64"}]}]}"#;
    let text = |wrapped: bool, id: &str, pos: u64| {
        let payload = format!(
            r#"{{"before":null,"after":{{"id":{id}}},"source":{{"file":"b.000001","pos":{pos},"ts_ms":5}},"op":"u"}}"#
        );
        match wrapped {
            true => format!(r#"{{"schema":{schema},"payload":{payload}}}"#),
            false => payload,
        }
    };
    for wrapped in [true, false] {
        let mut decoder = DebeziumJson::default();
        // The first two are new: one as a text, and one as a payload behind a known schema.
        for (n, (id, pos)) in [("1", 10), ("2", 20), ("3x", 35), ("[4]", 47)]
            .into_iter()
            .enumerate()
        {
            let text = text(wrapped, id, pos);
            let glanced = decoder.glance(&record(Some(KEY.as_bytes()), Some(text.as_bytes())));
            let Ok(Changes::One(change)) = glanced else {
                panic!("{text}");
            };
            let row = change.after.unwrap();
            assert_eq!(row.object, format!(r#"{{"id":{id}}}"#));
            assert_eq!((change.source.pos, change.source.file), (pos, "b.000001"));
            assert!(n < 2 || !row.checked, "{text}");
        }
        let broken = text(wrapped, "3x", 35);
        let decoded = decoder.decode(&record(Some(KEY.as_bytes()), Some(broken.as_bytes())));
        assert_eq!(decoded.unwrap_err().reason, Reason::Malformed);
    }
}

#[test]
fn columns_named_like_a_wrapper_are_a_key() {
    let key = r#"{"schema":1,"payload":"x"}"#;
    let mut decoder = DebeziumJson::default();
    let Ok(Changes::One(change)) = decoder.decode(&record(Some(key.as_bytes()), None)) else {
        panic!("a delete");
    };
    assert_eq!(alone(&change.key).object, key);
}

#[test]
fn no_message_shows_a_value() {
    for value in [
        r#"{"op":"secret"}"#,
        r#"{"op":"c","after":"secret"}"#,
        r#"{"op":"c","source":"secret"}"#,
        r#"{"op":"c","source":{"pos":"secret"}}"#,
        r#""secret""#,
        r#"{"op":"c","after":{"a":"secret"}"#,
    ] {
        let error = decode(value).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(key: Vec<u8>, value: Vec<u8>) {
        let _ = DebeziumJson::default().decode(&record(Some(&key), Some(&value)));
    }
}
