//! Sees one job through: written, tried again, split, dead-lettered, until nothing of it is open.
//!
//! Promises: a record is resolved only after the sink, or the dead-letter topic, has acknowledged it. What can
//! pass is tried for as long as it takes; it is given up only when its partition's generation has ended or the
//! branch halts, and then the ledger already counts it as abandoned.

mod versions;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::alone::Alone;
use super::bury::bury;
use super::flight::Flight;
use super::job::Job;
use crate::branch::{Branch, Judge, Sample, now_ms};
use crate::commit::Resolution;
use crate::event::Body;
use crate::planted::{Bug, planted};
use crate::retry::{Because, Delays, Server};
use crate::sink::dead_letter::Letter;
use crate::sink::{Failure, Outcome, Sink, SinkError};
use crate::supervise::{Planned, Progress, Steps};

/// How often an outage that goes on is logged.
pub(super) const REMIND: Duration = Duration::from_secs(30);

/// Writes a job until everything in it is settled or given up; with `may_straggle` only until nothing but stragglers is
/// left, which the caller sees through ([`Delivery::settle`]). A request begins with at most `part` writes.
pub async fn deliver(
    branch: Arc<Branch>,
    sink: Arc<dyn Sink>,
    progress: Progress,
    steps: Steps,
    job: Job,
    part: usize,
    may_straggle: bool,
) -> Delivery {
    progress.has_work(true);
    let mut d = Delivery {
        select: job.live(),
        branch,
        sink,
        progress,
        steps,
        job,
        delays: Delays::server(),
        part,
        alone: Alone::default(),
        reminded: None,
        pressed: false,
        late: false,
        taken: None,
    };
    while d.goes_on().await {
        if may_straggle && d.straggles() {
            break;
        }
        d.drop_stale();
    }
    d
}

/// A job that is being written.
pub struct Delivery {
    branch: Arc<Branch>,
    sink: Arc<dyn Sink>,
    progress: Progress,
    steps: Steps,
    job: Job,
    /// Live writes that are not settled.
    select: Vec<u32>,
    delays: Delays,
    /// The most writes in one request; halved where the server finds requests too large, and where it is late.
    part: usize,
    alone: Alone,
    reminded: Option<Instant>,
    /// The sink's server has refused a whole request of it for now, or did not answer.
    pressed: bool,
    /// It did not answer in time.
    late: bool,
    /// Writes of the last request that was answered, and how long that took.
    taken: Option<(usize, Duration)>,
}

impl Delivery {
    /// Whether nothing is left but writes that fail while others pass: they are tried for long, and are to hold up
    /// nobody.
    pub fn straggles(&self) -> bool {
        !self.select.is_empty() && self.select.iter().all(|w| self.alone.has(*w))
    }

    /// Sees stragglers through; the job, for its memory.
    pub async fn settle(mut self) -> Job {
        self.drop_stale();
        while self.goes_on().await {
            self.drop_stale();
        }
        self.job
    }

    /// Tells what its requests say of the server.
    pub fn tell(&self, flight: &mut Flight) {
        if self.late {
            flight.late(self.part);
        }
        if self.pressed {
            flight.refused();
        } else if let Some((writes, took)) = self.taken {
            flight.answered(writes, took);
        }
    }

    /// The job of a delivery that is over.
    pub fn into_job(self) -> Job {
        self.job
    }

    /// One attempt at what is left; `false` where nothing is, or it is given up.
    async fn goes_on(&mut self) -> bool {
        if self.select.is_empty() || self.branch.control.is_halted() {
            return false;
        }
        // A planned failure ends the worker by itself; what it leaves is read again.
        let goes_on = self.attempt().await.is_ok();
        self.progress.did(0);
        goes_on
    }

