use super::*;
use crate::branch::{Control, State, Stats};
use crate::commit::{Ledger, Resolution};
use crate::config::{self, LoadOptions};
use crate::event::Position;
use crate::ops::metrics::Exposition;
use crate::sink::dead_letter::DeadLetters;
use crate::sink::registry;
use crate::source::{Budget, Commands, Pollers, Probe};

const PASSWORD: &str = "hunter2-hunter2";

/// Nobody listens on port 1, and no client here waits for anybody.
const SETTINGS: &str = r#"
[kafka]
brokers = "127.0.0.1:1"
security_protocol = "sasl_plaintext"
sasl_mechanism = "PLAIN"
username = "lane"
password = "hunter2-hunter2"
[redis]
url = "redis://127.0.0.1:1"
password = "hunter2-hunter2"
"#;
const TOPIC: &str = r#"
name = "app.users"
format = "debezium-json"
key = ["id"]
partitions = 2
epoch = 1
config = { "cleanup.policy" = "compact", "delete.retention.ms" = "604800000", "min.compaction.lag.ms" = "604800000" }
[columns]
id = "bigint"
"#;
const PIPELINE: &str = r#"
topic = "app.users"
[[sink]]
type = "redis"
key = "user:{id}"
"#;

fn branch() -> Arc<Branch> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("twolane.toml", SETTINGS),
        ("topics/users.toml", TOPIC),
        ("pipelines/users.toml", PIPELINE),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut options = LoadOptions::from_process(Some("twolane.toml".into()));
    options.variables.clear();
    options.directory = folder.path().to_owned();
    let loaded = config::load(&options).unwrap_or_else(|problems| panic!("{problems}"));
    let settings = Arc::new(loaded.settings);
    let pipeline = Arc::new(loaded.pipelines.into_iter().next().unwrap());
    let (spec, topic) = (pipeline.sinks[0].clone(), Arc::clone(&pipeline.topic));
    Arc::new(Branch {
        registry: None,
        schemas: Arc::default(),
        name: "users.redis".into(),
        ledger: Arc::new(Ledger::default()),
        budget: Budget::new(1_000, 4),
        hub: registry::hub(&settings, &pipeline, &spec).unwrap(),
        dead: DeadLetters::new(&settings.kafka, &topic.name, "users", "redis").unwrap(),
        probe: Probe::new(&settings.kafka, topic, "users.redis").unwrap(),
        server: crate::retry::redis(&settings.redis),
        kafka: crate::retry::kafka(&settings.kafka),
        commands: Commands::default(),
        pollers: Pollers::default(),
        control: Control::default(),
        stats: Stats::default(),
        pipeline,
        settings,
        spec,
    })
}

#[test]
fn a_branch_is_shown_as_it_counts_and_without_its_credentials() {
    let b = branch();
    b.ledger.open(0, 100);
    let take = |offset| {
        let position = Position {
            partition: 0,
            offset,
        };
        b.ledger.take(position).unwrap().unwrap()
    };
    let claims = [take(100), take(101), take(105)];
    b.ledger.resolve([
        (claims[0], Resolution::Applied),
        (claims[1], Resolution::DeadLettered),
    ]);
    b.stats.partition(0, |p| {
        p.end = 110;
        p.committed = 100;
    });
    b.stats.reason("not_json");
    b.stats.fresh(1_000, 1_250);
    let mut permit = b.budget.chunk().unwrap();
    assert!(permit.grow(400));

    let view = BranchView::from(&*b);
    assert_eq!((view.state, view.reason), ("starting", None));
    assert_eq!(view.records.consumed, 3);
    assert_eq!((view.records.applied, view.records.dead_lettered), (1, 1));
    assert_eq!(view.records.pending, 1);
    assert_eq!(view.partitions[0].watermark, b.ledger.mark(0).map(|m| m.0));
    assert_eq!(view.lag, view.partitions[0].lag);
    assert_eq!(view.last_freshness_seconds, Some(0.25));
    assert_eq!((view.buffer.bytes, view.buffer.limit), (400, 1_000));
    assert_eq!(view.reasons["not_json"], 1);

    let lanes = Lanes::new(Arc::default());
    lanes.started(vec![b]);
    let shown = serde_json::to_string(&lanes.branches()).unwrap();
    let metrics = Exposition::new(lanes).text().unwrap();
    assert!(shown.contains("users.redis") && metrics.contains("topic=\"app.users\""));
    assert!(!shown.contains(PASSWORD) && !metrics.contains(PASSWORD));
}

