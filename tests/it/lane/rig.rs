//! A lane of a test's own: its topic, its index, its keys, and a pipeline that runs in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use twolane::branch::Branch;
use twolane::config::{self, Config, LoadOptions};
use twolane::lane::Lane;
use twolane::supervise::Tree;

use crate::stack::Stack;

/// How long anything may take that is waited for; generous, since the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What stands between a test and its lane.
pub struct Rig {
    pub topic: String,
    pub index: String,
    pub prefix: String,
    pub config: Config,
    /// Settings, topics and pipelines; goes with the rig.
    dir: tempfile::TempDir,
    pub elasticsearch: String,
    pub redis: String,
    producer: FutureProducer,
}

/// What a test may set otherwise.
pub struct Options {
    pub partitions: i32,
    pub epoch: u32,
    /// Lines for `[[sink]]` of each.
    pub elasticsearch: Option<&'static str>,
    pub redis: Option<&'static str>,
    /// The topic's format and how its producer places keys.
    pub format: &'static str,
    /// Lines for the topic's file.
    pub topic: &'static str,
    /// Sections for the settings' file.
    pub settings: String,
    pub topic_config: &'static [(&'static str, &'static str)],
    /// The mapping's `properties`.
    pub mapping: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: 4,
            epoch: 1,
            elasticsearch: Some(""),
            redis: Some("shape = \"hash\""),
            format: "format = \"debezium-json\"\npartitioner = \"murmur2\"",
            topic: "",
            settings: String::new(),
            topic_config: &[],
            mapping: r#"{"id":{"type":"long"},"rev":{"type":"long"},"name":{"type":"keyword"}}"#,
        }
    }
}

