//! `bench ingest`: how many events a second the HTTP ingest takes, and how late it acknowledges them, by a load tool that is
//! not its own (vegeta).
//!
//! Open loop: a request is due at a fixed time whatever becomes of those before. The ingest is a process of its own
//! (`twolane run ingest`), so that its CPU and memory are its alone; the topic is one of the repository's. What was
//! acknowledged is counted in the topic afterwards: a run in which the two differ fails.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::live::worker::{Used, Worker};
use super::report::{others, print, round};
use super::stack::{self, say};
use super::topic;
use super::unless_interrupted;
use crate::cli::demo::stack::{SCRIPT, Stack, write_private};

/// The topic's spec and schema, without their endings.
const SPEC: &str = "topics/app.behaviour";
const PARTITIONS: i32 = 8;
/// How long the ingest may take until it listens.
const PATIENCE: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(20);
const WATCH: Duration = Duration::from_secs(1);

/// Arguments of `bench ingest`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Requests a second with one event each
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Requests a second with a batch each
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch_rate: u32,
    /// Events of a batch
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    batch: u32,
    /// How long each of the two is sent
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Print the figures as JSON on stdout; everything else goes to stderr
    #[arg(long)]
    json: bool,
    /// The local stack's instance
    #[arg(long, default_value = "bench")]
    instance: String,
}

/// One attack.
#[derive(Debug)]
struct Figures {
    /// Requests a second that were due, and events of each.
    due: u32,
    batch: u32,
    /// Requests answered with 202, and all of them.
    accepted: u64,
    requests: u64,
    /// Requests a second that were sent: less than were due where the tool itself was late.
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    used: Used,
}

/// A run's files.
struct Files {
    folder: PathBuf,
    topic: String,
    key: String,
}

/// Runs the bench.
///
/// # Errors
/// Whatever keeps it from figures, and where the topic does not hold what was acknowledged.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(unless_interrupted(measure(args)))?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &Args) -> anyhow::Result<()> {
    let stack = stack::up(&args.instance, &["kafka"]).await?;
    let vegeta = vegeta(&stack).await?;
    let files = Files::make(&stack)?;
    let brokers = stack.get("KAFKA")?;
    topic::make_one(brokers, &files.topic, PARTITIONS).await?;
    let measured = measure_with(args, &stack, &vegeta, &files).await;
    topic::remove_one(brokers, &files.topic).await?;
    std::fs::remove_dir_all(&files.folder).context("cannot remove the run's files")?;
    let (all, others) = measured?;
    print(args.json, || as_json(&all, others), || text(&all, others));
    Ok(())
}

