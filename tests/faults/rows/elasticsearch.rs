//! Elasticsearch is away, overloaded, full, or refuses single documents.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};

use super::super::case::{Case, Count, Start, options};
use super::super::frozen::Frozen;
use super::super::items::Items;
use super::super::sink::Sink;
use super::super::table::Row;
use super::super::until;
use crate::lane::rig::{self, Options};
use crate::lane::tools;

/// Redis may be this far behind for half of an outage that is not its own.
const FRESH: Duration = Duration::from_secs(2);

pub async fn killed_and_back_with_a_tiny_queue(start: &Start<'_>) -> Row {
    let eager = Options {
        elasticsearch: Some("workers = 4\nin_flight = 8\nbatch_documents = 10\nlinger = \"0ms\""),
        ..options()
    };
    let case = Case::new(
        start,
        "Elasticsearch killed; then its write queue is tiny (429)",
        eager,
    )
    .await;
    let lane = case.begin(start).await;
    let branches = lane.branches();
    let elasticsearch = tools::branch(&branches, "elasticsearch");
    let redis = tools::branch(&branches, "redis");
    let mut ages = Vec::new();
    case.while_loaded(async {
        case.strikes().await;
        case.stack.kill("elasticsearch").await;
        case.watch.forgive(Sink::Elasticsearch);
        let tiny = "thread_pool.write.size: 1\nthread_pool.write.queue_size: 1";
        let back =
            case.stack
                .start_with("elasticsearch", "TWOLANE_STACK_ELASTICSEARCH_CONFIG", tiny);
        let mut back = std::pin::pin!(back);
        loop {
            tokio::select! {
                () = &mut back => break,
                () = tokio::time::sleep(Duration::from_millis(100)) => {
                    ages.extend(redis.stats.last_freshness());
                }
            }
        }
        case.lifted();
    })
    .await;
    ages.sort_unstable();
    let median = ages.get(ages.len() / 2).copied().unwrap_or_default();
    case.note(format!(
        "Redis was {median:.1?} behind for half of the outage"
    ));
    if median > FRESH {
        case.violation(format!("Redis was {median:?} behind"));
    }
    case.settles().await;
    // And under more than the queue takes.
    let before = elasticsearch.stats.retried.load(Ordering::Relaxed);
    case.model.change(&case.rig, 600).await;
    case.settles().await;
    let refused = elasticsearch.stats.retried.load(Ordering::Relaxed) - before;
    case.note(format!("{refused} requests were tried again under load"));
    if refused == 0 {
        case.violation(String::from("no request met the tiny queue"));
    }
    case.rest(vec![lane]).await;
    case.verdict().await
}

pub async fn stopped_and_continued(start: &Start<'_>) -> Row {
    let case = Case::new(
        start,
        "Elasticsearch stopped for 6 s, continued, then killed",
        options(),
    )
    .await;
    let lane = case.begin(start).await;
    case.while_loaded(async {
        case.strikes().await;
        let frozen = Frozen::new(&case.stack, "elasticsearch");
        tokio::time::sleep(Duration::from_secs(6)).await;
        drop(frozen);
        let rev = case.model.rev();
        case.shows(rev).await;
        // Its usual configuration comes back with the start.
        case.stack.kill("elasticsearch").await;
        case.watch.forgive(Sink::Elasticsearch);
        case.stack.start("elasticsearch").await;
        case.lifted();
    })
    .await;
    case.settles().await;
    case.rest(vec![lane]).await;
    case.verdict().await
}

