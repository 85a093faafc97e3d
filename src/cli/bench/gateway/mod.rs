//! `twolane bench gateway`: how late a comment is at a browser's socket, how many a core delivers, what an idle socket
//! costs, and how late a notification's acknowledgement is.
//!
//! Open loop: what is sent is due at fixed times whatever becomes of what was sent before, and time runs from when it was
//! due, which each comment carries in its `cid`. The loader measures its own lateness, and a run in which it was late
//! itself is void. The gateway is a process of its own (`twolane run gateway`), so that its memory and CPU are its alone;
//! comments are put into LIVE_OUT as workers do, so that no worker's work is in the figures. In the fan-out it has one
//! processor, and the loader another one. With `--peer` the same fan-out goes through Centrifugo in the same run, by the same
//! loader: `deploy/bench/centrifugo/README.md` says how it is had.

mod cores;
mod fanout;
mod notify;
mod peer;
mod report;
mod sockets;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use self::cores::Cores;
use self::fanout::{Figures, Flow};
use self::report::{Flooded, Measured, Peer, Shown};
use self::sockets::{Crowd, Door};
use super::live::specs::Specs;
use super::live::worker::Worker;
use super::report::{others, print};
use super::stack;
use super::unless_interrupted;
use crate::config::Settings;
use crate::gateway;

/// Servers that the bench needs.
const SERVICES: [&str; 2] = ["redis", "nats"];
/// How long the machine is watched before the measurement.
const WATCH: Duration = Duration::from_secs(1);
/// Caches and buffers are warm after this.
const WARM_UP: Duration = Duration::from_secs(3);
/// A viewer of 1 KB/s is behind by all that may wait for it after this, at 100 comments a second.
const FILLED: Duration = Duration::from_secs(9);
/// Files that a process has open beside its sockets, and the connections of those that notify.
const FILES: u64 = 1_024;
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
    /// Comments a second that are to be more than it can show; a fifth less, until they are shown within 50 ms
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    flood: u32,
    /// How long the fan-out is measured, in two halves, after a warm-up of 3 s each; a flood is measured for half of it
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
    /// Measure the same fan-out through this program of Centrifugo's (`deploy/local/stack tool centrifugo` prints where it is)
    #[arg(long)]
    peer: Option<PathBuf>,
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
    cores::open_files(u64::from(args.idle) + u64::from(args.viewers) + FILES).await?;
    let stack = stack::up(&args.instance, &SERVICES).await?;
    let addr = free()?;
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
    let measured = unless_interrupted(all(args, &specs, addr, &key)).await;
    specs.remove().context("cannot remove the run's specs")?;
    measured
}

async fn all(args: &Args, specs: &Specs, addr: SocketAddr, key: &str) -> anyhow::Result<Measured> {
    let config = specs.load()?;
    let cores = cores::two().await;
    if cores.is_none() {
        stack::say("there is one processor alone, or no taskset: nothing is pinned");
    }
    // It makes the streams, and answers for the history.
    let worker = Worker::start(&specs.settings).await?;
    let gateway = Worker::start_part(&specs.settings, gateway::NAME).await?;
    let run = Run {
        args,
        settings: &config.settings,
        unique: &specs.unique,
        cores,
    };
    let measured = tokio::select! {
        measured = run.figures(addr, key, &gateway) => measured,
        ended = worker.ended() => Err(ended),
        ended = gateway.ended() => Err(ended),
    };
    gateway.stop().await;
    worker.stop().await;
    measured
}

/// What all parts of a run need.
#[derive(Clone, Copy)]
struct Run<'r> {
    args: &'r Args,
    settings: &'r Settings,
    unique: &'r str,
    cores: Option<Cores>,
}

