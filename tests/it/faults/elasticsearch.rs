//! Elasticsearch is away for a while, or killed.

use std::process::Command;
use std::time::{Duration, Instant};

use twolane::event::{Epoch, Headers, Position, Record, Version};
use twolane::sink::dead_letter::{DeadLetters, Letter};

use super::model::{BOTH, Model, Sink};
use super::{adds_up, alone, passes, until, while_loaded};
use crate::lane::rig::{self, Options, Rig};

/// How long Elasticsearch is away.
const OUTAGE: Duration = Duration::from_secs(20);

#[test]
fn redis_stays_fresh_while_elasticsearch_is_away_and_then_both_complete() {
    let (_turn, stack) = alone(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "away", Options::default()).await;
        let lane = rig.start().await;
        let branches = lane.branches();
        let by_name = |name: &str| branches.iter().find(|b| b.spec.name == name).cloned();
        let redis = by_name("redis").expect("a branch");
        let elasticsearch = by_name("elasticsearch").expect("a branch");
        let mut model = Model::new(300);
        model.change(&rig, 1_000).await;
        model.arrives(&rig, &BOTH).await;
        let mut ages = Vec::new();
        while_loaded(&rig, &mut model, async {
            stack.stop("elasticsearch").await;
            let began = Instant::now();
            while began.elapsed() < OUTAGE {
                tokio::time::sleep(Duration::from_millis(100)).await;
                ages.extend(redis.stats.last_freshness());
            }
        })
        .await;
        ages.sort_unstable();
        let median = ages.get(ages.len() / 2).expect("ages");
        assert!(
            *median < Duration::from_secs(2),
            "Redis was {median:?} behind for half of the outage"
        );
        model.arrives(&rig, &[Sink::Redis]).await;
        let lag: i64 = elasticsearch
            .ledger
            .marks()
            .iter()
            .map(|(mark, _)| mark.offset)
            .sum();
        assert!(
            u64::try_from(lag).expect("offsets") < model.sent(),
            "Elasticsearch was not away"
        );
        let rev = model.rev();
        while_loaded(&rig, &mut model, async {
            stack.start("elasticsearch").await;
            passes(&rig, Sink::Elasticsearch, rev).await;
        })
        .await;
        model.arrives(&rig, &BOTH).await;
        adds_up(&lane).await;
        lane.stop().await;
    });
}

#[test]
fn a_deleted_row_stays_deleted_when_an_older_event_is_replayed_after_a_crash() {
    let (_turn, stack) = alone(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "undead", Options::default()).await;
        let lane = rig.start().await;
        let (partition, offset) = rig.upsert(7, 1, "ada").await;
        rig.upsert(8, 2, "bob").await;
        rig.delete(7).await;
        rig::resolved(&lane.branches(), 4).await;
        // An index remembers a deleted document's version no longer than a minute, nor past a flush and restart.
        let flush = format!("{}/{}/_flush", rig.elasticsearch, rig.index);
        let flushed = reqwest::Client::new().post(flush).send().await;
        let flushed = flushed.expect("it answers").error_for_status();
        flushed.expect("it flushes");
        stack.kill("elasticsearch").await;
        stack.start("elasticsearch").await;

        let (key, value) = (rig::key(7), rig::event("u", 7, 1, "ada"));
        let epoch = Epoch::new(1).expect("an epoch");
        let pipeline = &rig.config.pipelines[0];
        for sink in &pipeline.sinks {
            let dead = DeadLetters::new(
                &rig.config.settings.kafka,
                &rig.topic,
                &pipeline.name,
                &sink.name,
            )
            .expect("a producer");
            let letter = Letter {
                record: Record {
                    position: Position { partition, offset },
                    timestamp_ms: twolane::branch::now_ms(),
                    key: Some(key.as_bytes()),
                    value: Some(value.as_bytes()),
                    headers: Headers::default(),
                },
                version: Some(Version::new(epoch, offset).expect("a version")),
                reason: "rejected",
                detail: "by hand",
            };
            dead.send(&letter).await.expect("acknowledged");
        }
        let directory = rig.directory().to_owned();
        let replay = move || {
            Command::new(env!("CARGO_BIN_EXE_twolane"))
                .args(["dead", "replay", "--all", "--settings", "twolane.toml"])
                .current_dir(directory)
                .output()
        };
        let replayed = tokio::task::spawn_blocking(replay).await;
        let replayed = replayed.expect("it ends").expect("twolane runs");
        let said = String::from_utf8_lossy(&replayed.stdout);
        let complaint = String::from_utf8_lossy(&replayed.stderr);
        assert!(
            said.contains("2 letters: 2 superseded"),
            "{said}{complaint}"
        );

        // The lane sees it as well: another event of the same age changes nothing either.
        rig.upsert(9, 3, "eve").await;
        rig::resolved(&lane.branches(), 5).await;
        until("the rows to be visible", || async {
            rig.visible().await == 2
        })
        .await;
        let (_, source) = rig.document(7).await.expect("a tombstone");
        assert_eq!(source["_deleted"], true);
        assert!(!rig.hash(7).await.contains_key("rev"));
        adds_up(&lane).await;
        lane.stop().await;
    });
}
