//! `twolane bench gateway`: how late a comment is at a browser's socket, how many a core delivers, what an idle socket
//! costs, and how late a notification's acknowledgement is.
//!
//! Open loop: what is sent is due at fixed times whatever becomes of what was sent before, and time runs from when it was
//! due, which each comment carries in its `cid`. The loader measures its own lateness, and a run in which it was late
//! itself is void. The gateway is a process of its own (`twolane run gateway`), so that its memory and CPU are its alone;
//! comments are put into LIVE_OUT as workers do, so that no worker's work is in the figures.

mod fanout;
mod notify;
mod report;
mod sockets;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use self::fanout::Flow;
use self::report::Measured;
use self::sockets::{Crowd, Door};
use super::live::specs::Specs;
use super::live::worker::Worker;
use super::report::{others, print};
use super::stack;
use crate::config::Config;
use crate::gateway;

/// Servers that the bench needs.
const SERVICES: [&str; 2] = ["redis", "nats"];
/// How long the machine is watched before the measurement.
const WATCH: Duration = Duration::from_secs(1);
/// Caches and buffers are warm after this.
const WARM_UP: Duration = Duration::from_secs(3);
/// What is left of a closed socket is gone after this.
const SETTLE: Duration = Duration::from_secs(3);

/// Arguments of `bench gateway`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Viewers of the room
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=20_000))]
    viewers: u16,
    /// Comments a second into it
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Comments a second that are to be more than it can show
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    flood: u32,
    /// How long each of the two is measured, after a warm-up of 3 s
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// Idle sockets
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    idle: u32,
    /// Notifications a second, while the idle sockets are open
    #[arg(long, default_value_t = 8_600, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    notify_rate: u32,
    /// How long they are sent
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    notify_seconds: u32,
    /// Threads of the gateway
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// Print the figures as JSON on stdout; everything else goes to stderr
    #[arg(long)]
    json: bool,
    /// The local stack's instance
    #[arg(long, default_value = "bench")]
    instance: String,
}

/// Runs the bench. A run that is void has figures, and fails.
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
    Ok(if measured.void() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn measure(args: &Args) -> anyhow::Result<Measured> {
    let stack = stack::up(&args.instance, &SERVICES).await?;
    let free = std::net::TcpListener::bind("127.0.0.1:0").context("a free port")?;
    let addr = free.local_addr().context("its address")?;
    drop(free);
    let key = sockets::key();
    let mut lines = stack.gateway_settings(&addr.to_string())?;
    lines.extend([
        format!("workers = {}", args.workers),
        "max_connections = 200000".to_owned(),
        "max_per_user = 100000".to_owned(),
        "max_per_address = 200000".to_owned(),
        format!("api_keys = \"{key}\""),
    ]);
    let specs = Specs::write_with(&stack, &lines)?;
    let measured = tokio::select! {
        measured = all(args, &specs, addr, &key) => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    specs.remove().context("cannot remove the run's specs")?;
    measured
}

async fn all(args: &Args, specs: &Specs, addr: SocketAddr, key: &str) -> anyhow::Result<Measured> {
    let config = specs.load()?;
    // It makes the streams, and answers for the history.
    let worker = Worker::start(&specs.settings).await?;
    let gateway = Worker::start_part(&specs.settings, gateway::NAME).await?;
    let measured = tokio::select! {
        measured = figures(args, &config, &specs.unique, addr, key, &gateway) => measured,
        ended = worker.ended() => Err(ended),
        ended = gateway.ended() => Err(ended),
    };
    gateway.stop().await;
    worker.stop().await;
    measured
}

async fn figures(
    args: &Args,
    config: &Config,
    unique: &str,
    addr: SocketAddr,
    key: &str,
    gateway: &Worker,
) -> anyhow::Result<Measured> {
    let settings = &config.settings;
    let door = Door::new(settings, addr)?;
    door.open(unique).await?;
    let others = others(WATCH).await;
    let length = Duration::from_secs(args.seconds.into());
    let flow = |rate| Flow {
        rate,
        warm_up: WARM_UP,
        length,
    };
    let viewers = usize::from(args.viewers);
    stack::say(&format!(
        "{} comments/s to {viewers} viewers for {} s",
        args.rate, args.seconds
    ));
    let crowd = Crowd::gather(&door, unique, "viewer", viewers).await?;
    let watching = gateway.watch();
    let shown = fanout::run(settings, unique, &crowd, flow(args.rate)).await?;
    let used = watching.used()?;
    stack::say(&format!("{} comments/s to as many", args.flood));
    let watching = gateway.watch();
    let flooded = fanout::run(settings, unique, &crowd, flow(args.flood)).await?;
    let flooded_used = watching.used()?;
    crowd.leave().await;
    tokio::time::sleep(SETTLE).await;
    stack::say(&format!("{} idle sockets", args.idle));
    let before = gateway.resident().context("its memory is not known")?;
    let idle = Crowd::gather(&door, unique, "idle", args.idle as usize).await?;
    tokio::time::sleep(SETTLE).await;
    let after = gateway.resident().context("its memory is not known")?;
    stack::say(&format!(
        "{} notifications/s for {} s",
        args.notify_rate, args.notify_seconds
    ));
    let watching = gateway.watch();
    let told = notify::run(
        addr,
        key,
        args.idle as usize,
        args.notify_rate,
        Duration::from_secs(args.notify_seconds.into()),
    );
    let told = told.await?;
    let told_used = watching.used()?;
    idle.leave().await;
    fanout::forget(settings, unique).await?;
    Ok(Measured {
        viewers: args.viewers,
        rate: args.rate,
        flood: args.flood,
        seconds: args.seconds,
        idle: args.idle,
        notify_rate: args.notify_rate,
        shown,
        used,
        flooded,
        flooded_used,
        idle_bytes: (after - before).max(0.0) / f64::from(args.idle),
        told,
        told_used,
        others,
    })
}
