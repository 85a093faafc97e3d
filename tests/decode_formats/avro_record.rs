//! Debezium's records in Avro, made here: the schemas as Connect's converter derives them, the bodies by the
//! reference implementation.

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use twolane::config::{ColumnType, Format, Reading};
use twolane::decode::{SchemaId, Schemas};
use twolane::event::{Headers, Shape};

use crate::lane::{Lane, column, topic};

/// A column's type in Avro, as Debezium's default settings make it.
fn kind(column: &ColumnType) -> Value {
    let named =
        |kind: &str, name: &str| json!({"type": kind, "connect.version": 1, "connect.name": name});
    match column {
        ColumnType::Integer
        | ColumnType::Unsigned
        | ColumnType::BigUnsigned
        | ColumnType::Boolean => {
            json!("long")
        }
        ColumnType::Decimal { precision, scale } => json!({
            "type": "bytes", "scale": scale, "precision": precision, "connect.version": 1,
            "connect.parameters": {"scale": scale.to_string()},
            "connect.name": "org.apache.kafka.connect.data.Decimal", "logicalType": "decimal",
        }),
        ColumnType::Float => json!("double"),
        ColumnType::Bit(1) => json!("boolean"),
        ColumnType::Bit(n) => json!({
            "type": "bytes", "connect.version": 1, "connect.parameters": {"length": n.to_string()},
            "connect.name": "io.debezium.data.Bits",
        }),
        ColumnType::Text => json!("string"),
        ColumnType::Binary | ColumnType::FixedBinary(_) => json!("bytes"),
        ColumnType::Date => named("int", "io.debezium.time.Date"),
        ColumnType::Time(_) => named("long", "io.debezium.time.MicroTime"),
        ColumnType::DateTime(0..=3) => named("long", "io.debezium.time.Timestamp"),
        ColumnType::DateTime(_) => named("long", "io.debezium.time.MicroTimestamp"),
        ColumnType::Timestamp(_) => named("string", "io.debezium.time.ZonedTimestamp"),
        ColumnType::Year => named("int", "io.debezium.time.Year"),
        ColumnType::Enum(_) => named("string", "io.debezium.data.Enum"),
        ColumnType::Set(_) => named("string", "io.debezium.data.EnumSet"),
        ColumnType::Json => named("string", "io.debezium.data.Json"),
        ColumnType::Geometry => json!({
            "type": "record", "name": "Geometry", "namespace": "io.debezium.data.geometry",
            "connect.name": "io.debezium.data.geometry.Geometry", "fields": [
                {"name": "wkb", "type": "bytes"},
                {"name": "srid", "type": ["null", "int"], "default": null},
            ],
        }),
    }
}

/// The envelope's schema of a table with these columns.
pub fn envelope_of(columns: &[(String, String)]) -> String {
    let fields: Vec<Value> = columns
        .iter()
        .map(|(name, text)| {
            json!({"name": name, "type": ["null", kind(&column(text))], "default": null})
        })
        .collect();
    let envelope = json!({
        "type": "record", "name": "Envelope", "namespace": "app.app.t", "fields": [
            {"name": "before", "type": ["null", {"type": "record", "name": "Value", "fields": fields}], "default": null},
            {"name": "after", "type": ["null", "Value"], "default": null},
            {"name": "source", "type": {"type": "record", "name": "Source", "namespace": "io.debezium.connector.mysql", "fields": [
                {"name": "version", "type": "string"},
                {"name": "ts_ms", "type": "long"},
                {"name": "file", "type": "string"},
                {"name": "pos", "type": "long"},
                {"name": "row", "type": "int"},
            ]}},
            {"name": "op", "type": "string"},
            {"name": "ts_ms", "type": ["null", "long"], "default": null},
        ],
    });
    envelope.to_string()
}

/// The schema of a table with one column.
pub fn envelope() -> String {
    envelope_of(&[("id".to_owned(), "int".to_owned())])
}

/// The schema of the key.
pub fn key() -> String {
    json!({"type": "record", "name": "Key", "namespace": "app.app.t", "fields": [{"name": "id", "type": "int"}]})
        .to_string()
}

