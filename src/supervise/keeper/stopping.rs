//! Stopping children: asked, then ended, then left behind; all of them, or those upstream of one.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::super::run::{Order, Run};
use super::super::status::ChildState;
use super::super::table::{Phase, Stop, Then};
use super::super::{Exit, Strategy};
use super::{GRACE, Keeper};

impl Keeper {
    pub(super) fn begin_stop(&mut self, id: u64, then: Then) {
        let now = Instant::now();
        let deadline = self.entry(id, |e| {
            if let Phase::Stopping(stop) = &mut e.phase {
                if stop.then != Then::Leave {
                    stop.then = then;
                }
                return stop.deadline;
            }
            let deadline = e.slot.rules.shutdown.map(|within| now + within);
            if let Some(run) = &e.run {
                run.order(Order::Stop);
            }
            e.slot.status.set(ChildState::Stopping);
            e.phase = Phase::Stopping(Stop {
                deadline,
                verdict: None,
                then,
            });
            deadline
        });
        if let Some(at) = deadline.flatten() {
            self.timers.insert((at, id));
        }
    }

    /// Ends a child at once, for `verdict`; past [`GRACE`] it is left behind.
    pub(super) fn begin_end(&mut self, id: u64, verdict: Exit, then: Then) {
        let deadline = Instant::now() + GRACE;
        self.entry(id, |e| {
            if let Some(run) = &e.run {
                run.order(Order::End(verdict.clone()));
            }
            e.slot.status.set(ChildState::Stopping);
            e.phase = Phase::Stopping(Stop {
                deadline: Some(deadline),
                verdict: Some(verdict),
                then,
            });
        });
        self.timers.insert((deadline, id));
    }

    /// A child that is to end has not within its deadline.
    pub(super) fn press(&mut self, id: u64) {
        let stopping = self.entry(id, |e| match &e.phase {
            Phase::Stopping(stop) if e.exit.is_none() => Some((stop.clone(), Arc::clone(&e.slot))),
            Phase::Stopping(_)
            | Phase::Idle
            | Phase::Starting
            | Phase::Running
            | Phase::Waiting(_)
            | Phase::Ended => None,
        });
        let Some((stop, slot)) = stopping.flatten() else {
            return;
        };
        let Some(verdict) = stop.verdict else {
            let within = slot.rules.shutdown.unwrap_or_default();
            let verdict = Exit::Killed(format!("it did not end within {within:?}"));
            return self.begin_end(id, verdict, stop.then);
        };
        if slot.body.abandon() {
            self.family.common.abandoned(&slot.status.name, &verdict);
        }
        let number = self.entry(id, |e| e.run.as_ref().map(Run::number));
        if let Some(number) = number.flatten() {
            slot.exited(number, verdict);
        }
    }

    pub(super) async fn stop_upstream(&mut self, id: u64) {
        match self.family.strategy {
            Strategy::OneForOne | Strategy::Independent => {}
            Strategy::RestForOne => {
                let later = self.ids(|e| e.slot.id > id);
                self.stop_these(later).await;
            }
        }
    }

    pub(super) async fn stop_all(&mut self) {
        let all = self.ids(|_| true);
        self.stop_these(all).await;
    }

    /// Stops these children, the last one first, or all at once where there is no order.
    async fn stop_these(&mut self, ids: Vec<u64>) {
        let mut live = Vec::new();
        for id in ids {
            let is_live = self.entry(id, |e| match e.phase {
                Phase::Waiting(_) | Phase::Idle => {
                    e.phase = Phase::Idle;
                    false
                }
                Phase::Starting | Phase::Running | Phase::Stopping(_) => true,
                Phase::Ended => false,
            });
            if is_live == Some(true) {
                live.push(id);
            }
        }
        if self.family.strategy.ordered() {
            for id in live.into_iter().rev() {
                self.begin_stop(id, Then::Rest);
                self.stopped(BTreeSet::from([id])).await;
            }
        } else {
            for id in &live {
                self.begin_stop(*id, Then::Rest);
            }
            self.stopped(live.into_iter().collect()).await;
        }
    }

    /// Waits until these have ended, each within its deadline.
    async fn stopped(&mut self, mut left: BTreeSet<u64>) {
        let mut others = Vec::new();
        while !left.is_empty() {
            let now = Instant::now();
            while let Some((at, id)) = self.timers.first().copied()
                && at <= now
            {
                self.timers.pop_first();
                if left.contains(&id) {
                    self.press(id);
                } else {
                    // Its time has come meanwhile; it is looked at right after.
                    others.push(id);
                }
            }
            while let Some(id) = self.due() {
                if !left.contains(&id) {
                    others.push(id);
                    continue;
                }
                let exit = self.entry(id, |e| e.exit.take()).flatten();
                if let Some(exit) = exit {
                    left.remove(&id);
                    match self.then(id) {
                        Some(Then::Leave) => self.leave(id, exit),
                        Some(Then::Rest | Then::Again | Then::Judge) => self.rest(id, exit),
                        None => {}
                    }
                }
            }
            if left.is_empty() {
                break;
            }
            let next = self.timers.first().map(|t| t.0);
            let timer = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.family.wake.notified() => {}
                () = timer => {}
            }
        }
        let now = Instant::now();
        for id in others {
            self.family.touch(id);
            self.timers.insert((now, id));
        }
    }

    fn due(&self) -> Option<u64> {
        self.family.table().next_due()
    }
}
