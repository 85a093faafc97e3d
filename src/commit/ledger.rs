//! What a branch has taken and not yet resolved, for all of its partitions.
//!
//! Promises, at rest: consumed = applied + superseded + filtered + dead-lettered + abandoned, exactly, since
//! every record taken leaves through exactly one of the five. A partition's *generation* ends when it is
//! revoked, rewound or given up: what was pending then is abandoned, and later acks for it are dropped.
//! A record whose delivery is dropped unresolved (its worker died) marks its partition for a rewind to the
//! watermark.
//!
//! Partitions are opened and records taken under a [`Lease`], of which one is good at a time: the poller of an
//! older one, which was left behind blocked and wakes up later, changes nothing.
//!
//! A plain mutex, held for one chunk's or one batch's records at a time and never across an await: the
//! poller's thread, the workers' and the committer's all come here.

mod lease;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

pub use self::lease::Lease;
use super::watermark::{OutOfOrder, Resolution, Ticket, Watermark};
use crate::event::{Mark, Position};
use crate::planted::{Bug, planted};
use crate::sink::Watermarks;

/// A record's claim in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The record's place.
    pub position: Position,
    ticket: Ticket,
    generation: u64,
}

/// Records by what became of them; each only grows.
#[derive(Debug, Default)]
pub struct Tally {
    /// Taken from Kafka.
    pub consumed: AtomicU64,
    /// In the sink.
    pub applied: AtomicU64,
    /// Needless, since something newer is there.
    pub superseded: AtomicU64,
    /// Changing no document.
    pub filtered: AtomicU64,
    /// In the dead-letter topic.
    pub dead_lettered: AtomicU64,
    /// Given up unresolved, and to be consumed again.
    pub abandoned: AtomicU64,
    /// Rewinds to the watermark after a delivery was dropped or the sink forgot.
    pub rewinds: AtomicU64,
}

/// A branch's ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    partitions: Mutex<BTreeMap<i32, Partition>>,
    /// The number of the lease that is good; changed under the partitions' lock alone.
    leased: AtomicU64,
    tally: Tally,
    changed: Notify,
    resolved: Condvar,
}

#[derive(Debug)]
struct Partition {
    generation: u64,
    open: Option<Watermark>,
    /// A delivery was dropped unresolved.
    rewind: bool,
}

/// Watermarks of some partitions, read anew at each asking.
#[derive(Debug, Clone, Copy)]
pub struct OpenMarks<'a> {
    ledger: &'a Ledger,
    partitions: &'a [i32],
}

// === impl OpenMarks ===

impl Watermarks for OpenMarks<'_> {
    fn now(&self) -> Vec<Mark> {
        let all = self.ledger.lock();
        self.partitions
            .iter()
            .filter_map(|n| {
                let w = all.get(n)?.open.as_ref()?;
                Some(Mark {
                    partition: *n,
                    offset: w.offset(),
                })
            })
            .collect()
    }
}

// === impl Ledger ===

impl Ledger {
    /// The next lease: from now on it alone is good, and every generation has ended.
    pub fn lease(self: &Arc<Self>) -> Lease {
        let mut all = self.lock();
        for p in all.values_mut() {
            self.end_generation(p);
        }
        let number = self.leased.fetch_add(1, Ordering::Relaxed) + 1;
        drop(all);
        self.resolved.notify_all();
        Lease {
            ledger: Arc::clone(self),
            number,
        }
    }

    /// What is pending is in hands that will not let go of it: every partition with such a record rewinds.
    pub fn give_up_pending(&self) {
        let mut any = false;
        for p in self.lock().values_mut() {
            if p.open.as_ref().is_some_and(|w| w.pending() > 0) {
                p.rewind = true;
                any = true;
            }
        }
        if any {
            self.changed.notify_one();
        }
    }

    /// Starts a generation of `partition` that is read from `start`; what was pending is abandoned.
    pub fn open(&self, partition: i32, start: i64) {
        self.open_in(&mut self.lock(), partition, start);
    }

    fn open_in(&self, all: &mut BTreeMap<i32, Partition>, partition: i32, start: i64) {
        let p = all.entry(partition).or_insert(Partition {
            generation: 0,
            open: None,
            rewind: false,
        });
        self.end_generation(p);
        p.open = Some(Watermark::new(start));
    }

