//! The figures, for people and for machines.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::fanout::Figures;
use super::notify::Told;
use crate::cli::bench::live::worker::Used;
use crate::cli::bench::report::round;

/// A loader that is later than this at the 99th percentile measures itself.
const VOID_MS: f64 = 2.0;
/// A rate is held where the 99th percentile is not above this.
const HELD_MS: f64 = 50.0;
/// The goals, in the order of the table.
const GOALS: [(&str, f64); 7] = [
    ("fan-out p99, ms", 5.0),
    ("server, cores", 0.35),
    ("deliveries/s", 300_000.0),
    ("bytes an idle connection", 14_336.0),
    ("notifications p99, ms", 47.0),
    ("memory with all open, MiB", 380.0),
    ("p99 beside a slow one, times", SLOW),
];

/// The most that a slow viewer may move the others' p99.
const SLOW: f64 = 1.2;

/// A run.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) viewers: u16,
    pub(super) rate: u32,
    pub(super) seconds: u32,
    pub(super) idle: u32,
    pub(super) notify_rate: u32,
    /// Whether server and loader had a processor each in the fan-out.
    pub(super) pinned: bool,
    pub(super) ours: Shown,
    pub(super) idle_bytes: f64,
    pub(super) told: Told,
    pub(super) told_used: Used,
    /// The peer, where it was asked for.
    pub(super) peer: Option<Peer>,
    /// Processors that other things kept busy before; `None` where the kernel does not tell.
    pub(super) others: Option<f64>,
}

/// The fan-out of one server.
#[derive(Debug)]
pub(super) struct Shown {
    /// At a rate that it holds.
    pub(super) alone: Figures,
    /// Processors that it kept busy meanwhile.
    pub(super) cores: f64,
    /// The same beside a viewer who reads 1 KB/s.
    pub(super) beside: Figures,
    /// At the highest rate that was tried and held, or the lowest that was tried.
    pub(super) flooded: Flooded,
}

/// At a rate that is meant to be too much.
#[derive(Debug)]
pub(super) struct Flooded {
    pub(super) rate: u32,
    pub(super) figures: Figures,
    pub(super) used: Used,
}

/// What the peer made of the same.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) shown: Shown,
    pub(super) idle_bytes: f64,
}

fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e3
}

// === impl Shown ===

impl Shown {
    /// How far the slow viewer moved the others' p99.
    fn moved(&self) -> f64 {
        ms(&self.beside.latency, 0.99) / ms(&self.alone.latency, 0.99).max(1e-3)
    }

    /// The figures of a table's column; those that have a goal.
    fn figures(&self) -> [f64; 3] {
        [
            ms(&self.alone.latency, 0.99),
            self.cores,
            self.flooded.figures.per_second,
        ]
    }
}

// === impl Flooded ===

impl Flooded {
    /// Whether everything came, and soon enough.
    pub(super) fn held(&self) -> bool {
        self.figures.missing == 0 && ms(&self.figures.latency, 0.99) <= HELD_MS
    }
}

// === impl Measured ===

impl Measured {
    /// Whether the loader was late itself, where the gateway is not meant to be overloaded.
    pub(super) fn void(&self) -> bool {
        ms(&self.ours.alone.lag, 0.99) > VOID_MS || ms(&self.told.lag, 0.99) > VOID_MS
    }

    fn figures(&self) -> [f64; 7] {
        let [p99, cores, deliveries] = self.ours.figures();
        [
            p99,
            cores,
            deliveries,
            self.idle_bytes,
            ms(&self.told.latency, 0.99),
            self.told_used.most_mib,
            self.ours.moved(),
        ]
    }

    /// What the peer has of them.
    fn of_peer(&self) -> [Option<f64>; 7] {
        let Some(peer) = &self.peer else {
            return [None; 7];
        };
        let [p99, cores, deliveries] = peer.shown.figures().map(Some);
        let moved = Some(peer.shown.moved());
        [
            p99,
            cores,
            deliveries,
            Some(peer.idle_bytes),
            None,
            None,
            moved,
        ]
    }
}

fn of(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    round(ms(histogram, quantile), 3)
}