/// Runs a future on an actix system of its own.
pub fn system<T>(future: impl Future<Output = T>) -> T {
    let _ = tracing_subscriber::fmt()
        .with_test_writer()
        .with_env_filter(std::env::var("TWOLANE_TEST_LOG").unwrap_or_else(|_| "warn".into()))
        .try_init();
    actix::System::new().block_on(future)
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Rig {
    /// Topic, specs and settings; nothing runs yet.
    pub async fn new(stack: &Stack, name: &str, options: Options) -> Self {
        let unique = format!(
            "{name}-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let topic = format!("t.{unique}");
        let dir = tempfile::tempdir().expect("a temporary folder");
        let kafka = stack.get("KAFKA").to_owned();
        create_topic(&kafka, &topic, options.partitions, options.topic_config).await;
        let at = |path: &str, text: String| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        at(
            "topics/t.toml",
            format!(
                "name = \"{topic}\"\n{}\nkey = [\"id\"]\npartitions = {}\nepoch = {}\n{}\n",
                options.format, options.partitions, options.epoch, options.topic
            ),
        );
        at(
            "pipelines/map.json",
            format!("{{\"dynamic\":false,\"properties\":{}}}", options.mapping),
        );
        let mut pipeline = format!("topic = \"{topic}\"\n");
        if let Some(more) = options.elasticsearch {
            pipeline += &format!(
                "[[sink]]\ntype = \"elasticsearch\"\nindex = \"{unique}\"\nmapping = \"map.json\"\n{more}\n"
            );
        }
        if let Some(more) = options.redis {
            pipeline += &format!("[[sink]]\ntype = \"redis\"\nkey = \"{unique}:{{id}}\"\n{more}\n");
        }
        at(&format!("pipelines/{unique}.toml"), pipeline);
        at(
            "twolane.toml",
            format!(
                "[kafka]\nbrokers = \"{kafka}\"\n[elasticsearch]\nurl = \"{}\"\n[redis]\nurl = \"{}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n{}\n",
                stack.get("ELASTICSEARCH"),
                stack.get("REDIS"),
                options.settings
            ),
        );
        let config = load(dir.path().to_owned());
        let producer = producer(&kafka);
        Self {
            prefix: unique.clone(),
            index: unique,
            topic,
            config,
            dir,
            elasticsearch: stack.get("ELASTICSEARCH").to_owned(),
            redis: stack.get("REDIS").to_owned(),
            producer,
        }
    }

    /// The topic was made anew, and its producer must be.
    pub fn renew_producer(&mut self) {
        self.producer = producer(&self.config.settings.kafka.brokers);
    }

    /// The folder of settings, topics and pipelines, for a process of its own.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the lane.
    pub async fn start(&self) -> Lane {
        self.start_in(Arc::default()).await
    }

    /// The same in a tree of the caller's own.
    pub async fn start_in(&self, tree: Arc<Tree>) -> Lane {
        let pipelines: Vec<_> = self
            .config
            .pipelines
            .iter()
            .cloned()
            .map(Arc::new)
            .collect();
        let settings = Arc::new(self.config.settings.clone());
        Lane::start(&settings, &pipelines, tree)
            .await
            .expect("the lane starts")
    }

    /// Sends a record and waits until it is acknowledged; returns its partition and offset.
    pub async fn send(&self, key: Option<&str>, value: Option<&str>) -> (i32, i64) {
        self.send_to(None, key.map(str::as_bytes), value.map(str::as_bytes))
            .await
    }

    /// The same with raw bytes, to a partition of choice.
    pub async fn send_to(
        &self,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> (i32, i64) {
        let mut record = FutureRecord::<[u8], [u8]>::to(&self.topic);
        record.key = key;
        record.payload = value;
        record.partition = partition;
        let sent = self.producer.send(record, PATIENCE).await;
        let delivery = sent.map_err(|e| e.0).expect("acknowledged");
        (delivery.partition, delivery.offset)
    }

    /// Row `id` is now `{id, rev, name}`.
    pub async fn upsert(&self, id: i64, rev: i64, name: &str) -> (i32, i64) {
        self.send(Some(&key(id)), Some(&event("u", id, rev, name)))
            .await
    }

    /// Row `id` is deleted: the event and the tombstone behind it.
    pub async fn delete(&self, id: i64) {
        self.send(Some(&key(id)), Some(&deletion(id))).await;
        self.send(Some(&key(id)), None).await;
    }

    /// Sends many records, several in flight; returns their partitions and offsets.
    pub async fn send_all(&self, records: &[(String, Option<String>)]) -> Vec<(i32, i64)> {
        let sends = records
            .iter()
            .map(|(k, v)| self.send(Some(k), v.as_deref()));
        let sends = futures_util::stream::iter(sends);
        let sends = futures_util::stream::StreamExt::buffered(sends, 512);
        futures_util::StreamExt::collect(sends).await
    }

    /// The document behind an id, tombstones included: its version and source.
    pub async fn document(&self, id: i64) -> Option<(u64, serde_json::Value)> {
        let url = format!("{}/{}/_doc/{id}", self.elasticsearch, self.index);
        let found: serde_json::Value = reqwest::get(url).await.ok()?.json().await.ok()?;
        Some((
            found.get("_version")?.as_u64()?,
            found.get("_source")?.clone(),
        ))
    }

    /// Rows visible through the alias, after a refresh.
    pub async fn visible(&self) -> u64 {
        let base = format!("{}/{}", self.elasticsearch, self.index);
        let client = reqwest::Client::new();
        let _ = client.post(format!("{base}/_refresh")).send().await;
        let count = client.get(format!("{base}/_count")).send().await;
        let count: serde_json::Value = count.expect("counted").json().await.expect("JSON");
        count["count"].as_u64().expect("a count")
    }

    /// A hash in Redis; empty where there is none.
    pub async fn hash(&self, id: i64) -> std::collections::BTreeMap<String, String> {
        let mut c = self.redis().await;
        redis::cmd("HGETALL")
            .arg(format!("{}:{id}", self.prefix))
            .query_async(&mut c)
            .await
            .expect("HGETALL")
    }

    pub async fn redis(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.redis.as_str()).expect("a client");
        client
            .get_multiplexed_async_connection()
            .await
            .expect("Redis")
    }
}

fn producer(brokers: &str) -> FutureProducer {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("compression.type", "lz4")
        .set("linger.ms", "2")
        .set("message.max.bytes", "10000000")
        .create()
        .expect("a producer")
}

/// Settings, topics and pipelines of a folder.
pub fn load(directory: PathBuf) -> Config {
    let settings = Some(directory.join("twolane.toml"));
    config::load(&LoadOptions {
        settings,
        directory,
        ..LoadOptions::default()
    })
    .unwrap_or_else(|problems| panic!("{problems}"))
}

pub async fn create_topic(brokers: &str, topic: &str, partitions: i32, config: &[(&str, &str)]) {
    let made = config.iter().fold(
        NewTopic::new(topic, partitions, TopicReplication::Fixed(1)),
        |t, (k, v)| t.set(k, v),
    );
    for result in admin(brokers)
        .create_topics([&made], &AdminOptions::new())
        .await
        .expect("the broker answers")
    {
        result.expect("the topic is made");
    }
}

pub fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .expect("an admin client")
}

pub fn key(id: i64) -> String {
    format!("{{\"id\":{id}}}")
}

pub fn event(op: &str, id: i64, rev: i64, name: &str) -> String {
    let now = twolane::branch::now_ms();
    format!(
        "{{\"before\":null,\"after\":{{\"id\":{id},\"rev\":{rev},\"name\":{}}},\"source\":{{\"ts_ms\":{now},\"snapshot\":\"false\",\
         \"file\":\"\",\"pos\":0,\"row\":0}},\"op\":\"{op}\",\"ts_ms\":{now}}}",
        serde_json::Value::from(name)
    )
}

pub fn deletion(id: i64) -> String {
    format!(
        "{{\"before\":{{\"id\":{id}}},\"after\":null,\"source\":{{\"ts_ms\":1,\"snapshot\":\"false\",\"file\":\"\",\"pos\":0,\"row\":0}},\
         \"op\":\"d\",\"ts_ms\":1}}"
    )
}

/// Waits until `holds`, looking every 50 ms, and panics with what is waited for when it takes too long.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the branches have resolved this many records in all, each, and hold none.
pub async fn resolved(branches: &[Arc<Branch>], records: u64) {
    for branch in branches {
        until(
            &format!(
                "{} to resolve {records} records: {:?}",
                branch.name,
                branch.ledger.tally()
            ),
            || async { sum(branch) - abandoned(branch) >= records && branch.ledger.pending() == 0 },
        )
        .await;
    }
}

/// Everything that left the ledger.
pub fn sum(branch: &Branch) -> u64 {
    let t = branch.ledger.tally();
    [
        &t.applied,
        &t.superseded,
        &t.filtered,
        &t.dead_lettered,
        &t.abandoned,
    ]
    .iter()
    .map(|c| c.load(Ordering::Relaxed))
    .sum()
}

pub fn consumed(branch: &Branch) -> u64 {
    branch.ledger.tally().consumed.load(Ordering::Relaxed)
}

pub fn abandoned(branch: &Branch) -> u64 {
    branch.ledger.tally().abandoned.load(Ordering::Relaxed)
}
