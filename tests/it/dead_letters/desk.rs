//! One test's topic, pipeline and sinks, and the command that looks at its dead letters.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use twolane::config::{self, Config, LoadOptions, PipelineSpec, SinkSpec};
use twolane::decode;
use twolane::event::{
    Batch, Changes, Epoch, Headers, Origin, Position, Record as Borrowed, Version,
};
use twolane::sink::dead_letter::{DeadLetters, Letter};
use twolane::sink::elasticsearch::ElasticsearchReader;
use twolane::sink::{Outcome, SinkHub, registry};
use twolane::source::{Probe, client_config};

use crate::stack::{self, Stack};

/// The largest record batch that a test's topic takes, in bytes.
pub const LARGEST: usize = 200_000;

/// A record as it was produced, or as a test says that it was.
pub struct Record {
    pub offset: i64,
    pub epoch: u32,
    pub timestamp_ms: i64,
    pub key: String,
    pub value: String,
    pub headers: Vec<(String, String)>,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A test's own pipeline into both sinks.
pub struct Desk {
    pub topic: String,
    pub pipeline: String,
    folder: tempfile::TempDir,
    stack: Stack,
    producer: FutureProducer,
}

/// A Debezium record of a row; `score` is JSON.
pub fn row(id: u64, score: &str) -> String {
    format!(
        r#"{{"before":null,"after":{{"id":{id},"name":"n","score":{score}}},"source":{{"file":"b.1","pos":4,"row":0,"ts_ms":1}},"op":"c","ts_ms":1}}"#
    )
}

/// That many characters that lz4 cannot make fewer.
pub fn incompressible(len: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + u8::try_from(state % 75).unwrap())
    };
    (0..len).map(|_| next()).collect()
}

// === impl Desk ===

impl Desk {
    /// A topic of one partition and its dead-letter topic, and both sinks as a branch's start makes them.
    pub async fn open(name: &str) -> Self {
        Self::open_with(name, "").await
    }

    /// One whose pipeline hides the name's values.
    pub async fn open_hiding_names(name: &str) -> Self {
        Self::open_with(name, "[document]\nmask = { name = \"redact\" }\n").await
    }

    async fn open_with(name: &str, document: &str) -> Self {
        let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let pipeline = format!("it-dead-{name}-{}", since.as_nanos());
        let folder = tempfile::tempdir().unwrap();
        for part in ["topics", "pipelines"] {
            fs::create_dir(folder.path().join(part)).unwrap();
        }
        let topic = format!("{pipeline}.rows");
        let spec = format!(
            "name = \"{topic}\"\nformat = \"debezium-json\"\nkey = [\"id\"]\npartitions = 1\nepoch = 1\n\
             [columns]\nid = \"bigint unsigned\"\nname = \"varchar(9)\"\nscore = \"int\"\n"
        );
        fs::write(folder.path().join("topics/rows.toml"), spec).unwrap();
        let kafka = stack.get("KAFKA").to_owned();
        let desk = Self {
            topic,
            folder,
            stack,
            producer: rdkafka::ClientConfig::new()
                .set("bootstrap.servers", kafka)
                .set("linger.ms", "0")
                .create()
                .unwrap(),
            pipeline,
        };
        desk.write_pipeline(document);
        desk.make_topic(None).await;
        desk.prepare_sinks().await;
        for sink in ["elasticsearch", "redis"] {
            desk.letters(sink).prepare().await.unwrap();
        }
        desk
    }