/// The figures, the most important first.
pub(super) fn json(m: &Measured) -> Value {
    let (shown, flood) = (&m.ours.alone, &m.ours.flooded);
    let mut value = json!({
        "fanout_p99_ms": of(&shown.latency, 0.99),
        "deliveries_per_s": round(flood.figures.per_second, 0),
        "server_cores": round(m.ours.cores, 3),
        "frames_per_s": round(shown.frames, 1),
        "bytes_per_idle_connection": round(m.idle_bytes, 0),
        "notify_p99_ms": of(&m.told.latency, 0.99),
        "void": m.void(),
        "pinned": m.pinned,
        "viewers": m.viewers,
        "comments_per_s": m.rate,
        "seconds": m.seconds,
        "schedule_lag_p99_ms": of(&shown.lag, 0.99),
        "idle_connections": m.idle,
        "notify_due_per_s": m.notify_rate,
        "notify_per_s": round(m.told.per_second, 0),
        "notify_p50_ms": of(&m.told.latency, 0.5),
        "notify_failed": m.told.failed,
        "notify_rss_mb": round(m.told_used.most_mib, 1),
        "notify_cores": round(m.told_used.cores, 3),
        "notify_schedule_lag_p99_ms": of(&m.told.lag, 0.99),
        "others_cpus": m.others.map(|o| round(o, 2)),
    });
    merge(&mut value, of_shown(&m.ours));
    if let Some(peer) = &m.peer {
        let mut figures = json!({
            "fanout_p99_ms": of(&peer.shown.alone.latency, 0.99),
            "deliveries_per_s": round(peer.shown.flooded.figures.per_second, 0),
            "server_cores": round(peer.shown.cores, 3),
            "frames_per_s": round(peer.shown.alone.frames, 1),
            "bytes_per_idle_connection": round(peer.idle_bytes, 0),
        });
        merge(&mut figures, of_shown(&peer.shown));
        value["peer"] = figures;
    }
    value
}

/// What is told of either side.
fn of_shown(shown: &Shown) -> Value {
    let flood = &shown.flooded;
    json!({
        "fanout_p50_ms": of(&shown.alone.latency, 0.5),
        "fanout_p999_ms": of(&shown.alone.latency, 0.999),
        "sent": shown.alone.sent,
        "received": shown.alone.received,
        "missing": shown.alone.missing,
        "slow_reader_p99_ms": of(&shown.beside.latency, 0.99),
        "slow_reader_ratio": round(shown.moved(), 3),
        "slow_reader_missing": shown.beside.missing,
        "flood_comments_per_s": flood.rate,
        "flood_held": flood.held(),
        "flood_p50_ms": of(&flood.figures.latency, 0.5),
        "flood_p99_ms": of(&flood.figures.latency, 0.99),
        "flood_cores": round(flood.used.cores, 3),
        "flood_frames_per_s": round(flood.figures.frames, 1),
        "flood_missing": flood.figures.missing,
        "flood_schedule_lag_p99_ms": of(&flood.figures.lag, 0.99),
    })
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

/// The table, and what to know about it.
pub(super) fn text(m: &Measured) -> String {
    let mut out = format!(
        "\n{:<30}{:>12}{:>12}{:>12}\n",
        "", "measured", "goal", "peer"
    );
    for (((name, goal), measured), peer) in GOALS.into_iter().zip(m.figures()).zip(m.of_peer()) {
        let peer = peer.map_or("-".to_owned(), |p| format!("{p:.2}"));
        let _ = writeln!(out, "{name:<30}{measured:>12.2}{goal:>12.2}{peer:>12}");
    }
    let peer = m.peer.as_ref().map(|peer| ("the peer", &peer.shown));
    for (name, shown) in [("twolane", &m.ours)].into_iter().chain(peer) {
        let (alone, flood) = (&shown.alone, &shown.flooded);
        let _ = writeln!(
            out,
            "\n{name}: {} viewers, {} comments/s for {} s: p50 {:.2}, p99.9 {:.2} ms, {:.0} frames/s, {} deliveries of {} \
             missing.\n{} comments/s ({}): p50 {:.1}, p99 {:.1} ms, {:.2} cores, {:.0} frames/s, {} missing.",
            m.viewers,
            m.rate,
            m.seconds,
            ms(&alone.latency, 0.5),
            ms(&alone.latency, 0.999),
            alone.frames,
            alone.missing,
            alone.received + alone.missing,
            flood.rate,
            if flood.held() { "held" } else { "not held" },
            ms(&flood.figures.latency, 0.5),
            ms(&flood.figures.latency, 0.99),
            flood.used.cores,
            flood.figures.frames,
            flood.figures.missing,
        );
    }
    let _ = writeln!(
        out,
        "\n{} notifications/s of {} due with {} idle sockets open, {} failed.",
        m.told.per_second.round(),
        m.notify_rate,
        m.idle,
        m.told.failed
    );
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let others = m.others.map_or("-".to_owned(), |o| format!("{o:.1}"));
    let _ = writeln!(
        out,
        "Time runs from when something was due. The loader was late by {:.2} ms at p99 ({:.2} with notifications, {:.2} in the \
         flood); above {VOID_MS} ms a run is void. A flood is held where nothing is missing and p99 is at most {HELD_MS} ms.\n\
         {}; {others} of {cpus} CPUs were busy with other things in the second before.",
        ms(&m.ours.alone.lag, 0.99),
        ms(&m.told.lag, 0.99),
        ms(&m.ours.flooded.figures.lag, 0.99),
        if m.pinned {
            "In the fan-out the server had one CPU and the loader another one, NATS either"
        } else {
            "Servers and loader shared the CPUs"
        },
    );
    if m.void() {
        out.push_str("\nVOID: the loader was late itself.\n");
    }
    out
}
