//! Rows a second that one thread decodes and projects: an update of 20 columns in every format, 750 bytes as
//! Debezium's JSON, by the thread's own CPU time, so that a busy machine does not count. Beside it, in the same run, what a
//! general library takes to read the same bytes into values of its own, and no more: serde_json's `Value`, apache-avro's.
//! `cargo bench --bench decode`.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use twolane::config::{AvroFile, ColumnType, DocumentSpec, Format, TopicSpec};
use twolane::decode::{self, DebeziumJson, Decoder, SchemaId, Schemas};
use twolane::event::{Batch, Changes, Epoch, Headers, Origin, Position, Record, Shape, Version};
use twolane::transform::{IdTemplate, Projection};

/// Long enough for a steady clock, short enough to be run often.
const FOR: Duration = Duration::from_secs(3);
/// Rows between two looks at the clock; also a batch.
const ROWS: usize = 1000;

/// Different updates, which come round again and again.
const RECORDS: u32 = 64;

const KEY: &str = r#"{"id":123456}"#;
const ROW: &str = r#"{"id":123456,"name":"张小明","nick":"ming","sex":1,"age":31,"city":"Shanghai","level":5,"coins":12840,"exp":99120,"vip":0,"phone":"13800138000","followers":120938,"following":301,"likes":9912034,"balance":"AeJA","birthday":12050,"created":1718000000000,"updated":"2026-11-22T10:11:12Z","rev":77,"status":"ok"}"#;
const SOURCE: &str = r#"{"version":"3.2.0.Final","connector":"mariadb","name":"app","ts_ms":1795393440000,"snapshot":"false","db":"app","sequence":null,"ts_us":1795393440000000,"ts_ns":1795393440000000000,"table":"user_profile","server_id":1,"gtid":"0-1-15","file":"binlog.000001","pos":8895,"row":0,"thread":null,"query":null}"#;

/// CPU time of this thread, or elapsed time where the kernel does not tell.
fn clock(begin: Instant) -> Duration {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .map_or_else(|| begin.elapsed(), Duration::from_nanos)
}

fn topic() -> TopicSpec {
    let columns = [
        (
            "balance",
            ColumnType::Decimal {
                precision: 12,
                scale: 2,
            },
        ),
        ("birthday", ColumnType::Date),
        ("created", ColumnType::DateTime(0)),
        ("updated", ColumnType::Timestamp(0)),
        ("vip", ColumnType::Boolean),
    ];
    TopicSpec {
        name: "app.app.user_profile".into(),
        format: Format::DebeziumJson,
        key: vec!["id".into()],
        partitions: 8,
        epoch: Epoch::new(1).unwrap(),
        replication: None,
        partitioner: None,
        reading: Default::default(),
        config: Default::default(),
        columns: columns
            .into_iter()
            .map(|(n, t)| (n.to_owned(), t))
            .collect(),
        file: Default::default(),
    }
}

/// The topic in another format.
fn topic_as(format: Format) -> TopicSpec {
    let mut topic = TopicSpec { format, ..topic() };
    topic.reading.tables = vec!["app.user_profile".into()];
    topic.reading.zone = "UTC".parse().ok();
    topic.reading.schemas = vec![AvroFile {
        file: Default::default(),
        text: value_schema(),
    }];
    topic
}

/// The row's fields, with what Debezium's schema says of them.
fn columns() -> Vec<(&'static str, &'static str)> {
    let names = ROW[2..]
        .split("\":")
        .map(|part| part.rsplit('"').next().unwrap());
    names
        .take(20)
        .map(|name| {
            let kind = match name {
                "balance" => r#"{"type":"bytes","connect.parameters":{"scale":"2"},"connect.name":"org.apache.kafka.connect.data.Decimal"}"#,
                "birthday" => r#"{"type":"int","connect.name":"io.debezium.time.Date"}"#,
                "created" => r#"{"type":"long","connect.name":"io.debezium.time.Timestamp"}"#,
                "updated" => r#"{"type":"string","connect.name":"io.debezium.time.ZonedTimestamp"}"#,
                "name" | "nick" | "city" | "phone" | "status" => "\"string\"",
                _ => "\"long\"",
            };
            (name, kind)
        })
        .collect()
}

