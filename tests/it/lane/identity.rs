//! A topic that is not the one whose versions the sinks hold is refused, and nothing of it is written.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::AdminOptions;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use twolane::branch::Branch;

use super::rig::{self, Options, Rig};
use super::tools;
use crate::stack;

/// Every branch halts, for a reason that has one of these texts, and takes no record.
async fn refused(branches: &[Arc<Branch>], remedies: &[&str]) {
    for branch in branches {
        let why = tools::halted(branch).await;
        assert!(
            remedies.iter().any(|r| why.contains(r)),
            "{}: {why}",
            branch.name
        );
        assert_eq!(rig::consumed(branch), 0, "{}", branch.name);
    }
}

#[test]
fn a_topic_that_is_not_there_yet_is_waited_for() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let mut rig = Rig::new(&stack, "late", Options::default()).await;
        let late = format!("{}-late", rig.topic);
        tools::topic(&mut rig.config).name = late.clone();
        rig.topic = late;
        let lane = rig.start().await;
        let branches = lane.branches();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let brokers = rig.config.settings.kafka.brokers.clone();
        rig::create_topic(&brokers, &rig.topic, 4, &[]).await;
        rig.upsert(1, 1, "ada").await;
        rig::resolved(&branches, 1).await;
        assert_eq!(rig.hash(1).await["name"], "ada");
        lane.stop().await;
    });
}

#[test]
fn another_partition_count_than_the_specs_is_refused() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let mut rig = Rig::new(&stack, "count", Options::default()).await;
        tools::topic(&mut rig.config).partitions = 3;
        rig.upsert(1, 1, "ada").await;
        let lane = rig.start().await;
        refused(&lane.branches(), &["has 4 partitions"]).await;
        assert!(rig.document(1).await.is_none());
        assert!(rig.hash(1).await.is_empty());
        lane.stop().await;
    });
}

#[test]
fn a_topic_made_anew_is_refused_under_its_old_epoch_and_accepted_under_a_higher_one() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let mut rig = Rig::new(&stack, "anew", Options::default()).await;
        let lane = rig.start().await;
        for rev in 1..=3 {
            rig.upsert(1, rev, "old").await;
        }
        rig::resolved(&lane.branches(), 3).await;
        lane.stop().await;
        let (before, _) = rig.document(1).await.expect("a document");

        let brokers = rig.config.settings.kafka.brokers.clone();
        let admin = rig::admin(&brokers);
        for gone in admin
            .delete_topics(&[&rig.topic], &AdminOptions::new())
            .await
            .unwrap()
        {
            gone.expect("deleted");
        }
        rig::until("the topic to be gone", || async {
            let known = admin
                .inner()
                .fetch_metadata(None, Duration::from_secs(10))
                .unwrap();
            !known.topics().iter().any(|t| t.name() == rig.topic)
        })
        .await;
        rig::create_topic(&brokers, &rig.topic, 4, &[]).await;
        let producer = tools::producer(&rig);
        let row = rig::event("c", 1, 1, "new");
        let key = rig::key(1);
        let raw = tools::Raw {
            key: Some(key.as_bytes()),
            value: Some(row.as_bytes()),
            ..tools::Raw::default()
        };
        tools::send(&producer, &rig.topic, &raw)
            .await
            .expect("sent");

        let lane = rig.start().await;
        refused(&lane.branches(), &["raise the epoch", "set epoch = 2"]).await;
        let (version, source) = rig.document(1).await.expect("a document");
        assert_eq!((version, &source["name"]), (before, &"old".into()));
        assert_eq!(rig.hash(1).await["name"], "old");
        lane.stop().await;

        tools::set_epoch(&mut rig.config, 2);
        let lane = rig.start().await;
        let branches = lane.branches();
        rig::resolved(&branches, 1).await;
        let (version, source) = rig.document(1).await.expect("a document");
        assert_eq!((version, &source["name"]), ((2 << 48) + 1, &"new".into()));
        assert_eq!(rig.hash(1).await["name"], "new");
        lane.stop().await;
        // and the old epoch is over
        tools::set_epoch(&mut rig.config, 1);
        let lane = rig.start().await;
        refused(&lane.branches(), &["set epoch = 2"]).await;
        lane.stop().await;
    });
}