/// 400 for items whose neighbours, and whose documents' older changes, are good; then the log is read again from
/// its start, and every write meets a 409.
pub async fn rejections_and_conflicts(start: &Start<'_>) -> Row {
    const POISON: i64 = 40;
    let only = Options {
        redis: None,
        // Each pair is in one batch.
        elasticsearch: Some("linger = \"50ms\"\nbatch_documents = 100"),
        ..options()
    };
    let case = Case::new(start, "400 for single items; 409 for all", only).await;
    let lane = case.begin(start).await;
    case.strikes().await;
    // None of the load's rows, whose newer changes would be written in the poison's place.
    for id in 1_000..1_000 + POISON {
        case.model.poison_behind(&case.rig, id).await;
        case.model.change(&case.rig, 30).await;
    }
    case.lifted();
    case.settles().await;
    let branch = lane.branches().remove(0);
    until("all to be resolved", || async {
        Count::of(&branch).resolved() >= case.model.sent()
    })
    .await;
    let group = lane.branches()[0].name.clone();
    let dead = Count::of(&branch).dead_lettered;
    if dead != case.model.poison() {
        case.violation(format!(
            "L: {dead} dead letters for {} poison records",
            case.model.poison()
        ));
    }
    case.rest(vec![lane]).await;
    let letters = tools::dead_letters(&case.rig).await.len() as u64;
    if letters != case.model.poison() {
        case.violation(format!(
            "L: {letters} letters in the dead-letter topic for {} poison records",
            case.model.poison()
        ));
    }
    until("the group to be empty", || async { reset(&case, &group) }).await;
    let lane = case.rig.start().await;
    let branch = lane.branches().remove(0);
    until("the log to be read again", || async {
        Count::of(&branch).resolved() >= case.model.sent() && branch.ledger.pending() == 0
    })
    .await;
    let again = Count::of(&branch);
    if again.applied > 0 {
        case.violation(format!("S: what was read again was written: {again:?}"));
    }
    case.may_read_all_again();
    case.duplicates(again.resolved());
    case.rest(vec![lane]).await;
    case.verdict().await
}

/// Commits the start of every partition; `false` while the group has members.
fn reset(case: &Case, group: &str) -> bool {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &case.rig.config.settings.kafka.brokers)
        .set("group.id", group)
        .create()
        .expect("a client");
    let mut starts = TopicPartitionList::new();
    for partition in 0..case.rig.config.pipelines[0].topic.partitions {
        starts
            .add_partition_offset(&case.rig.topic, partition, Offset::Offset(0))
            .expect("an offset");
    }
    consumer.commit(&starts, CommitMode::Sync).is_ok()
}

/// 500 for the items of a few documents while their neighbours pass; then for one past its deadline, which makes a dead
/// letter of it.
pub async fn one_item_fails(start: &Start<'_>) -> Row {
    const IDS: [i64; 12] = [3, 4, 5, 6, 50, 51, 52, 53, 211, 212, 213, 214];
    /// None of the load's.
    const FOR_GOOD: i64 = 1_000;
    let only = Options {
        redis: None,
        // One request at a time, which must not be held by one of which every document fails.
        elasticsearch: Some(
            "workers = 1\nin_flight = 1\nbatch_documents = 25\nlinger = \"20ms\"\nalone_deadline = \"20s\"",
        ),
        ..options()
    };
    let mut case = Case::new(start, "a 5xx for single items", only).await;
    let items = Items::before(&case.rig.elasticsearch);
    case.rig.config.settings.elasticsearch.url = items.url.clone();
    let lane = case.begin(start).await;
    case.model.upsert(&case.rig, FOR_GOOD).await;
    case.settles().await;
    let branch = lane.branches().remove(0);
    case.strikes().await;
    items.fail(IDS);
    let before = records_of(&case, &IDS);
    case.model.upsert_all(&case.rig, &IDS).await;
    case.model.change(&case.rig, 600).await;
    // The neighbours are done while these are not.
    let failing = records_of(&case, &IDS) - before;
    until("the neighbours to pass", || async {
        Count::of(&branch).consumed >= case.model.sent()
            && (IDS.len()..=failing).contains(&branch.ledger.pending())
    })
    .await;
    tokio::time::sleep(super::LASTS).await;
    let repeated = items.repeated();
    if repeated > 0 {
        case.violation(format!(
            "D: {repeated} neighbours of a failing item were sent more than once"
        ));
    }
    case.note(format!("{} items failed", items.failed()));
    items.fail([]);
    case.lifted();
    case.settles().await;
    case.recovered();

    items.fail([FOR_GOOD]);
    let value = rig::event("u", FOR_GOOD, 0, "eve");
    case.while_loaded(async {
        let poisoned = case
            .model
            .poison_with(&case.rig, FOR_GOOD, value.as_bytes());
        poisoned.await;
        let sent = Instant::now();
        until("the one that fails for good to be buried", || async {
            Count::of(&branch).dead_lettered == 1
        })
        .await;
        case.note(format!("a dead letter after {:.1?}", sent.elapsed()));
        items.fail([]);
    })
    .await;
    case.settles().await;
    case.rest(vec![lane]).await;
    case.verdict().await
}

