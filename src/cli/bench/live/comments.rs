//! Comments at a fixed rate: when each viewer sees them, and that each sees every one once.
//!
//! A comment carries its number in its room and the time at which it was due in its `cid`, which every entry
//! gives back.

use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use hdrhistogram::Histogram;
use serde::Deserialize;

use super::crowd::{Crowd, Way};
use super::pace::{Pace, Paced, micros, whole};
use crate::live::names;
use crate::live::streams::LIVE_OUT;

/// What a comment says: about what people write.
const TEXT: &str = "前方高能!! this is the moment that everyone was waiting for";
/// The authors' reply subject, in their own inbox.
const ACKS: &str = "acks";
/// The first comment is due so long after everything is ready.
const AHEAD: Duration = Duration::from_millis(100);
/// For so long nothing more has come after the last comment: what is missing is missing.
const QUIET: Duration = Duration::from_secs(5);
/// Between two looks whether everything has come.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Comments a second, over all rooms.
    pub(super) rate: u32,
    /// What is due before this is not measured.
    pub(super) warm_up: Duration,
    /// How long is measured.
    pub(super) length: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Figures {
    /// From the time at which a comment was due to its arrival, for each viewer, in microseconds.
    pub(super) latency: Histogram<u64>,
    /// The parts of it, by the server's clock, which is this machine's; those of core NATS are empty.
    pub(super) parts: Parts,
    /// The loader's own lateness, in microseconds.
    pub(super) lag: Histogram<u64>,
    /// Comments sent, those of the warm-up included.
    pub(super) sent: u64,
    /// Of these, acknowledged by LIVE_IN; none are by core NATS.
    pub(super) acknowledged: u64,
    /// Of these, refused.
    pub(super) refused: u64,
    /// Comments that came, over all viewers; each counts once for each of them.
    pub(super) received: u64,
    /// Comments that a viewer of their room never saw.
    pub(super) missing: u64,
    /// Comments that a viewer saw once more.
    pub(super) twice: u64,
    /// Frames before which `Nats-Last-Sequence` shows that another is missing, and frames out of order.
    pub(super) gaps: u64,
    /// Frames that are not as the wire contract says.
    pub(super) foreign: u64,
}

/// Where the time goes, in microseconds.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    /// From the time at which a comment was due to its place in LIVE_IN, to the millisecond.
    pub(super) stored: Histogram<u64>,
    /// From there to its place in LIVE_OUT: the worker's part.
    pub(super) shown: Histogram<u64>,
    /// From there to a viewer.
    pub(super) seen: Histogram<u64>,
}

/// What one viewer saw.
#[derive(Debug, Default)]
struct Seen {
    /// One bit a comment of the room.
    bits: Vec<u64>,
    last: Option<u64>,
    distinct: u64,
    twice: u64,
    gaps: u64,
    foreign: u64,
}

struct Shared {
    way: Way,
    pace: Pace,
    /// The pace's origin by the clock on the wall, since 1970.
    began: Duration,
    latency: Mutex<(Histogram<u64>, Parts)>,
    received: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
}

#[derive(Deserialize)]
struct Marked<'a> {
    #[serde(borrow)]
    cid: &'a str,
    /// When LIVE_IN took it, in milliseconds since 1970.
    #[serde(default)]
    ctime: u64,
}

/// What a frame says of its comment.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    n: u64,
    due: Duration,
    ctime: Duration,
}

