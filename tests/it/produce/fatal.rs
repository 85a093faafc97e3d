//! A producer whose sequence with a broker is broken is at an end, as librdkafka has it: no order and no once-ness could be
//! promised for what it holds. The next event finds another one.
//!
//! A broker in good order never says so, so the broker here is librdkafka's own, of its tests: a server on a port, which
//! stores what it is sent, and answers a request with an error where it was told to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka_sys::{RDKafkaApiKey, RDKafkaRespErr};
use twolane::config::{LoadOptions, load_settings};
use twolane::produce::{Acked, Limits, Outgoing, Producer};

use super::desk;
use crate::lane::rig;

const TOPIC: &str = "fatal";

#[test]
fn after_a_fatal_error_another_producer_goes_on_and_what_was_not_acknowledged_is_told() {
    rig::system(async {
        let broker = MockCluster::new(1).expect("a broker");
        broker.create_topic(TOPIC, 1, 1).expect("a topic");
        let brokers = broker.bootstrap_servers();
        let options = LoadOptions {
            variables: BTreeMap::from([("TWOLANE_KAFKA_BROKERS".to_owned(), brokers.clone())]),
            ..LoadOptions::default()
        };
        let kafka = load_settings(&options).expect("settings").kafka;
        let limits = Limits {
            bytes: 1 << 20,
            records: 1_000,
            linger: Duration::from_millis(1),
            delivery: rig::PATIENCE,
        };
        let producer = Producer::new(&kafka, limits).expect("a producer");
        let send = async |n: u32| {
            let value = n.to_string();
            let record = Outgoing {
                topic: TOPIC,
                key: Some(b"k"),
                value: Some(value.as_bytes()),
                headers: None,
            };
            producer.send(record).await
        };
        let mut acknowledged: Vec<(u32, Acked)> = Vec::new();
        let mut told = Vec::new();
        for round in 0..3 {
            for n in round * 100..round * 100 + 10 {
                let receipt = send(n).await.expect("it is sent");
                acknowledged.push((n, receipt.await.expect("it is acknowledged")));
            }
            // The oldest request under way is out of order: the two disagree about what was written.
            broker.request_errors(
                RDKafkaApiKey::Produce,
                &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
            );
            let broken = send(round * 100 + 10).await.expect("it is on its way");
            let why = broken.await.expect_err("it is not acknowledged");
            told.push(why.to_string());
            broker.clear_request_errors(RDKafkaApiKey::Produce);
        }
        let last = send(1_000).await.expect("it is sent by another one");
        acknowledged.push((1_000, last.await.expect("it is acknowledged")));
        producer.idle().await;
        assert_eq!(producer.pending_bytes(), 0, "what was given up holds room");
        assert_eq!(told.len(), 3, "{told:?}");

        let there = desk::records(&brokers, TOPIC, 1).await;
        let there: BTreeMap<i64, String> = there
            .iter()
            .map(|record| {
                use rdkafka::message::Message as _;
                let value = record.payload().expect("a value");
                (record.offset(), String::from_utf8_lossy(value).into_owned())
            })
            .collect();
        for (n, acked) in &acknowledged {
            assert_eq!(there.get(&acked.offset), Some(&n.to_string()));
        }
        let values: BTreeSet<&String> = there.values().collect();
        assert_eq!(values.len(), there.len(), "something is there twice");
    });
}
