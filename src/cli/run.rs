//! `twolane run`: runs the pipelines until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use super::WRONG_INPUT;
use crate::config::{self, LoadOptions, PipelineSpec, Settings};
use crate::lane::Lane;
use crate::ops;
use crate::supervise::Tree;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The pipelines to run [default: all of them]
    pipelines: Vec<String>,
    /// Let tests make actors fail through POST /chaos; refused unless every address lies on this machine
    #[arg(long)]
    chaos: bool,
}

/// Runs until SIGINT or SIGTERM, then drains and commits; or until a supervisor gives up, which is a failure.
pub(super) fn run(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let config = match config::load(options) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return Ok(ExitCode::from(WRONG_INPUT));
        }
    };
    let pipelines: Vec<Arc<PipelineSpec>> = config
        .select(&args.pipelines)
        .map_err(|why| anyhow!(why))?
        .into_iter()
        .cloned()
        .map(Arc::new)
        .collect();
    let settings = Arc::new(config.settings);
    if args.chaos {
        let beyond = settings.beyond_this_machine();
        if !beyond.is_empty() {
            eprintln!(
                "--chaos makes actors fail and is for tests on this machine alone: {} is beyond it",
                beyond.join(", ")
            );
            return Ok(ExitCode::from(WRONG_INPUT));
        }
    }
    ops::logging::init(&settings.log).map_err(|why| anyhow!(why))?;
    actix::System::new().block_on(until_stopped(settings, pipelines, args.chaos))
}

async fn until_stopped(
    settings: Arc<Settings>,
    pipelines: Vec<Arc<PipelineSpec>>,
    chaos: bool,
) -> anyhow::Result<ExitCode> {
    let tree = Arc::new(if chaos {
        Tree::with_chaos()
    } else {
        Tree::default()
    });
    let lanes = ops::Lanes::new(Arc::clone(&tree));
    let admin =
        ops::admin::serve(&settings.admin, Arc::clone(&lanes) as _).map_err(|why| anyhow!(why))?;
    let lane = match Lane::start(&settings, &pipelines, Arc::clone(&tree)).await {
        Ok(lane) => lane,
        Err(why) => {
            admin.stop().await;
            return Err(why.into());
        }
    };
    lanes.started(lane.branches());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("listening for SIGTERM")?;
    let failed = tokio::select! {
        _ = tokio::signal::ctrl_c() => None,
        _ = terminate.recv() => None,
        reason = lane.tree().escalated() => Some(reason),
    };
    tracing::info!("draining for at most {:?}", settings.shutdown);
    lane.stop().await;
    tree.stop().await;
    admin.stop().await;
    match failed {
        None => Ok(ExitCode::SUCCESS),
        Some(reason) => Err(anyhow!("a supervisor gave up: {reason}")),
    }
}
