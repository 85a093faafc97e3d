use std::borrow::Cow;
use std::sync::Arc;

use super::*;
use crate::config::{ColumnType, Format, Mask};
use crate::event::{Body, Epoch, Position, RowSchema, SourcePosition, TimeUnit, Version, WireType};

mod ids;
mod properties;
mod refusals;

const ORIGIN_MS: i64 = 5;

fn topic(key: &[&str], columns: &[(&str, ColumnType)]) -> TopicSpec {
    TopicSpec {
        name: "t".into(),
        format: Format::DebeziumJson,
        key: key.iter().map(|k| (*k).to_owned()).collect(),
        partitions: 1,
        epoch: Epoch::new(1).unwrap(),
        replication: None,
        partitioner: None,
        config: Default::default(),
        reading: Default::default(),
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

/// Writes one change; gives its id and its document as text: JSON, or `name=value;`, or `deleted`. The key has
/// the row's schema.
fn write(
    projection: &mut Projection,
    key: &str,
    after: Option<&str>,
    schema: Option<&Arc<RowSchema>>,
) -> Result<(String, String), DecodeError> {
    let row = |object| Row {
        object: Cow::Borrowed(object),
        checked: true,
        schema: schema.cloned(),
    };
    let change = Change {
        op: if after.is_some() {
            Op::Upsert
        } else {
            Op::Delete
        },
        key: Key::Alone(row(key)),
        after: after.map(row),
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
        Body::Fields(fields) => batch
            .fields(*fields)
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
