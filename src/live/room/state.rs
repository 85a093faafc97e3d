//! What a room has that outlives its actor, and what all rooms of a process share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};

use super::stats::{RoomNow, RoomStats};
use super::{Outlet, Stats};
use crate::config::LiveSpec;
use crate::live::keywords::Filter;
use crate::live::likes::{Likes, Open, Tally};
use crate::live::limits::Limits;
use crate::live::moderation::{Desk, Moderation};
use crate::live::names::{self, RoomId};
use crate::live::viewers::{Here, Viewers};
use crate::live::wire;

/// How long a total waits to be handed to the NATS client. One that cannot be handed over says nothing that the
/// next one does not say.
const TELLING: Duration = Duration::from_millis(50);

/// What all rooms of a process share.
pub(super) struct Shared {
    pub(super) spec: Arc<LiveSpec>,
    /// The words that no room takes.
    pub(super) keywords: Filter,
    pub(super) limits: Limits,
    pub(super) likes: Likes,
    pub(super) viewers: Viewers,
    pub(super) moderation: Arc<Moderation>,
    pub(super) desk: Desk,
    pub(super) outlet: Arc<dyn Outlet>,
    pub(super) stats: Arc<Stats>,
    /// Set once, at the end: rooms add what they hold, and end.
    pub(super) stopping: watch::Sender<bool>,
}

/// What one room has. Its actor may fail and be made anew; this stays.
pub(super) struct Room {
    pub(super) id: RoomId,
    /// The window of likes that is open.
    pub(super) open: Open,
    /// The first like of a window has come.
    pub(super) liked: Notify,
    pub(super) tally: Tally,
    pub(super) here: Here,
    /// The first heartbeat since the last flush has come.
    pub(super) beaten: Notify,
    /// Viewers, as they were last counted.
    pub(super) viewers: AtomicU64,
    /// Comments and requests that are in the actor's hands, as permits.
    pub(super) hands: Arc<Semaphore>,
    /// All permits of `hands`.
    pub(super) places: u32,
    /// Something came since this was last looked at.
    pub(super) used: AtomicBool,
    pub(super) stats: RoomStats,
}

// === impl Shared ===

impl Shared {
    /// Waits for the end.
    pub(super) async fn stopping(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender is in `self`, so that it is there.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Tells everyone in a room the total and the number of viewers.
    pub(super) async fn tell(&self, room: &Room, total: u64) {
        let likes = wire::Likes {
            total,
            viewers: room.viewers.load(Ordering::Relaxed),
        };
        let telling = async {
            let js = self.outlet.connection().await;
            let payload = serde_json::to_vec(&likes).unwrap_or_default();
            let subject = names::likes(&room.id);
            js.client().publish(subject, payload.into()).await
        };
        match tokio::time::timeout(TELLING, telling).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => self.stats.likes_untold.add(1),
        }
    }
}

// === impl Room ===

impl Room {
    pub(super) fn new(id: RoomId, sender: String, places: u32) -> Self {
        Self {
            id,
            open: Open::default(),
            liked: Notify::new(),
            tally: Tally::new(sender),
            here: Here::default(),
            beaten: Notify::new(),
            viewers: AtomicU64::new(0),
            hands: Arc::new(Semaphore::new(places as usize)),
            places,
            used: AtomicBool::new(true),
            stats: RoomStats::default(),
        }
    }

    /// What is shown of it.
    pub(super) fn now(&self) -> RoomNow {
        let stats = &self.stats;
        RoomNow {
            room: self.id.clone(),
            viewers: self.viewers.load(Ordering::Relaxed),
            accepted: stats.accepted.get(),
            refused: stats.refused.get(),
            likes: stats.likes.get(),
            shed: stats.shed.get(),
            redelivered: stats.redelivered.get(),
        }
    }

    /// Notes that it is in use, without writing where that is noted already: other cores read the same line.
    pub(super) fn touch(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Ends it for those who wait for a place, if it holds nothing at all. The caller keeps others from
    /// reaching it meanwhile.
    pub(super) fn close(&self) -> bool {
        if !self.open.is_empty() || !self.tally.is_settled() || !self.here.is_empty() {
            return false;
        }
        match self.hands.try_acquire_many(self.places) {
            Ok(_all) => {
                self.hands.close();
                true
            }
            Err(_) => false,
        }
    }
}
