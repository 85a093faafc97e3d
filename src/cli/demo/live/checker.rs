//! The viewer who keeps count: sees the feed as any client does, notices gaps by `Nats-Last-Sequence`, and asks
//! the room's history for what the feed did not bring.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::ledger::Ledger;
use crate::cli::demo::guest::Guest;
use crate::live::names::{self, Inbound, RoomId};
use crate::live::streams::LIVE_OUT;
use crate::live::wire::{Entry, Likes};

/// Between two heartbeats: a third of the default after which a viewer is gone.
pub(super) const BEAT_EVERY: Duration = Duration::from_secs(10);
/// How long the lane may take until the room's total comes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two heartbeats until it does.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often the history is asked before a gap counts as one that stays.
const ATTEMPTS: usize = 5;

/// The viewer.
#[derive(Debug)]
pub(super) struct Checker {
    guest: Guest,
    room: RoomId,
    ledger: Arc<Ledger>,
    /// The last entry that was seen, of LIVE_OUT; 0 before the first.
    last: AtomicU64,
    comments: AtomicU64,
    likes: AtomicU64,
    viewers: AtomicU64,
    dropped: AtomicU64,
    /// Whether the history is being asked.
    asking: AtomicU64,
    streams: Mutex<Streams>,
}

#[derive(Debug)]
struct Streams {
    feed: Subscriber,
    totals: Subscriber,
}

/// An answer of the history.
#[derive(Deserialize)]
struct Page {
    entries: Vec<Numbered>,
    more: u64,
}

#[derive(Deserialize)]
struct Numbered {
    seq: u64,
    entry: Entry,
}

// === impl Checker ===

impl Checker {
    /// Subscribes, and waits for the room's present total, which a heartbeat brings.
    ///
    /// # Errors
    /// Where none comes within a minute.
    pub(super) async fn begin(
        guest: Guest,
        room: RoomId,
        ledger: Arc<Ledger>,
    ) -> anyhow::Result<Arc<Self>> {
        let feed = guest.client.subscribe(names::feed(&room)).await?;
        let totals = guest.client.subscribe(names::likes(&room)).await?;
        let mut streams = Streams { feed, totals };
        let began = Instant::now();
        let first = loop {
            beat(&guest, &room).await?;
            match tokio::time::timeout(ASK_EVERY, streams.totals.next()).await {
                Ok(Some(frame)) => break serde_json::from_slice::<Likes>(&frame.payload)?,
                Ok(None) => bail!("the connection ended"),
                Err(_) if began.elapsed() > PATIENCE => {
                    bail!("no worker answers heartbeats in the room {room}");
                }
                Err(_) => {}
            }
        };
        Ok(Arc::new(Self {
            guest,
            room,
            ledger,
            last: AtomicU64::new(0),
            comments: AtomicU64::new(0),
            likes: AtomicU64::new(first.total),
            viewers: AtomicU64::new(first.viewers),
            dropped: AtomicU64::new(0),
            asking: AtomicU64::new(0),
            streams: Mutex::new(streams),
        }))
    }

    /// Watches for ever.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut streams = self.streams.lock().await;
        let Streams { feed, totals } = &mut *streams;
        let mut beats = tokio::time::interval(BEAT_EVERY);
        loop {
            tokio::select! {
                Some(frame) = feed.next() => self.frame(&frame).await,
                Some(frame) = totals.next() => self.total(&frame),
                // The next one says the same.
                _ = beats.tick() => drop(beat(&self.guest, &self.room).await),
            }
        }
    }

    /// Asks for everything that follows the last entry seen.
    ///
    /// # Errors
    /// Where no worker answers, however often it is asked.
    pub(super) async fn resume(&self) -> anyhow::Result<()> {
        self.asking.fetch_add(1, Ordering::Relaxed);
        let mut done = Ok(());
        for _ in 0..ATTEMPTS {
            done = self.pages().await;
            if done.is_ok() {
                break;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        self.asking.fetch_sub(1, Ordering::Relaxed);
        done.with_context(|| format!("the history of the room {} does not answer", self.room))
    }

    /// Entries that the checking viewer saw.
    pub(super) fn comments(&self) -> u64 {
        self.comments.load(Ordering::Relaxed)
    }

    /// The highest total that it was told.
    pub(super) fn likes(&self) -> u64 {
        self.likes.load(Ordering::Relaxed)
    }

    /// Viewers, as it was told.
    pub(super) fn viewers(&self) -> u64 {
        self.viewers.load(Ordering::Relaxed)
    }

    /// Messages on the feed's subject that are no entries.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Whether it waits for the history.
    pub(super) fn waits(&self) -> bool {
        self.asking.load(Ordering::Relaxed) > 0
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    async fn frame(&self, frame: &Message) {
        let now = Instant::now();
        let Some((at, before)) = place(frame) else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let last = self.last.load(Ordering::Relaxed);
        if at <= last {
            // The history has brought it already.
            return;
        }
        if last > 0 && before != last {
            if let Err(why) = self.resume().await {
                tracing::warn!("the demo's viewer has missed entries after {last}: {why:#}");
            } else {
                return;
            }
        }
        self.last.store(at, Ordering::Relaxed);
        if let Ok(entry) = serde_json::from_slice(&frame.payload) {
            self.entry(&entry, Some(now));
        }
    }

    fn entry(&self, entry: &Entry, now: Option<Instant>) {
        match entry {
            Entry::Comment(shown) => {
                self.comments.fetch_add(1, Ordering::Relaxed);
                if let Some(cid) = &shown.cid {
                    self.ledger.seen(cid, now);
                }
            }
            Entry::Recall(_) => {}
        }
    }

    fn total(&self, frame: &Message) {
        if let Ok(likes) = serde_json::from_slice::<Likes>(&frame.payload) {
            // A frame may be late, or lost: the highest is right.
            self.likes.fetch_max(likes.total, Ordering::Relaxed);
            self.viewers.store(likes.viewers, Ordering::Relaxed);
        }
    }

    async fn pages(&self) -> anyhow::Result<()> {
        loop {
            let after = self.last.load(Ordering::Relaxed);
            let subject = names::history(&self.room, &self.guest.user);
            let request = serde_json::json!({ "after": after }).to_string();
            let answer = self.guest.client.request(subject, request.into()).await?;
            let page: Page = serde_json::from_slice(&answer.payload)
                .with_context(|| String::from_utf8_lossy(&answer.payload).into_owned())?;
            for Numbered { seq, entry } in &page.entries {
                // The feed is not read meanwhile, but at the end.
                if *seq > self.last.fetch_max(*seq, Ordering::Relaxed) {
                    self.entry(entry, None);
                }
            }
            if page.more == 0 {
                return Ok(());
            }
        }
    }
}

/// Tells the room that a user is watching.
pub(super) async fn beat(guest: &Guest, room: &RoomId) -> anyhow::Result<()> {
    let subject = names::inbound(room, Inbound::Here, &guest.user);
    guest.client.publish(subject, "".into()).await?;
    Ok(())
}

/// The place of a frame in LIVE_OUT, and of the room's one before it; `None` where it is no entry.
fn place(frame: &Message) -> Option<(u64, u64)> {
    let headers = frame.headers.as_ref()?;
    let text = |name: &str| headers.get_last(name).map(|value| value.as_str());
    let number = |name: &str| text(name)?.parse().ok();
    (text("Nats-Stream")? == LIVE_OUT).then_some(())?;
    Some((number("Nats-Sequence")?, number("Nats-Last-Sequence")?))
}
