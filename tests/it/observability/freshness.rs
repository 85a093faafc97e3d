//! Freshness that does not lie.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use serde_json::json;
use twolane::branch::Branch;

use crate::lane::rig::{Options, Rig, event, key, resolved, system, until};
use crate::stack;

fn stack() -> stack::Stack {
    stack::plain(&["kafka", "elasticsearch", "redis"])
}

async fn settings(rig: &Rig, settings: serde_json::Value) {
    let url = format!("{}/{}/_settings", rig.elasticsearch, rig.index);
    let set = reqwest::Client::new()
        .put(url)
        .json(&settings)
        .send()
        .await
        .expect("an answer");
    assert!(
        set.status().is_success(),
        "{}",
        set.text().await.unwrap_or_default()
    );
}

fn of<'a>(branches: &'a [Arc<Branch>], sink: &str) -> &'a Branch {
    branches
        .iter()
        .find(|b| b.spec.name == sink)
        .expect("a branch")
}

fn stuck(branch: &Branch) -> Option<Duration> {
    branch.stats.motion(|m| m.stuck(Instant::now()))
}

#[test]
fn a_document_counts_as_searchable_when_a_search_finds_it_and_not_before() {
    system(async {
        let mut rig = Rig::new(
            &stack(),
            "searchable",
            Options {
                redis: None,
                ..Options::default()
            },
        )
        .await;
        rig.config.settings.elasticsearch.search_probe = Duration::from_secs(1);
        let lane = rig.start().await;
        let branches = lane.branches();
        let stats = &of(&branches, "elasticsearch").stats;
        rig.upsert(1, 1, "a").await;
        resolved(&branches, 1).await;
        until("the first sample", || async {
            stats.searchable.count() > 0
        })
        .await;
        assert!(stats.searchable.sum() >= stats.freshness.sum());

        // Without refreshes nothing new can be found, whatever is acknowledged.
        settings(&rig, json!({"index": {"refresh_interval": "-1"}})).await;
        rig.upsert(2, 1, "b").await;
        resolved(&branches, 2).await;
        // A sample may have been taken of what was visible already.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (known, acknowledged) = (stats.searchable.count(), stats.freshness.count());
        rig.upsert(3, 1, "c").await;
        resolved(&branches, 3).await;
        assert_eq!(stats.freshness.count(), acknowledged + 1);
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(stats.searchable.count(), known);
        let before = stats.searchable.sum();
        settings(&rig, json!({"index": {"refresh_interval": "1s"}})).await;
        until("the waiting sample", || async {
            stats.searchable.count() > known
        })
        .await;
        // It had waited for as long as it had.
        assert!(
            stats.searchable.sum() - before >= 4.0,
            "{}",
            stats.searchable.sum() - before
        );
        lane.stop().await;
    });
}

#[test]
fn a_stuck_branch_says_so_and_grows_stale_while_the_others_do_not() {
    system(async {
        let mut rig = Rig::new(&stack(), "stuck", Options::default()).await;
        rig.config.settings.stuck_after = Duration::from_secs(2);
        let lane = rig.start().await;
        let branches = lane.branches();
        let (elasticsearch, redis) = (of(&branches, "elasticsearch"), of(&branches, "redis"));
        rig.upsert(1, 1, "a").await;
        resolved(&branches, 1).await;
        let stale = |b: &Branch| b.staleness(Instant::now());
        until("both to be idle", || async {
            branches.iter().all(|b| stale(b).is_zero())
        })
        .await;
        // An idle lane stays so.
        tokio::time::sleep(Duration::from_secs(3)).await;
        for branch in &branches {
            assert_eq!(
                (stale(branch), stuck(branch)),
                (Duration::ZERO, None),
                "{}",
                branch.name
            );
        }

        settings(&rig, json!({"index.blocks.write": true})).await;
        rig.upsert(1, 2, "b").await;
        until("the alarm", || async { stuck(elasticsearch).is_some() }).await;
        let first = stale(elasticsearch);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(stale(elasticsearch) >= first + Duration::from_millis(1_900));
        assert!(stuck(elasticsearch) >= Some(Duration::from_secs(4)));
        assert_eq!((stale(redis), stuck(redis)), (Duration::ZERO, None));
        assert_eq!(
            elasticsearch.control.state(),
            twolane::branch::State::Running
        );

        settings(&rig, json!({"index.blocks.write": null})).await;
        until("the alarm's end", || async {
            stuck(elasticsearch).is_none() && stale(elasticsearch).is_zero()
        })
        .await;
        lane.stop().await;
    });
}

#[test]
fn a_commit_in_the_future_counts_as_now_and_is_counted() {
    system(async {
        let rig = Rig::new(
            &stack(),
            "skew",
            Options {
                elasticsearch: None,
                ..Options::default()
            },
        )
        .await;
        let lane = rig.start().await;
        let branches = lane.branches();
        let now = twolane::branch::now_ms();
        let ahead = event("u", 1, 1, "a").replace(
            &format!("\"ts_ms\":{}", now / 100_000),
            &format!("\"ts_ms\":{}", now / 100_000 + 1),
        );
        rig.send(Some(&key(1)), Some(&ahead)).await;
        resolved(&branches, 1).await;
        let stats = &of(&branches, "redis").stats;
        assert_eq!(
            (
                stats.freshness.count(),
                stats.skewed.load(Ordering::Relaxed)
            ),
            (1, 1)
        );
        assert_eq!(stats.last_freshness(), Some(Duration::ZERO));
        lane.stop().await;
    });
}

/// The end of the log is then a marker, which no consumer is ever given.
#[test]
fn a_log_that_ends_in_a_transactions_marker_is_read_to_its_end() {
    system(async {
        let stack = stack();
        let mut rig = Rig::new(
            &stack,
            "marker",
            Options {
                elasticsearch: None,
                partitions: 1,
                ..Options::default()
            },
        )
        .await;
        rig.config.settings.stuck_after = Duration::from_secs(1);
        let lane = rig.start().await;
        let branches = lane.branches();
        let redis = of(&branches, "redis");
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", stack.get("KAFKA"))
            .set("transactional.id", &rig.prefix)
            .create()
            .expect("a producer");
        producer
            .init_transactions(Duration::from_secs(30))
            .expect("a transaction's coordinator");
        for rev in 1..=3 {
            producer.begin_transaction().expect("a transaction");
            let (key, value) = (key(1), event("u", 1, rev, "a"));
            let record = FutureRecord::to(&rig.topic).key(&key).payload(&value);
            producer
                .send(record, Duration::from_secs(30))
                .await
                .expect("acknowledged");
            producer
                .commit_transaction(Duration::from_secs(30))
                .expect("committed");
            resolved(&branches, u64::try_from(rev).expect("small")).await;
            until("the end to be known", || async {
                let known = redis.stats.partitions();
                known.values().any(|p| p.end == 2 * rev && p.lag() == 1)
            })
            .await;
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert_eq!(
                (redis.staleness(Instant::now()), stuck(redis)),
                (Duration::ZERO, None)
            );
        }
        lane.stop().await;
    });
}
