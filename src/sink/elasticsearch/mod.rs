//! Elasticsearch: one index a topic, behind a filtered alias.
//!
//! Promises: every write carries its version (`version_type=external`), so batches may come in any order and
//! twice; every item of a bulk request is judged by itself, and what cannot be judged is
//! [`SinkError::Unavailable`]; no message holds a credential or a row's value. It relies on `require_alias`,
//! external versions and `_meta`, which every distribution since 7.10 has, and on no script or plug-in.
//!
//! A delete leaves a tombstone: a document `{_deleted: true, _deleted_at}` at the delete's version, which the
//! alias's filter hides. **A GET by id bypasses an alias's filter**: who reads by id must look at
//! `_deleted`, or search with an `ids` query. With `deletes = "hard"` the document is gone, and an older
//! write that comes after a restart of its shard brings it back.
//!
//! It never retries, never commits, never deletes by query, and never makes an alias for an index that
//! exists without it.

mod client;
mod failure;
mod identity;
mod index;
mod mapping;
mod purge;
mod reader;
mod request;
mod response;
mod search;
#[cfg(test)]
mod testing;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use elasticsearch::http::Method;
use futures_util::future::BoxFuture;

use self::client::{Answer, Client, Payload, segment};
use self::failure::{ErrorBody, failure, judge, may_be_alone};
use self::identity::Mark;
use self::index::{Found, Plan};
use self::mapping::Wanted;
use self::request::{Buffers, Encoded, encode};
use super::{Outcome, Resume, Sink, SinkError, SinkHub, TopicIdentity, Watermarks};
use crate::config::{Deletes, ElasticsearchSettings, ElasticsearchSpec, PipelineSpec, SinkSpec};
use crate::event::{Batch, Shape, Version};

pub use reader::{Document, ElasticsearchReader};
pub use request::bulk_body;
pub use response::bulk_answer;

/// How long after it was made an index counts as empty for partitions that come with a commit: the time that
/// a group's first assignments take. Later, a partition comes from a process that has filled the index too.
const NEW: Duration = Duration::from_secs(120);

/// What workers do, for messages.
const WRITING: &str = "write documents";

/// An Elasticsearch branch.
#[derive(Debug)]
pub struct ElasticsearchHub {
    client: Client,
    plan: Plan,
    settings: ElasticsearchSettings,
    sink: SinkSpec,
    pipeline: String,
    state: Mutex<State>,
}

/// What the checks found.
#[derive(Debug, Default)]
struct State {
    index: Option<Found>,
    /// When this process made it.
    made: Option<Instant>,
    /// Partitions that were told to start over because this process made the index.
    restarted: BTreeSet<i32>,
}

/// One worker's connection.
#[derive(Debug)]
struct ElasticsearchSink {
    client: Client,
    path: String,
    deletes: Deletes,
    buffers: Buffers,
}

// === impl ElasticsearchHub ===

impl ElasticsearchHub {
    /// A branch of `pipeline` into the index that `spec` names. Nothing is sent yet.
    ///
    /// # Errors
    /// [`SinkError::Refused`] naming the setting, the field or the mapping that cannot be used.
    pub fn new(
        pipeline: &PipelineSpec,
        sink: &SinkSpec,
        spec: &ElasticsearchSpec,
        settings: &ElasticsearchSettings,
    ) -> Result<Self, SinkError> {
        let topic = &pipeline.topic;
        Ok(Self {
            client: Client::new(settings)?,
            plan: Plan {
                alias: spec.index.clone(),
                wanted: Wanted::new(spec, topic, &pipeline.document, sink.deletes)?,
                spec: topic.file.display().to_string(),
            },
            settings: settings.clone(),
            sink: sink.clone(),
            pipeline: pipeline.name.clone(),
            state: Mutex::default(),
        })
    }

