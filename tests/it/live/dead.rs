//! Comments that nobody can handle.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::HeaderMap;
use twolane::config::LiveSpec;
use twolane::live::dead::header;
use twolane::live::names::{self, Inbound};

use super::rig::{Rig, room, spec, system, until, user};

fn three_times() -> LiveSpec {
    let mut spec = spec();
    spec.inbox.max_deliver = 3;
    spec
}

/// The comment's dead letter: its headers and its payload.
async fn letter(rig: &Rig) -> (HeaderMap, String) {
    assert_eq!(rig.messages("LIVE_DEAD").await, 1);
    let stream = rig.js.get_stream("LIVE_DEAD").await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let message = stream.get_raw_message(last).await.unwrap();
    let payload = String::from_utf8(message.payload.to_vec()).unwrap();
    (message.headers, payload)
}

#[test]
fn the_last_delivery_is_buried_and_the_next_comment_shown() {
    system(async {
        let rig = Rig::new(three_times()).await;
        let seq = rig.comment(&room(1), &user(1), "poison").await;
        for _ in 0..2 {
            assert_eq!(rig.take_and_die(1).await.len(), 1);
        }
        let worker = rig.worker();
        rig.comment(&room(1), &user(1), "healthy").await;
        rig.inbox_empty().await;
        rig.each_once(&["healthy".into()]).await;
        assert_eq!(rig.messages("LIVE_OUT").await, 1);
        let (headers, payload) = letter(&rig).await;
        assert_eq!(payload, r#"{"content":"poison"}"#);
        let text = |name: &str| headers.get_last(name).unwrap().as_str().to_owned();
        assert_eq!(text(header::SEQUENCE), seq.to_string());
        assert_eq!(text(header::STREAM), "LIVE_IN");
        assert_eq!(
            text(header::SUBJECT),
            names::inbound(&room(1), Inbound::Comment, &user(1))
        );
        assert_eq!(text(header::DELIVERIES), "3");
        let counts = worker.stop().await["comment"];
        assert_eq!(
            (counts.dead_lettered, counts.accepted),
            (1, 1),
            "{counts:?}"
        );
    });
}

#[test]
fn what_the_server_gave_up_with_no_worker_left_is_buried_by_its_advisory() {
    system(async {
        let rig = Rig::new(three_times()).await;
        rig.comment(&room(1), &user(1), "poison").await;
        for _ in 0..3 {
            assert_eq!(rig.take_and_die(1).await.len(), 1);
        }
        // The server gives it up when somebody asks for more.
        assert!(rig.take_and_die(1).await.is_empty());
        until("the advisory", || async {
            rig.messages("LIVE_ADVISORY").await == 1
        })
        .await;
        let worker = rig.worker();
        rig.inbox_empty().await;
        let (_, payload) = letter(&rig).await;
        assert_eq!(payload, r#"{"content":"poison"}"#);
        until("the advisory to be done with", || async {
            rig.messages("LIVE_ADVISORY").await == 0
        })
        .await;
        assert_eq!(worker.status().tally.buried.load(Ordering::Relaxed), 1);
        worker.stop().await;
    });
}

/// A worker died after it had written the dead letter and before it had deleted the comment.
#[test]
fn a_dead_letter_that_is_there_already_is_not_written_again() {
    system(async {
        let rig = Rig::new(three_times()).await;
        let seq = rig.comment(&room(1), &user(1), "poison").await;
        for _ in 0..3 {
            rig.take_and_die(1).await;
        }
        let created = rig.js.get_stream("LIVE_IN").await.unwrap();
        let created = created.cached_info().created.unix_timestamp_nanos() / 1_000_000;
        let subject = names::dead(&format!("{created}-{seq}"));
        let sent = rig.js.publish(subject, "the first one".into()).await;
        sent.unwrap().await.unwrap();
        let worker = rig.worker();
        rig.inbox_empty().await;
        let (_, payload) = letter(&rig).await;
        assert_eq!(payload, "the first one");
        worker.stop().await;
    });
}

#[test]
fn what_was_given_up_without_an_advisory_is_found_all_the_same() {
    system(async {
        let rig = Rig::new(three_times()).await;
        rig.comment(&room(1), &user(1), "poison").await;
        for _ in 0..3 {
            assert_eq!(rig.take_and_die(1).await.len(), 1);
        }
        assert!(rig.take_and_die(1).await.is_empty());
        until("the advisory", || async {
            rig.messages("LIVE_ADVISORY").await == 1
        })
        .await;
        let advisories = rig.js.get_stream("LIVE_ADVISORY").await.unwrap();
        advisories.purge().await.unwrap();
        let worker = rig.worker();
        // It is seen at once, and believed at the second look.
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(rig.messages("LIVE_IN").await, 1);
        rig.inbox_empty().await;
        letter(&rig).await;
        worker.stop().await;
    });
}
