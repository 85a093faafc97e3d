//! Likes from the users' own subjects to the total that viewers see.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use twolane::live::names::{self, Inbound, RoomId};
use twolane::live::tally::Class;
use twolane::live::wire::Likes;

use super::rig::{Rig, Worker, spec, system, until, user};
use super::worker::Process;

const USERS: usize = 1_000;
const TOTAL: u64 = 1_000_000;
/// Likes of a message.
const EACH: u64 = 50;
const WINDOW: Duration = Duration::from_millis(100);
/// Messages between two pauses, so that the load takes some seconds.
const AT_ONCE: u64 = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// A million likes through NATS: what is missing at the end is no more than what the killed worker had not yet added.
#[test]
fn a_million_likes_of_a_thousand_users_through_three_workers_of_which_one_is_killed() {
    system(async {
        let mut spec = spec();
        spec.likes.window = WINDOW;
        let rig = Rig::new(spec).await;
        // Totals of all tests lie side by side in Redis.
        let room = RoomId::new(&format!("million-{}", std::process::id())).expect("a name");
        let (a, b) = (rig.worker(), rig.worker());
        let mut c = Process::start(&rig.server.url());
        let highest = Arc::new(AtomicU64::new(0));
        let fell = Arc::new(AtomicBool::new(false));
        let mut frames = rig.client.subscribe(names::likes(&room)).await.unwrap();
        rig.client.flush().await.unwrap();
        actix::spawn({
            let (highest, fell) = (Arc::clone(&highest), Arc::clone(&fell));
            async move {
                while let Some(frame) = frames.next().await {
                    let likes: Likes = serde_json::from_slice(&frame.payload).expect("a total");
                    // What a client shows: the highest that it has seen.
                    let shown = highest.fetch_max(likes.total, Ordering::Relaxed);
                    fell.fetch_or(shown > TOTAL, Ordering::Relaxed);
                }
            }
        });
        // Each of the three has subscribed when neither of two gets all.
        let sent = Cell::new(0);
        until("the third worker to take likes", || {
            like(&rig, &room, &sent, 30);
            async {
                rig.client.flush().await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
                taken(&a) > 0 && taken(&b) > 0 && taken(&a) + taken(&b) + 5 * EACH < sent.get()
            }
        })
        .await;

        let (mut killed, mut lately) = (None, Vec::new());
        while sent.get() < TOTAL {
            like(&rig, &room, &sent, AT_ONCE.min((TOTAL - sent.get()) / EACH));
            rig.client.flush().await.unwrap();
            lately.push((Instant::now(), sent.get()));
            tokio::time::sleep(PAUSE).await;
            if sent.get() >= TOTAL / 2 && killed.is_none() {
                c.kill();
                killed = Some(Instant::now());
            }
        }
        let killed = killed.expect("it was killed");
        let (counts_a, counts_b) = (stop(a).await, stop(b).await);
        assert_eq!(
            (counts_a.1, counts_b.1),
            (0, 0),
            "nothing was given up by the others"
        );
        let total = total(&room);
        let shed = counts_a.0 + counts_b.0;
        let missing = TOTAL - total - shed;
        // What was sent within the killed worker's open window, the one on its way to Redis, and until the server knew.
        let at = |when: Instant| {
            let before = lately.iter().rev().find(|(t, _)| *t <= when);
            before.map_or(0, |(_, n)| *n)
        };
        let open = at(killed + 2 * PAUSE) - at(killed - 3 * WINDOW);
        eprintln!(
            "{missing} likes went with the killed worker, of {open} sent in its last windows"
        );
        assert!(missing <= open, "{missing} are missing, {open} may be");
        until("viewers to see the total", || async {
            highest.load(Ordering::Relaxed) == total
        })
        .await;
        assert!(!fell.load(Ordering::Relaxed), "a total above what was sent");
    });
}

/// Messages of one user after the other.
fn like(rig: &Rig, room: &RoomId, sent: &Cell<u64>, messages: u64) {
    let payload = format!(r#"{{"n":{EACH}}}"#);
    for _ in 0..messages {
        let from = user((sent.get() / EACH) as usize % USERS);
        let subject = names::inbound(room, Inbound::Like, &from);
        let published = rig.client.publish(subject, payload.clone().into());
        futures_util::FutureExt::now_or_never(published)
            .expect("there is room for it")
            .expect("the server is there");
        sent.set(sent.get() + EACH);
    }
}

fn taken(worker: &Worker) -> u64 {
    worker.count(Class::Like).received
}

/// Ends a worker; returns what it shed, and what it gave up.
async fn stop(worker: Worker) -> (u64, u64) {
    let counts = worker.stop().await["like"];
    (counts.shed, counts.abandoned)
}

/// The total as Redis has it, which is the sum of the windows that it accepted from each worker.
fn total(room: &RoomId) -> u64 {
    let url = crate::stack::plain(&["redis"]).get("REDIS").to_owned();
    let mut redis = redis::Client::open(url).unwrap().get_connection().unwrap();
    let key = |what: &str| format!("twolane:live:{{{room}}}:{what}");
    let total: u64 = redis::cmd("HGET")
        .arg(key("likes"))
        .arg("total")
        .query(&mut redis)
        .unwrap();
    let senders: Vec<String> = redis::cmd("KEYS")
        .arg(key("from:*"))
        .query(&mut redis)
        .unwrap();
    let sums = senders.iter().map(|sender| {
        let mut sum = redis::cmd("HGET");
        sum.arg(sender).arg("sum");
        sum.query::<u64>(&mut redis).unwrap()
    });
    let sums: Vec<u64> = sums.collect();
    assert_eq!(sums.len(), 3, "three workers have added");
    assert_eq!(
        total,
        sums.iter().sum::<u64>(),
        "the windows that Redis accepted"
    );
    total
}
