//! What is made sure of before the first event is sent: that the topic is there with the partitions of its
//! spec, since keys would be placed otherwise, and that the registry knows the schema that records will name.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{EventTopic, Named, Producer};
use crate::config::{Format, Settings, TopicSpec};
use crate::retry::Delays;
use crate::schema_registry::{RegistryError, SchemaRegistry, subject};

/// How long a broker may take to say what a topic is.
const METADATA: Duration = Duration::from_secs(10);
/// A topic just made reaches a broker's own metadata within a moment.
const MADE_JUST_NOW: Duration = Duration::from_secs(3);

/// Why a topic takes no events now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOpen {
    /// Something is wrong that will not mend itself; the remedy is in it.
    #[error("{0}")]
    Refused(String),
    /// A server is away; asked again later it will say.
    #[error("{0}")]
    Away(String),
}

/// Asks the servers about a topic, and makes it ready for events.
///
/// # Errors
/// [`NotOpen`].
pub async fn open(
    settings: &Settings,
    spec: &Arc<TopicSpec>,
    producer: &Arc<Producer>,
) -> Result<EventTopic, NotOpen> {
    let named = named(settings, spec).await?;
    let topic = EventTopic::new(spec, named).map_err(NotOpen::Refused)?;
    partitions(spec, producer).await?;
    Ok(topic)
}

/// The topic is there as its spec says.
async fn partitions(spec: &Arc<TopicSpec>, producer: &Arc<Producer>) -> Result<(), NotOpen> {
    let (begun, mut delays) = (Instant::now(), Delays::server());
    let found = loop {
        let (asked, name) = (Arc::clone(producer), spec.name.clone());
        let found = tokio::task::spawn_blocking(move || asked.partitions(&name, METADATA)).await;
        let found = found.map_err(|e| {
            NotOpen::Away(format!("asking about the topic {} failed: {e}", spec.name))
        })?;
        let found = found.map_err(|why| {
            NotOpen::Away(format!(
                "Kafka does not say what the topic {} is: {why}",
                spec.name
            ))
        })?;
        if found.is_some() || begun.elapsed() > MADE_JUST_NOW {
            break found;
        }
        tokio::time::sleep(delays.next_delay()).await;
    };
    match found {
        Some(n) if n == spec.partitions => Ok(()),
        Some(n) => Err(NotOpen::Refused(format!(
            "the topic {} has {n} partitions and its spec ({}) says {}: keys would be placed otherwise than before. Make the spec say {n}, or make a new topic",
            spec.name,
            spec.file.display(),
            spec.partitions
        ))),
        None => Err(NotOpen::Refused(format!(
            "Kafka has no topic {}: make it with `twolane topics apply`",
            spec.name
        ))),
    }
}

async fn named(settings: &Settings, spec: &TopicSpec) -> Result<Named, NotOpen> {
    match spec.format {
        Format::Avro => {}
        Format::Json
        | Format::DebeziumJson
        | Format::DebeziumAvro
        | Format::CanalJson
        | Format::MaxwellJson => return Ok(Named::ByFingerprint),
    }
    let (Some(registry), Some(schema)) = (&settings.schema_registry, spec.reading.schemas.first())
    else {
        return Ok(Named::ByFingerprint);
    };
    let registry = SchemaRegistry::new(registry).map_err(NotOpen::Refused)?;
    let subject = subject(&spec.name);
    match registry.find(&subject, &schema.text).await {
        Ok(Some(id)) => Ok(Named::ById(id)),
        Ok(None) => Err(NotOpen::Refused(format!(
            "the schema registry does not know {} under the subject {subject}: register it with `twolane topics apply`",
            schema.file.display()
        ))),
        Err(RegistryError::Unknown(why)) => Err(NotOpen::Refused(why)),
        Err(RegistryError::Away { detail, .. }) => Err(NotOpen::Away(detail)),
    }
}
