//! The plan, for people and for scripts.

use serde_json::{Value, json};

use super::act::By;
use super::{Args, BranchPlan};
use crate::cli::status::print;
use crate::cli::status::table::{Table, count};
use crate::config::{PipelineSpec, show_duration};

/// What holds of every rewind.
const NOTES: [&str; 2] = [
    "Records keep their versions: what a sink holds in the same version or a newer one stays as it is. A document gets \
     another shape by a newer change, or in a new index.",
    "A partition only goes back. Forward of its committed offset it would pass over records that nobody has resolved, and \
     they would be lost.",
];

fn by(plan: &BranchPlan) -> &'static str {
    match plan.by {
        By::Kafka(_) => "the brokers, if the group has no members",
        By::Processes(_) => "the processes that read them",
    }
}

fn beyond(plan: &BranchPlan) -> bool {
    plan.steps.iter().any(|step| step.beyond_horizon)
}

fn horizon(pipeline: &PipelineSpec, plan: &BranchPlan) -> String {
    let sink = pipeline.sinks.iter().find(|sink| sink.name == plan.sink);
    let horizon = sink.map_or_else(String::new, |sink| show_duration(sink.horizon));
    format!(
        "{}: some of these records are older than the horizon ({horizon}), for which deletes are remembered: rows that were \
         deleted since may be seen again until their delete comes again.",
        plan.group
    )
}

/// A table for each branch.
pub(super) fn table(
    args: &Args,
    pipeline: &PipelineSpec,
    plans: &[BranchPlan],
) -> anyhow::Result<()> {
    let mut text = String::new();
    for plan in plans {
        text += &format!(
            "{} of topic {}, to {}, by {}:\n",
            plan.group,
            pipeline.topic.name,
            args.to,
            by(plan)
        );
        let mut table = Table::new(&[
            "PARTITION",
            "LOG FROM",
            "TO",
            "COMMITTED",
            "TARGET",
            "READ AGAIN",
            "NOTE",
        ]);
        for step in &plan.steps {
            table.row([
                step.partition.to_string(),
                step.low.to_string(),
                step.end.to_string(),
                count(step.committed),
                count(step.target),
                step.again.to_string(),
                step.note.clone().unwrap_or_default(),
            ]);
        }
        text += &table.text();
        text.push('\n');
    }
    for plan in plans.iter().filter(|plan| beyond(plan)) {
        text += &format!("{}\n", horizon(pipeline, plan));
    }
    text += &NOTES.map(|note| format!("{note}\n")).concat();
    if !plans.iter().any(BranchPlan::moves) {
        text += "Nothing is to be read again.\n";
    }
    print(&text)?;
    for plan in plans {
        for why in &plan.refused {
            eprintln!("refused: {}: {why}", plan.group);
        }
    }
    Ok(())
}

/// All of it as one object.
pub(super) fn json(
    args: &Args,
    pipeline: &PipelineSpec,
    plans: &[BranchPlan],
    applied: bool,
) -> anyhow::Result<()> {
    let mut notes: Vec<String> = NOTES.map(str::to_owned).into();
    let warned = plans.iter().filter(|plan| beyond(plan));
    notes.extend(warned.map(|plan| horizon(pipeline, plan)));
    let branches: Vec<Value> = plans
        .iter()
        .map(|plan| {
            json!({
                "branch": plan.group,
                "by": match plan.by {
                    By::Kafka(_) => "kafka",
                    By::Processes(_) => "processes",
                },
                "partitions": plan.steps,
                "refused": plan.refused,
            })
        })
        .collect();
    let all = json!({
        "pipeline": pipeline.name,
        "topic": pipeline.topic.name,
        "to": args.to.to_string(),
        "branches": branches,
        "notes": notes,
        "applied": applied,
    });
    print(&format!("{}\n", serde_json::to_string_pretty(&all)?))
}
