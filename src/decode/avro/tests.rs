//! Against the reference implementation, which writes what is read here.

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;

use super::*;
use crate::event::{TimeUnit, WireType};

/// A type of each kind, and a record that may hold itself.
const ALL: &str = r#"{"type":"record","name":"a.b.All","fields":[
    {"name":"null","type":"null"},
    {"name":"bool","type":"boolean"},
    {"name":"int","type":"int"},
    {"name":"long","type":["null","long"],"default":null},
    {"name":"float","type":"float"},
    {"name":"double","type":"double"},
    {"name":"bytes","type":"bytes"},
    {"name":"string","type":"string"},
    {"name":"fixed","type":{"type":"fixed","name":"F","size":3}},
    {"name":"enum","type":{"type":"enum","name":"E","symbols":["A","B"]}},
    {"name":"list","type":{"type":"array","items":"int"}},
    {"name":"map","type":{"type":"map","values":"string"}},
    {"name":"next","type":["null","All"],"default":null}
]}"#;

fn read(schema: &str, body: &[u8]) -> Result<String, Wrong> {
    let schema = AvroSchema::parse(schema).unwrap();
    let mut reader = Reader::new(&schema, body);
    let mut out = Vec::new();
    reader.json(schema.root(), &mut out)?;
    reader.end()?;
    // What skips must come to the same end.
    let mut reader = Reader::new(&schema, body);
    reader.pass(schema.root())?;
    reader.end()?;
    Ok(String::from_utf8(out).unwrap())
}

fn write(schema: &str, value: Value) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    writer.write_value_to_vec(value).unwrap()
}

