//! What the rooms of one process have done. Every counter only grows, but for [`Stats::open`].

use std::sync::atomic::{AtomicU64, Ordering};

use crate::live::names::RoomId;

/// A counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// The counters.
#[derive(Debug, Default)]
pub struct Stats {
    /// Comments that were accepted.
    pub accepted: Counter,
    /// Comments that were charged to this worker's own accounts, while Redis was away.
    pub limits_local: Counter,
    /// Rooms that are open now.
    pub open: Counter,
    /// Rooms that were opened.
    pub opened: Counter,
    /// Rooms that were stopped, idle or to make room for another.
    pub stopped: Counter,
    /// Room actors that were made anew after a failure.
    pub restarted: Counter,
    /// Times that a room was not opened since there are as many as may be, all at work.
    pub crowded: Counter,
    /// Like messages that were taken, and their likes: `taken` = `added` + `lost` + what waits.
    pub like_messages: Counter,
    /// Likes that were taken.
    pub likes_taken: Counter,
    /// Likes of windows that Redis has accepted.
    pub likes_added: Counter,
    /// Likes of windows that were given up, at the end of the process or after half a day without Redis.
    pub likes_lost: Counter,
    /// Windows that Redis has accepted.
    pub windows: Counter,
    /// Windows that were sent again.
    pub windows_retried: Counter,
    /// Windows that had to raise a total, since Redis had lost what it acknowledged.
    pub totals_raised: Counter,
    /// Totals that were not published, since NATS was away: the next one says it all.
    pub likes_untold: Counter,
    /// Heartbeats that were not noted, since too many came within a second, or not brought to Redis.
    pub here_shed: Counter,
    /// Moderators' requests that were done.
    pub ctl_done: Counter,
    /// Moderators' requests that were not done.
    pub ctl_failed: Counter,
    /// Times that the moderators' decisions were read anew, after a gap.
    pub moderation_reread: Counter,
}

/// The counters of one room, since it was opened here.
#[derive(Debug, Default)]
pub(super) struct RoomStats {
    /// Comments that were accepted.
    pub(super) accepted: Counter,
    /// Comments that were refused.
    pub(super) refused: Counter,
    /// Likes that were taken.
    pub(super) likes: Counter,
    /// Likes that were shed.
    pub(super) shed: Counter,
    /// Comments that were delivered again.
    pub(super) redelivered: Counter,
}

/// One room now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomNow {
    /// Its id.
    pub room: RoomId,
    /// Viewers over all workers, as last counted.
    pub viewers: u64,
    /// Comments that were accepted.
    pub accepted: u64,
    /// Comments that were refused.
    pub refused: u64,
    /// Likes that were taken.
    pub likes: u64,
    /// Likes that were shed.
    pub shed: u64,
    /// Comments that were delivered again.
    pub redelivered: u64,
}

// === impl Counter ===

impl Counter {
    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(in crate::live) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }
}
