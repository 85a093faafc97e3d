//! Rows in Redis: one key a row, a hash of its columns or the document's JSON.
//!
//! What it promises
//! - A write carries a version, and one that meets the same or a higher version changes nothing, so writes may
//!   come in any order, in parallel and twice. A write replaces the whole value.
//! - Where the version lives: in the hash's field `_v`; beside a string, and wherever a TTL is used, in the sibling
//!   key `<key>:_v`. It lives as long as the row; beside a row with a TTL, for the TTL and the horizon. After a delete
//!   it stays in the sibling key for exactly the horizon, unless the pipeline says `deletes = "hard"`.
//! - A loss of acknowledged writes (a restart, a failover, a FLUSHALL) is told as [`SinkError::Forgot`] before
//!   anything is acknowledged on top of it; `memory.rs` says how.
//! - What Redis says of one row (another type under its key) is that row's outcome; its neighbours are written.
//!
//! What it relies on: Redis 7 or later executing in order and losing at most a suffix, no eviction, no cluster; a
//! key template whose rendered values never contain `:`, so that no row's key is another's sibling. After
//! [`SinkError::Forgot`] no watermark of the time before [`SinkHub::resume`] is given for that partition.
//!
//! What it never does: retry a write, keep a row in memory, or put a credential into a message.

mod check;
mod encode;
pub(crate) mod link;
mod markers;
mod memory;
mod read;
mod scripts;
pub(crate) mod trouble;

use std::sync::{Arc, Mutex, PoisonError};

use ::redis::{Pipeline, Value};
use futures_util::future::BoxFuture;

use self::check::Info;
use self::encode::{Call, Encoder};
use self::link::{Link, Shared, Wire};
use self::markers::{Intent, Markers, lacks_script, one};
use self::memory::Memory;
use self::trouble::Cure;
use super::{Outcome, Resume, Sink, SinkError, SinkHub, TopicIdentity, Watermarks};
use crate::config::{RedisSettings, RedisShape, RedisSpec, SinkSpec, TopicSpec};
use crate::event::{Batch, Mark, Shape};

pub use self::encode::packed;
pub use self::read::{StoredBody, StoredRow};

const WRITING: &str = "writing to Redis";

/// What a Redis branch has one of.
#[derive(Debug)]
pub struct RedisHub {
    shape: RedisShape,
    /// Colons in the key's template.
    colons: usize,
    encoder: Arc<Encoder>,
    markers: Arc<Markers>,
    /// For everything but rows.
    link: Link,
    shared: Arc<Shared>,
    /// The identity that was last found good.
    identity: Mutex<Option<TopicIdentity>>,
}

/// One worker's connection.
#[derive(Debug)]
struct RedisSink {
    encoder: Arc<Encoder>,
    markers: Arc<Markers>,
    link: Link,
}

// === impl RedisHub ===

impl RedisHub {
    /// A hub for one sink of one pipeline. Nothing is connected yet.
    ///
    /// # Errors
    /// [`SinkError::Refused`] where the settings or the key's template cannot be used.
    pub fn new(
        spec: &RedisSpec,
        sink: &SinkSpec,
        settings: &RedisSettings,
        topic: &TopicSpec,
        pipeline: &str,
    ) -> Result<Self, SinkError> {
        apart(&spec.key, pipeline)?;
        let markers = Markers::new(format!("{pipeline}.{}", sink.name), topic.epoch.get());
        let shared = Arc::new(Shared {
            client: link::client(settings)?,
            settings: settings.clone(),
            memory: Memory::new(markers.tally_prefix()),
        });
        Ok(Self {
            shape: spec.shape,
            colons: spec.key.matches(':').count(),
            encoder: Arc::new(Encoder::new(spec, sink)),
            markers: Arc::new(markers),
            link: Link::new(Arc::clone(&shared)),
            shared,
            identity: Mutex::new(None),
        })
    }

