//! The figures, for people and for machines, and how busy the machine was with other things.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::bare::Rate;
use super::benthos::Benthos;
use super::child::{Drain, Drained, Moment};
use super::specs::Sinks;

/// What is to be known of any of these figures.
pub(super) const SHARED: &str =
    "\nServers and lane share this machine's processors with everything else that runs on it.\n";

/// Seconds below which a drain is too short to be looked at in quarters.
const SHORT: usize = 8;

/// A run.
#[derive(Debug)]
pub(super) struct Run {
    /// By mode.
    pub(super) measured: Vec<Measured>,
    /// The peer, where it was asked for.
    pub(super) peer: Option<Benthos>,
}

/// One mode's figures.
#[derive(Debug)]
pub(super) struct Measured {
    /// What ran at the same time.
    pub(super) sinks: Sinks,
    /// Records drained by each branch.
    pub(super) events: u64,
    /// The lane.
    pub(super) lane: Drain,
    /// The bare clients in the order of the lane's branches; empty where they were not asked for.
    pub(super) limit: Vec<Rate>,
    /// Processors that other things kept busy before; `None` where the kernel does not tell.
    pub(super) others: Option<f64>,
}

/// Prints figures as a machine wants them, or a person.
pub(super) fn print(as_json: bool, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) {
    if as_json {
        println!("{}", json());
    } else {
        print!("{}", text());
    }
}

// === impl Measured ===

impl Measured {
    fn rate(&self, seconds: f64) -> f64 {
        self.events as f64 / seconds.max(1e-9)
    }

    /// Events a second of each branch, from the first record to the last resolution of them all.
    pub(super) fn together(&self) -> f64 {
        self.rate(self.lane.seconds)
    }

    /// The bare clients' documents a second each, until the last of them was done.
    fn limit(&self) -> Option<f64> {
        let slowest = |rate: &Rate| rate.seconds;
        let seconds = self.limit.iter().map(slowest).reduce(f64::max)?;
        Some(self.limit.first()?.documents as f64 / seconds.max(1e-9))
    }

    fn branches(&self) -> impl Iterator<Item = (&Drained, Option<&Rate>)> {
        let limit = |n| self.limit.get(n);
        let branches = self.lane.branches.iter().enumerate();
        branches.map(move |(n, branch)| (branch, limit(n)))
    }

    /// CPU seconds of the process for a million events of one branch.
    pub(super) fn cpu_per_million(&self) -> f64 {
        let events = self.events as f64 * self.lane.branches.len().max(1) as f64;
        self.lane.cpu_s * 1e6 / events
    }

    /// The most resident memory of the process, in MiB.
    pub(super) fn rss_mb(&self) -> f64 {
        self.lane.rss_mb
    }

    fn value(&self) -> Value {
        let limit = self.limit();
        let mut value = json!({
            "events_per_s": round(self.together(), 0),
            "limit_per_s": limit.map(|l| round(l, 0)),
            "ratio": limit.map(|l| round(self.together() / l, 3)),
            "cpu_s_per_million": round(self.cpu_per_million(), 2),
            "rss_mb": round(self.lane.rss_mb, 1),
            "start_s": round(self.lane.start_s, 2),
            "others_cpus": self.others.map(|o| round(o, 2)),
            "coalesced": self.lane.branches.iter().map(|b| b.superseded).sum::<u64>(),
            "quarters": quarters(&self.lane.over_time).map(|q| q.map(|(rate, rss)| json!({
                "events_per_s": round(rate / self.lane.branches.len().max(1) as f64, 0),
                "rss_mb": round(rss, 1),
            }))),
        });
        if self.lane.branches.len() > 1 {
            let mut each = Map::new();
            for (branch, limit) in self.branches() {
                each.insert(branch.sink.clone(), json!({
                    "events_per_s": round(self.rate(branch.seconds), 0),
                    "limit_per_s": limit.map(|l| round(l.per_second(), 0)),
                    "ratio": limit.map(|l| round(self.rate(branch.seconds) / l.per_second(), 3)),
                }));
            }
            value["branches"] = Value::Object(each);
        }
        value
    }
}

/// The figures by mode.
pub(super) fn json(run: &Run) -> Value {
    let by_mode = run.measured.iter();
    let mut all: Map<_, _> = by_mode
        .map(|m| (m.sinks.name().to_owned(), m.value()))
        .collect();
    if let Some(peer) = &run.peer {
        let mut value = json!({
            "events_per_s": round(peer.per_second(), 0),
            "cpu_s_per_million": round(peer.cpu_per_million(), 2),
            "rss_mb": round(peer.rss_mb, 1),
        });
        if let Some(times) = times(run, peer) {
            value["elasticsearch_is_times"] = json!(round(times, 2));
        }
        all.insert("benthos".to_owned(), value);
    }
    Value::Object(all)
}

