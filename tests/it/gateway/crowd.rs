//! Somebody on a line that is too slow, among five hundred.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::tungstenite::Message;
use twolane::gateway::start::Gateway;
use twolane::gateway::tally::Class;

use super::client::Ask;
use super::rig::{Rig, new_room, system, until};

const VIEWERS: usize = 500;
const RATE: u32 = 20;
/// Of one measurement.
const COMMENTS: u32 = 60;
/// Of a comment, in bytes: those of one measurement do not find room where one of the large ones was shed.
const LENGTH: usize = 300;
/// Pairs of measurements, without it and beside it, at the least and at the most. The machine does other things as well,
/// for longer than one measurement and not for all of them: what is judged is the median of what each pair says, and
/// which of a pair comes first alternates.
const PAIRS: [usize; 2] = [3, 15];
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
    // What was shown before is not to be under way any more.
    shown(author, room, seen, 1).await;
    let mut late = shown(author, room, seen, COMMENTS).await;
    late.sort_unstable();
    late[late.len() * 99 / 100]
}

/// Shows comments at the rate, and gives how late each was at each viewer, when all have them all.
async fn shown(
    author: &Context,
    room: &str,
    seen: &Arc<Mutex<Seen>>,
    comments: u32,
) -> Vec<Duration> {
    *seen.lock().expect("whole") = Seen::default();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    for n in 0..comments {
        let due = ticks.tick().await.into_std();
        seen.lock().expect("whole").due.push(due);
        show(author, room, &format!("due={n};{:LENGTH$}", "")).await;
    }
    let all = VIEWERS * comments as usize;
    until("every comment at every viewer", || {
        seen.lock().expect("whole").late.len() >= all
    })
    .await;
    let late = std::mem::take(&mut seen.lock().expect("whole").late);
    assert_eq!(late.len(), all, "nobody sees one twice");
    late
}

/// The same with somebody among them who reads a kilobyte a second, and for whom more waits than may; it is gone
/// afterwards.
async fn p99_beside(
    rig: &Rig,
    gateway: &Gateway,
    author: &Context,
    room: &str,
    seen: &Arc<Mutex<Seen>>,
) -> Duration {
    let shed = || gateway.tally().snapshot(Class::Comment).shed;
    let mut slow = rig.join(gateway.addr(), room, "slow").await;
    let before = shed();
    while shed() == before {
        show(author, room, &"x".repeat(8_000)).await;
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
    let p99 = p99(author, room, seen).await;
    assert!(shed() > before, "it was not too slow");
    assert!(!reading.is_finished(), "it was sent away");
    reading.abort();
    let _ = reading.await;
    until("it to be gone", || gateway.status().sockets() == VIEWERS).await;
    p99
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
        let mut moved = Vec::new();
        for pair in 1.. {
            let (without, beside);
            if pair % 2 == 1 {
                without = p99(&author, &room, &seen).await;
                beside = p99_beside(&rig, &gateway, &author, &room, &seen).await;
            } else {
                beside = p99_beside(&rig, &gateway, &author, &room, &seen).await;
                without = p99(&author, &room, &seen).await;
            }
            moved.push(beside.as_secs_f64() / without.as_secs_f64());
            moved.sort_unstable_by(f64::total_cmp);
            let median = moved[moved.len() / 2];
            println!(
                "pair {pair}: p99 {without:.2?} without, {beside:.2?} beside: {median:.2} in the median"
            );
            if pair >= PAIRS[0] && median <= MOVED {
                break;
            }
            assert!(pair < PAIRS[1], "the others are moved: {moved:.2?}");
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
