//! How long after its commit a document can be found by a search: one sampled document at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::branch::{Branch, now_ms};
use crate::supervise::Progress;

/// Between two searches of a branch.
const AGAIN: Duration = Duration::from_secs(1);
/// A document that no search has shown for so long is counted as unseen, and the next one is taken: its index is not
/// refreshed any more, or it was deleted for good meanwhile.
const GIVE_UP: Duration = Duration::from_secs(300);

/// Takes a sample, searches for it, and so on; returns at once where the sink shows what it acknowledges.
pub(super) async fn look_for_samples(branch: Arc<Branch>, progress: Progress) {
    let Some(every) = branch.hub.search_every() else {
        return progress.has_work(false);
    };
    let stats = &branch.stats;
    loop {
        let sample = progress
            .wait("an acknowledgement", stats.sampler.next())
            .await;
        let taken = Instant::now();
        loop {
            let shown = branch.hub.is_shown(&sample.id, sample.version);
            match progress.wait("the sink", shown).await {
                Ok(true) => {
                    stats.shown(sample.committed_ms, now_ms());
                    progress.did(1);
                    break;
                }
                Ok(false) => {}
                // Writes meet the same, and say so; the sample waits on, since it is not visible.
                Err(why) => tracing::debug!(branch = branch.name, "not searched: {why}"),
            }
            if taken.elapsed() >= GIVE_UP {
                stats.unseen.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    branch = branch.name,
                    topic = branch.topic().name,
                    "a document that was acknowledged {GIVE_UP:?} ago is not found by a search: see the index's \
                     refresh_interval"
                );
                break;
            }
            progress
                .wait("the next search", tokio::time::sleep(AGAIN))
                .await;
        }
        // Never a second search within a second of the last one.
        let rest = every.saturating_sub(taken.elapsed()).max(AGAIN);
        progress
            .wait("the next sample", tokio::time::sleep(rest))
            .await;
    }
}
