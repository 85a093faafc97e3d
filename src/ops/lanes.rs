//! The branches and children of this process, looked at.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::gateway::GatewayView;
use super::groups::{GroupView, Groups};
use super::live::{LiveParts, LiveView};
use super::view::{
    BranchView, BufferView, ChildView, HistogramView, NodeView, PartitionView, PauseView,
    ProgressView, RecordsView, Resumed, Subject,
};
use crate::branch::{Branch, Histogram, PartitionStats, Pausing, State, now_ms};
use crate::config::{PipelineSpec, SinkKind};
use crate::gateway::start::GatewayStatus;
use crate::produce::http as ingest;
use crate::supervise::{Asked, Chaos, ChildState, ChildStatus, Node, Strategy, Tree};
use crate::{reload, runbook};

/// What runs in this process. The branches come later than the admin address, so that an address in use is
/// known before anything is consumed.
pub struct Lanes {
    branches: RwLock<Option<Vec<Arc<Branch>>>>,
    reloads: OnceLock<reload::Handle>,
    live: OnceLock<LiveParts>,
    gateway: OnceLock<GatewayStatus>,
    ingest: OnceLock<Arc<ingest::Stats>>,
    groups: Groups,
    tree: Arc<Tree>,
    started: Instant,
}

// === impl Lanes ===

impl Lanes {
    /// Nothing started yet.
    pub fn new(tree: Arc<Tree>) -> Arc<Self> {
        Arc::new(Self {
            branches: RwLock::default(),
            reloads: OnceLock::new(),
            live: OnceLock::new(),
            gateway: OnceLock::new(),
            ingest: OnceLock::new(),
            groups: Groups::default(),
            tree,
            started: Instant::now(),
        })
    }

    /// Every branch of this process has been started, or others run from now on.
    pub fn started(&self, branches: Vec<Arc<Branch>>) {
        let mut all = self
            .branches
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *all = Some(branches);
    }

    /// This process can be reloaded. Only the first call counts.
    pub fn reloads(&self, handle: reload::Handle) {
        self.reloads.get_or_init(|| handle);
    }

    fn now(&self) -> Option<Vec<Arc<Branch>>> {
        let all = self.branches.read().unwrap_or_else(PoisonError::into_inner);
        all.clone()
    }

    /// The live lane of this process has been started. Only the first call counts.
    pub fn live_started(&self, live: LiveParts) {
        self.live.get_or_init(|| live);
    }

    /// The gateway of this process has been started. Only the first call counts.
    pub fn gateway_started(&self, gateway: GatewayStatus) {
        self.gateway.get_or_init(|| gateway);
    }

    /// The HTTP ingest of this process has been started. Only the first call counts.
    pub fn ingest_started(&self, stats: Arc<ingest::Stats>) {
        self.ingest.get_or_init(|| stats);
    }
}

impl Subject for Lanes {
    fn branches(&self) -> Option<Vec<BranchView>> {
        Some(self.now()?.iter().map(|b| (&**b).into()).collect())
    }

    fn live(&self) -> Option<LiveView> {
        self.live.get().map(LiveParts::view)
    }

    fn gateway(&self) -> Option<GatewayView> {
        self.gateway.get().map(GatewayView::from)
    }

    fn ingest(&self) -> Option<ingest::Snapshot> {
        self.ingest.get().map(|stats| stats.snapshot())
    }

    fn children(&self) -> Vec<ChildView> {
        let children = self.tree.children();
        children.iter().map(|c| (&**c).into()).collect()
    }

    fn tree(&self) -> NodeView {
        let root = ChildView {
            name: self.tree.root().name().to_owned(),
            state: "running",
            since_seconds: seconds(self.started.elapsed()),
            restarts: 0,
            last_exit: None,
            restart_asked_by: None,
            queue: None,
            progress: None,
        };
        node(root, self.tree.view())
    }

    fn restart(&self, child: &str, who: &str) -> Asked {
        self.tree.restart(child, who)
    }

