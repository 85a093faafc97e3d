//! Where records go that cannot be used: topic `<topic>.dead`, with the original key, value and headers, and
//! why.
//!
//! Promises: [`DeadLetters::send`] returns `Ok` only after the brokers have acknowledged the record
//! (idempotent, `acks=all`). What does not fit is sent without its value, and says so.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};

use crate::branch::now_ms;
use crate::config::KafkaSettings;
use crate::event::{Record, Version};
use crate::planted::{Bug, planted};
use crate::produce::{Limits, Outgoing, Producer};

/// What the dead topic takes beyond the source's largest record: twolane's own headers, whose texts are cut
/// to [`DETAIL_BYTES`], and room for the record's own.
const HEADROOM: usize = 64 * 1024;
/// The most bytes of the sink's or decoder's words that are kept.
const DETAIL_BYTES: usize = 1_000;
/// Letters that wait for their acknowledgement: twice the largest record, and as many as a branch may have
/// rejected before it halts, many times over.
const QUEUE: usize = 64 << 20;
const LETTERS: u32 = 100_000;
/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The headers of a dead letter, as they are named in the topic.
pub mod header {
    /// Why, as one fixed word.
    pub const REASON: &str = "twolane.reason";
    /// Why, in the sink's or the decoder's words.
    pub const DETAIL: &str = "twolane.detail";
    /// The pipeline.
    pub const PIPELINE: &str = "twolane.pipeline";
    /// The sink within the pipeline.
    pub const SINK: &str = "twolane.sink";
    /// The topic that the record came from.
    pub const TOPIC: &str = "twolane.topic";
    /// Its partition there.
    pub const PARTITION: &str = "twolane.partition";
    /// Its offset there.
    pub const OFFSET: &str = "twolane.offset";
    /// The version that its writes carry; absent where it has none.
    pub const VERSION: &str = "twolane.version";
    /// When it was rejected, in milliseconds since 1970.
    pub const TIME: &str = "twolane.time";
    /// The record's own time, in milliseconds since 1970.
    pub const RECORD_TIME: &str = "twolane.record-time";
    /// Present where the value was too large to be kept: its size in bytes.
    pub const VALUE_OMITTED: &str = "twolane.value-omitted";
    /// Present where the record's own headers were too large to be kept beside that: their number.
    pub const HEADERS_OMITTED: &str = "twolane.headers-omitted";
    /// What all of them begin with.
    pub const PREFIX: &str = "twolane.";
}

/// A record and why it cannot be used.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// The record.
    pub record: Record<'a>,
    /// The version that its writes carry.
    pub version: Option<Version>,
    /// Why, as one fixed word.
    pub reason: &'a str,
    /// Why, in words.
    pub detail: &'a str,
}

/// A branch's way to its dead-letter topic.
pub struct DeadLetters {
    producer: Producer,
    topic: String,
    source: String,
    pipeline: String,
    sink: String,
    kafka: KafkaSettings,
}

/// What of a record fits into its dead letter. The key is always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    All,
    NoValue,
    NoValueNorHeaders,
}

/// The name of a topic's dead-letter topic.
pub fn dead_topic(source: &str) -> String {
    format!("{source}.dead")
}

// === impl DeadLetters ===

impl DeadLetters {
    /// A producer for the dead letters of `topic`, connected when the first one comes: most branches never see one.
    ///
    /// # Errors
    /// Where the settings make no producer.
    pub fn new(
        kafka: &KafkaSettings,
        topic: &str,
        pipeline: &str,
        sink: &str,
    ) -> Result<Self, KafkaError> {
        let producer = Producer::when_needed(
            kafka,
            Limits {
                bytes: QUEUE,
                records: LETTERS,
                // Letters come one by one, and are waited for one by one.
                linger: Duration::from_millis(1),
                delivery: TIMEOUT,
            },
        )?;
        Ok(Self {
            producer,
            topic: dead_topic(topic),
            source: topic.to_owned(),
            pipeline: pipeline.to_owned(),
            sink: sink.to_owned(),
            kafka: kafka.clone(),
        })
    }

