//! Likes, as fast as they are taken: each author taps into a room of its own, and no further ahead of the room's
//! total than a worker holds without shedding. What is folded is read off the totals, which every viewer gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::Subscriber;
use futures_util::{FutureExt as _, StreamExt as _};

use super::crowd::{Crowd, room};
use crate::cli::demo::guest::Guest;
use crate::live::names::{self, Inbound, RoomId};
use crate::live::wire::{Like, Likes};

/// Messages that a room's total may be behind: a quarter of what waits for a room by default (`likes.queue`), and
/// with fifty rooms below what the worker's subscription holds.
const AHEAD: u64 = 1_000;
/// Messages between two looks at the total.
const AT_ONCE: u64 = 50;
/// Until rooms are open and windows full.
const RAMP: Duration = Duration::from_secs(1);
/// How long is measured.
const LENGTH: Duration = Duration::from_secs(5);
/// A total that has not moved for so long will not: what is missing is lost.
const QUIET: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folded {
    /// Likes a second, by the totals.
    pub(super) per_second: f64,
    /// Likes sent.
    pub(super) sent: u64,
    /// Of these, those that are in no total.
    pub(super) lost: u64,
}

/// Sends likes, `n` in a message, and says how many a second were folded.
///
/// # Errors
/// Where a connection is lost.
pub(super) async fn flood(crowd: &Crowd, unique: &str, n: u32) -> anyhow::Result<Folded> {
    let ends = Instant::now() + RAMP + LENGTH;
    let mut totals = Vec::new();
    let mut taps = Vec::new();
    for (at, author) in crowd.authors.iter().enumerate() {
        let room = room(unique, &format!("likes{n}"), at)?;
        let total = Arc::new(AtomicU64::new(0));
        totals.push(Arc::clone(&total));
        let tapping = tap(author.clone(), room, n, ends, total);
        taps.push(crowd.writing.spawn(tapping));
    }
    let sum = || {
        totals
            .iter()
            .map(|t| t.load(Ordering::Relaxed))
            .sum::<u64>()
    };
    tokio::time::sleep(RAMP).await;
    let (began, first) = (Instant::now(), sum());
    tokio::time::sleep(LENGTH).await;
    let (took, last) = (began.elapsed(), sum());
    let mut sent = 0;
    for tap in taps {
        sent += tap.await??;
    }
    Ok(Folded {
        per_second: (last - first) as f64 / took.as_secs_f64(),
        sent,
        lost: sent.saturating_sub(sum()),
    })
}

/// Taps until the time is over and all of it is in the total; returns what was sent.
async fn tap(
    author: Guest,
    room: RoomId,
    n: u32,
    ends: Instant,
    total: Arc<AtomicU64>,
) -> anyhow::Result<u64> {
    let mut totals = author.client.subscribe(names::likes(&room)).await?;
    let subject = async_nats::Subject::from(names::inbound(&room, Inbound::Like, &author.user));
    let payload = match n {
        // One like takes no payload.
        1 => bytes::Bytes::new(),
        n => serde_json::to_vec(&Like { n })?.into(),
    };
    let each = u64::from(n);
    let (mut sent, mut lost) = (0_u64, 0_u64);
    while Instant::now() < ends {
        // What has come, without waiting for more.
        while let Some(frame) = totals.next().now_or_never() {
            note(&frame.context("a connection ended")?, &total);
        }
        let open = sent.saturating_sub(total.load(Ordering::Relaxed) + lost) / each;
        if open >= AHEAD {
            if !moved(&mut totals, &total).await? {
                lost = sent.saturating_sub(total.load(Ordering::Relaxed));
            }
            continue;
        }
        for _ in 0..AT_ONCE {
            author
                .client
                .publish(subject.clone(), payload.clone())
                .await?;
        }
        sent += AT_ONCE * each;
    }
    while total.load(Ordering::Relaxed) < sent {
        if !moved(&mut totals, &total).await? {
            break;
        }
    }
    Ok(sent)
}

/// Waits for the next total; `false` where none comes.
async fn moved(totals: &mut Subscriber, total: &AtomicU64) -> anyhow::Result<bool> {
    match tokio::time::timeout(QUIET, totals.next()).await {
        Ok(frame) => {
            note(&frame.context("a connection ended")?, total);
            Ok(true)
        }
        Err(_) => Ok(false),
    }
}

/// The highest total counts.
fn note(frame: &async_nats::Message, total: &AtomicU64) {
    if let Ok(likes) = serde_json::from_slice::<Likes>(&frame.payload) {
        total.fetch_max(likes.total, Ordering::Relaxed);
    }
}
