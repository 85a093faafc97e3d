//! The topics as the broker has them: makes them from their specs, and reads ends and committed offsets.
//!
//! It joins no group and moves no offset. librdkafka's calls block, so they run on threads for that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::config::TopicSpec;
use crate::retry::{self, Because, Delays};

/// How long the broker may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// What a dead letter's headers may take beyond the record itself: a reason of 1 KB, names and numbers.
const DEAD_LETTER_HEADERS: u64 = 64 << 10;
/// The broker's own limit for one record's batch, where a topic sets none.
const DEFAULT_MAX_MESSAGE_BYTES: u64 = 1_048_588;

/// A broker.
#[derive(Debug, Clone)]
pub struct Kafka {
    config: ClientConfig,
}

/// Offsets by partition.
pub type Offsets = BTreeMap<i32, i64>;

/// Reads the committed offsets of one group, and the ends of topics.
#[derive(Clone)]
pub struct Reader {
    consumer: Arc<BaseConsumer>,
}

/// The topic for what `topic`'s sinks reject.
pub fn dead_topic(topic: &str) -> String {
    format!("{topic}.dead")
}

// === impl Kafka ===

impl Kafka {
    /// Brokers as `host:port`, separated by commas.
    pub fn new(brokers: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        config.set("client.id", "twolane-demo");
        Self { config }
    }

    /// Makes the topic and its dead-letter topic where they are missing; what is there is left as it is.
    ///
    /// # Errors
    /// Where the broker cannot be reached or refuses, or has the topic with other partitions.
    pub async fn create_topics(&self, spec: &TopicSpec) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            self.config.create().context("cannot make a Kafka client")?;
        let dead = dead_topic(&spec.name);
        let largest = spec
            .config
            .get("max.message.bytes")
            .and_then(|text| text.parse().ok())
            .unwrap_or(DEFAULT_MAX_MESSAGE_BYTES);
        let largest = (largest + DEAD_LETTER_HEADERS).to_string();
        let mut source = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(1));
        for (name, value) in &spec.config {
            source = source.set(name, value);
        }
        let dead = NewTopic::new(&dead, 1, TopicReplication::Fixed(1))
            .set("retention.ms", "-1")
            .set("max.message.bytes", &largest);
        let options = AdminOptions::new()
            .request_timeout(Some(TIMEOUT))
            .operation_timeout(Some(TIMEOUT));
        let made = admin
            .create_topics([&source, &dead], &options)
            .await
            .context("cannot create the topics")?;
        for result in made {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, why)) => bail!("the broker does not create the topic {topic}: {why}"),
            }
        }
        // A topic just made reaches the broker's own metadata a moment later.
        let reader = self.reader(None)?;
        let made = Instant::now();
        let (server, mut delays) = (retry::server("kafka of the demo"), Delays::server());
        let there = loop {
            match reader.ends(&spec.name).await {
                Ok(ends) => break ends.len(),
                Err(e) if made.elapsed() > TIMEOUT => return Err(e),
                Err(_) => server.again(&mut delays, Because::Refused).await,
            }
        };
        ensure!(
            i32::try_from(there) == Ok(spec.partitions),
            "the topic {} has {there} partitions and {} says {}: make the file say {there}, or start afresh with \
             `deploy/local/stack clean`",
            spec.name,
            spec.file.display(),
            spec.partitions
        );
        Ok(())
    }

    /// Reads offsets; those that a group has committed where one is named.
    ///
    /// # Errors
    /// Where the client cannot be made.
    pub fn reader(&self, group: Option<&str>) -> anyhow::Result<Reader> {
        let mut config = self.config.clone();
        config.set("group.id", group.unwrap_or("twolane-demo-reader"));
        let consumer = config.create().context("cannot make a Kafka client")?;
        Ok(Reader {
            consumer: Arc::new(consumer),
        })
    }
}

// === impl Reader ===

impl Reader {
    /// One past the last record of each partition.
    ///
    /// # Errors
    /// Where the broker cannot be asked or has no such topic.
    pub async fn ends(&self, topic: &str) -> anyhow::Result<Offsets> {
        let both = self.bounds(topic).await?;
        Ok(both.into_iter().map(|(p, (_, end))| (p, end)).collect())
    }

    /// The records in the topic, as the difference of its ends and starts.
    ///
    /// # Errors
    /// Where the broker cannot be asked or has no such topic.
    pub async fn count(&self, topic: &str) -> anyhow::Result<u64> {
        let both = self.bounds(topic).await?;
        Ok(both.values().map(|(start, end)| end.abs_diff(*start)).sum())
    }

    async fn bounds(&self, topic: &str) -> anyhow::Result<BTreeMap<i32, (i64, i64)>> {
        let (consumer, topic) = (Arc::clone(&self.consumer), topic.to_owned());
        blocking(move || {
            let metadata = consumer
                .fetch_metadata(Some(&topic), TIMEOUT)
                .with_context(|| format!("cannot ask the broker about {topic}"))?;
            let partitions: Vec<_> = metadata
                .topics()
                .iter()
                .filter(|t| t.name() == topic)
                .flat_map(|t| t.partitions())
                .map(|p| p.id())
                .collect();
            ensure!(!partitions.is_empty(), "the broker has no topic {topic}");
            let bounds = partitions.into_iter().map(|p| {
                consumer
                    .fetch_watermarks(&topic, p, TIMEOUT)
                    .map(|bounds| (p, bounds))
                    .with_context(|| format!("cannot ask for the end of {topic} partition {p}"))
            });
            bounds.collect()
        })
        .await
    }

    /// The offset that the group has committed for each of these partitions; those without one are left out.
    ///
    /// # Errors
    /// Where the broker cannot be asked.
    pub async fn committed(&self, topic: &str, partitions: Vec<i32>) -> anyhow::Result<Offsets> {
        let (consumer, topic) = (Arc::clone(&self.consumer), topic.to_owned());
        blocking(move || {
            let mut list = TopicPartitionList::new();
            for partition in partitions {
                list.add_partition(&topic, partition);
            }
            let list = consumer
                .committed_offsets(list, TIMEOUT)
                .with_context(|| format!("cannot ask for the offsets committed in {topic}"))?;
            let offsets = list
                .elements()
                .into_iter()
                .filter_map(|e| match e.offset() {
                    Offset::Offset(offset) => Some((e.partition(), offset)),
                    Offset::Invalid
                    | Offset::Beginning
                    | Offset::End
                    | Offset::Stored
                    | Offset::OffsetTail(_) => None,
                });
            Ok(offsets.collect())
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(call)
        .await
        .context("a call to Kafka did not end")?
}
