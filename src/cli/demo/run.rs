//! The command: the stack, the specs, the lane and the flow, put together and taken apart again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::watch;

use super::changes::MARKERS;
use super::lane::{InProcess, Lane as _};
use super::live::{LiveRoom, ROOM};
use super::notices::Notices;
use super::scene::{Load, SETTINGS, Scene};
use super::screen::{BOLD, DIM, PLAIN, Screen, step};
use super::stack::{SCRIPT, Stack};
use super::verdict::tell;
use crate::config::{Settings, SinkKind};
use crate::live::auth;
use crate::live::names::{RoomId, UserId};

/// Arguments of `demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Stop by itself after this time, such as 30s or 5m [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    length: Option<Duration>,
    /// Rows to change a second, about
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    rate: u64,
    /// Rows to keep in the table, about
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rows: u32,
    /// Seed of the random changes [default: another each time]
    #[arg(long)]
    seed: Option<u64>,
    /// The local stack's instance
    #[arg(long, default_value = "local")]
    instance: String,
}

/// Runs the demo in an actix system of its own.
///
/// # Errors
/// Whatever keeps it from a verdict. A bad verdict is an exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    actix::System::new().block_on(async {
        let stop = watch::Sender::new(false);
        let mut told = stop.subscribe();
        listen(stop.clone());
        let opening = open(args);
        let (stack, scene, mut screen) = tokio::select! {
            open = opening => open?,
            _ = told.wait_for(|stop| *stop) => bail!("interrupted before the demo began"),
        };
        let load = Load {
            rows: args.rows as usize,
            rate: args.rate,
            seed: args.seed.unwrap_or_else(seed),
            length: args.length,
        };
        let mut stage = tokio::select! {
            stage = scene.set(load, &mut screen) => stage?,
            _ = told.wait_for(|stop| *stop) => bail!("interrupted before the demo began"),
        };
        let settings = Arc::new(scene.settings.clone());
        let mut lane = InProcess::start(&settings, &Arc::new(scene.pipeline.clone())).await?;
        let started = lane.start_live(&settings, &scene.live);
        let gateway = match started.and_then(|()| lane.start_gateway(&settings)) {
            Ok(gateway) => gateway,
            Err(why) => {
                Box::new(lane).stop().await;
                return Err(why);
            }
        };
        step(
            &mut screen,
            "lane",
            &format!(
                "{} and live run in this process; the operator's page is http://{}/, its token {}",
                scene.pipeline.name,
                lane.admin(),
                lane.token().expose()
            ),
        );
        let verdict = async {
            if !scene.arrive(&mut stage, &lane, &stop, &mut screen).await? {
                bail!("interrupted before the demo began");
            }
            let status = Arc::clone(lane.live().context("the live lane does not run")?);
            let live = tokio::select! {
                live = LiveRoom::open(&settings, status, load.seed) => live?,
                _ = told.wait_for(|stop| *stop) => bail!("interrupted before the demo began"),
            };
            show(&settings, gateway, &mut screen)?;
            invite(&stack, &live, &mut screen)?;
            scene
                .play(stage, load, &lane, live, &stop, &mut screen)
                .await
        };
        let verdict = verdict.await;
        Box::new(lane).stop().await;
        screen.clear();
        if let Ok(verdict) = &verdict {
            tell(verdict, &mut screen);
        }
        farewell(&stack, &scene, &mut screen)?;
        let good = verdict?.is_good();
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })
}

/// The servers and the specs.
async fn open(args: &Args) -> anyhow::Result<(Stack, Scene, Screen)> {
    println!("\nStarting the servers on this machine ({SCRIPT} up):");
    let stack = Stack::up(&args.instance).await?;
    let scene = Scene::of(&stack)?;
    let log = PathBuf::from(stack.get("INSTANCE_DIR")?).join("demo.log");
    let mut screen = Screen::new(Notices::start(&log, &scene.settings.log.filter)?);
    screen.say("");
    Ok((stack, scene, screen))
}

/// How long the demo's token for a browser lasts.
const VISIT: Duration = Duration::from_secs(12 * 3_600);

