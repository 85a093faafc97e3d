//! A fixed input, and what the lane does with it: decode, project into a batch, and encode the bulk body.

use std::sync::Arc;

use twolane::config::{ColumnType, DocumentSpec, Format, TopicSpec};
use twolane::decode::{self, Decoder};
use twolane::event::{Batch, Changes, Epoch, Headers, Origin, Position, Record, Shape, Version};
use twolane::sink::elasticsearch::bulk_body;
use twolane::transform::{IdTemplate, Projection};

/// Different records, which come round again and again.
const RECORDS: u32 = 64;
/// Documents in a body.
const BATCH: usize = 500;

/// A worker's share of an event's way, with its memory.
pub struct Work {
    records: Vec<(Vec<u8>, Vec<u8>)>,
    topic: TopicSpec,
    decoder: Box<dyn Decoder>,
    projection: Projection,
    batch: Batch,
    select: Vec<u32>,
    body: Vec<u8>,
}

impl Work {
    pub fn new() -> Self {
        let topic = topic();
        let id = IdTemplate::joined(&topic.key);
        Self {
            records: (0..RECORDS).map(record).collect(),
            decoder: decode::decoder(&topic, &Arc::default()),
            projection: Projection::new(&topic, &DocumentSpec::default(), Shape::Json, id)
                .expect("a projection"),
            topic,
            batch: Batch::new(Shape::Json),
            select: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Takes so many events to bodies; gives the bytes of all bodies.
    pub fn run(&mut self, events: usize) -> usize {
        let mut bytes = 0;
        for n in 0..events {
            let (key, value) = &self.records[n % self.records.len()];
            let position = Position {
                partition: 0,
                offset: i64::try_from(n).expect("an offset"),
            };
            let version = Version::new(self.topic.epoch, position.offset).expect("a version");
            let record = Record {
                position,
                timestamp_ms: 0,
                key: Some(key),
                value: Some(value),
                headers: Headers::default(),
            };
            let changes = self.decoder.glance(&record).expect("a change");
            let Changes::One(change) = changes else {
                panic!("one change");
            };
            let origin = Origin {
                position,
                version,
                record: 0,
                committed_ms: change.source.committed_ms,
            };
            let write = self.projection.write(&change, origin, &mut self.batch);
            self.select.push(write.expect("a document"));
            if self.select.len() == BATCH || n + 1 == events {
                self.body.clear();
                let items = bulk_body(&self.batch, &self.select, &mut self.body);
                assert_eq!(items, self.select.len());
                bytes += self.body.len();
                self.batch.clear();
                self.select.clear();
            }
        }
        bytes
    }
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
    let columns = columns.into_iter().map(|(n, t)| (n.to_owned(), t));
    TopicSpec {
        name: "app.app.user_profile".into(),
        format: Format::DebeziumJson,
        key: vec!["id".into()],
        partitions: 8,
        epoch: Epoch::new(1).expect("an epoch"),
        replication: None,
        partitioner: None,
        reading: Default::default(),
        config: Default::default(),
        columns: columns.collect(),
        file: Default::default(),
    }
}

/// Key and value of an update, as Debezium writes it without schemas.
fn record(n: u32) -> (Vec<u8>, Vec<u8>) {
    let key = format!(r#"{{"id":{}}}"#, 100_000 + n);
    let row = format!(
        r#"{{"id":{},"name":"张小明","nick":"ming \"{n}\"","sex":1,"age":31,"city":"Shanghai","level":5,"coins":{},"exp":99120,"vip":0,"phone":"13800138000","followers":120938,"following":301,"likes":9912034,"balance":"AeJA","birthday":{},"created":1718000000000,"updated":"2026-11-22T10:11:12Z","rev":{n},"status":null}}"#,
        100_000 + n,
        n * 77,
        12_000 + n,
    );
    let source = r#"{"version":"3.2.0.Final","connector":"mariadb","name":"app","ts_ms":1795393440000,"snapshot":"false","db":"app","sequence":null,"ts_us":1795393440000000,"ts_ns":1795393440000000000,"table":"user_profile","server_id":1,"gtid":"0-1-15","file":"binlog.000001","pos":8895,"row":0,"thread":null,"query":null}"#;
    let value = format!(
        r#"{{"before":null,"after":{row},"source":{source},"transaction":null,"op":"u","ts_ms":1795393440248}}"#
    );
    (key.into_bytes(), value.into_bytes())
}