/// Sends, waits for what is on its way, and says what came of it.
///
/// # Errors
/// Where a connection is lost.
pub(super) async fn run(crowd: &Crowd, load: Load) -> anyhow::Result<Figures> {
    // Everyone has subscribed before anything is due.
    let mut feeds = Vec::with_capacity(crowd.viewers.len());
    for (viewer, room) in crowd.viewers.iter().zip(crowd.rooms.iter().cycle()) {
        let feed = viewer.client.subscribe(crowd.feed(room)).await?;
        viewer.client.flush().await?;
        feeds.push(feed);
    }
    let mut answers = Vec::new();
    if crowd.way == Way::Lane {
        for author in &crowd.authors {
            let acks = author.client.subscribe(author.inbox(ACKS)).await?;
            let refused = names::refused(&author.user);
            let refused = author.client.subscribe(refused).await?;
            author.client.flush().await?;
            answers.push((acks, refused));
        }
    }
    let pace = Pace {
        origin: Instant::now() + AHEAD,
        rate: load.rate,
        warm_up: load.warm_up,
        end: load.warm_up + load.length,
    };
    let shared = Arc::new(Shared {
        way: crowd.way,
        pace,
        began: UNIX_EPOCH.elapsed()? + pace.origin.saturating_duration_since(Instant::now()),
        latency: Mutex::new((micros()?, Parts::new()?)),
        received: AtomicU64::new(0),
        acknowledged: AtomicU64::new(0),
        refused: AtomicU64::new(0),
    });
    let rooms = crowd.rooms.len();
    let mut all = Vec::with_capacity(feeds.len());
    let mut tasks = Vec::new();
    for feed in feeds {
        let seen = Arc::new(Mutex::new(Seen::default()));
        all.push(Arc::clone(&seen));
        tasks.push(crowd.watching.spawn(watch(feed, seen, Arc::clone(&shared))));
    }
    for (acks, refused) in answers {
        let counted = Arc::clone(&shared);
        tasks.push(crowd.writing.spawn(acks.for_each(move |ack| {
            counted.acknowledged(&ack);
            ready(())
        })));
        let counted = Arc::clone(&shared);
        tasks.push(crowd.writing.spawn(refused.for_each(move |_| {
            counted.refused.fetch_add(1, Ordering::Relaxed);
            ready(())
        })));
    }
    let Paced { sent, lag } = write(crowd, pace).await?;
    let expected: u64 = (0..all.len())
        .map(|viewer| sent_into(sent, rooms, viewer % rooms))
        .sum();
    shared.quiet(expected).await;
    for task in tasks {
        task.abort();
    }
    let (latency, parts) = shared.latency().clone();
    let mut figures = Figures {
        latency,
        parts,
        lag,
        sent,
        acknowledged: shared.acknowledged.load(Ordering::Relaxed),
        refused: shared.refused.load(Ordering::Relaxed),
        received: 0,
        missing: 0,
        twice: 0,
        gaps: 0,
        foreign: 0,
    };
    for (viewer, seen) in all.iter().enumerate() {
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let due = sent_into(sent, rooms, viewer % rooms);
        figures.received += seen.distinct;
        figures.missing += due.saturating_sub(seen.distinct);
        figures.twice += seen.twice;
        figures.gaps += seen.gaps;
        figures.foreign += seen.foreign;
    }
    Ok(figures)
}

/// Of so many comments, those into one room: they go round.
fn sent_into(sent: u64, rooms: usize, room: usize) -> u64 {
    let rooms = rooms.max(1) as u64;
    sent / rooms + u64::from((room as u64) < sent % rooms)
}

/// The authors write, in turn, into one room after the other; each into all of them.
async fn write(crowd: &Crowd, pace: Pace) -> anyhow::Result<Paced> {
    let subjects: Vec<Vec<String>> = crowd
        .rooms
        .iter()
        .map(|room| {
            let subject =
                |author: &crate::cli::demo::guest::Guest| crowd.comments(room, &author.user);
            crowd.authors.iter().map(subject).collect()
        })
        .collect();
    let authors = crowd.authors.clone();
    let (way, writing) = (crowd.way, crowd.writing.clone());
    let send = move |n: u64, due: Duration| {
        let rooms = subjects.len().max(1);
        let (round, room) = (n / rooms as u64, n as usize % rooms);
        let author = (round as usize + room) % authors.len().max(1);
        let subject = subjects.get(room).and_then(|room| room.get(author));
        let (Some(subject), Some(author)) = (subject, authors.get(author)) else {
            bail!("there are no rooms or no authors");
        };
        let payload = format!(
            r#"{{"content":"{TEXT}","cid":"{round}.{}"}}"#,
            due.as_micros()
        );
        let client = &author.client;
        let sent = match way {
            Way::Lane => {
                let acks = author.inbox(ACKS);
                writing.block_on(client.publish_with_reply(subject.clone(), acks, payload.into()))
            }
            Way::Core => writing.block_on(client.publish(subject.clone(), payload.into())),
        };
        sent.context("a comment could not be sent")
    };
    pace.keep(send).await
}

async fn watch(mut feed: Subscriber, seen: Arc<Mutex<Seen>>, shared: Arc<Shared>) {
    while let Some(message) = feed.next().await {
        let now = shared.pace.origin.elapsed();
        let mark = mark(&message.payload);
        let sequence = match shared.way {
            Way::Lane => sequence(&message),
            Way::Core => Some((0, 0, Duration::ZERO)),
        };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(mark), Some((at, before, shown))) = (mark, sequence) else {
            seen.foreign += 1;
            continue;
        };
        if shared.way == Way::Lane {
            seen.follows(at, before);
        }
        if !seen.note(mark.n) {
            continue;
        }
        drop(seen);
        shared.received.fetch_add(1, Ordering::Relaxed);
        if mark.due >= shared.pace.warm_up {
            let mut latency = shared.latency();
            latency
                .0
                .saturating_record(whole(now.saturating_sub(mark.due)));
            if shared.way == Way::Lane {
                let wall = |since_origin: Duration| shared.began + since_origin;
                let mut note = |part: fn(&mut Parts) -> &mut Histogram<u64>, from, to: Duration| {
                    part(&mut latency.1).saturating_record(whole(to.saturating_sub(from)));
                };
                note(|p| &mut p.stored, wall(mark.due), mark.ctime);
                note(|p| &mut p.shown, mark.ctime, shown);
                note(|p| &mut p.seen, shown, wall(now));
            }
        }
    }
}

