//! The figures, for people and for machines.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::comments::Figures;
use super::likes::Folded;
use super::worker::Used;
use crate::cli::bench::report::round;

/// A comment's way to a viewer, at the 99th percentile, in milliseconds.
const GOAL_P99_MS: f64 = 10.0;
/// The same at the 99.9th.
const GOAL_P999_MS: f64 = 20.0;
/// Likes folded a second, in batches.
const GOAL_LIKES: f64 = 500_000.0;
/// A loader that is later than this at the 99th percentile measures itself.
const VOID_MS: f64 = 1.0;

/// A run.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) rate: u32,
    pub(super) seconds: u32,
    pub(super) rooms: u16,
    pub(super) viewers: u16,
    pub(super) authors: u16,
    /// Comments through the lane.
    pub(super) lane: Figures,
    /// The same without it; absent where it was not asked for.
    pub(super) core: Option<Figures>,
    /// Likes in messages of as many as one may hold.
    pub(super) batched: Folded,
    /// Likes in a message each.
    pub(super) single: Folded,
    /// What the worker used while comments went through it.
    pub(super) used: Used,
    /// Processors that other things kept busy before; `None` where the kernel does not tell.
    pub(super) others: Option<f64>,
}

// === impl Figures ===

impl Figures {
    fn void(&self) -> bool {
        ms(&self.lag, 0.99) > VOID_MS
    }
}

// === impl Measured ===

impl Measured {
    /// Whether the loader kept to its schedule.
    fn void(&self) -> bool {
        self.lane.void() || self.core.as_ref().is_some_and(Figures::void)
    }

    /// Whether the figures mean something, and every comment came to every viewer once.
    pub(super) fn holds(&self) -> bool {
        let Figures {
            missing,
            twice,
            gaps,
            foreign,
            ..
        } = self.lane;
        !self.void() && missing + twice + gaps + foreign == 0
    }
}

fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1e3
}

/// The figures, the most important first.
pub(super) fn json(m: &Measured) -> Value {
    let lane = &m.lane;
    let part = |part: &Histogram<u64>, quantile| round(ms(part, quantile), 3);
    let of = |figures: &Figures, quantile| part(&figures.latency, quantile);
    let core = |quantile| m.core.as_ref().map(|core| of(core, quantile));
    json!({
        "comment_p99_ms": of(lane, 0.99),
        "comment_p50_ms": of(lane, 0.5),
        "comment_p999_ms": of(lane, 0.999),
        "comment_max_ms": round(lane.latency.max() as f64 / 1e3, 3),
        "to_live_in_p50_ms": part(&lane.parts.stored, 0.5),
        "to_live_in_p99_ms": part(&lane.parts.stored, 0.99),
        "to_live_out_p50_ms": part(&lane.parts.shown, 0.5),
        "to_live_out_p99_ms": part(&lane.parts.shown, 0.99),
        "to_viewer_p50_ms": part(&lane.parts.seen, 0.5),
        "to_viewer_p99_ms": part(&lane.parts.seen, 0.99),
        "schedule_lag_p99_ms": round(ms(&lane.lag, 0.99), 3),
        "void": m.void(),
        "comments_per_s": m.rate,
        "seconds": m.seconds,
        "rooms": m.rooms,
        "viewers": m.viewers,
        "authors": m.authors,
        "sent": lane.sent,
        "acknowledged": lane.acknowledged,
        "refused": lane.refused,
        "received": lane.received,
        "missing": lane.missing,
        "duplicates": lane.twice,
        "gaps": lane.gaps,
        "foreign": lane.foreign,
        "core_nats_p50_ms": core(0.5),
        "core_nats_p99_ms": core(0.99),
        "core_nats_p999_ms": core(0.999),
        "core_nats_schedule_lag_p99_ms": m.core.as_ref().map(|core| round(ms(&core.lag, 0.99), 3)),
        "likes_per_s": round(m.batched.per_second, 0),
        "likes_lost": m.batched.lost,
        "single_likes_per_s": round(m.single.per_second, 0),
        "single_likes_lost": m.single.lost,
        "worker_rss_mb": round(m.used.most_mib, 1),
        "worker_rss_first_mb": round(m.used.first_mib, 1),
        "worker_rss_last_mb": round(m.used.last_mib, 1),
        "worker_cpu_cores": round(m.used.cores, 3),
        "others_cpus": m.others.map(|o| round(o, 2)),
    })
}