    async fn ensure(&self, identity: &TopicIdentity) -> Result<(), SinkError> {
        let known = self.state(|s| s.index.clone());
        let mark = Mark::new(identity, &self.pipeline);
        let found = self
            .plan
            .ensure(&self.client, &mark, known.is_none())
            .await?;
        if let Some(known) = known
            && known.uuid != found.uuid
        {
            return Err(SinkError::Refused(format!(
                "the index behind alias {} is another one ({} with id {}, before it was {} with id {}), and this branch filled the former: stop the lane, reset this branch's consumer group to where the new index was filled from, and start it",
                self.plan.alias, found.name, found.uuid, known.name, known.uuid
            )));
        }
        self.state(|s| {
            if found.made {
                s.made = Some(Instant::now());
            }
            s.index = Some(found);
        });
        Ok(())
    }

    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn purge(&self) -> Result<u64, SinkError> {
        let index = self.state(|s| s.index.as_ref().map(|found| found.name.clone()));
        match (self.sink.deletes, index) {
            (Deletes::Tombstone, Some(index)) => {
                let horizon = i64::try_from(self.sink.horizon.as_millis()).unwrap_or(i64::MAX);
                let before = now_ms().saturating_sub(horizon);
                purge::purge(&self.client, &index, before).await
            }
            // Without a check there is no telling whose tombstones they are.
            (Deletes::Tombstone, None) | (Deletes::Hard, _) => Ok(0),
        }
    }
}

impl SinkHub for ElasticsearchHub {
    fn shape(&self) -> Shape {
        Shape::Json
    }

    fn check<'a>(&'a self, identity: &'a TopicIdentity) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.ensure(identity))
    }

    fn inspect<'a>(&'a self, identity: &'a TopicIdentity) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let mark = Mark::new(identity, &self.pipeline);
            self.plan.inspect(&self.client, &mark).await
        })
    }

    fn connect(&self) -> Result<Arc<dyn Sink>, SinkError> {
        Ok(Arc::new(ElasticsearchSink::new(
            &self.plan.alias,
            &self.sink,
            &self.settings,
        )?))
    }

    /// An index that this process has just made holds nothing, whatever was committed.
    fn resume<'a>(
        &'a self,
        partition: i32,
        committed: Option<i64>,
    ) -> BoxFuture<'a, Result<Resume, SinkError>> {
        let resume = self.state(|s| {
            let empty = s.made.is_some_and(|made| made.elapsed() < NEW);
            match committed {
                Some(1..) if empty && s.restarted.insert(partition) => Resume::Start,
                Some(_) | None => {
                    s.restarted.insert(partition);
                    Resume::Committed
                }
            }
        });
        Box::pin(async move { Ok(resume) })
    }

    fn purge(&self) -> BoxFuture<'_, Result<u64, SinkError>> {
        Box::pin(self.purge())
    }

    fn search_every(&self) -> Option<Duration> {
        let every = self.settings.search_probe;
        (!every.is_zero()).then_some(every)
    }

    fn is_shown<'a>(
        &'a self,
        id: &'a str,
        version: Version,
    ) -> BoxFuture<'a, Result<bool, SinkError>> {
        Box::pin(async move {
            // Past the alias's filter: a row that was deleted meanwhile shows as its tombstone.
            let index = self.state(|s| s.index.as_ref().map(|found| found.name.clone()));
            let index = index.as_ref().unwrap_or(&self.plan.alias);
            search::is_shown(&self.client, index, id, version).await
        })
    }
}

// === impl ElasticsearchSink ===

impl ElasticsearchSink {
    fn new(
        alias: &str,
        sink: &SinkSpec,
        settings: &ElasticsearchSettings,
    ) -> Result<Self, SinkError> {
        // The server gives up before this client does, so that an unavailable shard is said of its items.
        let patience = settings.timeout.mul_f32(0.5).max(Duration::from_millis(1));
        Ok(Self {
            client: Client::new(settings)?,
            path: format!(
                "{}/_bulk?require_alias=true&timeout={}ms&filter_path=error,status,items.*.status,items.*.error",
                segment(alias),
                patience.as_millis()
            ),
            deletes: sink.deletes,
            // Action lines come on top of the documents that `batch_bytes` counts.
            buffers: Buffers::new(sink.in_flight, sink.batch_bytes.saturating_mul(2)),
        })
    }

