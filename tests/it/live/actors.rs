//! Each step of the live lane's actors fails in each way, under load; the others go on and no comment is lost.

use std::cell::Cell;
use std::time::{Duration, Instant};

use twolane::live::names::{self, Inbound, RoomId};
use twolane::supervise::{Fault, Plan};

use super::rig::{Rig, Worker, room, spec, system, until, user};

/// A failure is noticed, and the actor made anew, within this.
const NOTICED: Duration = Duration::from_secs(5);
const LOAD_PAUSE: Duration = Duration::from_millis(10);

/// An actor of the lane, a step of it, and the ways that it may fail there. A handler that freezes blocks its thread,
/// which nothing can end, so that the steps of handlers have no such row.
const STEPS: [(&str, &str, &[Fault]); 10] = [
    ("live/comments", "receive", ALL),
    ("live/comments", "decide", ALL),
    ("live/comments", "finish", ALL),
    ("live/likes", "receive", ALL),
    ("live/requests", "receive", ALL),
    ("live/room/room-0", "judge", HANDLER),
    ("live/room/room-0", "ask", HANDLER),
    ("live/room/room-0", "charge", ALL),
    ("live/room/room-0", "fold", ALL),
    ("live/room/room-0", "count", ALL),
];
const ALL: &[Fault] = &[Fault::Panic, Fault::Error, Fault::Freeze, Fault::Stop];
const HANDLER: &[Fault] = &[Fault::Panic, Fault::Error, Fault::Stop];

/// What was sent so far.
#[derive(Default)]
struct Load {
    comments: std::cell::RefCell<Vec<String>>,
    ended: Cell<bool>,
}

// === impl Load ===

impl Load {
    /// Everything that reaches an actor: comments, likes, heartbeats, and a moderator's requests.
    async fn run(&self, rig: &Rig) {
        let mut n = 0_usize;
        while !self.ended.get() {
            let content = format!("comment {n}");
            rig.comment(&room(n % 2), &user(n % 20), &content).await;
            self.comments.borrow_mut().push(content);
            let one = async |inbound| {
                let subject = names::inbound(&room(0), inbound, &user(n % 20));
                rig.client.publish(subject, "".into()).await.expect("sent");
            };
            one(Inbound::Like).await;
            one(Inbound::Here).await;
            let moderator = user(99);
            let asked = rig.client.publish_with_reply(
                format!("live.{}.ctl.{moderator}", room(0)),
                format!("{}1", names::inbox_prefix(&moderator)),
                r#"{"op":"state"}"#.into(),
            );
            asked.await.expect("sent");
            n += 1;
            tokio::time::sleep(LOAD_PAUSE).await;
        }
    }
}

/// Plans one failure and waits until its actor was made anew; how long that took from the failure on.
async fn fail(worker: &Worker, actor: &str, step: &str, fault: Fault) -> Duration {
    let tree = worker.tree();
    let status = tree.find(actor).expect("an actor of that name");
    let before = status.restarts();
    let plan = Plan {
        actor: actor.to_owned(),
        step: step.to_owned(),
        fault,
        times: 1,
    };
    tree.chaos().plan(plan).expect("it may be planned");
    until("the step", || async { tree.chaos().planned().is_empty() }).await;
    let met = Instant::now();
    until("the restart", || async { status.restarts() > before }).await;
    let noticed = met.elapsed();
    eprintln!(
        "{actor} {step} {fault:?}: {noticed:.1?}, {:?}",
        status.last_exit()
    );
    noticed
}

fn survives(chosen: impl Fn(&str, &str, Fault) -> bool) {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = Worker::with_chaos(&rig.server.url(), &rig.spec);
        let load = Load::default();
        let faults = async {
            until("the first room", || async {
                worker.tree().find("live/room/room-0").is_some()
            })
            .await;
            for (actor, step, faults) in STEPS {
                for fault in faults.iter().copied().filter(|f| chosen(actor, step, *f)) {
                    let noticed = fail(&worker, actor, step, fault).await;
                    assert!(noticed < NOTICED, "{actor} {step} {fault:?}: {noticed:?}");
                }
            }
            load.ended.set(true);
        };
        futures_util::future::join(load.run(&rig), faults).await;
        rig.inbox_empty().await;
        rig.each_once(&load.comments.take()).await;
        assert_eq!(rig.messages("LIVE_DEAD").await, 0, "nothing is given up");
        worker.stop_after_failures().await;
    });
}

#[test]
fn an_actor_of_the_live_lane_that_fails_costs_no_comment() {
    survives(|actor, _, fault| match fault {
        Fault::Panic => true,
        Fault::Error => actor == "live/comments",
        Fault::Freeze => actor == "live/room/room-0",
        Fault::Stop => matches!(actor, "live/likes" | "live/requests"),
    });
}

#[test]
#[ignore = "takes minutes"]
fn an_actor_of_the_live_lane_that_fails_at_any_step_in_any_way_costs_no_comment() {
    // A worker each, since one whose part fails ten times a minute ends.
    for each in ALL {
        survives(|_, _, fault| fault == *each);
    }
}

/// What is planned here is what there is.
#[test]
fn every_step_of_the_live_lanes_actors_has_its_row() {
    system(async {
        let rig = Rig::new(spec()).await;
        let worker = Worker::with_chaos(&rig.server.url(), &rig.spec);
        let only: RoomId = room(0);
        rig.comment(&only, &user(0), "it opens the room").await;
        rig.inbox_empty().await;
        for child in worker.tree().children() {
            for step in child.steps {
                let row = STEPS.iter().find(|(a, s, _)| *a == child.name && s == step);
                assert!(row.is_some(), "{} {step} has none", child.name);
            }
        }
        worker.stop_after_failures().await;
    });
}
