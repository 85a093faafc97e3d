//! What holds while servers, processes, actors and the network fail, and afterwards.
//!
//! These tests have an instance of the stack for themselves and take turns on it. [`matrix`] is the fault matrix: every
//! row puts a load of random changes with a model beside it through a lane, strikes once, and judges what is left.

mod capture;
mod case;
mod frozen;
mod items;
mod kafka;
mod matrix;
mod model;
mod planted;
pub mod process;
mod proxy;
mod redis;
mod rows;
pub mod sink;
mod table;
mod watch;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use twolane::branch::Branch;

use crate::stack::{self, Stack};

static TURN: Mutex<()> = Mutex::new(());

/// The servers, for one test at a time.
pub fn alone(services: &[&str]) -> (MutexGuard<'static, ()>, Stack) {
    // A test that failed has left nothing behind that `stack::faults` does not mend.
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    (turn, stack::faults(services))
}

/// How long a recovery may take: a server's start and a group's rebalance, on a machine that does other things.
/// `TWOLANE_FAULT_PATIENCE` (in seconds) makes it shorter where a failure is what is waited for.
fn patience() -> Duration {
    let seconds = std::env::var("TWOLANE_FAULT_PATIENCE");
    let seconds = seconds.ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(150))
}

/// Waits until `holds`, looking every 100 ms.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < patience(), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
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
