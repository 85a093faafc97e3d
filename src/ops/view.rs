//! One moment of a branch and of a child, as plain values: what the admin address, the metrics and a live
//! screen are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::gateway::GatewayView;
use super::groups::GroupView;
use super::live::LiveView;

use crate::branch::{Branch, Pausing};
use crate::config::PipelineSpec;
use crate::produce::http as ingest;
use crate::reload;
use crate::supervise::{Asked, Chaos};

/// What is shown and switched: the lanes of this process, or a stand-in under test.
pub trait Subject: Send + Sync + 'static {
    /// Every branch, in the order of the pipelines and their sinks; `None` before they were started.
    fn branches(&self) -> Option<Vec<BranchView>>;

    /// The live lane; `None` where this process runs none.
    fn live(&self) -> Option<LiveView> {
        None
    }

    /// The gateway; `None` where this process runs none.
    fn gateway(&self) -> Option<GatewayView> {
        None
    }

    /// The HTTP ingest; `None` where this process serves none.
    fn ingest(&self) -> Option<ingest::Snapshot> {
        None
    }

    /// Every supervised child, in the order in which they were started.
    fn children(&self) -> Vec<ChildView>;

    /// The supervision tree.
    fn tree(&self) -> NodeView;

    /// The pipelines of the branches.
    fn pipelines(&self) -> Vec<Arc<PipelineSpec>> {
        Vec::new()
    }

    /// Who is in the branches' consumer groups, as Kafka says.
    fn groups(&self) -> BoxFuture<'_, Vec<GroupView>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// Pauses a branch, for `who`; `None` for no such branch.
    fn pause(&self, pipeline: &str, sink: &str, who: &str) -> Option<Pausing>;

    /// Where a reload is asked for; `None` where this process cannot be reloaded, or not yet.
    fn reloads(&self) -> Option<reload::Handle> {
        None
    }

    /// A branch of this process.
    fn branch(&self, pipeline: &str, sink: &str) -> Option<Arc<Branch>> {
        let _ = (pipeline, sink);
        None
    }

    /// Lets a halted branch start anew, and a paused one go on.
    fn resume(&self, pipeline: &str, sink: &str) -> Resumed;

    /// Makes a child anew, for `who`.
    fn restart(&self, child: &str, who: &str) -> Asked;

    /// Failures on demand; `None` where this process was not started for them.
    fn chaos(&self) -> Option<Arc<Chaos>>;

    /// The steps of a child at which it can be made to fail; `None` for no such child.
    fn steps(&self, child: &str) -> Option<&'static [&'static str]>;
}

/// What became of a resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// The branch was halted, and starts anew, or it was paused, and goes on.
    Resumed,
    /// There was nothing to resume.
    NotHalted,
    /// No such branch.
    Unknown,
}

/// One branch now. Counters count since the process started.
#[derive(Debug, Clone, Serialize)]
pub struct BranchView {
    /// Its pipeline.
    #[serde(skip)]
    pub pipeline: String,
    /// The topic that it reads.
    #[serde(skip)]
    pub topic: String,
    /// Its sink's name.
    pub sink: String,
    /// `<pipeline>.<sink>`: its consumer group.
    pub group: String,
    /// One of [`BranchView::STATES`].
    pub state: &'static str,
    /// Why it is halted or paused, or what it waits for.
    pub reason: Option<String>,
    /// The section of deploy/RUNBOOK.md about that reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<&'static str>,
    /// An operator's pause, where there is one. Under a halt it is there as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseView>,
    /// Records by what became of them.
    pub records: RecordsView,
    /// Records in the log that are not resolved, over all partitions that are known.
    pub lag: Option<i64>,
    /// The assigned partitions.
    pub partitions: Vec<PartitionView>,
    /// Seconds from the source's commit to the sink's acknowledgement, of the last record.
    pub last_freshness_seconds: Option<f64>,
    /// Seconds since that acknowledgement: with a lag, what readers see is older by so much.
    pub since_acknowledged_seconds: Option<f64>,
    /// The same of every record.
    pub freshness_seconds: HistogramView,
    /// Seconds from the source's commit until a search shows the document, of one document now and then; absent where
    /// what the sink acknowledges is visible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub searchable_seconds: Option<HistogramView>,
    /// Sampled documents that no search has shown.
    pub unseen: u64,
    /// Changes that were in the sink before their commit, as the two machines' clocks say.
    pub skewed: u64,
    /// For how many seconds the oldest record that is known to be unresolved has been in the log; 0 where there is none.
    pub staleness_seconds: f64,
    /// For how many seconds it has run without resolving any of its records, once that is an alarm.
    pub stuck_seconds: Option<f64>,
    /// Seconds since the end of the log was last known, of the assigned partition where it is longest.
    pub end_age_seconds: Option<f64>,
    /// Seconds that a request to the sink took.
    pub request_seconds: HistogramView,
    /// Documents in a request.
    pub batch_documents: HistogramView,
    /// Memory from poll to resolution.
    pub buffer: BufferView,
    /// Requests that the sink answered.
    pub requests: u64,
    /// Requests tried again.
    pub retried: u64,
    /// Changes whose source position lay before one seen earlier.
    pub source_rewinds: u64,
    /// Rewinds to the watermark.
    pub rewinds: u64,
    /// Times the sink had lost acknowledged writes of a partition.
    pub forgot: u64,
    /// Tombstones removed past the horizon.
    pub purged: u64,
    /// Why records were filtered or dead-lettered, and how many.
    pub reasons: BTreeMap<String, u64>,
}

/// An operator's pause.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PauseView {
    /// Who asked for it.
    pub by: String,
    /// How long it has lasted.
    pub seconds: f64,
}

