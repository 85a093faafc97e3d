//! What viewers missed, on request.

use async_nats::Message;
use futures_util::StreamExt as _;
use serde_json::Value;
use twolane::live::names::{self, RoomId, UserId};
use twolane::live::tally::Class;

use super::rig::{Rig, Worker, room, spec, system, until, user};

/// Asks as a user does whose inbox prefix is their own, and returns the answer.
async fn ask(rig: &Rig, room: &RoomId, user: &UserId, request: &str) -> Value {
    let inbox = format!("{}{}", names::inbox_prefix(user), nuid());
    let mut answers = rig.client.subscribe(inbox.clone()).await.unwrap();
    let subject = names::history(room, user);
    let sent = rig
        .client
        .publish_with_reply(subject, inbox, request.to_owned().into());
    sent.await.unwrap();
    let answer: Message = answers.next().await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

fn nuid() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn contents(answer: &Value) -> Vec<&str> {
    let entries = answer["entries"].as_array().expect("entries");
    entries
        .iter()
        .map(|e| e["entry"]["content"].as_str().expect("a comment"))
        .collect()
}

fn seqs(answer: &Value) -> Vec<u64> {
    let entries = answer["entries"].as_array().expect("entries");
    entries.iter().map(|e| e["seq"].as_u64().unwrap()).collect()
}

/// A worker that answers requests.
async fn answering(rig: &Rig) -> Worker {
    let worker = rig.worker();
    until("the worker to have subscribed", || async {
        let subject = names::history(&room(999), &user(999));
        rig.client.publish(subject, "{}".into()).await.unwrap();
        worker.count(Class::History).received > 0
    })
    .await;
    // Answered after all of those were counted.
    ask(rig, &room(999), &user(999), r#"{"last":1}"#).await;
    worker
}

#[test]
fn the_last_n_and_what_followed_an_entry_come_in_the_rooms_order() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = answering(&rig).await;
        for n in 0..60 {
            rig.comment(&room(n % 3), &user(1), &format!("{n}")).await;
        }
        // A room that talks all at once, and is quiet since.
        for n in 0..300 {
            rig.comment(&room(7), &user(1), &format!("{n}")).await;
        }
        for n in 0..600 {
            rig.comment(&room(8), &user(1), &format!("{n}")).await;
        }
        rig.inbox_empty().await;
        let last = ask(&rig, &room(1), &user(1), r#"{"last":3}"#).await;
        assert_eq!(contents(&last), ["52", "55", "58"]);
        assert_eq!(last["more"], 0);
        let all = ask(&rig, &room(1), &user(1), r#"{"last":200}"#).await;
        assert_eq!(contents(&all).len(), 20);
        for (busy, first) in [(7, "290"), (8, "590")] {
            let last = ask(&rig, &room(busy), &user(1), r#"{"last":10}"#).await;
            assert_eq!(contents(&last).len(), 10);
            assert_eq!(contents(&last)[0], first);
        }
        let seen = seqs(&all)[16];
        let request = format!(r#"{{"after":{seen},"limit":2}}"#);
        let after = ask(&rig, &room(1), &user(1), &request).await;
        assert_eq!(contents(&after), ["52", "55"]);
        assert_eq!((&after["more"], after.get("gap")), (&Value::from(1), None));
        let newest = seqs(&all)[19];
        let none = ask(
            &rig,
            &room(1),
            &user(1),
            &format!(r#"{{"after":{newest}}}"#),
        )
        .await;
        assert_eq!((contents(&none).len(), none.get("gap")), (0, None));
        let empty = ask(&rig, &room(99), &user(1), r#"{"last":5}"#).await;
        assert!(contents(&empty).is_empty());
        worker.stop().await;
    });
}

#[test]
fn an_answer_says_where_a_gap_can_no_longer_be_filled() {
    system(async {
        let mut spec = spec();
        spec.out.max_per_room = 5;
        let rig = Rig::new(spec).await;
        let worker = answering(&rig).await;
        for n in 0..20 {
            rig.comment(&room(1), &user(1), &format!("{n}")).await;
        }
        rig.inbox_empty().await;
        let answer = ask(&rig, &room(1), &user(1), r#"{"after":3,"limit":2}"#).await;
        assert_eq!(contents(&answer), ["15", "16"]);
        assert_eq!(answer["gap"], serde_json::json!({"after": 3, "before": 16}));
        assert_eq!(answer["more"], 3);
        worker.stop().await;
    });
}

#[test]
fn an_answer_goes_to_the_users_own_inbox_or_nowhere() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = answering(&rig).await;
        let mut feed = rig.client.subscribe(names::feed(&room(1))).await.unwrap();
        let mut other = rig.client.subscribe("_INBOX.user-2.>").await.unwrap();
        let mut told = rig
            .client
            .subscribe(names::refused(&user(1)))
            .await
            .unwrap();
        let before = worker.count(Class::History).refused;
        let forged = [names::feed(&room(1)), "_INBOX.user-2.a".to_owned()];
        for reply in &forged {
            let subject = names::history(&room(1), &user(1));
            let sent =
                rig.client
                    .publish_with_reply(subject, reply.clone(), r#"{"last":1}"#.into());
            sent.await.unwrap();
            let refused: Value =
                serde_json::from_slice(&told.next().await.unwrap().payload).unwrap();
            assert_eq!(refused["code"], "forbidden");
        }
        // What follows was sent later: had there been an answer, it would be here by now.
        let bad = ask(&rig, &room(1), &user(1), "what?").await;
        assert_eq!(bad["code"], "malformed");
        let none = std::time::Duration::from_millis(200);
        assert!(tokio::time::timeout(none, feed.next()).await.is_err());
        assert!(tokio::time::timeout(none, other.next()).await.is_err());
        assert_eq!(worker.count(Class::History).refused, before + 3);
        worker.stop().await;
    });
}

#[test]
fn an_answer_is_bounded_in_bytes() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = answering(&rig).await;
        let large = "文".repeat(4_000);
        for _ in 0..150 {
            rig.comment(&room(1), &user(1), &large).await;
        }
        rig.inbox_empty().await;
        for request in [r#"{"last":150}"#, r#"{"after":0}"#] {
            let answer = ask(&rig, &room(1), &user(1), request).await;
            let n = contents(&answer).len();
            assert!((30..=45).contains(&n), "{n} entries");
        }
        worker.stop().await;
    });
}
