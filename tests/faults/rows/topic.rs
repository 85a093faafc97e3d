//! The topic is not what it was: a refusal with the remedy, and nothing written.

use std::time::Duration;

use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::{Offset, TopicPartitionList};

use super::super::case::{Case, Start, options};
use super::super::process::Process;
use super::super::sink::Rows;
use super::super::table::Row;
use super::super::until;
use crate::lane::rig::{self, Options};
use crate::lane::tools;
use twolane::lane::Lane;

/// Every branch halts with a reason that has one of these words in it.
async fn refuses(case: &Case, lane: &Lane, remedies: &[&str]) {
    for branch in lane.branches() {
        let why = tools::halted(&branch).await;
        if !remedies.iter().any(|remedy| why.contains(remedy)) {
            case.violation(format!("{} halts without the remedy: {why}", branch.name));
        }
    }
}

async fn both(case: &Case) -> Vec<Rows> {
    let mut all = Vec::new();
    for sink in &case.watch.sinks {
        until("a look at the sinks", async || {
            let rows = case.watch.rows(*sink).await;
            let seen = rows.is_some();
            all.extend(rows);
            seen
        })
        .await;
    }
    all
}

pub async fn made_anew(start: &Start<'_>) -> Row {
    let low = Options {
        epoch: 1,
        ..options()
    };
    let mut case = Case::new(start, "topic re-created; then the remedy: epoch + 1", low).await;
    let lane = case.begin(start).await;
    case.settles().await;
    case.rest(vec![lane]).await;
    let before = both(&case).await;

    let brokers = case.rig.config.settings.kafka.brokers.clone();
    let admin = rig::admin(&brokers);
    let gone = admin.delete_topics(&[&case.rig.topic], &AdminOptions::new());
    for gone in gone.await.expect("the broker answers") {
        gone.expect("deleted");
    }
    until("the topic to be gone", || async {
        let known = admin.inner().fetch_metadata(None, Duration::from_secs(10));
        let known = known.expect("the broker answers");
        !known.topics().iter().any(|t| t.name() == case.rig.topic)
    })
    .await;
    rig::create_topic(&brokers, &case.rig.topic, 4, &[]).await;
    case.model.forget_log();
    case.watch.set_epoch(2);
    case.rig.renew_producer();
    case.model.snapshot(&case.rig).await;

    let lane = case.rig.start().await;
    refuses(
        &case,
        &lane,
        &["raise the epoch", "set epoch = 2", "raise `epoch`"],
    )
    .await;
    if both(&case).await != before {
        case.violation(String::from(
            "S: something was written in spite of the refusal",
        ));
    }
    lane.stop().await;

    tools::set_epoch(&mut case.rig.config, 2);
    case.lifted();
    let lane = case.rig.start().await;
    case.settles().await;
    case.recovered();
    case.rest(vec![lane]).await;
    case.verdict().await
}

pub async fn partitions_added(start: &Start<'_>) -> Row {
    let case = Case::new(start, "partitions added", options()).await;
    let lane = case.begin(start).await;
    case.settles().await;
    let before = both(&case).await;
    let admin = rig::admin(&case.rig.config.settings.kafka.brokers);
    let more = [NewPartitions::new(&case.rig.topic, 6)];
    let added = admin.create_partitions(&more, &AdminOptions::new());
    for added in added.await.expect("the broker answers") {
        added.expect("added");
    }
    case.lifted();
    refuses(&case, &lane, &["has 6 partitions"]).await;
    case.recovered();
    // To the partitions as they were, so that the model stays right: none of it may be written.
    let branches = lane.branches();
    let taken: Vec<u64> = branches.iter().map(|b| rig::consumed(b)).collect();
    let key = rig::key(1);
    let row = rig::event("u", 1, i64::MAX / 2, "late");
    let sent = case
        .rig
        .send_to(Some(0), Some(key.as_bytes()), Some(row.as_bytes()));
    sent.await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let now: Vec<u64> = branches.iter().map(|b| rig::consumed(b)).collect();
    if both(&case).await != before || now != taken {
        case.violation(String::from(
            "S: something was written in spite of the refusal",
        ));
    }
    case.rest(vec![lane]).await;
    case.verdict().await
}

/// Records are removed from the log before they were read: by retention, while the process was stopped for a moment.
pub async fn cut_before_it_was_read(start: &Start<'_>) -> Row {
    let case = Case::new(start, "log cut before it was read", options()).await;
    let process = Process::start(case.rig.directory());
    case.warm(start).await;
    case.settles().await;
    until("rest", async || match process.counts().await {
        Some(counts) => counts.iter().all(|(_, count)| count.pending == 0),
        None => false,
    })
    .await;
    let kept = case.model.live();
    process.signal("STOP");
    // The fetch that it waits for comes back with nothing first: the broker keeps it for half a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    // None of it is the model's: it is removed unread.
    let lost: Vec<_> = (0..200)
        .map(|n| (rig::key(n), Some(rig::event("u", n, i64::MAX / 2, "lost"))))
        .collect();
    case.rig.send_all(&lost).await;
    let admin = rig::admin(&case.rig.config.settings.kafka.brokers);
    let mut all = TopicPartitionList::new();
    for partition in 0..case.rig.config.pipelines[0].topic.partitions {
        // As far as the log goes.
        all.add_partition_offset(&case.rig.topic, partition, Offset::End)
            .expect("an offset");
    }
    let removed = admin.delete_records(&all, &AdminOptions::new()).await;
    removed.expect("the broker removes them");
    // And some behind them, which must not be read either.
    let after: Vec<_> = (0..50)
        .map(|n| (rig::key(n), Some(rig::event("u", n, i64::MAX / 2, "after"))))
        .collect();
    case.rig.send_all(&after).await;
    case.lifted();
    process.signal("CONT");
    for sink in ["elasticsearch", "redis"] {
        until(&format!("{sink} to halt"), async || {
            let pipelines = process.pipelines().await.unwrap_or_default();
            let branches = pipelines[0]["branches"].as_array().cloned();
            branches.unwrap_or_default().iter().any(|branch| {
                branch["sink"] == sink
                    && branch["state"] == "halted"
                    && branch["reason"]
                        .as_str()
                        .is_some_and(|why| why.contains("backfill"))
            })
        })
        .await;
    }
    case.recovered();
    assert_eq!(kept, case.model.live());
    case.rest_process(process).await;
    case.verdict().await
}