/// How many times the peer's rate the Elasticsearch branch had.
fn times(run: &Run, peer: &Benthos) -> Option<f64> {
    let alone = |m: &&Measured| m.sinks == Sinks::Elasticsearch;
    let ours = run.measured.iter().find(alone)?.together();
    Some(ours / peer.per_second().max(1e-9))
}

/// Of each quarter of a drain's seconds, records resolved a second and the mean of the resident memory; `None` where
/// it was too short.
fn quarters(over_time: &[Moment]) -> Option<[(f64, f64); 4]> {
    if over_time.len() <= SHORT {
        return None;
    }
    let part = (over_time.len() - 1) / 4;
    let of = |n: usize| {
        let moments = over_time.get(n * part..=(n + 1) * part)?;
        let (first, last) = (moments.first()?, moments.last()?);
        let rate = (last.resolved - first.resolved) as f64 / (last.at_s - first.at_s).max(1e-9);
        let rss = moments.iter().map(|m| m.rss_mb).sum::<f64>() / moments.len() as f64;
        Some((rate, rss))
    };
    Some([of(0)?, of(1)?, of(2)?, of(3)?])
}

/// One mode in a line.
pub(super) fn line(measured: &Measured) -> String {
    let mut line = format!(
        "{}: {:.0} events/s each",
        measured.sinks.name(),
        measured.together()
    );
    if let Some(limit) = measured.limit() {
        let _ = write!(
            line,
            ", {:.2} of the limit's {limit:.0}",
            measured.together() / limit
        );
    }
    let _ = write!(line, ", {:.0} MiB", measured.lane.rss_mb);
    line
}

/// The table, and what to know about it.
pub(super) fn text(run: &Run) -> String {
    let all = &run.measured;
    let mut out = String::from(
        "\n                        events/s   limit/s  ratio  CPU s/M  peak MiB  coalesced  others' CPUs\n",
    );
    for m in all {
        for (branch, limit) in m.branches() {
            let rate = m.rate(branch.seconds);
            let name = match m.sinks {
                Sinks::Both => format!("both: {}", branch.sink),
                Sinks::Elasticsearch | Sinks::Redis => branch.sink.clone(),
            };
            let _ = write!(out, "{name:<22}{rate:>10.0}");
            let _ = match limit {
                Some(limit) => write!(
                    out,
                    "{:>10.0}{:>7.2}",
                    limit.per_second(),
                    rate / limit.per_second()
                ),
                None => write!(out, "{:>10}{:>7}", "-", "-"),
            };
            let others = m
                .others
                .map_or_else(|| "-".to_owned(), |o| format!("{o:.1}"));
            let _ = writeln!(
                out,
                "{:>9.2}{:>10.0}{:>11}{others:>14}",
                m.cpu_per_million(),
                m.lane.rss_mb,
                branch.superseded,
            );
            if branch.retried > 0 {
                let _ = writeln!(out, "    {} requests had to be tried again", branch.retried);
            }
        }
        if let (Sinks::Both, Some(limit)) = (m.sinks, m.limit()) {
            let _ = writeln!(
                out,
                "{:<22}{:>10.0}{limit:>10.0}{:>7.2}   until the last branch, or bare client, was done",
                "both: together",
                m.together(),
                m.together() / limit
            );
        }
    }
    if let Some(peer) = &run.peer {
        let _ = writeln!(
            out,
            "{:<22}{:>10.0}{:>10}{:>7}{:>9.2}{:>10.0}{:>11}{:>14}",
            "benthos 4.27",
            peer.per_second(),
            "-",
            "-",
            peer.cpu_per_million(),
            peer.rss_mb,
            "-",
            "-"
        );
        if let Some(times) = times(run, peer) {
            let _ = writeln!(
                out,
                "    the Elasticsearch branch was {times:.1} times as fast"
            );
        }
    }
    for m in all {
        let Some(quarters) = quarters(&m.lane.over_time) else {
            continue;
        };
        let each = m.lane.branches.len().max(1) as f64;
        let list = |of: fn(&(f64, f64)) -> f64, by: f64| {
            let texts = quarters.iter().map(|q| format!("{:.0}", of(q) / by));
            texts.collect::<Vec<_>>().join(", ")
        };
        let _ = writeln!(
            out,
            "{}: by quarters of its time {} events/s each, {} MiB resident; first record after {:.2} s",
            m.sinks.name(),
            list(|q| q.0, each),
            list(|q| q.1, 1.0),
            m.lane.start_s
        );
    }
    let connections: Vec<String> = all
        .iter()
        .flat_map(Measured::branches)
        .filter_map(|(branch, limit)| Some(format!("{} {}", branch.sink, limit?.connections)))
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let _ = writeln!(
        out,
        "\nThe limit: ready-made requests for the same documents with the same versions, one write an event, in the same run{}.",
        if connections.is_empty() {
            String::new()
        } else {
            format!(" (best number of connections: {})", connections.join(", "))
        }
    );
    out.push_str(
        "CPU s/M: our process's CPU seconds for a million events of one branch. Peak: of the whole process.\n",
    );
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let _ = writeln!(
        out,
        "Servers, lane and bare clients share {cpus} CPUs with everything else; others' CPUs is what was busy in the second \
         before each lane, servers' own upkeep included. Where it is not near 0, look at the ratio.",
    );
    out
}

