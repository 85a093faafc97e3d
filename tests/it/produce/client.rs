//! The library's own type.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use twolane::produce::{Limits, Outgoing, Producer};

use super::desk::Desk;
use crate::lane::rig;
use crate::stack;

const BYTES: usize = 1 << 20;

#[test]
fn a_full_queue_makes_the_sender_wait_and_loses_nothing() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let desk = Desk::new(&stack, "queue", "json", 3).await;
        let limits = Limits {
            bytes: BYTES,
            records: 200,
            linger: Duration::from_millis(5),
            delivery: rig::PATIENCE,
        };
        let producer = Producer::new(&desk.config().settings.kafka, limits).expect("a producer");
        let value = vec![b'x'; 10_000];
        let mut acked = stream::iter(0..5_000_u32)
            .map(|n| {
                let (producer, desk, value) = (&producer, &desk, &value);
                async move {
                    let record = Outgoing {
                        topic: &desk.topic,
                        key: Some(&n.to_be_bytes()),
                        value: Some(value),
                        headers: None,
                    };
                    let receipt = producer.send(record).await.expect("sent");
                    assert!(producer.pending_bytes() <= BYTES);
                    receipt.await.expect("acknowledged")
                }
            })
            // Far more than fit.
            .buffer_unordered(2_000)
            .collect::<Vec<_>>()
            .await;
        producer.idle().await;
        assert_eq!(producer.pending_bytes(), 0);
        let key = |acked: &twolane::produce::Acked| (acked.partition, acked.offset);
        acked.sort_by_key(key);
        acked.dedup_by_key(|acked| key(acked));
        assert_eq!(acked.len(), 5_000);
        assert_eq!(desk.records().await.len(), 5_000);
    });
}
