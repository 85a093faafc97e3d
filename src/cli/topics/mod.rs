//! `twolane topics`: whether Kafka's topics, the registry's schemas and NATS's streams are what the files under
//! `topics/` say, and makes them so.
//!
//! Promises: `plan` changes nothing; `apply` makes what is absent and alters what loses nothing by it, each
//! thing for itself, and refuses the rest with the remedy: another number of partitions or replicas, a log that
//! would forget before a sink's horizon does, a compacted log that would be one no more, a schema that does not
//! follow the one before it. Settings of a topic that its spec does not name are the operator's, and left alone.
//!
//! Exit codes, for both: 0 nothing is to be done, or all of it was done; 1 something is refused, or a server did
//! not answer, or a file is wrong; 2, of `plan` alone, there are differences, and none is refused.

mod columns;
mod item;
mod judge;
mod kafka;
mod schemas;
mod streams;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use self::item::{Item, Mode, Report};
use crate::config::{self, Config, LoadOptions, TopicSpec};
use crate::live;

/// There are differences.
const DIFFERENCES: u8 = 2;

/// Arguments of `topics`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say what `apply` would do; exit 2 where that is something, 1 where it would be refused
    Plan(Which),
    /// Make what is absent, alter what is safe, refuse the rest; exit 1 where anything is refused
    Apply(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The topics, by their names, and `live` for the live lane's streams [default: all of them]
    topics: Vec<String>,
}

/// What was asked for.
struct Selected {
    topics: Vec<Arc<TopicSpec>>,
    live: bool,
}

/// Runs one of the commands.
pub(super) fn run(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let config = match config::load(options) {
        Ok(config) => config,
        Err(problems) => {
            // 2 says something else here.
            eprintln!("{problems}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let (mode, which) = match &args.command {
        Command::Plan(which) => (Mode::Plan, which),
        Command::Apply(which) => (Mode::Apply, which),
    };
    let selected = select(&config, &which.topics)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(all(&config, &selected, mode))?;
    let mut out = std::io::stdout().lock();
    report.print(&mut out, mode)?;
    out.flush()?;
    Ok(if report.failed() {
        ExitCode::FAILURE
    } else if mode == Mode::Plan && report.differs() {
        ExitCode::from(DIFFERENCES)
    } else {
        ExitCode::SUCCESS
    })
}

fn select(config: &Config, names: &[String]) -> anyhow::Result<Selected> {
    if names.is_empty() {
        return Ok(Selected {
            topics: config.topics.clone(),
            live: config.live.is_some(),
        });
    }
    let mut wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let live = wanted.remove(live::lane::NAME);
    if live && config.live.is_none() {
        bail!(
            "there is no live lane: it is described by live.toml in {}",
            config.settings.topics_dir.display()
        );
    }
    let topics: Vec<_> = config
        .topics
        .iter()
        .filter(|spec| wanted.remove(spec.name.as_str()))
        .cloned()
        .collect();
    if let Some(unknown) = wanted.first() {
        bail!(
            "no file in {} is of a topic {unknown:?}",
            config.settings.topics_dir.display()
        );
    }
    Ok(Selected { topics, live })
}

async fn all(config: &Config, selected: &Selected, mode: Mode) -> anyhow::Result<Report> {
    let mut report = Report::default();
    if !selected.topics.is_empty() {
        let kafka = kafka::Kafka::new(&config.settings.kafka)
            .context("the settings under [kafka] make no client")?;
        for spec in &selected.topics {
            let horizon = judge::Horizon::of(config, spec);
            let found = match kafka.find(spec).await {
                Ok(found) => found,
                Err(why) => {
                    // The others would wait as long, and hear the same.
                    report.add(Item::failed(format!("topic {}", spec.name), why));
                    break;
                }
            };
            let verdict = judge::judge(spec, found.as_ref(), horizon.as_ref());
            let item = Item::new(format!("topic {}", spec.name), verdict);
            let item = kafka.carry_out(item, spec, horizon.as_ref(), mode).await;
            report.add(item);
            if found.is_some() {
                report.extend(columns::of(&config.settings, spec).await);
            }
            report.extend(schemas::of(&config.settings, spec, mode).await);
        }
    }
    if let (Some(spec), true) = (&config.live, selected.live) {
        report.extend(streams::of(&config.settings.nats, spec, mode).await);
    }
    Ok(report)
}
