//! A viewer who does not read costs a bounded queue and is told what it missed; the others notice nothing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::Context;
use serde_json::json;
use twolane::gateway::tally::Class;

use super::rig::{Rig, new_room, system, until};

/// The queue of one viewer in these tests.
const QUEUE: usize = 64 << 10;
/// The mark of what was missed comes beside it: one, of some forty bytes.
const MARK: usize = 64;
/// Comments of 8 KB sent at once: half a queue, so that nobody who reads is ever slow.
const AT_ONCE: usize = 4;

/// Puts an entry into LIVE_OUT as a worker does: no limit of a room is in the way.
async fn show(author: &Context, room: &str, content: &str) {
    let entry = json!({"type": "comment", "id": "1", "content": content}).to_string();
    let stored = author
        .publish(format!("live.{room}.out"), entry.into())
        .await;
    stored.expect("it is sent").await.expect("it is stored");
}

#[test]
fn a_viewer_who_does_not_read_is_told_what_it_missed_and_everything_adds_up() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&["queue_bytes = \"64KiB\""]);
        let room = new_room();
        let author = async_nats::jetstream::new(rig.server.worker().await);
        let mut slow = rig.join(gateway.addr(), &room, "slow").await;
        let mut quick = rig.join(gateway.addr(), &room, "quick").await;
        let long = "x".repeat(8_000);
        let mut sent = 0;
        let mut quick_has = 0;
        let tally = gateway.tally();
        while tally.snapshot(Class::Comment).shed < 20 {
            assert!(sent < 5_000, "nothing is shed");
            for _ in 0..AT_ONCE {
                show(&author, &room, &format!("{sent} {long}")).await;
                sent += 1;
            }
            while quick_has < sent {
                quick_has += quick.entries(1).await.len();
            }
            // The quick one has it all: what still waits, waits for the slow one.
            until("no more than its queue to wait", || {
                tally.queued.load(Ordering::Relaxed) <= QUEUE + MARK
            })
            .await;
        }
        assert_eq!(quick_has, sent);
        // It reads again: what waited, the mark, and the newest.
        let (mut has, mut missed) = (0, 0);
        while has + missed < sent {
            let next = slow.next().await.expect("it stays");
            match next["type"].as_str() {
                Some("entries") => has += next["entries"].as_array().unwrap().len(),
                Some("missed") => missed += next["comments"].as_u64().unwrap() as usize,
                _ => {}
            }
        }
        assert!(missed >= 20);
        assert_eq!(has + missed, sent);
        // All of it was the slow one's.
        assert_eq!(tally.snapshot(Class::Comment).shed, missed as u64);
        rig.end(gateway).await;
    });
}

#[test]
fn a_viewer_who_leaves_with_a_full_queue_leaves_nothing_behind() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&["queue_bytes = \"64KiB\""]);
        let room = new_room();
        let author = async_nats::jetstream::new(rig.server.worker().await);
        let slow = rig.join(gateway.addr(), &room, "slow").await;
        let long = "x".repeat(8_000);
        let tally = gateway.tally();
        while tally.queued.load(Ordering::Relaxed) < 32 << 10 {
            show(&author, &room, &long).await;
        }
        drop(slow);
        until("it to be closed", || gateway.status().sockets() == 0).await;
        until("its queue to be gone", || {
            tally.queued.load(Ordering::Relaxed) == 0
        })
        .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        rig.end(gateway).await;
    });
}
