//! A branch's memory between poll and resolution, in bytes and in chunks.
//!
//! Promises: what is out at one time stays within the limits, but for one record that is larger than the
//! whole budget, which then is out alone. A permit travels inside each chunk and comes back when the chunk
//! goes away, however that happens.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The account.
#[derive(Debug)]
pub struct Budget {
    bytes: usize,
    chunks: usize,
    out: Mutex<Out>,
    returned: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Out {
    bytes: usize,
    chunks: usize,
    /// How often what was out was written off.
    period: u64,
}

/// Bytes, and perhaps a chunk, taken from a [`Budget`] and given back on drop.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    bytes: usize,
    period: u64,
}

// === impl Budget ===

impl Budget {
    /// At most `bytes` in at most `chunks` chunks.
    pub fn new(bytes: usize, chunks: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            chunks,
            out: Mutex::default(),
            returned: Condvar::new(),
        })
    }

    /// A permit for a new chunk that holds nothing yet, or `None` without room for one.
    pub fn chunk(self: &Arc<Self>) -> Option<Permit> {
        let mut out = self.lock();
        if out.chunks >= self.chunks {
            return None;
        }
        out.chunks += 1;
        Some(Permit {
            budget: Arc::clone(self),
            bytes: 0,
            period: out.period,
        })
    }

    /// Writes off what is out: it is in hands that will not give it back (an actor that blocks its thread), or
    /// not soon. Until it is given back it is beside the limit, which is why only a few actors may be left behind so.
    pub fn write_off(&self) {
        let mut out = self.lock();
        *out = Out {
            period: out.period + 1,
            ..Out::default()
        };
        drop(out);
        self.returned.notify_all();
    }

    /// Bytes that are out.
    pub fn used(&self) -> usize {
        self.lock().bytes
    }

    /// The limit in bytes.
    pub fn limit(&self) -> usize {
        self.bytes
    }

    /// Waits until `room` holds or `timeout` has passed; says whether it holds.
    fn wait(&self, timeout: Duration, room: impl Fn(&Out) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut out = self.lock();
        loop {
            if room(&out) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            out = match self.returned.wait_timeout(out, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Waits at most `timeout` until a record of `bytes` and its chunk would find room.
    pub fn wait_for(&self, bytes: usize, timeout: Duration) -> bool {
        self.wait(timeout, |out| {
            out.chunks < self.chunks && fits(out.bytes, bytes, self.bytes)
        })
    }

    /// Waits at most `timeout` until half of it is free.
    pub fn wait_half(&self, timeout: Duration) -> bool {
        self.wait(timeout, |out| {
            out.bytes <= self.bytes / 2 && out.chunks <= self.chunks / 2
        })
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record larger than the budget takes the whole of it.
fn fits(used: usize, more: usize, limit: usize) -> bool {
    used == 0 || used.saturating_add(more) <= limit
}

// === impl Permit ===

impl Permit {
    /// Takes `bytes` more; `false` without room for them.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let mut out = self.budget.lock();
        if out.period != self.period {
            // A chunk of before: it is beside the account, and grows no more.
            return false;
        }
        if !fits(out.bytes, bytes, self.budget.bytes) {
            return false;
        }
        out.bytes += bytes;
        self.bytes += bytes;
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        {
            let mut out = self.budget.lock();
            if out.period == self.period {
                out.bytes = out.bytes.saturating_sub(self.bytes);
                out.chunks = out.chunks.saturating_sub(1);
            }
        }
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_stay_within_the_limit_and_come_back() {
        let b = Budget::new(100, 2);
        let mut p = b.chunk().unwrap();
        assert!(p.grow(60));
        assert!(!p.grow(41));
        assert!(p.grow(40));
        let _q = b.chunk().unwrap();
        assert!(b.chunk().is_none());
        assert!(!b.wait_for(1, Duration::ZERO));
        drop(p);
        assert_eq!(b.used(), 0);
        assert!(b.wait_for(100, Duration::ZERO));
    }

    #[test]
    fn what_was_written_off_leaves_the_whole_room_and_returns_nothing() {
        let b = Budget::new(100, 1);
        let mut lost = b.chunk().unwrap();
        assert!(lost.grow(80));
        assert!(!b.wait_for(30, Duration::ZERO));
        b.write_off();
        assert!(!lost.grow(1));
        let mut new = b.chunk().unwrap();
        assert!(new.grow(100));
        drop(lost);
        assert_eq!(b.used(), 100);
        assert!(b.chunk().is_none());
        drop(new);
        assert_eq!(b.used(), 0);
    }

    #[test]
    fn a_record_larger_than_the_budget_takes_the_whole_of_it() {
        let b = Budget::new(100, 4);
        let mut p = b.chunk().unwrap();
        assert!(p.grow(500));
        let mut q = b.chunk().unwrap();
        assert!(!q.grow(1));
        drop(p);
        assert!(q.grow(1));
    }

    #[test]
    fn a_waiter_wakes_when_a_permit_comes_back() {
        let b = Budget::new(10, 4);
        let mut p = b.chunk().unwrap();
        assert!(p.grow(10));
        let waiter = {
            let b = Arc::clone(&b);
            std::thread::spawn(move || b.wait_half(Duration::from_secs(10)))
        };
        drop(p);
        assert!(waiter.join().unwrap());
    }
}
