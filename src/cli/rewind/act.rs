//! Who turns a branch back, and how it is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{anyhow, bail};
use serde_json::json;

use super::BranchPlan;
use super::plan::Step;
use crate::cli::status::client::{Client, sentence};
use crate::source::NotMoved;

/// Longer than a process waits for its poller.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who turns the partitions back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum By {
    /// The processes that read them, by their place among those that were asked.
    Processes(BTreeMap<usize, BTreeMap<i32, i64>>),
    /// The brokers: no process that was asked reads any of them.
    Kafka(BTreeMap<i32, i64>),
}

// === impl By ===

impl By {
    /// For these steps, given who reads what; also the partitions that somebody else reads.
    pub(super) fn of(steps: &[Step], owners: &BTreeMap<i32, usize>) -> (Self, Vec<i32>) {
        let moves = steps.iter().filter_map(|s| Some((s.partition, s.target?)));
        if owners.is_empty() {
            return (Self::Kafka(moves.collect()), Vec::new());
        }
        let mut by: BTreeMap<usize, BTreeMap<i32, i64>> = BTreeMap::new();
        let mut elsewhere = Vec::new();
        for (partition, to) in moves {
            match owners.get(&partition) {
                Some(at) => {
                    by.entry(*at).or_default().insert(partition, to);
                }
                None => elsewhere.push(partition),
            }
        }
        (Self::Processes(by), elsewhere)
    }
}

/// Turns one branch back.
pub(super) async fn carry_out(plan: &BranchPlan, processes: &[Client]) -> anyhow::Result<()> {
    match &plan.by {
        By::Kafka(to) => at_kafka(plan, to).await,
        By::Processes(parts) => {
            for (at, to) in parts {
                let Some(process) = processes.get(*at) else {
                    continue;
                };
                ask(plan, process, to).await?;
            }
            Ok(())
        }
    }
}

async fn ask(plan: &BranchPlan, process: &Client, to: &BTreeMap<i32, i64>) -> anyhow::Result<()> {
    let pipeline = plan.group.strip_suffix(&plan.sink);
    let pipeline = pipeline.and_then(|p| p.strip_suffix('.'));
    let path = [
        "pipelines",
        pipeline.unwrap_or_default(),
        &plan.sink,
        "rewind",
    ];
    let (status, text) = process
        .change(&path, Some(&json!({ "to": to })), PATIENCE)
        .await?;
    if !status.is_success() {
        bail!(
            "{} refuses to turn {} back: {}",
            process.base(),
            plan.group,
            sentence(&text)
        );
    }
    Ok(())
}

async fn at_kafka(plan: &BranchPlan, to: &BTreeMap<i32, i64>) -> anyhow::Result<()> {
    // Whoever answered the question has had time to think.
    let now = plan.probe.committed().await?;
    for step in &plan.steps {
        if step.target.is_some() && now.get(&step.partition).copied().flatten() != step.committed {
            bail!(
                "{} has moved in partition {} since the plan was made: plan again",
                plan.group,
                step.partition
            );
        }
    }
    plan.probe.alter(to).await.map_err(|why| match why {
        NotMoved::Members => anyhow!(
            "the group {} has members, and no process that was asked is one: name the admin addresses of those that run this \
             pipeline with --admin, or stop them (one that was killed counts for its session timeout)",
            plan.group
        ),
        NotMoved::Probe(why) => why.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::rewind::plan::Seen;
    use crate::cli::rewind::target::Target;

    #[test]
    fn each_process_turns_back_what_it_reads_and_what_nobody_reads_is_named() {
        let steps: Vec<Step> = (0..3)
            .map(|partition| {
                let seen = Seen {
                    partition,
                    low: 0,
                    end: 9,
                    committed: Some(9),
                    since: None,
                    young: Some(0),
                };
                Step::new(Target::Earliest, &seen)
            })
            .collect();
        let (by, elsewhere) = By::of(&steps, &BTreeMap::new());
        assert_eq!(by, By::Kafka([(0, 0), (1, 0), (2, 0)].into()));
        assert!(elsewhere.is_empty());
        let (by, elsewhere) = By::of(&steps, &[(0, 1), (1, 0)].into());
        let parts = [(0, [(1, 0)].into()), (1, [(0, 0)].into())];
        assert_eq!(by, By::Processes(parts.into()));
        assert_eq!(elsewhere, [2]);
    }
}
