//! `twolane run`: runs the pipelines until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use tokio::signal::unix::{SignalKind, signal};

use super::{WRONG_INPUT, WrongInput};
use crate::config::{
    self, IngestSettings, LiveSpec, LoadOptions, PipelineSpec, Settings, ShownSetting, TopicSpec,
};
use crate::gateway::{self, start::Gateway};
use crate::lane::Lane;
use crate::live::{self, start::Live};
use crate::ops;
use crate::produce::http::{self as ingest, Ingest};
use crate::reload::{self, Pipelines, Reloader};
use crate::supervise::Tree;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The pipelines to run, `live` for the live lane, `gateway` for the browsers' gateway, and `ingest` for events over HTTP
    /// [default: all of them, the live lane where topics/live.toml is there, the gateway where gateway.listen is set, and
    /// the ingest where ingest.listen is set]
    pipelines: Vec<String>,
    /// Let tests make actors fail through POST /chaos; refused unless every address lies on this machine
    #[arg(long)]
    chaos: bool,
}

/// What runs beside the pipelines.
struct Beside {
    live: Option<Arc<LiveSpec>>,
    gateway: bool,
    ingest: Option<(IngestSettings, Vec<Arc<TopicSpec>>)>,
}

/// Runs until SIGINT or SIGTERM, and reads its files again on SIGHUP; then drains and commits; or until a supervisor gives up, which is a failure.
pub(super) fn run(args: &Args, options: &LoadOptions) -> anyhow::Result<ExitCode> {
    let config = config::load(options).map_err(WrongInput)?;
    let asked = |name: &str| args.pipelines.iter().any(|asked| asked == name);
    let all = args.pipelines.is_empty();
    let (live, ingest) = (asked(live::lane::NAME), asked(ingest::NAME));
    let others = args.pipelines.iter().cloned();
    let named: Vec<String> = others
        .filter(|name| ![live::lane::NAME, ingest::NAME, gateway::NAME].contains(&name.as_str()))
        .collect();
    let gateway = match &config.settings.gateway {
        Some(_) => asked(gateway::NAME) || all,
        None if asked(gateway::NAME) => {
            return Err(anyhow!(
                "there is no gateway: set gateway.listen to where browsers are to reach it"
            ));
        }
        None => false,
    };
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
    let named = if all {
        Pipelines::All
    } else {
        Pipelines::Named(named)
    };
    let pipelines = named.of(&config).map_err(|why| anyhow!(why))?;
    let ingest = ingest.map(|settings| (settings, config.topics));
    let shown = config::shown_settings(options).map_err(WrongInput)?;
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
    let filter = ops::logging::init(&settings.log).map_err(|why| anyhow!(why))?;
    let beside = Beside {
        live,
        gateway,
        ingest,
    };
    let (reloader, reloads) = Reloader::new(
        options.clone(),
        named,
        &settings,
        reload::Beside {
            live: beside.live.clone(),
            ingest: beside.ingest.as_ref().map(|(_, topics)| topics.clone()),
        },
        filter,
    );
    let reloads = (reloader, reloads);
    actix::System::new().block_on(until_stopped(
        settings, pipelines, beside, shown, reloads, args.chaos,
    ))
}

async fn until_stopped(
    settings: Arc<Settings>,
    pipelines: Vec<Arc<PipelineSpec>>,
    beside: Beside,
    shown: Vec<ShownSetting>,
    (mut reloader, reloads): (Reloader, reload::Handle),
    chaos: bool,
) -> anyhow::Result<ExitCode> {
    // First of all, since without it a SIGHUP would end the process.
    let hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let tree = Arc::new(if chaos {
        Tree::with_chaos()
    } else {
        Tree::default()
    });
    let lanes = ops::Lanes::new(Arc::clone(&tree));
    let admin =
        ops::admin::serve(&settings, Arc::clone(&lanes) as _, shown).map_err(|why| anyhow!(why))?;
    let mut lane = match Lane::start(&settings, &pipelines, Arc::clone(&tree)).await {
        Ok(lane) => lane,
        Err(why) => {
            admin.stop().await;
            return Err(why.into());
        }
    };
    let live = match &beside.live {
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
    let ingest = match &beside.ingest {
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
        reloader.ingest_started(ingest.door());
    }
    if let Some(live) = &live {
        let parts = ops::LiveParts::new(live);
        lanes.live_started(parts);
    }
    let gateway = match beside
        .gateway
        .then(|| Gateway::start(&settings, lane.tree()))
    {
        Some(Ok(gateway)) => Some(gateway),
        Some(Err(why)) => {
            if let Some(ingest) = ingest {
                ingest.stop().await;
            }
            if let Some(live) = live {
                live.stop().await;
            }
            lane.stop().await;
            admin.stop().await;
            return Err(anyhow!("the gateway: {why}"));
        }
        None => None,
    };
    if let Some(gateway) = &gateway {
        lanes.gateway_started(gateway.status());
    }
    lanes.started(lane.branches());
    lanes.reloads(reloads);
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let failed = tokio::select! {
        _ = tokio::signal::ctrl_c() => None,
        _ = terminate.recv() => None,
        reason = tree.escalated() => Some(reason),
        // It does not end by itself; one that is under way is given up, and what it began is stopped with the rest.
        () = reloader.run(&mut lane, hangup, |branches| lanes.started(branches)) => None,
    };
    tracing::info!("draining for at most {:?}", settings.shutdown);
    let live = async {
        // Its clients' comments are still to be acknowledged.
        if let Some(gateway) = gateway {
            gateway.stop().await;
        }
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