    /// Ends the partition's generation; what was pending is abandoned.
    pub fn close(&self, partition: i32) {
        if let Some(p) = self.lock().get_mut(&partition) {
            self.end_generation(p);
        }
        self.resolved.notify_all();
    }

    /// Ends every generation.
    pub fn close_all(&self) {
        for p in self.lock().values_mut() {
            self.end_generation(p);
        }
        self.resolved.notify_all();
    }

    /// Starts a new generation at the partition's own watermark, and returns it; `None` where it is closed.
    pub fn rewind(&self, partition: i32) -> Option<i64> {
        self.rewind_in(&mut self.lock(), partition)
    }

    fn rewind_in(&self, all: &mut BTreeMap<i32, Partition>, partition: i32) -> Option<i64> {
        let p = all.get_mut(&partition)?;
        let at = p.open.as_ref()?.offset();
        self.end_generation(p);
        p.open = Some(Watermark::new(at));
        self.tally.rewinds.fetch_add(1, Ordering::Relaxed);
        Some(at)
    }

    fn end_generation(&self, p: &mut Partition) {
        if let Some(w) = p.open.take() {
            self.tally
                .abandoned
                .fetch_add(w.pending() as u64, Ordering::Relaxed);
        }
        p.generation += 1;
        p.rewind = false;
    }

    /// Takes a record; `None` where its partition is closed.
    ///
    /// # Errors
    /// [`OutOfOrder`] where the record, or a later one, was taken in this generation before.
    pub fn take(&self, position: Position) -> Result<Option<Claim>, OutOfOrder> {
        self.take_in(&mut self.lock(), position)
    }

    fn take_in(
        &self,
        all: &mut BTreeMap<i32, Partition>,
        position: Position,
    ) -> Result<Option<Claim>, OutOfOrder> {
        let Some(p) = all.get_mut(&position.partition) else {
            return Ok(None);
        };
        let Some(w) = p.open.as_mut() else {
            return Ok(None);
        };
        let ticket = w.take(position.offset)?;
        self.tally.consumed.fetch_add(1, Ordering::Relaxed);
        Ok(Some(Claim {
            position,
            ticket,
            generation: p.generation,
        }))
    }

