//! `twolane run`: runs the pipelines until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use super::WRONG_INPUT;
use crate::config::{
    self, IngestSettings, LiveSpec, LoadOptions, PipelineSpec, Settings, TopicSpec,
};
use crate::lane::Lane;
use crate::live::{self, start::Live};
use crate::ops;
use crate::produce::http::{self as ingest, Ingest};
use crate::supervise::Tree;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The pipelines to run, `live` for the live lane, and `ingest` for events over HTTP [default: all of them, the
    /// live lane where topics/live.toml is there, and the ingest where ingest.listen is set]
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
    let asked = |name: &str| args.pipelines.iter().any(|asked| asked == name);
    let all = args.pipelines.is_empty();
    let (live, ingest) = (asked(live::lane::NAME), asked(ingest::NAME));
    let others = args.pipelines.iter().cloned();
    let named: Vec<String> = others
        .filter(|name| name != live::lane::NAME && name != ingest::NAME)
        .collect();
    let ingest = match &config.settings.ingest {
        Some(settings) if ingest || all => Some(settings.clone()),
        None if ingest => {
            return Err(anyhow!(
                "there is no ingest: set ingest.listen and ingest.keys_file"
            ));
        }
        Some(_) | None => None,
    };
    let live = match &config.live {
        Some(spec) if live || all => Some(Arc::clone(spec)),
        None if live => {
            return Err(anyhow!(
                "there is no live lane: it is described by live.toml in {}",
                config.settings.topics_dir.display()
            ));
        }
        Some(_) | None => None,
    };
    let pipelines: Vec<Arc<PipelineSpec>> = if named.is_empty() && !all {
        Vec::new()
    } else {
        let selected = config.select(&named).map_err(|why| anyhow!(why))?;
        selected.into_iter().cloned().map(Arc::new).collect()
    };
    let ingest = ingest.map(|settings| (settings, config.topics));
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
    actix::System::new().block_on(until_stopped(settings, pipelines, live, ingest, args.chaos))
}

async fn until_stopped(
    settings: Arc<Settings>,
    pipelines: Vec<Arc<PipelineSpec>>,
    live: Option<Arc<LiveSpec>>,
    ingest: Option<(IngestSettings, Vec<Arc<TopicSpec>>)>,
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
    let live = match &live {
        Some(spec) => match Live::start(&settings, spec, lane.tree()) {
            Ok(live) => Some(live),
            Err(why) => {
                lane.stop().await;
                admin.stop().await;
                return Err(anyhow!("the live lane: {why}"));
            }
        },
        None => None,
    };
    let ingest = match &ingest {
        Some((of, topics)) => match Ingest::start(&settings, of, topics) {
            Ok(ingest) => Some(ingest),
            Err(why) => {
                if let Some(live) = live {
                    live.stop().await;
                }
                lane.stop().await;
                admin.stop().await;
                return Err(anyhow!("the ingest: {why}"));
            }
        },
        None => None,
    };
    if let Some(ingest) = &ingest {
        lanes.ingest_started(Arc::clone(ingest.stats()));
    }
    if let Some(live) = &live {
        let parts = ops::LiveParts::new(Arc::clone(live.status()), live.rooms().clone());
        lanes.live_started(parts);
    }
    lanes.started(lane.branches());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("listening for SIGTERM")?;
    let failed = tokio::select! {
        _ = tokio::signal::ctrl_c() => None,
        _ = terminate.recv() => None,
        reason = lane.tree().escalated() => Some(reason),
    };
    tracing::info!("draining for at most {:?}", settings.shutdown);
    let live = async {
        if let Some(live) = live {
            live.stop().await;
        }
    };
    let ingest = async {
        if let Some(ingest) = ingest {
            ingest.stop().await;
        }
    };
    tokio::join!(lane.stop(), live, ingest);
    tree.stop().await;
    admin.stop().await;
    match failed {
        None => Ok(ExitCode::SUCCESS),
        Some(reason) => Err(anyhow!("a supervisor gave up: {reason}")),
    }
}