    fn chaos(&self) -> Option<Arc<Chaos>> {
        let chaos = self.tree.chaos();
        chaos.is_allowed().then(|| Arc::clone(chaos))
    }

    fn steps(&self, child: &str) -> Option<&'static [&'static str]> {
        Some(self.tree.find(child)?.steps)
    }

    fn pipelines(&self) -> Vec<Arc<PipelineSpec>> {
        let mut all: Vec<Arc<PipelineSpec>> = Vec::new();
        for branch in self.now().unwrap_or_default() {
            if !all.iter().any(|p| p.name == branch.pipeline.name) {
                all.push(Arc::clone(&branch.pipeline));
            }
        }
        all
    }

    fn groups(&self) -> BoxFuture<'_, Vec<GroupView>> {
        let branches = self.now().unwrap_or_default();
        Box::pin(async move { self.groups.of(&branches).await })
    }

    fn pause(&self, pipeline: &str, sink: &str, who: &str) -> Option<Pausing> {
        let branch = self.branch(pipeline, sink)?;
        Some(branch.control.pause(who))
    }

    fn reloads(&self) -> Option<reload::Handle> {
        self.reloads.get().cloned()
    }

    fn branch(&self, pipeline: &str, sink: &str) -> Option<Arc<Branch>> {
        let mut all = self.now()?.into_iter();
        all.find(|b| b.pipeline.name == pipeline && b.spec.name == sink)
    }

    fn resume(&self, pipeline: &str, sink: &str) -> Resumed {
        match self.branch(pipeline, sink) {
            Some(branch) if branch.control.resume() => Resumed::Resumed,
            Some(_) => Resumed::NotHalted,
            None => Resumed::Unknown,
        }
    }
}

fn node(child: ChildView, node: Node) -> NodeView {
    let children = node.children.into_iter().filter_map(|c| {
        let view = ChildView::from(&**c.status.as_ref()?);
        Some(self::node(view, c))
    });
    NodeView {
        child,
        strategy: node.strategy.map(Strategy::name),
        children: children.collect(),
        more: node.more,
    }
}

/// To the millisecond.
fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1_000.0
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

// === impl BranchView ===

impl BranchView {
    /// The state as it is shown, and why. A pause lies over a branch that is at work, or gets ready for it.
    fn state(state: &State, paused: Option<&PauseView>) -> (&'static str, Option<String>) {
        match (state, paused) {
            (State::Halted(why), _) => ("halted", Some(why.clone())),
            (State::Stopping, _) => ("stopping", None),
            (State::Starting | State::Running, Some(pause)) => {
                ("paused", Some(format!("by {}", pause.by)))
            }
            (State::Starting, None) => ("starting", None),
            (State::Running, None) => ("running", None),
        }
    }
}

