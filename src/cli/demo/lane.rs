//! What the demo asks of the lane that it runs: numbers to show, whether it is well, and to stop.

use futures_util::future::BoxFuture;

/// One branch's numbers. The counters only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BranchStatus {
    /// The sink's name.
    pub name: String,
    /// Records that are in the sink.
    pub applied: u64,
    /// Records that a newer one made needless.
    pub superseded: u64,
    /// Records that change no document.
    pub filtered: u64,
    /// Records in the dead-letter topic.
    pub dead_lettered: u64,
    /// Records in the topic that are not resolved yet; `None` while that is not known.
    pub lag: Option<i64>,
    /// What is wrong, where something is: halted, waiting for its sink.
    pub trouble: Option<String>,
}

/// A pipeline at work in this process.
pub trait Lane {
    /// Every branch, in the order of the pipeline's sinks.
    fn branches(&self) -> Vec<BranchStatus>;

    /// Why the lane has ended by itself; `None` while it works.
    fn failure(&self) -> Option<String>;

    /// Drains, commits and ends it.
    fn stop(self: Box<Self>) -> BoxFuture<'static, anyhow::Result<()>>;
}

// === impl BranchStatus ===

impl BranchStatus {
    /// Records that need nothing more.
    pub fn resolved(&self) -> u64 {
        self.applied + self.superseded + self.filtered + self.dead_lettered
    }
}