/// A server that takes longer for a full request than is waited: the same again would never be done.
pub async fn slow(start: &Start<'_>) -> Row {
    const EACH: Duration = Duration::from_millis(30);
    const TIMEOUT: Duration = Duration::from_secs(1);
    let only = Options {
        redis: None,
        elasticsearch: Some("workers = 1\nin_flight = 1\nbatch_documents = 200\nlinger = \"20ms\""),
        ..options()
    };
    let mut case = Case::new(
        start,
        "Elasticsearch starved: 200 documents take 6 s, 1 s is waited",
        only,
    )
    .await;
    let items = Items::before(&case.rig.elasticsearch);
    case.rig.config.settings.elasticsearch.url = items.url.clone();
    case.rig.config.settings.elasticsearch.timeout = TIMEOUT;
    let lane = case.begin(start).await;
    case.settles().await;
    let branch = lane.branches().remove(0);
    case.strikes().await;
    items.take(EACH);
    case.model.change(&case.rig, 400).await;
    until("the changes to pass", || async {
        Count::of(&branch).consumed >= case.model.sent() && branch.ledger.pending() == 0
    })
    .await;
    let late = branch.stats.retried.load(Ordering::Relaxed);
    case.note(format!("{late} requests were late"));
    if late == 0 {
        case.violation("no request was late".to_owned());
    }
    items.take(Duration::ZERO);
    case.lifted();
    case.settles().await;
    case.recovered();
    case.rest(vec![lane]).await;
    case.verdict().await
}

/// Records of these rows.
fn records_of(case: &Case, ids: &[i64]) -> usize {
    let log = case.model.log();
    let of = log.values().flatten().filter(|sent| ids.contains(&sent.id));
    of.count()
}

/// The disk's watermark is set so high that the index becomes read-only, as on a full disk.
pub async fn flood_stage(start: &Start<'_>) -> Row {
    let case = Case::new(
        start,
        "Elasticsearch read-only by its flood-stage watermark",
        options(),
    )
    .await;
    let lane = case.begin(start).await;
    let branch = tools::branch(&lane.branches(), "elasticsearch");
    let blocked = || async {
        let path = format!("{}-v1/_settings", case.rig.index);
        let answer = tools::elasticsearch(&case.rig, reqwest::Method::GET, &path, None).await;
        let settings = answer.as_object().and_then(|o| o.values().next()).cloned();
        settings.unwrap_or_default()["settings"]["index"]["blocks"]["read_only_allow_delete"]
            == "true"
    };
    case.while_loaded(async {
        case.strikes().await;
        watermarks(&case, json!("900tb")).await;
        until("the block", blocked).await;
        let before = branch.stats.retried.load(Ordering::Relaxed);
        until("a request to meet it", || async {
            branch.stats.retried.load(Ordering::Relaxed) > before
        })
        .await;
        watermarks(&case, Value::Null).await;
        until("the block to go", || async { !blocked().await }).await;
        case.lifted();
    })
    .await;
    case.settles().await;
    case.rest(vec![lane]).await;
    case.verdict().await
}

/// Sets how much of the disk must be free; null for the file's own.
async fn watermarks(case: &Case, free: Value) {
    let often = if free.is_null() {
        Value::Null
    } else {
        json!("10s")
    };
    let prefix = "cluster.routing.allocation.disk.watermark";
    let body = json!({"persistent": {
        format!("{prefix}.low"): free,
        format!("{prefix}.high"): free,
        format!("{prefix}.flood_stage"): free,
        "cluster.info.update.interval": often,
    }});
    let path = "_cluster/settings";
    tools::elasticsearch(&case.rig, reqwest::Method::PUT, path, Some(body)).await;
}
