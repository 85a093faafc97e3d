//! Debezium's Avro, with a registry that is away at first.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use twolane::branch::Branch;

use super::registry::Registry;
use crate::lane::rig::{self, Options, Rig};
use crate::stack;

const KEY: &str =
    r#"{"type":"record","name":"Key","namespace":"app","fields":[{"name":"id","type":"long"}]}"#;
const ENVELOPE: &str = r#"{"type":"record","name":"Envelope","namespace":"app","fields":[
    {"name":"before","type":["null",{"type":"record","name":"Value","fields":[
        {"name":"id","type":"long"},
        {"name":"rev","type":"long"},
        {"name":"name","type":["null","string"],"default":null},
        {"name":"born","type":["null",{"type":"int","connect.version":1,"connect.name":"io.debezium.time.Date"}],"default":null}
    ]}],"default":null},
    {"name":"after","type":["null","Value"],"default":null},
    {"name":"op","type":"string"}
]}"#;

/// The registry's id, then the body.
fn framed(id: u32, schema: &str, value: Value) -> Vec<u8> {
    let schema = Schema::parse_str(schema).expect("a schema");
    let writer = GenericDatumWriter::builder(&schema)
        .build()
        .expect("a writer");
    let mut bytes = vec![0];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend(writer.write_value_to_vec(value).expect("a body"));
    bytes
}

fn key(schema: u32, id: i64) -> Vec<u8> {
    framed(
        schema,
        KEY,
        Value::Record(vec![("id".into(), Value::Long(id))]),
    )
}

fn null() -> Value {
    Value::Union(0, Box::new(Value::Null))
}

fn some(value: Value) -> Value {
    Value::Union(1, Box::new(value))
}

fn event(schema: u32, op: &str, row: Option<(i64, i64)>) -> Vec<u8> {
    let after = row.map_or_else(null, |(id, rev)| {
        some(Value::Record(vec![
            ("id".into(), Value::Long(id)),
            ("rev".into(), Value::Long(rev)),
            ("name".into(), some(Value::String("小明".into()))),
            ("born".into(), some(Value::Int(20_512))),
        ]))
    });
    let envelope = vec![
        ("before".into(), null()),
        ("after".into(), after),
        ("op".into(), Value::String(op.into())),
    ];
    framed(schema, ENVELOPE, Value::Record(envelope))
}

fn dead(branches: &[Arc<Branch>]) -> u64 {
    let dead = |b: &Arc<Branch>| b.ledger.tally().dead_lettered.load(Ordering::Relaxed);
    branches.iter().map(dead).sum()
}

#[test]
fn a_registry_that_is_away_is_waited_for_and_an_unknown_id_is_a_dead_letter() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let registry = Registry::start();
        let options = Options {
            format: "format = \"debezium-avro\"\npartitioner = \"murmur2\"",
            settings: format!("[schema_registry]\nurl = \"{}\"", registry.url),
            ..Options::default()
        };
        let rig = Rig::new(&stack, "avro", options).await;
        let key_id = registry.register("t-key", KEY).await;
        let value_id = registry.register("t-value", ENVELOPE).await;
        registry.state.away.store(true, Ordering::SeqCst);
        let lane = rig.start().await;
        let branches = lane.branches();
        for id in 0..20 {
            let row = event(value_id, "c", Some((id, 1)));
            rig.send_to(None, Some(&key(key_id, id)), Some(&row)).await;
        }
        for branch in &branches {
            let what = format!("{} to hold all of them", branch.name);
            rig::until(&what, || async { branch.ledger.pending() == 20 }).await;
        }
        let asked = registry.state.asked.load(Ordering::SeqCst);
        rig::until("the registry to be asked in vain", || async {
            registry.state.asked.load(Ordering::SeqCst) >= asked + 10
        })
        .await;
        assert_eq!(
            dead(&branches),
            0,
            "a registry that is away makes no dead letter"
        );
        for branch in &branches {
            assert_eq!(branch.ledger.pending(), 20, "{} waits", branch.name);
            assert!(!branch.control.is_halted());
        }

        registry.state.away.store(false, Ordering::SeqCst);
        rig::resolved(&branches, 20).await;
        let row = event(value_id, "u", Some((3, 2)));
        rig.send_to(None, Some(&key(key_id, 3)), Some(&row)).await;
        let gone = event(value_id, "d", None);
        rig.send_to(None, Some(&key(key_id, 4)), Some(&gone)).await;
        rig.send_to(None, Some(&key(key_id, 5)), None).await;
        rig::resolved(&branches, 23).await;
        assert_eq!(dead(&branches), 0);
        let (_, source) = rig.document(3).await.expect("a document");
        assert_eq!(source["rev"], 2);
        assert_eq!(source["name"], "小明");
        assert_eq!(source["born"], "2026-02-28");
        assert_eq!(rig.hash(3).await["born"], "2026-02-28");
        for id in [4, 5] {
            let (_, source) = rig.document(id).await.expect("a tombstone");
            assert_eq!(source["_deleted"], true);
            assert!(rig.hash(id).await.is_empty());
        }
        assert_eq!(rig.visible().await, 18);

        let asked = registry.state.asked.load(Ordering::SeqCst);
        let unknown = event(9_999, "u", Some((6, 2)));
        rig.send_to(None, Some(&key(key_id, 6)), Some(&unknown))
            .await;
        let row = event(value_id, "u", Some((7, 2)));
        rig.send_to(None, Some(&key(key_id, 7)), Some(&row)).await;
        rig::resolved(&branches, 25).await;
        assert_eq!(dead(&branches), branches.len() as u64);
        for branch in &branches {
            assert_eq!(
                branch.stats.reasons().get("schema"),
                Some(&1),
                "{}",
                branch.name
            );
        }
        // Once for each branch; what is known is not asked again.
        let now = registry.state.asked.load(Ordering::SeqCst);
        assert_eq!(now - asked, branches.len() as u64);
        assert_eq!(rig.document(6).await.expect("a document").1["rev"], 1);
        assert_eq!(rig.document(7).await.expect("a document").1["rev"], 2);
        lane.stop().await;
    });
}
