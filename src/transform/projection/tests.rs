use std::sync::Arc;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::config::{ColumnType, Format, Mask};
use crate::event::{Body, Epoch, Position, RowSchema, SourcePosition, TimeUnit, Version, WireType};

const ORIGIN_MS: i64 = 5;

fn topic(key: &[&str], columns: &[(&str, ColumnType)]) -> TopicSpec {
    TopicSpec {
        name: "t".into(),
        format: Format::DebeziumJson,
        key: key.iter().map(|k| (*k).to_owned()).collect(),
        partitions: 1,
        epoch: Epoch::new(1).unwrap(),
        partitioner: None,
        config: Default::default(),
        columns: columns
            .iter()
            .map(|(n, t)| ((*n).to_owned(), t.clone()))
            .collect(),
        file: Default::default(),
    }
}

fn document(rename: &[(&str, &str)], omit: &[&str], mask: &[(&str, Mask)]) -> DocumentSpec {
    let mut document = DocumentSpec::default();
    document.rename.extend(
        rename
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned())),
    );
    document.omit.extend(omit.iter().map(|c| (*c).to_owned()));
    document
        .mask
        .extend(mask.iter().map(|(c, m)| ((*c).to_owned(), *m)));
    document
}

fn projection(topic: &TopicSpec, document: &DocumentSpec, shape: Shape) -> Projection {
    Projection::new(topic, document, shape, IdTemplate::joined(&topic.key)).unwrap()
}