    /// Resolves records; those of an ended generation are passed over, since they count as abandoned.
    pub fn resolve(&self, resolved: impl IntoIterator<Item = (Claim, Resolution)>) {
        let mut all = self.lock();
        for (claim, resolution) in resolved {
            let Some(w) = current(&mut all, &claim) else {
                continue;
            };
            if w.resolve(claim.ticket) {
                let counter = match resolution {
                    Resolution::Applied => &self.tally.applied,
                    Resolution::Superseded => &self.tally.superseded,
                    Resolution::Filtered => &self.tally.filtered,
                    Resolution::DeadLettered => &self.tally.dead_lettered,
                };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
        drop(all);
        self.resolved.notify_all();
    }

    /// Told by a delivery that goes away: whichever of its records is still pending makes its partition
    /// rewind.
    pub fn dropped(&self, claims: impl IntoIterator<Item = Claim>) {
        let mut all = self.lock();
        let mut any = false;
        for claim in claims {
            if current(&mut all, &claim).is_some_and(|w| w.is_pending(claim.ticket))
                && let Some(p) = all.get_mut(&claim.position.partition)
            {
                p.rewind = true;
                any = true;
            }
        }
        drop(all);
        if any {
            self.changed.notify_one();
        }
    }

    /// Whether the claim belongs to its partition's present generation.
    pub fn is_current(&self, claim: &Claim) -> bool {
        self.lock()
            .get(&claim.position.partition)
            .is_some_and(|p| p.open.is_some() && p.generation == claim.generation)
    }

    /// The partitions that must be rewound.
    pub fn rewinds_due(&self) -> Vec<i32> {
        self.lock()
            .iter()
            .filter(|(_, p)| p.rewind)
            .map(|(n, _)| *n)
            .collect()
    }

    /// Waits until a rewind may be due.
    pub async fn rewind_due(&self) {
        self.changed.notified().await;
    }

    /// The open partitions' watermarks with their generations.
    pub fn marks(&self) -> Vec<(Mark, u64)> {
        self.lock()
            .iter()
            .filter_map(|(n, p)| {
                let open = p.open.as_ref()?;
                let offset = if planted(Bug::EarlyCommit) {
                    open.next()
                } else {
                    open.offset()
                };
                let mark = Mark {
                    partition: *n,
                    offset,
                };
                Some((mark, p.generation))
            })
            .collect()
    }

    /// The watermarks of these partitions, as far as they are open whenever they are asked for.
    pub fn watermarks_of<'a>(&'a self, partitions: &'a [i32]) -> OpenMarks<'a> {
        OpenMarks {
            ledger: self,
            partitions,
        }
    }

    /// One partition's watermark and generation; `None` where it is closed.
    pub fn mark(&self, partition: i32) -> Option<(i64, u64)> {
        let all = self.lock();
        let p = all.get(&partition)?;
        Some((p.open.as_ref()?.offset(), p.generation))
    }

    /// One past the last record taken of a partition; `None` where it is closed.
    pub fn next(&self, partition: i32) -> Option<i64> {
        Some(self.lock().get(&partition)?.open.as_ref()?.next())
    }

    /// Records taken and not resolved, of all partitions.
    pub fn pending(&self) -> usize {
        self.lock()
            .values()
            .filter_map(|p| p.open.as_ref())
            .map(Watermark::pending)
            .sum()
    }

    /// Records between watermark and last one taken, of all partitions.
    pub fn span(&self) -> usize {
        self.lock()
            .values()
            .filter_map(|p| p.open.as_ref())
            .map(Watermark::span)
            .sum()
    }

    /// Waits until nothing of these partitions is pending, at most `timeout`; says whether that is so.
    /// Blocks its thread.
    pub fn wait_drained(&self, partitions: &[i32], timeout: Duration) -> bool {
        self.wait(timeout, |all| {
            partitions
                .iter()
                .filter_map(|n| all.get(n)?.open.as_ref())
                .all(|w| w.pending() == 0)
        })
    }

    /// Waits until at most `limit` records stand between watermarks and last ones taken, at most `timeout`;
    /// says whether that is so. Blocks its thread.
    pub fn wait_span(&self, limit: usize, timeout: Duration) -> bool {
        self.wait(timeout, |all| {
            let open = all.values().filter_map(|p| p.open.as_ref());
            open.map(Watermark::span).sum::<usize>() <= limit
        })
    }

    fn wait(&self, timeout: Duration, holds: impl Fn(&BTreeMap<i32, Partition>) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut all = self.lock();
        loop {
            if holds(&all) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            all = match self.resolved.wait_timeout(all, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// The counters.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Partition>> {
        // No code under this lock can panic halfway through a change that matters.
        self.partitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn current<'a>(all: &'a mut BTreeMap<i32, Partition>, claim: &Claim) -> Option<&'a mut Watermark> {
    let p = all.get_mut(&claim.position.partition)?;
    (p.generation == claim.generation)
        .then_some(p.open.as_mut())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(partition: i32, offset: i64) -> Position {
        Position { partition, offset }
    }

    fn sums(l: &Ledger) -> (u64, u64) {
        let t = l.tally();
        let get = |c: &AtomicU64| c.load(Ordering::Relaxed);
        (
            get(&t.consumed),
            get(&t.applied)
                + get(&t.superseded)
                + get(&t.filtered)
                + get(&t.dead_lettered)
                + get(&t.abandoned),
        )
    }

    #[test]
    fn an_ack_of_an_older_generation_is_dropped() {
        let l = Ledger::default();
        l.open(0, 0);
        let old = l.take(at(0, 0)).unwrap().unwrap();
        assert_eq!(l.rewind(0), Some(0));
        let new = l.take(at(0, 0)).unwrap().unwrap();
        l.resolve([(old, Resolution::Applied)]);
        assert_eq!(l.mark(0).unwrap().0, 0);
        l.resolve([(new, Resolution::Applied)]);
        assert_eq!(l.mark(0).unwrap().0, 1);
        assert_eq!(sums(&l), (2, 2));
    }

    #[test]
    fn a_delivery_dropped_unresolved_makes_its_partition_rewind() {
        let l = Ledger::default();
        l.open(3, 7);
        let a = l.take(at(3, 7)).unwrap().unwrap();
        let b = l.take(at(3, 8)).unwrap().unwrap();
        l.resolve([(a, Resolution::Applied)]);
        l.dropped([a]);
        assert!(l.rewinds_due().is_empty());
        l.dropped([a, b]);
        assert_eq!(l.rewinds_due(), [3]);
        assert_eq!(l.rewind(3), Some(8));
        assert!(l.rewinds_due().is_empty());
    }

    #[test]
    fn a_lease_that_was_followed_by_another_changes_nothing_any_more() {
        let l = Arc::new(Ledger::default());
        let old = l.lease();
        old.open(0, 5);
        assert!(old.take(at(0, 5)).unwrap().is_some());
        let new = l.lease();
        assert_eq!(l.mark(0), None);
        new.open(0, 5);
        let claim = new.take(at(0, 5)).unwrap().unwrap();
        old.close(0);
        old.open(0, 9);
        assert_eq!(old.rewind(0), None);
        assert_eq!(old.take(at(0, 6)).unwrap(), None);
        assert!(!old.holds());
        drop(old);
        l.resolve([(claim, Resolution::Applied)]);
        assert_eq!(l.mark(0).unwrap().0, 6);
        assert_eq!(sums(&l), (2, 2));
        drop(new);
        assert_eq!(l.mark(0), None);
    }

    #[test]
    fn what_is_in_hands_that_will_not_let_go_is_read_again() {
        let l = Ledger::default();
        l.open(0, 0);
        l.open(1, 0);
        let done = l.take(at(0, 0)).unwrap().unwrap();
        l.resolve([(done, Resolution::Applied)]);
        l.take(at(1, 0)).unwrap().unwrap();
        l.give_up_pending();
        assert_eq!(l.rewinds_due(), [1]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Take(i32),
        Resolve(prop::sample::Index, u8),
        Rewind(i32),
        Close(i32),
        Open(i32),
        Drop(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..3i32).prop_map(Step::Take),
            6 => (any::<prop::sample::Index>(), 0..4u8).prop_map(|(i, r)| Step::Resolve(i, r)),
            1 => (0..3i32).prop_map(Step::Rewind),
            1 => (0..3i32).prop_map(Step::Close),
            1 => (0..3i32).prop_map(Step::Open),
            1 => any::<prop::sample::Index>().prop_map(Step::Drop),
        ]
    }

    proptest! {
        #[test]
        fn consumed_is_the_sum_of_the_five_at_rest_and_the_watermark_passes_nothing_unresolved(
            steps in prop::collection::vec(step(), 1..300)
        ) {
            let l = Ledger::default();
            for p in 0..3 { l.open(p, 0); }
            let mut claims: Vec<Claim> = Vec::new();
            // every offset of a partition that was ever resolved by a current claim
            let mut done: std::collections::HashSet<Position> = Default::default();
            for s in steps {
                match s {
                    Step::Take(p) => {
                        if let Some(next) = l.next(p) {
                            claims.extend(l.take(at(p, next)).unwrap());
                        }
                    }
                    Step::Resolve(i, r) if !claims.is_empty() => {
                        let c = claims[i.index(claims.len())];
                        let r = [Resolution::Applied, Resolution::Superseded, Resolution::Filtered, Resolution::DeadLettered][usize::from(r)];
                        if l.is_current(&c) { done.insert(c.position); }
                        l.resolve([(c, r)]);
                    }
                    Step::Drop(i) if !claims.is_empty() => l.dropped([claims[i.index(claims.len())]]),
                    Step::Resolve(..) | Step::Drop(_) => {}
                    Step::Rewind(p) => { l.rewind(p); }
                    Step::Close(p) => l.close(p),
                    Step::Open(p) => {
                        let from = l.mark(p).map_or(0, |m| m.0);
                        l.open(p, from);
                    }
                }
                for (mark, _) in l.marks() {
                    for offset in 0..mark.offset {
                        prop_assert!(done.contains(&at(mark.partition, offset)), "{mark:?} passed {offset}");
                    }
                }
                let (consumed, out) = sums(&l);
                prop_assert_eq!(consumed, out + l.pending() as u64);
            }
            l.close_all();
            let (consumed, out) = sums(&l);
            prop_assert_eq!(consumed, out);
        }
    }
}