pub(super) fn round(number: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (number * scale).round() / scale
}

/// How many processors were busy while this one waited.
pub(super) async fn others(wait: Duration) -> Option<f64> {
    let before = busy(&std::fs::read_to_string("/proc/stat").ok()?)?;
    tokio::time::sleep(wait).await;
    let after = busy(&std::fs::read_to_string("/proc/stat").ok()?)?;
    let cpus = std::thread::available_parallelism().ok()?.get() as f64;
    let all = (after.1 - before.1) as f64;
    Some((after.0 - before.0) as f64 / all.max(1.0) * cpus)
}

/// Busy and all time of `/proc/stat`'s first line: user nice system idle iowait irq softirq steal.
fn busy(stat: &str) -> Option<(u64, u64)> {
    let fields: Vec<u64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    let all: u64 = fields.iter().sum();
    let idle = fields.get(3)? + fields.get(4)?;
    Some((all - idle, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(sinks: Sinks, seconds: &[f64], limit: &[f64]) -> Measured {
        Measured {
            sinks,
            events: 1_000,
            lane: Drain {
                branches: seconds
                    .iter()
                    .zip(["elasticsearch", "redis"])
                    .map(|(seconds, sink)| Drained {
                        sink: sink.to_owned(),
                        seconds: *seconds,
                        applied: 1_000,
                        superseded: 0,
                        retried: 0,
                    })
                    .collect(),
                seconds: seconds.iter().copied().fold(0.0, f64::max),
                start_s: 0.5,
                cpu_s: 2.0,
                rss_mb: 100.0,
                over_time: Vec::new(),
            },
            limit: limit
                .iter()
                .map(|seconds| Rate {
                    documents: 1_000,
                    seconds: *seconds,
                    connections: 2,
                })
                .collect(),
            others: None,
        }
    }

    fn run(measured: Measured) -> Run {
        Run {
            measured: vec![measured],
            peer: None,
        }
    }

    #[test]
    fn together_counts_until_the_last_is_done() {
        let both = measured(Sinks::Both, &[2.0, 1.0], &[1.0, 0.5]);
        let value = &json(&run(both))["both"];
        assert_eq!(value["events_per_s"], 500.0);
        assert_eq!(value["limit_per_s"], 1_000.0);
        assert_eq!(value["ratio"], 0.5);
        assert_eq!(value["cpu_s_per_million"], 1_000.0);
        assert_eq!(value["branches"]["redis"]["events_per_s"], 1_000.0);
        assert_eq!(value["branches"]["redis"]["ratio"], 0.5);
    }

    #[test]
    fn without_a_limit_there_is_no_ratio() {
        let alone = run(measured(Sinks::Redis, &[2.0], &[]));
        assert!(text(&alone).contains(" - "));
        assert_eq!(json(&alone)["redis"]["ratio"], Value::Null);
    }

    #[test]
    fn the_peer_stands_beside_the_branch_alone() {
        let mut run = run(measured(Sinks::Elasticsearch, &[1.0], &[]));
        run.peer = Some(Benthos {
            events: 1_000,
            seconds: 8.0,
            cpu_s: 1.0,
            rss_mb: 500.0,
        });
        let value = json(&run);
        assert_eq!(value["benthos"]["events_per_s"], 125.0);
        assert_eq!(value["benthos"]["elasticsearch_is_times"], 8.0);
        assert!(text(&run).contains("8.0 times as fast"));
    }

    #[test]
    fn a_drain_is_looked_at_in_quarters() {
        let moment = |at: u32| Moment {
            at_s: f64::from(at),
            resolved: u64::from(at) * 100 + u64::from(at > 8) * 200,
            rss_mb: if at > 4 { 20.0 } else { 10.0 },
        };
        let over_time: Vec<Moment> = (0..=12).map(moment).collect();
        let quarters = quarters(&over_time).unwrap();
        let rates = quarters.map(|q| q.0.round());
        assert_eq!(rates, [100.0, 100.0, 167.0, 100.0]);
        assert_eq!(quarters[0].1, 10.0);
        assert_eq!(quarters[3].1, 20.0);
        assert!(super::quarters(&over_time[..8]).is_none());
    }

    #[test]
    fn waiting_is_not_busy() {
        assert_eq!(busy("cpu  10 0 5 80 5 0 0 0 0 0\ncpu0 …"), Some((15, 100)));
        assert_eq!(busy("none"), None);
    }
}
