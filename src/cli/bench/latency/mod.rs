//! At a fixed rate: how long after Kafka has a change it is in each sink, and how long after it was due.
//!
//! Open loop: the sender keeps to its schedule whatever becomes of what it sent. Time runs twice: from when the broker
//! *appended* a change, which is the lane's own part of the way, and from when it was *due*, so that a broker or a
//! sender that stands still is charged for everything that it holds up as well. Both end when the sink has acknowledged
//! the write, so that whoever reads there sees it by then. Every row is changed once, and its number says when it was
//! due; the topic, read once more at the end, says when it was appended. What was due in the first seconds is sent and
//! not counted.

mod child;
mod since;
mod timed;

use std::fmt::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use super::live::pace::Pace;
use super::records::{Keys, Records};
use super::report::round;
use super::specs::{Sinks, Specs};
use super::stack::say;
use super::topic::{self, Failures};
use crate::config::TopicSpec;
use crate::event::partition::predicted_partition;

pub(super) use child::{Args as ChildArgs, run as run_child};

/// What is due in so much time is sent and not counted: connections are opened, and the servers warm up.
const WARM_UP: Duration = Duration::from_secs(3);
/// From the word to begin to the first change: time for both processes to be there.
const AHEAD: Duration = Duration::from_millis(300);
/// How long the last records may take to be acknowledged by the broker.
const FLUSH: Duration = Duration::from_secs(30);
/// What the measured process says when it has its partitions.
const READY: &str = "ready";
/// A sender that is later than this at the 99th percentile measures itself.
const VOID_MS: f64 = 2.0;

/// One sink's latencies in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Latencies {
    sink: String,
    changes: u64,
    from_append: Quantiles,
    from_due: Quantiles,
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Quantiles {
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
}

/// A run.
#[derive(Debug)]
pub(super) struct Measured {
    rate: u32,
    /// The branches that ran at the same time.
    together: Sinks,
    sinks: Vec<Latencies>,
    /// How late the sender was, at the 99th percentile, in milliseconds.
    late_ms: f64,
}

