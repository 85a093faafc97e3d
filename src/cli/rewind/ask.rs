//! What Kafka and the processes say, put together into a plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;

use super::act::By;
use super::plan::{Seen, Step};
use super::target::Target;
use super::{Args, BranchPlan};
use crate::branch::now_ms;
use crate::cli::status::client::Client;
use crate::cli::status::shapes::Pipeline;
use crate::config::{AdminSettings, PipelineSpec, Settings, SinkSpec};
use crate::source::Probe;

/// The processes to ask: those that were named must answer, the settings' own need not.
pub(super) async fn processes(
    named: &[String],
    settings: &AdminSettings,
) -> anyhow::Result<Vec<Client>> {
    if named.is_empty() {
        let here = Client::new(None, settings)?;
        let answers = here.get::<Vec<Pipeline>>("pipelines").await;
        return Ok(answers.ok().map(|_| here).into_iter().collect());
    }
    let clients = named.iter().map(|at| Client::new(Some(at), settings));
    clients.collect()
}

/// Of each partition of a branch the process that reads it.
async fn owners(group: &str, processes: &[Client]) -> anyhow::Result<BTreeMap<i32, usize>> {
    let mut owners = BTreeMap::new();
    for (at, process) in processes.iter().enumerate() {
        let (pipelines, _) = process.get::<Vec<Pipeline>>("pipelines").await?;
        let branches = pipelines.iter().flat_map(|p| &p.branches);
        for branch in branches.filter(|b| b.group == group && b.state == "running") {
            owners.extend(branch.partitions.iter().map(|p| (p.partition, at)));
        }
    }
    Ok(owners)
}

/// The plan for one branch.
pub(super) async fn plan(
    args: &Args,
    settings: &Settings,
    pipeline: &Arc<PipelineSpec>,
    sink: &SinkSpec,
    processes: &[Client],
) -> anyhow::Result<BranchPlan> {
    let group = format!("{}.{}", pipeline.name, sink.name);
    let probe = Probe::new(&settings.kafka, Arc::clone(&pipeline.topic), &group)
        .context("the settings under [kafka] make no client")?;
    // Refused where the topic is another than the spec says.
    probe.identity().await?;
    let committed = probe.committed().await?;
    let since = match args.to {
        Target::Time(time) => probe.since(time.as_millisecond()).await?,
        Target::Earliest | Target::Offset(_) => BTreeMap::new(),
    };
    let horizon = i64::try_from(sink.horizon.as_millis()).unwrap_or(i64::MAX);
    let young = probe.since((now_ms() - horizon).max(0)).await?;
    let mut steps = Vec::new();
    for partition in 0..pipeline.topic.partitions {
        if args.partition.is_some_and(|only| only != partition) {
            continue;
        }
        let (low, end) = probe.watermarks(partition).await?;
        let of = |all: &BTreeMap<i32, Option<i64>>| all.get(&partition).copied().flatten();
        let seen = Seen {
            partition,
            low,
            end,
            committed: of(&committed),
            since: of(&since),
            young: of(&young),
        };
        steps.push(Step::new(args.to, &seen));
    }
    let mut refused: Vec<String> = steps.iter().filter(|s| s.refused).map(sentence).collect();
    if let Target::Time(time) = args.to
        && steps
            .iter()
            .all(|s| since.get(&s.partition).copied().flatten().is_none())
    {
        refused.push(format!("no record is of {time} or later"));
    }
    let owners = owners(&group, processes).await?;
    let (by, elsewhere) = By::of(&steps, &owners);
    if !elsewhere.is_empty() {
        refused.push(format!(
            "partitions {elsewhere:?} are not read by a process that was asked: name the admin addresses of all that run this \
             pipeline with --admin (`twolane lag` shows what each reads), or stop those"
        ));
    }
    Ok(BranchPlan {
        sink: sink.name.clone(),
        group,
        steps,
        by,
        refused,
        probe,
    })
}

fn sentence(step: &Step) -> String {
    format!(
        "partition {}: {}",
        step.partition,
        step.note.as_deref().unwrap_or_default()
    )
}
