//! Reads a dead-letter topic from its start to the ends that it had when it was opened.
//!
//! It assigns itself the partitions, joins no group and stores no offset.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::letter::{At, Letter};
use crate::config::KafkaSettings;
use crate::sink::dead_letter::dead_topic;
use crate::source::client_config;

/// How long the brokers may take for one answer, or for the next letter while there are more.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Letters fetched ahead, in KiB: they are read once and one after the other.
const QUEUE_KIB: &str = "16384";

/// A dead-letter topic that is there.
pub(crate) struct DeadTopic {
    /// Its name.
    pub(crate) name: String,
    consumer: StreamConsumer,
    /// Start and end of each partition.
    bounds: BTreeMap<i32, (i64, i64)>,
    /// Ends of the partitions that are not read to their ends yet.
    open: BTreeMap<i32, i64>,
    brokers: String,
}

// === impl DeadTopic ===

impl DeadTopic {
    /// The dead-letter topic of a source topic; `None` where there is none.
    ///
    /// # Errors
    /// Where the brokers do not answer.
    pub(crate) fn open(kafka: &KafkaSettings, source: &str) -> anyhow::Result<Option<Self>> {
        let mut topic = Self::new(kafka, source)?;
        Ok(topic.look()?.then_some(topic))
    }

    /// The same without asking whether it is there.
    ///
    /// # Errors
    /// Where the settings make no client.
    pub(crate) fn new(kafka: &KafkaSettings, source: &str) -> anyhow::Result<Self> {
        let consumer: StreamConsumer = client_config(kafka)
            // librdkafka assigns nothing without a name for a group; the brokers never hear of it.
            .set("group.id", "twolane-dead")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            // Only where the topic is trimmed while it is read.
            .set("auto.offset.reset", "earliest")
            .set("queued.max.messages.kbytes", QUEUE_KIB)
            .create()
            .context("the settings under [kafka] make no client")?;
        Ok(Self {
            name: dead_topic(source),
            consumer,
            bounds: BTreeMap::new(),
            open: BTreeMap::new(),
            brokers: kafka.brokers.clone(),
        })
    }

    /// Asks where it begins and ends now; `false` where it is not there. Blocks.
    ///
    /// # Errors
    /// Where the brokers do not answer.
    pub(crate) fn look(&mut self) -> anyhow::Result<bool> {
        let (name, brokers) = (&self.name, &self.brokers);
        let asking = || {
            format!(
                "Kafka at {brokers} does not say what is in {name}: is it up, and is `kafka.brokers` right?"
            )
        };
        let metadata = self
            .consumer
            .fetch_metadata(Some(name), TIMEOUT)
            .with_context(asking)?;
        let mut bounds = BTreeMap::new();
        for topic in metadata.topics().iter().filter(|t| t.name() == name) {
            match topic.error().map(RDKafkaErrorCode::from) {
                None => {}
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) => return Ok(false),
                Some(why) => bail!("{}: {why}", asking()),
            }
            for partition in topic.partitions() {
                let both = self
                    .consumer
                    .fetch_watermarks(name, partition.id(), TIMEOUT)
                    .with_context(asking)?;
                bounds.insert(partition.id(), both);
            }
        }
        self.bounds = bounds;
        Ok(!self.bounds.is_empty())
    }

    /// Start and end of each partition, as last asked.
    pub(crate) fn bounds(&self) -> &BTreeMap<i32, (i64, i64)> {
        &self.bounds
    }

    /// Starts such that the letters of these ranges come, and no others: partition, first, one past the last.
    ///
    /// # Errors
    /// Where the client does not take it.
    pub(crate) fn start_ranges(&mut self, ranges: Vec<(i32, i64, i64)>) -> anyhow::Result<()> {
        self.assign(ranges)
    }

    /// Starts at the beginning.
    ///
    /// # Errors
    /// Where the client does not take it.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let all = self.bounds.iter().map(|(p, (low, end))| (*p, *low, *end));
        self.assign(all.collect())
    }

    /// Starts such that the letters at these places come; others between them come too.
    ///
    /// # Errors
    /// Where a place is outside the topic.
    pub(crate) fn start_at(&mut self, places: &[At]) -> anyhow::Result<()> {
        let mut ranges: BTreeMap<i32, (i64, i64)> = BTreeMap::new();
        for at in places {
            match self.bounds.get(&at.partition) {
                Some((low, end)) if (*low..*end).contains(&at.offset) => {}
                Some((low, end)) if low == end => {
                    bail!("there is no letter {at}: {} is empty", self.name)
                }
                Some((low, end)) => bail!(
                    "there is no letter {at}: {} has those from {} to {}",
                    self.name,
                    At {
                        offset: *low,
                        ..*at
                    },
                    At {
                        offset: end - 1,
                        ..*at
                    },
                ),
                None => bail!(
                    "there is no letter {at}: {} has no partition {}",
                    self.name,
                    at.partition
                ),
            }
            let range = ranges
                .entry(at.partition)
                .or_insert((at.offset, at.offset + 1));
            *range = (range.0.min(at.offset), range.1.max(at.offset + 1));
        }
        self.assign(ranges.into_iter().map(|(p, (a, b))| (p, a, b)).collect())
    }

    fn assign(&mut self, ranges: Vec<(i32, i64, i64)>) -> anyhow::Result<()> {
        let mut list = TopicPartitionList::new();
        self.open.clear();
        for (partition, from, end) in ranges {
            if from < end {
                list.add_partition_offset(&self.name, partition, Offset::Offset(from))?;
                self.open.insert(partition, end);
            }
        }
        self.consumer
            .assign(&list)
            .with_context(|| format!("reading {}", self.name))
    }

    /// The next letter; `None` after the last.
    ///
    /// # Errors
    /// Where the brokers give none within 10 s although there are more.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Letter>> {
        let mut why = None;
        while !self.open.is_empty() {
            let Ok(polled) = tokio::time::timeout(TIMEOUT, self.consumer.recv()).await else {
                bail!(
                    "{}: Kafka at {} gives no more letters{}; is it up?",
                    self.name,
                    self.brokers,
                    why.map(|why: KafkaError| format!(" ({why})"))
                        .unwrap_or_default()
                );
            };
            match polled {
                Ok(message) => {
                    let (partition, offset) = (message.partition(), message.offset());
                    let Some(end) = self.open.get(&partition).copied() else {
                        continue;
                    };
                    if offset + 1 >= end {
                        self.open.remove(&partition);
                    }
                    if offset < end {
                        return Ok(Some(Letter::of(&message)));
                    }
                }
                // The last offsets may hold no record.
                Err(KafkaError::PartitionEOF(partition)) => {
                    self.open.remove(&partition);
                }
                // The client goes on by itself; what lasts ends in the timeout.
                Err(error) => why = Some(error),
            }
        }
        Ok(None)
    }
}
