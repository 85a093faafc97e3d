//! Whoever comes back goes on where they were, whatever was killed.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::client::{Ask, Client, contents};
use super::rig::{Rig, new_room, system};

/// Joins after a sequence, as soon as somebody listens.
async fn back(rig: &Rig, addr: std::net::SocketAddr, room: &str, user: &str, seq: u64) -> Client {
    let ask = Ask::page(addr, room, &rig.token(user, &[])).since(seq);
    let mut client = ask.open().await.unwrap_or_else(|why| panic!("{why:?}"));
    client.until("hello").await;
    client
}

#[test]
fn after_the_gateway_was_killed_viewers_go_on_without_gap_or_duplicate() {
    system(async {
        let rig = Rig::start().await;
        let (port, room) = (rig.a_port(), new_room());
        let worker = twolane_author(&rig).await;
        let first = rig.outside(port);
        let mut viewer = rig.join(first.addr, &room, "viewer").await;
        let mut seen = Vec::new();
        for n in 0..10 {
            comment(&worker, &room, n).await;
        }
        seen.extend(viewer.entries(10).await);
        drop(first);
        while viewer.next().await.is_some() {}
        for n in 10..20 {
            comment(&worker, &room, n).await;
        }
        let second = rig.outside(port);
        let last = seen.last().expect("entries").0;
        let mut viewer = back(&rig, second.addr, &room, "viewer", last).await;
        for n in 20..25 {
            comment(&worker, &room, n).await;
        }
        seen.extend(viewer.entries(15).await);
        let wanted: Vec<_> = (0..25).map(|n| n.to_string()).collect();
        assert_eq!(contents(&seen), wanted);
        let seqs: BTreeSet<u64> = seen.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(seqs.len(), 25);
    });
}

#[test]
fn who_was_away_for_longer_than_the_room_remembers_gets_all_of_it_from_the_history() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let room = new_room();
        let worker = twolane_author(&rig).await;
        let mut first = rig.join(gateway.addr(), &room, "a").await;
        comment(&worker, &room, 0).await;
        let from = first.entries(1).await[0].0;
        for n in 1..=450 {
            comment(&worker, &room, n).await;
        }
        let all = first.entries(450).await;
        let mut late = back_unhurried(&rig, gateway.addr(), &room, from).await;
        let again = late.entries(450).await;
        assert!(all == again, "{} and {}", all.len(), again.len());
        comment(&worker, &room, 451).await;
        assert_eq!(contents(&late.entries(1).await), ["451"]);
        rig.end(gateway).await;
    });
}

/// A greeting comes when everything older has.
async fn back_unhurried(rig: &Rig, addr: std::net::SocketAddr, room: &str, seq: u64) -> Client {
    let ask = Ask::page(addr, room, &rig.token("late", &[])).since(seq);
    ask.open().await.unwrap_or_else(|why| panic!("{why:?}"))
}

#[test]
fn a_sequence_of_another_stream_begins_anew() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let room = new_room();
        let ask = Ask::page(gateway.addr(), &room, &rig.token("a", &[])).since(1 << 40);
        let mut client = ask.open().await.unwrap();
        assert_eq!(client.until("hello").await["reset"], true);
        rig.end(gateway).await;
    });
}

#[test]
fn while_nats_is_away_sockets_stay_and_miss_nothing() {
    system(async {
        let mut rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let room = new_room();
        let mut viewer = rig.join(gateway.addr(), &room, "viewer").await;
        viewer
            .say(json!({"type": "comment", "content": "before"}))
            .await;
        viewer.entries(1).await;
        rig.server.crash();
        tokio::time::sleep(Duration::from_millis(500)).await;
        rig.server.again();
        // As a worker does that is back earlier: the gateway may not have subscribed again.
        let author = twolane_author(&rig).await;
        let entry = json!({"type": "comment", "id": "during", "content": "during"}).to_string();
        let stored = author
            .publish(format!("live.{room}.out"), entry.into())
            .await;
        stored.unwrap().await.unwrap();
        let after = json!({"type": "comment", "content": "after", "cid": "x"});
        viewer.say(after.clone()).await;
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let next = viewer.next().await.expect("it stays");
            // An outage may outlast the time for an answer: whoever hears so sends it again.
            if next["type"] == "refused" {
                viewer.say(after.clone()).await;
            } else if next["type"] == "entries" {
                let entries = next["entries"].as_array().expect("entries");
                seen.extend(entries.iter().map(|e| e["entry"]["content"].clone()));
            }
        }
        assert_eq!(seen, ["during", "after"]);
        rig.end(gateway).await;
    });
}

/// Writes comments past the gateway.
async fn twolane_author(rig: &Rig) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(rig.server.worker().await)
}

async fn comment(author: &async_nats::jetstream::Context, room: &str, n: usize) {
    let subject = format!("live.{room}.in.comment.author");
    let json = json!({"content": n.to_string()}).to_string();
    let stored = author
        .publish(subject, json.into())
        .await
        .expect("it is sent");
    stored.await.expect("it is stored");
}
