//! `twolane bench live`: how late a comment is and how many likes are folded, on this machine.
//!
//! Open loop: comments are due at fixed times whatever becomes of the ones before, and what is measured runs
//! from the time at which a comment was due, which it carries in its `cid`, to its arrival at each viewer. The
//! loader measures its own lateness, and a run in which it was late itself is void. The worker is a process of
//! its own (`twolane run live`), so that its memory and CPU are its alone; every viewer and every author has a
//! connection and a token of its own. Core NATS alone, in the same run with as many connections, is the limit.

mod comments;
mod crowd;
mod likes;
pub(super) mod pace;
mod report;
pub(super) mod specs;
pub(super) mod worker;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use self::comments::Load;
use self::crowd::{Crowd, Way};
use self::report::Measured;
use self::specs::Specs;
use self::worker::Worker;
use super::bare::Redis;
use super::report::{others, print};
use super::stack;
use super::unless_interrupted;
use crate::config::Config;

/// Servers that the bench needs.
const SERVICES: [&str; 2] = ["redis", "nats"];
/// How long the machine is watched before the measurement.
const WATCH: Duration = Duration::from_secs(1);
/// Rooms are opened, connections and caches warm after this.
const WARM_UP: Duration = Duration::from_secs(5);

/// Arguments of `bench live`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Comments a second, over all rooms
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How long comments are measured, after a warm-up of 5 s
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Rooms
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rooms: u16,
    /// Viewers in all, each of one room and with a connection of its own
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    viewers: u16,
    /// Authors, each with a connection of its own
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    authors: u16,
    /// Measure the lane alone, without core NATS beside it
    #[arg(long)]
    no_limit: bool,
    /// Print the figures as JSON on stdout; everything else goes to stderr
    #[arg(long)]
    json: bool,
    /// The local stack's instance
    #[arg(long, default_value = "bench")]
    instance: String,
}

/// Runs the bench. A run that is void, and one in which a comment was lost or seen twice, has figures and fails.
///
/// # Errors
/// Whatever keeps it from figures.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let measured = actix::System::new().block_on(measure(args))?;
    print(
        args.json,
        || report::json(&measured),
        || report::text(&measured),
    );
    Ok(if measured.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn measure(args: &Args) -> anyhow::Result<Measured> {
    let stack = stack::up(&args.instance, &SERVICES).await?;
    let specs = Specs::write(&stack)?;
    let config = specs.load()?;
    let measured = unless_interrupted(all(args, &specs, &config)).await;
    let clean = clean(args, &specs, &config).await;
    // What went wrong first is what matters.
    let measured = measured?;
    clean.with_context(|| format!("cannot clean up after the run {}", specs.unique))?;
    Ok(measured)
}

async fn all(args: &Args, specs: &Specs, config: &Config) -> anyhow::Result<Measured> {
    let settings = &config.settings;
    let worker = Worker::start(&specs.settings).await?;
    let measured = tokio::select! {
        measured = figures(args, specs, config, &worker) => measured,
        ended = worker.ended() => Err(ended),
    };
    worker.stop().await;
    let mut measured = measured?;
    if !args.no_limit {
        stack::say("core NATS alone");
        let crowd = Crowd::gather(Way::Core, settings, args.into(), &specs.unique).await?;
        measured.core = Some(comments::run(&crowd, args.into()).await?);
        crowd.leave().await;
    }
    Ok(measured)
}

async fn figures(
    args: &Args,
    specs: &Specs,
    config: &Config,
    worker: &Worker,
) -> anyhow::Result<Measured> {
    let settings = &config.settings;
    crowd::answered(settings, &specs.unique).await?;
    stack::say(&format!(
        "{} viewers and {} authors connect, each with a token",
        args.viewers, args.authors
    ));
    let crowd = Crowd::gather(Way::Lane, settings, args.into(), &specs.unique).await?;
    let others = others(WATCH).await;
    stack::say(&format!(
        "{} comments/s into {} rooms for {} s",
        args.rate, args.rooms, args.seconds
    ));
    let watching = worker.watch();
    let lane = comments::run(&crowd, args.into()).await?;
    let used = watching.used()?;
    let most = config
        .live
        .as_ref()
        .map(|spec| spec.likes.max_per_message)
        .context("the run's specs have no live lane")?;
    stack::say(&format!("likes, {most} a message"));
    let batched = likes::flood(&crowd, &specs.unique, most).await?;
    stack::say("likes, one a message");
    let single = likes::flood(&crowd, &specs.unique, 1).await?;
    crowd.leave().await;
    Ok(Measured {
        rate: args.rate,
        seconds: args.seconds,
        rooms: args.rooms,
        viewers: args.viewers,
        authors: args.authors,
        lane,
        core: None,
        batched,
        single,
        used,
        others,
    })
}

async fn clean(args: &Args, specs: &Specs, config: &Config) -> anyhow::Result<()> {
    crowd::forget(&config.settings, &specs.unique, args.into()).await?;
    Redis::remove(config, &specs.unique).await?;
    specs.remove().context("cannot remove the run's specs")
}

// === impl crowd::Size ===

impl From<&Args> for crowd::Size {
    fn from(args: &Args) -> Self {
        Self {
            rooms: args.rooms.into(),
            viewers: args.viewers.into(),
            authors: args.authors.into(),
        }
    }
}

// === impl Load ===

impl From<&Args> for Load {
    fn from(args: &Args) -> Self {
        Self {
            rate: args.rate,
            warm_up: WARM_UP,
            length: Duration::from_secs(args.seconds.into()),
        }
    }
}
