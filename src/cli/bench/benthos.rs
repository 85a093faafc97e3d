//! The peer that people would otherwise use: Benthos drains the same topic into an index of its own, in the same
//! run, by `deploy/bench/benthos.yaml`.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::child::{cpu_seconds_of, peak_mib_of};
use super::records::INDEX;
use super::specs::Specs;
use crate::cli::demo::stack::Stack;

/// What it is told to do, from the repository's top.
const CONFIG: &str = "deploy/bench/benthos.yaml";
/// Between two looks at the index's counter.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Without any progress for this long the run has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long Elasticsearch may take for one answer on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What it took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Benthos {
    /// Changes that it wrote.
    pub(super) events: u64,
    /// From its first document to its last, in seconds.
    pub(super) seconds: f64,
    /// CPU seconds of its process, from its start on.
    pub(super) cpu_s: f64,
    /// The most resident memory, in MiB.
    pub(super) rss_mb: f64,
}

/// The name of its index, and of its consumer group.
pub(super) fn name(specs: &Specs) -> String {
    format!("{}-benthos", specs.unique)
}

/// Lets the program at `program` drain the topic of `events` records.
///
/// # Errors
/// Where it cannot be started, ends by itself, or stands still.
pub(super) async fn drain(
    program: &Path,
    stack: &Stack,
    specs: &Specs,
    events: u64,
) -> anyhow::Result<Benthos> {
    let url = stack.get("ELASTICSEARCH")?.trim_end_matches('/').to_owned();
    let index = name(specs);
    let client = Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let made = client
        .put(format!("{url}/{index}"))
        .header("content-type", "application/json")
        .body(INDEX)
        .send()
        .await?;
    ensure!(
        made.status() == StatusCode::OK,
        "the index {index} is not made: {}",
        made.status()
    );
    let mut child = Command::new(program)
        .arg("-c")
        .arg(stack.root.join(CONFIG))
        .env("KAFKA", stack.get("KAFKA")?)
        .env("TOPIC", &specs.topic)
        .env("GROUP", &index)
        .env("ELASTICSEARCH", &url)
        .env("INDEX", &index)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let pid = child.id().context("Benthos ended at once")?;
    let (mut began, mut before, mut moved) = (None, 0, Instant::now());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(status) = child.try_wait()? {
            bail!("Benthos ended ({status}); what it said is above");
        }
        let written = written(&client, &url, &index).await?;
        if written > before {
            began.get_or_insert_with(Instant::now);
            (before, moved) = (written, Instant::now());
        }
        if written >= events {
            break;
        }
        ensure!(
            moved.elapsed() < PATIENCE,
            "Benthos stands still after {before} documents"
        );
    }
    let figures = Benthos {
        events,
        seconds: began.map_or(0.0, |b| b.elapsed().as_secs_f64()),
        cpu_s: cpu_seconds_of(&pid.to_string())?,
        rss_mb: peak_mib_of(&pid.to_string())?,
    };
    // It would go on waiting for more. Asked to end, it leaves its consumer group, which could not be removed before.
    let asked = Command::new("kill").arg(pid.to_string()).status().await?;
    if !asked.success() || timeout(PATIENCE, child.wait()).await.is_err() {
        child.kill().await?;
    }
    let removed = client
        .request(Method::DELETE, format!("{url}/{index}"))
        .send()
        .await?;
    ensure!(removed.status() == StatusCode::OK, "{index} is not removed");
    Ok(figures)
}

/// Writes that the index has taken, whether they made a document or replaced one.
async fn written(client: &Client, url: &str, index: &str) -> anyhow::Result<u64> {
    let path = "_all.primaries.indexing.index_total";
    let asked = format!("{url}/{index}/_stats/indexing?filter_path={path}");
    let answer: Value = client.get(asked).send().await?.json().await?;
    let total = answer.pointer("/_all/primaries/indexing/index_total");
    Ok(total.and_then(Value::as_u64).unwrap_or_default())
}

// === impl Benthos ===

impl Benthos {
    /// Changes a second.
    pub(super) fn per_second(&self) -> f64 {
        self.events as f64 / self.seconds.max(1e-9)
    }

    /// CPU seconds for a million changes.
    pub(super) fn cpu_per_million(&self) -> f64 {
        self.cpu_s * 1e6 / self.events.max(1) as f64
    }
}
