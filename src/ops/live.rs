//! The live lane of this process, looked at: what `GET /rooms` and the metrics show.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Serialize;

use crate::live::lane::LiveStatus;
use crate::live::room::Rooms;
use crate::live::tally::{Class, Snapshot};

/// The live lane at work.
pub struct LiveParts {
    status: Arc<LiveStatus>,
    rooms: Rooms,
}

/// The live lane at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct LiveView {
    /// Whether every connection to NATS holds.
    pub connected: bool,
    /// What comments wait for, where they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// Whether likes are shed since there is too much to do.
    pub overloaded: bool,
    /// What became of what was received, those classes first that matter most.
    pub classes: Vec<ClassView>,
    /// Rooms that are open now.
    pub open_rooms: u64,
    /// Room actors made anew after a failure.
    pub rooms_restarted: u64,
    /// Likes that Redis has accepted.
    pub likes_added: u64,
    /// Likes that were taken and given up.
    pub likes_lost: u64,
    /// Comments that no worker had in hand and that were copied to LIVE_DEAD.
    pub buried: u64,
    /// Redelivered comments of which it could not be shown whether LIVE_OUT once had them.
    pub unproven: u64,
    /// Times a connection to NATS was lost.
    pub disconnects: u64,
    /// Messages that the NATS client dropped since they came faster than they were taken; the least.
    pub overflowed: u64,
}

/// One class. At rest received = accepted + refused + shed + duplicate + dead-lettered + abandoned.
#[derive(Debug, Clone, Serialize)]
pub struct ClassView {
    /// `comment`, `ctl`, `history`, `here` or `like`.
    pub class: &'static str,
    /// Received and not resolved.
    pub pending: u64,
    /// The counters.
    #[serde(flatten)]
    pub counts: Snapshot,
}

// === impl LiveParts ===

impl LiveParts {
    /// Of a lane that has been started.
    pub fn new(status: Arc<LiveStatus>, rooms: Rooms) -> Self {
        Self { status, rooms }
    }

    /// What it does now.
    pub fn view(&self) -> LiveView {
        let (status, stats) = (&self.status, self.rooms.stats());
        let sum = |read: fn(&crate::live::connect::Counters) -> u64| {
            status.links.iter().map(|l| read(l.counters())).sum()
        };
        LiveView {
            connected: status.links.iter().all(|link| link.up()),
            waiting: status.trouble.recent(),
            overloaded: status.load.overloaded(),
            classes: Class::ALL
                .into_iter()
                .map(|class| {
                    let counts = status.tally.snapshot(class);
                    ClassView {
                        class: class.name(),
                        pending: counts.pending(),
                        counts,
                    }
                })
                .collect(),
            open_rooms: stats.open.get(),
            rooms_restarted: stats.restarted.get(),
            likes_added: stats.likes_added.get(),
            likes_lost: stats.likes_lost.get(),
            buried: status.tally.buried.load(Ordering::Relaxed),
            unproven: status.tally.unproven.load(Ordering::Relaxed),
            disconnects: sum(|c| c.disconnects.load(Ordering::Relaxed)),
            overflowed: sum(|c| c.overflowed.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
impl LiveView {
    /// One of every class, for tests of what shows it.
    pub(super) fn sample() -> Self {
        let class = |class: Class| ClassView {
            class: class.name(),
            pending: 0,
            counts: Snapshot::default(),
        };
        Self {
            connected: true,
            waiting: None,
            overloaded: false,
            classes: Class::ALL.map(class).into(),
            open_rooms: 1,
            rooms_restarted: 0,
            likes_added: 0,
            likes_lost: 0,
            buried: 0,
            unproven: 0,
            disconnects: 0,
            overflowed: 0,
        }
    }
}