/// The row's schema in Avro.
fn value_schema() -> String {
    let fields: Vec<String> = columns()
        .iter()
        .map(|(name, kind)| format!(r#"{{"name":"{name}","type":{kind}}}"#))
        .collect();
    format!(
        r#"{{"type":"record","name":"Value","namespace":"app","fields":[{}]}}"#,
        fields.join(",")
    )
}

fn envelope_schema() -> String {
    format!(
        r#"{{"type":"record","name":"Envelope","namespace":"app","fields":[{{"name":"before","type":["null",{}]}},{{"name":"after","type":["null","Value"]}},{{"name":"source","type":{{"type":"record","name":"Source","fields":[{{"name":"ts_ms","type":"long"}},{{"name":"file","type":"string"}},{{"name":"pos","type":"long"}}]}}}},{{"name":"op","type":"string"}}]}}"#,
        value_schema()
    )
}

/// A body behind an id.
fn framed(id: u8, schema: &str, value: Value) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    let mut bytes = vec![0, 0, 0, 0, id];
    bytes.extend(writer.write_value_to_vec(value).unwrap());
    bytes
}

fn row_in_avro() -> Value {
    let row: serde_json::Value = serde_json::from_str(ROW).unwrap();
    let fields = columns().into_iter().map(|(name, kind)| {
        let value = match (&row[name], kind) {
            (_, kind) if kind.contains("Decimal") => Value::Bytes(vec![1, 226, 64]),
            (value, kind) if kind.contains("Date") => {
                Value::Int(i32::try_from(value.as_i64().unwrap()).unwrap())
            }
            (serde_json::Value::String(text), _) => Value::String(text.clone()),
            (value, _) => Value::Long(value.as_i64().unwrap()),
        };
        (name.to_owned(), value)
    });
    Value::Record(fields.collect())
}

fn measure(
    what: &str,
    topic: &TopicSpec,
    decoder: &mut impl Decoder,
    (key, values): (&[u8], &[Vec<u8>]),
    project: Option<Shape>,
    peer: Peer<'_>,
) {
    let shape = project.unwrap_or(Shape::Json);
    let id = match shape {
        Shape::Json => IdTemplate::joined(&topic.key),
        Shape::Fields => IdTemplate::parse("profile:{id}", &topic.key).unwrap(),
    };
    let mut projection = Projection::new(topic, &DocumentSpec::default(), shape, id).unwrap();
    let mut batch = Batch::new(shape);
    let position = Position {
        partition: 0,
        offset: 7,
    };
    let origin = Origin {
        position,
        version: Version::new(topic.epoch, 7).unwrap(),
        record: 0,
        committed_ms: 0,
    };
    let records = values.iter().map(|value| Record {
        position,
        timestamp_ms: 0,
        key: Some(key),
        value: Some(value),
        headers: Headers::default(),
    });
    let records: Vec<Record<'_>> = records.collect();
    let begin = Instant::now();
    let (start, mut rows) = (clock(begin), 0_u64);
    while begin.elapsed() < FOR {
        batch.clear();
        for record in records.iter().cycle().take(ROWS) {
            let record = black_box(record);
            // A branch's worker projects what it has glanced at.
            let changes = match project {
                Some(_) => decoder.glance(record),
                None => decoder.decode(record),
            };
            let Ok(Changes::One(change)) = changes else {
                panic!("a row");
            };
            if project.is_some() {
                projection.write(&change, origin, &mut batch).unwrap();
            } else {
                black_box(&change);
            }
        }
        black_box(&batch);
        rows += ROWS as u64;
    }
    let ours = rows as f64 / (clock(begin) - start).as_secs_f64();
    let begin = Instant::now();
    let (start, mut rows) = (clock(begin), 0_u64);
    while begin.elapsed() < FOR {
        for value in values.iter().cycle().take(ROWS) {
            peer(black_box(value));
        }
        rows += ROWS as u64;
    }
    let theirs = rows as f64 / (clock(begin) - start).as_secs_f64();
    println!(
        "{what:32} {:5} bytes {ours:10.0} rows/s; into values {theirs:10.0}; ratio {:5.2}",
        values[0].len(),
        ours / theirs
    );
}

/// A record's key or value.
type Bytes<'r> = &'r [u8];
/// A general library that reads a record's value.
type Peer<'p> = &'p dyn Fn(&[u8]);

/// JSON as serde_json's values.
fn as_json(value: &[u8]) {
    black_box(serde_json::from_slice::<serde_json::Value>(value).unwrap());
}

/// A body behind an id as apache-avro's values.
fn as_avro(schema: &str) -> impl Fn(&[u8]) + use<> {
    // As long as the bench.
    let schema: &'static Schema = Box::leak(Box::new(Schema::parse_str(schema).unwrap()));
    let reader = GenericDatumReader::builder(schema).build().unwrap();
    move |value| {
        black_box(reader.read_value(&mut &value[5..]).unwrap());
    }
}

fn main() {
    // `cargo test --benches` asks only whether it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let bare: Vec<Vec<u8>> = (0..RECORDS).map(envelope).collect();
    let fields: Vec<String> = columns()
        .iter()
        .map(|(name, kind)| {
            let kind = match *name {
                "balance" => r#""bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}"#,
                "birthday" => r#""int32","name":"io.debezium.time.Date""#,
                "created" => r#""int64","name":"io.debezium.time.Timestamp""#,
                "updated" => r#""string","name":"io.debezium.time.ZonedTimestamp""#,
                _ if *kind == "\"string\"" => *kind,
                _ => r#""int64""#,
            };
            format!(r#"{{"type":{kind},"optional":true,"version":1,"field":"{name}"}}"#)
        })
        .collect();
    let row = fields.join(",");
    let side =
        |name| format!(r#"{{"type":"struct","fields":[{row}],"optional":true,"field":"{name}"}}"#);
    let (before, after) = (side("before"), side("after"));
    let schema = format!(
        r#"{{"type":"struct","fields":[{before},{after}],"name":"app.app.user_profile.Envelope"}}"#
    );
    let wrap = |payload: &Vec<u8>| {
        let head = format!(r#"{{"schema":{schema},"payload":"#);
        [head.as_bytes(), payload, b"}"].concat()
    };
    let wrapped: Vec<Vec<u8>> = bare.iter().map(wrap).collect();
    let debezium = topic();
    let plain = (KEY.as_bytes(), &*bare);
    let mut json = DebeziumJson::default();
    measure("decode", &debezium, &mut json, plain, None, &as_json);
    for (what, shape) in [("document", Shape::Json), ("fields", Shape::Fields)] {
        let what = format!("decode + {what}");
        measure(&what, &debezium, &mut json, plain, Some(shape), &as_json);
    }
    let with_schema = (KEY.as_bytes(), &*wrapped);
    measure(
        "the same with a schema",
        &debezium,
        &mut json,
        with_schema,
        Some(Shape::Json),
        &as_json,
    );

    let schemas = Arc::<Schemas>::default();
    let key_schema = r#"{"type":"record","name":"Key","fields":[{"name":"id","type":"long"}]}"#;
    let envelope = Value::Record(vec![
        ("before".into(), Value::Union(0, Box::new(Value::Null))),
        ("after".into(), Value::Union(1, Box::new(row_in_avro()))),
        (
            "source".into(),
            Value::Record(vec![
                ("ts_ms".into(), Value::Long(1_795_393_440_000)),
                ("file".into(), Value::String("binlog.000001".into())),
                ("pos".into(), Value::Long(8895)),
            ]),
        ),
        ("op".into(), Value::String("u".into())),
    ]);
    let avro_key = Value::Record(vec![("id".into(), Value::Long(123_456))]);
    let avro_key = framed(2, key_schema, avro_key);
    let avro_value = framed(1, &envelope_schema(), envelope);
    let avro_event = framed(3, &value_schema(), row_in_avro());
    schemas.insert(SchemaId::Number(1), envelope_schema());
    schemas.insert(SchemaId::Number(2), key_schema);
    schemas.insert(SchemaId::Number(3), value_schema());
    let canal = canal();
    let maxwell = maxwell();
    let (envelopes, events) = (as_avro(&envelope_schema()), as_avro(&value_schema()));
    let records: [(Format, Bytes<'_>, Bytes<'_>, Peer<'_>); 5] = [
        (Format::DebeziumAvro, &avro_key, &avro_value, &envelopes),
        (Format::CanalJson, b"", canal.as_bytes(), &as_json),
        (Format::MaxwellJson, b"", maxwell.as_bytes(), &as_json),
        (Format::Avro, b"", &avro_event, &events),
        (Format::Json, b"", ROW.as_bytes(), &as_json),
    ];
    for (format, key, value, peer) in records {
        let mut topic = topic_as(format);
        if format == Format::Json {
            // Its schema has decimals in digits.
            topic.columns.clear();
            topic.reading.schemas[0].text = value_schema()
                .replace("org.apache.kafka.connect.data.Decimal", "bytes")
                .replace("io.debezium.time.", "x");
        }
        let mut decoder = Boxed(decode::decoder(&topic, &schemas));
        let what = format!("{}: decode + document", format.name());
        measure(
            &what,
            &topic,
            &mut decoder,
            (key, &[value.to_vec()]),
            Some(Shape::Json),
            peer,
        );
    }
}

/// A decoder as the lane has it.
struct Boxed(Box<dyn Decoder>);

impl Decoder for Boxed {
    fn decode<'a>(
        &mut self,
        record: &Record<'a>,
    ) -> Result<Changes<'a>, twolane::decode::DecodeError> {
        self.0.decode(record)
    }

    fn glance<'a>(
        &mut self,
        record: &Record<'a>,
    ) -> Result<Changes<'a>, twolane::decode::DecodeError> {
        self.0.glance(record)
    }
}

/// Debezium's envelope around an update, with its row's and its position's digits for `n`.
fn envelope(n: u32) -> Vec<u8> {
    let row = ROW
        .replace(":12840,", &format!(":{},", 12_840 + 77 * n))
        .replace("\"rev\":77", &format!("\"rev\":{n}"))
        .replace("ming", ["ming", "xiao ming", "m"][n as usize % 3]);
    let source = SOURCE
        .replace(":8895,", &format!(":{},", 8_895 + 911 * n))
        .replace("0-1-15", &format!("0-1-{}", 15 + n))
        .replace(
            "1795393440000",
            &format!("{}", 1_795_393_440_000_u64 + 1000 * u64::from(n)),
        );
    format!(
        r#"{{"before":null,"after":{row},"source":{source},"transaction":null,"op":"u","ts_ms":{}}}"#,
        1_795_393_440_248_u64 + 1001 * u64::from(n)
    )
    .into_bytes()
}

/// The row as Canal has it, every value a string.
fn canal() -> String {
    let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(ROW).unwrap();
    let mut data = Vec::new();
    let mut types = Vec::new();
    for (name, value) in &row {
        let (kind, text) = match (name.as_str(), value) {
            ("balance", _) => ("decimal(12,2)", "1234.56".to_owned()),
            ("birthday", _) => ("date", "2002-12-29".into()),
            ("created", _) => ("datetime", "2024-06-10 06:13:20".into()),
            ("updated", _) => ("timestamp", "2026-11-22 10:11:12".into()),
            ("vip", _) => ("tinyint(1)", "0".into()),
            (_, serde_json::Value::String(text)) => ("varchar(64)", text.clone()),
            (_, value) => ("bigint", value.to_string()),
        };
        data.push(format!("\"{name}\":\"{text}\""));
        types.push(format!("\"{name}\":\"{kind}\""));
    }
    format!(
        r#"{{"data":[{{{}}}],"database":"app","es":1795393440000,"id":7,"isDdl":false,"mysqlType":{{{}}},"old":[{{"rev":"76"}}],"pkNames":["id"],"sql":"","table":"user_profile","ts":1795393440248,"type":"UPDATE"}}"#,
        data.join(","),
        types.join(",")
    )
}

/// The row as Maxwell has it.
fn maxwell() -> String {
    let data = ROW
        .replace("\"AeJA\"", "1234.56")
        .replace(":12050", ":\"2002-12-29\"")
        .replace(":1718000000000", ":\"2024-06-10 06:13:20\"")
        .replace("2026-11-22T10:11:12Z", "2026-11-22 10:11:12");
    format!(
        r#"{{"database":"app","table":"user_profile","type":"update","ts":1795393440,"xid":23396,"commit":true,"data":{data},"old":{{"rev":76}}}}"#
    )
}