/// What a comment says of itself.
fn mark(payload: &[u8]) -> Option<Mark> {
    let marked: Marked = serde_json::from_slice(payload).ok()?;
    let (n, due) = marked.cid.split_once('.')?;
    Some(Mark {
        n: n.parse().ok()?,
        due: Duration::from_micros(due.parse().ok()?),
        ctime: Duration::from_millis(marked.ctime),
    })
}

/// The place of a frame in LIVE_OUT, that of the room's one before it, and when it came there, since 1970; `None` where
/// the server did not write it.
fn sequence(message: &Message) -> Option<(u64, u64, Duration)> {
    let headers = message.headers.as_ref()?;
    let text = |name: &str| headers.get_last(name).map(|value| value.as_str());
    let number = |name: &str| text(name)?.parse().ok();
    (text("Nats-Stream")? == LIVE_OUT).then_some(())?;
    let at: jiff::Timestamp = text("Nats-Time-Stamp")?.parse().ok()?;
    let at = Duration::try_from(at.as_duration()).ok()?;
    Some((number("Nats-Sequence")?, number("Nats-Last-Sequence")?, at))
}

// === impl Seen ===

impl Seen {
    /// Notes a frame's place.
    fn follows(&mut self, at: u64, before: u64) {
        let whole = self.last.is_none_or(|last| last == before && at > last);
        self.gaps += u64::from(!whole);
        self.last = Some(at);
    }

    /// Notes a comment; `false` where it was seen before.
    fn note(&mut self, n: u64) -> bool {
        let (word, bit) = ((n / 64) as usize, 1 << (n % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let Some(word) = self.bits.get_mut(word) else {
            return false;
        };
        let new = *word & bit == 0;
        *word |= bit;
        self.distinct += u64::from(new);
        self.twice += u64::from(!new);
        new
    }
}

// === impl Parts ===

impl Parts {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            stored: micros()?,
            shown: micros()?,
            seen: micros()?,
        })
    }
}

// === impl Shared ===

impl Shared {
    fn latency(&self) -> std::sync::MutexGuard<'_, (Histogram<u64>, Parts)> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledged(&self, ack: &Message) {
        // An error has no sequence.
        if ack.payload.windows(6).any(|part| part == b"\"seq\":") {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything has come, or nothing comes any more.
    async fn quiet(&self, expected: u64) {
        let (mut before, mut moved) = (0, Instant::now());
        loop {
            let received = self.received.load(Ordering::Relaxed);
            if received >= expected || moved.elapsed() > QUIET {
                // What comes twice comes at once.
                tokio::time::sleep(LOOK_EVERY).await;
                return;
            }
            if received > before {
                (before, moved) = (received, Instant::now());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_counts_what_is_missing_and_what_comes_twice() {
        let mut seen = Seen::default();
        assert!(seen.note(0) && seen.note(200) && !seen.note(200));
        assert_eq!((seen.distinct, seen.twice), (2, 1));
        for (at, before) in [(7, 3), (9, 7), (12, 11), (12, 12), (15, 12)] {
            seen.follows(at, before);
        }
        // 11 was never seen, and 12 came again.
        assert_eq!(seen.gaps, 2);
    }

    #[test]
    fn comments_go_round_the_rooms() {
        let into = |sent| {
            (0..3)
                .map(|room| sent_into(sent, 3, room))
                .collect::<Vec<_>>()
        };
        assert_eq!(into(8), [3, 3, 2]);
        assert_eq!(into(9), [3, 3, 3]);
    }

    #[test]
    fn a_comment_says_when_it_was_due() {
        let entry = br#"{"type":"comment","id":"1","cid":"17.250000","ctime":1764030630123}"#;
        let expected = Mark {
            n: 17,
            due: Duration::from_millis(250),
            ctime: Duration::from_millis(1_764_030_630_123),
        };
        assert_eq!(mark(entry), Some(expected));
        assert_eq!(mark(br#"{"type":"recall","id":"1"}"#), None);
    }
}
