//! What holds while servers are emptied, stopped and killed, and afterwards.
//!
//! These tests have an instance of the stack for themselves and take turns on it.

mod again;
mod capture;
mod elasticsearch;
mod kafka;
mod model;
mod process;
mod redis;

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use twolane::branch::Branch;
use twolane::lane::Lane;

use self::model::{Model, Sink};
use crate::lane::rig::{self, Rig};
use crate::stack::{self, Stack};

/// How long a recovery may take: a server's start and a group's rebalance, on a machine that does other things.
const RECOVERY: Duration = Duration::from_secs(240);

static TURN: Mutex<()> = Mutex::new(());

/// The servers, for one test at a time.
pub fn alone(services: &[&str]) -> (MutexGuard<'static, ()>, Stack) {
    // A test that failed has left nothing behind that `stack::faults` does not mend.
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    (turn, stack::faults(services))
}

/// Waits until `holds`, looking every 100 ms.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < RECOVERY, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Changes rows while `fault` goes on, and until it has ended.
async fn while_loaded(rig: &Rig, model: &mut Model, fault: impl Future<Output = ()>) {
    let ended = Cell::new(false);
    let load = async {
        while !ended.get() {
            model.change(rig, 100).await;
            // Room for the servers on a machine with few cores.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let fault = async {
        fault.await;
        ended.set(true);
    };
    futures_util::future::join(load, fault).await;
}

/// Waits until a sink shows something that was written after `rev`: the lane is in the midst of the load.
async fn passes(rig: &Rig, sink: Sink, rev: i64) {
    until(&format!("{sink:?} to show a rev above {rev}"), || async {
        model::revs(rig, sink)
            .await
            .is_some_and(|found| found.values().any(|found| *found > rev))
    })
    .await;
}

/// Rule 4, on every branch: nothing is pending, and what was consumed is what left.
async fn adds_up(lane: &Lane) {
    for branch in lane.branches() {
        until(
            &format!("{} to be at rest: {:?}", branch.name, branch.ledger.tally()),
            || async { branch.ledger.pending() == 0 },
        )
        .await;
        let (consumed, sum) = (rig::consumed(&branch), rig::sum(&branch));
        assert_eq!(
            consumed,
            sum,
            "{}: {:?}",
            branch.name,
            branch.ledger.tally()
        );
        let tally = branch.ledger.tally();
        let dead = tally
            .dead_lettered
            .load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(dead, 0, "{}: {:?}", branch.name, branch.stats.reasons());
    }
}

/// The group has committed the end of every partition.
async fn all_committed(branch: &Branch) -> bool {
    let Ok(committed) = branch.probe.committed().await else {
        return false;
    };
    for (partition, offset) in committed {
        match branch.probe.watermarks(partition).await {
            Ok((_, end)) if offset == Some(end) => {}
            Ok(_) | Err(_) => return false,
        }
    }
    true
}
