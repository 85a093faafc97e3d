//! The client: what every record that twolane writes goes through, and the settings that all of them have.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use tokio::sync::oneshot;

use super::room::{Place, Room};
use crate::config::KafkaSettings;

/// How much a producer holds, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes that are not acknowledged.
    pub bytes: usize,
    /// The most records that are not acknowledged.
    pub records: u32,
    /// How long a record waits for others to share its batch, where its partition has none under way.
    pub linger: Duration,
    /// How long a record may wait for its acknowledgement before it is given up.
    pub delivery: Duration,
}

/// A record to be written.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// Where to.
    pub topic: &'a str,
    /// What places it; without a key any partition will do.
    pub key: Option<&'a [u8]>,
    /// What it says; without a value it deletes its key.
    pub value: Option<&'a [u8]>,
    /// What else is to be known of it.
    pub headers: Option<OwnedHeaders>,
}

/// Where an acknowledged record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
    /// The partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
}

/// The acknowledgement of one record, to be awaited. Dropped, it is not waited for; the record is written all
/// the same.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<Acked, KafkaError>>);

/// Writes records: in order for each partition, each once, acknowledged by all in-sync replicas.
///
/// Once holds while brokers answer within [`Limits::delivery`]. When a record has waited for longer and is given up, librdkafka
/// begins a new epoch, and the broker does not know those again that it had stored before and whose acknowledgement was lost:
/// they may be there twice.
pub struct Producer {
    config: ClientConfig,
    /// There from the first record on, at the latest, until the drop.
    client: Mutex<Option<Arc<Client>>>,
    room: Arc<Room>,
}

type Client = ThreadedProducer<Reports>;

/// Tells of each record what became of it.
struct Reports;

/// A record on its way: dropped, it leaves its room.
struct Ticket {
    _place: Place,
    told: oneshot::Sender<Result<Acked, KafkaError>>,
}

/// The settings of every producer of twolane's. The operator's own properties win, but for those that would
/// break a promise, which were refused with the settings.
pub fn producer_config(
    kafka: &KafkaSettings,
    linger: Duration,
    delivery: Duration,
) -> ClientConfig {
    let mut config = crate::source::client_config(kafka);
    promises(&mut config);
    config
        .set("linger.ms", linger.as_millis().to_string())
        .set("delivery.timeout.ms", delivery.as_millis().to_string())
        // The topic's limit is the one that counts; the client's must not be lower.
        .set("message.max.bytes", "1000000000")
        // The room bounds what is held; librdkafka's own queue must not be full before.
        .set("queue.buffering.max.kbytes", "2097151")
        .set("queue.buffering.max.messages", "10000000");
    for (name, value) in &kafka.properties {
        config.set(name, value);
    }
    config
}

/// What holds for every record, and what it costs on the wire.
pub fn promises(config: &mut ClientConfig) {
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // As Java's producer does; the lane predicts a key's partition by it.
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        // Java's 16 KiB leaves little to compress, librdkafka's 1 MB makes a batch that no default topic takes
        // where it does not compress.
        .set("batch.size", "262144");
}

// === impl Producer ===

impl Producer {
    /// A producer; it reaches for the brokers at once, and does not wait for them.
    ///
    /// # Errors
    /// Where the settings make no client.
    pub fn new(kafka: &KafkaSettings, limits: Limits) -> Result<Self, KafkaError> {
        let producer = Self::when_needed(kafka, limits)?;
        producer.client()?;
        Ok(producer)
    }

    /// A producer that reaches for the brokers at its first record: until then it has no threads and no connections. A
    /// client that has nothing to do takes a hundredth of a processor, since rdkafka's polling spins for the last
    /// millisecond of every 100.
    ///
    /// # Errors
    /// As [`Producer::new`].
    pub fn when_needed(kafka: &KafkaSettings, limits: Limits) -> Result<Self, KafkaError> {
        let config = producer_config(kafka, limits.linger, limits.delivery);
        config.create_native_config()?;
        Ok(Self {
            client: Mutex::default(),
            config,
            room: Room::new(limits.bytes, limits.records),
        })
    }

