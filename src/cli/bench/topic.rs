//! The run's topic: made, filled, removed.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};

use super::records::Records;
use super::specs::Specs;
use crate::config::TopicSpec;
use crate::event::partition::predicted_partition;
use crate::sink::dead_letter::dead_topic;

/// How long the broker may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long the last records may take to be acknowledged.
const FLUSH: Duration = Duration::from_secs(120);

/// What every client of the bench has in common.
pub(super) fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", "twolane-bench");
    config
}

fn admin(brokers: &str) -> anyhow::Result<(AdminClient<DefaultClientContext>, AdminOptions)> {
    let admin = config(brokers)
        .create()
        .context("cannot make a Kafka client")?;
    let options = AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT));
    Ok((admin, options))
}

/// Makes the topic and its dead-letter topic, which must not be there. Records carry the time at which the broker
/// appended them.
///
/// # Errors
/// Where the broker cannot be reached or refuses.
pub(super) async fn make(brokers: &str, spec: &TopicSpec) -> anyhow::Result<()> {
    let (admin, options) = admin(brokers)?;
    let dead = dead_topic(&spec.name);
    let topics = [
        NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(1))
            .set("message.timestamp.type", "LogAppendTime"),
        NewTopic::new(&dead, 1, TopicReplication::Fixed(1)),
    ];
    for made in admin
        .create_topics(&topics, &options)
        .await
        .context("cannot make the topic")?
    {
        if let Err((topic, why)) = made {
            bail!("the broker does not make the topic {topic}: {why}");
        }
    }
    Ok(())
}

/// Makes one topic, which must not be there.
///
/// # Errors
/// As [`make`].
pub(super) async fn make_one(brokers: &str, topic: &str, partitions: i32) -> anyhow::Result<()> {
    let (admin, options) = admin(brokers)?;
    let wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let made = admin.create_topics([&wanted], &options).await;
    match made.context("cannot make the topic")?.pop() {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, why))) => bail!("the broker does not make the topic {topic}: {why}"),
        None => bail!("the broker does not say what became of the topic {topic}"),
    }
}

/// The records of a topic that keeps all of them.
///
/// # Errors
/// As [`make`].
pub(super) async fn records(brokers: &str, topic: &str, partitions: i32) -> anyhow::Result<u64> {
    let (admin, _) = admin(brokers)?;
    let topic = topic.to_owned();
    let count = move || {
        (0..partitions).try_fold(0, |sum, partition| {
            let ends = admin.inner().fetch_watermarks(&topic, partition, TIMEOUT);
            let (start, end) = ends.context("the broker does not say where a partition ends")?;
            anyhow::Ok(sum + u64::try_from(end - start).unwrap_or(0))
        })
    };
    tokio::task::spawn_blocking(count).await?
}

/// Removes one topic.
///
/// # Errors
/// As [`remove`].
pub(super) async fn remove_one(brokers: &str, topic: &str) -> anyhow::Result<()> {
    let (admin, options) = admin(brokers)?;
    let removed = admin.delete_topics(&[topic], &options).await;
    match removed.context("cannot remove the topic")?.pop() {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, why))) => bail!("the broker does not remove the topic {topic}: {why}"),
        None => bail!("the broker does not say what became of the topic {topic}"),
    }
}

/// Removes the topics and the consumer groups of a run.
///
/// # Errors
/// Where the broker cannot be reached or refuses.
pub(super) async fn remove(brokers: &str, specs: &Specs, groups: &[String]) -> anyhow::Result<()> {
    let (admin, options) = admin(brokers)?;
    let dead = dead_topic(&specs.topic);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    for (group, why) in admin
        .delete_groups(&groups, &options)
        .await
        .context("cannot remove the consumer groups")?
        .into_iter()
        .filter_map(Result::err)
    {
        // A branch that did not come far enough to commit left none.
        if why != RDKafkaErrorCode::GroupIdNotFound {
            bail!("the broker does not remove the consumer group {group}: {why}");
        }
    }
    for removed in admin
        .delete_topics(&[&specs.topic, &dead], &options)
        .await
        .context("cannot remove the topic")?
    {
        if let Err((topic, why)) = removed {
            bail!("the broker does not remove the topic {topic}: {why}");
        }
    }
    Ok(())
}

/// Counts what was not acknowledged.
#[derive(Default)]
pub(super) struct Failures(std::sync::atomic::AtomicU64);

impl Failures {
    /// How many so far.
    pub(super) fn failed(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl rdkafka::ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// Appends the records in their order, each to the partition that Java's producer would choose. Blocks.
///
/// # Errors
/// Where any record was not acknowledged.
pub(super) fn fill(brokers: &str, spec: &TopicSpec, records: &Records) -> anyhow::Result<()> {
    use rdkafka::config::FromClientConfigAndContext as _;
    let mut config = config(brokers);
    crate::produce::promises(&mut config);
    config
        .set("linger.ms", "20")
        .set("queue.buffering.max.kbytes", "65536");
    let producer = BaseProducer::from_config_and_context(&config, Failures::default())
        .context("cannot make a Kafka client")?;
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for n in 0..records.len() {
        records.write(n, &mut key, &mut value);
        let partition = predicted_partition(&key, spec.partitions);
        let mut record = BaseRecord::<[u8], [u8]>::to(&spec.name)
            .partition(partition)
            .key(&key)
            .payload(&value);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    producer.poll(Duration::from_millis(10));
                }
                Err((why, _)) => bail!("cannot fill the topic {}: {why}", spec.name),
            }
        }
        if n % 1_000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer
        .flush(FLUSH)
        .with_context(|| format!("the broker did not take all records of {}", spec.name))?;
    let failed = producer.context().failed();
    ensure!(
        failed == 0,
        "the broker did not take {failed} records of {}",
        spec.name
    );
    Ok(())
}