    async fn check_server(&self, identity: &TopicIdentity) -> Result<(), SinkError> {
        let wire = self.suitable_server().await?;
        self.markers.identify(&self.link, &wire, identity).await?;
        *self.identity() = Some(identity.clone());
        Ok(())
    }

    async fn inspect_server(&self, identity: &TopicIdentity) -> Result<(), SinkError> {
        let wire = self.suitable_server().await?;
        self.markers.compare(&self.link, &wire, identity).await
    }

    async fn suitable_server(&self) -> Result<Wire, SinkError> {
        let doing = "asking Redis what it is";
        let wire = self.link.wire().await?;
        let mut pipeline = Pipeline::new();
        pipeline.cmd("INFO");
        let answers = self.link.send(&wire, &pipeline, doing).await?;
        let mut info = Info::of(&answers);
        if info.get("maxmemory_policy").is_none() {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("CONFIG").arg("GET").arg("maxmemory-policy");
            if let Value::Array(pair) = one(self.link.send(&wire, &pipeline, doing).await?)
                && let Some(Value::BulkString(policy)) = pair.get(1)
            {
                info.set(
                    "maxmemory_policy",
                    String::from_utf8_lossy(policy).into_owned(),
                );
            }
        }
        info.suits()?;
        Ok(wire)
    }

    async fn resume_partition(
        &self,
        partition: i32,
        committed: Option<i64>,
    ) -> Result<Resume, SinkError> {
        let wire = self.link.wire().await?;
        // After a FLUSHALL the identity is gone with the markers, and none could be raised before the next check.
        let identity = self.identity().clone();
        if let Some(identity) = identity {
            self.markers.identify(&self.link, &wire, &identity).await?;
        }
        let marker = self.markers.read(&self.link, &wire, partition).await?;
        self.shared.memory.resumed(partition, marker);
        Ok(match (committed, marker) {
            (None, _) => Resume::Committed,
            (Some(_), None) => Resume::Start,
            (Some(committed), Some(marker)) if marker < committed => Resume::At(marker),
            (Some(_), Some(_)) => Resume::Committed,
        })
    }

    fn identity(&self) -> std::sync::MutexGuard<'_, Option<TopicIdentity>> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SinkHub for RedisHub {
    fn shape(&self) -> Shape {
        match self.shape {
            RedisShape::Hash => Shape::Fields,
            RedisShape::String => Shape::Json,
        }
    }

    fn check<'a>(&'a self, identity: &'a TopicIdentity) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.check_server(identity))
    }

    fn inspect<'a>(&'a self, identity: &'a TopicIdentity) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.inspect_server(identity))
    }

    fn connect(&self) -> Result<Arc<dyn Sink>, SinkError> {
        Ok(Arc::new(RedisSink {
            encoder: Arc::clone(&self.encoder),
            markers: Arc::clone(&self.markers),
            link: Link::new(Arc::clone(&self.shared)),
        }))
    }

    fn resume<'a>(
        &'a self,
        partition: i32,
        committed: Option<i64>,
    ) -> BoxFuture<'a, Result<Resume, SinkError>> {
        Box::pin(self.resume_partition(partition, committed))
    }

    fn checkpoint<'a>(&'a self, marks: &'a dyn Watermarks) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.markers.run(&self.link, marks, Intent::Raise))
    }

    fn verify<'a>(&'a self, partitions: &'a [i32]) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            // A look compares with what is remembered; the offset is not used.
            let look = |&partition| Mark {
                partition,
                offset: 0,
            };
            let marks: Vec<Mark> = partitions.iter().map(look).collect();
            self.markers.run(&self.link, &marks, Intent::Look).await
        })
    }
}

// === impl RedisSink ===