fn origin() -> Origin {
    Origin {
        position: Position {
            partition: 0,
            offset: 9,
        },
        version: Version::new(Epoch::new(1).unwrap(), 9).unwrap(),
        record: 3,
        committed_ms: ORIGIN_MS,
    }
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

/// Writes one change; gives its id and its document as text: JSON, or `name=value;`, or `deleted`. The key has
/// the row's schema.
fn write(
    projection: &mut Projection,
    key: &str,
    after: Option<&str>,
    schema: Option<&Arc<RowSchema>>,
) -> Result<(String, String), DecodeError> {
    let (key, after) = (raw(key), after.map(raw));
    let row = |object| Row {
        object,
        schema: schema.cloned(),
    };
    let change = Change {
        op: if after.is_some() {
            Op::Upsert
        } else {
            Op::Delete
        },
        key: Key(row(&key)),
        after: after.as_deref().map(row),
        source: SourcePosition::default(),
    };
    let mut batch = Batch::new(projection.shape);
    let written = projection.write(&change, origin(), &mut batch);
    let Ok(at) = written else {
        assert_eq!(
            (batch.bytes(), batch.writes().len()),
            (0, 0),
            "a failed write leaves nothing"
        );
        return Err(written.unwrap_err());
    };
    let write = &batch.writes()[at as usize];
    assert_eq!((write.record, write.committed_ms), (3, ORIGIN_MS));
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let body = match batch.body(write) {
        Body::Json(span) => utf8(batch.slice(*span)),
        Body::Fields(range) => batch
            .fields(range)
            .map(|(name, value)| format!("{}={};", utf8(name), utf8(value)))
            .collect(),
        Body::Delete => "deleted".into(),
    };
    Ok((batch.id(write).to_owned(), body))
}

/// The document of a row with the key `{"id":1}`.
fn row(projection: &mut Projection, after: &str) -> Result<String, DecodeError> {
    write(projection, r#"{"id":1}"#, Some(after), None).map(|(_, body)| body)
}

#[track_caller]
fn refused(projection: &mut Projection, after: &str, reason: Reason, says: &str) {
    let error = row(projection, after).unwrap_err();
    assert_eq!(error.reason, reason, "{error}");
    assert!(error.detail.contains(says), "{error}");
}

#[test]
fn a_row_becomes_a_document_in_either_shape() {
    let topic = topic(
        &["id"],
        &[
            ("d", ColumnType::Date),
            ("j", ColumnType::Json),
            ("s", ColumnType::Set(vec!["x".into(), "y".into()])),
        ],
    );
    let document = document(
        &[("name", "fullName")],
        &["secret"],
        &[
            ("phone", Mask::Last4),
            ("mail", Mask::Sha256),
            ("nick", Mask::Redact),
        ],
    );
    let after = r#"{"id":1,"name":"a\n\"é","secret":"x","d":0,"j":"{\"a\":[1]}","s":"x,y","phone":"13800138000","mail":"abc","nick":null,"n":null,"b":true,"f":1.5}"#;
    let mut json = projection(&topic, &document, Shape::Json);
    assert_eq!(
        row(&mut json, after).unwrap(),
        r#"{"id":1,"fullName":"a\n\"é","d":"1970-01-01","j":{"a":[1]},"s":["x","y"],"phone":"***8000","mail":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","nick":null,"n":null,"b":true,"f":1.5}"#
    );
    let mut fields = projection(&topic, &document, Shape::Fields);
    assert_eq!(
        row(&mut fields, after).unwrap(),
        "id=1;fullName=a\n\"é;d=1970-01-01;j={\"a\":[1]};s=[\"x\",\"y\"];phone=***8000;mail=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad;b=true;f=1.5;"
    );
}

#[test]
fn a_mask_is_of_the_converted_value_and_of_json_as_its_text() {
    let topic = topic(&["id"], &[("d", ColumnType::Date), ("j", ColumnType::Json)]);
    let masks = document(
        &[],
        &[],
        &[("d", Mask::Last4), ("j", Mask::Last4), ("t", Mask::Last4)],
    );
    let mut json = projection(&topic, &masks, Shape::Json);
    assert_eq!(
        row(
            &mut json,
            r#"{"id":1,"d":20512,"j":"{\"a\":\"\\\"\"}","t":"123456\"\n"}"#
        )
        .unwrap(),
        r#"{"id":1,"d":"***2-28","j":"***\\\"\"}","t":"***"}"#
    );
}

#[test]
fn a_delete_has_only_its_id() {
    let topic = topic(&["id"], &[]);
    for shape in [Shape::Json, Shape::Fields] {
        let mut projection = projection(&topic, &DocumentSpec::default(), shape);
        let written = write(&mut projection, r#"{"id":"x"}"#, None, None).unwrap();
        assert_eq!(written, ("x".to_owned(), "deleted".to_owned()));
    }
}

#[test]
fn the_order_of_columns_and_new_ones_change_nothing() {
    let topic = topic(&["id"], &[("d", ColumnType::Date)]);
    let mut projection = projection(&topic, &DocumentSpec::default(), Shape::Json);
    for _ in 0..2 {
        for (after, expected) in [
            (r#"{"id":1,"d":0}"#, r#"{"id":1,"d":"1970-01-01"}"#),
            (r#"{"d":0,"id":1}"#, r#"{"d":"1970-01-01","id":1}"#),
            (
                r#"{"id":1,"new":2,"d":null}"#,
                r#"{"id":1,"new":2,"d":null}"#,
            ),
            (r#"{"\u0069d":1,"d":0}"#, r#"{"id":1,"d":"1970-01-01"}"#),
            (r#"{ "id" : 1 , "d" : 0 }"#, r#"{"id":1,"d":"1970-01-01"}"#),
        ] {
            assert_eq!(row(&mut projection, after).unwrap(), expected);
        }
    }
}

#[test]
fn a_row_image_without_a_declared_column_is_partial() {
    let topic = topic(&["id"], &[("d", ColumnType::Date), ("e", ColumnType::Date)]);
    let omit = document(&[], &["e"], &[]);
    let mut projection = projection(&topic, &omit, Shape::Json);
    for (after, column) in [
        (r#"{"d":0,"e":0}"#, "`id`"),
        (r#"{"id":1,"e":0}"#, "`d`"),
        (r#"{"id":1,"d":0}"#, "`e`"),
        ("{}", "`d`"),
    ] {
        refused(&mut projection, after, Reason::PartialRow, column);
        refused(
            &mut projection,
            after,
            Reason::PartialRow,
            "binlog_row_image=FULL",
        );
    }
    let unavailable = r#"{"id":1,"d":0,"e":0,"t":"__debezium_unavailable_value"}"#;
    refused(&mut projection, unavailable, Reason::PartialRow, "`t`");
    assert_eq!(
        row(&mut projection, r#"{"id":1,"d":0,"e":0}"#).unwrap(),
        r#"{"id":1,"d":"1970-01-01"}"#
    );
}

#[test]
fn the_lanes_own_fields_are_not_a_rows() {
    let plain = topic(&["id"], &[]);
    let mut untouched = projection(&plain, &DocumentSpec::default(), Shape::Fields);
    for name in ["_v", "_deleted", "_deleted_at"] {
        let after = format!(r#"{{"id":1,"{name}":null}}"#);
        refused(&mut untouched, &after, Reason::FieldName, name);
        refused(
            &mut untouched,
            &after,
            Reason::FieldName,
            "rename the column",
        );
        let renamed = document(&[(name, "x")], &[], &[]);
        assert!(row(&mut projection(&plain, &renamed, Shape::Fields), &after).is_ok());
        let omitted = document(&[], &[name], &[]);
        assert!(row(&mut projection(&plain, &omitted, Shape::Fields), &after).is_ok());
        let to = document(&[("x", name)], &[], &[]);
        let joined = IdTemplate::joined(&plain.key);
        assert!(Projection::new(&plain, &to, Shape::Json, joined).is_err());
    }
}

#[test]
fn two_columns_are_never_one_field() {
    let plain = topic(&["id"], &[("b", ColumnType::Text)]);
    let new = |document: &DocumentSpec| {
        Projection::new(
            &plain,
            document,
            Shape::Json,
            IdTemplate::joined(&plain.key),
        )
    };
    assert!(
        new(&document(&[("a", "b")], &[], &[]))
            .unwrap_err()
            .contains("`a`")
    );
    assert!(new(&document(&[("a", "c"), ("b", "c")], &[], &[])).is_err());
    assert!(new(&document(&[("a", "b"), ("b", "a")], &[], &[])).is_ok());
    assert!(new(&document(&[("a", "b")], &["b"], &[])).is_ok());
    let mut late = new(&document(&[("a", "c")], &[], &[])).unwrap();
    let renamed = r#"{"id":1,"b":"","a":1}"#;
    assert_eq!(row(&mut late, renamed).unwrap(), r#"{"id":1,"b":"","c":1}"#);
    let collides = r#"{"id":1,"b":"","a":1,"c":1}"#;
    refused(&mut late, collides, Reason::FieldName, "`a`");
    assert!(row(&mut late, renamed).is_ok());
}

#[test]
fn a_column_twice_and_rows_beyond_the_limits_are_refused() {
    let plain = topic(&["id"], &[]);
    let mut json = projection(&plain, &DocumentSpec::default(), Shape::Json);
    refused(
        &mut json,
        r#"{"id":1,"id":1}"#,
        Reason::Envelope,
        "`id` twice",
    );
    refused(
        &mut json,
        r#"{"id":1,"a":1,"\u0061":1}"#,
        Reason::Envelope,
        "`a` twice",
    );
    let wide = |n: usize| {
        let columns: String = (0..n).map(|i| format!(r#","c{i}":1"#)).collect();
        format!(r#"{{"id":1{columns}}}"#)
    };
    assert!(row(&mut json, &wide(999)).is_ok());
    refused(&mut json, &wide(1000), Reason::Limit, "1000");
    let nested = wide(999).replace(r#""c5":1"#, r#""c5":{"x":1}"#);
    refused(&mut json, &nested, Reason::Limit, "1000");
    let deep = |n: usize| format!(r#"{{"id":1,"a":{}{}}}"#, "[".repeat(n), "]".repeat(n));
    assert!(row(&mut json, &deep(63)).is_ok());
    refused(&mut json, &deep(64), Reason::Limit, "`a`");
    refused(&mut json, &deep(100_000), Reason::Limit, "64");
    refused(
        &mut json,
        r#"{"id":1,"a":"\ud83c"}"#,
        Reason::Malformed,
        "`a`",
    );
    refused(
        &mut json,
        r#"{"id":1,"a":["\ud83c"]}"#,
        Reason::Malformed,
        "`a`",
    );
    refused(
        &mut json,
        r#"{"id":1,"\ud83c":1}"#,
        Reason::Malformed,
        "a column's name",
    );
}

#[test]
fn names_without_end_do_not_grow_the_plan_without_end() {
    let plain = topic(&["id"], &[]);
    let mut json = projection(&plain, &DocumentSpec::default(), Shape::Json);
    for i in 0..6000 {
        let after = format!(r#"{{"id":1,"c{i}":1}}"#);
        assert_eq!(row(&mut json, &after).unwrap(), after);
    }
    assert!(json.plans[0].len() <= 4096);
}

#[test]
fn a_wrong_value_names_the_column_and_both_types_but_not_itself() {
    let topic = topic(
        &["id"],
        &[(
            "t_dec",
            ColumnType::Decimal {
                precision: 20,
                scale: 4,
            },
        )],
    );
    let mut json = projection(&topic, &DocumentSpec::default(), Shape::Json);
    let after = r#"{"id":1,"t_dec":{"secret":"secret"}}"#;
    refused(&mut json, after, Reason::ColumnType, "`t_dec`");
    refused(&mut json, after, Reason::ColumnType, "decimal(20,4)");
    refused(&mut json, after, Reason::ColumnType, "an object");
    for after in [
        after,
        r#"{"id":1,"t_dec":"secret"}"#,
        r#"{"id":1,"t_dec":"\ud83csecret"}"#,
    ] {
        let error = row(&mut json, after).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn the_records_schema_types_what_is_undeclared_and_may_not_contradict() {
    let topic = topic(&["id"], &[("d", ColumnType::DateTime(0))]);
    let mut json = projection(&topic, &DocumentSpec::default(), Shape::Json);
    let schema = |unit| {
        Arc::new(RowSchema::new(vec![
            ("id".into(), WireType::Integer),
            ("d".into(), WireType::DateTime(unit)),
            ("e".into(), WireType::Date),
        ]))
    };
    let (millis, micros) = (schema(TimeUnit::Millis), schema(TimeUnit::Micros));
    let contradicts = Arc::new(RowSchema::new(vec![("d".into(), WireType::Date)]));
    let key = r#"{"id":1}"#;
    for _ in 0..2 {
        for (schema, after, expected) in [
            (
                None,
                r#"{"id":1,"d":1000,"e":1}"#,
                r#"{"id":1,"d":"1970-01-01T00:00:01","e":1}"#,
            ),
            (
                Some(&millis),
                r#"{"id":1,"d":1000,"e":1}"#,
                r#"{"id":1,"d":"1970-01-01T00:00:01","e":"1970-01-02"}"#,
            ),
            (
                Some(&micros),
                r#"{"id":1,"d":1000000,"e":1}"#,
                r#"{"id":1,"d":"1970-01-01T00:00:01","e":"1970-01-02"}"#,
            ),
        ] {
            assert_eq!(
                write(&mut json, key, Some(after), schema).unwrap().1,
                expected
            );
        }
        let error = write(
            &mut json,
            key,
            Some(r#"{"id":1,"d":null}"#),
            Some(&contradicts),
        )
        .unwrap_err();
        assert_eq!(error.reason, Reason::ColumnType);
        assert!(
            error.detail.contains("datetime(0)") && error.detail.contains("a date"),
            "{error}"
        );
        let error = write(
            &mut json,
            key,
            Some(r#"{"id":1,"d":0,"e":"x"}"#),
            Some(&millis),
        )
        .unwrap_err();
        assert!(
            error.detail.contains("a date by the record's own schema"),
            "{error}"
        );
    }
}

#[test]
fn plans_of_more_schemas_than_are_kept_are_made_anew() {
    let topic = topic(&["id"], &[]);
    let mut json = projection(&topic, &DocumentSpec::default(), Shape::Json);
    let schemas: Vec<_> = (0..PLANS + 3)
        .map(|_| Arc::new(RowSchema::new(vec![("e".into(), WireType::Date)])))
        .collect();
    for _ in 0..2 {
        for schema in &schemas {
            let after = Some(r#"{"id":1,"e":0}"#);
            let (_, body) = write(&mut json, r#"{"id":1}"#, after, Some(schema)).unwrap();
            assert_eq!(body, r#"{"id":1,"e":"1970-01-01"}"#);
        }
    }
    assert_eq!(json.plans.len(), PLANS);
}

#[test]
fn ids_are_of_all_and_only_the_keys_columns_in_declared_order() {
    let topic = topic(
        &["id", "k2", "d"],
        &[("id", ColumnType::BigUnsigned), ("d", ColumnType::Date)],
    );
    let mut json = projection(&topic, &DocumentSpec::default(), Shape::Json);
    let mut id = |key: &str| write(&mut json, key, None, None).map(|(id, _)| id);
    assert_eq!(
        id(r#"{"id":-1,"k2":"a-b","d":0}"#).unwrap(),
        "18446744073709551615,a-b,1970-01-01"
    );
    assert_eq!(
        id(r#"{"d":0,"k2":"a\u002cb","id":1}"#).unwrap(),
        "1,a%2Cb,1970-01-01"
    );
    assert_eq!(
        id(r#"{"id":1,"k2":true,"d":0}"#).unwrap(),
        "1,true,1970-01-01"
    );
    for (key, says) in [
        (r#"{"id":1,"k2":"x"}"#, "lacks the column `d`"),
        (r#"{"id":1,"k2":"x","d":0,"e":1}"#, "the column `e`"),
        (r#"{"id":1,"k2":"x","d":0,"id":1}"#, "`id` is there twice"),
        (r#"{"id":1,"k2":null,"d":0}"#, "`k2` is null"),
        (
            r#"{"id":1,"k2":{"a":1},"d":0}"#,
            "`k2` is null or no single value",
        ),
        (r#"{"id":1,"k2":["a"],"d":0}"#, "`k2`"),
        ("{}", "lacks the column `id`"),
    ] {
        let error = id(key).unwrap_err();
        assert_eq!(error.reason, Reason::Key, "{key}");
        assert!(error.detail.contains(says), "{key}: {error}");
    }
    assert_eq!(
        id(r#"{"id":"x","k2":"x","d":0}"#).unwrap_err().reason,
        Reason::ColumnType
    );
    assert_eq!(
        id(r#"{"id":1,"k2":"\ud83c","d":0}"#).unwrap_err().reason,
        Reason::Malformed
    );
    assert_eq!(id(r#"{"id":1,"k2":"x","d":0}"#).unwrap(), "1,x,1970-01-01");
}

#[test]
fn an_id_does_not_depend_on_whether_the_record_has_a_schema() {
    let topic = topic(
        &["id", "d"],
        &[(
            "id",
            ColumnType::Decimal {
                precision: 10,
                scale: 0,
            },
        )],
    );
    let mut json = projection(&topic, &DocumentSpec::default(), Shape::Json);
    let schema = Arc::new(RowSchema::new(vec![
        ("id".into(), WireType::Decimal { scale: 0 }),
        ("d".into(), WireType::Date),
    ]));
    let key = r#"{"id":"Bw==","d":20512}"#;
    for schema in [None, Some(&schema), None] {
        assert_eq!(write(&mut json, key, None, schema).unwrap().0, "7,20512");
    }
    let contradicts = Arc::new(RowSchema::new(vec![("id".into(), WireType::Text)]));
    let digits = write(
        &mut json,
        r#"{"id":"7","d":20512}"#,
        None,
        Some(&contradicts),
    );
    assert_eq!(digits.unwrap().0, "7,20512");
    let contradicts = Arc::new(RowSchema::new(vec![("id".into(), WireType::Date)]));
    let error = write(&mut json, key, None, Some(&contradicts)).unwrap_err();
    assert_eq!(error.reason, Reason::ColumnType);
}

#[test]
fn a_template_of_another_key_is_refused() {
    let topic = topic(&["id"], &[]);
    let other = IdTemplate::joined(&["k".to_owned()]);
    assert!(Projection::new(&topic, &DocumentSpec::default(), Shape::Json, other).is_err());
}

fn leaf() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
        prop::collection::vec(any::<u8>(), 0..3).prop_map(Into::into),
    ]
}

proptest! {
    #[test]
    fn an_undeclared_row_is_the_same_json_afterwards(
        rows in prop::collection::vec(prop::collection::hash_map("[a-e\"\\\\é]{1,2}", leaf(), 0..6), 1..5), pretty: bool
    ) {
        let topic = topic(&["id"], &[]);
        let mut json = projection(&topic, &DocumentSpec::default(), Shape::Json);
        for columns in rows {
            let mut object: serde_json::Map<_, _> = columns.into_iter().collect();
            object.insert("id".into(), 1.into());
            let object = serde_json::Value::Object(object);
            let text = if pretty { serde_json::to_string_pretty(&object).unwrap() } else { object.to_string() };
            let document = row(&mut json, &text).unwrap();
            prop_assert!(!document.contains(['\n', '\r']));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&document).unwrap(), object);
        }
    }

    #[test]
    fn no_two_keys_have_one_id(
        a in prop::collection::vec("[a,%\"\\\\é\u{0}]{0,3}|%empty", 2), b in prop::collection::vec("[a,%\"\\\\é\u{0}]{0,3}|%empty", 2)
    ) {
        let topic = topic(&["x", "y"], &[]);
        let template = IdTemplate::parse("p:{y}/{x}", &topic.key).unwrap();
        let mut redis = Projection::new(&topic, &DocumentSpec::default(), Shape::Fields, template).unwrap();
        let mut elastic = projection(&topic, &DocumentSpec::default(), Shape::Json);
        let key = |k: &[String]| serde_json::json!({"x": k[0], "y": k[1]}).to_string();
        for projection in [&mut redis, &mut elastic] {
            let left = write(projection, &key(&a), None, None).unwrap().0;
            let right = write(projection, &key(&b), None, None).unwrap().0;
            prop_assert_eq!(left == right, a == b);
        }
    }
}