fn all(long: Option<i64>, next: Option<Value>) -> Value {
    let either = |value: Option<Value>| match value {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(value) => Value::Union(1, Box::new(value)),
    };
    let fields = [
        ("null", Value::Null),
        ("bool", Value::Boolean(true)),
        ("int", Value::Int(-7)),
        ("long", either(long.map(Value::Long))),
        ("float", Value::Float(1.1)),
        ("double", Value::Double(-2.25e300)),
        ("bytes", Value::Bytes(vec![0, 255, 16])),
        ("string", Value::String("é🍼\"\n".into())),
        ("fixed", Value::Fixed(3, vec![1, 2, 3])),
        ("enum", Value::Enum(1, "B".into())),
        ("list", Value::Array(vec![Value::Int(1), Value::Int(-2)])),
        (
            "map",
            Value::Map([("k\"".to_owned(), Value::String("v".into()))].into()),
        ),
        ("next", either(next)),
    ];
    Value::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

fn shown(long: &str, next: &str) -> String {
    format!(
        r#"{{"null":null,"bool":true,"int":-7,"long":{long},"float":1.1,"double":-2.25e300,"bytes":"AP8Q","string":"é🍼\"\n","fixed":"AQID","enum":"B","list":[1,-2],"map":{{"k\"":"v"}},"next":{next}}}"#
    )
}

#[test]
fn every_type_becomes_json() {
    let body = write(ALL, all(Some(i64::MIN), Some(all(None, None))));
    let inner = shown("null", "null");
    assert_eq!(read(ALL, &body), Ok(shown("-9223372036854775808", &inner)));
    for cut in 0..body.len() {
        assert!(read(ALL, &body[..cut]).is_err(), "{cut}");
    }
    let mut longer = body;
    longer.push(0);
    assert_eq!(read(ALL, &longer), Err(Wrong::Length));
}

#[test]
fn arrays_in_several_blocks_with_and_without_their_sizes_are_read() {
    // Two items with their size of 2 bytes, one without, the end.
    let body = [3, 4, 2, 4, 2, 6, 0];
    let ints = r#"{"type":"array","items":"int"}"#;
    assert_eq!(read(ints, &body).as_deref(), Ok("[1,2,3]"));
}

#[test]
fn what_a_body_says_of_itself_is_not_believed() {
    let nulls = r#"{"type":"array","items":"null"}"#;
    // 2^40 nulls, which take no byte.
    let many = [0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0];
    assert!(matches!(read(nulls, &many), Err(Wrong::Limit(_))));
    // A string of 2^62 bytes.
    let long = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    assert_eq!(read("\"string\"", &long), Err(Wrong::Length));
    let negative = [1];
    assert_eq!(read("\"bytes\"", &negative), Err(Wrong::Length));
    let eleven = [0xff; 11];
    assert!(matches!(read("\"long\"", &eleven), Err(Wrong::Content(_))));
    let int = write("\"long\"", Value::Long(1 << 40));
    assert!(matches!(read("\"int\"", &int), Err(Wrong::Content(_))));
    assert!(matches!(read("\"boolean\"", &[2]), Err(Wrong::Content(_))));
    assert!(matches!(read(r#"["null"]"#, &[2]), Err(Wrong::Content(_))));
    let nan = f64::NAN.to_le_bytes();
    assert!(matches!(read("\"double\"", &nan), Err(Wrong::Content(_))));
    // A record that holds itself for ever takes no byte either.
    let endless = r#"{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}"#;
    assert!(matches!(read(endless, &[]), Err(Wrong::Limit(_))));
    // Long names make much of little.
    let name = "n".repeat(10_000);
    let large = format!(
        r#"{{"type":"array","items":{{"type":"record","name":"R","fields":[{{"name":"{name}","type":"null"}}]}}}}"#
    );
    let thousand = [0xd0, 0x0f, 0];
    assert!(matches!(read(&large, &thousand), Err(Wrong::Limit(_))));
}

#[test]
fn the_types_beside_a_field_are_known_by_their_names() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"dec","type":["null",{"type":"bytes","scale":4,"precision":20,"connect.version":1,"connect.parameters":{"scale":"4","connect.decimal.precision":"20"},"connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null},
        {"name":"bits","type":{"type":"bytes","connect.parameters":{"length":"13"},"connect.name":"io.debezium.data.Bits"}},
        {"name":"time","type":{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTime"}},
        {"name":"date","type":{"type":"int","logicalType":"date"}},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"local","type":{"type":"long","connect.name":"org.apache.kafka.connect.data.Timestamp","logicalType":"timestamp-millis"}},
        {"name":"short","type":{"type":"int","connect.type":"int16"}},
        {"name":"either","type":["int","string"]},
        {"name":"own","type":{"type":{"type":"string"}}}
    ]}"#;
    let schema = AvroSchema::parse(schema).unwrap();
    let row = AvroSchema::row_schema(schema.record(schema.root()).unwrap());
    for (name, wire) in [
        ("dec", WireType::Decimal { scale: 4 }),
        ("bits", WireType::Bits { length: 13 }),
        ("time", WireType::Time(TimeUnit::Micros)),
        ("date", WireType::Date),
        ("at", WireType::Instant(TimeUnit::Millis)),
        ("local", WireType::DateTime(TimeUnit::Millis)),
        ("short", WireType::Integer),
        ("either", WireType::Nested),
        ("own", WireType::Text),
    ] {
        assert_eq!(row.get(name), Some(&wire), "{name}");
    }
}

#[test]
fn what_is_no_schema_is_refused() {
    for text in [
        "",
        "7",
        "\"unknown\"",
        "{}",
        r#"{"type":"array"}"#,
        r#"{"type":"fixed","name":"F"}"#,
        r#"{"type":"record","name":"R"}"#,
        r#"{"type":"record","fields":[]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#,
        r#"[{"type":"fixed","name":"F","size":1},{"type":"fixed","name":"F","size":1}]"#,
        r#"{"type":"record","name":"R","fields":[{"name":"d","type":{"type":"bytes","logicalType":"decimal","scale":99}}]}"#,
    ] {
        assert!(AvroSchema::parse(text).is_err(), "{text}");
    }
    let deep = format!("{}\"int\"{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(AvroSchema::parse(&deep).is_err());
}

#[test]
fn plain_json_is_checked_field_by_field() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"id","type":"long"},
        {"name":"n","type":["null","int"],"default":null},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]},"default":"A"},
        {"name":"list","type":{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"x","type":"double"}]}}},
        {"name":"b","type":["null",{"type":"fixed","name":"F","size":2}]}
    ]}"#;
    let schema = AvroSchema::parse(schema).unwrap();
    let right = r#"{"id":1,"n":2,"e":"B","list":[{"x":1},{"x":2.5}],"b":"AQI="}"#;
    assert_eq!(schema.check_json(right), Ok(()));
    assert_eq!(schema.check_json(r#"{"id":1,"list":[]}"#), Ok(()));
    for (text, says) in [
        ("[]", "the event must be an object"),
        (r#"{"list":[]}"#, "the field `id` is missing"),
        (
            r#"{"id":1.5,"list":[]}"#,
            "the field `id` must be an integer of 64 bits",
        ),
        (
            r#"{"id":1,"id":2,"list":[]}"#,
            "the field `id` is there twice",
        ),
        (
            r#"{"id":1,"n":"x","list":[]}"#,
            "the field `n` must be an integer of 32 bits",
        ),
        (r#"{"id":1,"n":3000000000,"list":[]}"#, "32 bits"),
        (
            r#"{"id":1,"e":"C","list":[]}"#,
            "the field `e` must be one of A, B",
        ),
        (
            r#"{"id":1,"list":[{"x":1},{"x":"secret"}]}"#,
            "the field `list[1].x` must be a number",
        ),
        (
            r#"{"id":1,"list":[{}]}"#,
            "the field `list[0].x` is missing",
        ),
        (r#"{"id":1,"list":[],"b":"AQ=="}"#, "2 bytes in base64"),
        (
            r#"{"id":1,"list":[],"z":1}"#,
            "the field `z` is not in the schema",
        ),
    ] {
        let wrong = schema.check_json(text).unwrap_err();
        assert!(
            wrong.to_string().contains(says) && !wrong.to_string().contains("secret"),
            "{text}: {wrong}"
        );
    }
}

#[test]
fn columns_are_those_of_a_record() {
    let record = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    assert_eq!(columns(record), Ok(vec!["a".to_owned()]));
    assert!(columns("\"int\"").is_err());
    assert!(columns(r#"{"type":"record","name":"1","fields":[]}"#).is_err());
}

proptest! {
    #[test]
    fn numbers_and_texts_read_as_they_were_written(n: i64, text: String, bytes: Vec<u8>, d: f64) {
        prop_assert_eq!(read("\"long\"", &write("\"long\"", Value::Long(n))), Ok(n.to_string()));
        let string = read("\"string\"", &write("\"string\"", Value::String(text.clone()))).unwrap();
        prop_assert_eq!(serde_json::from_str::<String>(&string).unwrap(), text);
        let base64 = read("\"bytes\"", &write("\"bytes\"", Value::Bytes(bytes.clone()))).unwrap();
        use ::base64::Engine as _;
        let standard = ::base64::engine::general_purpose::STANDARD;
        prop_assert_eq!(base64, format!("\"{}\"", standard.encode(bytes)));
        if d.is_finite() {
            let json = read("\"double\"", &write("\"double\"", Value::Double(d))).unwrap();
            prop_assert_eq!(json.parse::<f64>().unwrap(), d);
        }
    }

    #[test]
    fn arbitrary_bytes_neither_panic_nor_make_what_is_no_json(body: Vec<u8>) {
        for schema in [ALL, r#"{"type":"array","items":["null","long",{"type":"map","values":"float"}]}"#] {
            if let Ok(json) = read(schema, &body) {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok(), "{}", json);
            }
        }
    }
}
