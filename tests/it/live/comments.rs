//! A comment's way where nothing fails, and where its author does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twolane::live::names::{self, Inbound};
use twolane::live::tally::Class;
use twolane::live::wire::{Entry, Reason, Refused};

use super::rig::{Rig, room, spec, system, until, user};

#[test]
fn a_room_shows_its_comments_in_the_order_in_which_they_came_in() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = rig.worker();
        let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for n in 0..500 {
            let (room, content) = (room(n % 5), format!("comment {n}"));
            rig.comment(&room, &user(n % 7), &content).await;
            sent.entry(room.to_string()).or_default().push(content);
        }
        rig.inbox_empty().await;
        let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for kept in rig.shown().await {
            let content = kept.comment().content.clone();
            shown.entry(kept.room).or_default().push(content);
        }
        assert_eq!(shown, sent);
        let counts = worker.stop().await["comment"];
        assert_eq!((counts.received, counts.accepted), (500, 500), "{counts:?}");
    });
}

#[test]
fn viewers_get_each_entry_with_its_place_and_the_place_before_it() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = rig.worker();
        let mut feed = rig.client.subscribe(names::feed(&room(1))).await.unwrap();
        rig.client.flush().await.unwrap();
        let mut before = 0;
        for n in 0..3 {
            let seq = rig.comment(&room(1), &user(1), &format!("{n}")).await;
            rig.comment(&room(2), &user(1), "elsewhere").await;
            let message = feed.next().await.unwrap();
            let headers = message.headers.unwrap();
            let place =
                |name: &str| -> u64 { headers.get_last(name).unwrap().as_str().parse().unwrap() };
            assert_eq!(place("Nats-Last-Sequence"), before);
            before = place("Nats-Sequence");
            assert_eq!(
                headers.get_last("Nats-Stream").unwrap().as_str(),
                "LIVE_OUT"
            );
            let Entry::Comment(shown) = serde_json::from_slice(&message.payload).unwrap() else {
                panic!("a recall");
            };
            assert_eq!((shown.id, shown.content), (seq.to_string(), n.to_string()));
        }
        worker.stop().await;
    });
}

#[test]
fn what_is_no_comment_is_refused_to_its_author_and_to_nobody_else() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = rig.worker();
        let mut told = rig.client.subscribe("live.refused.*").await.unwrap();
        rig.client.flush().await.unwrap();
        let subject = names::inbound(&room(1), Inbound::Comment, &user(1));
        let mut seqs = Vec::new();
        for bad in [
            "",
            "{",
            "[]",
            r#"{"mode":1}"#,
            r#"{"content":"x","mode":3}"#,
            "\0\u{ff}",
        ] {
            let ack = rig.js.publish(subject.clone(), bad.into()).await.unwrap();
            seqs.push(ack.await.unwrap().sequence.to_string());
        }
        // A name that is none: there is nobody to tell.
        let nobody = rig.js.publish("live.r%2.in.comment.u", "{}".into()).await;
        nobody.unwrap().await.unwrap();
        for seq in seqs {
            let message = told.next().await.unwrap();
            assert_eq!(message.subject.as_str(), names::refused(&user(1)));
            let refused: Refused = serde_json::from_slice(&message.payload).unwrap();
            assert_eq!((refused.code, refused.id), (Reason::Malformed, Some(seq)));
        }
        rig.inbox_empty().await;
        assert!(rig.shown().await.is_empty());
        let counts = worker.stop().await["comment"];
        assert_eq!((counts.received, counts.refused), (7, 7), "{counts:?}");
    });
}

