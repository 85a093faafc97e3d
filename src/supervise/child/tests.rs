use super::*;
use actix::prelude::*;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::super::{
    ChildState, Fault, Plan, Restart, Strategy, Supervisor, SupervisorSpec, Thread, Tree, Waiting,
};

struct Probe {
    me: Incarnation,
    handled: Arc<AtomicU32>,
    waiting: Option<Waiting>,
}

#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "u32")]
enum Ask {
    Count,
    Panic,
    PanicInFuture,
    PanicInGuarded,
    Fail,
    Stop,
    Complete,
    /// Has work, and never moves.
    Hang,
    /// The same, declared.
    Wait,
    /// Blocks its thread for this long.
    Block(u64),
    /// Keeps it busy, and says so.
    Busy(u64),
    Step,
}

impl Actor for Probe {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let mut stopping = self.me.stopping.clone();
        // Drains for a moment, where its spec lets it.
        let drained = async move {
            stopping.asked().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        ctx.spawn(drained.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

/// A plain future, which actix runs beside the context.
#[derive(Message)]
#[rtype(result = "()")]
struct Guarded(bool);

impl Handler<Guarded> for Probe {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, Guarded(panics): Guarded, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.me.exit.clone().guard(async move {
            tokio::task::yield_now().await;
            assert!(!panics, "in a plain future");
        }))
    }
}

impl Handler<Ask> for Probe {
    type Result = ResponseActFuture<Self, u32>;
    fn handle(&mut self, ask: Ask, ctx: &mut Self::Context) -> Self::Result {
        let done = |n| -> Self::Result { Box::pin(actix::fut::ready(n)) };
        let exit = self.me.exit.clone();
        match ask {
            Ask::Count => return done(self.handled.fetch_add(1, Ordering::SeqCst) + 1),
            Ask::Panic => panic!("in a handler"),
            Ask::PanicInFuture => {
                return Box::pin(
                    async {
                        tokio::task::yield_now().await;
                        panic!("in a future")
                    }
                    .into_actor(self),
                );
            }
            Ask::PanicInGuarded => {
                actix::spawn(exit.guard(async { panic!("in a spawned task") }));
            }
            Ask::Fail => {
                exit.set(Exit::Failed("asked to".into()));
                ctx.stop();
            }
            Ask::Stop => exit.end(Exit::Stopped),
            Ask::Complete => ctx.stop(),
            Ask::Hang => self.me.progress.has_work(true),
            Ask::Wait => {
                self.me.progress.has_work(true);
                self.waiting = Some(self.me.progress.waiting("a test"));
            }
            Ask::Block(ms) => std::thread::sleep(Duration::from_millis(ms)),
            Ask::Busy(ms) => {
                for _ in 0..ms / 50 {
                    std::thread::sleep(Duration::from_millis(50));
                    self.me.progress.did(1);
                }
            }
            Ask::Step => {
                if self.me.steps.at("step").is_err() {
                    return done(0);
                }
            }
        }
        done(0)
    }
}

fn spec(name: &str) -> ChildSpec {
    ChildSpec {
        name: name.into(),
        max_restarts: 3,
        steps: &["step"],
        ..ChildSpec::default()
    }
}

fn probe(parent: impl Into<Supervisor>, place: impl Into<Place>, spec: ChildSpec) -> Child<Probe> {
    let handled = Arc::new(AtomicU32::new(0));
    start(place, parent, spec, move |i: &Incarnation| {
        Ok(Probe {
            me: i.clone(),
            handled: Arc::clone(&handled),
            waiting: None,
        })
    })
}

fn here() -> ArbiterHandle {
    Arbiter::current()
}

/// Runs a test on an actix system whose clock is a paused one.
fn paused<T>(test: impl Future<Output = T>) -> T {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    System::with_tokio_rt(runtime).block_on(test)
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let started = tokio::time::Instant::now();
    while !holds() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "in vain: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_failed_actor_is_restarted_on_the_same_address_and_keeps_what_was_queued() {
    for (bad, why) in [
        (Ask::Panic, "panicked: in a handler"),
        (Ask::PanicInFuture, "panicked: in a future"),
        (Ask::PanicInGuarded, "panicked: in a spawned task"),
        (Ask::Fail, "failed: asked to"),
    ] {
        paused(async {
            let tree = Arc::new(Tree::default());
            let child = probe(&tree, &here(), spec("probe"));
            assert_eq!(child.addr.send(Ask::Count).await.unwrap(), 1);
            let bad = child.addr.send(bad);
            let status = Arc::clone(child.status());
            let _ = bad.await;
            until("the restart", || status.restarts() == 1).await;
            assert_eq!(child.addr.send(Ask::Count).await.unwrap(), 2);
            assert_eq!(child.inbox.send(Ask::Count).await.unwrap(), 3);
            assert_eq!(status.last_exit().unwrap().to_string(), why);
            child.stop();
            child.ended().await;
            assert_eq!(status.state().0, ChildState::Ended);
            assert!(tree.children().is_empty());
        });
    }
}

#[test]
fn what_was_queued_behind_the_failure_is_handled_by_the_next_incarnation() {
    paused(async {
        let tree = Arc::new(Tree::default());
        let child = probe(&tree, &here(), spec("probe"));
        let bad = child.addr.send(Ask::Panic);
        let queued = child.addr.send(Ask::Count);
        let inbox = child.inbox.send(Ask::Count);
        assert!(
            bad.await.is_err(),
            "its sender sees that it was not handled"
        );
        let (a, b) = futures_util::future::join(queued, inbox).await;
        assert_eq!(a.unwrap() + b.unwrap(), 3);
        assert_eq!(child.status().restarts(), 1);
    });
}

#[test]
fn a_panic_in_a_guarded_plain_future_restarts_and_its_sender_sees_it() {
    paused(async {
        let tree = Arc::new(Tree::default());
        let child = probe(&tree, &here(), spec("probe"));
        child.inbox.send(Guarded(false)).await.unwrap();
        assert!(child.inbox.send(Guarded(true)).await.is_err());
        let status = child.status();
        until("the restart", || status.restarts() == 1).await;
        let exit = status.last_exit().unwrap();
        assert_eq!(exit, Exit::Panicked("in a plain future".into()));
        child.inbox.send(Guarded(false)).await.unwrap();
    });
}

#[test]
fn more_failures_than_allowed_escalate_with_the_reason() {
    paused(async {
        let tree = Arc::new(Tree::default());
        let spec = ChildSpec {
            max_restarts: 1,
            ..spec("probe")
        };
        let child = probe(&tree, &here(), spec);
        for _ in 0..2 {
            let _ = child.addr.send(Ask::Panic).await;
        }
        let reason = tree.escalated().await;
        assert!(
            reason.contains("probe: 2 failures") && reason.contains("in a handler"),
            "{reason}"
        );
        // Its senders are not left waiting.
        assert!(child.inbox.send(Ask::Count).await.is_err());
        assert!(child.addr.send(Ask::Count).await.is_err());
    });
}

#[test]
fn failures_further_apart_than_the_window_do_not_escalate() {
    paused(async {
        let tree = Arc::new(Tree::default());
        let spec = ChildSpec {
            max_restarts: 1,
            within: Duration::from_secs(60),
            ..spec("probe")
        };
        let child = probe(&tree, &here(), spec);
        for _ in 0..20 {
            let _ = child.addr.send(Ask::Panic).await;
            tokio::time::sleep(Duration::from_secs(70)).await;
        }
        assert_eq!(child.addr.send(Ask::Count).await.unwrap(), 1);
        assert_eq!(child.status().restarts(), 20);
    });
}

#[test]
fn a_factory_that_panics_is_tried_again() {
    paused(async {
        let tree = Arc::new(Tree::default());
        let child = start(&here(), tree, spec("late"), |i: &Incarnation| {
            assert!(i.number > 1, "not yet");
            Ok(Probe {
                me: i.clone(),
                handled: Arc::default(),
                waiting: None,
            })
        });
        assert_eq!(child.addr.send(Ask::Count).await.unwrap(), 1);
    });
}

#[test]
fn the_restart_policy_says_after_which_exits_a_child_is_made_anew() {
    for (restart, ask, again) in [
        (Restart::Permanent, Ask::Complete, true),
        (Restart::Permanent, Ask::Stop, true),
        (Restart::Permanent, Ask::Panic, true),
        (Restart::UntilCompleted, Ask::Complete, false),
        (Restart::UntilCompleted, Ask::Stop, true),
        (Restart::UntilCompleted, Ask::Panic, true),
        (Restart::Transient, Ask::Complete, false),
        (Restart::Transient, Ask::Stop, false),
        (Restart::Transient, Ask::Fail, true),
        (Restart::Temporary, Ask::Panic, false),
        (Restart::Temporary, Ask::Complete, false),
    ] {
        paused(async {
            let tree = Arc::new(Tree::default());
            let child = probe(
                &tree,
                &here(),
                ChildSpec {
                    restart,
                    ..spec("probe")
                },
            );
            let _ = child.inbox.send(ask).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            let status = child.status();
            assert_eq!(status.restarts(), u64::from(again), "{restart:?} {ask:?}");
            let state = if again {
                ChildState::Running
            } else {
                ChildState::Ended
            };
            assert_eq!(status.state().0, state, "{restart:?} {ask:?}");
            assert_eq!(child.inbox.send(Ask::Count).await.is_ok(), again);
        });
    }
}

#[test]
fn work_that_does_not_move_is_a_stall_and_a_declared_wait_is_none() {
    paused(async {
        let tree = Arc::new(Tree::default());
        let spec = ChildSpec {
            stall: Some(Duration::from_secs(4)),
            ..spec("probe")
        };
        let child = probe(&tree, &here(), spec);
        let status = child.status();
        child.inbox.send(Ask::Wait).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(status.restarts(), 0);
        assert_eq!(status.progress().unwrap().waiting, Some("a test"));
        let _ = child.inbox.send(Ask::Fail).await;
        until("the restart", || status.restarts() == 1).await;
        child.inbox.send(Ask::Hang).await.unwrap();
        let started = tokio::time::Instant::now();
        until("the stall", || status.restarts() == 2).await;
        assert!(
            started.elapsed() <= Duration::from_secs(5),
            "{:?}",
            started.elapsed()
        );
        let exit = status.last_exit().unwrap();
        assert!(matches!(exit, Exit::Stalled(_)), "{exit}");
        assert_eq!(child.inbox.send(Ask::Count).await.unwrap(), 1);
    });
}

#[actix::test]
async fn an_actor_that_blocks_its_thread_is_left_behind_and_made_anew_with_its_neighbours() {
    let tree = Arc::new(Tree::default());
    let thread = Thread::start().unwrap();
    let left = Arc::new(AtomicU32::new(0));
    let watched = |name| {
        let left = Arc::clone(&left);
        ChildSpec {
            stall: Some(Duration::from_millis(500)),
            abandoned: Some(Hook::new(move || {
                left.fetch_add(1, Ordering::SeqCst);
            })),
            ..spec(name)
        }
    };
    let blocks = probe(&tree, &thread, watched("blocks"));
    let beside = probe(&tree, &thread, watched("beside"));
    assert_eq!(beside.inbox.send(Ask::Count).await.unwrap(), 1);
    blocks.inbox.try_send(Ask::Block(6_000)).unwrap();
    blocks.inbox.try_send(Ask::Count).unwrap();
    for child in [&blocks, &beside] {
        until("the restart", || child.status().restarts() == 1).await;
        let exit = child.status().last_exit().unwrap();
        assert!(matches!(exit, Exit::Stalled(_)), "{exit}");
        assert_eq!(child.inbox.send(Ask::Count).await.unwrap(), 2);
    }
    assert_eq!(left.load(Ordering::SeqCst), 2);
    // The one left behind wakes, and changes nothing.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(blocks.inbox.send(Ask::Count).await.unwrap(), 3);
    assert_eq!(blocks.status().restarts(), 1);
    tree.stop().await;
    thread.stop().await;
}

#[actix::test]
async fn an_actor_that_keeps_its_thread_busy_and_moves_is_not_stalled_nor_are_its_neighbours() {
    let tree = Arc::new(Tree::default());
    let thread = Thread::start().unwrap();
    let watched = |name| ChildSpec {
        stall: Some(Duration::from_millis(500)),
        ..spec(name)
    };
    let busy = probe(&tree, &thread, watched("busy"));
    let beside = probe(&tree, &thread, watched("beside"));
    busy.inbox.send(Ask::Busy(3_000)).await.unwrap();
    assert_eq!(beside.inbox.send(Ask::Count).await.unwrap(), 1);
    for child in [&busy, &beside] {
        assert_eq!(
            child.status().restarts(),
            0,
            "{:?}",
            child.status().last_exit()
        );
    }
    tree.stop().await;
    thread.stop().await;
}

#[actix::test]
async fn too_many_that_block_their_threads_end_the_process() {
    let tree = Arc::new(Tree::default());
    let thread = Thread::start().unwrap();
    let spec = ChildSpec {
        stall: Some(Duration::from_millis(500)),
        max_restarts: 1_000,
        ..spec("blocks")
    };
    let child = probe(&tree, &thread, spec);
    for _ in 0..=super::super::MOST_ABANDONED {
        child.inbox.try_send(Ask::Block(20_000)).unwrap();
    }
    let reason = tree.escalated().await;
    assert!(
        reason.contains("the 4th actor that blocks its thread"),
        "{reason}"
    );
    tree.stop().await;
}

#[test]
fn a_child_ends_within_its_deadline_or_is_killed() {
    paused(async {
        let tree = Arc::new(Tree::default());
        let drains = |name, ms| ChildSpec {
            drains: true,
            shutdown: Duration::from_millis(ms),
            ..spec(name)
        };
        let in_time = probe(&tree, &here(), drains("in time", 1_000));
        let late = probe(&tree, &here(), drains("late", 10));
        for child in [&in_time, &late] {
            child.inbox.send(Ask::Count).await.unwrap();
            child.stop();
            child.ended().await;
        }
        assert_eq!(in_time.status().last_exit(), Some(Exit::Stopped));
        let exit = late.status().last_exit().unwrap();
        assert!(matches!(exit, Exit::Killed(_)), "{exit}");
    });
}

/// A place in time for each start and end.
#[derive(Clone, Default)]
struct Journal(Arc<std::sync::Mutex<Vec<String>>>);

impl Journal {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

struct Member {
    name: &'static str,
    journal: Journal,
}

impl Member {
    fn note(&self, what: &str) {
        let line = format!("{what}{}", self.name);
        self.journal.0.lock().unwrap().push(line);
    }
}

impl Actor for Member {
    type Context = Context<Self>;
    fn started(&mut self, _: &mut Self::Context) {
        self.note("+");
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.note("-");
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Die;

impl Handler<Die> for Member {
    type Result = ();
    fn handle(&mut self, _: Die, _: &mut Self::Context) {
        panic!("as it was told")
    }
}

fn members(parent: &Supervisor, journal: &Journal, max_restarts: u32) -> Vec<Child<Member>> {
    ["a", "b", "c"]
        .into_iter()
        .map(|name| {
            let journal = journal.clone();
            let spec = ChildSpec {
                max_restarts,
                ..spec(name)
            };
            start(&here(), parent, spec, move |_: &Incarnation| {
                let journal = journal.clone();
                Ok(Member { name, journal })
            })
        })
        .collect()
}

#[test]
fn an_ordered_family_starts_downstream_first_and_stops_upstream_first() {
    paused(async {
        let (tree, journal) = (Arc::new(Tree::default()), Journal::default());
        let family = Supervisor::start(&tree, SupervisorSpec::default());
        let all = members(&family, &journal, 3);
        until("the start", || {
            all[2].status().state().0 == ChildState::Running
        })
        .await;
        assert_eq!(journal.take(), ["+a", "+b", "+c"]);
        family.stop().await;
        assert_eq!(journal.take(), ["-c", "-b", "-a"]);
        for child in &all {
            child.ended().await;
            assert!(child.inbox.send(Die).await.is_err());
        }
        assert!(tree.root().is_empty());
    });
}

#[test]
fn rest_for_one_makes_those_anew_that_stand_upstream_and_one_for_one_none() {
    for (strategy, then) in [
        (Strategy::OneForOne, vec!["-b", "+b"]),
        (Strategy::RestForOne, vec!["-b", "-c", "+b", "+c"]),
        (Strategy::Independent, vec!["-b", "+b"]),
    ] {
        paused(async {
            let (tree, journal) = (Arc::new(Tree::default()), Journal::default());
            let spec = SupervisorSpec {
                strategy,
                ..SupervisorSpec::default()
            };
            let family = Supervisor::start(&tree, spec);
            let all = members(&family, &journal, 3);
            until("the start", || {
                all[2].status().state().0 == ChildState::Running
            })
            .await;
            journal.take();
            let _ = all[1].inbox.send(Die).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert_eq!(journal.take(), then, "{strategy:?}");
            // A restart for another's sake is no failure of one's own.
            let restarts: Vec<u64> = all.iter().map(|c| c.status().restarts()).collect();
            assert_eq!(restarts, [0, 1, 0]);
        });
    }
}

#[test]
fn a_family_that_fails_is_made_anew_as_a_whole_on_the_same_addresses_and_then_escalates() {
    paused(async {
        let (tree, journal) = (Arc::new(Tree::default()), Journal::default());
        let spec = |name: &str, max_restarts| SupervisorSpec {
            name: name.into(),
            max_restarts,
            ..SupervisorSpec::default()
        };
        let lane = Supervisor::start(&tree, spec("lane", 0));
        let family = Supervisor::start(&lane, spec("family", 1));
        let other = Supervisor::start(&lane, spec("other", 1));
        let beside = probe(&other, &here(), self::spec("beside"));
        let all = members(&family, &journal, 0);
        until("the start", || {
            all[2].status().state().0 == ChildState::Running
        })
        .await;
        journal.take();
        let _ = all[1].inbox.send(Die).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(journal.take(), ["-b", "-c", "-a", "+a", "+b", "+c"]);
        assert_eq!(
            beside.inbox.send(Ask::Count).await.unwrap(),
            1,
            "it did not notice"
        );
        assert_eq!(tree.find("family").unwrap().restarts(), 1);
        let _ = all[0].inbox.send(Die).await;
        let reason = tree.escalated().await;
        assert_eq!(
            reason,
            "lane failed: family: 2 failures within 600s, the last one failed: a panicked: as it was told"
        );
        assert!(
            beside.inbox.send(Ask::Count).await.is_err(),
            "the lane is down"
        );
        tree.stop().await;
    });
}

#[test]
fn thousands_of_independent_children_come_and_go_and_the_listing_stays_short() {
    const MANY: usize = 3_000;
    paused(async {
        let tree = Arc::new(Tree::default());
        let spec = SupervisorSpec {
            name: "rooms".into(),
            strategy: Strategy::Independent,
            ..SupervisorSpec::default()
        };
        let rooms = Supervisor::start(&tree, spec);
        let all: Vec<Child<Probe>> = (0..MANY)
            .map(|n| probe(&rooms, &here(), self::spec(&format!("room-{n}"))))
            .collect();
        for room in &all {
            assert_eq!(room.inbox.send(Ask::Count).await.unwrap(), 1);
        }
        let _ = all[2_500].inbox.send(Ask::Panic).await;
        tokio::task::yield_now().await;
        let listed = tree.children();
        assert_eq!(listed.len(), Tree::MOST_LISTED);
        assert!(
            listed.iter().any(|c| c.name == "room-2500"),
            "one in trouble is shown"
        );
        assert_eq!(tree.view().children[0].more, MANY - Tree::MOST_LISTED);
        for room in &all[..2_000] {
            let _ = room.inbox.send(Ask::Complete).await;
        }
        for room in &all[..2_000] {
            room.ended().await;
        }
        assert_eq!(rooms.len(), MANY - 2_000, "who has ended leaves");
        rooms.stop().await;
        assert!(
            all.iter()
                .all(|r| r.status().state().0 == ChildState::Ended)
        );
    });
}

#[test]
fn a_restart_that_was_asked_for_is_no_failure() {
    paused(async {
        let tree = Arc::new(Tree::default());
        let spec = ChildSpec {
            max_restarts: 0,
            ..spec("probe")
        };
        let child = probe(&tree, &here(), spec);
        for n in 1..=5 {
            child.inbox.send(Ask::Count).await.unwrap();
            assert_eq!(
                tree.restart("probe", "a test"),
                super::super::Asked::Restarting
            );
            until("the restart", || child.status().restarts() == n).await;
        }
        assert_eq!(child.inbox.send(Ask::Count).await.unwrap(), 6);
        assert_eq!(child.status().restart_asked_by(), Some("a test".into()));
        assert_eq!(tree.restart("prob", "a test"), super::super::Asked::Unknown);
    });
}

#[test]
fn an_inbox_holds_no_more_than_it_may_and_what_finds_no_room_waits_at_its_sender() {
    paused(async {
        let tree = Arc::new(Tree::default());
        let child = start(&here(), &tree, spec("never"), |_: &Incarnation| {
            Err::<Probe, _>("not yet".to_owned())
        });
        let (sent, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        for _ in 0..1_000 {
            let (inbox, refused) = (child.inbox.clone(), Arc::clone(&refused));
            let sent = Arc::clone(&sent);
            actix::spawn(async move {
                if inbox.try_send(Ask::Count).is_err() {
                    refused.fetch_add(1, Ordering::SeqCst);
                    sent.fetch_add(
                        u64::from(inbox.send(Ask::Count).await.is_ok()),
                        Ordering::SeqCst,
                    );
                }
            });
        }
        until("the flood", || refused.load(Ordering::SeqCst) == 1_000 - 16).await;
        assert_eq!(child.inbox.depth(), 16);
        assert_eq!(child.status().queue(), Some(16));
        // Past the last try the senders learn that nobody will come.
        tree.escalated().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(child.inbox.try_send(Ask::Count).is_err());
        assert_eq!(sent.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn planned_failures_happen_where_and_as_often_as_planned() {
    paused(async {
        let tree = Arc::new(Tree::with_chaos());
        let spec = ChildSpec {
            restart: Restart::Permanent,
            ..spec("probe")
        };
        let child = probe(&tree, &here(), spec);
        child.inbox.send(Ask::Step).await.unwrap();
        let expected = [
            (Fault::Panic, "panicked: a planned failure at step step"),
            (Fault::Error, "failed: a planned failure at step step"),
            (Fault::Stop, "stopped"),
        ];
        for (n, (fault, exit)) in (1..).zip(expected) {
            let plan = Plan {
                actor: "probe".into(),
                step: "step".into(),
                fault,
                times: 1,
            };
            tree.chaos().plan(plan).unwrap();
            let _ = child.inbox.send(Ask::Step).await;
            until("the restart", || child.status().restarts() == n).await;
            assert_eq!(child.status().last_exit().unwrap().to_string(), exit);
            child.inbox.send(Ask::Step).await.unwrap();
        }
        let plain = Tree::default();
        let plan = tree.chaos().planned();
        assert!(plan.is_empty());
        let plan = Plan {
            actor: "probe".into(),
            step: "step".into(),
            fault: Fault::Panic,
            times: 1,
        };
        assert!(plain.chaos().plan(plan).is_err());
    });
}
