//! The command: the stack, the specs, the lane and the flow, put together and taken apart again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::sync::watch;

use super::capture::Capture;
use super::flow::{Load, Scene};
use super::http::Http;
use super::kafka::Kafka;
use super::lane::{InProcess, Lane as _};
use super::notices::Notices;
use super::screen::{BOLD, DIM, PLAIN, Screen, step};
use super::stack::Stack;
use super::table::{DATABASE, Database, TABLE};
use super::verdict::tell;
use crate::config::{Config, LoadOptions, Secret, SinkKind, load};

/// The pipeline that is shown.
const PIPELINE: &str = "user_profile";
/// The id under which the connector poses as a replica; the stack's server has 1.
const SERVER_ID: u32 = 5_401;

/// Arguments of `demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Stop by itself after this time, such as 30s or 5m [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    length: Option<Duration>,
    /// Rows to change a second, about
    #[arg(long, default_value_t = 800, value_parser = clap::value_parser!(u64).range(1..=20_000))]
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
        let setting = set(args);
        let (stack, scene, mut screen) = tokio::select! {
            set = setting => set?,
            _ = told.wait_for(|stop| *stop) => anyhow::bail!("interrupted before the demo began"),
        };
        let load = Load {
            rows: args.rows as usize,
            rate: args.rate,
            seed: args.seed.unwrap_or_else(seed),
            length: args.length,
        };
        let stage = tokio::select! {
            stage = scene.set(load, &mut screen) => stage?,
            _ = told.wait_for(|stop| *stop) => anyhow::bail!("interrupted before the demo began"),
        };
        let settings = Arc::new(scene.settings.clone());
        let lane = InProcess::start(&settings, &Arc::new(scene.pipeline.clone())).await?;
        step(
            &mut screen,
            "lane",
            &format!(
                "pipelines/{PIPELINE}.toml runs in this process; http://{}/metrics",
                lane.admin()
            ),
        );
        let verdict = scene.play(stage, load, &lane, &stop, &mut screen).await;
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
async fn set(args: &Args) -> anyhow::Result<(Stack, Scene, Screen)> {
    println!(
        "\nStarting the servers on this machine ({} up):",
        super::stack::SCRIPT
    );
    let stack = Stack::up(&args.instance).await?;
    let folder = PathBuf::from(stack.get("INSTANCE_DIR")?);
    let config = configure(&stack, &folder.join("demo.toml"))?;
    let pipeline = config
        .pipelines
        .into_iter()
        .find(|pipeline| pipeline.name == PIPELINE)
        .with_context(|| format!("there is no pipelines/{PIPELINE}.toml"))?;
    let topic = format!("{DATABASE}.{DATABASE}.{TABLE}");
    ensure!(
        pipeline.topic.name == topic,
        "{}: the demo's table is captured into the topic {topic}, not {}",
        pipeline.file.display(),
        pipeline.topic.name
    );
    let log = folder.join("demo.log");
    let notices = Notices::start(&log, &config.settings.log.filter)?;
    let mut screen = Screen::new(notices);
    screen.say("");
    let scene = Scene {
        database: Database::new(
            stack.get("MARIADB")?,
            stack.get("MARIADB_USER")?,
            stack.get("MARIADB_PASSWORD")?,
        )?,
        kafka: Kafka::new(stack.get("KAFKA")?),
        connect: Http::open(stack.get("CONNECT")?)?,
        capture: Capture {
            name: DATABASE.to_owned(),
            database: stack.get("MARIADB")?.to_owned(),
            user: stack.get("MARIADB_CDC_USER")?.to_owned(),
            password: Secret::new(stack.get("MARIADB_CDC_PASSWORD")?),
            server_id: SERVER_ID,
            prefix: DATABASE.to_owned(),
            kafka: stack.get("KAFKA")?.to_owned(),
        },
        settings: config.settings,
        pipeline,
    };
    Ok((stack, scene, screen))
}

/// Writes a settings file for this stack, which `twolane run --settings` takes as well, and loads it with
/// the repository's topics and pipelines. Variables of the environment play no part: they may be about other
/// servers.
fn configure(stack: &Stack, file: &Path) -> anyhow::Result<Config> {
    let text = |value: &str| toml::Value::from(value).to_string();
    let path = |name: &str| text(&stack.root.join(name).to_string_lossy());
    let mut lines = vec![
        format!(
            "# Where the local stack's instance {} is. Written anew by each `cargo demo`.",
            stack.instance
        ),
        format!("topics_dir = {}", path("topics")),
        format!("pipelines_dir = {}", path("pipelines")),
        "[kafka]".to_owned(),
        format!("brokers = {}", text(stack.get("KAFKA")?)),
        "[elasticsearch]".to_owned(),
        format!("url = {}", text(stack.get("ELASTICSEARCH")?)),
    ];
    let optional = |lines: &mut Vec<String>, key: &str, name: &str| {
        lines.extend(
            stack
                .find(name)
                .map(|value| format!("{key} = {}", text(value))),
        );
    };
    optional(&mut lines, "username", "ELASTICSEARCH_USER");
    optional(&mut lines, "password", "ELASTICSEARCH_PASSWORD");
    optional(&mut lines, "ca_file", "CA_FILE");
    lines.push("[redis]".to_owned());
    lines.push(format!("url = {}", text(stack.get("REDIS")?)));
    optional(&mut lines, "password", "REDIS_PASSWORD");
    optional(&mut lines, "ca_file", "CA_FILE");
    write_private(file, &(lines.join("\n") + "\n"))
        .with_context(|| format!("cannot write {}", file.display()))?;
    let options = LoadOptions {
        settings: Some(file.to_owned()),
        ..LoadOptions::default()
    };
    load(&options).map_err(|problems| anyhow::anyhow!("{problems}"))
}

/// The stack's passwords are in it.
fn write_private(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?
        .write_all(text.as_bytes())
}

/// What is still there, and how to look at it.
fn farewell(stack: &Stack, scene: &Scene, screen: &mut Screen) -> anyhow::Result<()> {
    let id = super::changes::MARKERS.start();
    screen.say("");
    screen.say(&format!(
        "  {BOLD}The servers are still running.{PLAIN} Have a look:"
    ));
    for sink in &scene.pipeline.sinks {
        match &sink.kind {
            SinkKind::Elasticsearch(spec) => {
                let base = stack.get("ELASTICSEARCH")?;
                screen.say(&format!(
                    "    curl -s '{base}/{}/_search?q=city:London&size=1&pretty'",
                    spec.index
                ));
                screen.say(&format!(
                    "    curl -s '{base}/{}/_doc/{id}?pretty'",
                    spec.index
                ));
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
fn duration(text: &str) -> Result<Duration, String> {
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