/// A column's value, of which Debezium's JSON has this.
fn value(column: &ColumnType, json: &Value) -> Avro {
    let text = || json.as_str().unwrap().to_owned();
    let bytes = |json: &Value| STANDARD.decode(json.as_str().unwrap()).unwrap();
    if json.is_null() {
        return Avro::Union(0, Box::new(Avro::Null));
    }
    let value = match column {
        ColumnType::Integer
        | ColumnType::Unsigned
        | ColumnType::BigUnsigned
        | ColumnType::Boolean => Avro::Long(json.as_i64().unwrap()),
        ColumnType::Time(_) | ColumnType::DateTime(_) => Avro::Long(json.as_i64().unwrap()),
        ColumnType::Date | ColumnType::Year => {
            Avro::Int(i32::try_from(json.as_i64().unwrap()).unwrap())
        }
        ColumnType::Float => Avro::Double(json.as_f64().unwrap()),
        ColumnType::Bit(1) => Avro::Boolean(json.as_bool().unwrap()),
        ColumnType::Decimal { .. } => Avro::Decimal(bytes(json).into()),
        ColumnType::Bit(_) | ColumnType::Binary | ColumnType::FixedBinary(_) => {
            Avro::Bytes(bytes(json))
        }
        ColumnType::Text
        | ColumnType::Timestamp(_)
        | ColumnType::Enum(_)
        | ColumnType::Set(_)
        | ColumnType::Json => Avro::String(text()),
        ColumnType::Geometry => Avro::Record(vec![
            ("wkb".into(), Avro::Bytes(bytes(&json["wkb"]))),
            ("srid".into(), Avro::Union(0, Box::new(Avro::Null))),
        ]),
    };
    Avro::Union(1, Box::new(value))
}

/// A row of which Debezium's JSON has this.
pub fn row(columns: &[(String, String)], json: &Value) -> Avro {
    let fields = columns.iter();
    let fields = fields.map(|(name, text)| (name.clone(), value(&column(text), &json[name])));
    Avro::Record(fields.collect())
}

/// An envelope's value.
pub fn change(op: &str, after: Option<Avro>) -> Avro {
    let none = || Avro::Union(0, Box::new(Avro::Null));
    let source = [
        ("version", Avro::String("3.2.0.Final".into())),
        ("ts_ms", Avro::Long(5)),
        ("file", Avro::String("binlog.000001".into())),
        ("pos", Avro::Long(7609)),
        ("row", Avro::Int(2)),
    ];
    let source = source.map(|(name, value)| (name.to_owned(), value));
    Avro::Record(vec![
        ("before".into(), none()),
        (
            "after".into(),
            after.map_or_else(none, |row| Avro::Union(1, Box::new(row))),
        ),
        ("source".into(), Avro::Record(source.into())),
        ("op".into(), Avro::String(op.into())),
        ("ts_ms".into(), none()),
    ])
}

/// A body.
pub fn body(schema: &str, value: Avro) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    writer.write_value_to_vec(value).unwrap()
}

/// A body behind a registry's id.
pub fn framed(id: u32, schema: &str, value: Avro) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&body(schema, value));
    bytes
}

/// The key of row `id`, behind id 2.
pub fn key_of(id: i32) -> Vec<u8> {
    framed(2, &key(), Avro::Record(vec![("id".into(), Avro::Int(id))]))
}

/// Key and value of a record of the table with one column.
pub fn sound() -> (Vec<u8>, Vec<u8>) {
    let columns = [("id".to_owned(), "int".to_owned())];
    let after = row(&columns, &json!({"id": 7}));
    (key_of(7), framed(1, &envelope(), change("c", Some(after))))
}

fn lane(schemas: &std::sync::Arc<Schemas>) -> Lane {
    let topic = topic(Format::DebeziumAvro, &["id"], &[], Reading::default());
    Lane::with(&topic, Shape::Json, schemas)
}

#[test]
fn a_record_needs_its_schemas_one_after_the_other() {
    let schemas = std::sync::Arc::<Schemas>::default();
    let mut lane = lane(&schemas);
    let (key_bytes, value) = sound();
    let mut take = || lane.take(Some(&key_bytes), Some(&value));
    let first = take().unwrap_err();
    assert_eq!(first.needs, Some(SchemaId::Number(1)));
    assert!(first.detail.contains("id 1"), "{first}");
    schemas.insert(SchemaId::Number(1), envelope());
    assert_eq!(take().unwrap_err().needs, Some(SchemaId::Number(2)));
    schemas.insert(SchemaId::Number(2), key());
    assert_eq!(take().unwrap(), ["7\t{\"id\":7}"]);
}

