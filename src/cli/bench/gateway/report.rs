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
/// The goals, in the order of the table.
const GOALS: [(&str, f64); 6] = [
    ("fan-out p99, ms", 5.0),
    ("server, cores", 0.35),
    ("deliveries/s", 300_000.0),
    ("bytes an idle connection", 14_336.0),
    ("notifications p99, ms", 47.0),
    ("memory with all open, MiB", 380.0),
];

/// A run.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) viewers: u16,
    pub(super) rate: u32,
    pub(super) flood: u32,
    pub(super) seconds: u32,
    pub(super) idle: u32,
    pub(super) notify_rate: u32,
    /// At a rate that it holds.
    pub(super) shown: Figures,
    pub(super) used: Used,
    /// At one that is meant to be too much.
    pub(super) flooded: Figures,
    pub(super) flooded_used: Used,
    pub(super) idle_bytes: f64,
    pub(super) told: Told,
    pub(super) told_used: Used,
    /// Processors that other things kept busy before; `None` where the kernel does not tell.
    pub(super) others: Option<f64>,
}

fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e3
}

// === impl Measured ===

impl Measured {
    /// Whether the loader was late itself, where the gateway is not meant to be overloaded.
    pub(super) fn void(&self) -> bool {
        ms(&self.shown.lag, 0.99) > VOID_MS || ms(&self.told.lag, 0.99) > VOID_MS
    }

    fn figures(&self) -> [f64; 6] {
        [
            ms(&self.shown.latency, 0.99),
            self.used.cores,
            self.flooded.per_second,
            self.idle_bytes,
            ms(&self.told.latency, 0.99),
            self.told_used.most_mib,
        ]
    }
}

/// The figures, the most important first.
pub(super) fn json(m: &Measured) -> Value {
    let of = |histogram, quantile| round(ms(histogram, quantile), 3);
    json!({
        "fanout_p99_ms": of(&m.shown.latency, 0.99),
        "deliveries_per_s": round(m.flooded.per_second, 0),
        "server_cores": round(m.used.cores, 3),
        "frames_per_s": round(m.shown.frames, 1),
        "bytes_per_idle_connection": round(m.idle_bytes, 0),
        "notify_p99_ms": of(&m.told.latency, 0.99),
        "void": m.void(),
        "fanout_p50_ms": of(&m.shown.latency, 0.5),
        "fanout_p999_ms": of(&m.shown.latency, 0.999),
        "schedule_lag_p99_ms": of(&m.shown.lag, 0.99),
        "viewers": m.viewers,
        "comments_per_s": m.rate,
        "seconds": m.seconds,
        "sent": m.shown.sent,
        "received": m.shown.received,
        "missing": m.shown.missing,
        "flood_comments_per_s": m.flood,
        "flood_p50_ms": of(&m.flooded.latency, 0.5),
        "flood_p99_ms": of(&m.flooded.latency, 0.99),
        "flood_cores": round(m.flooded_used.cores, 3),
        "flood_frames_per_s": round(m.flooded.frames, 1),
        "flood_missing": m.flooded.missing,
        "flood_schedule_lag_p99_ms": of(&m.flooded.lag, 0.99),
        "idle_connections": m.idle,
        "notify_due_per_s": m.notify_rate,
        "notify_per_s": round(m.told.per_second, 0),
        "notify_p50_ms": of(&m.told.latency, 0.5),
        "notify_failed": m.told.failed,
        "notify_rss_mb": round(m.told_used.most_mib, 1),
        "notify_cores": round(m.told_used.cores, 3),
        "notify_schedule_lag_p99_ms": of(&m.told.lag, 0.99),
        "others_cpus": m.others.map(|o| round(o, 2)),
    })
}

/// The table, and what to know about it.
pub(super) fn text(m: &Measured) -> String {
    let mut out = format!("\n{:<30}{:>12}{:>12}\n", "", "measured", "goal");
    for ((name, goal), measured) in GOALS.into_iter().zip(m.figures()) {
        let _ = writeln!(out, "{name:<30}{measured:>12.2}{goal:>12.2}");
    }
    let _ = writeln!(
        out,
        "\n{} viewers. At {} comments/s for {} s: p50 {:.2}, p99.9 {:.2} ms, {:.0} frames/s, {} deliveries of {} missing.\n\
         At {} comments/s: p50 {:.1}, p99 {:.1} ms, {:.2} cores, {:.0} frames/s, {} missing.",
        m.viewers,
        m.rate,
        m.seconds,
        ms(&m.shown.latency, 0.5),
        ms(&m.shown.latency, 0.999),
        m.shown.frames,
        m.shown.missing,
        m.shown.received + m.shown.missing,
        m.flood,
        ms(&m.flooded.latency, 0.5),
        ms(&m.flooded.latency, 0.99),
        m.flooded_used.cores,
        m.flooded.frames,
        m.flooded.missing,
    );
    let _ = writeln!(
        out,
        "{} notifications/s of {} due with {} idle sockets open, {} failed.",
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
         flood); above {VOID_MS} ms a run is void.\nServers, gateway and loader share {cpus} CPUs; {others} were busy with \
         other things in the second before.",
        ms(&m.shown.lag, 0.99),
        ms(&m.told.lag, 0.99),
        ms(&m.flooded.lag, 0.99),
    );
    if m.void() {
        out.push_str("\nVOID: the loader was late itself.\n");
    }
    out
}
