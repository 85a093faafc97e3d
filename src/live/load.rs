//! Whether a worker has more to do than it can: what is shed then is likes, and never a comment.
//!
//! Two things are measured on the comments' own thread: how late its timers fire, which is how long a comment
//! waits for the thread, and how many comments it has in hand or waiting in LIVE_IN, beside how many it may have
//! in hand. Either one counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A thread that is this late costs a comment twice what it may take at the 99th percentile.
const LATE: Duration = Duration::from_millis(20);
/// Below it the thread is at ease again.
const AT_EASE: Duration = Duration::from_millis(5);
/// Tenths of what a worker may have in hand: from here on the stream fills up behind it.
const FULL_TENTHS: u64 = 8;
/// Below it the stream is empty again.
const FREE_TENTHS: u64 = 5;
/// Looks in a row that must agree: one late timer is no overload, and likes come back only where it is over.
const LOOKS: u32 = 4;

/// A worker's load, for whoever must know it.
#[derive(Debug, Default)]
pub struct Load {
    lag_us: AtomicU64,
    held: AtomicU64,
    behind: AtomicU64,
    overloaded: AtomicBool,
}

/// Judges the load from one look to the next.
#[derive(Debug)]
pub(super) struct Judge {
    limit: u64,
    overloaded: bool,
    agreed: u32,
}

// === impl Load ===

impl Load {
    /// Whether likes are to be shed.
    pub fn overloaded(&self) -> bool {
        self.overloaded.load(Ordering::Relaxed)
    }

    /// How late the comments' thread was at the last look.
    pub fn lag(&self) -> Duration {
        Duration::from_micros(self.lag_us.load(Ordering::Relaxed))
    }

    /// Comments in hand at the last look.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Comments that waited in LIVE_IN at the last look, for this worker or another.
    pub fn behind(&self) -> u64 {
        self.behind.load(Ordering::Relaxed)
    }

    /// Notes what one look showed.
    pub(super) fn note(&self, judge: &mut Judge, lag: Duration, held: u64, behind: u64) {
        let micros = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        self.lag_us.store(micros, Ordering::Relaxed);
        self.held.store(held, Ordering::Relaxed);
        self.behind.store(behind, Ordering::Relaxed);
        let before = judge.overloaded;
        let now = judge.look(lag, held.saturating_add(behind));
        self.overloaded.store(now, Ordering::Relaxed);
        if now != before {
            tracing::warn!(
                ?lag,
                held,
                behind,
                "{}",
                if now {
                    "too much to do: likes are shed"
                } else {
                    "likes are taken again"
                }
            );
        }
    }
}

// === impl Judge ===

impl Judge {
    /// For a worker that may have so many comments in hand.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1) as u64,
            overloaded: false,
            agreed: 0,
        }
    }

    fn look(&mut self, lag: Duration, waiting: u64) -> bool {
        let tenths = waiting.saturating_mul(10) / self.limit;
        let differs = if self.overloaded {
            lag <= AT_EASE && tenths <= FREE_TENTHS
        } else {
            lag >= LATE || tenths >= FULL_TENTHS
        };
        self.agreed = if differs { self.agreed + 1 } else { 0 };
        if self.agreed >= LOOKS {
            self.overloaded = !self.overloaded;
            self.agreed = 0;
        }
        self.overloaded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_late_timer_is_no_overload_and_four_are() {
        let mut judge = Judge::new(100);
        for _ in 0..10 {
            assert!(!judge.look(LATE, 0));
            assert!(!judge.look(Duration::ZERO, 0));
        }
        let looks: Vec<bool> = (0..4).map(|_| judge.look(LATE, 0)).collect();
        assert_eq!(looks, [false, false, false, true]);
    }

    #[test]
    fn it_is_over_when_both_measures_say_so_for_a_while() {
        let mut judge = Judge::new(100);
        (0..4).for_each(|_| {
            judge.look(Duration::ZERO, 80);
        });
        assert!(judge.overloaded);
        for _ in 0..10 {
            assert!(judge.look(Duration::ZERO, 60), "too many wait");
            assert!(judge.look(LATE / 2, 0), "still late");
        }
        let looks: Vec<bool> = (0..4).map(|_| judge.look(AT_EASE, 50)).collect();
        assert_eq!(looks, [true, true, true, false]);
    }
}
