//! The durable lane of one process: every branch of the pipelines that it runs.
//!
//! The lane is the branches' supervisor. A branch whose actor fails too often is stopped and, after a second or more,
//! made anew as a whole; the others go on and do not notice. Only a branch that failed so more than
//! [`SupervisorSpec::max_restarts`] times within ten minutes ends the process, with its reason and after the others
//! have drained: nothing inside can help it any more, and whoever runs the process is to hear of it.
//!
//! Branches come and go while it runs: [`Lane::plan`] says which would, and [`Lane::change`] does it.

mod change;

pub use change::{BranchChange, Kind, Plan};

use std::sync::Arc;

use crate::branch::{self, Branch, RunningBranch};
use crate::config::{PipelineSpec, Settings};
use crate::sink::SinkError;
use crate::supervise::{Strategy, Supervisor, SupervisorSpec, Tree};

/// Branches at work.
pub struct Lane {
    branches: Vec<RunningBranch>,
    /// Branches that are on their way out, and still to be seen.
    leaving: Vec<Arc<Branch>>,
    supervisor: Supervisor,
    tree: Arc<Tree>,
}

// === impl Lane ===

impl Lane {
    /// Starts every branch of these pipelines. Must be called within an actix system. Servers that are away
    /// are waited for, each branch for itself.
    ///
    /// # Errors
    /// [`SinkError::Refused`] where a spec makes no branch; then none is left running.
    pub async fn start(
        settings: &Arc<Settings>,
        pipelines: &[Arc<PipelineSpec>],
        tree: Arc<Tree>,
    ) -> Result<Self, SinkError> {
        let spec = SupervisorSpec {
            name: "durable".into(),
            strategy: Strategy::Independent,
            // A branch had its chances; the lane itself is not made anew.
            max_restarts: 0,
            ..SupervisorSpec::default()
        };
        let mut lane = Self {
            branches: Vec::new(),
            leaving: Vec::new(),
            supervisor: Supervisor::start(&tree, spec),
            tree,
        };
        for pipeline in pipelines {
            for sink in &pipeline.sinks {
                match branch::start(settings, pipeline, sink, &lane.supervisor) {
                    Ok(running) => lane.branches.push(running),
                    Err(why) => {
                        lane.stop().await;
                        return Err(why);
                    }
                }
            }
        }
        Ok(lane)
    }

    /// The branches, in the order of the pipelines and their sinks; behind them those that are leaving.
    pub fn branches(&self) -> Vec<Arc<Branch>> {
        let running = self.branches.iter().map(|b| &b.branch);
        running.chain(&self.leaving).map(Arc::clone).collect()
    }

    /// Their actors.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// Drains, commits and ends every branch, all at once, each within the settings' shutdown deadline.
    pub async fn stop(self) {
        let stops = self.branches.into_iter().map(RunningBranch::stop);
        futures_util::future::join_all(stops).await;
        self.supervisor.stop().await;
    }
}