async fn measure_with(
    args: &Args,
    stack: &Stack,
    vegeta: &Path,
    files: &Files,
) -> anyhow::Result<(Vec<Figures>, Option<f64>)> {
    let addr = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .context("a free port")?;
    let settings = files.settings(stack, &addr.to_string())?;
    let ingest = Worker::start_part(&settings, "ingest").await?;
    let work = async {
        let listens = async {
            while tokio::net::TcpStream::connect(addr).await.is_err() {
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        let listens = tokio::time::timeout(PATIENCE, listens).await;
        listens.context("the ingest does not listen")?;
        let others = others(WATCH).await;
        let url = format!("http://{addr}/v1/events/{}", files.topic);
        let mut all = Vec::new();
        for (rate, batch) in [(args.rate, 1), (args.batch_rate, args.batch)] {
            say(&format!(
                "{rate} requests/s of {batch} events for {} s",
                args.seconds
            ));
            let attack = Attack {
                url: &url,
                rate,
                batch,
                seconds: args.seconds,
            };
            all.push(attack.run(vegeta, files, &ingest).await?);
        }
        anyhow::Ok((all, others))
    };
    let measured = tokio::select! {
        measured = work => measured,
        ended = ingest.ended() => Err(ended),
    };
    ingest.stop().await;
    let (all, others) = measured?;
    let acknowledged: u64 = all.iter().map(|f| f.accepted * u64::from(f.batch)).sum();
    let there = topic::records(stack.get("KAFKA")?, &files.topic, PARTITIONS).await?;
    ensure!(
        there == acknowledged,
        "{acknowledged} events were acknowledged, and {there} are in the topic"
    );
    Ok((all, others))
}

/// Where vegeta is; it is built if it is missing.
async fn vegeta(stack: &Stack) -> anyhow::Result<PathBuf> {
    let output = Command::new(stack.root.join(SCRIPT))
        .args(["tool", "vegeta"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await
        .with_context(|| format!("cannot run {SCRIPT}"))?;
    ensure!(
        output.status.success(),
        "`{SCRIPT} tool vegeta` failed; what it said is above"
    );
    let path = String::from_utf8(output.stdout).context("its path")?;
    Ok(PathBuf::from(path.trim_end()))
}

// === impl Files ===

impl Files {
    /// The repository's topic under another name, and a client's key.
    fn make(stack: &Stack) -> anyhow::Result<Self> {
        use std::hash::{BuildHasher as _, RandomState};
        let unique = format!("bench-ingest-{}", std::process::id());
        let folder = PathBuf::from(stack.get("INSTANCE_DIR")?).join(&unique);
        let word = || RandomState::new().hash_one(std::process::id());
        let files = Self {
            topic: format!("bench.ingest.{}", std::process::id()),
            key: format!("{:016x}{:016x}{:016x}", word(), word(), word()),
            folder,
        };
        let written = files.write(&stack.root);
        written.with_context(|| format!("cannot write {}", files.folder.display()))?;
        Ok(files)
    }

    fn write(&self, root: &Path) -> anyhow::Result<()> {
        let topics = self.folder.join("topics");
        std::fs::create_dir_all(&topics)?;
        std::fs::create_dir_all(self.folder.join("pipelines"))?;
        let spec = std::fs::read_to_string(root.join(format!("{SPEC}.toml")))?;
        let spec = spec.replacen("\"app.behaviour\"", &format!("\"{}\"", self.topic), 1);
        std::fs::write(topics.join("events.toml"), spec)?;
        std::fs::copy(
            root.join(format!("{SPEC}.avsc")),
            topics.join("events.avsc"),
        )?;
        write_private(&self.folder.join("keys"), &format!("bench {}\n", self.key))?;
        Ok(())
    }

    /// The settings file.
    fn settings(&self, stack: &Stack, listen: &str) -> anyhow::Result<PathBuf> {
        let text = |value: &str| toml::Value::from(value).to_string();
        let file = |name: &str| text(&self.folder.join(name).to_string_lossy());
        let lines = [
            format!("topics_dir = {}", file("topics")),
            format!("pipelines_dir = {}", file("pipelines")),
            format!("kafka.brokers = {}", text(stack.get("KAFKA")?)),
            "admin.listen = \"127.0.0.1:0\"".to_owned(),
            "log.filter = \"warn\"".to_owned(),
            "[ingest]".to_owned(),
            format!("listen = {}", text(listen)),
            format!("keys_file = {}", file("keys")),
            // One client is all of them here.
            "rate = 1000000\nburst = 1000000\n".to_owned(),
        ];
        let settings = self.folder.join("twolane.toml");
        std::fs::write(&settings, lines.join("\n")).context("cannot write the settings")?;
        Ok(settings)
    }
}

/// What is sent.
struct Attack<'a> {
    url: &'a str,
    rate: u32,
    batch: u32,
    seconds: u32,
}

// === impl Attack ===

impl Attack<'_> {
    async fn run(&self, vegeta: &Path, files: &Files, ingest: &Worker) -> anyhow::Result<Figures> {
        let targets = files.folder.join("targets");
        self.write(&targets, &files.key)
            .context("cannot write what is to be sent")?;
        let watching = ingest.watch();
        let results = pipe(
            vegeta,
            &[
                "attack",
                "-format=json",
                &format!("-targets={}", targets.display()),
                &format!("-rate={}/s", self.rate),
                &format!("-duration={}s", self.seconds),
                "-timeout=30s",
            ],
            &[],
        )
        .await?;
        let used = watching.used()?;
        let report = pipe(vegeta, &["report", "-type=json"], &results).await?;
        let report: Value = serde_json::from_slice(&report).context("vegeta's report")?;
        let number = |value: &Value| value.as_f64().context("vegeta's report lacks a figure");
        let latency = |name: &str| anyhow::Ok(number(&report["latencies"][name])? / 1e6);
        Ok(Figures {
            due: self.rate,
            batch: self.batch,
            accepted: report["status_codes"]["202"].as_u64().unwrap_or(0),
            requests: report["requests"].as_u64().unwrap_or(0),
            rate: number(&report["rate"])?,
            p50_ms: latency("50th")?,
            p99_ms: latency("99th")?,
            max_ms: latency("max")?,
            used,
        })
    }

    /// Every request with events of its own.
    fn write(&self, file: &Path, key: &str) -> anyhow::Result<()> {
        let mut out = std::io::BufWriter::new(std::fs::File::create(file)?);
        let kind = if self.batch == 1 {
            "application/json"
        } else {
            "application/x-ndjson"
        };
        let mut body = String::new();
        for request in 0..self.rate * self.seconds {
            body.clear();
            for n in 0..self.batch {
                let event = json!({
                    "event_id": format!("{}-{request}-{n}", self.batch),
                    "user_id": format!("u{}", request % 10_007),
                    "kind": "VIEW",
                    "occurred_at": 1_795_305_600_000_u64 + u64::from(request),
                    "item_id": format!("item-{n}"),
                    "dwell_ms": 5_400,
                    "source": "home/recommended",
                });
                body += &format!("{event}\n");
            }
            let target = json!({
                "method": "POST",
                "url": self.url,
                "header": {"Authorization": [format!("Bearer {key}")], "Content-Type": [kind]},
                "body": BASE64.encode(&body),
            });
            writeln!(out, "{target}")?;
        }
        out.flush()?;
        Ok(())
    }
}

/// Runs a command of vegeta's with an input, and gives what it prints.
async fn pipe(vegeta: &Path, arguments: &[&str], input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut child = Command::new(vegeta)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot run vegeta")?;
    let mut to = child.stdin.take().context("vegeta's input")?;
    let write = async {
        to.write_all(input).await?;
        drop(to);
        anyhow::Ok(())
    };
    let (written, output) = tokio::join!(write, child.wait_with_output());
    let output = output.context("vegeta")?;
    ensure!(output.status.success(), "vegeta {arguments:?} failed");
    written.context("vegeta does not read its input")?;
    Ok(output.stdout)
}

fn as_json(all: &[Figures], others: Option<f64>) -> Value {
    let of = |f: &Figures| {
        json!({
            "requests_per_s": round(f.rate, 0),
            "requests_due_per_s": f.due,
            "events_per_request": f.batch,
            "events_per_s": round(f.rate * f64::from(f.batch), 0),
            "accepted": f.accepted,
            "requests": f.requests,
            "p50_ms": round(f.p50_ms, 3),
            "p99_ms": round(f.p99_ms, 3),
            "max_ms": round(f.max_ms, 3),
            "cores": round(f.used.cores, 3),
            "rss_mb": round(f.used.most_mib, 1),
        })
    };
    let mut value = json!({ "others_cpus": others.map(|o| round(o, 2)) });
    for (name, figures) in ["single", "batch"].into_iter().zip(all) {
        value[name] = of(figures);
    }
    value
}

fn text(all: &[Figures], others: Option<f64>) -> String {
    use std::fmt::Write as _;
    let mut out = format!(
        "\n{:>10}{:>10}{:>12}{:>10}{:>9}{:>9}{:>9}{:>8}{:>10}\n",
        "requests/s",
        "events of",
        "events/s",
        "accepted",
        "p50 ms",
        "p99 ms",
        "max ms",
        "cores",
        "peak MiB"
    );
    for f in all {
        let _ = writeln!(
            out,
            "{:>10.0}{:>10}{:>12.0}{:>10}{:>9.2}{:>9.2}{:>9.2}{:>8.2}{:>10.0}",
            f.rate,
            f.batch,
            f.rate * f64::from(f.batch),
            format!("{}/{}", f.accepted, f.requests),
            f.p50_ms,
            f.p99_ms,
            f.max_ms,
            f.used.cores,
            f.used.most_mib,
        );
    }
    let others = others.map_or("-".to_owned(), |o| format!("{o:.1}"));
    let _ = writeln!(
        out,
        "\nEvery event that was acknowledged is in the topic, once. Broker, ingest and vegeta share the CPUs; {others} were busy \
         with other things in the second before."
    );
    out
}
