//! Asks Kafka about a topic and a group without being a member: identity, offsets, the first commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::client_config;
use super::native::{self, Member};
use crate::config::{KafkaSettings, TopicSpec};
use crate::sink::TopicIdentity;

/// How long one question may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Why Kafka gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// Not reached, or not yet: worth asking again.
    #[error("Kafka at {brokers} does not answer ({why}): is it up, and is `kafka.brokers` right?")]
    Unavailable {
        /// Where it was looked for.
        brokers: String,
        /// What librdkafka said.
        why: String,
    },
    /// The topic is not there, or this broker does not know of it yet: worth asking again, though perhaps an
    /// operator must act.
    #[error("{0}")]
    Missing(String),
    /// What it says contradicts the spec.
    #[error("{0}")]
    Refused(String),
}

/// A client that never subscribes.
pub struct Probe {
    consumer: Arc<BaseConsumer>,
    topic: Arc<TopicSpec>,
    group: String,
    brokers: String,
}

// === impl Probe ===

impl Probe {
    /// A probe for `topic` and `group`.
    ///
    /// # Errors
    /// Where the settings make no client.
    pub fn new(
        kafka: &KafkaSettings,
        topic: Arc<TopicSpec>,
        group: &str,
    ) -> Result<Self, KafkaError> {
        let consumer = client_config(kafka)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .create()?;
        Ok(Self {
            consumer: Arc::new(consumer),
            topic,
            group: group.to_owned(),
            brokers: kafka.brokers.clone(),
        })
    }

    /// The topic's identity, refused where its partitions are not the spec's.
    ///
    /// # Errors
    /// [`ProbeError`], with the remedy where it is refused.
    pub async fn identity(&self) -> Result<TopicIdentity, ProbeError> {
        let topic = Arc::clone(&self.topic);
        let described = self
            .ask(move |c| native::describe(c.client(), &topic.name, TIMEOUT))
            .await?;
        let spec = &self.topic;
        let described = described.map_err(|why| {
            if why.contains("Unknown topic") {
                ProbeError::Missing(format!(
                    "topic {} is not there: create it with {} partitions (its capture must not create it), or correct `name` in {}",
                    spec.name, spec.partitions, spec.file.display()
                ))
            } else {
                self.unavailable(why)
            }
        })?;
        if described.partitions != spec.partitions {
            return Err(ProbeError::Refused(format!(
                "topic {} has {} partitions, {} says {}: keys would move between partitions and their versions would no longer \
                 grow. For more partitions make a new topic and a new index and fill them from the start; else correct `partitions`",
                spec.name,
                described.partitions,
                spec.file.display(),
                spec.partitions
            )));
        }
        Ok(TopicIdentity {
            topic: spec.name.clone(),
            topic_id: described.id,
            epoch: spec.epoch.get(),
            partitions: described.partitions,
        })
    }

    /// The log's start and end offset of a partition, as of now.
    ///
    /// # Errors
    /// [`ProbeError::Unavailable`].
    pub async fn watermarks(&self, partition: i32) -> Result<(i64, i64), ProbeError> {
        let topic = Arc::clone(&self.topic);
        let answer = self
            .ask(move |c| c.fetch_watermarks(&topic.name, partition, TIMEOUT))
            .await?;
        answer.map_err(|e| self.unavailable(e.to_string()))
    }

    /// The group's committed offsets; `None` where there is none.
    ///
    /// # Errors
    /// [`ProbeError::Unavailable`].
    pub async fn committed(&self) -> Result<BTreeMap<i32, Option<i64>>, ProbeError> {
        let topic = Arc::clone(&self.topic);
        let answer = self
            .ask(move |c| {
                let mut tpl = TopicPartitionList::new();
                tpl.add_partition_range(&topic.name, 0, topic.partitions - 1);
                let tpl = c.committed_offsets(tpl, TIMEOUT)?;
                let mut all = BTreeMap::new();
                for e in tpl.elements() {
                    e.error()?;
                    let offset = match e.offset() {
                        Offset::Offset(o) => Some(o),
                        _ => None,
                    };
                    all.insert(e.partition(), offset);
                }
                Ok::<_, KafkaError>(all)
            })
            .await?;
        answer.map_err(|e| self.unavailable(e.to_string()))
    }

    /// Commits a start offset, the log's start, for every partition without one, so that a partition that
    /// never had a record does not stop a restart. Returns the committed offsets.
    ///
    /// # Errors
    /// [`ProbeError::Unavailable`]; also while the group has members, which then have committed themselves.
    pub async fn commit_start(&self) -> Result<BTreeMap<i32, i64>, ProbeError> {
        let committed = self.committed().await?;
        let missing: Vec<i32> = committed
            .iter()
            .filter(|(_, o)| o.is_none())
            .map(|(p, _)| *p)
            .collect();
        let mut offsets: BTreeMap<i32, i64> = committed
            .into_iter()
            .filter_map(|(p, o)| Some((p, o?)))
            .collect();
        if missing.is_empty() {
            return Ok(offsets);
        }
        let mut starts = Vec::new();
        for partition in missing {
            let (low, _) = self.watermarks(partition).await?;
            starts.push((partition, low));
        }
        offsets.extend(starts.iter().copied());
        let topic = Arc::clone(&self.topic);
        let answer = self
            .ask(move |c| {
                let mut tpl = TopicPartitionList::new();
                for (partition, low) in starts {
                    tpl.add_partition_offset(&topic.name, partition, Offset::Offset(low))?;
                }
                c.commit(&tpl, CommitMode::Sync)
            })
            .await?;
        match answer {
            Ok(()) => Ok(offsets),
            Err(e) => Err(self.unavailable(e.to_string())),
        }
    }

    /// Who is in the group, and has which partitions of the topic.
    ///
    /// # Errors
    /// [`ProbeError::Unavailable`].
    pub async fn members(&self) -> Result<Vec<Member>, ProbeError> {
        let (topic, group) = (Arc::clone(&self.topic), self.group.clone());
        let answer = self
            .ask(move |c| native::members(c.client(), &group, &topic.name, TIMEOUT))
            .await?;
        answer.map_err(|why| self.unavailable(why))
    }

    /// The topic's spec.
    pub(super) fn topic(&self) -> &Arc<TopicSpec> {
        &self.topic
    }

    /// Whether a failed question says that the topic or group is of no use, rather than away.
    pub(super) fn unavailable(&self, why: String) -> ProbeError {
        ProbeError::Unavailable {
            brokers: self.brokers.clone(),
            why,
        }
    }

    /// Runs a blocking question off the arbiter.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer) -> T + Send + 'static,
    ) -> Result<T, ProbeError> {
        let consumer = Arc::clone(&self.consumer);
        tokio::task::spawn_blocking(move || question(&consumer))
            .await
            .map_err(|e| self.unavailable(e.to_string()))
    }
}

/// Whether an error is the brokers' word that the request can never pass.
pub fn is_fatal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::Fatal
        )
    )
}
