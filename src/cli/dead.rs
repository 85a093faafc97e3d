//! `twolane dead`: [`crate::dead`] at the command line, for whoever can reach the brokers and the sinks.
//!
//! `show` alone prints what a record holds, all of it, and only of the one letter that was asked for. A replay is noted
//! in the audit log.

mod list;
mod replay;
mod show;

use std::collections::BTreeSet;
use std::io;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::Subcommand;

use super::WrongInput;
use crate::config::{self, Config, LoadOptions};

/// Arguments of `dead`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the letters, the newest last, and their number by reason
    List(list::Args),
    /// Print everything of one letter: headers, key and value
    Show(show::Args),
    /// Write letters into their sinks again, with their original versions; the letters stay where they are
    Replay(replay::Args),
}

/// Whose dead letters.
#[derive(Debug, clap::Args)]
struct Whose {
    /// The letters of this pipeline
    #[arg(long, value_name = "PIPELINE", conflicts_with = "topic")]
    pipeline: Option<String>,
    /// The letters of this source topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
}

/// Runs one of the commands.
pub(super) fn run(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let config = config::load(options).map_err(WrongInput)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match &args.command {
            Command::List(args) => unless_closed(list::run(args, &config).await),
            Command::Show(args) => unless_closed(show::run(args, &config).await),
            Command::Replay(args) => replay::run(args, config).await,
        }
    })
}

/// Whoever reads the output may stop reading: `twolane dead list | head`.
fn unless_closed(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    match result {
        Err(error)
            if error
                .downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) =>
        {
            Ok(ExitCode::SUCCESS)
        }
        other => other.map(|()| ExitCode::SUCCESS),
    }
}

// === impl Whose ===

impl Whose {
    /// The source topics to look at: the one named, the pipeline's, or all that pipelines read.
    ///
    /// # Errors
    /// Where there is no such pipeline, or none at all.
    fn topics(&self, config: &Config) -> anyhow::Result<BTreeSet<String>> {
        if let Some(topic) = &self.topic {
            // The name of the dead-letter topic itself is as clear.
            let source = topic.strip_suffix(".dead").unwrap_or(topic);
            return Ok(BTreeSet::from([source.to_owned()]));
        }
        let names: Vec<String> = self.pipeline.iter().cloned().collect();
        let pipelines = config.select(&names).map_err(|why| anyhow!(why))?;
        let topics: BTreeSet<String> = pipelines.iter().map(|p| p.topic.name.clone()).collect();
        if topics.is_empty() {
            bail!(
                "there is no pipeline in {}: say --topic",
                config.settings.pipelines_dir.display()
            );
        }
        Ok(topics)
    }

    /// As [`Whose::topics`], where a letter is named by its offset, which is one of a single topic.
    ///
    /// # Errors
    /// Also where there are several.
    fn one_topic(&self, config: &Config) -> anyhow::Result<String> {
        let mut topics = self.topics(config)?;
        match (topics.pop_first(), topics.is_empty()) {
            (Some(topic), true) => Ok(topic),
            (first, _) => {
                topics.extend(first);
                let names: Vec<String> = topics.into_iter().collect();
                bail!(
                    "the pipelines read several topics ({}): say which one with --topic or --pipeline",
                    names.join(", ")
                )
            }
        }
    }
}