impl Run<'_> {
    async fn figures(
        self,
        addr: SocketAddr,
        key: &str,
        gateway: &Worker,
    ) -> anyhow::Result<Measured> {
        let args = self.args;
        let door = Door::new(self.settings, addr)?;
        door.open(self.unique).await?;
        let others = others(WATCH).await;
        let ours = self.shown("twolane", &door, gateway).await?;
        let peer = match &args.peer {
            Some(program) => Some(self.peer(program).await?),
            None => None,
        };
        if let Some(cores) = self.cores {
            cores.unpin(gateway.pid()).await?;
        }
        let (idle, idle_bytes) = self.idle(&door, gateway).await?;
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
        fanout::forget(self.settings, self.unique).await?;
        Ok(Measured {
            viewers: args.viewers,
            rate: args.rate,
            seconds: args.seconds,
            idle: args.idle,
            notify_rate: args.notify_rate,
            pinned: self.cores.is_some(),
            ours,
            idle_bytes,
            told,
            told_used,
            peer,
            others,
        })
    }

    /// The fan-out of one server: at a rate that it holds, without and with a viewer who is too slow, in turns, so that
    /// whatever else the machine does meets both; then at rates that are too much, until one is held.
    async fn shown(self, name: &str, door: &Door, server: &Worker) -> anyhow::Result<Shown> {
        let args = self.args;
        if let Some(cores) = self.cores {
            cores.pin(server.pid()).await?;
        }
        let length = Duration::from_secs(args.seconds.into()) / 2;
        let crowd = Crowd::gather(door, self.unique, "viewer", args.viewers.into()).await?;
        let (mut alone, mut beside): (Vec<Figures>, Vec<Figures>) = (Vec::new(), Vec::new());
        let mut cores = 0.0;
        for slow in [false, true, true, false] {
            stack::say(&format!(
                "{name}: {} comments/s to {} viewers{}",
                args.rate,
                args.viewers,
                if slow { " and one of 1 KB/s" } else { "" }
            ));
            let flow = Flow {
                rate: args.rate,
                warm_up: if slow { FILLED } else { WARM_UP },
                length,
            };
            let run = fanout::run(self.settings, self.unique, &crowd, flow);
            if slow {
                let reading = sockets::read_slowly(door, &crowd.room);
                // Whoever sends the slow one away, as the peer does, lets the others be.
                let reading = async {
                    if let Err(why) = reading.await {
                        stack::say(&format!("the slow one is out: {why}"));
                    }
                    std::future::pending::<()>().await;
                };
                let figures = tokio::select! {
                    figures = run => figures?,
                    () = reading => continue,
                };
                beside.push(figures);
            } else {
                let watching = server.watch();
                alone.push(run.await?);
                cores += watching.used()?.cores / 2.0;
            }
        }
        let flooded = self.flooded(name, &crowd, server).await?;
        crowd.leave().await;
        Ok(Shown {
            alone: merged(alone)?,
            cores,
            beside: merged(beside)?,
            flooded,
        })
    }

    async fn flooded(self, name: &str, crowd: &Crowd, server: &Worker) -> anyhow::Result<Flooded> {
        let mut rate = self.args.flood;
        loop {
            stack::say(&format!("{name}: {rate} comments/s to as many"));
            let flow = Flow {
                rate,
                warm_up: WARM_UP,
                length: Duration::from_secs(self.args.seconds.into()) / 2,
            };
            let watching = server.watch();
            let figures = fanout::run(self.settings, self.unique, crowd, flow).await?;
            let flooded = Flooded {
                rate,
                used: watching.used()?,
                figures,
            };
            let less = rate - rate / 5;
            if flooded.held() || less <= self.args.rate || less == rate {
                return Ok(flooded);
            }
            rate = less;
        }
    }

    /// Sockets that do nothing, and what each of them costs.
    async fn idle(self, door: &Door, server: &Worker) -> anyhow::Result<(Crowd, f64)> {
        stack::say(&format!("{} idle sockets", self.args.idle));
        tokio::time::sleep(SETTLE).await;
        let before = server.resident().context("its memory is not known")?;
        let idle = Crowd::gather(door, self.unique, "idle", self.args.idle as usize).await?;
        tokio::time::sleep(SETTLE).await;
        let after = server.resident().context("its memory is not known")?;
        Ok((idle, (after - before).max(0.0) / f64::from(self.args.idle)))
    }

    async fn peer(self, program: &Path) -> anyhow::Result<Peer> {
        let root = crate::cli::demo::stack::root()?;
        let addr = free()?;
        let server = peer::start(program, &root, addr)?;
        let door = Door::of_peer(addr);
        let measured = async {
            door.open(self.unique).await?;
            let shown = self.shown("the peer", &door, &server).await?;
            let (idle, idle_bytes) = self.idle(&door, &server).await?;
            idle.leave().await;
            anyhow::Ok(Peer { shown, idle_bytes })
        };
        let measured = tokio::select! {
            measured = measured => measured,
            ended = server.ended() => Err(ended),
        };
        server.stop().await;
        measured
    }
}

fn merged(runs: Vec<Figures>) -> anyhow::Result<Figures> {
    let mut runs = runs.into_iter();
    let first = runs.next().context("nothing was measured")?;
    runs.try_fold(first, |all, one| all.and(&one))
}

fn free() -> anyhow::Result<SocketAddr> {
    let free = std::net::TcpListener::bind("127.0.0.1:0").context("a free port")?;
    free.local_addr().context("its address")
}