/// Where the room is in a browser. The token is behind the `#`, which no browser sends.
fn show(settings: &Settings, gateway: SocketAddr, screen: &mut Screen) -> anyhow::Result<()> {
    let keys = settings.live.auth.as_ref();
    let keys = keys.context("the settings say nothing of tokens under [live.auth]")?;
    let token = auth::mint(
        keys,
        &UserId::new("you")?,
        &[RoomId::new(ROOM)?],
        false,
        VISIT,
    )?;
    step(
        screen,
        "page",
        "the live room in a browser, as a moderator of it:",
    );
    screen.say(&format!(
        "      {BOLD}http://{gateway}/rooms/{ROOM}#token={token}{PLAIN}"
    ));
    Ok(())
}

/// How to join the live room.
fn invite(stack: &Stack, live: &LiveRoom, screen: &mut Screen) -> anyhow::Result<()> {
    let people = format!(
        "{ROOM} is open, {} people are in it; join them with the nats CLI (see deploy/live.md):",
        live.guests()
    );
    step(screen, "room", &people);
    let settings = PathBuf::from(stack.get("INSTANCE_DIR")?).join(SETTINGS);
    let settings = settings.strip_prefix(&stack.root).unwrap_or(&settings);
    for line in [
        format!("export NATS_URL={}", stack.get("NATS")?),
        format!(
            "export NATS_TOKEN=$(cargo run --release --quiet -- --settings {} token --user you)",
            settings.display()
        ),
        format!("nats sub live.{ROOM}.feed"),
        format!(
            "nats --inbox-prefix=_INBOX.you req live.{ROOM}.in.comment.you '{{\"content\": \"hello\"}}'"
        ),
    ] {
        screen.say(&format!("      {DIM}{line}{PLAIN}"));
    }
    Ok(())
}

/// What is still there, and how to look at it.
fn farewell(stack: &Stack, scene: &Scene, screen: &mut Screen) -> anyhow::Result<()> {
    let id = MARKERS.start();
    screen.say("");
    screen.say(&format!(
        "  {BOLD}The servers are still running.{PLAIN} Have a look:"
    ));
    for sink in &scene.pipeline.sinks {
        match &sink.kind {
            SinkKind::Elasticsearch(spec) => {
                let base = stack.get("ELASTICSEARCH")?;
                screen.say(&format!(
                    "    curl -s '{base}/{}/_search?q=city:London&pretty'",
                    spec.index
                ));
                screen.say(&format!("    curl -s '{base}/{}/_doc/{id}'", spec.index));
            }
            // A stack with TLS has no one-line answer.
            SinkKind::Redis(_) if stack.find("CA_FILE").is_some() => {}
            SinkKind::Redis(spec) => {
                let port = stack
                    .get("REDIS")?
                    .rsplit([':', '/'])
                    .nth(1)
                    .unwrap_or_default();
                let key = spec.key.replace("{id}", &id.to_string());
                screen.say(&format!("    redis-cli -p {port} hgetall {key}"));
            }
        }
    }
    screen.say(&format!(
        "  {DIM}stop them:{PLAIN}     {}",
        stack.command("down")
    ));
    screen.say(&format!(
        "  {DIM}start afresh:{PLAIN}  {}",
        stack.command("clean")
    ));
    Ok(())
}

/// The first Ctrl-C stops the changes; one after that, or while the rest is done, ends the process.
fn listen(stop: watch::Sender<bool>) {
    tokio::task::spawn_local(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if stop.send_replace(true) {
                // The screen may be in the midst of a drawing.
                print!("\x1b[?7h");
                eprintln!("\nstopped at once; the servers are still running");
                std::process::exit(130);
            }
        }
    });
}

fn seed() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |d| {
        u64::try_from(d.as_nanos() & u128::from(u64::MAX)).unwrap_or(0)
    })
}

/// `30s`, `5m`, `1h`.
pub(in crate::cli) fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    units
        .iter()
        .find_map(|(unit, ms)| {
            let n: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            n.checked_mul(*ms)
                .filter(|ms| *ms > 0)
                .map(Duration::from_millis)
        })
        .ok_or_else(|| "a time is a whole number and a unit, such as 30s, 5m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_needs_a_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("30").is_err() && duration("0s").is_err() && duration("-1s").is_err());
    }
}
