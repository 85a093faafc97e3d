//! From the branches that run to those that are wanted: what differs is drained, committed and made anew, each branch for
//! itself; what does not is not touched.
//!
//! Promises: a plan changes nothing, and everything that may be refused is refused by then. A changed branch starts once
//! its predecessor has left the group, so that what one committed is where the other begins; a new one once all that were
//! taken away are gone, since it may take over an index or keys of theirs. Dropped halfway, the branches that are
//! leaving go on doing so, and [`Lane::stop`] waits for them.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;

use super::Lane;
use crate::branch::{Branch, Prepared, RunningBranch};
use crate::config::{PipelineSpec, Settings, SinkSpec};
use crate::sink::SinkError;

/// What becomes of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is new.
    Added,
    /// It goes.
    Removed,
    /// It is made anew.
    Changed,
    /// It does not notice.
    Unchanged,
}

/// One branch of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BranchChange {
    /// Its pipeline.
    pub pipeline: String,
    /// Its sink's name.
    pub sink: String,
    /// What becomes of it.
    pub change: Kind,
    /// What of its specs differs: `topic`, `document`, `sink`, `supervise`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<&'static str>,
}

/// What a change of the lane would do.
pub struct Plan {
    changes: Vec<BranchChange>,
    /// The wanted branches in order; those that are to be started are made.
    wanted: Vec<Wanted>,
}

struct Wanted {
    name: String,
    prepared: Option<Prepared>,
}

// === impl Kind ===

impl Kind {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

// === impl Plan ===

impl Plan {
    /// Every branch, wanted or not, and what becomes of it.
    pub fn changes(&self) -> &[BranchChange] {
        &self.changes
    }
}

// === impl Lane ===

impl Lane {
    /// What it would take to run these pipelines, which must be right; nothing is changed by it. Must be called within
    /// an actix system.
    ///
    /// # Errors
    /// [`SinkError::Refused`] where a spec makes no branch, and the pipeline's file.
    pub fn plan(
        &self,
        settings: &Arc<Settings>,
        pipelines: &[Arc<PipelineSpec>],
    ) -> Result<Plan, (PathBuf, SinkError)> {
        let mut plan = Plan {
            changes: Vec::new(),
            wanted: Vec::new(),
        };
        for pipeline in pipelines {
            for sink in &pipeline.sinks {
                let name = format!("{}.{}", pipeline.name, sink.name);
                let now = self.branches.iter().find(|b| b.branch.name == name);
                let differs = now.map_or_else(Vec::new, |b| differs(&b.branch, pipeline, sink));
                let change = match now {
                    None => Kind::Added,
                    Some(_) if differs.is_empty() => Kind::Unchanged,
                    Some(_) => Kind::Changed,
                };
                let prepared = match change {
                    Kind::Added | Kind::Changed => {
                        let prepared = Prepared::new(settings, pipeline, sink);
                        Some(prepared.map_err(|why| (pipeline.file.clone(), why))?)
                    }
                    Kind::Removed | Kind::Unchanged => None,
                };
                plan.wanted.push(Wanted { name, prepared });
                plan.changes.push(BranchChange {
                    pipeline: pipeline.name.clone(),
                    sink: sink.name.clone(),
                    change,
                    differs,
                });
            }
        }
        for gone in self.branches.iter().map(|b| &b.branch) {
            if !plan.wanted.iter().any(|w| w.name == gone.name) {
                plan.changes.push(BranchChange {
                    pipeline: gone.pipeline.name.clone(),
                    sink: gone.spec.name.clone(),
                    change: Kind::Removed,
                    differs: Vec::new(),
                });
            }
        }
        Ok(plan)
    }

    /// Does what the plan says, which must be this lane's own and the last; `shown` is told at each step. Each branch that
    /// leaves drains within the settings' shutdown deadline.
    pub async fn change(&mut self, plan: Plan, mut shown: impl FnMut(&Self)) {
        let order: Vec<String> = plan.wanted.iter().map(|w| w.name.clone()).collect();
        let (mut changed, mut added) = (Vec::new(), Vec::new());
        for wanted in plan.wanted {
            let Some(prepared) = wanted.prepared else {
                continue;
            };
            if self.branches.iter().any(|b| b.branch.name == wanted.name) {
                changed.push((wanted.name, prepared));
            } else {
                added.push(prepared);
            }
        }
        let stays = |b: &RunningBranch| {
            order.contains(&b.branch.name) && !changed.iter().any(|c| c.0 == b.branch.name)
        };
        let (kept, going): (Vec<_>, Vec<_>) = std::mem::take(&mut self.branches)
            .into_iter()
            .partition(stays);
        self.branches = kept;
        self.leaving = going.iter().map(|b| Arc::clone(&b.branch)).collect();
        let mut removed = going
            .iter()
            .filter(|b| !order.contains(&b.branch.name))
            .count();
        let mut leaving: FuturesUnordered<_> = going
            .into_iter()
            .map(|branch| async move {
                let name = branch.branch.name.clone();
                branch.stop().await;
                name
            })
            .collect();
        loop {
            if removed == 0 {
                for prepared in std::mem::take(&mut added) {
                    self.put(prepared, &order);
                }
                shown(self);
            }
            let Some(name) = leaving.next().await else {
                return;
            };
            self.leaving.retain(|b| b.name != name);
            match changed.iter().position(|c| c.0 == name) {
                Some(at) => self.put(changed.swap_remove(at).1, &order),
                None => removed -= 1,
            }
            shown(self);
        }
    }

    fn put(&mut self, prepared: Prepared, order: &[String]) {
        self.branches.push(prepared.start(&self.supervisor));
        let place = |b: &RunningBranch| order.iter().position(|name| *name == b.branch.name);
        self.branches.sort_by_key(place);
    }
}

/// What of a running branch's specs differs from these. The other sinks of its pipeline are none of its business.
fn differs(now: &Branch, pipeline: &PipelineSpec, sink: &SinkSpec) -> Vec<&'static str> {
    let parts = [
        ("topic", now.pipeline.topic != pipeline.topic),
        ("document", now.pipeline.document != pipeline.document),
        ("sink", now.spec != *sink),
        ("supervise", now.pipeline.supervise != pipeline.supervise),
    ];
    let differing = parts.into_iter().filter(|(_, differs)| *differs);
    differing.map(|(part, _)| part).collect()
}
