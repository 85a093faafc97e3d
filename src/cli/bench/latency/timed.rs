//! A sink that notes when each of its writes was acknowledged, and is otherwise the one behind it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use hdrhistogram::Histogram;

use crate::event::{Batch, Shape};
use crate::sink::{Outcome, Resume, Sink, SinkError, SinkHub, TopicIdentity, Watermarks};

/// When each change was due.
#[derive(Debug)]
pub(super) struct Schedule {
    /// When the first one was, in microseconds since 1970; 0 until that is known.
    pub(super) begin_us: AtomicU64,
    /// Changes a second.
    pub(super) rate: u32,
    /// What was due in so much time from the first one on is not counted.
    pub(super) skip: Duration,
}

/// Latencies in microseconds.
pub(super) type Seen = Arc<Mutex<Histogram<u64>>>;

/// The hub of a sink, timed.
pub(super) struct TimedHub {
    pub(super) hub: Arc<dyn SinkHub>,
    pub(super) schedule: Arc<Schedule>,
    pub(super) seen: Seen,
}

struct TimedSink {
    sink: Arc<dyn Sink>,
    schedule: Arc<Schedule>,
    seen: Seen,
}

// === impl Schedule ===

impl Schedule {
    /// How long ago the change of this row was due, at `now_us`; `None` where it is not counted.
    fn since(&self, row: u64, now_us: u64) -> Option<u64> {
        let after = row.checked_sub(1)? as f64 / f64::from(self.rate.max(1));
        let due = self.begin_us.load(Ordering::Relaxed) + (after * 1e6) as u64;
        (after >= self.skip.as_secs_f64()).then(|| now_us.saturating_sub(due))
    }
}

// === impl TimedHub ===

impl SinkHub for TimedHub {
    fn shape(&self) -> Shape {
        self.hub.shape()
    }

    fn check<'a>(&'a self, identity: &'a TopicIdentity) -> BoxFuture<'a, Result<(), SinkError>> {
        self.hub.check(identity)
    }

    fn inspect<'a>(&'a self, identity: &'a TopicIdentity) -> BoxFuture<'a, Result<(), SinkError>> {
        self.hub.inspect(identity)
    }

    fn connect(&self) -> Result<Arc<dyn Sink>, SinkError> {
        Ok(Arc::new(TimedSink {
            sink: self.hub.connect()?,
            schedule: Arc::clone(&self.schedule),
            seen: Arc::clone(&self.seen),
        }))
    }

    fn resume<'a>(
        &'a self,
        partition: i32,
        committed: Option<i64>,
    ) -> BoxFuture<'a, Result<Resume, SinkError>> {
        self.hub.resume(partition, committed)
    }

    fn checkpoint<'a>(&'a self, marks: &'a dyn Watermarks) -> BoxFuture<'a, Result<(), SinkError>> {
        self.hub.checkpoint(marks)
    }

    fn verify<'a>(&'a self, partitions: &'a [i32]) -> BoxFuture<'a, Result<(), SinkError>> {
        self.hub.verify(partitions)
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64, SinkError>> {
        self.hub.purge()
    }
}

// === impl TimedSink ===

impl Sink for TimedSink {
    fn write<'a>(
        &'a self,
        batch: &'a Batch,
        select: &'a [u32],
        acknowledged: &'a dyn Watermarks,
    ) -> BoxFuture<'a, Result<Vec<Outcome>, SinkError>> {
        Box::pin(async move {
            let outcomes = self.sink.write(batch, select, acknowledged).await?;
            let now_us = micros_since_1970();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            for (at, outcome) in select.iter().zip(&outcomes) {
                let write = batch.writes().get(*at as usize);
                let Some(write) = write.filter(|_| *outcome == Outcome::Applied) else {
                    continue;
                };
                // An id is the row's number, a key of Redis ends in it.
                let row = batch.id(write).rsplit(':').next().unwrap_or_default();
                if let Some(since) = row
                    .parse()
                    .ok()
                    .and_then(|n| self.schedule.since(n, now_us))
                {
                    seen.saturating_record(since);
                }
            }
            Ok(outcomes)
        })
    }
}

fn micros_since_1970() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_from_when_it_was_due_and_the_first_ones_not_at_all() {
        let schedule = Schedule {
            begin_us: AtomicU64::new(1_000_000),
            rate: 100,
            skip: Duration::from_secs(1),
        };
        assert_eq!(schedule.since(100, 9_000_000), None);
        // The 101st is due one second after the first.
        assert_eq!(schedule.since(101, 2_000_700), Some(700));
        assert_eq!(schedule.since(0, 2_000_700), None);
    }
}
