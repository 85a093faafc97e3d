//! What the tests of the rules look at and change behind the lane's back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use twolane::branch::{Branch, State};
use twolane::config::{Config, PipelineSpec, TopicSpec};
use twolane::event::Epoch;
use twolane::lane::Lane;

use super::rig::{self, PATIENCE, Rig};

/// Starts a lane by other settings than the rig's own.
pub async fn start(config: &Config) -> Lane {
    let pipelines: Vec<_> = config.pipelines.iter().cloned().map(Arc::new).collect();
    let settings = Arc::new(config.settings.clone());
    Lane::start(&settings, &pipelines, Arc::default())
        .await
        .expect("the lane starts")
}

/// The rig's pipeline.
pub fn pipeline(config: &mut Config) -> &mut PipelineSpec {
    &mut config.pipelines[0]
}

/// The topic as the rig's pipeline knows it.
pub fn topic(config: &mut Config) -> &mut TopicSpec {
    Arc::make_mut(&mut pipeline(config).topic)
}

pub fn set_epoch(config: &mut Config, epoch: u32) {
    topic(config).epoch = Epoch::new(epoch).expect("an epoch");
}

/// The same branches in consumer groups of their own, which therefore read from the log's start; each change
/// is a request to itself, so that none hides behind a newer one.
pub fn read_again(config: &Config) -> Config {
    let mut again = config.clone();
    for sink in &mut pipeline(&mut again).sinks {
        sink.name = format!("{}-again", sink.name);
        sink.batch_documents = 1;
    }
    again
}

/// The branch of a sink.
pub fn branch(branches: &[Arc<Branch>], sink: &str) -> Arc<Branch> {
    let found = branches.iter().find(|b| b.spec.name == sink);
    Arc::clone(found.expect("a branch of that sink"))
}

/// Waits until a branch halts, and gives the reason.
pub async fn halted(branch: &Branch) -> String {
    rig::until(&format!("{} to halt", branch.name), || async {
        branch.control.is_halted()
    })
    .await;
    match branch.control.state() {
        State::Halted(why) => why,
        other => panic!("{}: {other:?}", branch.name),
    }
}

/// Waits until a halted branch has given up what it held.
pub async fn given_up(branch: &Branch) {
    rig::until(&format!("{} to give up", branch.name), || async {
        branch.ledger.pending() == 0
    })
    .await;
}

/// The group's committed offsets.
pub async fn committed(branch: &Branch) -> BTreeMap<i32, Option<i64>> {
    branch.probe.committed().await.expect("committed offsets")
}

/// Everything is resolved and the log's ends are committed; for a lane that was stopped.
pub async fn assert_committed_to_the_end(branches: &[Arc<Branch>]) {
    for branch in branches {
        for (partition, offset) in committed(branch).await {
            let (_, end) = branch.probe.watermarks(partition).await.expect("ends");
            assert_eq!(offset, Some(end), "{} partition {partition}", branch.name);
        }
    }
}

/// Rule 4 at rest.
pub fn assert_sum(branch: &Branch) {
    assert_eq!(
        rig::consumed(branch),
        rig::sum(branch),
        "{}: {:?}",
        branch.name,
        branch.ledger.tally()
    );
}

pub fn applied(branch: &Branch) -> u64 {
    branch.ledger.tally().applied.load(Ordering::Relaxed)
}

pub fn superseded(branch: &Branch) -> u64 {
    branch.ledger.tally().superseded.load(Ordering::Relaxed)
}

pub fn filtered(branch: &Branch) -> u64 {
    branch.ledger.tally().filtered.load(Ordering::Relaxed)
}

pub fn dead_lettered(branch: &Branch) -> u64 {
    branch.ledger.tally().dead_lettered.load(Ordering::Relaxed)
}

/// What Elasticsearch answers to a request below its address.
pub async fn elasticsearch(
    rig: &Rig,
    method: reqwest::Method,
    path: &str,
    body: Option<serde_json::Value>,
) -> serde_json::Value {
    let request = reqwest::Client::new().request(method, format!("{}/{path}", rig.elasticsearch));
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let answer = request.send().await.expect("Elasticsearch answers");
    let status = answer.status();
    let answer: serde_json::Value = answer.json().await.expect("JSON");
    assert!(status.is_success(), "{path}: {answer}");
    answer
}

/// A record as a test wants it, no part of it compressed.
#[derive(Default)]
pub struct Raw<'a> {
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// A producer that compresses nothing.
pub fn producer(rig: &Rig) -> FutureProducer {
    ClientConfig::new()
        .set("bootstrap.servers", &rig.config.settings.kafka.brokers)
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", "10000000")
        .set("linger.ms", "0")
        .create()
        .expect("a producer")
}

/// Sends a record; the brokers may refuse it.
pub async fn send(
    producer: &FutureProducer,
    topic: &str,
    raw: &Raw<'_>,
) -> Result<(i32, i64), String> {
    let mut headers = OwnedHeaders::new();
    for (key, value) in raw.headers {
        headers = headers.insert(Header { key, value: *value });
    }
    let mut record = FutureRecord::<[u8], [u8]>::to(topic).headers(headers);
    record.key = raw.key;
    record.payload = raw.value;
    record.partition = raw.partition;
    match producer.send(record, PATIENCE).await {
        Ok(sent) => Ok((sent.partition, sent.offset)),
        Err((why, _)) => Err(why.to_string()),
    }
}

/// Every dead letter of the rig's topic that is there now.
pub async fn dead_letters(rig: &Rig) -> Vec<OwnedMessage> {
    let topic = format!("{}.dead", rig.topic);
    let brokers = rig.config.settings.kafka.brokers.clone();
    let read = move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &brokers)
            .set("group.id", "looks-at-dead-letters")
            .set("enable.auto.commit", "false")
            .set("fetch.message.max.bytes", "20000000")
            .create()
            .expect("a consumer");
        let ends = consumer.fetch_watermarks(&topic, 0, Duration::from_secs(30));
        let (_, end) = ends.expect("the dead-letter topic is there");
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(&topic, 0, Offset::Beginning)
            .expect("a partition");
        consumer.assign(&from).expect("assigned");
        let mut letters: Vec<OwnedMessage> = Vec::new();
        let started = Instant::now();
        while letters.last().map_or(0, |m| m.offset() + 1) < end {
            assert!(started.elapsed() < PATIENCE, "dead letters are missing");
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                letters.push(message.detach());
            }
        }
        letters
    };
    tokio::task::spawn_blocking(read).await.expect("read")
}

/// A header's text.
pub fn header(message: &OwnedMessage, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let found = headers.iter().find(|h| h.key == name)?;
    Some(String::from_utf8_lossy(found.value?).into_owned())
}

/// Names and values of headers.
pub type NamedHeaders = Vec<(String, Option<Vec<u8>>)>;

/// A dead letter's headers without those that say why it is one.
pub fn own_headers(message: &OwnedMessage) -> NamedHeaders {
    let headers = message.headers().map(|h| h.iter().collect::<Vec<_>>());
    let own = headers
        .into_iter()
        .flatten()
        .filter(|h| !h.key.starts_with("twolane."));
    own.map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec)))
        .collect()
}

pub fn as_headers(headers: &[(&str, Option<&[u8]>)]) -> NamedHeaders {
    let owned = headers
        .iter()
        .map(|(k, v)| ((*k).to_owned(), v.map(<[u8]>::to_vec)));
    owned.collect()
}
