//! The run: stack, topic, bare clients, and for each mode the lane in its own process, then the limit.

use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::bare::{Bare, Elasticsearch, Redis};
use super::child::Drain;
use super::records::Records;
use super::report::{self, Measured, print};
use super::specs::{Sinks, Specs};
use super::stack::{self, say};
use super::topic;
use crate::config::Config;

/// Servers that the bench needs.
const SERVICES: [&str; 3] = ["kafka", "elasticsearch", "redis"];
/// How long the machine is watched before a measurement.
const WATCH: Duration = Duration::from_secs(1);

/// Arguments of `bench sync`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Records in the topic
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    events: u64,
    /// Rows that they change, uniformly
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 750, value_parser = clap::value_parser!(u32).range(..=900_000))]
    bytes: u32,
    /// Partitions of the topic
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    partitions: i32,
    /// What runs at the same time; several, separated by commas, one after the other
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "elasticsearch,redis,both"
    )]
    sinks: Vec<Sinks>,
    /// Measure the lane alone, without the limit
    #[arg(long)]
    no_limit: bool,
    /// Print the figures as JSON on stdout; everything else goes to stderr
    #[arg(long)]
    json: bool,
    /// Leave topic, indices, keys and specs
    #[arg(long)]
    keep: bool,
    /// The local stack's instance
    #[arg(long, default_value = "bench")]
    instance: String,
}

/// Runs the bench.
///
/// # Errors
/// Whatever keeps it from figures.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let measured = actix::System::new().block_on(measure(args))?;
    print(
        args.json,
        || report::json(&measured),
        || report::text(&measured),
    );
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &Args) -> anyhow::Result<Vec<Measured>> {
    let records = Records::new(args.events, args.keys, args.bytes as usize)?;
    let mut sinks = args.sinks.clone();
    sinks.dedup();
    let stack = stack::up(&args.instance, &SERVICES).await?;
    let specs = Specs::write(&stack, args.partitions, &sinks)?;
    let config = specs.load()?;
    let measured = tokio::select! {
        measured = all(args, &specs, &config, records, &sinks) => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    if args.keep {
        say(&format!(
            "left as they are: topic {}, indices and keys {}*, specs {}",
            specs.topic,
            specs.unique,
            specs.settings.display()
        ));
        return measured;
    }
    let clean = clean(&specs, &config).await;
    // What went wrong first is what matters.
    let measured = measured?;
    clean.with_context(|| format!("cannot clean up after the run {}", specs.unique))?;
    Ok(measured)
}

async fn all(
    args: &Args,
    specs: &Specs,
    config: &Config,
    records: Records,
    sinks: &[Sinks],
) -> anyhow::Result<Vec<Measured>> {
    let brokers = config.settings.kafka.brokers.clone();
    let spec = config.topics.first().context("no topic spec")?;
    say(&format!(
        "filling {} with {} records of {} bytes",
        specs.topic,
        records.len(),
        args.bytes
    ));
    topic::make(&brokers, spec).await?;
    let spec = Arc::clone(spec);
    tokio::task::spawn_blocking(move || topic::fill(&brokers, &spec, records)).await??;
    let mut bare = None;
    if !args.no_limit {
        say("making the bare clients' requests ready, and warming the servers up");
        bare = Some(Bare::prepare(specs, records, sinks).await?);
    }
    let mut measured = Vec::new();
    for &sinks in sinks {
        let others = report::others(WATCH).await;
        say(&format!("{}: the lane", sinks.name()));
        let lane = drain(specs, sinks, records.len()).await?;
        let mut limit = Vec::new();
        if let Some(bare) = &mut bare {
            say(&format!("{}: the limit", sinks.name()));
            limit = bare.run(sinks).await?;
        }
        let next = Measured {
            sinks,
            events: records.len(),
            lane,
            limit,
            others,
        };
        say(&report::line(&next));
        measured.push(next);
    }
    Ok(measured)
}

/// Runs the lane in a process of its own: this one holds the bare clients' requests.
async fn drain(specs: &Specs, sinks: Sinks, events: u64) -> anyhow::Result<Drain> {
    let program = std::env::current_exe().context("this program's own file is not known")?;
    let output = Command::new(program)
        .args(["bench", "lane", "--pipeline"])
        .arg(specs.pipeline(sinks))
        .arg("--specs")
        .arg(&specs.settings)
        .arg("--events")
        .arg(events.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot start the measured process")?;
    if !output.status.success() {
        bail!(
            "the measured process failed ({}); what it said is above",
            output.status
        );
    }
    serde_json::from_slice(&output.stdout).context("the measured process gave no figures")
}

async fn clean(specs: &Specs, config: &Config) -> anyhow::Result<()> {
    let branches = config.pipelines.iter().flat_map(|p| {
        p.sinks
            .iter()
            .map(move |s| format!("{}.{}", p.name, s.name))
    });
    let groups: Vec<String> = branches.collect();
    topic::remove(&config.settings.kafka.brokers, specs, &groups).await?;
    let mut indices: Vec<String> = config
        .pipelines
        .iter()
        .map(|p| format!("{}-v1", p.name))
        .collect();
    // An interrupted limit leaves its index.
    indices.extend((1..=16).map(|n| format!("{}-limit-{n}", specs.unique)));
    Elasticsearch::remove(config, &indices).await?;
    Redis::remove(config, &specs.unique).await?;
    specs.remove().context("cannot remove the run's specs")
}
