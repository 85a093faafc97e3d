//! More comments than a worker can show: likes are given up for them, and no comment is.

use std::time::{Duration, Instant};

use twolane::live::names::{self, Inbound};
use twolane::live::tally::Class;

use super::rig::{Rig, Worker, room, spec, system, until, user};

/// Comments whose time is taken to learn what a worker shows in a second.
const MEASURED: usize = 2_000;
/// How long three times as many come.
const LENGTH: Duration = Duration::from_secs(3);
/// Between two batches of the load.
const TICK: Duration = Duration::from_millis(5);

#[test]
fn three_times_what_a_worker_can_show_sheds_likes_and_no_comment() {
    system(async {
        let mut spec = spec();
        spec.inbox.worker_pending = 64;
        let rig = Rig::new(spec).await;
        let mut sent = Vec::new();
        publish(&rig, &mut sent, MEASURED).await;
        let worker = rig.worker();
        until("the first comment", || async { shown(&worker) > 0 }).await;
        let (began, first) = (Instant::now(), shown(&worker));
        until("the others", || async { shown(&worker) == MEASURED as u64 }).await;
        let a_second = (MEASURED as u64 - first) as f64 / began.elapsed().as_secs_f64();
        calm(&rig, &worker).await;
        let before = worker.count(Class::Like);

        let began = Instant::now();
        while began.elapsed() < LENGTH {
            let due = MEASURED + (3.0 * a_second * began.elapsed().as_secs_f64()) as usize;
            let missing = due.saturating_sub(sent.len());
            publish(&rig, &mut sent, missing).await;
            like(&rig).await;
            tokio::time::sleep(TICK).await;
        }
        let behind = rig.messages("LIVE_IN").await;
        assert!(
            behind > MEASURED as u64,
            "{a_second:.0}/s can be shown, {} came, and only {behind} wait: that was no overload",
            sent.len()
        );
        let after = worker.count(Class::Like);
        assert!(after.shed > before.shed, "no like was shed: {after:?}");

        until("everything to be shown", || async {
            shown(&worker) == sent.len() as u64
        })
        .await;
        calm(&rig, &worker).await;
        rig.inbox_empty().await;
        rig.each_once(&sent).await;
        let counts = worker.stop().await;
        let comments = counts["comment"];
        assert_eq!(comments.accepted, sent.len() as u64, "{comments:?}");
        assert_eq!((comments.shed, comments.refused), (0, 0), "{comments:?}");
    });
}

fn shown(worker: &Worker) -> u64 {
    worker.count(Class::Comment).accepted
}

async fn publish(rig: &Rig, sent: &mut Vec<String>, count: usize) {
    for _ in 0..count {
        let n = sent.len();
        let subject = names::inbound(&room(n % 20), Inbound::Comment, &user(n % 50));
        let content = format!("comment {n}");
        let json = serde_json::json!({ "content": content }).to_string();
        let published = rig.client.publish(subject, json.into()).await;
        published.expect("the server is there");
        sent.push(content);
    }
    rig.client.flush().await.expect("the server is there");
}

async fn like(rig: &Rig) {
    let subject = names::inbound(&room(1), Inbound::Like, &user(1));
    let liked = rig.client.publish(subject, "".into()).await;
    liked.expect("the server is there");
}

/// Likes are taken while there is no overload, and again when it is over.
async fn calm(rig: &Rig, worker: &Worker) {
    let before = worker.count(Class::Like).accepted;
    until("a like to be taken", || async {
        like(rig).await;
        worker.count(Class::Like).accepted > before
    })
    .await;
}