/// Sends `rate` changes a second for `length`, and measures these branches in a process of their own. The topic is
/// there and empty.
///
/// # Errors
/// Where a process or a server fails.
pub(super) async fn measure(
    specs: &Specs,
    together: Sinks,
    brokers: &str,
    spec: &Arc<TopicSpec>,
    bytes: usize,
    (rate, length): (u32, Duration),
) -> anyhow::Result<Measured> {
    let end = WARM_UP + length;
    let events = (end.as_secs_f64() * f64::from(rate)) as u64;
    let records = Records::new(events, Keys::Sequence, bytes)?.made_now();
    let program = std::env::current_exe().context("this program's own file is not known")?;
    let mut child = Command::new(program)
        .args(["bench", "timed-lane", "--pipeline"])
        .arg(specs.pipeline(together))
        .arg("--specs")
        .arg(&specs.settings)
        .args(["--rate", &rate.to_string()])
        .args(["--events", &events.to_string()])
        .args(["--skip", &WARM_UP.as_millis().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the measured process")?;
    let (mut to, from) = child
        .stdin
        .take()
        .zip(child.stdout.take())
        .context("the measured process has no pipes")?;
    let mut from = BufReader::new(from);
    let mut line = String::new();
    from.read_line(&mut line).await?;
    ensure!(
        line.trim() == READY,
        "the measured process did not get ready; what it said is above"
    );
    say(&format!(
        "{}: {rate} changes a second for {} s, the first {} s of them not counted",
        together.name(),
        end.as_secs(),
        WARM_UP.as_secs()
    ));
    let begin = SystemTime::now() + AHEAD;
    let pace = Pace {
        origin: Instant::now() + AHEAD,
        rate,
        warm_up: WARM_UP,
        end,
    };
    let since_1970 = begin.duration_since(SystemTime::UNIX_EPOCH)?.as_micros();
    to.write_all(format!("{since_1970}\n").as_bytes()).await?;
    let late_ms = send(brokers, spec, records, pace).await?;
    let mut figures = String::new();
    from.read_to_string(&mut figures).await?;
    let status = child.wait().await?;
    if !status.success() {
        bail!("the measured process failed ({status}); what it said is above");
    }
    Ok(Measured {
        rate,
        together,
        sinks: serde_json::from_str(&figures).context("the measured process gave no figures")?,
        late_ms,
    })
}

/// Sends the records as they are due; gives how late the sender was at the 99th percentile, in milliseconds.
async fn send(
    brokers: &str,
    spec: &Arc<TopicSpec>,
    records: Records,
    pace: Pace,
) -> anyhow::Result<f64> {
    let mut config = topic::config(brokers);
    crate::produce::promises(&mut config);
    // It lingers for 5 ms, as the client does by itself: sent one by one, 2,000 changes a second keep the broker busy with
    // requests alone, and a capture sends together what one look at the binlog finds.
    let producer = BaseProducer::from_config_and_context(&config, Failures::default())
        .context("cannot make a Kafka client")?;
    let producer = Arc::new(producer);
    let sends = Arc::clone(&producer);
    let spec = Arc::clone(spec);
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let paced = pace.keep(move |n, _| {
        records.write(n, &mut key, &mut value);
        let record = BaseRecord::<[u8], [u8]>::to(&spec.name)
            .partition(predicted_partition(&key, spec.partitions))
            .key(&key)
            .payload(&value);
        sends
            .send(record)
            .map_err(|(why, _)| anyhow::anyhow!("cannot send to {}: {why}", spec.name))?;
        sends.poll(Duration::ZERO);
        Ok(())
    });
    let paced = paced.await?;
    tokio::task::spawn_blocking(move || {
        producer.flush(FLUSH)?;
        let failed = producer.context().failed();
        ensure!(failed == 0, "the broker did not take {failed} changes");
        Ok(())
    })
    .await??;
    Ok(paced.lag.value_at_quantile(0.99) as f64 / 1e3)
}

/// Runs, for machines.
pub(super) fn json(runs: &[Measured]) -> Value {
    let runs = runs.iter().map(|m| (m.together.name().into(), m.json()));
    Value::Object(runs.collect())
}

// === impl Quantiles ===

impl Quantiles {
    fn of(micros: &Histogram<u64>) -> Self {
        let at = |quantile| micros.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: micros.max() as f64 / 1e3,
        }
    }

    fn rounded(self) -> Self {
        Self {
            p50_ms: round(self.p50_ms, 2),
            p99_ms: round(self.p99_ms, 2),
            p999_ms: round(self.p999_ms, 2),
            max_ms: round(self.max_ms, 2),
        }
    }
}

// === impl Measured ===

impl Measured {
    fn json(&self) -> Value {
        let sinks = self.sinks.iter().map(|s| {
            let value = json!({
                "changes": s.changes,
                "from_append": s.from_append.rounded(),
                "from_due": s.from_due.rounded(),
            });
            (s.sink.clone(), value)
        });
        json!({
            "changes_per_s": self.rate,
            "sender_late_p99_ms": round(self.late_ms, 2),
            "from_due_void": self.void(),
            "latency": Value::Object(sinks.collect::<Map<_, _>>()),
        })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut out = format!(
            "\n{:<32}{:>10}{:>10}{:>10}{:>10}{:>10}\n",
            format!("{}, {} changes/s", self.together.name(), self.rate),
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "max ms",
            "changes"
        );
        for s in &self.sinks {
            for (from, q) in [("append", s.from_append), ("due", s.from_due)] {
                let _ = writeln!(
                    out,
                    "{:<32}{:>10.2}{:>10.2}{:>10.2}{:>10.2}{:>10}",
                    format!("{}, from {from}", s.sink),
                    q.p50_ms,
                    q.p99_ms,
                    q.p999_ms,
                    q.max_ms,
                    s.changes
                );
            }
        }
        let _ = writeln!(
            out,
            "\nFrom when the broker had appended a change (to the millisecond), and from when it was due, to when the sink had \
             acknowledged it. The sender was {:.2} ms late at the 99th percentile{}.",
            self.late_ms,
            if self.void() {
                ": too late, this machine is too busy and what is counted from there is void"
            } else {
                ""
            }
        );
        out
    }

    fn void(&self) -> bool {
        self.late_ms > VOID_MS
    }
}
