//! One case of the matrix: a lane, a load with a model beside it, one fault, and the verdict.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use twolane::branch::Branch;
use twolane::lane::Lane;

use super::model::Model;
use super::process::Process;
use super::sink::{self, Sink};
use super::table::Row;
use super::watch::Watch;
use super::{patience, until};
use crate::lane::rig::{Options, Rig};
use crate::stack::Stack;

/// Rows that the load changes.
const ROWS: i64 = 300;
/// Changes at once, and the pause behind them: 200 a second, which leaves a machine with few cores room for the
/// servers, and is some thousand through the longest outage.
const CHANGES: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);
/// From this long on an outage's backlog is to be cleared within twice the outage; the sessions and backoffs around a
/// shorter one take their own time.
const OUTAGE: Duration = Duration::from_secs(6);
/// The highest epoch: its versions are 63 bits long.
pub const EPOCH: u32 = 32_767;

/// A case that runs.
pub struct Case {
    name: String,
    pub stack: Stack,
    pub rig: Rig,
    pub model: Rc<Model>,
    pub watch: Rc<Watch>,
    struck: RefCell<Vec<(Sink, u64)>>,
    struck_at: Cell<Option<Instant>>,
    lifted: Cell<Option<Instant>>,
    recovered: Cell<Option<Duration>>,
    bound: Cell<u64>,
    duplicates: Cell<u64>,
    violations: RefCell<Vec<String>>,
    notes: RefCell<Vec<String>>,
}

/// What a case starts from.
pub struct Start<'a> {
    pub name: &'a str,
    pub stack: &'a Stack,
    pub seed: u64,
    /// How many times the usual load.
    pub scale: u32,
}

/// The usual rig of the matrix: small batches, so that much is in flight and little is coalesced.
pub fn options() -> Options {
    Options {
        epoch: EPOCH,
        elasticsearch: Some("batch_documents = 25\nlinger = \"5ms\""),
        redis: Some("shape = \"hash\"\nbatch_documents = 25\nlinger = \"5ms\""),
        ..Options::default()
    }
}

/// Records of one branch by what became of them.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize)]
pub struct Count {
    pub consumed: u64,
    pub applied: u64,
    pub superseded: u64,
    pub filtered: u64,
    pub dead_lettered: u64,
    pub abandoned: u64,
    pub pending: u64,
}

// === impl Count ===

impl Count {
    pub fn of(branch: &Branch) -> Self {
        let tally = branch.ledger.tally();
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            consumed: read(&tally.consumed),
            applied: read(&tally.applied),
            superseded: read(&tally.superseded),
            filtered: read(&tally.filtered),
            dead_lettered: read(&tally.dead_lettered),
            abandoned: read(&tally.abandoned),
            pending: branch.ledger.pending() as u64,
        }
    }

    pub fn resolved(&self) -> u64 {
        self.applied + self.superseded + self.filtered + self.dead_lettered
    }
}

// === impl Case ===

impl Case {
    /// Both sinks.
    pub async fn new(start: &Start<'_>, fault: &str, options: Options) -> Self {
        Self::on(start, fault, start.stack.clone(), options).await
    }

    /// On servers of a row's own.
    pub async fn on(start: &Start<'_>, fault: &str, stack: Stack, options: Options) -> Self {
        let mut sinks = Vec::new();
        sinks.extend(options.elasticsearch.map(|_| Sink::Elasticsearch));
        sinks.extend(options.redis.map(|_| Sink::Redis));
        let rig = Rig::new(&stack, "fault", options).await;
        let model = Rc::new(Model::new(start.seed, ROWS));
        let watch = Watch::new(&rig, &sinks, Rc::clone(&model));
        Self {
            name: format!("{} {fault}", start.name),
            stack,
            rig,
            model,
            watch,
            struck: RefCell::default(),
            struck_at: Cell::default(),
            lifted: Cell::default(),
            recovered: Cell::default(),
            bound: Cell::default(),
            duplicates: Cell::default(),
            violations: RefCell::default(),
            notes: RefCell::default(),
        }
    }

