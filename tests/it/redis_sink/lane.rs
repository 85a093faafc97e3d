//! What stands in for the lane in these tests: hubs made from specs, and batches of rows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use twolane::config::{
    Deletes, Format, RedisSettings, RedisShape, RedisSpec, SinkKind, SinkSpec, TopicSpec,
};
use twolane::event::{Batch, Epoch, Mark, Origin, PackedName, Position, Shape, Version};
use twolane::sink::redis::{RedisHub, StoredBody, StoredRow};
use twolane::sink::{Outcome, Sink, SinkError, SinkHub, TopicIdentity};

use crate::stack;

/// What a test may want otherwise.
#[derive(Clone)]
pub struct Wish {
    pub settings: RedisSettings,
    pub spec: RedisSpec,
    pub deletes: Deletes,
    pub horizon: Duration,
    pub epoch: u32,
    pub pipeline: String,
}

/// A hub and what it was made from.
pub struct Lane {
    pub hub: RedisHub,
    pub wish: Wish,
}

/// Rows for one batch.
pub struct Rows {
    pub batch: Batch,
    pub select: Vec<u32>,
    prefix: String,
    epoch: Epoch,
}

pub fn settings(url: impl Into<String>) -> RedisSettings {
    RedisSettings {
        url: url.into(),
        username: None,
        password: None,
        ca_file: None,
        timeout: Duration::from_secs(5),
    }
}

pub fn identity(topic_id: &str, epoch: u32) -> TopicIdentity {
    TopicIdentity {
        topic: "app.app.user_profile".into(),
        topic_id: topic_id.into(),
        epoch: u16::try_from(epoch).expect("an epoch"),
        partitions: 8,
    }
}

pub fn mark(partition: i32, offset: i64) -> Mark {
    Mark { partition, offset }
}

// === impl Wish ===

impl Wish {
    /// On the stack's Redis, under a prefix that no other test has.
    pub fn hash() -> Self {
        Self::at(stack::plain(&["redis"]).get("REDIS"))
    }

    /// On this Redis.
    pub fn at(url: &str) -> Self {
        static TESTS: AtomicU32 = AtomicU32::new(0);
        // The stack's Redis keeps its data from one run to the next.
        let pipeline = format!(
            "it-{}-{}",
            std::process::id(),
            TESTS.fetch_add(1, Ordering::Relaxed)
        );
        Self {
            settings: settings(url),
            spec: RedisSpec {
                key: format!("{pipeline}:{{id}}"),
                shape: RedisShape::Hash,
                ttl: None,
            },
            deletes: Deletes::Tombstone,
            horizon: Duration::from_secs(600),
            epoch: 1,
            pipeline,
        }
    }

    pub fn string(mut self) -> Self {
        self.spec.shape = RedisShape::String;
        self
    }

    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.spec.ttl = Some(ttl);
        self
    }

    pub fn horizon(mut self, horizon: Duration) -> Self {
        self.horizon = horizon;
        self
    }

    pub fn epoch(mut self, epoch: u32) -> Self {
        self.epoch = epoch;
        self
    }

    pub fn deletes(mut self, deletes: Deletes) -> Self {
        self.deletes = deletes;
        self
    }

    /// A hub that has checked nothing yet.
    pub fn unchecked(&self) -> Result<Lane, SinkError> {
        let topic = TopicSpec {
            name: "app.app.user_profile".into(),
            format: Format::DebeziumJson,
            key: vec!["id".into()],
            partitions: 8,
            epoch: Epoch::new(self.epoch).expect("an epoch"),
            replication: None,
            partitioner: None,
            reading: Default::default(),
            config: BTreeMap::new(),
            columns: BTreeMap::new(),
            file: "topics/app.app.user_profile.toml".into(),
        };
        let sink = SinkSpec {
            name: "redis".into(),
            kind: SinkKind::Redis(self.spec.clone()),
            deletes: self.deletes,
            horizon: self.horizon,
            workers: 1,
            in_flight: 4,
            batch_documents: 500,
            batch_bytes: 1 << 20,
            linger: Duration::ZERO,
            buffer_bytes: 1 << 24,
            alone_deadline: Duration::from_secs(600),
        };
        let hub = RedisHub::new(&self.spec, &sink, &self.settings, &topic, &self.pipeline)?;
        Ok(Lane {
            hub,
            wish: self.clone(),
        })
    }

    /// A hub as the lane has it after start.
    pub async fn lane(&self) -> Lane {
        let lane = self.unchecked().expect("a hub");
        lane.hub
            .check(&identity(&format!("id-{}", self.epoch), self.epoch))
            .await
            .expect("Redis suits");
        lane
    }
}

