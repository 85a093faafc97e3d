//! The run: stack, topic, bare clients, and for each mode the lane in its own process, then the limit; with
//! `--rate` instead of all that how long each change takes.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::bare::{Bare, Elasticsearch, Redis};
use super::benthos;
use super::child::Drain;
use super::latency;
use super::records::{Keys, Records};
use super::report::{self, Measured, Run, print};
use super::specs::{Sinks, Specs, Wish};
use super::stack::{self, say};
use super::topic;
use super::unless_interrupted;
use crate::cli::demo::run::duration;
use crate::cli::demo::stack::Stack;
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
    pub(super) events: u64,
    /// Rows that they change, uniformly
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(super) keys: u64,
    /// Change the rows by Zipf's law with this exponent instead
    #[arg(long, value_name = "EXPONENT", value_parser = exponent)]
    zipf: Option<f64>,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 750, value_parser = clap::value_parser!(u32).range(..=900_000))]
    pub(super) bytes: u32,
    /// Partitions of the topic
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    pub(super) partitions: i32,
    /// Workers of each branch; as many as pipelines have by default where this is not given
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) workers: Option<u16>,
    /// What runs at the same time; several, separated by commas, one after the other
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "elasticsearch,redis,both"
    )]
    pub(super) sinks: Vec<Sinks>,
    /// Measure the lane alone, without the limit
    #[arg(long)]
    pub(super) no_limit: bool,
    /// Let this Benthos drain the same topic as well (deploy/bench/README.md says how to build it)
    #[arg(long, value_name = "PROGRAM")]
    benthos: Option<PathBuf>,
    /// Send this many changes a second instead, and measure how long each takes into the sinks
    #[arg(long, value_name = "CHANGES", conflicts_with_all = ["benthos", "no_limit", "zipf", "keys", "events"],
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// For so long, with `--rate`
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", value_parser = duration, requires = "rate")]
    length: Duration,
    /// Print the figures as JSON on stdout; everything else goes to stderr
    #[arg(long)]
    json: bool,
    /// Leave topic, indices, keys and specs
    #[arg(long)]
    keep: bool,
    /// The local stack's instance
    #[arg(long, default_value = "bench")]
    pub(super) instance: String,
}

// === impl Args ===

impl Args {
    /// Each branch alone over so many events, without the limit; everything else as by default.
    pub(super) fn plain(instance: &str, events: u64) -> Self {
        Self {
            events,
            keys: 200_000,
            zipf: None,
            bytes: 750,
            partitions: 8,
            workers: None,
            sinks: vec![Sinks::Elasticsearch, Sinks::Redis],
            no_limit: true,
            benthos: None,
            rate: None,
            length: Duration::ZERO,
            json: false,
            keep: false,
            instance: instance.to_owned(),
        }
    }

    /// What runs at the same time, one after the other; each once, since figures go by its name.
    fn each(&self) -> Vec<Sinks> {
        let mut each = Vec::new();
        for sinks in &self.sinks {
            if !each.contains(sinks) {
                each.push(*sinks);
            }
        }
        each
    }
}

fn exponent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(exponent) if (0.1..=3.0).contains(&exponent) => Ok(exponent),
        Ok(_) | Err(_) => Err("not a number from 0.1 to 3".to_owned()),
    }
}