    /// Starts a lane, sends the first changes and waits until every sink is in the midst of them.
    pub async fn begin(&self, start: &Start<'_>) -> Lane {
        let lane = self.rig.start().await;
        self.warm(start).await;
        lane
    }

    /// The first changes, with whatever lane runs already.
    pub async fn warm(&self, start: &Start<'_>) {
        self.watch.begin();
        for _ in 0..start.scale {
            self.model.change(&self.rig, 400).await;
        }
        self.shows(0).await;
    }

    /// Changes rows while `fault` goes on, and until it has ended.
    pub async fn while_loaded<T>(&self, fault: impl Future<Output = T>) -> T {
        let ended = Cell::new(false);
        let load = async {
            while !ended.get() {
                self.model.change(&self.rig, CHANGES).await;
                tokio::time::sleep(PAUSE).await;
            }
        };
        let fault = async {
            let value = fault.await;
            ended.set(true);
            value
        };
        futures_util::future::join(load, fault).await.1
    }

    /// Waits until every sink shows something that was written after `rev`.
    pub async fn shows(&self, rev: i64) {
        for sink in self.watch.sinks.clone() {
            until(&format!("{sink:?} to show a rev above {rev}"), || async {
                self.watch.top(sink) > rev
            })
            .await;
        }
    }

    /// The fault begins now: what is not committed may be done twice.
    pub async fn strikes(&self) {
        let mut struck = Vec::new();
        for sink in &self.watch.sinks {
            let mut committed = None;
            until("the commits to be known", async || {
                committed = self.watch.committed(*sink).await;
                committed.is_some()
            })
            .await;
            let committed: i64 = committed.unwrap_or_default().values().sum();
            struck.push((*sink, committed.unsigned_abs()));
        }
        *self.struck.borrow_mut() = struck;
        self.struck_at.set(Some(Instant::now()));
    }

    /// The fault has ended now; the lane is to recover.
    pub fn lifted(&self) {
        self.lifted.set(Some(Instant::now()));
        // The changes that are being sent are not counted yet, a delete of them twice.
        let sent = self.model.sent() + 2 * CHANGES as u64;
        let in_flight = self.struck.borrow().iter().map(|(_, at)| sent - at).max();
        self.bound.set(self.bound.get() + in_flight.unwrap_or(0));
    }

    /// As many records as were sent so far may be done twice.
    pub fn may_read_all_again(&self) {
        self.bound.set(self.bound.get() + self.model.sent());
    }

    pub fn allow(&self, duplicates: u64) {
        self.bound.set(self.bound.get() + duplicates);
    }

    pub fn violation(&self, what: String) {
        self.violations.borrow_mut().push(what);
    }

    pub fn note(&self, what: String) {
        self.notes.borrow_mut().push(what);
    }

    /// The time from the fault's end until now, for a case that knows better when it had recovered.
    pub fn recovered(&self) -> Duration {
        let since = self.lifted.get().map_or(Duration::ZERO, |at| at.elapsed());
        self.recovered.set(Some(since));
        if let (Some(struck), Some(lifted)) = (self.struck_at.get(), self.lifted.get()) {
            let outage = lifted.duration_since(struck);
            if outage >= OUTAGE {
                self.note(format!(
                    "after {outage:.1?} away the backlog was gone in {since:.1?}"
                ));
                if since > 2 * outage {
                    self.violation(format!("{outage:?} away, and {since:?} to recover"));
                }
            }
        }
        since
    }

    pub fn duplicates(&self, n: u64) {
        self.duplicates.set(self.duplicates.get().max(n));
    }