/// The table, and what to know about it.
pub(super) fn text(m: &Measured) -> String {
    let lane = &m.lane;
    let mut out = format!(
        "\n{:<28}{:>12}{:>12}{:>9}{:>12}\n",
        "", "measured", "goal", "of goal", "core NATS"
    );
    let quantiles = [
        ("comment p50, ms", 0.5, None),
        ("comment p99, ms", 0.99, Some(GOAL_P99_MS)),
        ("comment p99.9, ms", 0.999, Some(GOAL_P999_MS)),
    ];
    for (name, quantile, goal) in quantiles {
        let measured = ms(&lane.latency, quantile);
        let core = m.core.as_ref().map(|core| ms(&core.latency, quantile));
        let cell = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.2}"));
        let _ = writeln!(
            out,
            "{name:<28}{measured:>12.2}{:>12}{:>9}{:>12}",
            cell(goal),
            cell(goal.map(|goal| measured / goal)),
            cell(core)
        );
    }
    for (name, part) in [
        ("  due to LIVE_IN, p99, ms", &lane.parts.stored),
        ("  LIVE_IN to LIVE_OUT, p99", &lane.parts.shown),
        ("  LIVE_OUT to viewer, p99", &lane.parts.seen),
    ] {
        let _ = writeln!(
            out,
            "{name:<28}{:>12.2}{:>12}{:>9}{:>12}",
            ms(part, 0.99),
            "-",
            "-",
            "-"
        );
    }
    let likes = [
        ("likes/s, batched", m.batched, Some(GOAL_LIKES)),
        ("likes/s, one a message", m.single, None),
    ];
    for (name, folded, goal) in likes {
        let cell = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let _ = writeln!(
            out,
            "{name:<28}{:>12.0}{:>12}{:>9}{:>12}",
            folded.per_second,
            cell(goal.map(|goal| format!("{goal:.0}"))),
            cell(goal.map(|goal| format!("{:.2}", folded.per_second / goal))),
            "-"
        );
    }
    let used = &m.used;
    let _ = writeln!(
        out,
        "\n{} comments/s into {} rooms for {} s, {} viewers, {} authors, each with a connection and a token.\n\
         {} sent, {} acknowledged, {} refused; of {} due to viewers {} came: {} missing, {} twice, {} gaps.",
        m.rate,
        m.rooms,
        m.seconds,
        m.viewers,
        m.authors,
        lane.sent,
        lane.acknowledged,
        lane.refused,
        lane.received + lane.missing,
        lane.received,
        lane.missing,
        lane.twice,
        lane.gaps,
    );
    let _ = writeln!(
        out,
        "Likes that are in no total: {} of {} batched, {} of {} single.",
        m.batched.lost, m.batched.sent, m.single.lost, m.single.sent
    );
    let _ = writeln!(
        out,
        "The worker: {:.2} CPUs; {:.1} MiB resident in the first minute (or quarter), {:.1} MiB in the last, {:.1} MiB at \
         the most.",
        used.cores, used.first_mib, used.last_mib, used.most_mib
    );
    let _ = writeln!(
        out,
        "Time runs from when a comment was due. The loader itself was late by {:.2} ms at p99{}; a run above {VOID_MS} ms is \
         void.",
        ms(&lane.lag, 0.99),
        m.core.as_ref().map_or(String::new(), |core| format!(
            " ({:.2} ms with core NATS)",
            ms(&core.lag, 0.99)
        )),
    );
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let others = m.others.map_or("-".to_owned(), |o| format!("{o:.1}"));
    let _ = writeln!(
        out,
        "Servers, worker and loader share {cpus} CPUs; {others} were busy with other things in the second before."
    );
    if m.void() {
        out.push_str(
            "\nVOID: the loader was late itself; run it again on a machine that is less busy.\n",
        );
    }
    if lane.missing + lane.twice + lane.gaps + lane.foreign > 0 {
        let _ = writeln!(
            out,
            "\nFAILED: not every viewer saw every comment once ({} frames were not the server's).",
            lane.foreign
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::comments::Parts;
    use super::super::pace::micros;
    use super::*;

    fn figures(lag: u64) -> Figures {
        let mut latency = micros().unwrap();
        (1..=1_000).for_each(|n| latency.saturating_record(n * 10));
        let mut late = micros().unwrap();
        late.saturating_record(lag);
        Figures {
            latency,
            parts: Parts::new().unwrap(),
            lag: late,
            sent: 100,
            acknowledged: 100,
            refused: 0,
            received: 1_000,
            missing: 0,
            twice: 0,
            gaps: 0,
            foreign: 0,
        }
    }

    fn measured(lag: u64) -> Measured {
        let folded = Folded {
            per_second: 1e6,
            sent: 10,
            lost: 0,
        };
        Measured {
            rate: 1_000,
            seconds: 20,
            rooms: 50,
            viewers: 500,
            authors: 50,
            lane: figures(lag),
            core: None,
            batched: folded,
            single: folded,
            used: Used {
                cores: 0.5,
                first_mib: 40.0,
                last_mib: 41.0,
                most_mib: 42.0,
            },
            others: None,
        }
    }

    #[test]
    fn a_loader_that_was_late_makes_the_run_void() {
        let good = measured(900);
        assert!(good.holds() && !text(&good).contains("VOID"));
        assert_eq!(json(&good)["void"], false);
        assert_eq!(json(&good)["comment_p99_ms"], 9.903);
        let late = measured(1_100);
        assert!(!late.holds() && text(&late).contains("VOID"));
        assert_eq!(json(&late)["void"], true);
    }

    #[test]
    fn a_comment_that_is_missing_fails_the_run() {
        let mut bad = measured(1);
        bad.lane.missing = 1;
        assert!(!bad.holds() && text(&bad).contains("FAILED"));
    }
}