/// Runs the bench.
///
/// # Errors
/// Whatever keeps it from figures.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match args.rate {
        Some(rate) => {
            let mut measured = Vec::new();
            for sinks in args.each() {
                measured.push(actix::System::new().block_on(latencies(args, sinks, rate))?);
            }
            print(
                args.json,
                || latency::json(&measured),
                || measured.iter().map(latency::Measured::text).collect(),
            );
        }
        None => {
            let run = actix::System::new().block_on(measure(args))?;
            print(args.json, || report::json(&run), || report::text(&run));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// How long each change takes at a fixed rate.
async fn latencies(args: &Args, sinks: Sinks, rate: u32) -> anyhow::Result<latency::Measured> {
    let prepared = Prepared::new(args, vec![sinks]).await?;
    let measured = async {
        let config = &prepared.config;
        let spec = config.topics.first().context("no topic spec")?;
        let brokers = &config.settings.kafka.brokers;
        topic::make(brokers, spec).await?;
        let pace = (rate, args.length);
        latency::measure(
            &prepared.specs,
            sinks,
            brokers,
            spec,
            args.bytes as usize,
            pace,
        )
        .await
    };
    let measured = unless_interrupted(measured).await;
    prepared.end(args.keep, measured).await
}

/// Everything else.
///
/// # Errors
/// Whatever keeps it from figures.
pub(super) async fn measure(args: &Args) -> anyhow::Result<Run> {
    let keys = match args.zipf {
        Some(exponent) => Keys::zipf(args.keys, exponent),
        None => Keys::Uniform(args.keys),
    };
    let records = Records::new(args.events, keys, args.bytes as usize)?;
    let prepared = Prepared::new(args, args.each()).await?;
    let measured = unless_interrupted(all(args, &prepared, &records)).await;
    prepared.end(args.keep, measured).await
}

/// Servers that run, and specs that are written.
struct Prepared {
    stack: Stack,
    specs: Specs,
    config: Config,
    sinks: Vec<Sinks>,
}

// === impl Prepared ===

impl Prepared {
    async fn new(args: &Args, sinks: Vec<Sinks>) -> anyhow::Result<Self> {
        let stack = stack::up(&args.instance, &SERVICES).await?;
        let wish = Wish {
            partitions: args.partitions,
            workers: args.workers.map(usize::from),
            sinks,
        };
        let specs = Specs::write(&stack, &wish)?;
        let config = specs.load()?;
        Ok(Self {
            stack,
            specs,
            config,
            sinks: wish.sinks,
        })
    }

    /// Removes what the run has made, unless it is to stay.
    async fn end<T>(self, keep: bool, measured: anyhow::Result<T>) -> anyhow::Result<T> {
        let specs = &self.specs;
        if keep {
            say(&format!(
                "left as they are: topic {}, indices and keys {}*, specs {}",
                specs.topic,
                specs.unique,
                specs.settings.display()
            ));
            return measured;
        }
        let clean = clean(specs, &self.config).await;
        // What went wrong first is what matters.
        let measured = measured?;
        clean.with_context(|| format!("cannot clean up after the run {}", specs.unique))?;
        Ok(measured)
    }
}

async fn all(args: &Args, prepared: &Prepared, records: &Records) -> anyhow::Result<Run> {
    let (specs, config) = (&prepared.specs, &prepared.config);
    let brokers = config.settings.kafka.brokers.clone();
    let spec = config.topics.first().context("no topic spec")?;
    say(&format!(
        "filling {} with {} records of {} bytes",
        specs.topic,
        records.len(),
        args.bytes
    ));
    topic::make(&brokers, spec).await?;
    let (spec, filled) = (Arc::clone(spec), records.clone());
    tokio::task::spawn_blocking(move || topic::fill(&brokers, &spec, &filled)).await??;
    let mut bare = None;
    if !args.no_limit {
        say("making the bare clients' requests ready, and warming the servers up");
        bare = Some(Bare::prepare(specs, records, &prepared.sinks).await?);
    }
    let mut measured = Vec::new();
    for &sinks in &prepared.sinks {
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
    let mut peer = None;
    if let Some(program) = &args.benthos {
        say("benthos");
        peer = Some(benthos::drain(program, &prepared.stack, specs, records.len()).await?);
    }
    Ok(Run { measured, peer })
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
    let groups: Vec<String> = branches.chain([benthos::name(specs)]).collect();
    topic::remove(&config.settings.kafka.brokers, specs, &groups).await?;
    let mut indices: Vec<String> = config
        .pipelines
        .iter()
        .map(|p| format!("{}-v1", p.name))
        .collect();
    // An interrupted limit leaves its index.
    indices.extend((1..=16).map(|n| format!("{}-limit-{n}", specs.unique)));
    indices.push(benthos::name(specs));
    Elasticsearch::remove(config, &indices).await?;
    Redis::remove(config, &specs.unique).await?;
    specs.remove().context("cannot remove the run's specs")
}
