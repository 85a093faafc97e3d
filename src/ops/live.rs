//! The live lane of this process, looked at: what `GET /rooms` and the metrics show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::live::auth::Callout;
use crate::live::lane::LiveStatus;
use crate::live::room::{RoomNow, Rooms};
use crate::live::start::Live;
use crate::live::tally::{Class, Snapshot};

/// The live lane at work.
pub struct LiveParts {
    status: Arc<LiveStatus>,
    rooms: Rooms,
    callout: Option<Arc<Callout>>,
    streams: Arc<AtomicBool>,
}

/// The live lane at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct LiveView {
    /// Whether every connection to NATS holds.
    pub connected: bool,
    /// Whether the streams are what the spec says; looked at after each connect.
    pub streams: bool,
    /// What comments wait for, where they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// Whether likes are shed since there is too much to do.
    pub overloaded: bool,
    /// Comments in hand, some 25 ms ago.
    pub comments_in_hand: u64,
    /// Comments that wait in LIVE_IN for this worker or another, as the last delivery said.
    pub comments_waiting: u64,
    /// How late the comments' thread is, in seconds.
    pub lag_seconds: f64,
    /// What became of what was received, those classes first that matter most.
    pub classes: Vec<ClassView>,
    /// Messages that were not taken, by the reason that their senders were told.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Who asked to be let in; absent where this process lets nobody in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<UsersView>,
    /// Rooms that are open now.
    pub open_rooms: u64,
    /// Of these those with the most viewers, at most [`LiveView::ROOMS`].
    pub rooms: Vec<RoomView>,
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

/// One open room. Counters count since it was opened here.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RoomView {
    /// Its id.
    pub room: String,
    /// Viewers over all workers, as last counted; an estimate where there are many.
    pub viewers: u64,
    /// Comments that are shown.
    pub accepted: u64,
    /// Comments whose authors were told why not.
    pub refused: u64,
    /// Likes that were taken.
    pub likes: u64,
    /// Likes that were shed.
    pub shed: u64,
    /// Comments that were delivered again.
    pub redelivered: u64,
    /// Comments shown in a second, over the last ten.
    pub comments_per_second: Option<f64>,
    /// Likes taken in a second, over the last ten.
    pub likes_per_second: Option<f64>,
}

/// What became of those who asked to be let in.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct UsersView {
    /// Let in.
    pub accepted: u64,
    /// Refused, for their token.
    pub refused: u64,
    /// Not answered, since the server's and the settings' keys differ.
    pub unanswered: u64,
}

/// One class. At rest received = accepted + refused + shed + duplicate + dead-lettered + abandoned.
#[derive(Debug, Clone, Serialize)]
pub struct ClassView {
    /// `comment`, `ctl`, `history`, `here` or `like`.
    pub class: &'static str,
    /// Received and not resolved.
    pub pending: u64,
    /// Received in a second, over the last ten.
    pub received_per_second: Option<f64>,
    /// The counters.
    #[serde(flatten)]
    pub counts: Snapshot,
}

// === impl LiveParts ===

impl LiveParts {
    /// Of a lane that has been started.
    pub fn new(live: &Live) -> Self {
        Self {
            status: Arc::clone(live.status()),
            rooms: live.rooms().clone(),
            callout: live.callout().cloned(),
            streams: Arc::clone(live.streams()),
        }
    }

    /// What it does now.
    pub fn view(&self) -> LiveView {
        let (status, stats) = (&self.status, self.rooms.stats());
        let sum = |read: fn(&crate::live::connect::Counters) -> u64| {
            status.links.iter().map(|l| read(l.counters())).sum()
        };
        LiveView {
            connected: status.links.iter().all(|link| link.up()),
            streams: self.streams.load(Ordering::Relaxed),
            waiting: status.trouble.recent(),
            overloaded: status.load.overloaded(),
            comments_in_hand: status.load.held(),
            comments_waiting: status.load.behind(),
            lag_seconds: status.load.lag().as_secs_f64(),
            classes: Class::ALL
                .into_iter()
                .map(|class| {
                    let counts = status.tally.snapshot(class);
                    ClassView {
                        class: class.name(),
                        pending: counts.pending(),
                        received_per_second: None,
                        counts,
                    }
                })
                .collect(),
            refusals: (status.tally.reasons())
                .map(|(reason, n)| (reason.name(), n))
                .collect(),
            users: self.callout.as_ref().map(|callout| UsersView {
                accepted: callout.counts().accepted(),
                refused: callout.counts().refused(),
                unanswered: callout.counts().unanswered(),
            }),
            open_rooms: stats.open.get(),
            rooms: self
                .rooms
                .busiest(LiveView::ROOMS)
                .into_iter()
                .map(RoomView::from)
                .collect(),
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

// === impl RoomView ===

impl From<RoomNow> for RoomView {
    fn from(now: RoomNow) -> Self {
        Self {
            room: now.room.to_string(),
            viewers: now.viewers,
            accepted: now.accepted,
            refused: now.refused,
            likes: now.likes,
            shed: now.shed,
            redelivered: now.redelivered,
            comments_per_second: None,
            likes_per_second: None,
        }
    }
}

// === impl LiveView ===

impl LiveView {
    /// Rooms that are shown: a page of them. All of them are in the sums.
    pub const ROOMS: usize = 100;

    /// What it is not ready for, where something is in the way of everything else.
    pub(super) fn not_ready(&self) -> Option<&'static str> {
        if !self.connected {
            Some("a connection to NATS does not hold")
        } else if !self.streams {
            Some("the streams are not made yet")
        } else {
            None
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
            received_per_second: None,
            counts: Snapshot::default(),
        };
        Self {
            connected: true,
            streams: true,
            waiting: None,
            overloaded: false,
            comments_in_hand: 0,
            comments_waiting: 0,
            lag_seconds: 0.0,
            classes: Class::ALL.map(class).into(),
            refusals: BTreeMap::from([("muted", 3)]),
            users: Some(UsersView {
                accepted: 2,
                refused: 1,
                unanswered: 0,
            }),
            open_rooms: 1,
            rooms: vec![RoomView {
                room: "room1".into(),
                viewers: 3,
                ..RoomView::default()
            }],
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
