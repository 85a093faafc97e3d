//! A room in browsers: who joins sees it, what is sent is seen by all in one order, and what is refused is told.

use std::time::Duration;

use serde_json::json;

use super::client::{Ask, contents};
use super::rig::{Rig, new_room, system};

#[test]
fn what_one_sends_all_see_and_who_comes_later_sees_the_last() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&["recent = 3"]);
        let room = new_room();
        let mut a = rig.join(gateway.addr(), &room, "a").await;
        let mut b = rig.join(gateway.addr(), &room, "b").await;
        for n in 0..5 {
            let content = format!("number {n}");
            a.say(json!({"type": "comment", "content": content, "cid": format!("c{n}")}))
                .await;
            let stored = a.until("stored").await;
            assert_eq!(stored["cid"], format!("c{n}"));
            assert!(stored["id"].is_string());
        }
        let seen = b.entries(5).await;
        let wanted: Vec<_> = (0..5).map(|n| format!("number {n}")).collect();
        assert_eq!(contents(&seen), wanted);
        assert!(seen.is_sorted_by_key(|(seq, _)| *seq));
        assert_eq!(seen[0].1["cid"], "c0");
        let ask = Ask::page(gateway.addr(), &room, &rig.token("c", &[]));
        let mut late = ask.open().await.unwrap();
        let hello = late.until("hello").await;
        assert_eq!(hello["seq"], seen[4].0);
        assert_eq!(hello["user"], "c");
        assert_eq!(contents(&late.entries(3).await), wanted[2..]);
        rig.end(gateway).await;
    });
}

#[test]
fn a_comment_that_is_sent_again_with_its_cid_is_shown_once() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let room = new_room();
        let mut a = rig.join(gateway.addr(), &room, "a").await;
        for _ in 0..3 {
            a.say(json!({"type": "comment", "content": "once", "cid": "same"}))
                .await;
        }
        a.say(json!({"type": "comment", "content": "last", "cid": "other"}))
            .await;
        assert_eq!(contents(&a.entries(2).await), ["once", "last"]);
        rig.end(gateway).await;
    });
}

#[test]
fn likes_are_told_as_totals_and_viewers_are_counted() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let room = new_room();
        let mut a = rig.join(gateway.addr(), &room, "a").await;
        let mut b = rig.join(gateway.addr(), &room, "b").await;
        a.say(json!({"type": "like", "n": 7})).await;
        loop {
            let told = b.until("likes").await;
            if told["total"] == 7 && told["viewers"] == 2 {
                break;
            }
        }
        a.say(json!({"type": "like", "n": 0})).await;
        let refused = a.until("refused").await;
        assert_eq!(
            (&refused["what"], &refused["code"]),
            (&json!("like"), &json!("malformed"))
        );
        rig.end(gateway).await;
    });
}

#[test]
fn a_moderator_recalls_a_comment_and_nobody_else_may() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let room = new_room();
        let mut viewer = rig.join(gateway.addr(), &room, "viewer").await;
        let token = rig.token("boss", &[&room]);
        let mut boss = Ask::page(gateway.addr(), &room, &token)
            .open()
            .await
            .unwrap();
        assert_eq!(boss.until("hello").await["moderates"], true);
        viewer
            .say(json!({"type": "comment", "content": "spoiler"}))
            .await;
        let seen = viewer.entries(1).await;
        let id = seen[0].1["id"].clone();
        let recall = json!({"type": "ctl", "ref": "r1", "request": {"op": "recall", "id": id}});
        viewer.say(recall.clone()).await;
        assert_eq!(viewer.until("refused").await["code"], "forbidden");
        boss.say(recall).await;
        let answer = boss.until("ctl").await;
        assert_eq!(answer["ref"], "r1");
        assert_eq!(answer["answer"]["ok"], true, "{answer}");
        let recalled = viewer.entries(1).await;
        assert_eq!(recalled[0].1["type"], "recall");
        assert_eq!(recalled[0].1["id"], id);
        rig.end(gateway).await;
    });
}

#[test]
fn what_is_refused_is_told_to_its_sender_alone() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let room = new_room();
        let mut a = rig.join(gateway.addr(), &room, "a").await;
        let mut b = rig.join(gateway.addr(), &room, "b").await;
        a.say(json!({"type": "comment", "content": "   ", "cid": "blank"}))
            .await;
        let refused = a.until("refused").await;
        assert_eq!(refused["code"], "empty", "{refused}");
        assert_eq!(refused["cid"], "blank");
        for bad in [
            json!({"type": "x"}),
            json!([]),
            json!({"type": "comment", "content": 7}),
        ] {
            a.say(bad).await;
            assert_eq!(a.until("refused").await["code"], "malformed");
        }
        assert!(b.quiet("refused", Duration::from_millis(300)).await);
        rig.end(gateway).await;
    });
}

#[test]
fn a_forged_entry_on_the_feed_is_dropped() {
    system(async {
        let rig = Rig::start().await;
        let gateway = rig.gateway(&[]);
        let room = new_room();
        let mut a = rig.join(gateway.addr(), &room, "a").await;
        let worker = rig.server.worker().await;
        let forged = json!({"type": "comment", "id": "1", "content": "forged"}).to_string();
        let feed = format!("live.{room}.feed");
        worker.publish(feed, forged.into()).await.unwrap();
        worker.flush().await.unwrap();
        a.say(json!({"type": "comment", "content": "real"})).await;
        assert_eq!(contents(&a.entries(1).await), ["real"]);
        assert_eq!(
            gateway
                .tally()
                .forged
                .load(std::sync::atomic::Ordering::Relaxed),
            1
        );
        rig.end(gateway).await;
    });
}
