//! What a worker waits for: logged once in a while, counted each time, and shown.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An outage makes every comment in hand report the same thing: one line says it.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// What has not been reported for this long is over: no retry waits longer than 7.5 s.
const RECENT: Duration = Duration::from_secs(10);

/// What went wrong and is tried again.
#[derive(Debug, Default)]
pub struct Trouble {
    retried: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    report: Option<(Instant, String)>,
    logged: Option<Instant>,
}

// === impl Trouble ===

impl Trouble {
    /// Something is tried again, for this reason.
    pub(super) fn report(&self, why: &str) {
        self.retried.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.report = Some((now, why.to_owned()));
        if last
            .logged
            .is_none_or(|at| now.duration_since(at) >= LOG_EVERY)
        {
            last.logged = Some(now);
            drop(last);
            tracing::warn!("comments wait, and are tried again: {why}");
        }
    }

    /// Attempts that failed and were made again.
    pub fn retried(&self) -> u64 {
        self.retried.load(Ordering::Relaxed)
    }

    /// What it waits for, where it was in trouble within the last ten seconds.
    pub fn recent(&self) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, why) = last.report.as_ref()?;
        (at.elapsed() < RECENT).then(|| why.clone())
    }
}
