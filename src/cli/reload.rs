//! `twolane reload`: has a running process read its settings, topics and pipelines again.
//!
//! Exit codes: 0 reloaded; 1 refused, or nobody answers; 2 something is wrong with the files, and nothing has changed.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::StatusCode;
use serde::Deserialize;

use super::status::client::{Client, sentence};
use super::status::table::Table;
use super::status::{Args, print};
use super::{WRONG_INPUT, WrongInput};
use crate::config::{self, LoadOptions, Settings};

/// What a branch takes beside draining: the last commit, leaving its group, and starting.
const BESIDE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Reloaded {
    branches: Vec<Branch>,
    settings: Vec<String>,
    needs_restart: Vec<String>,
}

#[derive(Deserialize)]
struct Branch {
    pipeline: String,
    sink: String,
    change: String,
    #[serde(default)]
    differs: Vec<String>,
}

/// Asks, waits until it is done, and shows what became of each branch.
pub(super) fn run(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let settings = config::load_settings(options).map_err(WrongInput)?;
    let client = Client::new(args.admin.as_deref(), &settings.admin)?;
    actix::System::new().block_on(ask(args, &client, &settings))
}

async fn ask(args: &Args, client: &Client, settings: &Settings) -> anyhow::Result<ExitCode> {
    let patience = settings.shutdown + BESIDE;
    let (status, text) = client.change(&["reload"], None::<&()>, patience).await?;
    if status == StatusCode::UNPROCESSABLE_ENTITY {
        if args.json {
            print(&text)?;
        } else {
            eprintln!("{}", sentence(&text));
        }
        return Ok(ExitCode::from(WRONG_INPUT));
    }
    if !status.is_success() {
        bail!("{}reload: {}", client.base(), sentence(&text));
    }
    if args.json {
        print(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let reloaded: Reloaded = serde_json::from_str(&text).context(
        "the answer is nothing that this version knows: is it a twolane of another version?",
    )?;
    let mut table = Table::new(&["BRANCH", "CHANGE", "DIFFERS"]);
    for branch in &reloaded.branches {
        table.row([
            format!("{}.{}", branch.pipeline, branch.sink),
            branch.change.clone(),
            branch.differs.join(", "),
        ]);
    }
    print(&table.text())?;
    if !reloaded.settings.is_empty() {
        print(&format!("taken over: {}\n", reloaded.settings.join(", ")))?;
    }
    for name in &reloaded.needs_restart {
        eprintln!("needs a restart: {name} differs from what the process runs with");
    }
    Ok(ExitCode::SUCCESS)
}