#[test]
fn a_stop_in_the_middle_of_a_load_leaves_nothing_to_be_delivered_again() {
    system(async {
        let rig = Rig::new(spec()).await;
        let (first, second) = (rig.worker(), rig.worker());
        let mut sent = Vec::new();
        let load = async {
            for n in 0..2_000 {
                let content = format!("comment {n}");
                rig.comment(&room(n % 20), &user(n % 50), &content).await;
                sent.push(content);
            }
        };
        let stop = async {
            until("the first worker to be busy", || async {
                first.count(Class::Comment).accepted > 300
            })
            .await;
            first.stop().await["comment"]
        };
        let ((), first) = futures_util::future::join(load, stop).await;
        rig.inbox_empty().await;
        let second = second.stop().await["comment"];
        rig.each_once(&sent).await;
        assert_eq!(
            first.accepted + second.accepted,
            2_000,
            "{first:?} {second:?}"
        );
        assert_eq!(
            first.redelivered + second.redelivered,
            0,
            "{first:?} {second:?}"
        );
        assert_eq!(first.abandoned + second.abandoned, 0);
    });
}

/// A stream that was made anew counts from 1 again: its comments are others, whatever their sequences.
#[test]
fn comments_of_an_inbox_that_was_made_anew_are_no_duplicates() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = rig.worker();
        rig.comment(&room(1), &user(1), "before").await;
        rig.inbox_empty().await;
        rig.remake_inbox().await;
        assert_eq!(rig.comment(&room(1), &user(1), "after").await, 1);
        rig.inbox_empty().await;
        rig.each_once(&["before".into(), "after".into()]).await;
        worker.stop().await;
    });
}

/// The first viewer never reads what it is sent.
#[test]
fn a_slow_subscriber_does_not_slow_the_others() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = rig.worker();
        let mut slow = TcpStream::connect(("127.0.0.1", rig.server.port()))
            .await
            .unwrap();
        slow.write_all(b"CONNECT {\"verbose\":false}\r\nSUB live.*.feed 1\r\nPING\r\n")
            .await
            .unwrap();
        let mut hello = [0; 8];
        slow.read_exact(&mut hello).await.unwrap();
        let mut feed = rig.client.subscribe("live.*.feed").await.unwrap();
        rig.client.flush().await.unwrap();
        let large = "文".repeat(5_000);
        let mut took = Vec::new();
        // Some 22 MB: far more than the system holds for one connection, so that the server holds the rest.
        for n in 0..1_500 {
            let started = Instant::now();
            rig.comment(&room(n % 50), &user(1), &large).await;
            feed.next().await.unwrap();
            took.push(started.elapsed());
        }
        took.sort();
        let p99 = took[took.len() * 99 / 100];
        assert!(p99 < Duration::from_millis(100), "p99 {p99:?}");
        rig.inbox_empty().await;
        worker.stop().await;
        drop(slow);
    });
}

/// What the lane does with likes, heartbeats and requests is counted at receipt, to the last like.
#[test]
fn what_is_received_beside_comments_adds_up() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = rig.worker();
        let likes = names::inbound(&room(1), Inbound::Like, &user(1));
        let here = names::inbound(&room(1), Inbound::Here, &user(1));
        until("the worker to have subscribed", || async {
            rig.client.publish(here.clone(), "".into()).await.unwrap();
            worker.count(Class::Here).received > 0
        })
        .await;
        let mut told = rig
            .client
            .subscribe(names::refused(&user(1)))
            .await
            .unwrap();
        let messages = [("", 1), (r#"{"n":50}"#, 50), (r#"{"n":7}"#, 7)];
        for (payload, _) in messages {
            rig.client
                .publish(likes.clone(), payload.into())
                .await
                .unwrap();
        }
        for bad in [r#"{"n":51}"#, r#"{"n":0}"#, "x"] {
            rig.client.publish(likes.clone(), bad.into()).await.unwrap();
            let refused = told.next().await.unwrap();
            let refused: Refused = serde_json::from_slice(&refused.payload).unwrap();
            assert_eq!(
                (refused.what.as_str(), refused.code),
                ("like", Reason::Malformed)
            );
        }
        let all = worker.stop().await;
        let likes = all["like"];
        assert_eq!((likes.received, likes.refused), (58 + 3, 3), "{likes:?}");
        assert_eq!(likes.accepted + likes.shed, 58, "{likes:?}");
    });
}
