//! `twolane validate`: says everything that is wrong with the settings, topics and pipelines.

use std::io::Write;
use std::process::ExitCode;

use super::WRONG_INPUT;
use crate::config::{self, LoadOptions};

/// Arguments of `validate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Prints each problem on a line of its own and then their number, or what is there if all is well.
pub(super) fn run(_: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match config::load(options) {
        Ok(config) => {
            let (topics, pipelines) = (config.topics.len(), config.pipelines.len());
            let live = config.live.map_or("", |_| ", the live lane");
            writeln!(out, "ok: {topics} topics, {pipelines} pipelines{live}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            let plural = if problems.len() == 1 { "" } else { "s" };
            writeln!(out, "{problems}\n{} problem{plural}", problems.len())?;
            Ok(ExitCode::from(WRONG_INPUT))
        }
    }
}