    /// Waits for room, and sends. The record is on its way when this returns, in the order of the calls; await
    /// the receipt to know that it is there. Dropped while it waits for room, nothing was sent.
    ///
    /// # Errors
    /// Where the record cannot be sent at all: nothing of it was written.
    pub async fn send(&self, record: Outgoing<'_>) -> Result<Receipt, KafkaError> {
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        let headers = record.headers.as_ref().map_or(0, size);
        let place = self.room.place(bytes + headers).await;
        let (told, receipt) = oneshot::channel();
        let ticket = Box::new(Ticket {
            _place: place,
            told,
        });
        let mut outgoing =
            BaseRecord::<[u8], [u8], Box<Ticket>>::with_opaque_to(record.topic, ticket);
        outgoing.key = record.key;
        outgoing.payload = record.value;
        outgoing.headers = record.headers;
        let client = self.client()?;
        match client.send(outgoing) {
            Ok(()) => Ok(Receipt(receipt)),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::Fatal), back)) => {
                let client = self.renewed(client)?;
                let sent = client.send(back).map_err(|(why, _)| why);
                sent.map(|()| Receipt(receipt))
            }
            Err((why, _)) => Err(why),
        }
    }

    /// Waits until every record sent so far is acknowledged or given up.
    pub async fn idle(&self) {
        self.room.empty().await;
    }

    /// Bytes that wait for their acknowledgement.
    pub fn pending_bytes(&self) -> usize {
        self.room.taken()
    }

    /// The number of partitions that a topic has; `None` for no such topic. Blocks for up to `timeout`.
    ///
    /// # Errors
    /// Where no broker says so.
    pub fn partitions(&self, topic: &str, timeout: Duration) -> Result<Option<i32>, KafkaError> {
        let client = self.client()?;
        let metadata = client.client().fetch_metadata(Some(topic), timeout)?;
        let of_topic = metadata.topics().iter().find(|t| t.name() == topic);
        match of_topic.map(|t| (t.error(), t.partitions().len())) {
            None | Some((None, 0)) => Ok(None),
            Some((None, n)) => Ok(Some(i32::try_from(n).unwrap_or(i32::MAX))),
            Some((Some(error), _)) => match RDKafkaErrorCode::from(error) {
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
                    Ok(None)
                }
                other => Err(KafkaError::MetadataFetch(other)),
            },
        }
    }

    fn client(&self) -> Result<Arc<Client>, KafkaError> {
        let mut present = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*present {
            return Ok(Arc::clone(client));
        }
        let made = Arc::new(client(&self.config)?);
        Ok(Arc::clone(present.insert(made)))
    }

    /// An idempotent producer that met what it cannot mend (its records' sequence is broken) is at an end: all
    /// that it holds is given up, and told so. Another one takes its place, with an identity of its own.
    fn renewed(&self, ended: Arc<Client>) -> Result<Arc<Client>, KafkaError> {
        let mut present = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let is_present = |client: &Arc<Client>| Arc::ptr_eq(client, &ended);
        if present.as_ref().is_some_and(is_present) {
            let why = ended.client().fatal_error();
            let why = why.map_or_else(String::new, |(code, text)| format!("{code}: {text}"));
            tracing::error!("Kafka's producer cannot go on and is made anew ({why})");
            *present = Some(Arc::new(client(&self.config)?));
        }
        leave(Some(ended));
        present.clone().ok_or(KafkaError::Canceled)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let client = self.client.get_mut();
        leave(client.unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Lets a client end in a thread of its own. It waits for its last reports, up to half a second, and joins a thread that waits
/// by the wall clock: set back meanwhile by an hour, it comes an hour later. Nobody is to wait for that; what was sent
/// has been waited for, or is given up.
fn leave(client: Option<Arc<Client>>) {
    let thread = std::thread::Builder::new().name("leave Kafka".to_owned());
    if let Err(why) = thread.spawn(move || drop(client)) {
        tracing::debug!("a producer ends in its owner's thread: {why}");
    }
}

fn client(config: &ClientConfig) -> Result<Client, KafkaError> {
    use rdkafka::config::FromClientConfigAndContext as _;
    Client::from_config_and_context(config, Reports)
}

fn size(headers: &OwnedHeaders) -> usize {
    use rdkafka::message::Headers as _;
    let each = headers.iter();
    each.map(|h| h.key.len() + h.value.map_or(0, <[u8]>::len))
        .sum()
}

// === impl Reports ===

impl rdkafka::ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        // A broker that is away says so every second or so; what it means is with the records.
        tracing::debug!("producer: {error}: {reason}");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Self::DeliveryOpaque) {
        let became = match result {
            Ok(record) => Ok(Acked {
                partition: record.partition(),
                offset: record.offset(),
            }),
            Err((why, _)) => Err(why.clone()),
        };
        // Nobody may be waiting for it any more.
        let _ = ticket.told.send(became);
    }
}

// === impl Receipt ===

impl Future for Receipt {
    type Output = Result<Acked, KafkaError>;

    /// Where the client ended before it knew, the record may be there or not, as with any that timed out.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|told| {
            told.unwrap_or(Err(KafkaError::MessageProduction(
                RDKafkaErrorCode::PurgeInflight,
            )))
        })
    }
}
