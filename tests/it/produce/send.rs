//! `twolane produce`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;

use rdkafka::message::Message as _;
use twolane::decode::{AvroEvents, Decoder as _, Schemas};
use twolane::event::{Changes, Headers, Position, Record};

use super::desk::{Desk, ended, event, key};
use crate::lane::rig;
use crate::{segments, stack};

const EVENTS: u64 = 20_000;

#[test]
fn every_line_is_acknowledged_or_refused_by_its_number_field_and_remedy() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let desk = Desk::new(&stack, "lines", "json", 4).await;
        let mut input = String::new();
        for id in 1..=EVENTS {
            if id == 3 {
                // Lines 3 to 6.
                input += "\n{\"id\":3,\n{\"id\":\"secret\",\"name\":\"x\"}\n{\"name\":\"x\"}\n";
            }
            input += &event(id);
            input += if id % 2 == 0 { "\r\n" } else { "\n" };
        }
        let said = desk.run(&["produce", &desk.topic], input.trim_end());
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_eq!(
            said.out,
            format!("acknowledged {EVENTS}, refused 3\n"),
            "{}",
            said.err
        );
        for expected in [
            "line 4: the event is not JSON",
            "line 5: the field `id` must be an integer of 64 bits: correct the event, or the topic's schema in t.avsc",
            "line 6: the field `id` is missing",
        ] {
            assert!(said.err.contains(expected), "{expected}: {}", said.err);
        }
        assert!(!said.err.contains("secret"), "{}", said.err);
        let records = desk.records().await;
        let values: BTreeSet<Vec<u8>> = records
            .iter()
            .map(|r| r.payload().expect("a value").to_vec())
            .collect();
        let expected: BTreeSet<Vec<u8>> = (1..=EVENTS).map(|id| event(id).into_bytes()).collect();
        assert_eq!((records.len(), values == expected), (expected.len(), true));
        // In the order of the lines, for each partition.
        for partition in 0..desk.partitions {
            let ids: Vec<u64> = records
                .iter()
                .filter(|r| r.partition() == partition)
                .map(|r| key(r)[6..key(r).len() - 1].parse().expect("an id"))
                .collect();
            assert!(ids.is_sorted() && !ids.is_empty(), "partition {partition}");
        }
        segments::assert_lz4_and_idempotent(&stack, &desk.topic, 10);
    });
}

#[test]
fn an_avro_topic_holds_what_the_lane_reads() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let desk = Desk::new(&stack, "avro", "avro", 2).await;
        let said = desk.run(&["produce", &desk.topic], &event(7));
        assert_eq!(
            (said.code, said.out.as_str()),
            (Some(0), "acknowledged 1, refused 0\n")
        );
        let records = desk.records().await;
        let schemas = Arc::new(Schemas::default());
        let mut decoder = AvroEvents::new(&desk.spec(), &schemas);
        let record = Record {
            position: Position {
                partition: 0,
                offset: 0,
            },
            timestamp_ms: 0,
            key: records[0].key(),
            value: records[0].payload(),
            headers: Headers::default(),
        };
        match decoder.decode(&record).expect("it is an event") {
            Changes::One(change) => assert_eq!(
                change.after.expect("a row").object,
                r#"{"id":7,"name":"n7","note":null}"#
            ),
            other => panic!("{other:?}"),
        }
        assert_eq!(key(&records[0]), r#"{"id":7}"#);
    });
}

#[test]
fn ctrl_c_says_what_was_acknowledged_and_where_to_go_on() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let desk = Desk::new(&stack, "interrupted", "json", 4).await;
        let mut child = desk.start(&["produce", &desk.topic]);
        // The pipe stays open: more could come.
        let to = child.stdin.as_mut().expect("its input");
        for id in 1..=500 {
            writeln!(to, "{}", event(id)).expect("written");
        }
        rig::until("the events to arrive", || async {
            desk.records().await.len() == 500
        })
        .await;
        let held = child.stdin.take();
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.expect("kill runs").success());
        let said = ended(child);
        drop(held);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_eq!(
            said.out,
            "acknowledged 500, refused 0; interrupted after line 500: go on from line 501 (`tail -n +501`)\n"
        );
        assert_eq!(desk.records().await.len(), 500);
    });
}

#[test]
fn a_topic_that_is_not_as_its_spec_says_takes_nothing() {
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        let absent = Desk::without_topic(&stack, "absent", "json", 4);
        let said = absent.run(&["produce", &absent.topic], &event(1));
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains("`twolane topics apply`"), "{}", said.err);
        let other = Desk::without_topic(&stack, "other", "json", 4);
        rig::create_topic(&other.brokers, &other.topic, 3, &[]).await;
        let said = other.run(&["produce", &other.topic], &event(1));
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains("has 3 partitions"), "{}", said.err);
        let said = other.run(&["produce", "nobody.knows"], &event(1));
        assert!(said.err.contains(&other.topic), "{}", said.err);
        let records = super::desk::records(&other.brokers, &other.topic, 3).await;
        assert_eq!(records.len(), 0);
    });
}
