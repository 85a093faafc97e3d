//! What a moderator decides on one worker holds on all of them, whatever fails meanwhile.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use twolane::live::names;
use twolane::live::wire::{Reason, mid_hash};

use super::rig::{Rig, Worker, eventually, room, spec, system, user};

/// Within this a decision holds on another worker.
const SECOND: Duration = Duration::from_secs(1);

/// Waits until a worker answers a user in a room so, and says how long that took.
async fn until(
    worker: &Worker,
    room: &names::RoomId,
    who: &str,
    verdict: Option<Reason>,
) -> Duration {
    let start = Instant::now();
    eventually("the worker heeds it", async || {
        worker.say(room, who, "hello").await == verdict
    })
    .await;
    start.elapsed()
}

#[test]
fn a_decision_on_one_worker_holds_on_another_within_a_second() {
    system(async {
        let rig = Rig::new(spec()).await;
        let (a, b) = (rig.worker().await, rig.worker().await);
        let room = room("r");
        for worker in [&a, &b] {
            assert_eq!(worker.say(&room, "u1", "hello").await, None);
        }
        let u1 = mid_hash(&user("u1"));
        for (act, verdict, undo) in [
            (
                r#"{"op":"mute","user":"u1","for_s":600}"#.to_owned(),
                Reason::Muted,
                r#"{"op":"unmute","user":"u1"}"#.to_owned(),
            ),
            (
                format!(r#"{{"op":"ban","midHash":"{u1}"}}"#),
                Reason::Banned,
                r#"{"op":"unban","user":"u1"}"#.to_owned(),
            ),
            (
                r#"{"op":"silence","on":true}"#.to_owned(),
                Reason::Silenced,
                r#"{"op":"silence","on":false}"#.to_owned(),
            ),
            (
                r#"{"op":"keywords","add":["ＨＥＬＬ"]}"#.to_owned(),
                Reason::Keyword,
                r#"{"op":"keywords","remove":["hell"]}"#.to_owned(),
            ),
        ] {
            a.done(&room, &act).await;
            // "ok" means that the worker that said so heeds it.
            assert_eq!(a.say(&room, "u1", "hello").await, Some(verdict), "{act}");
            let took = until(&b, &room, "u1", Some(verdict)).await;
            assert!(took < SECOND, "{act}: {took:?}");
            assert_eq!(b.say(&super::rig::room("other"), "u1", "hello").await, None);
            b.done(&room, &undo).await;
            assert_eq!(b.say(&room, "u1", "hello").await, None, "{undo}");
            let took = until(&a, &room, "u1", None).await;
            assert!(took < SECOND, "{undo}: {took:?}");
        }
        // A worker that starts later knows what was decided before.
        a.done(&room, r#"{"op":"ban","user":"u2"}"#).await;
        let late = rig.worker().await;
        assert_eq!(late.say(&room, "u2", "hello").await, Some(Reason::Banned));
        for worker in [a, b, late] {
            worker.rooms.stop().await;
        }
    });
}

#[test]
fn a_mute_ends_by_itself() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = rig.worker().await;
        let room = room("r");
        worker
            .done(&room, r#"{"op":"mute","user":"u1","for_s":1}"#)
            .await;
        let start = Instant::now();
        assert_eq!(worker.say(&room, "u1", "hello").await, Some(Reason::Muted));
        until(&worker, &room, "u1", None).await;
        assert!(start.elapsed() > Duration::from_millis(800));
        let state = worker.done(&room, r#"{"op":"state"}"#).await;
        assert_eq!(state["muted_count"], 0, "{state}");
        worker.rooms.stop().await;
    });
}

#[test]
fn a_comments_author_is_found_and_a_recall_is_an_entry_and_every_act_is_on_record() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = rig.worker().await;
        let room = room("r");
        for (id, who) in [("7", "u1"), ("8", "u2")] {
            let entry = serde_json::json!({"type": "comment", "id": id, "progress": 0, "mode": 1, "fontsize": 25,
                "color": 0, "midHash": mid_hash(&user(who)), "content": "x", "ctime": 1, "weight": 5});
            let ack = worker
                .way
                .js
                .publish(names::out(&room), entry.to_string().into())
                .await
                .unwrap();
            ack.await.unwrap();
        }
        worker.done(&room, r#"{"op":"ban","comment":"8"}"#).await;
        assert_eq!(worker.say(&room, "u2", "hello").await, Some(Reason::Banned));
        assert_eq!(worker.say(&room, "u1", "hello").await, None);
        let unknown = worker.ask(&room, r#"{"op":"ban","comment":"9"}"#).await;
        assert_eq!(
            (&unknown["ok"], &unknown["code"]),
            (&false.into(), &"not_found".into())
        );

        let recalled = worker.done(&room, r#"{"op":"recall","id":"7"}"#).await;
        assert_eq!(recalled["sequence"], 3);
        // Asked again it is the same entry.
        let again = worker.done(&room, r#"{"op":"recall","id":"7"}"#).await;
        assert_eq!(again["sequence"], 3);
        let entries = rig.entries(&room).await;
        assert_eq!(entries.len(), 3);
        assert_eq!(
            (&entries[2]["type"], &entries[2]["id"]),
            (&"recall".into(), &"7".into())
        );

        let malformed = worker.ask(&room, "{}").await;
        assert_eq!(malformed["code"], "malformed");
        let audit = rig.audit(&room).await;
        let acts: Vec<_> = audit
            .iter()
            .map(|act| {
                (
                    act["op"].as_str().unwrap(),
                    act["outcome"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            acts,
            [
                ("ban", "done"),
                ("ban", "failed"),
                ("recall", "done"),
                ("recall", "done")
            ]
        );
        assert!(
            audit
                .iter()
                .all(|act| act["by"] == "mod1" && act["at"].is_i64()),
            "{audit:?}"
        );
        worker.rooms.stop().await;
    });
}

#[test]
fn an_act_that_cannot_be_recorded_is_not_said_to_be_done() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = rig.worker().await;
        let room = room("r");
        worker.way.js.delete_stream("LIVE_AUDIT").await.unwrap();
        let answer = worker.ask(&room, r#"{"op":"ban","user":"u1"}"#).await;
        assert_eq!(
            (&answer["ok"], &answer["code"]),
            (&false.into(), &"unaudited".into())
        );
        worker.rooms.stop().await;
    });
}

#[test]
fn what_was_decided_before_and_after_a_crash_of_nats_holds_everywhere() {
    system(async {
        let mut rig = Rig::new(spec()).await;
        let (a, b) = (rig.worker().await, rig.worker().await);
        let room = room("r");
        a.done(&room, r#"{"op":"ban","user":"u1"}"#).await;
        until(&b, &room, "u1", Some(Reason::Banned)).await;
        rig.nats.crash();
        // Comments that a worker has in hand are judged by what it knows.
        assert_eq!(b.say(&room, "u1", "hello").await, Some(Reason::Banned));
        rig.nats.again();
        eventually("moderators are answered again", async || {
            a.ask(&room, r#"{"op":"mute","user":"u2","for_s":600}"#)
                .await["ok"]
                == true
        })
        .await;
        let took = until(&b, &room, "u2", Some(Reason::Muted)).await;
        assert!(took < 2 * SECOND, "{took:?}");
        assert_eq!(b.say(&room, "u1", "hello").await, Some(Reason::Banned));
        assert_eq!(b.say(&room, "u3", "hello").await, None);
        // From now on it is as before.
        a.done(&room, r#"{"op":"unban","user":"u1"}"#).await;
        let took = until(&b, &room, "u1", None).await;
        assert!(took < SECOND, "{took:?}");
        assert!(b.rooms.stats().moderation_reread.get() > 0);
        a.rooms.stop().await;
        b.rooms.stop().await;
    });
}

#[test]
fn a_room_that_panics_comes_back_with_what_was_decided_and_what_was_liked() {
    system(async {
        let mut spec = spec();
        spec.likes.window = Duration::from_secs(2);
        let rig = Rig::new(spec).await;
        let worker = rig.worker().await;
        let room = room("r");
        let entry = serde_json::json!({"type": "comment", "id": "7", "progress": 0, "mode": 1, "fontsize": 25,
            "color": 0, "midHash": mid_hash(&user("u9")), "content": "x", "ctime": 1, "weight": 5});
        let ack = worker
            .way
            .js
            .publish(names::out(&room), entry.to_string().into())
            .await
            .unwrap();
        ack.await.unwrap();
        worker.done(&room, r#"{"op":"ban","user":"u1"}"#).await;
        assert!(worker.rooms.like(&room, 41));
        worker.way.deadly.store(true, Ordering::Relaxed);
        let answer = worker.ask(&room, r#"{"op":"recall","id":"7"}"#).await;
        assert_eq!(
            (&answer["ok"], &answer["code"]),
            (&false.into(), &"unavailable".into())
        );

        assert_eq!(worker.say(&room, "u1", "hello").await, Some(Reason::Banned));
        assert_eq!(worker.say(&room, "u2", "hello").await, None);
        assert!(worker.rooms.like(&room, 1));
        eventually("the likes are added", async || rig.totals(&room).0 == 42).await;
        let stats = worker.rooms.stats();
        assert_eq!((stats.restarted.get(), stats.opened.get()), (1, 1));
        worker.rooms.stop().await;
    });
}
