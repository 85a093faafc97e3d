//! Keeps one supervisor's children: starts them, judges their exits, stops them, looks for the stalled.
//!
//! One task a supervisor, on the runtime of the tree, so that no child that blocks its own thread holds up
//! the judgement of another. A stop within an ordered family waits for each child in turn; meanwhile news of
//! the others waits in the table.

mod stopping;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::run::{Order, run};
use super::status::ChildState;
use super::table::{Entry, Family, Phase, Request, Slot, Then};
use super::{Exit, Strategy};

/// How often the watcher looks: a stall is found within its deadline and this.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// How long a child that was told to end at once may take before it counts as blocking its thread: dropping
/// it takes microseconds, and a busy machine's scheduler some hundred milliseconds.
const GRACE: Duration = Duration::from_millis(750);
/// How long the next child of an ordered family waits for the one before it to run.
const READY: Duration = Duration::from_secs(5);

struct Keeper {
    family: Arc<Family>,
    orders: watch::Receiver<Order>,
    /// When to look at which child; what is out of date does no harm.
    timers: BTreeSet<(Instant, u64)>,
    looked: Instant,
}

/// Why a supervisor cannot go on: a child failed once too often.
struct GaveUp {
    child: u64,
    exit: Exit,
    reason: String,
}

/// Keeps `family` until it is ordered to stop, or fails. `running` is called once all have been started. A root
/// does not fail: it says so, and keeps the others until it is stopped.
pub(super) async fn keep(
    family: Arc<Family>,
    orders: watch::Receiver<Order>,
    root: bool,
    running: impl FnOnce(),
) -> Exit {
    let mut keeper = Keeper {
        family,
        orders,
        timers: BTreeSet::new(),
        looked: Instant::now(),
    };
    keeper.start_all().await;
    running();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if keeper.is_stopped() {
            keeper.stop_all().await;
            return Exit::Stopped;
        }
        if let Err(gave_up) = keeper.attend_all().await {
            tracing::error!(
                supervisor = keeper.family.name,
                "gives up: {}",
                gave_up.reason
            );
            if !root {
                // The one above may start all of them again, so they stay.
                keeper.rest(gave_up.child, gave_up.exit);
                keeper.stop_all().await;
                return Exit::Failed(gave_up.reason);
            }
            keeper.end(gave_up.child, gave_up.exit);
            keeper.family.common.escalate(gave_up.reason);
        }
        let next = keeper.timers.first().map(|t| t.0);
        let timer = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let stopped = async {
            if keeper.orders.wait_for(|o| *o != Order::Run).await.is_err() {
                // Whoever could order is gone: so is the tree.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = stopped => {}
            () = keeper.family.wake.notified() => {}
            () = timer => {}
            _ = looks.tick(), if keeper.family.is_watched() => keeper.look(),
        }
    }
}

// === impl Keeper ===

impl Keeper {
    fn is_stopped(&self) -> bool {
        *self.orders.borrow() != Order::Run
    }

    fn entry<T>(&self, id: u64, with: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.family.table().entries.get_mut(&id).map(with)
    }