/// Records by what became of them. At rest `consumed` is the sum of the other five.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RecordsView {
    /// Taken from Kafka.
    pub consumed: u64,
    /// In the sink.
    pub applied: u64,
    /// Needless, since something newer is there.
    pub superseded: u64,
    /// Changing no document.
    pub filtered: u64,
    /// In the dead-letter topic.
    pub dead_lettered: u64,
    /// Given up unresolved, and to be consumed again.
    pub abandoned: u64,
    /// Gauge: taken and not resolved.
    pub pending: u64,
}

/// One assigned partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PartitionView {
    /// Its number.
    pub partition: i32,
    /// One past the last record in the log, as last asked.
    pub end: i64,
    /// The group's committed offset; absent before it is known.
    pub committed: Option<i64>,
    /// The lowest offset that is not resolved; absent before the partition is read.
    pub watermark: Option<i64>,
    /// Records in the log that are not resolved.
    pub lag: Option<i64>,
}

/// Values by size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistogramView {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Half were no larger than this, within 19 %.
    pub p50: Option<f64>,
    /// 99 of 100 were no larger than this, within 19 %.
    pub p99: Option<f64>,
    /// Upper bounds, and how many lie between each and the bound before it; the last bound is infinite.
    #[serde(skip)]
    pub buckets: Vec<(f64, u64)>,
}

/// Memory from poll to resolution, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BufferView {
    /// In use.
    pub bytes: usize,
    /// The most.
    pub limit: usize,
}

/// A supervisor or an actor of the tree.
#[derive(Debug, Clone, Serialize)]
pub struct NodeView {
    /// What it is now.
    #[serde(flatten)]
    pub child: ChildView,
    /// For a supervisor: which children are made anew after one has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<&'static str>,
    /// A supervisor's children, in the order in which they were added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<NodeView>,
    /// Children that are not shown, since there are too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// How far an actor is with its work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ProgressView {
    /// Units done by the present incarnation, as the actor counts them.
    pub done: u64,
    /// Seconds since the last progress.
    pub age_seconds: f64,
    /// Activities that have work.
    pub working: usize,
    /// What one of them waits for.
    pub waiting_for: Option<&'static str>,
}

/// One supervised child.
#[derive(Debug, Clone, Serialize)]
pub struct ChildView {
    /// Its name, such as `user_profile.redis/worker-0`.
    pub name: String,
    /// One of [`ChildView::STATES`].
    pub state: &'static str,
    /// How long it has been in that state.
    pub since_seconds: f64,
    /// Restarts so far.
    pub restarts: u64,
    /// Why the last incarnation ended.
    pub last_exit: Option<String>,
    /// Who asked for the last restart that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_asked_by: Option<String>,
    /// Messages that wait in an actor's inbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<usize>,
    /// Absent while it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressView>,
}

// === impl BranchView ===

impl BranchView {
    /// The states, as they are shown.
    pub const STATES: [&str; 5] = ["starting", "running", "paused", "halted", "stopping"];

    /// What the sink's acknowledgement means for who reads: in Redis the row is there.
    pub(super) fn acknowledged(&self) -> &'static str {
        match &self.searchable_seconds {
            Some(_) => "acknowledged",
            None => "applied",
        }
    }

    /// Whether `child` belongs to this branch.
    pub fn owns(&self, child: &ChildView) -> bool {
        child
            .name
            .strip_prefix(&self.group)
            .is_some_and(|rest| rest.starts_with('/'))
    }
}

// === impl ChildView ===

impl ChildView {
    /// The states, as they are shown.
    pub const STATES: [&str; 4] = ["running", "stopping", "waiting", "ended"];
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A running branch: partition 0 at 70 of 100, two records with a freshness.
    pub fn branch(pipeline: &str, sink: &str) -> BranchView {
        let histogram = |values: &[f64]| {
            let h = crate::branch::Histogram::default();
            values.iter().for_each(|v| h.observe(*v));
            HistogramView::from(&h)
        };
        BranchView {
            pipeline: pipeline.into(),
            topic: format!("app.{pipeline}"),
            sink: sink.into(),
            group: format!("{pipeline}.{sink}"),
            state: "running",
            reason: None,
            runbook: None,
            paused: None,
            records: RecordsView {
                consumed: 100,
                applied: 90,
                superseded: 4,
                filtered: 3,
                dead_lettered: 2,
                abandoned: 1,
                pending: 0,
            },
            lag: Some(30),
            partitions: vec![PartitionView {
                partition: 0,
                end: 100,
                committed: Some(60),
                watermark: Some(70),
                lag: Some(30),
            }],
            last_freshness_seconds: Some(0.25),
            since_acknowledged_seconds: Some(2.0),
            freshness_seconds: histogram(&[0.25, 3.0]),
            searchable_seconds: (sink != "redis").then(|| histogram(&[1.25])),
            unseen: 0,
            skewed: 1,
            staleness_seconds: 2.5,
            stuck_seconds: None,
            end_age_seconds: Some(0.5),
            request_seconds: histogram(&[0.003, 0.004, 500.0]),
            batch_documents: histogram(&[1.0, 2.0, 1_000.0]),
            buffer: BufferView {
                bytes: 1_024,
                limit: 24 << 20,
            },
            requests: 3,
            retried: 1,
            source_rewinds: 0,
            rewinds: 0,
            forgot: 0,
            purged: 0,
            reasons: BTreeMap::from([("not \"JSON\"".to_owned(), 2)]),
        }
    }

    /// A child that has been in `state` for a second.
    pub fn child(name: &str, state: &'static str) -> ChildView {
        ChildView {
            name: name.into(),
            state,
            since_seconds: 1.0,
            restarts: 7,
            last_exit: None,
            restart_asked_by: None,
            queue: Some(0),
            progress: None,
        }
    }
}