    /// Makes the topic where it is missing: kept for ever, and taking the source's largest record.
    ///
    /// # Errors
    /// Where the brokers do not answer or refuse.
    pub async fn prepare(&self) -> Result<(), KafkaError> {
        let admin: AdminClient<DefaultClientContext> =
            crate::source::client_config(&self.kafka).create()?;
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let described = admin
            .describe_configs([&ResourceSpecifier::Topic(&self.source)], &options)
            .await?;
        let largest = described
            .into_iter()
            .filter_map(Result::ok)
            .find_map(|c| c.get("max.message.bytes")?.value.as_ref()?.parse().ok())
            .unwrap_or(1_048_588_usize);
        let largest = (largest + HEADROOM).to_string();
        let topic = NewTopic::new(&self.topic, 1, TopicReplication::Fixed(-1))
            .set("retention.ms", "-1")
            .set("cleanup.policy", "delete")
            .set("max.message.bytes", &largest);
        for made in admin.create_topics([&topic], &options).await? {
            match made {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(KafkaError::AdminOp(code)),
            }
        }
        Ok(())
    }

    /// Sends a letter and waits until it is durable.
    ///
    /// # Errors
    /// Where it was not acknowledged within 10 s; it may be there all the same.
    pub async fn send(&self, letter: &Letter<'_>) -> Result<(), KafkaError> {
        let mut last = Ok(());
        for kept in [Kept::All, Kept::NoValue, Kept::NoValueNorHeaders] {
            last = self.attempt(letter, kept).await;
            let too_large = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
            if last != Err(too_large) {
                break;
            }
        }
        last
    }

    async fn attempt(&self, letter: &Letter<'_>, kept: Kept) -> Result<(), KafkaError> {
        let record = &letter.record;
        let own = record.headers.iter();
        let own = own.filter(|_| kept != Kept::NoValueNorHeaders);
        let own = own.filter(|(name, _)| !name.starts_with(header::PREFIX));
        let headers = own.fold(OwnedHeaders::new(), |h, (key, value)| {
            h.insert(Header { key, value })
        });
        let text = |h: OwnedHeaders, key, value: &str| {
            h.insert(Header {
                key,
                value: Some(value.as_bytes()),
            })
        };
        let headers = text(headers, header::REASON, letter.reason);
        let headers = text(headers, header::DETAIL, cut(letter.detail));
        let headers = text(headers, header::PIPELINE, &self.pipeline);
        let headers = text(headers, header::SINK, &self.sink);
        let headers = text(headers, header::TOPIC, &self.source);
        let partition = record.position.partition.to_string();
        let headers = text(headers, header::PARTITION, &partition);
        let headers = text(headers, header::OFFSET, &record.position.offset.to_string());
        let headers = text(headers, header::TIME, &now_ms().to_string());
        let mut headers = text(
            headers,
            header::RECORD_TIME,
            &record.timestamp_ms.to_string(),
        );
        if let Some(version) = letter.version {
            headers = text(headers, header::VERSION, &version.to_string());
        }
        if kept != Kept::All {
            let size = record.value.map_or(0, <[u8]>::len);
            headers = text(headers, header::VALUE_OMITTED, &size.to_string());
        }
        if kept == Kept::NoValueNorHeaders {
            let count = record.headers.iter().count();
            headers = text(headers, header::HEADERS_OMITTED, &count.to_string());
        }
        let letter = Outgoing {
            topic: &self.topic,
            key: record.key,
            value: record.value.filter(|_| kept == Kept::All),
            headers: Some(headers),
        };
        let receipt = self.producer.send(letter).await?;
        if planted(Bug::FireAndForget) {
            return Ok(());
        }
        receipt.await.map(|_| ())
    }
}

/// At most [`DETAIL_BYTES`], cut between characters.
fn cut(detail: &str) -> &str {
    detail
        .get(..detail.floor_char_boundary(DETAIL_BYTES))
        .unwrap_or_default()
}
