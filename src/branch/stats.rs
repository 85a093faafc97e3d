//! What a branch counts beside its ledger's tally. All of it only grows, but for what is called a gauge.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::behind::Behind;
use super::motion::Motion;
use super::sample::Sampler;

/// A branch's counters and gauges.
#[derive(Debug, Default)]
pub struct Stats {
    /// Requests tried again.
    pub retried: AtomicU64,
    /// Requests to the sink that were answered.
    pub requests: AtomicU64,
    /// Changes whose source position lay before one seen earlier in their partition.
    pub source_rewinds: AtomicU64,
    /// Times the sink had lost acknowledged writes.
    pub forgot: AtomicU64,
    /// Tombstones removed past the horizon.
    pub purged: AtomicU64,
    /// Seconds from the source's commit to the sink's acknowledgement, of each change that was written, and of each that
    /// a newer one of its batch made needless.
    pub freshness: Histogram,
    /// Seconds from the source's commit until a search showed the document, of the sampled ones.
    pub searchable: Histogram,
    /// Sampled documents that no search has shown.
    pub unseen: AtomicU64,
    /// Changes that were acknowledged before their commit, as the two machines' clocks say: they count as 0 seconds.
    pub skewed: AtomicU64,
    /// The way of those samples.
    pub sampler: Sampler,
    /// Seconds one request to the sink took.
    pub latency: Histogram,
    /// Documents in one request.
    pub batch: Histogram,
    /// Gauge: freshness of the last record acknowledged, in milliseconds; −1 before the first.
    last_freshness_ms: AtomicI64,
    /// Gauge: when that was, in milliseconds since 1970; 0 before the first.
    acknowledged_ms: AtomicI64,
    partitions: Mutex<BTreeMap<i32, PartitionStats>>,
    behind: Mutex<BTreeMap<i32, Behind>>,
    motion: Mutex<Motion>,
    reasons: Mutex<BTreeMap<String, u64>>,
}

/// Gauges of one assigned partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartitionStats {
    /// One past the last record in the log, as last asked.
    pub end: i64,
    /// The group's committed offset.
    pub committed: i64,
    /// The watermark.
    pub watermark: i64,
}

/// Counts in buckets whose bounds grow by √2: a quantile is right within 19 %.
#[derive(Debug)]
pub struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

const BUCKETS: usize = 64;
/// Lowest bucket: up to 100 µs, or up to 0.0001 of whatever is counted.
const FIRST: f64 = 1e-4;

// === impl Stats ===