#[test]
fn an_end_of_the_log_below_the_committed_offset_is_refused() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let options = Options {
            partitions: 1,
            ..Options::default()
        };
        let rig = Rig::new(&stack, "cut", options).await;
        rig.upsert(1, 1, "ada").await;
        let pipeline = &rig.config.pipelines[0];
        for sink in &pipeline.sinks {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", &rig.config.settings.kafka.brokers)
                .set("group.id", format!("{}.{}", pipeline.name, sink.name))
                .create()
                .unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&rig.topic, 0, Offset::Offset(10))
                .unwrap();
            consumer.commit(&list, CommitMode::Sync).unwrap();
        }
        let lane = rig.start().await;
        refused(&lane.branches(), &["below the committed offset 10"]).await;
        assert!(rig.document(1).await.is_none());
        assert!(rig.hash(1).await.is_empty());
        lane.stop().await;
    });
}

#[test]
fn a_record_off_its_predicted_partition_halts_where_the_partitioner_is_declared() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let mut rig = Rig::new(&stack, "astray", Options::default()).await;
        let (right, _) = rig.upsert(1, 1, "ada").await;
        let wrong = (right + 1) % 4;
        let (key, row) = (rig::key(1), rig::event("u", 1, 2, "astray"));
        let sent = rig.send_to(Some(wrong), Some(key.as_bytes()), Some(row.as_bytes()));
        let (_, offset) = sent.await;
        let lane = rig.start().await;
        let branches = lane.branches();
        for branch in &branches {
            let why = tools::halted(branch).await;
            assert!(
                why.contains(&format!("belongs to partition {right}")),
                "{why}"
            );
            tools::given_up(branch).await;
            rig::until("the commit to stand at the record", || async {
                tools::committed(branch).await[&wrong] == Some(offset)
            })
            .await;
            tools::assert_sum(branch);
        }
        assert!(rig.document(1).await.is_none_or(|d| d.1["name"] == "ada"));
        lane.stop().await;
        // where none is declared nothing is predicted
        tools::topic(&mut rig.config).partitioner = None;
        let lane = rig.start().await;
        rig::until("every record", || async {
            lane.branches().iter().all(|b| b.ledger.pending() == 0)
                && tools::committed(&lane.branches()[0]).await[&wrong] == Some(offset + 1)
        })
        .await;
        lane.stop().await;
    });
}

#[test]
fn a_partition_that_never_had_a_record_does_not_stop_a_restart() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "empty", Options::default()).await;
        let lane = rig.start().await;
        let (used, _) = rig.upsert(1, 1, "ada").await;
        rig::resolved(&lane.branches(), 1).await;
        lane.stop().await;
        let lane = rig.start().await;
        let branches = lane.branches();
        for branch in &branches {
            let committed = tools::committed(branch).await;
            assert_eq!(committed.len(), 4);
            for (partition, offset) in committed {
                assert_eq!(offset, Some(i64::from(partition == used)), "{partition}");
            }
        }
        // a record into each of the others is read from its first offset
        for partition in 0..4 {
            let mut ids = 2..;
            let row = loop {
                let id = ids.next().unwrap();
                let key = rig::key(id);
                if twolane::event::partition::predicted_partition(key.as_bytes(), 4) == partition {
                    break (id, key);
                }
            };
            rig.send(Some(&row.1), Some(&rig::event("c", row.0, 1, "eve")))
                .await;
        }
        rig::resolved(&branches, 4).await;
        for branch in &branches {
            assert!(!branch.control.is_halted());
            assert_eq!(rig::consumed(branch), 4, "{}", branch.name);
        }
        assert_eq!(rig.visible().await, 5);
        lane.stop().await;
        tools::assert_committed_to_the_end(&branches).await;
    });
}
