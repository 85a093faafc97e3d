//! The topics on the brokers: found, made and altered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::item::{Item, Mode, Verdict};
use super::judge::{Found, Horizon, judge};
use crate::config::{KafkaSettings, TopicSpec};
use crate::retry::Delays;
use crate::source::{client_config, set_topic_config};

/// How long the brokers may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The brokers.
pub(super) struct Kafka {
    admin: Arc<AdminClient<DefaultClientContext>>,
    brokers: String,
}

// === impl Kafka ===

impl Kafka {
    pub(super) fn new(settings: &KafkaSettings) -> Result<Self, KafkaError> {
        Ok(Self {
            admin: Arc::new(client_config(settings).create()?),
            brokers: settings.brokers.clone(),
        })
    }

    /// A topic as it is; `None` where there is none.
    pub(super) async fn find(&self, spec: &TopicSpec) -> anyhow::Result<Option<Found>> {
        let asking = || {
            format!(
                "Kafka at {} does not say what the topic {} is: is it up, and is `kafka.brokers` right?",
                self.brokers, spec.name
            )
        };
        let (admin, name) = (Arc::clone(&self.admin), spec.name.clone());
        let shape = tokio::task::spawn_blocking(move || shape(&admin, &name)).await?;
        let Some((partitions, replicas)) = shape.with_context(asking)? else {
            return Ok(None);
        };
        let resource = ResourceSpecifier::Topic(&spec.name);
        let described = self.admin.describe_configs([&resource], &options()).await;
        let described = described.with_context(asking)?.pop();
        let described = match described {
            Some(described) => described
                .map_err(KafkaError::AdminOp)
                .with_context(asking)?,
            None => bail!("{}", asking()),
        };
        let entries = described.entries.into_iter();
        let config = entries.filter_map(|entry| Some((entry.name, entry.value?)));
        let config = config.collect::<BTreeMap<_, _>>();
        Ok(Some(Found {
            partitions,
            replicas,
            config,
        }))
    }

    /// Makes true what the item says, where that is asked for.
    pub(super) async fn carry_out(
        &self,
        item: Item,
        spec: &TopicSpec,
        horizon: Option<&Horizon>,
        mode: Mode,
    ) -> Item {
        let done = match (mode, &item.verdict) {
            (Mode::Plan, _)
            | (
                Mode::Apply,
                Verdict::Keep | Verdict::Differs(_) | Verdict::Refuse(_) | Verdict::Failed(_),
            ) => Ok(()),
            (Mode::Apply, Verdict::Create(_)) => match self.create(spec).await {
                Ok(None) => Ok(()),
                // Somebody else was faster, or the brokers' metadata slower: what is there is looked at.
                Ok(Some(found)) => {
                    let item = Item::new(item.what, judge(spec, Some(&found), horizon));
                    let again = self.carry_out(item, spec, horizon, mode);
                    return Box::pin(again).await;
                }
                Err(why) => Err(why),
            },
            (Mode::Apply, Verdict::Alter(_)) => self.alter(spec).await,
        };
        match done {
            Ok(()) => item,
            Err(why) => Item::failed(item.what, format!("{why:#}")),
        }
    }

    /// What is there, where somebody else has made it.
    async fn create(&self, spec: &TopicSpec) -> anyhow::Result<Option<Found>> {
        let replication = TopicReplication::Fixed(spec.replication.unwrap_or(-1));
        let topic = NewTopic::new(&spec.name, spec.partitions, replication);
        let topic = spec
            .config
            .iter()
            .fold(topic, |topic, (name, value)| topic.set(name, value));
        let made = self.admin.create_topics([&topic], &options()).await;
        let ours = match made.context("the brokers do not answer")?.pop() {
            Some(Ok(_)) => true,
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => false,
            Some(Err((_, why))) => bail!("the broker does not make it: {why}"),
            None => bail!("the broker does not say what became of it"),
        };
        // Whoever comes next is to find it: it reaches the brokers' metadata a moment later.
        let (begun, mut delays) = (Instant::now(), Delays::server());
        loop {
            if let Some(found) = self.find(spec).await? {
                return Ok(Some(found).filter(|_| !ours));
            }
            if begun.elapsed() > TIMEOUT {
                bail!("it was made, and the brokers do not show it yet: plan again");
            }
            tokio::time::sleep(delays.next_delay()).await;
        }
    }

    /// Sets what the spec names; whatever else somebody sets at the same time stays.
    async fn alter(&self, spec: &TopicSpec) -> anyhow::Result<()> {
        let (admin, name) = (Arc::clone(&self.admin), spec.name.clone());
        let config = spec.config.clone();
        let altered = tokio::task::spawn_blocking(move || {
            let config = config.iter().map(|(name, value)| (&**name, &**value));
            let config = config.collect::<Vec<_>>();
            set_topic_config(admin.inner(), &name, &config, TIMEOUT)
        });
        let altered = altered.await?;
        altered.map_err(|why| anyhow!("the broker does not alter it: {why}"))
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT))
}

/// Partitions and replicas; `None` for no such topic. Blocks.
fn shape(
    admin: &AdminClient<DefaultClientContext>,
    name: &str,
) -> Result<Option<(i32, i32)>, KafkaError> {
    let metadata = admin.inner().fetch_metadata(Some(name), TIMEOUT)?;
    let Some(topic) = metadata.topics().iter().find(|t| t.name() == name) else {
        return Ok(None);
    };
    match topic.error().map(RDKafkaErrorCode::from) {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            return Ok(None);
        }
        Some(other) => return Err(KafkaError::MetadataFetch(other)),
        None => {}
    }
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let partitions = count(topic.partitions().len());
    let replicas = topic.partitions().iter().map(|p| count(p.replicas().len()));
    Ok(replicas.min().map(|replicas| (partitions, replicas)))
}
