//! The log is read again from its start, as after an operator reset the group.

use std::sync::atomic::Ordering;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::model::{BOTH, Model};
use super::{adds_up, alone, until};
use crate::lane::rig::{self, Options, Rig};

#[test]
fn a_log_read_again_from_its_start_changes_nothing() {
    let (_turn, stack) = alone(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = Rig::new(&stack, "again", Options::default()).await;
        let lane = rig.start().await;
        let mut model = Model::new(4_000);
        model.change(&rig, 16_000).await;
        model.arrives(&rig, &BOTH).await;
        let groups: Vec<String> = lane.branches().iter().map(|b| b.name.clone()).collect();
        adds_up(&lane).await;
        lane.stop().await;
        for group in groups {
            until("the group to be empty", || async { reset(&rig, &group) }).await;
        }
        let lane = rig.start().await;
        rig::resolved(&lane.branches(), model.sent()).await;
        for branch in lane.branches() {
            let applied = branch.ledger.tally().applied.load(Ordering::Relaxed);
            assert_eq!(applied, 0, "{}", branch.name);
        }
        model.arrives(&rig, &BOTH).await;
        adds_up(&lane).await;
        lane.stop().await;
    });
}

/// Commits the start of every partition; `false` while the group has members.
fn reset(rig: &Rig, group: &str) -> bool {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &rig.config.settings.kafka.brokers)
        .set("group.id", group)
        .create()
        .expect("a client");
    let mut starts = TopicPartitionList::new();
    for partition in 0..rig.config.pipelines[0].topic.partitions {
        starts
            .add_partition_offset(&rig.topic, partition, Offset::Offset(0))
            .expect("an offset");
    }
    consumer.commit(&starts, CommitMode::Sync).is_ok()
}
