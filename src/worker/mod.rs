//! Workers: each decodes its chunks, gathers the changes into batches and keeps several of them in flight.
//!
//! A worker alone owns the policy of what is tried again, split or dead-lettered; sinks only answer. It holds
//! nothing that its death would lose: the chunks it drops tell the ledger.

mod alone;
mod await_schema;
mod bury;
mod deliver;
mod flight;
mod job;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::prelude::*;

use crate::branch::{Branch, Judge};
use crate::commit::{Claim, Resolution};
use crate::config::Partitioner;
use crate::decode::{DecodeError, Decoder, Reason, SchemaId};
use crate::event::{Pass, Shape, SourcePosition, Version};
use crate::route::{Chunk, Deliver};
use crate::sink::Sink;
use crate::sink::dead_letter::Letter;
use crate::supervise::Incarnation;
use crate::transform::Projection;
use await_schema::Waiting;
use bury::bury;
use deliver::{Delivery, deliver};
use flight::Flight;
use job::{Added, Incoming, Job};

/// The reason of a dead letter for a row whose former key lives in another partition.
const KEY_MOVED: &str = "key_moved";

/// Stragglers beside what is in flight, at the most: a few documents of a broken shard or mapping. Their memory counts
/// against the budget; past this many the server has another trouble, and more requests do not help it.
const STRAGGLERS: usize = 32;

/// Records between two words to the watcher, which looks four times a second.
const MOVES_EVERY: usize = 64;

/// A worker actor.
pub struct Worker {
    branch: Arc<Branch>,
    incarnation: Incarnation,
    decoder: Box<dyn Decoder>,
    projection: Projection,
    sink: Arc<dyn Sink>,
    shape: Shape,
    /// Chunks that are not decoded yet, and how far the first one is. Documents take more memory than the
    /// records they come from, and only the records count against the budget: so no more are made than will
    /// soon be sent.
    backlog: VecDeque<Arc<Chunk>>,
    decoded: usize,
    /// Takes records.
    building: Job,
    /// Full, waiting for a place in flight.
    ready: VecDeque<Job>,
    in_flight: usize,
    /// How many there may be.
    flight: Flight,
    /// Deliveries with nothing but documents that fail while others pass; not counted among those in flight.
    stragglers: usize,
    /// Jobs to be used again.
    spare: Vec<Job>,
    linger: Option<SpawnHandle>,
    seen: HashMap<i32, Seen>,
    /// Records that cannot be read before a schema is here.
    waiting: HashMap<SchemaId, Waiting>,
    /// Records decoded since the last one that could not be: what the branch's window has yet to hear of.
    sound: usize,
}

/// The furthest source position of a partition, and the offset that had it.
#[derive(Default)]
struct Seen {
    file: String,
    pos: u64,
    row: u32,
    offset: i64,
}

// === impl Worker ===

