//! The measured process: the branches of a pipeline, their sinks timed. It says that it is ready when every branch
//! has its partitions, is told on stdin when the first change is due, and prints the latencies as JSON at the end.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};

use super::since::{Appended, Schedule, latencies};
use super::timed::{Seen, TimedHub};
use super::{Latencies, READY};
use crate::branch::{self, Branch, RunningBranch, State};
use crate::cli::bench::specs;
use crate::ops;
use crate::sink::registry;
use crate::supervise::Tree;

/// Between two looks at the counters.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long it may take to get ready, and without progress after that.
const PATIENCE: Duration = Duration::from_secs(60);

/// Arguments of the measured process.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli::bench) struct Args {
    #[arg(long)]
    specs: PathBuf,
    #[arg(long)]
    pipeline: String,
    #[arg(long)]
    events: u64,
    #[arg(long)]
    rate: u32,
    /// Milliseconds from the first change on that are not counted
    #[arg(long)]
    skip: u64,
}

/// Runs the branches, and prints their latencies.
pub(in crate::cli::bench) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let latencies = actix::System::new().block_on(measure(args))?;
    println!("{}", serde_json::to_string(&latencies)?);
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &Args) -> anyhow::Result<Vec<Latencies>> {
    let config = specs::read(&args.specs)?;
    let pipelines = config
        .select(std::slice::from_ref(&args.pipeline))
        .map_err(|why| anyhow!(why))?;
    let pipeline = pipelines.first().context("no pipeline")?;
    let pipeline = Arc::new((*pipeline).clone());
    let settings = Arc::new(config.settings.clone());
    ops::logging::init(&settings.log).map_err(|why| anyhow!(why))?;
    let tree = Arc::new(Tree::default());
    let mut running: Vec<(RunningBranch, Seen)> = Vec::new();
    for sink in &pipeline.sinks {
        let seen = Seen::default();
        let hub = Arc::new(TimedHub {
            hub: registry::hub(&settings, &pipeline, sink)?,
            seen: Arc::clone(&seen),
        });
        let branch = branch::start_with(hub, &settings, &pipeline, sink, &tree)?;
        running.push((branch, seen));
    }
    let branches: Vec<Arc<Branch>> = running.iter().map(|r| Arc::clone(&r.0.branch)).collect();
    until(&branches, "getting ready", has_its_partitions).await?;
    println!("{READY}");
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let schedule = Schedule {
        begin_us: read.await??.trim().parse().context("no beginning")?,
        rate: args.rate,
        skip: Duration::from_millis(args.skip),
    };
    let events = args.events;
    until(&branches, "writing", |b| resolved(b) >= events).await?;
    let mut times = Vec::new();
    for (branch, seen) in running {
        let sink = branch.branch.spec.name.clone();
        branch.stop().await;
        times.push((sink, seen));
    }
    let brokers = settings.kafka.brokers.clone();
    let (topic, partitions) = (pipeline.topic.name.clone(), pipeline.topic.partitions);
    let appended = move || Appended::read(&brokers, &topic, partitions);
    let appended = tokio::task::spawn_blocking(appended).await??;
    let of = |(sink, seen): (String, Seen)| {
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        latencies(&sink, &seen, schedule, &appended)
    };
    times.into_iter().map(of).collect()
}

/// Waits until this holds for every branch, for as long as they move.
async fn until(
    branches: &[Arc<Branch>],
    doing: &str,
    holds: impl Fn(&Branch) -> bool,
) -> anyhow::Result<()> {
    let (mut before, mut moved) = (0, Instant::now());
    while !branches.iter().all(|b| holds(b)) {
        tokio::time::sleep(LOOK_EVERY).await;
        let sum = branches.iter().map(|b| resolved(b)).sum::<u64>();
        if sum > before {
            (before, moved) = (sum, Instant::now());
        }
        if moved.elapsed() > PATIENCE {
            bail!(
                "{doing}: nothing moved for {} s; the log lines above may say why",
                PATIENCE.as_secs()
            );
        }
        for branch in branches {
            if let State::Halted(why) = branch.control.state() {
                bail!("{} halted: {why}", branch.name);
            }
        }
    }
    Ok(())
}

fn has_its_partitions(branch: &Branch) -> bool {
    let assigned = branch.stats.partitions().len();
    branch.control.state() == State::Running
        && i32::try_from(assigned) == Ok(branch.topic().partitions)
}

fn resolved(branch: &Branch) -> u64 {
    let tally = branch.ledger.tally();
    tally.applied.load(Ordering::Relaxed)
        + tally.superseded.load(Ordering::Relaxed)
        + tally.dead_lettered.load(Ordering::Relaxed)
}
