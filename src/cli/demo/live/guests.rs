//! The people in the room: each watches, writes now and then, and taps the heart.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::checker::{BEAT_EVERY, beat};
use super::ledger::Ledger;
use crate::cli::demo::guest::Guest;
use crate::cli::demo::rng::Rng;
use crate::live::names::{self, Inbound, RoomId};
use crate::live::wire::{Comment, Like, Mode, Refused};

/// Milliseconds between two comments of one person: five in ten seconds, half of what a room takes by default.
const WRITES: (i64, i64) = (1_200, 2_800);
/// Milliseconds between two messages with likes.
const TAPS: (i64, i64) = (400, 1_600);
/// Taps of a finger within that time.
const LIKES: (i64, i64) = (1, 8);
/// What they say.
const SAYINGS: [&str; 12] = [
    "前方高能",
    "哈哈哈哈哈",
    "加油！",
    "来了来了",
    "first!",
    "this song 🎵",
    "wait for it…",
    "encore, encore",
    "👏👏👏",
    "hello from Oslo",
    "泪目",
    "what a save",
];
/// Colours that are easy to read over a picture.
const COLOURS: [u32; 4] = [0xFF_FF_FF, 0xFF_E1_33, 0x89_D5_FF, 0xA0_EE_00];

/// How they are moved: most across.
const MODES: [Mode; 10] = {
    let mut modes = [Mode::Scroll; 10];
    modes[0] = Mode::Top;
    modes[1] = Mode::Bottom;
    modes
};
/// How large they are.
const SIZES: [u8; 8] = [25, 25, 25, 25, 25, 18, 18, 36];

/// One person's visit.
pub(super) struct Visit {
    pub(super) guest: Guest,
    pub(super) room: RoomId,
    pub(super) ledger: Arc<Ledger>,
    /// Likes of everyone.
    pub(super) tapped: Arc<AtomicU64>,
    pub(super) rng: Rng,
}

// === impl Visit ===

impl Visit {
    /// Subscribes as a viewer does, and writes and taps on that thread until `left` says so.
    ///
    /// # Errors
    /// Where the connection is lost at once.
    pub(super) async fn begin(
        self,
        on: &Handle,
        left: &watch::Receiver<bool>,
    ) -> anyhow::Result<Vec<JoinHandle<()>>> {
        let client = &self.guest.client;
        let feed = client.subscribe(names::feed(&self.room)).await?;
        let totals = client.subscribe(names::likes(&self.room)).await?;
        let refused = client.subscribe(names::refused(&self.guest.user)).await?;
        client.flush().await?;
        // What is on the screen of somebody who does not count.
        let drawn = futures_util::stream::select(feed, totals).for_each(|_| ready(()));
        let ledger = Arc::clone(&self.ledger);
        let told = refused.for_each(move |message| {
            let refused = serde_json::from_slice::<Refused>(&message.payload);
            if let Some(cid) = refused.ok().and_then(|refused| refused.cid) {
                ledger.refused(&cid);
            }
            ready(())
        });
        Ok(vec![
            on.spawn(drawn),
            on.spawn(told),
            on.spawn(self.stay(left.clone())),
        ])
    }

    async fn stay(mut self, mut left: watch::Receiver<bool>) {
        let mut beats = tokio::time::interval(BEAT_EVERY);
        let between = |rng: &mut Rng, (low, high): (i64, i64)| {
            let ms = rng.between(low, high);
            tokio::time::Instant::now() + Duration::from_millis(ms.unsigned_abs())
        };
        let mut writes = between(&mut self.rng, WRITES);
        let mut taps = between(&mut self.rng, TAPS);
        loop {
            tokio::select! {
                () = gone(&mut left) => return,
                // The next one says the same.
                _ = beats.tick() => drop(beat(&self.guest, &self.room).await),
                () = tokio::time::sleep_until(writes) => {
                    self.write().await;
                    writes = between(&mut self.rng, WRITES);
                }
                () = tokio::time::sleep_until(taps) => {
                    self.tap().await;
                    taps = between(&mut self.rng, TAPS);
                }
            }
        }
    }

    /// Sends a comment, and notes the server's acknowledgement. Without one it may or may not be shown.
    async fn write(&mut self) {
        let cid = self.ledger.write();
        let comment = Comment {
            content: self.rng.pick(&SAYINGS).to_owned(),
            mode: MODES[self.rng.index(MODES.len())],
            fontsize: SIZES[self.rng.index(SIZES.len())],
            color: COLOURS[self.rng.index(COLOURS.len())],
            progress: 0,
            cid: Some(cid.clone()),
        };
        let Ok(json) = serde_json::to_vec(&comment) else {
            return;
        };
        let subject = names::inbound(&self.room, Inbound::Comment, &self.guest.user);
        if let Ok(answer) = self.guest.client.request(subject, json.into()).await {
            let ack: Result<Ack, _> = serde_json::from_slice(&answer.payload);
            if ack.is_ok_and(|ack| ack.seq.is_some()) {
                self.ledger.acknowledged(&cid);
            }
        }
    }

    async fn tap(&mut self) {
        let n = self.rng.between(LIKES.0, LIKES.1);
        let like = Like {
            n: u32::try_from(n).unwrap_or(1),
        };
        let subject = names::inbound(&self.room, Inbound::Like, &self.guest.user);
        let Ok(json) = serde_json::to_vec(&like) else {
            return;
        };
        if self
            .guest
            .client
            .publish(subject, json.into())
            .await
            .is_ok()
        {
            self.tapped.fetch_add(like.n.into(), Ordering::Relaxed);
        }
    }
}

/// Waits until everyone is to leave.
async fn gone(left: &mut watch::Receiver<bool>) {
    // Where nobody can say so any more, everyone has left.
    let _ = left.wait_for(|left| *left).await;
}

/// The server's acknowledgement: an error has no sequence.
#[derive(serde::Deserialize)]
struct Ack {
    seq: Option<u64>,
}
