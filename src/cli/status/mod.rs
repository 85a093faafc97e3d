//! `twolane status`, `lag`, `actors`, `rooms`, `settings`, `audit`, `pause`, `resume` and `restart`: a running process seen
//! and steered through its admin address, as its page shows it.
//!
//! Exit codes: 0 all is well; 1 it is not (not ready, halted, refused), or nobody answers.

mod act;
pub(super) mod client;
mod lag;
mod records;
mod rooms;
pub(super) mod shapes;
pub(super) mod table;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::de::DeserializeOwned;

use self::client::Client;
use self::shapes::{Node, Pipeline, Ready};
use self::table::{Table, count, rate, seconds, size};
use super::WrongInput;
use crate::config::{self, LoadOptions};

pub(super) use self::act::{pause, restart, resume};
pub(super) use self::lag::lag;
pub(super) use self::records::{audit, settings};
pub(super) use self::rooms::rooms;

/// Which process, and how it is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The admin address of the process [default: admin.listen of the settings]
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) admin: Option<String>,
    /// Print what the process answers, as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// A branch of a process.
#[derive(Debug, clap::Args)]
pub(super) struct Branch {
    #[command(flatten)]
    of: Args,
    /// The pipeline
    pipeline: String,
    /// Its sink's name
    sink: String,
}

/// An actor or a supervisor of a process.
#[derive(Debug, clap::Args)]
pub(super) struct Actor {
    #[command(flatten)]
    of: Args,
    /// Its name, as `twolane actors` shows it
    actor: String,
}

/// Whether it is ready, and each branch in a line.
pub(super) fn status(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    ask(args, options, async |client| {
        let (ready, is) = client.get::<Ready>("ready").await?;
        let (pipelines, all) = client.get::<Vec<Pipeline>>("pipelines").await?;
        if args.json {
            print(&format!(
                "{{\"ready\": {},\n\"pipelines\": {}}}\n",
                is.trim(),
                all.trim()
            ))?;
        } else {
            let mut table = Table::new(&[
                "BRANCH",
                "STATE",
                "RECORDS/S",
                "LAG",
                "FRESHNESS",
                "P99",
                "IN FLIGHT",
                "DEAD",
                "RETRIED",
                "WHY",
            ]);
            for branch in pipelines.iter().flat_map(|p| &p.branches) {
                table.row([
                    branch.group.clone(),
                    branch.state.clone(),
                    rate(branch.per_second.records),
                    count(branch.lag),
                    seconds(branch.last_freshness_seconds),
                    seconds(branch.freshness_seconds.p99),
                    size(branch.buffer.bytes),
                    count(Some(branch.records.dead_lettered)),
                    count(Some(branch.retried)),
                    branch.reason.clone().unwrap_or_default(),
                ]);
            }
            print(&table.text())?;
            for unready in &ready.not_ready {
                eprintln!(
                    "not ready: {} is {}: {}",
                    unready.name, unready.state, unready.reason
                );
            }
        }
        Ok(ready.ready)
    })
}

/// The supervision tree.
pub(super) fn actors(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let text = |tree: &Node| {
        let mut table = Table::new(&[
            "ACTOR",
            "STATE",
            "SINCE",
            "RESTARTS",
            "QUEUE",
            "PROGRESS",
            "LAST EXIT",
        ]);
        tree.each(0, &mut |node, depth| {
            table.row([
                format!("{}{}", "  ".repeat(depth), node.name),
                node.state.clone(),
                seconds(Some(node.since_seconds)),
                count(Some(node.restarts)),
                count(node.queue),
                seconds(node.progress.as_ref().map(|p| p.age_seconds)),
                node.last_exit.clone().unwrap_or_default(),
            ]);
            if node.more > 0 {
                let more = format!("{}and {} more", "  ".repeat(depth + 1), node.more);
                table.row([more]);
            }
        });
        table.text()
    };
    show(args, options, "actors", text, |_| true)
}

/// Shows what a path says, as it came or as `text` has it; `well` is whether that is good news.
fn show<T: DeserializeOwned>(
    args: &Args,
    options: &LoadOptions,
    path: &str,
    text: impl FnOnce(&T) -> String,
    well: impl FnOnce(&T) -> bool,
) -> anyhow::Result<ExitCode> {
    ask(args, options, async |client| {
        let (read, all) = client.get::<T>(path).await?;
        print(&if args.json { all } else { text(&read) })?;
        Ok(well(&read))
    })
}

fn ask(
    args: &Args,
    options: &LoadOptions,
    what: impl AsyncFnOnce(&Client) -> anyhow::Result<bool>,
) -> anyhow::Result<ExitCode> {
    let settings = config::load_settings(options).map_err(WrongInput)?;
    let client = Client::new(args.admin.as_deref(), &settings.admin)?;
    let well = actix::System::new().block_on(what(&client))?;
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    written.context("cannot write the answer")
}
