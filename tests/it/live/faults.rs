//! Workers and servers that die or hang with comments in hand.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use twolane::live::names;
use twolane::live::tally::Class;
use twolane::live::wire::Entry;

use super::proxy::Proxy;
use super::rig::{Rig, room, spec, system, until, user};
use super::worker::Process;

/// What an acknowledgement of a comment begins with on the wire, and what an entry for LIVE_OUT does.
const ACK: &str = "PUB $JS.ACK.LIVE_IN";
const PUBLISH: &str = "HPUB live.";

#[test]
fn a_worker_killed_between_publish_and_acknowledgement_shows_nothing_twice() {
    system(async {
        let rig = Rig::new(spec()).await;
        let proxy = Proxy::start(rig.server.port(), ACK).await;
        let mut process = Process::start(&proxy.url());
        rig.comment(&room(1), &user(1), "once").await;
        proxy.held().await;
        until("the entry in LIVE_OUT", || async {
            rig.messages("LIVE_OUT").await == 1
        })
        .await;
        process.kill();
        assert_eq!(rig.messages("LIVE_IN").await, 1, "it was not acknowledged");
        let worker = rig.worker();
        rig.inbox_empty().await;
        rig.each_once(&["once".into()]).await;
        let counts = worker.stop().await["comment"];
        let of_it = (counts.received, counts.redelivered, counts.duplicate);
        assert_eq!(of_it, (1, 1, 1), "{counts:?}");
    });
}

#[test]
fn a_worker_killed_between_receipt_and_publish_loses_nothing_and_another_shows_it_after_a_second() {
    system(async {
        let rig = Rig::new(spec()).await;
        let mut feed = rig.client.subscribe("live.*.feed").await.unwrap();
        rig.client.flush().await.unwrap();
        let mut after = Vec::new();
        for n in 0..5 {
            let proxy = Proxy::start(rig.server.port(), PUBLISH).await;
            let mut process = Process::start(&proxy.url());
            let content = format!("round {n}");
            rig.comment(&room(n), &user(1), &content).await;
            proxy.held().await;
            // It came when the worker had asked for it; that is when its second begins.
            let delivered = Instant::now();
            process.kill();
            let worker = rig.worker();
            let message = feed.next().await.unwrap();
            after.push(delivered.elapsed());
            let Entry::Comment(shown) = serde_json::from_slice(&message.payload).unwrap() else {
                panic!("a recall");
            };
            assert_eq!(shown.content, content);
            rig.inbox_empty().await;
            let counts = worker.stop().await["comment"];
            assert_eq!((counts.redelivered, counts.accepted), (1, 1), "{counts:?}");
        }
        let all: Vec<String> = (0..5).map(|n| format!("round {n}")).collect();
        rig.each_once(&all).await;
        let due = Duration::from_millis(950)..=Duration::from_millis(1_300);
        assert!(after.iter().all(|t| due.contains(t)), "{after:?}");
    });
}

#[test]
fn a_worker_killed_in_the_middle_of_a_load_costs_nothing() {
    system(async {
        let rig = Rig::new(spec()).await;
        let mut process = Process::start(&rig.server.url());
        let worker = rig.worker();
        let mut sent = Vec::new();
        for n in 0..3_000 {
            let content = format!("comment {n}");
            rig.comment(&room(n % 50), &user(n % 100), &content).await;
            sent.push(content);
            if n % 1_000 == 700 {
                process.kill();
            }
            if n % 1_000 == 900 {
                process = Process::start(&rig.server.url());
            }
        }
        rig.inbox_empty().await;
        rig.each_once(&sent).await;
        worker.stop().await;
        assert_eq!(rig.messages("LIVE_DEAD").await, 0);
    });
}