impl Worker {
    /// The steps at which tests may make it fail.
    pub const STEPS: &'static [&'static str] =
        &["receive", "decode", "dispatch", "write", "resolve", "bury"];

    /// A worker of `branch` that writes through `sink`.
    pub fn new(
        branch: Arc<Branch>,
        incarnation: Incarnation,
        decoder: Box<dyn Decoder>,
        projection: Projection,
        sink: Arc<dyn Sink>,
    ) -> Self {
        let shape = branch.hub.shape();
        let flight = Flight::new(branch.spec.in_flight, branch.spec.batch_documents);
        Self {
            branch,
            incarnation,
            decoder,
            projection,
            sink,
            shape,
            backlog: VecDeque::new(),
            decoded: 0,
            building: Job::new(shape),
            ready: VecDeque::new(),
            in_flight: 0,
            flight,
            stragglers: 0,
            spare: Vec::new(),
            linger: None,
            seen: HashMap::new(),
            waiting: HashMap::new(),
            sound: 0,
        }
    }

    /// Takes a record into the batch in the making. With `reported` a dead letter already tells of the part of
    /// it that may not be written.
    fn take(&mut self, chunk: &Arc<Chunk>, index: usize, reported: bool, ctx: &mut Context<Self>) {
        let Some((claim, record)) = chunk.get(index) else {
            return;
        };
        // A planned failure ends the worker by itself, and what it leaves is read again.
        if self.incarnation.steps.at("decode").is_err() {
            return;
        }
        let topic = self.branch.topic();
        if topic.partitioner == Some(Partitioner::Murmur2)
            && let Some(key) = record.key
        {
            let predicted = crate::event::partition::predicted_partition(key, topic.partitions);
            if predicted != record.position.partition {
                return self.branch.halt(format!(
                    "{} {}: its key belongs to partition {predicted} by the declared partitioner: the producer places keys \
                     otherwise, or the topic once had another number of partitions. Correct or remove `partitioner` in {}",
                    topic.name,
                    record.position,
                    topic.file.display()
                ));
            }
        }
        let version = match Version::new(topic.epoch, record.position.offset) {
            Ok(version) => version,
            Err(why) => return self.branch.halt(format!("{}: {why}", topic.name)),
        };
        let (seen, stats) = (&mut self.seen, &self.branch.stats);
        let incoming = Incoming {
            chunk,
            index,
            claim,
            record: &record,
            version,
        };
        let added = self.building.add(
            &incoming,
            reported,
            (&mut *self.decoder, &mut self.projection),
            |source| {
                let seen = seen.entry(record.position.partition).or_default();
                if seen.is_rewind(source, record.position.offset) {
                    stats.source_rewinds.fetch_add(1, Ordering::Relaxed);
                }
            },
        );
        match added {
            Ok(Added::Batched) => self.sound += 1,
            Ok(Added::Passed(pass)) => {
                self.sound += 1;
                stats.reason(pass.reason());
                if pass == Pass::Truncate {
                    tracing::error!(
                        branch = self.branch.name,
                        topic = topic.name,
                        at = %record.position,
                        "the table was truncated, and no document was deleted for it: backfill the table, which removes what it no longer has"
                    );
                }
                self.branch.ledger.resolve([(claim, Resolution::Filtered)]);
            }
            Ok(Added::Partly(stray)) => {
                self.report(chunk, index, claim, version, stray, ctx);
            }
            Err(why) if why.reason == Reason::Partition => self.branch.halt(format!(
                "{} {}: {} in {}",
                topic.name,
                record.position,
                why.detail,
                topic.file.display()
            )),
            Err(why) => match why.needs {
                Some(id) => self.wait_for(id, chunk, index, ctx),
                None => self.bury(chunk, index, claim, version, why, ctx),
            },
        }
    }

    /// Sends a record to the dead letters for the part of it that may not be written, then writes the rest.
    fn report(
        &mut self,
        chunk: &Arc<Chunk>,
        index: usize,
        claim: Claim,
        version: Version,
        stray: String,
        ctx: &mut Context<Self>,
    ) {
        let (branch, from) = (Arc::clone(&self.branch), Arc::clone(chunk));
        let progress = self.incarnation.progress.activity("a dead letter");
        let reported = async move {
            progress.has_work(true);
            let Some((_, record)) = from.get(index) else {
                return false;
            };
            let letter = Letter {
                record,
                version: Some(version),
                reason: KEY_MOVED,
                detail: &stray,
            };
            let alive = || branch.ledger.is_current(&claim);
            bury(&branch, &progress, &letter, alive).await
        };
        let chunk = Arc::clone(chunk);
        ctx.spawn(reported.into_actor(self).map(move |reported, worker, ctx| {
            if reported {
                worker.take(&chunk, index, true, ctx);
                worker.dispatch(ctx);
            }
        }));
    }

    /// Sends a record that cannot be used to the dead letters, beside the others.
    fn bury(
        &mut self,
        chunk: &Arc<Chunk>,
        index: usize,
        claim: Claim,
        version: Version,
        why: DecodeError,
        ctx: &mut Context<Self>,
    ) {
        let control = &self.branch.control;
        control.note(Judge::Decoder, false, std::mem::take(&mut self.sound));
        if control.note(Judge::Decoder, true, 1) {
            return self.branch.halt(format!(
                "{} of the last {} records could not be decoded; the last one, {}: {why}. Is `format` in {} right?",
                crate::branch::REJECTIONS,
                crate::branch::WINDOW,
                claim.position,
                self.branch.topic().file.display()
            ));
        }
        let (branch, chunk) = (Arc::clone(&self.branch), Arc::clone(chunk));
        let progress = self.incarnation.progress.activity("a dead letter");
        let steps = self.incarnation.steps.clone();
        let buried = async move {
            progress.has_work(true);
            if steps.pass("bury").await.is_err() {
                return;
            }
            let Some((_, record)) = chunk.get(index) else {
                return;
            };
            let letter = Letter {
                record,
                version: Some(version),
                reason: why.reason.name(),
                detail: &why.detail,
            };
            let alive = || branch.ledger.is_current(&claim);
            if bury(&branch, &progress, &letter, alive).await {
                branch.ledger.resolve([(claim, Resolution::DeadLettered)]);
            }
        };
        ctx.spawn(buried.into_actor(self));
    }

    fn is_full(&self) -> bool {
        let spec = &self.branch.spec;
        self.building.documents() >= spec.batch_documents
            || self.building.batch().bytes() >= spec.batch_bytes
    }

    fn close_building(&mut self) {
        if !self.building.is_empty() {
            let next = self.spare.pop().unwrap_or_else(|| Job::new(self.shape));
            self.ready
                .push_back(std::mem::replace(&mut self.building, next));
        }
    }

    /// Decodes and sends as much as there is room for.
    fn work(&mut self, ctx: &mut Context<Self>) {
        loop {
            self.decode(ctx);
            self.dispatch(ctx);
            if self.backlog.is_empty() || self.is_ahead() {
                return;
            }
        }
    }

    /// Whether a batch waits for each place in flight: one that becomes free is taken at once.
    fn is_ahead(&self) -> bool {
        self.ready.len() >= self.branch.spec.in_flight
    }

    /// Makes batches of the backlog until enough of them wait.
    fn decode(&mut self, ctx: &mut Context<Self>) {
        while let Some(chunk) = self.backlog.front().map(Arc::clone) {
            while self.decoded < chunk.len() {
                if self.branch.control.is_halted() {
                    self.backlog.clear();
                    self.decoded = 0;
                    return;
                }
                if self.is_ahead() {
                    return;
                }
                if self.decoded.is_multiple_of(MOVES_EVERY) {
                    self.incarnation.progress.did(0);
                }
                self.take(&chunk, self.decoded, false, ctx);
                self.decoded += 1;
                if self.is_full() {
                    self.close_building();
                }
            }
            self.backlog.pop_front();
            self.decoded = 0;
        }
    }

    /// Puts in flight what may go.
    fn dispatch(&mut self, ctx: &mut Context<Self>) {
        let linger = self.branch.spec.linger;
        while self.in_flight < self.flight.limit() {
            if self.ready.is_empty() {
                let waited = self.building.opened().elapsed();
                if self.building.is_empty() {
                    return;
                }
                if waited < linger {
                    if self.linger.is_none() {
                        let timer = ctx.run_later(linger - waited, |worker, ctx| {
                            worker.linger = None;
                            worker.work(ctx);
                        });
                        self.linger = Some(timer);
                    }
                    return;
                }
                self.close_building();
            }
            let Some(job) = self.ready.pop_front() else {
                return;
            };
            if self.incarnation.steps.at("dispatch").is_err() {
                return;
            }
            self.in_flight += 1;
            let may_straggle = self.stragglers < STRAGGLERS;
            let delivered = deliver(
                Arc::clone(&self.branch),
                Arc::clone(&self.sink),
                self.incarnation.progress.activity("a delivery"),
                self.incarnation.steps.clone(),
                job,
                self.flight.documents(),
                may_straggle,
            );
            ctx.spawn(delivered.into_actor(self).map(|delivery, worker, ctx| {
                worker.in_flight -= 1;
                delivery.tell(&mut worker.flight);
                if delivery.straggles() {
                    worker.see_through(delivery, ctx);
                } else {
                    worker.use_again(delivery.into_job());
                }
                worker.work(ctx);
            }));
        }
    }

    /// Keeps trying what fails alone, beside what is in flight.
    fn see_through(&mut self, delivery: Delivery, ctx: &mut Context<Self>) {
        self.stragglers += 1;
        ctx.spawn(delivery.settle().into_actor(self).map(|job, worker, _| {
            worker.stragglers -= 1;
            worker.use_again(job);
        }));
    }

    fn use_again(&mut self, mut job: Job) {
        job.clear();
        if self.spare.len() < self.branch.spec.in_flight {
            self.spare.push(job);
        }
    }
}

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Deliver> for Worker {
    type Result = ();

    fn handle(&mut self, Deliver(chunk): Deliver, ctx: &mut Self::Context) {
        let progress = self.incarnation.progress.clone();
        progress.has_work(true);
        if self.incarnation.steps.at("receive").is_err() {
            return;
        }
        self.backlog.push_back(chunk);
        self.work(ctx);
        progress.has_work(false);
    }
}

// === impl Seen ===

impl Seen {
    /// Whether a record, later in Kafka, stands earlier in the source's log. A failover names its files
    /// otherwise, which starts the count anew.
    fn is_rewind(&mut self, source: &SourcePosition<'_>, offset: i64) -> bool {
        if source.file.is_empty() {
            return false;
        }
        let base = |f: &str| f.rsplit_once('.').map_or(0, |(b, _)| b.len());
        let same = self.file == source.file;
        let other_series = !same
            && (base(&self.file) != base(source.file)
                || self.file.get(..base(&self.file)) != source.file.get(..base(source.file)));
        let here = (source.file.len(), source.file, source.pos, source.row);
        let furthest = (self.file.len(), self.file.as_str(), self.pos, self.row);
        if other_series || here >= furthest {
            if !same {
                source.file.clone_into(&mut self.file);
            }
            (self.pos, self.row, self.offset) = (source.pos, source.row, offset);
            return false;
        }
        offset > self.offset
    }
}