    async fn attempt(&mut self) -> Result<(), Planned> {
        self.steps.pass("write").await?;
        let now: Vec<u32> = self.select.iter().copied().take(self.part).collect();
        let acknowledged = self.branch.ledger.watermarks_of(self.job.partitions());
        let started = Instant::now();
        let written = self.sink.write(self.job.batch(), &now, &acknowledged);
        let answer = self.progress.wait("the sink", written).await;
        self.steps.pass("resolve").await?;
        let stats = &self.branch.stats;
        match answer {
            Ok(outcomes) if outcomes.len() == now.len() => {
                let took = started.elapsed();
                self.taken = Some((now.len(), took));
                stats.latency.observe(took.as_secs_f64());
                stats.batch.observe(now.len() as f64);
                stats.requests.fetch_add(1, Ordering::Relaxed);
                self.reminded = None;
                self.take_outcomes(&now, outcomes).await;
            }
            Ok(outcomes) => {
                let why = format!("{} answers to {} writes", outcomes.len(), now.len());
                self.unavailable(&why, true, Because::Refused).await;
            }
            Err(SinkError::Unavailable { detail, alarm }) => {
                self.pressed = true;
                self.unavailable(&detail, alarm, Because::Away).await;
            }
            Err(SinkError::Late(detail)) => {
                (self.pressed, self.late) = (true, true);
                self.part = now.len().div_ceil(2);
                self.unavailable(&detail, false, Because::Away).await;
            }
            Err(SinkError::TooLarge(detail)) => {
                if now.len() > 1 {
                    self.part = now.len().div_ceil(2);
                } else if let Some(write) = now.first() {
                    let failure = Failure {
                        kind: "too_large".into(),
                        detail: detail.into(),
                        alone: true,
                        alarm: false,
                    };
                    self.reject(*write, &failure).await;
                }
            }
            Err(SinkError::Forgot { partition, marker }) => {
                tracing::warn!(
                    branch = self.branch.name,
                    partition,
                    marker,
                    "the sink has forgotten acknowledged writes: rewinding to its marker"
                );
                self.branch.ledger.close(partition);
                self.branch.control.forgot(partition);
                self.drop_stale();
            }
            Err(SinkError::Refused(why)) => self.branch.halt(why),
        }
        Ok(())
    }

    async fn take_outcomes(&mut self, now: &[u32], mut outcomes: Vec<Outcome>) {
        if planted(Bug::WholeBulkRetry)
            && let Some(retry) = outcomes
                .iter()
                .find(|o| matches!(o, Outcome::Retry(_)))
                .cloned()
        {
            outcomes.fill(retry);
        }
        let mut resolved = Vec::with_capacity(now.len());
        let mut again = Vec::new();
        let mut rejected = Vec::new();
        let mut suspicious = Vec::new();
        let mut retry: Option<Failure> = None;
        // One document that fails says nothing of its server, and must not take the room in flight that shows it to be the
        // only one.
        let refused = |o: &Outcome| matches!(o, Outcome::Retry(_));
        self.pressed |= now.len() > 1 && outcomes.iter().all(refused);
        let passed = |o: &Outcome| matches!(o, Outcome::Applied | Outcome::Superseded { .. });
        let passed = outcomes.iter().any(passed);
        let tally = self.branch.ledger.tally();
        let before =
            tally.applied.load(Ordering::Relaxed) + tally.superseded.load(Ordering::Relaxed);
        let now_ms = now_ms();
        for (write, outcome) in now.iter().zip(outcomes) {
            match outcome {
                Outcome::Applied => {
                    self.note_fresh(*write, now_ms);
                    self.job.settle(*write, Resolution::Applied, &mut resolved);
                }
                Outcome::Superseded { by } => match by.filter(|v| self.is_suspicious(*write, *v)) {
                    Some(version) => suspicious.push((*write, version)),
                    None => self
                        .job
                        .settle(*write, Resolution::Superseded, &mut resolved),
                },
                Outcome::Retry(failure) => {
                    let deadline = self.branch.spec.alone_deadline;
                    let alone = self.alone.failed(*write, &failure, passed, before);
                    if alone.is_some_and(|alone| alone >= deadline) {
                        rejected.push((*write, failure, false));
                    } else {
                        again.push(*write);
                        retry = Some(failure);
                    }
                }
                Outcome::Rejected(failure) => rejected.push((*write, failure, true)),
            }
        }
        // Records, not writes: what was coalesced has passed as well.
        let control = &self.branch.control;
        control.note(Judge::Sink, false, resolved.len());
        let refused = rejected.iter().filter(|r| r.2).count();
        let halt = control.note(Judge::Sink, true, refused);
        // What is settled leaves the selection, and what failed goes behind those that were not in this request.
        self.select.drain(..now.len().min(self.select.len()));
        self.select.extend(again);
        self.progress.did(resolved.len() as u64);
        self.branch.ledger.resolve(resolved);
        if halt && !rejected.is_empty() {
            let kinds: Vec<&str> = rejected.iter().map(|r| &*r.1.kind).collect();
            let detail = rejected.first().map_or("", |r| &*r.1.detail);
            self.branch.halt(format!(
                "{} of the last {} records were rejected ({}): {detail}. That is a mapping or a spec that is wrong, \
                 not a poison record; mend it, then resume. Nothing was committed past the rejected records",
                crate::branch::REJECTIONS,
                crate::branch::WINDOW,
                kinds.first().copied().unwrap_or_default(),
            ));
            return;
        }
        for (write, failure, _) in rejected {
            self.reject(write, &failure).await;
        }
        self.check_versions(suspicious).await;
        match retry {
            Some(failure) => {
                let why = format!("{}: {}", failure.kind, failure.detail);
                self.unavailable(&why, failure.alarm, Because::Refused)
                    .await;
            }
            None => {
                self.delays.reset();
                self.branch.server.answered();
            }
        }
    }