    fn ids(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<u64> {
        let table = self.family.table();
        let all = table.entries.iter();
        all.filter(|(_, e)| wanted(e)).map(|(id, _)| *id).collect()
    }

    // --- starting

    async fn start_all(&mut self) {
        for id in self.ids(|e| e.phase == Phase::Idle) {
            if self.is_stopped() {
                return;
            }
            self.entry(id, |e| {
                e.window.clear();
                e.delays.reset();
            });
            self.start(id).await;
        }
    }

    /// Starts a child, and in an ordered family waits until it runs.
    async fn start(&mut self, id: u64) {
        self.launch(id);
        if !self.family.strategy.ordered() {
            return;
        }
        let deadline = Instant::now() + READY;
        loop {
            let starting = |e: &mut Entry| e.phase == Phase::Starting && e.exit.is_none();
            if self.entry(id, starting) != Some(true) || self.is_stopped() {
                return;
            }
            tokio::select! {
                () = self.family.wake.notified() => {}
                () = tokio::time::sleep_until(deadline) => return,
                _ = self.orders.changed() => {}
            }
        }
    }

    fn launch(&self, id: u64) {
        let launched = self.entry(id, |e| {
            let (run, runner) = run(Arc::clone(&e.slot), e.made);
            e.made += 1;
            e.run = Some(run);
            e.exit = None;
            e.started = Instant::now();
            e.phase = Phase::Starting;
            if e.request == Some(Request::Start) {
                e.request = None;
            }
            (Arc::clone(&e.slot), runner)
        });
        // Outside the lock, since a runner may report at once.
        if let Some((slot, runner)) = launched {
            slot.body.launch(runner);
        }
    }

    /// Starts a child, and those that were stopped since they stand upstream of it.
    async fn start_from(&mut self, id: u64) {
        self.start(id).await;
        match self.family.strategy {
            Strategy::OneForOne | Strategy::Independent => {}
            Strategy::RestForOne => {
                for later in self.ids(|e| e.slot.id > id && e.phase == Phase::Idle) {
                    self.start(later).await;
                }
            }
        }
    }

    /// Whether a new child stands upstream of one that is still to be made anew, and is started after it.
    fn waits_for_another(&self, id: u64) -> bool {
        self.family.strategy == Strategy::RestForOne
            && !self
                .ids(|e| e.slot.id < id && matches!(e.phase, Phase::Waiting(_)))
                .is_empty()
    }

    // --- news

    async fn attend_all(&mut self) -> Result<(), GaveUp> {
        loop {
            let now = Instant::now();
            while let Some((at, id)) = self.timers.first().copied()
                && at <= now
            {
                self.timers.pop_first();
                self.on_time(id, now).await;
            }
            let next = self.family.table().next_due();
            match next {
                Some(id) => self.attend(id).await?,
                None => return Ok(()),
            }
            if self.is_stopped() {
                return Ok(());
            }
        }
    }

    async fn on_time(&mut self, id: u64, now: Instant) {
        let phase = self.entry(id, |e| e.phase.clone());
        match phase {
            Some(Phase::Waiting(at)) if at <= now => self.start_from(id).await,
            Some(Phase::Stopping(stop)) if stop.deadline.is_some_and(|at| at <= now) => {
                self.press(id);
            }
            Some(
                Phase::Waiting(_)
                | Phase::Stopping(_)
                | Phase::Idle
                | Phase::Starting
                | Phase::Running
                | Phase::Ended,
            )
            | None => {}
        }
    }

    async fn attend(&mut self, id: u64) -> Result<(), GaveUp> {
        let exit = self.entry(id, |e| e.exit.take()).flatten();
        if let Some(exit) = exit {
            self.ended(id, exit).await?;
        }
        let request = self.entry(id, |e| Some((e.request.take()?, e.phase.clone())));
        let Some((request, phase)) = request.flatten() else {
            return Ok(());
        };
        match (request, phase) {
            (Request::Start, Phase::Idle) => {
                if !self.waits_for_another(id) {
                    self.start_from(id).await;
                }
            }
            (Request::Restart, Phase::Idle | Phase::Waiting(_)) => self.start_from(id).await,
            (Request::Stop, Phase::Idle | Phase::Waiting(_)) => self.leave(id, Exit::Stopped),
            (Request::Stop, Phase::Starting | Phase::Running) => self.begin_stop(id, Then::Leave),
            (Request::Restart, Phase::Starting | Phase::Running) => {
                self.begin_stop(id, Then::Again);
            }
            (Request::Stop, Phase::Stopping(_)) => {
                self.entry(id, |e| {
                    if let Phase::Stopping(stop) = &mut e.phase {
                        stop.then = Then::Leave;
                    }
                });
            }
            // It is started already, or being made anew, or gone.
            (
                Request::Start,
                Phase::Starting | Phase::Running | Phase::Stopping(_) | Phase::Waiting(_),
            )
            | (Request::Restart, Phase::Stopping(_))
            | (Request::Start | Request::Stop | Request::Restart, Phase::Ended) => {}
        }
        Ok(())
    }

    /// An incarnation has ended.
    async fn ended(&mut self, id: u64, exit: Exit) -> Result<(), GaveUp> {
        match self.then(id) {
            Some(Then::Rest) => self.rest(id, exit),
            Some(Then::Leave) => self.leave(id, exit),
            Some(Then::Again) => {
                self.close_run(id, exit, true);
                self.stop_upstream(id).await;
                self.start_from(id).await;
            }
            Some(Then::Judge) => return self.judge(id, exit).await,
            None => {}
        }
        Ok(())
    }

    fn then(&self, id: u64) -> Option<Then> {
        self.entry(id, |e| match &e.phase {
            Phase::Stopping(stop) => stop.then,
            Phase::Idle | Phase::Starting | Phase::Running | Phase::Waiting(_) | Phase::Ended => {
                Then::Judge
            }
        })
    }

    /// An incarnation has ended that nobody asked to: the restart policy.
    async fn judge(&mut self, id: u64, exit: Exit) -> Result<(), GaveUp> {
        let verdict = self.entry(id, |e| {
            if !e.slot.rules.restart.after(&exit) {
                return None;
            }
            let lived = e.started.elapsed();
            let noted = e.window.note(Instant::now());
            // What lived through a whole window has shown that it can.
            if lived > e.window.within() {
                e.delays.reset();
            }
            Some((noted, e.delays.next_delay(), e.window.within()))
        });
        let name = self.entry(id, |e| e.slot.status.name.clone());
        let (Some(verdict), Some(name)) = (verdict, name) else {
            return Ok(());
        };
        let Some((noted, delay, within)) = verdict else {
            if exit.restarts() {
                tracing::error!(child = name, %exit, "ended, and not to be made anew");
            }
            self.end(id, exit);
            return Ok(());
        };
        if let Err(failures) = noted {
            let reason = if failures == 1 {
                format!("{name} {exit}")
            } else {
                format!("{name}: {failures} failures within {within:?}, the last one {exit}")
            };
            return Err(GaveUp {
                child: id,
                exit,
                reason,
            });
        }
        tracing::warn!(child = name, %exit, ?delay, "restarting");
        self.close_run(id, exit, true);
        self.stop_upstream(id).await;
        let at = Instant::now() + delay;
        self.entry(id, |e| e.phase = Phase::Waiting(at));
        self.timers.insert((at, id));
        Ok(())
    }

    fn close_run(&self, id: u64, exit: Exit, restarts: bool) {
        self.entry(id, |e| {
            e.run = None;
            e.phase = Phase::Idle;
            e.slot.status.exited(exit, ChildState::Waiting, restarts);
        });
    }

    fn rest(&self, id: u64, exit: Exit) {
        self.close_run(id, exit, false);
    }

    /// The child has ended and is not made anew; in an ordered family it stays to be seen.
    fn end(&self, id: u64, exit: Exit) {
        if !self.family.strategy.ordered() {
            return self.leave(id, exit);
        }
        let slot = self.entry(id, |e| {
            e.run = None;
            e.phase = Phase::Ended;
            e.slot.status.exited(exit, ChildState::Ended, false);
            Arc::clone(&e.slot)
        });
        if let Some(slot) = slot {
            slot.leave();
        }
    }

    fn leave(&self, id: u64, exit: Exit) {
        let removed = self.family.table().remove(id);
        if let Some(entry) = removed {
            entry.slot.status.exited(exit, ChildState::Ended, false);
            entry.slot.leave();
        }
    }

    // --- watching

    fn look(&mut self) {
        let step = self.looked.elapsed().min(2 * LOOK);
        self.looked = Instant::now();
        let watched: Vec<(Arc<Slot>, Duration)> = {
            let table = self.family.table();
            let at_work = table.entries.values().filter(|e| match e.phase {
                Phase::Starting | Phase::Running => e.exit.is_none(),
                Phase::Idle | Phase::Stopping(_) | Phase::Waiting(_) | Phase::Ended => false,
            });
            let watched = at_work.filter_map(|e| Some((Arc::clone(&e.slot), e.slot.rules.stall?)));
            watched.collect()
        };
        for (slot, deadline) in watched {
            if let Some(why) = slot.body.look(step, deadline) {
                tracing::error!(child = slot.status.name, "stalled: {why}");
                self.begin_end(slot.id, Exit::Stalled(why), Then::Judge);
            }
        }
    }
}