#[test]
fn a_starting_branch_says_what_it_waits_for_and_a_halted_one_is_resumed_once() {
    let (lanes, b) = (Lanes::new(Arc::default()), branch());
    assert!(lanes.branches().is_none() && lanes.children().is_empty());
    assert_eq!(lanes.resume("users", "redis"), Resumed::Unknown);
    lanes.started(vec![Arc::clone(&b)]);
    let now = || {
        let view = lanes.branches().unwrap().remove(0);
        (view.state, view.reason)
    };
    b.control.waits("no broker");
    assert_eq!(now(), ("starting", Some("no broker".into())));
    b.control.running();
    assert_eq!(now(), ("running", None));
    assert_eq!(lanes.resume("users", "redis"), Resumed::NotHalted);
    b.control.halt("a wrong mapping");
    assert_eq!(now(), ("halted", Some("a wrong mapping".into())));
    assert_eq!(lanes.resume("users", "kafka"), Resumed::Unknown);
    assert_eq!(lanes.resume("users", "redis"), Resumed::Resumed);
    assert_eq!(lanes.resume("users", "redis"), Resumed::NotHalted);
    assert_eq!(b.control.state(), State::Starting);
}

#[test]
fn a_pause_is_shown_with_who_asked_and_lies_over_what_is_at_work_alone() {
    let (lanes, b) = (Lanes::new(Arc::default()), branch());
    assert_eq!(lanes.pause("users", "redis", "me"), None);
    lanes.started(vec![Arc::clone(&b)]);
    assert_eq!(lanes.pause("users", "redis", "me"), Some(Pausing::Paused));
    assert!(
        matches!(lanes.pause("users", "redis", "you"), Some(Pausing::Already(p)) if p.by == "me")
    );
    b.control.running();
    let now = || lanes.branches().unwrap().remove(0);
    assert_eq!(
        (now().state, now().reason),
        ("paused", Some("by me".into()))
    );
    assert_eq!(now().paused.unwrap().by, "me");
    let metrics = Exposition::new(Arc::clone(&lanes) as Arc<dyn Subject>)
        .text()
        .unwrap();
    assert!(metrics.contains("state=\"paused\"} 1"), "{metrics}");
    b.control.halt("a wrong mapping");
    assert_eq!(now().state, "halted");
    assert_eq!(lanes.resume("users", "redis"), Resumed::Resumed);
    assert_eq!((now().state, now().paused), ("starting", None));
    assert_eq!(lanes.pipelines()[0].name, "users");
}

#[test]
fn lag_is_unknown_before_a_partition_is_read_and_lives_on_while_it_is_sought() {
    let at = |end, committed, watermark| PartitionStats {
        end,
        committed,
        watermark,
    };
    let lag = |stats, open| partition_view(0, stats, open).lag;
    assert_eq!(lag(at(1_000, 0, 0), None), None);
    assert_eq!(lag(at(1_000, 0, 0), Some(0)), Some(1_000));
    assert_eq!(lag(at(1_000, 900, 950), Some(990)), Some(10));
    assert_eq!(lag(at(1_000, 900, 950), None), Some(50));
    // The end is asked for now and then, and the watermark passes it in between.
    assert_eq!(lag(at(1_000, 900, 950), Some(1_200)), Some(0));
}

#[test]
fn a_histogram_counts_what_its_buckets_hold() {
    let h = Histogram::default();
    for n in 1..=100 {
        h.observe(f64::from(n));
    }
    let view = HistogramView::from(&h);
    assert_eq!(view.count, 100);
    assert!((view.sum - 5_050.0).abs() < 1e-6);
    assert_eq!(view.buckets.last().map(|b| b.0), Some(f64::INFINITY));
    assert!(view.p99 >= view.p50);
}