    /// Notes how old a write was when it landed, and those that it made needless: their changes had waited too.
    fn note_fresh(&self, write: u32, now_ms: i64) {
        let stats = &self.branch.stats;
        let batch = self.job.batch();
        let newest = batch.writes().get(write as usize);
        if let Some(w) = newest
            && stats.sampler.wants()
            && w.committed_ms > 0
            && !matches!(batch.body(w), Body::Delete)
        {
            stats.sampler.leave(Sample {
                id: batch.id(w).into(),
                version: w.version,
                committed_ms: w.committed_ms,
            });
        }
        let mut older = newest.and_then(|w| w.older);
        while let Some(w) = older.and_then(|at| batch.writes().get(at as usize)) {
            stats.fresh(w.committed_ms, now_ms);
            older = w.older;
        }
        if let Some(w) = newest {
            stats.fresh(w.committed_ms, now_ms);
        }
    }

    /// Dead-letters a write's record, then lets the next older write live.
    async fn reject(&mut self, write: u32, failure: &Failure) {
        self.select.retain(|w| *w != write);
        let version = self
            .job
            .batch()
            .writes()
            .get(write as usize)
            .map(|w| w.version);
        if let Some(record) = self.job.record(write) {
            let letter = Letter {
                record,
                version,
                reason: &failure.kind,
                detail: &failure.detail,
            };
            let claim = self.job.claim(write);
            let alive = || claim.is_some_and(|c| self.branch.ledger.is_current(&c));
            if !bury(&self.branch, &self.progress, &letter, alive).await {
                return;
            }
        }
        let mut resolved = Vec::new();
        if planted(Bug::CoalescedThenRejected) {
            self.job
                .settle(write, Resolution::DeadLettered, &mut resolved);
            return self.branch.ledger.resolve(resolved);
        }
        let older = self.job.older(write);
        self.job
            .settle_one(write, Resolution::DeadLettered, &mut resolved);
        self.branch.ledger.resolve(resolved);
        self.select.extend(older);
    }

    fn drop_stale(&mut self) {
        let (job, ledger) = (&self.job, &self.branch.ledger);
        self.select
            .retain(|w| job.claim(*w).is_some_and(|c| ledger.is_current(&c)));
    }

    async fn unavailable(&mut self, why: &str, alarm: bool, because: Because) {
        let server = Arc::clone(&self.branch.server);
        self.unavailable_of(server, why, alarm, because).await;
    }

    /// Waits until `server` may be tried again, or the branch halts.
    async fn unavailable_of(
        &mut self,
        server: Arc<Server>,
        why: &str,
        alarm: bool,
        because: Because,
    ) {
        let stats = &self.branch.stats;
        stats.retried.fetch_add(1, Ordering::Relaxed);
        let delay = self.delays.next_delay();
        if self.reminded.is_none_or(|t| t.elapsed() >= REMIND) {
            self.reminded = Some(Instant::now());
            let first = self.select.first().and_then(|w| self.job.record(*w));
            let at = first.map(|r| r.position.to_string()).unwrap_or_default();
            let (branch, topic) = (&self.branch.name, &self.branch.topic().name);
            if alarm {
                tracing::error!(
                    branch,
                    topic,
                    at,
                    ?delay,
                    "an operator must act: {why}; trying again"
                );
            } else {
                tracing::warn!(branch, topic, at, ?delay, "{why}; trying again");
            }
        }
        let _waiting = self.progress.waiting("the next attempt");
        let mut state = self.branch.control.watch();
        tokio::select! {
            () = server.after(delay, because) => {}
            _ = state.wait_for(|s| matches!(s, crate::branch::State::Halted(_))) => {}
        }
    }
}