impl Stats {
    /// Notes that a record, committed at the source at `committed_ms`, is in the sink at `now_ms`.
    pub fn fresh(&self, committed_ms: i64, now_ms: i64) {
        if committed_ms > 0 {
            let age = now_ms - committed_ms;
            if age < 0 {
                self.skewed.fetch_add(1, Ordering::Relaxed);
            }
            let age = age.max(0);
            self.freshness.observe(age as f64 / 1_000.0);
            self.last_freshness_ms.store(age + 1, Ordering::Relaxed);
            self.acknowledged_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Notes that a search shows at `now_ms` what the source committed at `committed_ms`.
    pub fn shown(&self, committed_ms: i64, now_ms: i64) {
        let age = (now_ms - committed_ms).max(0);
        self.searchable.observe(age as f64 / 1_000.0);
    }

    /// The log of `partition` ends at `end` now; passed over where it was given up meanwhile.
    pub fn saw_end(&self, partition: i32, end: i64, now: Instant) {
        if let Some(p) = lock(&self.partitions).get_mut(&partition) {
            p.end = end;
            // One that was never read has no watermark: all of its log counts.
            let watermark = p.watermark;
            let mut behind = lock(&self.behind);
            behind
                .entry(partition)
                .or_default()
                .saw(end, watermark, now);
        }
    }

    /// The consumer has reached the end of `partition`, and would take `next` next.
    pub fn reached_end(&self, partition: i32, next: i64, now: Instant) {
        lock(&self.behind)
            .entry(partition)
            .or_default()
            .reached_end(next, now);
    }

    /// For how long the oldest unresolved record of these partitions, each with its watermark, has been in the log;
    /// `None` where there is none.
    pub fn waits(
        &self,
        marks: impl IntoIterator<Item = (i32, i64)>,
        now: Instant,
    ) -> Option<Duration> {
        let known = lock(&self.behind);
        let waits = marks
            .into_iter()
            .filter_map(|(p, watermark)| known.get(&p)?.waits(watermark, now));
        waits.max()
    }

    /// For how long the end of an assigned partition's log has not been known, of the one where it is longest.
    pub fn unasked(&self, now: Instant) -> Option<Duration> {
        let known = lock(&self.behind);
        let asked = known.values().filter_map(Behind::asked).min()?;
        Some(now.saturating_duration_since(asked))
    }

    /// How the branch moves.
    pub fn motion<T>(&self, with: impl FnOnce(&mut Motion) -> T) -> T {
        with(&mut lock(&self.motion))
    }

    /// Freshness of the last record acknowledged.
    pub fn last_freshness(&self) -> Option<Duration> {
        // Stored plus one, so that the default of 0 means none.
        let ms = self.last_freshness_ms.load(Ordering::Relaxed) - 1;
        u64::try_from(ms).ok().map(Duration::from_millis)
    }

    /// How long ago, at `now_ms`, that record was acknowledged.
    pub fn since_acknowledged(&self, now_ms: i64) -> Option<Duration> {
        let at = self.acknowledged_ms.load(Ordering::Relaxed);
        (at > 0).then(|| Duration::from_millis(u64::try_from(now_ms - at).unwrap_or(0)))
    }

    /// Counts a reason why a record was filtered or went to the dead letters.
    pub fn reason(&self, reason: &str) {
        let mut all = lock(&self.reasons);
        match all.get_mut(reason) {
            Some(n) => *n += 1,
            None => {
                all.insert(reason.to_owned(), 1);
            }
        }
    }

    /// Reasons and their counts.
    pub fn reasons(&self) -> BTreeMap<String, u64> {
        lock(&self.reasons).clone()
    }

    /// Changes one partition's gauges.
    pub fn partition(&self, partition: i32, change: impl FnOnce(&mut PartitionStats)) {
        change(lock(&self.partitions).entry(partition).or_default());
    }

    /// The partition is no longer ours.
    pub fn forget_partition(&self, partition: i32) {
        lock(&self.partitions).remove(&partition);
        lock(&self.behind).remove(&partition);
    }

    /// The assigned partitions' gauges.
    pub fn partitions(&self) -> BTreeMap<i32, PartitionStats> {
        lock(&self.partitions).clone()
    }
}

// === impl PartitionStats ===

impl PartitionStats {
    /// Records in the log that are not resolved yet.
    pub fn lag(&self) -> i64 {
        (self.end - self.watermark).max(0)
    }
}

// === impl Histogram ===

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            sum_micros: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    /// Counts one value, such as seconds.
    pub fn observe(&self, value: f64) {
        let bucket = if value <= FIRST {
            0
        } else {
            // The bound of bucket n is FIRST · 2^(n/2).
            ((value / FIRST).log2() * 2.0).ceil() as usize
        };
        if let Some(count) = self.counts.get(bucket.min(BUCKETS - 1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros
            .fetch_add((value.max(0.0) * 1e6) as u64, Ordering::Relaxed);
    }

    /// Upper bounds and counts of the buckets; the last one has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        self.counts.iter().enumerate().map(|(i, c)| {
            let bound = if i == BUCKETS - 1 {
                f64::INFINITY
            } else {
                FIRST * (i as f64 / 2.0).exp2()
            };
            (bound, c.load(Ordering::Relaxed))
        })
    }

    /// The sum of all values.
    pub fn sum(&self) -> f64 {
        self.sum_micros.load(Ordering::Relaxed) as f64 / 1e6
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.buckets().map(|b| b.1).sum()
    }

    /// The upper bound of the bucket in which the quantile `q` (0 to 1) lies; `None` without values.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.count();
        let rank = ((total as f64) * q).ceil().max(1.0) as u64;
        let mut seen = 0;
        self.buckets().find_map(|(bound, n)| {
            seen += n;
            (total > 0 && seen >= rank).then_some(bound)
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_bucket_of_the_truth() {
        let h = Histogram::default();
        assert_eq!(h.quantile(0.5), None);
        for ms in 1..=1000 {
            h.observe(f64::from(ms) / 1000.0);
        }
        let p50 = h.quantile(0.5).unwrap();
        let p99 = h.quantile(0.99).unwrap();
        assert!((0.5..0.5 * 1.42).contains(&p50), "{p50}");
        assert!((0.99..0.99 * 1.42).contains(&p99), "{p99}");
        assert_eq!(h.count(), 1000);
    }
}
