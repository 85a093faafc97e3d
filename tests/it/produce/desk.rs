//! A topic of a test's own, and the `twolane` that sends into it.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use twolane::config::{Config, TopicSpec};

use crate::lane::rig::{self, PATIENCE};
use crate::stack::Stack;

pub const SCHEMA: &str = r#"{"type":"record","name":"Event","fields":[
    {"name":"id","type":"long"},
    {"name":"name","type":"string"},
    {"name":"note","type":["null","string"],"default":null}
]}"#;

/// A folder of specs and settings; goes with the desk.
pub struct Desk {
    pub topic: String,
    pub partitions: i32,
    pub brokers: String,
    pub dir: tempfile::TempDir,
}

/// What a process left behind.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A name that no other test has.
pub fn unique(name: &str) -> String {
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("e.{name}-{}-{next}", std::process::id())
}

impl Desk {
    /// The topic is made with so many partitions, or not at all.
    pub async fn new(stack: &Stack, name: &str, format: &str, partitions: i32) -> Self {
        let desk = Self::without_topic(stack, name, format, partitions);
        rig::create_topic(&desk.brokers, &desk.topic, partitions, &[]).await;
        desk
    }

    pub fn without_topic(stack: &Stack, name: &str, format: &str, partitions: i32) -> Self {
        let desk = Self {
            topic: unique(name),
            partitions,
            brokers: stack.get("KAFKA").to_owned(),
            dir: tempfile::tempdir().expect("a folder"),
        };
        desk.write(
            "topics/t.toml",
            &format!(
                "name = \"{}\"\nformat = \"{format}\"\nkey = [\"id\"]\npartitions = {partitions}\nepoch = 1\n",
                desk.topic
            ),
        );
        desk.write("topics/t.avsc", SCHEMA);
        std::fs::create_dir_all(desk.dir.path().join("pipelines")).expect("a folder");
        desk.settings("");
        desk
    }

    /// Replaces the settings by these and the brokers'.
    pub fn settings(&self, more: &str) {
        self.write(
            "twolane.toml",
            &format!(
                "[kafka]\nbrokers = \"{}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n{more}\n",
                self.brokers
            ),
        );
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    pub fn config(&self) -> Config {
        rig::load(self.dir.path().to_owned())
    }

    pub fn spec(&self) -> Arc<TopicSpec> {
        Arc::clone(&self.config().topics[0])
    }

    /// Runs `twolane` with an input to its end.
    pub fn run(&self, arguments: &[&str], input: &str) -> Said {
        let mut child = self.start(arguments);
        let mut to = child.stdin.take().expect("its input");
        let input = input.to_owned();
        let writer = std::thread::spawn(move || {
            // It may end before it has read everything.
            let _ = to.write_all(input.as_bytes());
        });
        let said = ended(child);
        writer.join().expect("written");
        said
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_twolane"))
            .args(arguments)
            .current_dir(self.dir.path())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("twolane starts")
    }

    /// Every record of the topic that is there now.
    pub async fn records(&self) -> Vec<OwnedMessage> {
        records(&self.brokers, &self.topic, self.partitions).await
    }
}

pub fn ended(child: Child) -> Said {
    let output = child.wait_with_output().expect("it ends");
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Every record of a topic that is there now, in the order of partitions and offsets.
pub async fn records(brokers: &str, topic: &str, partitions: i32) -> Vec<OwnedMessage> {
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    let read = move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &brokers)
            .set("group.id", "looks-at-events")
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer");
        let mut all = Vec::new();
        for partition in 0..partitions {
            let asked = Instant::now();
            let (start, end) = loop {
                match consumer.fetch_watermarks(&topic, partition, Duration::from_secs(30)) {
                    Ok(ends) => break ends,
                    // A broker that has just started is no partition's leader yet.
                    Err(why) => assert!(asked.elapsed() < PATIENCE, "no ends: {why}"),
                }
            };
            let mut from = TopicPartitionList::new();
            from.add_partition_offset(&topic, partition, Offset::Beginning)
                .expect("a partition");
            consumer.assign(&from).expect("assigned");
            let (started, mut next) = (Instant::now(), start);
            while next < end {
                assert!(started.elapsed() < PATIENCE, "records are missing");
                if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                    next = message.offset() + 1;
                    all.push(message.detach());
                }
            }
        }
        all
    };
    tokio::task::spawn_blocking(read).await.expect("read")
}

/// An event of the schema, as a line.
pub fn event(id: u64) -> String {
    format!(r#"{{"id":{id},"name":"n{id}"}}"#)
}

/// A record's key as text.
pub fn key(record: &OwnedMessage) -> String {
    String::from_utf8_lossy(record.key().expect("a key")).into_owned()
}