impl RedisSink {
    async fn write_batch(
        &self,
        batch: &Batch,
        select: &[u32],
        acknowledged: &dyn Watermarks,
    ) -> Result<Vec<Outcome>, SinkError> {
        // First the connection, then the claim: memory.rs says why.
        let wire = self.link.wire().await?;
        let claim = self.markers.claim(&self.link, &wire, acknowledged).await?;
        let calls = self.encoder.calls(batch, select);
        let pipeline = self.pipeline(batch, select, &calls)?;
        let pipeline = self.vouched(pipeline, &claim);
        let mut answers = self.link.send(&wire, &pipeline, WRITING).await?;
        drop(pipeline);

        // Where the server lost its scripts, the calls that it did not know have written nothing.
        let unknown: Vec<usize> = (0..answers.len())
            .filter(|&i| answers.get(i).is_some_and(lacks_script))
            .collect();
        if !unknown.is_empty() {
            self.link.load(&wire).await?;
            let again: Vec<Call> = unknown
                .iter()
                .filter_map(|&i| calls.get(i).cloned())
                .collect();
            let pipeline = self.vouched(self.pipeline(batch, select, &again)?, &claim);
            let mut mended = self.link.send(&wire, &pipeline, WRITING).await?;
            // The last answer vouches for everything before it, whatever the one before said.
            let (vouch, place) = (mended.pop(), answers.len().saturating_sub(1));
            for (place, answer) in unknown
                .into_iter()
                .zip(mended)
                .chain(Some(place).zip(vouch))
            {
                if let Some(old) = answers.get_mut(place) {
                    *old = answer;
                }
            }
        }

        let vouch = answers.pop().unwrap_or(Value::Nil);
        let mut outcomes = Vec::with_capacity(select.len());
        for (call, answer) in calls.iter().zip(&answers) {
            match answer {
                Value::ServerError(e) if trouble::cure(e.code()) == Cure::Memory => {
                    encode::out_of_memory(
                        e.details().unwrap_or_default(),
                        call.len(),
                        &mut outcomes,
                    );
                }
                Value::ServerError(e) => return Err(self.link.refusal(e, WRITING)),
                other => encode::outcomes(other, call.len(), &mut outcomes)?,
            }
        }
        self.markers
            .answer(&self.link, &claim, Intent::Raise, &vouch)?;
        Ok(outcomes)
    }

    fn pipeline(
        &self,
        batch: &Batch,
        select: &[u32],
        calls: &[Call],
    ) -> Result<Pipeline, SinkError> {
        let mut pipeline = Pipeline::with_capacity(calls.len() + 1);
        for call in calls {
            pipeline.add_command(self.encoder.command(batch, select, call)?);
        }
        Ok(pipeline)
    }

    fn vouched(&self, mut pipeline: Pipeline, claim: &memory::Claim) -> Pipeline {
        pipeline.add_command(self.markers.call(claim, Intent::Raise));
        pipeline
    }
}

impl Sink for RedisSink {
    fn write<'a>(
        &'a self,
        batch: &'a Batch,
        select: &'a [u32],
        acknowledged: &'a dyn Watermarks,
    ) -> BoxFuture<'a, Result<Vec<Outcome>, SinkError>> {
        Box::pin(self.write_batch(batch, select, acknowledged))
    }
}

/// Makes sure that no row's key can be one of this program's own.
fn apart(template: &str, pipeline: &str) -> Result<(), SinkError> {
    let prefix = template.split('{').next().unwrap_or_default();
    if prefix.starts_with(markers::PREFIX) || markers::PREFIX.starts_with(prefix) {
        return Err(SinkError::Refused(format!(
            "pipeline {pipeline}: the Redis key {template:?} must begin with a text of its own, such as \"{pipeline}:\", that \
             neither begins with {:?} nor is the beginning of it: the lane's own keys are there",
            markers::PREFIX
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_could_name_the_lanes_own_keys_is_refused() {
        for bad in ["{id}", "", "twolane:{id}", "two{a}:marker:{b}", "twolane:"] {
            assert!(apart(bad, "p").is_err(), "{bad}");
        }
        for good in ["profile:{id}", "t:{id}", "twolanes:{id}"] {
            apart(good, "p").unwrap();
        }
    }
}