    async fn write(&self, batch: &Batch, select: &[u32]) -> Result<Vec<Outcome>, SinkError> {
        let mut body = self.buffers.take();
        let encoded = encode(batch, select, self.deletes, now_ms(), &mut body);
        let body = Bytes::from(body);
        let answer = if encoded.items == 0 {
            None
        } else {
            let lines = Payload::Lines(body.clone());
            Some(self.client.send(Method::Post, &self.path, lines).await)
        };
        self.buffers.give(body);
        match answer.transpose()? {
            None => Ok(encoded
                .aside
                .into_iter()
                .map(|(_, outcome)| outcome)
                .collect()),
            Some(answer) => self.outcomes(encoded, select.len(), &answer),
        }
    }

    fn outcomes(
        &self,
        encoded: Encoded,
        selected: usize,
        answer: &Answer,
    ) -> Result<Vec<Outcome>, SinkError> {
        match answer.status {
            200 => {}
            413 => {
                return Err(SinkError::TooLarge(String::from(
                    "413, larger than http.max_content_length",
                )));
            }
            400 => {
                let error = ErrorBody::read(&answer.body);
                return match (error, encoded.items) {
                    (Some(error), 1) => {
                        let only = failure(&error.kind, failure::detail(&error), false);
                        Ok(merge(encoded.aside, vec![Outcome::Rejected(only)]))
                    }
                    (Some(error), _) => Err(SinkError::TooLarge(failure::detail(&error))),
                    (None, _) => Err(self.client.refusal(answer, WRITING)),
                };
            }
            _ => return Err(self.client.refusal(answer, WRITING)),
        }
        let mut outcomes = Vec::with_capacity(selected);
        let mut lonely = Vec::new();
        let mut passed = false;
        let count = response::items(&answer.body, |item| {
            let outcome = judge(item.op, item.status, item.error.as_ref());
            match &outcome {
                Outcome::Applied | Outcome::Superseded { .. } => passed = true,
                Outcome::Retry(_) if may_be_alone(item.status) => lonely.push(outcomes.len()),
                Outcome::Retry(_) | Outcome::Rejected(_) => {}
            }
            outcomes.push(outcome);
        })
        .map_err(|e| self.client.garbled(WRITING, &e))?;
        if count != encoded.items {
            return Err(SinkError::Unavailable {
                detail: format!(
                    "Elasticsearch at {} answered {count} items to a request of {}",
                    self.client.address(),
                    encoded.items
                ),
                alarm: false,
            });
        }
        // Where all fail there are no neighbours that tell; the caller knows what passes in other requests.
        if passed || lonely.len() == count {
            for at in lonely {
                if let Some(Outcome::Retry(failure)) = outcomes.get_mut(at) {
                    failure.alone = true;
                }
            }
        }
        Ok(merge(encoded.aside, outcomes))
    }
}

impl Sink for ElasticsearchSink {
    fn write<'a>(
        &'a self,
        batch: &'a Batch,
        select: &'a [u32],
        _acknowledged: &'a dyn Watermarks,
    ) -> BoxFuture<'a, Result<Vec<Outcome>, SinkError>> {
        Box::pin(self.write(batch, select))
    }
}

/// Puts what was not sent back to its places, which ascend.
fn merge(aside: Vec<(usize, Outcome)>, mut outcomes: Vec<Outcome>) -> Vec<Outcome> {
    for (at, outcome) in aside {
        outcomes.insert(at.min(outcomes.len()), outcome);
    }
    outcomes
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
