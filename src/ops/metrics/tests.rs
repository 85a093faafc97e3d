use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::ops::view::testing::{branch, child};
use crate::ops::view::{BranchView, ChildView, NodeView, Resumed};
use crate::supervise::{Asked, Chaos};

struct Fake(Option<Vec<BranchView>>, Vec<ChildView>);

impl Subject for Fake {
    fn branches(&self) -> Option<Vec<BranchView>> {
        self.0.clone()
    }
    fn children(&self) -> Vec<ChildView> {
        self.1.clone()
    }
    fn ingest(&self) -> Option<ingest::Snapshot> {
        let counted = || ingest::Stats::default().snapshot();
        self.0.as_ref().map(|_| counted())
    }

    fn live(&self) -> Option<LiveView> {
        self.0.as_ref().map(|_| LiveView::sample())
    }

    fn gateway(&self) -> Option<GatewayView> {
        self.0.as_ref().map(|_| GatewayView::sample())
    }
    fn tree(&self) -> NodeView {
        NodeView {
            child: child("twolane", "running"),
            strategy: None,
            children: vec![],
            more: 0,
        }
    }
    fn pause(&self, _: &str, _: &str, _: &str) -> Option<crate::branch::Pausing> {
        None
    }
    fn resume(&self, _: &str, _: &str) -> Resumed {
        Resumed::Unknown
    }
    fn restart(&self, _: &str, _: &str) -> Asked {
        Asked::Unknown
    }
    fn chaos(&self) -> Option<Arc<Chaos>> {
        None
    }
    fn steps(&self, _: &str) -> Option<&'static [&'static str]> {
        None
    }
}

/// Samples by name and labels; what the format asks for is asserted on the way.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut family = String::new();
    let mut kind = String::new();
    let mut families = BTreeSet::new();
    let body = text.strip_suffix("# EOF\n").expect("ends in EOF");
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, meaning) = help.split_once(' ').unwrap();
            assert!(!meaning.is_empty() && !meaning.contains('\\'));
            assert!(families.insert(name.to_owned()), "{name} comes twice");
            family = name.to_owned();
            kind.clear();
        } else if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, declared) = declared.split_once(' ').unwrap();
            assert_eq!(name, family, "HELP stands before TYPE");
            kind = declared.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let suffix = name
                .strip_prefix(&family)
                .unwrap_or_else(|| panic!("{name} among {family}"));
            let expected: &[&str] = match kind.as_str() {
                "counter" => &["_total"],
                "gauge" => &[""],
                "histogram" => &["_sum", "_count", "_bucket"],
                other => panic!("{family} is a {other}"),
            };
            assert!(expected.contains(&suffix), "{name} of the {kind} {family}");
            assert!(series.ends_with('}') || series == name, "{series}");
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite() && (kind != "counter" || value >= 0.0));
            let twice = samples.insert(series.to_owned(), value);
            assert!(twice.is_none(), "{series} comes twice");
        }
    }
    samples
}

fn scrape(
    branches: Option<Vec<BranchView>>,
    children: Vec<ChildView>,
) -> (String, BTreeMap<String, f64>) {
    let text = Exposition::new(Arc::new(Fake(branches, children)))
        .text()
        .unwrap();
    let samples = parse(&text);
    (text, samples)
}

#[test]
fn every_metric_of_the_table_is_exposed_and_nothing_else() {
    let branches = vec![branch("p", "redis"), branch("p", "elasticsearch")];
    let (text, samples) = scrape(Some(branches), vec![child("p.redis/source", "running")]);
    for m in TABLE {
        let kind = m.read.kind();
        let counter = m.name.ends_with("_total");
        assert_eq!(counter, matches!(kind, MetricType::Counter), "{}", m.name);
        let found = samples.keys().any(|s| {
            s.strip_prefix(m.name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['{', '_']))
        });
        assert!(found, "{}", m.name);
        for label in m.read.labels() {
            assert!(
                text.lines()
                    .any(|l| l.starts_with(m.name) && l.contains(&format!("{label}=\""))),
                "{} has no label {label}",
                m.name
            );
        }
    }
    assert_eq!(text.matches("# TYPE ").count(), TABLE.len());
    assert!(
        TABLE
            .iter()
            .all(|m| reference().contains(m.name) && !m.help.contains('|'))
    );
}