#[test]
fn a_hung_workers_comments_are_shown_by_another_within_three_seconds_and_once() {
    system(async {
        let rig = Rig::new(spec()).await;
        let process = Process::start(&rig.server.url());
        // It works before the other one is there.
        rig.comment(&room(0), &user(0), "first").await;
        rig.inbox_empty().await;
        let worker = rig.worker();
        until("the second worker to connect", || async {
            worker.status().links.iter().all(|l| l.up())
        })
        .await;
        let mut feed = rig.client.subscribe("live.*.feed").await.unwrap();
        rig.client.flush().await.unwrap();
        let mut sent = vec!["first".to_owned()];
        let load = async {
            let started = Instant::now();
            for n in 0..1_000 {
                if n == 300 {
                    process.signal("STOP");
                }
                let content = format!("{} {n}", started.elapsed().as_micros());
                rig.comment(&room(n % 20), &user(n % 50), &content).await;
                sent.push(content);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            started
        };
        let watch = async {
            let started = Instant::now();
            let mut slowest = Duration::ZERO;
            for _ in 0..1_000 {
                let message = feed.next().await.unwrap();
                let Entry::Comment(shown) = serde_json::from_slice(&message.payload).unwrap()
                else {
                    panic!("a recall");
                };
                let at = shown.content.split(' ').next().unwrap().parse().unwrap();
                slowest = slowest.max(started.elapsed() - Duration::from_micros(at));
            }
            slowest
        };
        let (_, slowest) = futures_util::future::join(load, watch).await;
        eprintln!("a hung worker's slowest comment took {slowest:?}");
        assert!(slowest < Duration::from_secs(3), "{slowest:?}");
        // It comes back, with all that it had in hand.
        process.signal("CONT");
        rig.comment(&room(1), &user(1), "last").await;
        sent.push("last".into());
        rig.inbox_empty().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        rig.each_once(&sent).await;
        let counts = worker.stop().await["comment"];
        assert!(counts.redelivered > 0, "it had nothing in hand: {counts:?}");
    });
}

#[test]
fn a_server_killed_under_load_has_every_comment_that_it_acknowledged() {
    system(async {
        let mut rig = Rig::new(spec()).await;
        let (one, two) = (rig.worker(), rig.worker());
        let mut acknowledged = Vec::new();
        for round in 0..3 {
            let (rig_ref, acks) = (&rig, &mut acknowledged);
            let load = async move {
                // Many at once, so that it dies with some of each kind under way.
                let batches = futures_util::stream::iter(0..1_500).map(|n| async move {
                    let content = format!("round {round} comment {n}");
                    let (room, user) = (room(n % 50), user(n % 100));
                    let sent = rig_ref.try_comment(&room, &user, &content);
                    let sent = tokio::time::timeout(Duration::from_secs(2), sent).await;
                    matches!(sent, Ok(Some(_))).then_some(content)
                });
                let mut batches = batches.buffer_unordered(32);
                let mut n = 0;
                while let Some(sent) = batches.next().await {
                    acks.extend(sent);
                    n += 1;
                    if n == 800 {
                        return;
                    }
                }
            };
            load.await;
            rig.server.crash();
            tokio::time::sleep(Duration::from_millis(300)).await;
            rig.server.again();
            until("the connection to be back", || async {
                rig.js.get_stream("LIVE_IN").await.is_ok()
            })
            .await;
        }
        assert!(acknowledged.len() > 2_000, "{}", acknowledged.len());
        rig.inbox_empty().await;
        rig.each_once(&acknowledged).await;
        for worker in [one, two] {
            worker.stop().await;
        }
        assert_eq!(rig.messages("LIVE_DEAD").await, 0);
    });
}

#[test]
fn a_comment_that_comes_again_after_the_duplicate_window_is_looked_up() {
    system(async {
        let mut spec = spec();
        spec.out.duplicate_window = Duration::from_millis(500);
        let rig = Rig::new(spec).await;
        let proxy = Proxy::start(rig.server.port(), ACK).await;
        let mut process = Process::start(&proxy.url());
        rig.comment(&room(1), &user(1), "once").await;
        proxy.held().await;
        until("the entry in LIVE_OUT", || async {
            rig.messages("LIVE_OUT").await == 1
        })
        .await;
        process.kill();
        // The server has forgotten the message id.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let worker = rig.worker();
        rig.inbox_empty().await;
        rig.each_once(&["once".into()]).await;
        let counts = worker.stop().await["comment"];
        assert_eq!((counts.duplicate, counts.accepted), (1, 0), "{counts:?}");
    });
}

/// LIVE_OUT keeps two entries of a room, and a third one pushed the comment out: nobody can know.
#[test]
fn a_comment_of_which_nothing_can_be_known_is_shown_and_counted() {
    system(async {
        let mut spec = spec();
        spec.out.duplicate_window = Duration::from_millis(500);
        spec.out.max_per_room = 2;
        let rig = Rig::new(spec).await;
        rig.comment(&room(1), &user(1), "unknown").await;
        assert_eq!(rig.take_and_die(1).await.len(), 1);
        let out = names::out(&room(1));
        for n in 0..2 {
            let entry = serde_json::json!({"type": "recall", "id": n.to_string(), "ctime": 0});
            let sent = rig.js.publish(out.clone(), entry.to_string().into()).await;
            sent.unwrap().await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let worker = rig.worker();
        rig.inbox_empty().await;
        let shown = rig.shown().await;
        assert_eq!(shown.last().unwrap().comment().content, "unknown");
        let unproven = &worker.status().tally.unproven;
        assert_eq!(unproven.load(std::sync::atomic::Ordering::Relaxed), 1);
        assert_eq!(worker.count(Class::Comment).accepted, 1);
        worker.stop().await;
    });
}