// === impl Lane ===

impl Lane {
    /// An empty batch for this hub.
    pub fn rows(&self) -> Rows {
        Rows {
            batch: Batch::new(self.hub.shape()),
            select: Vec::new(),
            prefix: self.wish.spec.key.replace("{id}", ""),
            epoch: Epoch::new(self.wish.epoch).expect("an epoch"),
        }
    }

    pub fn key(&self, id: &str) -> String {
        self.wish.spec.key.replace("{id}", id)
    }

    /// Writes over a connection of its own.
    pub async fn write(&self, rows: &Rows, marks: &[Mark]) -> Result<Vec<Outcome>, SinkError> {
        write(&*self.hub.connect().expect("a connection"), rows, marks).await
    }

    /// Writes one row of one field `x` and says what became of it.
    pub async fn upsert(&self, id: &str, offset: i64, x: &str) -> Outcome {
        let mut rows = self.rows();
        rows.upsert(id, 0, offset, &[("x", x)]);
        self.one(rows).await
    }

    pub async fn delete(&self, id: &str, offset: i64) -> Outcome {
        let mut rows = self.rows();
        rows.delete(id, 0, offset);
        self.one(rows).await
    }

    async fn one(&self, rows: Rows) -> Outcome {
        let mut outcomes = self.write(&rows, &[]).await.expect("Redis takes it");
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    pub async fn row(&self, id: &str) -> StoredRow {
        let keys = [self.key(id)];
        self.hub.rows(&keys).await.expect("Redis answers").remove(0)
    }

    /// Waits until the hub's own connection, which broke when its server ended, is there again.
    pub async fn mended(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(error) = self.hub.rows(&["none"]).await {
            assert!(Instant::now() < deadline, "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The field `x` of a row, whatever its shape.
    pub async fn x(&self, id: &str) -> Option<String> {
        match self.row(id).await.body? {
            StoredBody::Hash(mut fields) => fields.remove("x"),
            StoredBody::Text(json) => {
                let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
                json.get("x")
                    .and_then(|x| x.as_str())
                    .map(|x| x.as_bytes().to_vec())
            }
        }
        .map(|x| String::from_utf8(x).expect("text"))
    }

    pub fn version(&self, offset: i64) -> Version {
        Version::new(Epoch::new(self.wish.epoch).expect("an epoch"), offset).expect("an offset")
    }

    pub fn superseded(&self, by: i64) -> Outcome {
        Outcome::Superseded {
            by: Some(self.version(by)),
        }
    }

    /// Runs one command on this lane's Redis.
    pub fn run<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        super::server::run(&self.wish.settings.url, words)
    }
}

pub async fn write(
    sink: &dyn Sink,
    rows: &Rows,
    marks: &[Mark],
) -> Result<Vec<Outcome>, SinkError> {
    sink.write(&rows.batch, &rows.select, &marks.to_vec()).await
}

// === impl Rows ===

impl Rows {
    pub fn upsert(&mut self, id: &str, partition: i32, offset: i64, fields: &[(&str, &str)]) {
        let origin = self.origin(partition, offset);
        let key = format!("{}{id}", self.prefix);
        let shape = self.batch.shape();
        let mut draft = self.batch.draft();
        draft
            .id(|out| {
                out.extend_from_slice(key.as_bytes());
                Ok::<_, ()>(())
            })
            .expect("an id");
        let at = match shape {
            Shape::Fields => {
                for (name, value) in fields {
                    let field = draft.begin_field(&PackedName::new(name));
                    draft.arena().extend_from_slice(value.as_bytes());
                    draft.end_field(&field);
                }
                draft.commit_fields(origin)
            }
            Shape::Json => {
                let object: BTreeMap<_, _> = fields.iter().copied().collect();
                let start = draft.arena().len();
                serde_json::to_writer(draft.arena(), &object).expect("JSON");
                draft.commit_json(start, origin)
            }
        };
        self.select.push(at);
    }

    pub fn delete(&mut self, id: &str, partition: i32, offset: i64) {
        let origin = self.origin(partition, offset);
        let key = format!("{}{id}", self.prefix);
        let mut draft = self.batch.draft();
        draft
            .id(|out| {
                out.extend_from_slice(key.as_bytes());
                Ok::<_, ()>(())
            })
            .expect("an id");
        self.select.push(draft.commit_delete(origin));
    }

    fn origin(&self, partition: i32, offset: i64) -> Origin {
        Origin {
            position: Position { partition, offset },
            version: Version::new(self.epoch, offset).expect("an offset"),
            record: 0,
            committed_ms: 0,
        }
    }
}
