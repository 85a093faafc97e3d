//! What became of each comment that the demo's people wrote.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cli::demo::probe::{Quantiles, quantiles};

/// How far the shown quantiles look back.
const WINDOW: Duration = Duration::from_secs(20);
/// Measurements kept for the quantiles of the whole run: some 25 minutes of them.
const KEPT: usize = 30_000;

/// One comment; 24 bytes, and twenty of them a second.
#[derive(Debug, Clone, Copy)]
struct Fate {
    sent: Instant,
    acknowledged: bool,
    refused: bool,
    seen: u8,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Ledger {
    /// What the `cid` of every comment of this run begins with, and no other's does.
    run: String,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    fates: Vec<Fate>,
    took: VecDeque<(Instant, Duration)>,
}

/// How many had which fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fates {
    pub(super) acknowledged: u64,
    pub(super) refused: u64,
    pub(super) once: u64,
    pub(super) missing: u64,
    pub(super) twice: u64,
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn new() -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self {
            run: format!("demo-{:x}-{}", now.as_millis(), std::process::id()),
            books: Mutex::default(),
        }
    }

    /// Opens an account for a comment that is sent now, and gives it its `cid`.
    pub(super) fn write(&self) -> String {
        let mut books = self.lock();
        let n = books.fates.len();
        books.fates.push(Fate {
            sent: Instant::now(),
            acknowledged: false,
            refused: false,
            seen: 0,
        });
        format!("{}.{n}", self.run)
    }

    /// LIVE_IN has it.
    pub(super) fn acknowledged(&self, cid: &str) {
        self.change(cid, |fate| fate.acknowledged = true);
    }

    /// Its author was told that it is not shown.
    pub(super) fn refused(&self, cid: &str) {
        self.change(cid, |fate| fate.refused = true);
    }

    /// The feed brought it; with `now` where it came by itself.
    pub(super) fn seen(&self, cid: &str, now: Option<Instant>) {
        let sent = self.change(cid, |fate| fate.seen = fate.seen.saturating_add(1));
        if let (Some(sent), Some(now)) = (sent, now) {
            let mut books = self.lock();
            books.took.push_back((now, now.duration_since(sent)));
            if books.took.len() > KEPT {
                books.took.pop_front();
            }
        }
    }

    /// How many had which fate by now.
    pub(super) fn fates(&self) -> Fates {
        let mut all = Fates::default();
        for fate in &self.lock().fates {
            all.acknowledged += u64::from(fate.acknowledged);
            all.twice += u64::from(fate.seen > 1);
            if fate.acknowledged {
                all.refused += u64::from(fate.refused && fate.seen == 0);
                all.once += u64::from(fate.seen == 1);
                all.missing += u64::from(fate.seen == 0 && !fate.refused);
            }
        }
        all
    }

    /// The quantiles of the last 20 s; `None` without a measurement.
    pub(super) fn recent(&self) -> Option<Quantiles> {
        let books = self.lock();
        let recent = books.took.iter().rev();
        let recent = recent.take_while(|(at, _)| at.elapsed() < WINDOW);
        quantiles(recent.map(|(_, took)| *took).collect())
    }

    /// The quantiles of the whole run; `None` without a measurement.
    pub(super) fn overall(&self) -> Option<Quantiles> {
        quantiles(self.lock().took.iter().map(|(_, took)| *took).collect())
    }

    /// Changes the account of a comment of this run, and says when it was sent.
    fn change(&self, cid: &str, how: impl FnOnce(&mut Fate)) -> Option<Instant> {
        let n = cid.strip_prefix(&self.run)?.strip_prefix('.')?;
        let n: usize = n.parse().ok()?;
        let mut books = self.lock();
        let fate = books.fates.get_mut(n)?;
        how(fate);
        Some(fate.sent)
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_comment_has_one_fate() {
        let ledger = Ledger::new();
        let cids: Vec<String> = (0..6).map(|_| ledger.write()).collect();
        // Seen once, twice, refused, missing, never acknowledged, acknowledged after it was seen.
        cids[..4].iter().for_each(|cid| ledger.acknowledged(cid));
        for n in [0, 1, 1, 4, 5] {
            ledger.seen(&cids[n], Some(Instant::now()));
        }
        ledger.refused(&cids[2]);
        ledger.acknowledged(&cids[5]);
        let fates = ledger.fates();
        let expected = Fates {
            acknowledged: 5,
            refused: 1,
            once: 2,
            missing: 1,
            twice: 1,
        };
        assert_eq!(fates, expected);
        assert!(ledger.overall().is_some());
    }

    #[test]
    fn others_comments_are_not_the_demos() {
        let ledger = Ledger::new();
        let cid = ledger.write();
        ledger.acknowledged(&cid);
        for other in ["", "7", "demo-1.0", &format!("{cid}9"), &format!("x{cid}")] {
            ledger.seen(other, None);
        }
        assert_eq!((ledger.fates().missing, ledger.fates().once), (1, 0));
    }
}
