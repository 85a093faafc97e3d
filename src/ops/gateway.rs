//! The gateway of this process, looked at: what `GET /gateway` and the metrics show.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::gateway::start::GatewayStatus;
use crate::gateway::tally::{Class, Snapshot};

/// The gateway at one moment.
#[derive(Debug, Clone, Default, Serialize)]
pub struct GatewayView {
    /// Whether its connection to NATS holds.
    pub connected: bool,
    /// Sockets that are open.
    pub sockets: u64,
    /// Rooms that are open here.
    pub rooms: u64,
    /// Bytes that wait for viewers.
    pub queued_bytes: u64,
    /// What became of what was sent, by class.
    pub classes: Vec<SentView>,
    /// Frames encoded.
    pub frames: u64,
    /// Sockets opened.
    pub opened: u64,
    /// Handshakes refused.
    pub refused: u64,
    /// Sockets closed.
    pub closed: u64,
    /// Of these, since the client took too little.
    pub too_slow: u64,
    /// Of these, since the token had ended.
    pub expired: u64,
    /// Of these, since the client broke the protocol or a limit.
    pub misbehaved: u64,
    /// Gaps in feeds.
    pub gaps: u64,
    /// Of these, not healed.
    pub unhealed: u64,
    /// Messages that are no entries.
    pub forged: u64,
    /// Rooms opened anew after a failure.
    pub rooms_restarted: u64,
    /// Comments that were stored.
    pub comments: u64,
    /// Notifications that were stored.
    pub notifications: u64,
}

/// One class. Once every socket is closed sent = delivered + shed.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct SentView {
    /// `comment`, `recall`, `like`, `notification` or `answer`.
    pub class: &'static str,
    /// The counters.
    #[serde(flatten)]
    pub counts: Snapshot,
}

// === impl GatewayView ===

impl From<&GatewayStatus> for GatewayView {
    fn from(status: &GatewayStatus) -> Self {
        let tally = status.tally();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let class = |class: Class| SentView {
            class: class.name(),
            counts: tally.snapshot(class),
        };
        Self {
            connected: status.connected(),
            sockets: status.sockets() as u64,
            rooms: status.rooms() as u64,
            queued_bytes: tally.queued.load(Ordering::Relaxed) as u64,
            classes: Class::ALL.map(class).into(),
            frames: get(&tally.frames),
            opened: get(&tally.opened),
            refused: get(&tally.refused),
            closed: get(&tally.closed),
            too_slow: get(&tally.too_slow),
            expired: get(&tally.expired),
            misbehaved: get(&tally.misbehaved),
            gaps: get(&tally.gaps),
            unhealed: get(&tally.unhealed),
            forged: get(&tally.forged),
            rooms_restarted: get(&tally.rooms_restarted),
            comments: get(&tally.comments),
            notifications: get(&tally.notifications),
        }
    }
}

#[cfg(test)]
impl GatewayView {
    /// One of every class, for tests of what shows it.
    pub(super) fn sample() -> Self {
        let class = |class: Class| SentView {
            class: class.name(),
            counts: Snapshot::default(),
        };
        Self {
            classes: Class::ALL.map(class).into(),
            ..Self::default()
        }
    }
}
