//! Workers: each decodes its chunks, gathers the changes into batches and keeps several of them in flight.
//!
//! A worker alone owns the policy of what is tried again, split or dead-lettered; sinks only answer. It holds
//! nothing that its death would lose: the chunks it drops tell the ledger.

mod deliver;
mod job;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::prelude::*;

use crate::branch::{Branch, Judge};
use crate::commit::{Claim, Resolution};
use crate::decode::Decoder;
use crate::event::{Shape, SourcePosition, Version};
use crate::route::{Chunk, Deliver};
use crate::sink::Sink;
use crate::sink::dead_letter::Letter;
use crate::supervise::Incarnation;
use crate::transform::Projection;
use deliver::{bury, deliver};
use job::{Added, Job};

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
    /// Takes records.
    building: Job,
    /// Full, waiting for a place in flight.
    ready: VecDeque<Job>,
    in_flight: usize,
    /// Jobs to be used again.
    spare: Vec<Job>,
    linger: Option<SpawnHandle>,
    seen: HashMap<i32, Seen>,
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
        Self {
            branch,
            incarnation,
            decoder,
            projection,
            sink,
            shape,
            building: Job::new(shape),
            ready: VecDeque::new(),
            in_flight: 0,
            spare: Vec::new(),
            linger: None,
            seen: HashMap::new(),
            sound: 0,
        }
    }

    fn take(&mut self, chunk: &Arc<Chunk>, index: usize, ctx: &mut Context<Self>) {
        let Some((claim, record)) = chunk.get(index) else {
            return;
        };
        // A planned failure ends the worker by itself, and what it leaves is read again.
        if self.incarnation.steps.at("decode").is_err() {
            return;
        }
        let topic = self.branch.topic();
        if topic.partitioner.is_some()
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
        let added = self.building.add(
            (chunk, index),
            (claim, &record),
            version,
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
                self.branch.ledger.resolve([(claim, Resolution::Filtered)]);
            }
            Err(why) => self.bury(chunk, index, claim, version, why, ctx),
        }
    }

    /// Sends a record that cannot be used to the dead letters, beside the others.
    fn bury(
        &mut self,
        chunk: &Arc<Chunk>,
        index: usize,
        claim: Claim,
        version: Version,
        why: crate::decode::DecodeError,
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

    /// Puts in flight what may go.
    fn dispatch(&mut self, ctx: &mut Context<Self>) {
        let spec = &self.branch.spec;
        let (most, linger) = (spec.in_flight, spec.linger);
        while self.in_flight < most {
            if self.ready.is_empty() {
                let waited = self.building.opened().elapsed();
                if self.building.is_empty() {
                    return;
                }
                if waited < linger {
                    if self.linger.is_none() {
                        let timer = ctx.run_later(linger - waited, |worker, ctx| {
                            worker.linger = None;
                            worker.dispatch(ctx);
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
            let delivered = deliver(
                Arc::clone(&self.branch),
                Arc::clone(&self.sink),
                self.incarnation.progress.activity("a delivery"),
                self.incarnation.steps.clone(),
                job,
            );
            ctx.spawn(delivered.into_actor(self).map(|mut job, worker, ctx| {
                worker.in_flight -= 1;
                job.clear();
                if worker.spare.len() < worker.branch.spec.in_flight {
                    worker.spare.push(job);
                }
                worker.dispatch(ctx);
            }));
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
        for index in 0..chunk.len() {
            if self.branch.control.is_halted() {
                break;
            }
            if index % MOVES_EVERY == 0 {
                progress.did(0);
            }
            self.take(&chunk, index, ctx);
            if self.is_full() {
                self.close_building();
            }
        }
        self.dispatch(ctx);
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
        let other_series = base(&self.file) != base(source.file)
            || self.file.get(..base(&self.file)) != source.file.get(..base(source.file));
        let here = (source.file.len(), source.file, source.pos, source.row);
        let furthest = (self.file.len(), self.file.as_str(), self.pos, self.row);
        if other_series || here >= furthest {
            if self.file != source.file {
                source.file.clone_into(&mut self.file);
            }
            (self.pos, self.row, self.offset) = (source.pos, source.row, offset);
            return false;
        }
        offset > self.offset
    }
}
