//! The consumers of a branch whose threads still live: one, unless a source was made anew while its poller
//! blocked.
//!
//! A blocked poller stays a member of its group, and its partitions with it, until the client's
//! `max.poll.interval.ms` has passed. Its successor needs them at once, and takes its membership from it: what
//! the client does for the group runs on a thread of the client's own, and can be asked for from anywhere.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::sync::Notify;

use super::group::{Group, list, lock};

/// How long a poller whose source has ended may take to leave by itself: it sees that within one poll, then commits
/// and closes.
const LEAVE: Duration = Duration::from_secs(2);

/// The consumers that live.
#[derive(Default)]
pub struct Pollers {
    alive: Mutex<Vec<Weak<BaseConsumer<Group>>>>,
    ended: Notify,
}

// === impl Pollers ===

impl Pollers {
    pub(super) fn add(&self, consumer: &Arc<BaseConsumer<Group>>) {
        let mut alive = self.lock();
        alive.retain(|c| c.strong_count() > 0);
        alive.push(Arc::downgrade(consumer));
    }

    /// A poller has ended, its consumer with it.
    pub(super) fn ended(&self) {
        self.ended.notify_waiters();
    }

    /// How many live.
    pub fn alive(&self) -> usize {
        self.lock().iter().filter(|c| c.strong_count() > 0).count()
    }

    /// Waits until all have ended, and takes the membership from those that do not end. To be called before a further
    /// one is made.
    pub(super) async fn clear(&self, branch: &str) {
        let all_ended = async {
            loop {
                let ended = self.ended.notified();
                if self.alive() == 0 {
                    return;
                }
                ended.await;
            }
        };
        if tokio::time::timeout(LEAVE, all_ended).await.is_ok() {
            return;
        }
        let left: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        tracing::warn!(
            branch,
            "{} former pollers block: leaving the group in their stead",
            left.len()
        );
        let leave = || left.into_iter().for_each(|c| take_membership(&c));
        // Whatever it meets, the client leaves by itself past its own deadline.
        if let Err(why) = tokio::task::spawn_blocking(leave).await {
            tracing::warn!(branch, "a former poller stays in the group: {why}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<BaseConsumer<Group>>>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves the group for a poller that does not poll: the client waits for its partitions to be given up, which is
/// done here in place of the callback that nobody serves.
fn take_membership(consumer: &BaseConsumer<Group>) {
    let group = consumer.context();
    let held = lock(&group.assigned).clone();
    consumer.unsubscribe();
    if held.is_empty() {
        return;
    }
    let partitions = list(&group.branch.topic().name, held);
    if let Err(why) = consumer.incremental_unassign(&partitions) {
        tracing::warn!(branch = group.branch.name, "giving up partitions: {why}");
    }
}
