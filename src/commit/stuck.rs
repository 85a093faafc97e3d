//! "Running but not progressing": an alarm of its own, since a branch whose actors all live and wait in order shows none.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::branch::{Branch, State, Turn};
use crate::supervise::Progress;

/// How often it is looked: the alarm's error.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks for as long as the branch lives. Each alarm is one line when it begins and one when it ends.
pub(super) async fn watch(branch: Arc<Branch>, progress: Progress) {
    let limit = branch.settings.stuck_after;
    loop {
        let now = Instant::now();
        let pending = branch.ledger.pending();
        let busy = branch.control.state() == State::Running
            && (pending > 0 || branch.waits(now).is_some());
        let resolved = resolved(&branch);
        let turn = branch.stats.motion(|m| m.look(busy, resolved, now, limit));
        match turn {
            Some(Turn::Stuck(stood)) => tracing::error!(
                branch = branch.name,
                topic = branch.topic().name,
                pending,
                "running but not progressing: no record was resolved for {} s although there are some",
                stood.as_secs()
            ),
            Some(Turn::Moves(stood)) => tracing::info!(
                branch = branch.name,
                topic = branch.topic().name,
                "no longer stuck, after {} s",
                stood.as_secs()
            ),
            None => {}
        }
        let pause = tokio::time::sleep(LOOK_EVERY);
        progress.wait("the next look", pause).await;
    }
}

/// Records given up are not among them: one that is read again and again is not resolved.
fn resolved(branch: &Branch) -> u64 {
    let tally = branch.ledger.tally();
    [
        &tally.applied,
        &tally.superseded,
        &tally.filtered,
        &tally.dead_lettered,
    ]
    .iter()
    .map(|n| n.load(Ordering::Relaxed))
    .sum()
}