impl From<&Branch> for BranchView {
    fn from(b: &Branch) -> Self {
        let paused = b.control.paused().map(|pause| PauseView {
            seconds: seconds(pause.since.elapsed()),
            by: pause.by,
        });
        let (state, reason) = Self::state(&b.control.state(), paused.as_ref());
        let (stats, tally, now) = (&b.stats, b.ledger.tally(), Instant::now());
        let stuck = stats.motion(|m| m.stuck(now));
        let reason = reason
            .or_else(|| b.control.waiting())
            .or_else(|| Some(format!("not progressing for {} s", stuck?.as_secs())));
        let partitions = partitions(b);
        // The outcomes first: between two reads more is consumed, and no record is to show as resolved
        // before it is consumed.
        let resolved = RecordsView {
            applied: get(&tally.applied),
            superseded: get(&tally.superseded),
            filtered: get(&tally.filtered),
            dead_lettered: get(&tally.dead_lettered),
            abandoned: get(&tally.abandoned),
            ..RecordsView::default()
        };
        Self {
            pipeline: b.pipeline.name.clone(),
            topic: b.topic().name.clone(),
            sink: b.spec.name.clone(),
            group: b.name.clone(),
            state,
            runbook: reason.as_deref().and_then(runbook::section),
            reason,
            paused,
            records: RecordsView {
                pending: b.ledger.pending() as u64,
                consumed: get(&tally.consumed),
                ..resolved
            },
            lag: partitions.iter().filter_map(|p| p.lag).reduce(|a, b| a + b),
            partitions,
            last_freshness_seconds: stats.last_freshness().map(|d| d.as_secs_f64()),
            since_acknowledged_seconds: stats.since_acknowledged(now_ms()).map(seconds),
            freshness_seconds: (&stats.freshness).into(),
            searchable_seconds: match b.spec.kind {
                SinkKind::Elasticsearch(_) => Some((&stats.searchable).into()),
                SinkKind::Redis(_) => None,
            },
            unseen: get(&stats.unseen),
            skewed: get(&stats.skewed),
            staleness_seconds: seconds(b.staleness(now)),
            stuck_seconds: stuck.map(seconds),
            end_age_seconds: stats.unasked(now).map(seconds),
            request_seconds: (&stats.latency).into(),
            batch_documents: (&stats.batch).into(),
            buffer: BufferView {
                bytes: b.budget.used(),
                limit: b.budget.limit(),
            },
            requests: get(&stats.requests),
            retried: get(&stats.retried),
            source_rewinds: get(&stats.source_rewinds),
            rewinds: get(&tally.rewinds),
            forgot: get(&stats.forgot),
            purged: get(&stats.purged),
            reasons: stats.reasons(),
        }
    }
}

fn partitions(b: &Branch) -> Vec<PartitionView> {
    let open: BTreeMap<i32, i64> = b
        .ledger
        .marks()
        .into_iter()
        .map(|(mark, _)| (mark.partition, mark.offset))
        .collect();
    let known = b.stats.partitions();
    known
        .into_iter()
        .map(|(partition, stats)| partition_view(partition, stats, open.get(&partition).copied()))
        .collect()
}

/// The ledger's watermark is the newest. Where the partition is closed (it is about to be sought), the last
/// one noted stands in; before its first read there is none, and no lag either: the log's whole length would
/// be a lie.
fn partition_view(partition: i32, stats: PartitionStats, open: Option<i64>) -> PartitionView {
    let read = open.is_some() || stats.watermark > 0 || stats.committed > 0;
    let watermark = open.or(read.then_some(stats.watermark));
    PartitionView {
        partition,
        end: stats.end,
        committed: read.then_some(stats.committed),
        watermark,
        lag: watermark.map(|w| (stats.end - w).max(0)),
    }
}

// === impl HistogramView ===

impl From<&Histogram> for HistogramView {
    fn from(h: &Histogram) -> Self {
        let buckets: Vec<(f64, u64)> = h.buckets().collect();
        Self {
            // Of the same read as the buckets, so that they agree.
            count: buckets.iter().map(|b| b.1).sum(),
            sum: h.sum(),
            p50: h.quantile(0.5),
            p99: h.quantile(0.99),
            buckets,
        }
    }
}

// === impl ChildView ===

impl From<&ChildStatus> for ChildView {
    fn from(c: &ChildStatus) -> Self {
        let (state, since) = c.state();
        Self {
            name: c.name.clone(),
            state: match state {
                ChildState::Running => "running",
                ChildState::Stopping => "stopping",
                ChildState::Waiting => "waiting",
                ChildState::Ended => "ended",
            },
            since_seconds: seconds(since.elapsed()),
            restarts: c.restarts(),
            last_exit: c.last_exit().map(|e| e.to_string()),
            restart_asked_by: c.restart_asked_by(),
            queue: c.queue(),
            progress: c.progress().map(|p| ProgressView {
                done: p.done,
                age_seconds: seconds(p.age),
                working: p.working,
                waiting_for: p.waiting,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
