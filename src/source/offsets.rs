//! A group's offsets, looked at and moved from beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::probe::{Probe, ProbeError, TIMEOUT};

/// Why a group's offsets were not moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMoved {
    /// It has members, who alone may commit.
    #[error("the group has members")]
    Members,
    /// Kafka gave no usable answer.
    #[error(transparent)]
    Probe(#[from] ProbeError),
}

impl Probe {
    /// Of each partition the first offset whose record is of `time_ms` (milliseconds since 1970) or later; `None` where
    /// it has no such record.
    ///
    /// # Errors
    /// [`ProbeError::Unavailable`].
    pub async fn since(&self, time_ms: i64) -> Result<BTreeMap<i32, Option<i64>>, ProbeError> {
        let topic = Arc::clone(self.topic());
        let answer = self
            .ask(move |c| {
                let mut asked = TopicPartitionList::new();
                for partition in 0..topic.partitions {
                    asked.add_partition_offset(&topic.name, partition, Offset::Offset(time_ms))?;
                }
                let found = c.offsets_for_times(asked, TIMEOUT)?;
                let mut all = BTreeMap::new();
                for e in found.elements() {
                    e.error()?;
                    let offset = match e.offset() {
                        Offset::Offset(offset) => Some(offset),
                        _ => None,
                    };
                    all.insert(e.partition(), offset);
                }
                Ok::<_, KafkaError>(all)
            })
            .await?;
        answer.map_err(|e| self.unavailable(e.to_string()))
    }

    /// Makes these the group's committed offsets. The brokers take that from somebody who is no member only while the
    /// group has none.
    ///
    /// # Errors
    /// [`NotMoved::Members`], and [`ProbeError::Unavailable`].
    pub async fn alter(&self, offsets: &BTreeMap<i32, i64>) -> Result<(), NotMoved> {
        let (topic, offsets) = (Arc::clone(self.topic()), offsets.clone());
        let answer = self
            .ask(move |c| {
                let mut tpl = TopicPartitionList::new();
                for (partition, offset) in offsets {
                    tpl.add_partition_offset(&topic.name, partition, Offset::Offset(offset))?;
                }
                c.commit(&tpl, CommitMode::Sync)
            })
            .await?;
        answer.map_err(|e| match e.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::StaleMemberEpoch
                | RDKafkaErrorCode::FencedMemberEpoch,
            ) => NotMoved::Members,
            _ => NotMoved::Probe(self.unavailable(e.to_string())),
        })
    }
}