    fn write_pipeline(&self, document: &str) {
        let (topic, pipeline) = (&self.topic, &self.pipeline);
        let text = format!(
            "topic = \"{topic}\"\n{document}[[sink]]\ntype = \"elasticsearch\"\nindex = \"{pipeline}\"\n\
             [[sink]]\ntype = \"redis\"\nkey = \"{pipeline}:{{id}}\"\nshape = \"hash\"\n"
        );
        let file = format!("pipelines/{pipeline}.toml");
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// What mends the cause: the column that no sink could take is left out.
    pub fn omit_score(&mut self) {
        self.write_pipeline("[document]\nomit = [\"score\"]\n");
    }

    /// `twolane` with these arguments, this test's settings and some more, and no others.
    pub fn command(&self, arguments: &[&str], more: &[(&str, &str)]) -> Command {
        self.command_at(self.stack.get("KAFKA"), arguments, more)
    }

    fn command_at(&self, brokers: &str, arguments: &[&str], more: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_twolane"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TWOLANE_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .envs(self.variables(brokers))
            .envs(more.iter().copied())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// A path in this test's own folder.
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn variables(&self, brokers: &str) -> Vec<(String, String)> {
        let path = |part: &str| self.folder.path().join(part).display().to_string();
        [
            ("KAFKA_BROKERS", brokers.to_owned()),
            (
                "ELASTICSEARCH_URL",
                self.stack.get("ELASTICSEARCH").to_owned(),
            ),
            ("REDIS_URL", self.stack.get("REDIS").to_owned()),
            ("TOPICS_DIR", path("topics")),
            ("PIPELINES_DIR", path("pipelines")),
        ]
        .map(|(name, value)| (format!("TWOLANE_{name}"), value))
        .into()
    }

    fn config(&self) -> Config {
        config::load(&LoadOptions {
            settings: None,
            variables: self
                .variables(self.stack.get("KAFKA"))
                .into_iter()
                .collect(),
            directory: self.folder.path().to_owned(),
        })
        .unwrap()
    }

    fn parts(&self, sink: &str) -> (Config, Arc<PipelineSpec>, SinkSpec) {
        let config = self.config();
        let pipeline = Arc::new(config.pipelines[0].clone());
        let mut sinks = pipeline.sinks.iter();
        let spec = sinks.find(|s| s.name == sink).unwrap().clone();
        (config, pipeline, spec)
    }

    fn letters(&self, sink: &str) -> DeadLetters {
        let (config, pipeline, _) = self.parts(sink);
        DeadLetters::new(&config.settings.kafka, &self.topic, &pipeline.name, sink).unwrap()
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        client_config(&self.config().settings.kafka)
            .create()
            .unwrap()
    }

    /// Makes the topic and waits until every broker knows it, under another id than `before`.
    async fn make_topic(&self, before: Option<&str>) {
        let largest = LARGEST.to_string();
        let topic = NewTopic::new(&self.topic, 1, TopicReplication::Fixed(1))
            .set("max.message.bytes", &largest);
        let made = self.admin().create_topics([&topic], &options()).await;
        made.unwrap().remove(0).unwrap();
        let (_, probe) = self.hub("redis");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match probe.identity().await {
                Ok(known) if before.is_none_or(|before| before != known.topic_id) => return,
                other => assert!(Instant::now() < deadline, "{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Deletes the topic and makes it again under the same name.
    pub async fn make_topic_anew(&self) {
        let before = self.hub("redis").1.identity().await.unwrap().topic_id;
        let deleted = self.admin().delete_topics(&[&self.topic], &options()).await;
        deleted.unwrap().remove(0).unwrap();
        self.make_topic(Some(&before)).await;
    }

    /// What a branch does at its start.
    pub async fn prepare_sinks(&self) {
        for sink in ["elasticsearch", "redis"] {
            let (hub, probe) = self.hub(sink);
            let identity = probe.identity().await.unwrap();
            hub.check(&identity).await.unwrap();
        }
    }

    fn hub(&self, sink: &str) -> (Arc<dyn SinkHub>, Probe) {
        let (config, pipeline, spec) = self.parts(sink);
        let hub = registry::hub(&config.settings, &pipeline, &spec).unwrap();
        let topic = Arc::clone(&pipeline.topic);
        let probe = Probe::new(&config.settings.kafka, topic, "it-dead").unwrap();
        (hub, probe)
    }

    async fn send(&self, key: &str, value: &str) -> Result<Record, rdkafka::error::KafkaError> {
        let trace = Header {
            key: "trace",
            value: Some("t-1"),
        };
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let timestamp_ms = i64::try_from(since.as_millis()).unwrap();
        let message = FutureRecord::to(&self.topic)
            .key(key)
            .payload(value)
            .timestamp(timestamp_ms)
            .headers(OwnedHeaders::new().insert(trace));
        let sent = self.producer.send(message, Duration::from_secs(20)).await;
        let sent = sent.map_err(|(why, _)| why)?;
        Ok(Record {
            offset: sent.offset,
            epoch: 1,
            timestamp_ms,
            key: key.to_owned(),
            value: value.to_owned(),
            headers: vec![(String::from("trace"), String::from("t-1"))],
        })
    }

    /// Sends a record of row `id` to the topic.
    pub async fn produce(&self, id: &str, value: &str) -> Record {
        let key = format!("{{\"id\":{id}}}");
        self.send(&key, value).await.unwrap()
    }

    /// Whether the topic refuses a value for its size.
    pub async fn refuses(&self, value: &str) -> bool {
        self.send("{\"id\":1}", value).await.is_err()
    }

    pub fn version(&self, record: &Record) -> Version {
        Version::new(Epoch::new(record.epoch).unwrap(), record.offset).unwrap()
    }

    /// Writes a record into a sink, as a worker does.
    pub async fn land(&self, sink: &str, record: &Record) {
        let (hub, _) = self.hub(sink);
        let (_, pipeline, spec) = self.parts(sink);
        let mut projection = registry::projection(&pipeline, &spec).unwrap();
        let mut packed = Vec::new();
        let borrowed = record.borrow(&mut packed);
        let mut decoder = decode::decoder(&pipeline.topic, &Arc::default());
        let Changes::One(change) = decoder.decode(&borrowed).unwrap() else {
            panic!("not one change");
        };
        let origin = Origin {
            position: borrowed.position,
            version: self.version(record),
            record: 0,
            committed_ms: 0,
        };
        let mut batch = Batch::new(hub.shape());
        let write = projection.write(&change, origin, &mut batch).unwrap();
        let sink = hub.connect().unwrap();
        let outcomes = sink.write(&batch, &[write], &[]).await.unwrap();
        assert_eq!(outcomes, [Outcome::Applied]);
    }

    /// Makes a dead letter of a record, as a worker does.
    pub async fn bury(&self, sink: &str, record: &Record) {
        let mut packed = Vec::new();
        let letter = Letter {
            record: record.borrow(&mut packed),
            version: Some(self.version(record)),
            reason: "column_type",
            detail: "column score is not an int",
        };
        self.letters(sink).send(&letter).await.unwrap();
    }

    /// Runs `twolane dead`.
    pub fn dead(&self, arguments: &[&str]) -> Said {
        self.dead_at(self.stack.get("KAFKA"), arguments)
    }

    /// The same with these brokers.
    pub fn dead_at(&self, brokers: &str, arguments: &[&str]) -> Said {
        let arguments: Vec<&str> = [&["dead"], arguments].concat();
        Said::by(&mut self.command_at(brokers, &arguments, &[]))
    }

    fn reader(&self) -> ElasticsearchReader {
        ElasticsearchReader::new(&self.config().settings.elasticsearch, &self.pipeline).unwrap()
    }

    /// The version of a row's document.
    pub async fn in_elasticsearch(&self, id: u64) -> Option<Version> {
        let found = self.reader().get(&id.to_string()).await.unwrap();
        found.map(|document| document.version)
    }

    /// Deletes the index, and with it its alias.
    pub async fn delete_index(&self) {
        let url = format!("{}/{}-v1", self.stack.get("ELASTICSEARCH"), self.pipeline);
        let answer = reqwest::Client::new().delete(url).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    pub async fn has_index(&self) -> bool {
        let url = format!("{}/{}-v1", self.stack.get("ELASTICSEARCH"), self.pipeline);
        let answer = reqwest::Client::new().head(url).send().await.unwrap();
        answer.status().is_success()
    }

    fn redis<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(self.stack.get("REDIS")).unwrap();
        let mut connection = client.get_connection().unwrap();
        let (name, arguments) = words.split_first().unwrap();
        redis::cmd(name)
            .arg(arguments)
            .query(&mut connection)
            .unwrap()
    }

    /// Deletes this branch's markers, as a FLUSHALL does.
    pub fn forget_markers(&self) {
        let key = format!("twolane:marker:{}.redis", self.pipeline);
        assert_eq!(self.redis::<i32>(&["DEL", &key]), 1);
    }

    /// Gives a row's hash a version, as something that is not the lane might.
    pub fn hold_version(&self, id: u64, version: Version) {
        let key = format!("{}:{id}", self.pipeline);
        self.redis::<i32>(&["HSET", &key, "_v", &version.padded().to_string()]);
    }

    /// The version of a row's hash.
    pub fn in_redis(&self, id: u64) -> Option<Version> {
        let version: Option<String> = self.redis_field(id, "_v");
        version.map(|v| Version::from_raw(v.parse().unwrap()))
    }

    pub fn redis_field(&self, id: u64, field: &str) -> Option<String> {
        let key = format!("{}:{id}", self.pipeline);
        self.redis(&["HGET", &key, field])
    }
}

fn options() -> AdminOptions {
    let patience = Some(Duration::from_secs(20));
    AdminOptions::new()
        .request_timeout(patience)
        .operation_timeout(patience)
}

// === impl Record ===

impl Record {
    fn borrow<'a>(&'a self, packed: &'a mut Vec<u8>) -> Borrowed<'a> {
        for (name, value) in &self.headers {
            Headers::push(packed, name, Some(value.as_bytes()));
        }
        Borrowed {
            position: Position {
                partition: 0,
                offset: self.offset,
            },
            timestamp_ms: self.timestamp_ms,
            key: Some(self.key.as_bytes()),
            value: Some(self.value.as_bytes()),
            headers: Headers::packed(packed),
        }
    }
}

// === impl Said ===

impl Said {
    /// What a command says, run to its end.
    pub fn by(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }
}
