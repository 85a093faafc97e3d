//! `twolane produce`: sends the events of a file, one JSON object a line, and says exactly what became of them.
//!
//! Promises: every line that is not blank ends up in one of three counts, and only in one: acknowledged by
//! Kafka, refused (never sent, or the broker said no, for good), or not acknowledged (the time was up: it may be
//! there or not). Each refused line is named with the field and the remedy. No more is read ahead than the
//! producer's queue holds.

mod read;
mod send;
mod tally;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};

use self::tally::Tally;
use super::WrongInput;
use crate::config::{self, Config, LoadOptions, TopicSpec};
use crate::produce::{Limits, Producer, open};

/// As Java's producer waits: long enough to fill a batch at any rate that a file is read at.
const LINGER: Duration = Duration::from_millis(5);
/// Between two reports of progress to a terminal, and to what is none.
const PROGRESS: Duration = Duration::from_secs(1);
const SELDOM: Duration = Duration::from_secs(10);

/// Arguments of `produce`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The topic, by the name in its spec; its events come on standard input, one JSON object a line
    topic: String,
    /// How many refused lines are named; all of them are counted
    #[arg(long, value_name = "N", default_value_t = 100)]
    show: u64,
}

/// Sends until the input ends, or Ctrl-C. 0 when every line was acknowledged, else 1.
pub(super) fn run(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let config = config::load(options).map_err(WrongInput)?;
    let spec = topic(&config, &args.topic)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(produce(args, &config, &spec))
}

fn topic(config: &Config, name: &str) -> anyhow::Result<Arc<TopicSpec>> {
    let found = config.topics.iter().find(|spec| spec.name == name);
    found.cloned().ok_or_else(|| {
        let known: Vec<&str> = config
            .topics
            .iter()
            .map(|spec| spec.name.as_str())
            .collect();
        anyhow!(
            "no file in {} is of a topic {name:?}: there are {}",
            config.settings.topics_dir.display(),
            known.join(", ")
        )
    })
}

async fn produce(args: &Args, config: &Config, spec: &Arc<TopicSpec>) -> anyhow::Result<ExitCode> {
    let settings = &config.settings;
    let limits = Limits {
        bytes: settings.produce.queue_bytes,
        records: settings.produce.queue_records,
        linger: LINGER,
        delivery: settings.produce.timeout,
    };
    let producer = Producer::new(&settings.kafka, limits)
        .map_err(|e| anyhow!("the settings under [kafka] make no producer: {e}"))?;
    let producer = Arc::new(producer);
    let topic = open::open(settings, spec, &producer).await?;
    let tally = Arc::new(Tally::new(args.show));
    let lines = read::lines().context("cannot read standard input")?;
    let sending = send::Sending {
        producer: &producer,
        topic: &topic,
        tally: &tally,
        queue: settings.produce.queue_records,
        timeout: settings.produce.timeout,
    };
    let ended = {
        let work = sending.run(lines);
        tokio::pin!(work);
        let terminal = std::io::stderr().is_terminal();
        let mut ticks = tokio::time::interval(if terminal { PROGRESS } else { SELDOM });
        ticks.tick().await;
        loop {
            tokio::select! {
                ended = &mut work => break ended?,
                _ = ticks.tick() => tally.progress(terminal),
            }
        }
    };
    tally.clear();
    let counts = tally.counts();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{counts}{}", ended.remark(&counts))?;
    Ok(if counts.all_acknowledged() && ended.is_whole() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
