//! `twolane reference`: the reference pages that the README holds, made from the code.

use std::io::Write;
use std::process::ExitCode;

use crate::config::reference;
use crate::ops::metrics;

/// Arguments of `reference`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which page
    page: Page,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Page {
    /// The settings and their variables
    Settings,
    /// The keys of a topic spec
    Topics,
    /// The keys of a pipeline spec
    Pipelines,
    /// The keys of the live lane's spec, topics/live.toml
    Live,
    /// What /metrics shows
    Metrics,
}

/// Prints the page.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let page = match args.page {
        Page::Settings => reference::settings(),
        Page::Topics => reference::topics(),
        Page::Pipelines => reference::pipelines(),
        Page::Live => reference::live(),
        Page::Metrics => metrics::reference(),
    };
    std::io::stdout().lock().write_all(page.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