    /// Waits until every sink holds what was sent, or for as long as one waits.
    pub async fn settles(&self) {
        let began = Instant::now();
        for sink in self.watch.sinks.clone() {
            loop {
                let rows = self.watch.rows(sink).await;
                if rows.is_some_and(|rows| sink::live(&rows) == self.model.live()) {
                    break;
                }
                if began.elapsed() > patience() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        if self.recovered.get().is_none() {
            self.recovered();
        }
    }

    /// Lanes at rest: their sums, and what they did twice; then they end.
    pub async fn rest(&self, lanes: Vec<Lane>) {
        for lane in &lanes {
            for branch in lane.branches() {
                self.at_rest(&branch).await;
            }
        }
        let branches: Vec<_> = lanes.iter().flat_map(Lane::branches).collect();
        self.count_twice(&branches);
        for lane in lanes {
            lane.stop().await;
        }
        for branch in &branches {
            self.adds_up(&branch.name, Count::of(branch));
        }
    }

    async fn at_rest(&self, branch: &Arc<Branch>) {
        let began = Instant::now();
        while branch.ledger.pending() > 0 {
            if began.elapsed() > patience() {
                let state = branch.control.state();
                let tally = branch.ledger.tally();
                self.violation(format!("{} never rests: {state:?}, {tally:?}", branch.name));
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What several branches of one sink have resolved together, beyond what was sent.
    pub fn count_twice(&self, branches: &[Arc<Branch>]) {
        for sink in &self.watch.sinks {
            let of = branches.iter().filter(|b| b.spec.name == sink.name());
            let resolved: u64 = of.map(|b| Count::of(b).resolved()).sum();
            self.duplicates(resolved.saturating_sub(self.model.sent()));
        }
    }

    /// **Q**.
    pub fn adds_up(&self, branch: &str, count: Count) {
        if count.pending > 0 || count.consumed != count.resolved() + count.abandoned {
            self.violation(format!("Q: {branch} does not add up: {count:?}"));
        }
    }

    /// A process at rest: its sums; then it ends, in order.
    pub async fn rest_process(&self, mut process: Process) {
        let mut last = Vec::new();
        let rests = async |last: &mut Vec<(String, Count)>| {
            *last = process.counts().await.unwrap_or_default();
            !last.is_empty() && last.iter().all(|(_, c)| c.pending == 0)
        };
        let began = Instant::now();
        while !rests(&mut last).await && began.elapsed() < patience() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for (branch, count) in last {
            self.adds_up(&branch, count);
        }
        let status = process.terminate().await;
        if !status.success() {
            self.violation(format!("it ends with {status}: {}", process.said()));
        }
    }

    /// The last look, with nothing running any more.
    pub async fn verdict(self) -> Row {
        self.watch.end();
        let mut row = Row {
            fault: self.name.clone(),
            events: self.model.sent(),
            recovered: self.recovered.get(),
            duplicates: self.duplicates.get(),
            bound: self.bound.get(),
            ..Row::default()
        };
        let expected = self.model.live();
        self.watch.each.set(true);
        for sink in &self.watch.sinks {
            let mut rows = None;
            until(&format!("{sink:?} to be seen"), async || {
                rows = self.watch.look(*sink).await;
                rows.is_some()
            })
            .await;
            let found = sink::live(&rows.unwrap_or_default());
            let missing = expected
                .iter()
                .filter(|(id, rev)| found.get(id).is_none_or(|found| found < rev));
            let undead = found.keys().filter(|id| !expected.contains_key(id));
            row.lost += missing.clone().count() as u64;
            row.resurrected += undead.clone().count() as u64;
            if let Some((id, rev)) = missing.clone().next() {
                self.violation(format!(
                    "L: {sink:?} has row {id} with rev {:?}, and it should be {rev}",
                    found.get(id)
                ));
            }
            if let Some(id) = undead.clone().next() {
                self.violation(format!("R: {sink:?} has row {id}, which was deleted"));
            }
            if *sink == Sink::Elasticsearch && self.rig.visible().await != expected.len() as u64 {
                self.violation(String::from("L: the alias shows another number of rows"));
            }
        }
        row.stale = self.watch.falls();
        row.violations = self.violations.take();
        row.violations.extend(self.watch.violations());
        row.notes = self.notes.take();
        if self.watch.looks() < 2 {
            row.violations.push(String::from("the sinks were not seen"));
        }
        row
    }
}
