//! Somebody on a line that is too slow, among five hundred.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::tungstenite::Message;
use twolane::gateway::tally::Class;

use super::client::Ask;
use super::rig::{Rig, new_room, system, until};

const VIEWERS: usize = 500;
const RATE: u32 = 20;
/// Of one measurement.
const COMMENTS: u32 = 60;
/// Measurements of each kind at the least, and at the most: the machine does other things as well, and the best of each
/// kind are compared.
const TURNS: [usize; 2] = [2, 8];
const MOVED: f64 = 1.2;

/// When each comment was due, and how late it was at each viewer.
#[derive(Default)]
struct Seen {
    due: Vec<Instant>,
    late: Vec<Duration>,
}

async fn show(author: &Context, room: &str, content: &str) {
    let entry = json!({"type": "comment", "id": "1", "content": content}).to_string();
    let sent = author
        .publish(format!("live.{room}.out"), entry.into())
        .await;
    sent.expect("it is sent").await.expect("it is stored");
}

/// Shows comments at the rate, and gives the 99th percentile of their lateness at all viewers.
async fn p99(author: &Context, room: &str, seen: &Arc<Mutex<Seen>>) -> Duration {
    *seen.lock().expect("whole") = Seen::default();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    for n in 0..COMMENTS {
        let due = ticks.tick().await.into_std();
        seen.lock().expect("whole").due.push(due);
        show(author, room, &format!("due={n};")).await;
    }
    let all = VIEWERS * COMMENTS as usize;
    until("every comment at every viewer", || {
        seen.lock().expect("whole").late.len() >= all
    })
    .await;
    let mut seen = seen.lock().expect("whole");
    assert_eq!(seen.late.len(), all, "nobody sees one twice");
    seen.late.sort_unstable();
    seen.late[all * 99 / 100]
}

#[test]
fn a_reader_of_a_kilobyte_a_second_among_five_hundred_does_not_move_the_others_p99_by_a_fifth() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&["max_per_user = 1000", "queue_bytes = \"64KiB\""]);
        let room = new_room();
        let author = async_nats::jetstream::new(rig.server.worker().await);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let token = rig.token("viewer", &[]);
        let mut viewers = Vec::new();
        for _ in 0..VIEWERS {
            let mut viewer = Ask::page(gateway.addr(), &room, &token)
                .open()
                .await
                .expect("it is let in");
            viewer.until("hello").await;
            let seen = Arc::clone(&seen);
            viewers.push(tokio::spawn(async move {
                while let Some(Ok(message)) = viewer.ws.next().await {
                    let Message::Text(text) = message else {
                        continue;
                    };
                    let now = Instant::now();
                    let mut seen = seen.lock().expect("whole");
                    for part in text.split("due=").skip(1) {
                        let (n, _) = part.split_once(';').expect("a number");
                        let due = seen.due[n.parse::<usize>().expect("a number")];
                        seen.late.push(now.saturating_duration_since(due));
                    }
                }
            }));
        }
        let tally = Arc::clone(gateway.tally());
        let shed = || tally.snapshot(Class::Comment).shed;
        let (mut without, mut beside) = (Duration::MAX, Duration::MAX);
        for turn in 1.. {
            without = without.min(p99(&author, &room, &seen).await);
            let mut slow = rig.join(gateway.addr(), &room, "slow").await;
            let before = shed();
            // All that may wait for it waits.
            while shed() == before {
                show(&author, &room, &"x".repeat(8_000)).await;
            }
            let reading = tokio::spawn(async move {
                let mut some = [0; 102];
                loop {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    let read = slow.ws.get_mut().read(&mut some).await;
                    assert!(read.is_ok_and(|n| n > 0), "it was sent away");
                }
            });
            let before = shed();
            beside = beside.min(p99(&author, &room, &seen).await);
            assert!(shed() > before, "it was not too slow");
            assert!(!reading.is_finished(), "it was sent away");
            reading.abort();
            let _ = reading.await;
            let moved = beside.as_secs_f64() / without.as_secs_f64();
            println!("turn {turn}: p99 {without:.2?} without, {beside:.2?} beside: {moved:.2}");
            if turn >= TURNS[0] && moved <= MOVED {
                break;
            }
            assert!(turn < TURNS[1], "the others are moved by {moved:.2}");
            until("it to be gone", || gateway.status().sockets() == VIEWERS).await;
        }
        for viewer in &viewers {
            viewer.abort();
        }
        for viewer in viewers {
            let _ = viewer.await;
        }
        rig.end(gateway).await;
    });
}
