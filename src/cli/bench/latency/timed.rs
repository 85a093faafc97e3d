//! A sink that notes when each of its writes was acknowledged, and is otherwise the one behind it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::BoxFuture;

use crate::event::{Batch, Position, Shape};
use crate::sink::{Outcome, Resume, Sink, SinkError, SinkHub, TopicIdentity, Watermarks};

/// A change that is in the sink.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acknowledged {
    /// Its record.
    pub(super) position: Position,
    /// The row that it made, from 1.
    pub(super) row: u64,
    /// When the sink had acknowledged it, in microseconds since 1970.
    pub(super) at_us: u64,
}

/// What a sink has acknowledged; the run bounds how many they are.
pub(super) type Seen = Arc<Mutex<Vec<Acknowledged>>>;

/// The hub of a sink, timed.
pub(super) struct TimedHub {
    pub(super) hub: Arc<dyn SinkHub>,
    pub(super) seen: Seen,
}

struct TimedSink {
    sink: Arc<dyn Sink>,
    seen: Seen,
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
            let at_us = micros_since_1970();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            for (at, outcome) in select.iter().zip(&outcomes) {
                let write = batch.writes().get(*at as usize);
                let Some(write) = write.filter(|_| *outcome == Outcome::Applied) else {
                    continue;
                };
                // An id is the row's number, a key of Redis ends in it.
                let row = batch.id(write).rsplit(':').next().unwrap_or_default();
                if let Ok(row) = row.parse() {
                    seen.push(Acknowledged {
                        position: write.position,
                        row,
                        at_us,
                    });
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