#[test]
fn what_is_counted_is_what_is_shown() {
    let (_, samples) = scrape(
        Some(vec![branch("p", "redis")]),
        vec![child("p.redis/source", "waiting")],
    );
    let of = r#"pipeline="p",sink="redis",topic="app.p""#;
    let value = |name: &str, more: &str| {
        let series = format!("{name}{{{of}{more}}}");
        *samples
            .get(&series)
            .unwrap_or_else(|| panic!("{series} in {samples:#?}"))
    };
    let outcomes = [
        "applied",
        "superseded",
        "filtered",
        "dead_lettered",
        "abandoned",
    ];
    let sum: f64 = outcomes
        .iter()
        .map(|o| value(&format!("twolane_records_{o}_total"), ""))
        .sum();
    assert_eq!(sum, value("twolane_records_consumed_total", ""));
    assert_eq!(
        value("twolane_record_reasons_total", r#",reason="not \"JSON\"""#),
        2.0
    );
    assert_eq!(value("twolane_branch_state", r#",state="running""#), 1.0);
    assert_eq!(value("twolane_branch_state", r#",state="halted""#), 0.0);
    assert_eq!(value("twolane_lag_records", r#",partition="0""#), 30.0);
    assert_eq!(value("twolane_committed_offset", r#",partition="0""#), 60.0);
    assert_eq!(value("twolane_last_freshness_seconds", ""), 0.25);
    assert_eq!(value("twolane_buffer_limit_bytes", ""), 25_165_824.0);
    assert_eq!(
        samples[r#"twolane_child_restarts_total{child="p.redis/source"}"#],
        7.0
    );
    assert_eq!(
        samples[r#"twolane_child_state{child="p.redis/source",state="waiting"}"#],
        1.0
    );
}

#[test]
fn histograms_are_cumulative_and_lose_no_value() {
    let (text, samples) = scrape(Some(vec![branch("p", "redis")]), Vec::new());
    let of = r#"pipeline="p",sink="redis",topic="app.p""#;
    for (name, more, count) in [
        ("twolane_sink_request_seconds", "", 3.0),
        ("twolane_batch_documents", "", 3.0),
        ("twolane_freshness_seconds", r#",stage="applied""#, 2.0),
    ] {
        let prefix = format!("{name}_bucket{{le=\"");
        let buckets: Vec<(f64, f64)> = text
            .lines()
            .filter_map(|l| l.strip_prefix(&prefix))
            .map(|l| {
                let (bound, rest) = l.split_once('"').unwrap();
                let n = rest.rsplit_once(' ').unwrap().1;
                (
                    bound.replace("+Inf", "inf").parse().unwrap(),
                    n.parse().unwrap(),
                )
            })
            .collect();
        assert!(
            buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1),
            "{buckets:?}"
        );
        assert_eq!(
            buckets.last().copied(),
            Some((f64::INFINITY, count)),
            "{name}"
        );
        assert_eq!(samples[&format!("{name}_count{{{of}{more}}}")], count);
    }
    let bucket = |name: &str, le: &str| samples[&format!("{name}_bucket{{le=\"{le}\",{of}}}")];
    // One document is at most one, and of two only one is.
    assert_eq!(bucket("twolane_batch_documents", "1.0"), 1.0);
    assert_eq!(bucket("twolane_batch_documents", "3.0"), 2.0);
    assert_eq!(bucket("twolane_sink_request_seconds", "0.0032"), 1.0);
    // 500 s is beyond the last bound and only under +Inf.
    assert_eq!(bucket("twolane_sink_request_seconds", "104.8576"), 2.0);
}

#[test]
fn freshness_is_told_by_stage_and_of_redis_there_is_one() {
    let branches = vec![branch("p", "redis"), branch("p", "elasticsearch")];
    let (_, samples) = scrape(Some(branches), Vec::new());
    let count = |sink: &str, stage: &str| {
        let of = format!("pipeline=\"p\",sink=\"{sink}\",topic=\"app.p\",stage=\"{stage}\"");
        samples.get(&format!("twolane_freshness_seconds_count{{{of}}}"))
    };
    assert_eq!(count("redis", "applied"), Some(&2.0));
    assert_eq!(count("redis", "searchable"), None);
    assert_eq!(count("elasticsearch", "acknowledged"), Some(&2.0));
    assert_eq!(count("elasticsearch", "searchable"), Some(&1.0));
    assert_eq!(count("elasticsearch", "applied"), None);
}

#[test]
fn a_branch_that_is_stuck_is_an_alarm() {
    let mut b = branch("p", "redis");
    let now = |b: &BranchView| {
        let (_, samples) = scrape(Some(vec![b.clone()]), Vec::new());
        samples[r#"twolane_not_progressing{pipeline="p",sink="redis",topic="app.p"}"#]
    };
    assert_eq!(now(&b), 0.0);
    b.stuck_seconds = Some(61.0);
    assert_eq!(now(&b), 1.0);
}

#[test]
fn before_the_branches_start_the_exposition_is_valid_and_without_them() {
    let (text, samples) = scrape(None, Vec::new());
    assert_eq!(samples.len(), 1, "{text}");
    assert!(text.contains("# HELP twolane_records_consumed "));
}

#[test]
fn what_is_not_known_has_no_sample() {
    let mut b = branch("p", "redis");
    b.last_freshness_seconds = None;
    b.partitions[0].lag = None;
    let (text, _) = scrape(Some(vec![b]), Vec::new());
    assert!(!text.contains("twolane_last_freshness_seconds{"));
    assert!(!text.contains("twolane_lag_records{"));
    assert!(text.contains("twolane_end_offset{"));
}
