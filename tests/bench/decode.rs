//! Rows a second that one thread decodes and projects: a Debezium update of 750 bytes and 20 columns, and the
//! same with a schema around it, by the thread's own CPU time, so that a busy machine does not count.
//! `cargo bench --bench decode`.
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use twolane::config::{ColumnType, DocumentSpec, Format, TopicSpec};
use twolane::decode::{DebeziumJson, Decoder};
use twolane::event::{Batch, Changes, Epoch, Headers, Origin, Position, Record, Shape, Version};
use twolane::transform::{IdTemplate, Projection};

/// Long enough for a steady clock, short enough to be run often.
const FOR: Duration = Duration::from_secs(3);
/// Rows between two looks at the clock; also a batch.
const ROWS: u64 = 1000;

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

fn measure(what: &str, key: &str, value: &str, project: Option<Shape>) {
    let topic = topic();
    let mut decoder = DebeziumJson::default();
    let shape = project.unwrap_or(Shape::Json);
    let id = match shape {
        Shape::Json => IdTemplate::joined(&topic.key),
        Shape::Fields => IdTemplate::parse("profile:{id}", &topic.key).unwrap(),
    };
    let mut projection = Projection::new(&topic, &DocumentSpec::default(), shape, id).unwrap();
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
    let record = Record {
        position,
        timestamp_ms: 0,
        key: Some(key.as_bytes()),
        value: Some(value.as_bytes()),
        headers: Headers::default(),
    };
    let begin = Instant::now();
    let (start, mut rows) = (clock(begin), 0);
    while begin.elapsed() < FOR {
        batch.clear();
        for _ in 0..ROWS {
            let Changes::One(change) = decoder.decode(black_box(&record)).unwrap() else {
                panic!("a row");
            };
            if project.is_some() {
                projection.write(&change, origin, &mut batch).unwrap();
            } else {
                black_box(&change);
            }
        }
        black_box(&batch);
        rows += ROWS;
    }
    let a_second = rows as f64 / (clock(begin) - start).as_secs_f64();
    println!("{what:32} {:5} bytes {:10.0} rows/s", value.len(), a_second);
}

fn main() {
    // `cargo test --benches` asks only whether it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let bare = format!(
        r#"{{"before":null,"after":{ROW},"source":{SOURCE},"transaction":null,"op":"u","ts_ms":1795393440248}}"#
    );
    let names = ROW[2..]
        .split("\":")
        .map(|part| part.rsplit('"').next().unwrap());
    let fields: Vec<String> = names
        .take(20)
        .map(|name| {
            let kind = match name {
                "balance" => r#""bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}"#,
                "birthday" => r#""int32","name":"io.debezium.time.Date""#,
                "created" => r#""int64","name":"io.debezium.time.Timestamp""#,
                "updated" => r#""string","name":"io.debezium.time.ZonedTimestamp""#,
                "name" | "nick" | "city" | "phone" | "status" => r#""string""#,
                _ => r#""int64""#,
            };
            format!(r#"{{"type":{kind},"optional":true,"version":1,"field":"{name}"}}"#)
        })
        .collect();
    let row = fields.join(",");
    let side =
        |name| format!(r#"{{"type":"struct","fields":[{row}],"optional":true,"field":"{name}"}}"#);
    let (before, after) = (side("before"), side("after"));
    let wrapped = format!(
        r#"{{"schema":{{"type":"struct","fields":[{before},{after}],"name":"app.app.user_profile.Envelope"}},"payload":{bare}}}"#
    );
    measure("decode", KEY, &bare, None);
    measure("decode + document", KEY, &bare, Some(Shape::Json));
    measure("decode + fields", KEY, &bare, Some(Shape::Fields));
    measure(
        "with a schema: decode + document",
        KEY,
        &wrapped,
        Some(Shape::Json),
    );
}