#[test]
fn guids_and_headers_name_schemas_too() {
    let guid = [7; 16];
    let schemas = std::sync::Arc::<Schemas>::default();
    schemas.insert(SchemaId::Guid(guid), envelope());
    schemas.insert(SchemaId::Number(2), key());
    let columns = [("id".to_owned(), "int".to_owned())];
    let after = row(&columns, &json!({"id": 7}));
    let bare = body(&envelope(), change("u", Some(after)));
    let mut magic = vec![1];
    magic.extend_from_slice(&guid);
    let prefixed = [magic.clone(), bare.clone()].concat();
    let expected = ["7\t{\"id\":7}"];
    let mut lane = lane(&schemas);
    assert_eq!(
        lane.take(Some(&key_of(7)), Some(&prefixed)).unwrap(),
        expected
    );
    let mut packed = Vec::new();
    Headers::push(&mut packed, "__value_schema_id", Some(&magic));
    let headers = Headers::packed(&packed);
    let taken = lane.take_with(Some(&key_of(7)), Some(&bare), headers);
    assert_eq!(taken.unwrap(), expected);
}

#[test]
fn deletes_nulls_and_truncates_are_what_they_are_in_json() {
    let schemas = std::sync::Arc::<Schemas>::default();
    schemas.insert(SchemaId::Number(1), envelope());
    schemas.insert(SchemaId::Number(2), key());
    let mut lane = lane(&schemas);
    let of = |op| framed(1, &envelope(), change(op, None));
    let key = key_of(7);
    assert_eq!(
        lane.take(Some(&key), Some(&of("d"))).unwrap(),
        ["7\tdeleted"]
    );
    assert_eq!(lane.take(Some(&key), None).unwrap(), ["7\tdeleted"]);
    assert_eq!(lane.take(None, Some(&of("t"))).unwrap(), ["pass\ttruncate"]);
    assert_eq!(lane.take(None, Some(&of("m"))).unwrap(), ["pass\tmessage"]);
    let unknown = lane.take(Some(&key), Some(&of("x"))).unwrap_err();
    assert_eq!(unknown.reason.name(), "envelope");
    let no_row = lane.take(Some(&key), Some(&of("c"))).unwrap_err();
    assert_eq!(no_row.reason.name(), "envelope");
    let no_key = lane.take(None, Some(&of("d"))).unwrap_err();
    assert_eq!(no_key.reason.name(), "key");
}

#[test]
fn debeziums_other_records_pass() {
    let schemas = std::sync::Arc::<Schemas>::default();
    for (id, fields, expected) in [
        (10, &["ts_ms"][..], "heartbeat"),
        (11, &["status", "id", "ts_ms"], "transaction"),
        (12, &["ts_ms", "databaseName", "ddl"], "schema_change"),
    ] {
        let fields: Vec<Value> = fields
            .iter()
            .map(|name| json!({"name": name, "type": "long"}))
            .collect();
        let count = fields.len();
        let schema = json!({"type": "record", "name": "Other", "fields": fields}).to_string();
        schemas.insert(SchemaId::Number(id), schema);
        let mut value = vec![0];
        value.extend_from_slice(&id.to_be_bytes());
        value.extend(vec![2; count]);
        let passed = lane(&schemas).take(None, Some(&value)).unwrap();
        assert_eq!(passed, [format!("pass\t{expected}")]);
    }
}

#[test]
fn a_registrys_schema_that_cannot_be_read_is_said_to_be_that() {
    let schemas = std::sync::Arc::<Schemas>::default();
    schemas.insert(SchemaId::Number(1), "nonsense");
    let (key, value) = sound();
    let refused = lane(&schemas).take(Some(&key), Some(&value)).unwrap_err();
    assert_eq!((refused.reason.name(), refused.needs), ("schema", None));
    assert!(refused.detail.contains("id 1"), "{refused}");
}
