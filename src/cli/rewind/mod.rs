//! `twolane rewind`: has a pipeline's branches read records again, after a plan.
//!
//! Where a process reads the partitions it does so itself, asked through its admin address, so that nothing is in flight
//! past the new offset. A group without members is turned back at the brokers. They refuse that while there are members,
//! so a process that was not asked is never deceived.
//!
//! Exit codes: 0 turned back, or nothing to turn back; 1 refused, failed or not confirmed; 2 wrong input.

mod act;
mod ask;
mod plan;
mod show;
mod target;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use self::act::By;
use self::plan::Step;
use self::target::Target;
use super::status::client::Client;
use super::{WRONG_INPUT, WrongInput};
use crate::config::{self, LoadOptions, PipelineSpec, Settings};
use crate::source::Probe;

/// Arguments of `rewind`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The pipeline
    pipeline: String,
    /// Where to: an offset (with --partition), a time with its zone such as 2026-11-27T10:00:00Z, or `earliest`
    #[arg(long, value_name = "OFFSET|TIME|earliest")]
    to: Target,
    /// The sink whose branch is meant, such as elasticsearch or redis [default: all of the pipeline's]
    #[arg(long, value_name = "SINK")]
    branch: Option<String>,
    /// The partition that is meant [default: all of the topic's]
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// The admin address of a process that reads the partitions; may be given several times [default: admin.listen of
    /// the settings, where a process answers]
    #[arg(long, value_name = "HOST:PORT")]
    admin: Vec<String>,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    /// Print the plan, and whether it was carried out, as JSON
    #[arg(long)]
    json: bool,
}

/// One branch of the plan.
struct BranchPlan {
    sink: String,
    group: String,
    steps: Vec<Step>,
    by: By,
    /// Why it may not be.
    refused: Vec<String>,
    probe: Probe,
}

// === impl BranchPlan ===

impl BranchPlan {
    fn moves(&self) -> bool {
        self.steps.iter().any(|step| step.target.is_some())
    }
}

/// Plans, shows, asks, and does it.
pub(super) fn run(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let config = config::load(options).map_err(WrongInput)?;
    let selected = config.select(std::slice::from_ref(&args.pipeline));
    let pipeline = match selected.map(|mut all| all.pop()) {
        Ok(Some(pipeline)) => Arc::new(pipeline.clone()),
        Ok(None) => return Ok(wrong("no pipeline is named")),
        Err(why) => return Ok(wrong(&why)),
    };
    if let Some(why) = wrong_input(args, &pipeline) {
        return Ok(wrong(&why));
    }
    actix::System::new().block_on(rewind(args, &config.settings, &pipeline))
}

fn wrong(why: &str) -> ExitCode {
    eprintln!("twolane: {why}");
    ExitCode::from(WRONG_INPUT)
}

fn wrong_input(args: &Args, pipeline: &PipelineSpec) -> Option<String> {
    let partitions = pipeline.topic.partitions;
    if let Some(sink) = &args.branch
        && !pipeline.sinks.iter().any(|s| s.name == *sink)
    {
        let names: Vec<&str> = pipeline.sinks.iter().map(|s| s.name.as_str()).collect();
        return Some(format!(
            "pipeline {} has no sink {sink:?}: it has {}",
            pipeline.name,
            names.join(" and ")
        ));
    }
    match (args.partition, args.to) {
        (Some(partition), _) if !(0..partitions).contains(&partition) => Some(format!(
            "topic {} has partitions 0 to {}, and no {partition}",
            pipeline.topic.name,
            partitions - 1
        )),
        (None, Target::Offset(_)) if partitions > 1 => Some(format!(
            "an offset is one partition's: name it with --partition (0 to {}), or give a time",
            partitions - 1
        )),
        (Some(_) | None, _) => None,
    }
}

async fn rewind(
    args: &Args,
    settings: &Settings,
    pipeline: &Arc<PipelineSpec>,
) -> anyhow::Result<ExitCode> {
    let processes = ask::processes(&args.admin, &settings.admin).await?;
    let mut plans = Vec::new();
    for sink in &pipeline.sinks {
        if args.branch.as_ref().is_none_or(|name| *name == sink.name) {
            let plan = ask::plan(args, settings, pipeline, sink, &processes).await?;
            plans.push(plan);
        }
    }
    let refused = plans.iter().any(|plan| !plan.refused.is_empty());
    let moves = plans.iter().any(BranchPlan::moves);
    if !args.json {
        show::table(args, pipeline, &plans)?;
    }
    if refused || !moves {
        if args.json {
            show::json(args, pipeline, &plans, false)?;
        }
        return Ok(if refused {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        });
    }
    if !confirmed(args)? {
        if args.json {
            show::json(args, pipeline, &plans, false)?;
        }
        eprintln!("nothing was changed: add --yes to do it");
        return Ok(ExitCode::FAILURE);
    }
    let done = carry_out(&plans, &processes).await;
    if args.json {
        show::json(args, pipeline, &plans, done.is_ok())?;
    }
    done?;
    Ok(ExitCode::SUCCESS)
}

async fn carry_out(plans: &[BranchPlan], processes: &[Client]) -> anyhow::Result<()> {
    let mut done: Vec<&str> = Vec::new();
    for plan in plans.iter().filter(|plan| plan.moves()) {
        let acted = act::carry_out(plan, processes).await;
        acted.map_err(|why| match &done[..] {
            [] => why,
            done => anyhow!("{why:#} ({} was turned back before that)", done.join(", ")),
        })?;
        eprintln!("{} was turned back", plan.group);
        done.push(&plan.group);
    }
    Ok(())
}

/// Whether to go on. Nobody is asked where nobody could answer.
fn confirmed(args: &Args) -> anyhow::Result<bool> {
    if args.yes {
        return Ok(true);
    }
    let stdin = std::io::stdin();
    if args.json || !stdin.is_terminal() {
        return Ok(false);
    }
    eprint!("Read these records again? [y/N] ");
    std::io::stderr().flush().context("asking")?;
    let mut line = String::new();
    stdin
        .lock()
        .read_line(&mut line)
        .context("reading the answer")?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
