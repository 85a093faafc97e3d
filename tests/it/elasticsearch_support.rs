//! What the Elasticsearch tests share: specs, batches, and plain requests to the server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use elasticsearch::http::Method;
use elasticsearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::Transport;
use serde_json::Value;
use twolane::config::{
    ColumnType, Deletes, DocumentSpec, ElasticsearchSettings, ElasticsearchSpec, Format,
    PipelineSpec, SinkKind, SinkSpec, SuperviseSpec, TopicSpec,
};
use twolane::event::{Batch, Epoch, Origin, Position, Shape, Version};
use twolane::sink::elasticsearch::{ElasticsearchHub, ElasticsearchReader};
use twolane::sink::{Outcome, Sink, SinkError, SinkHub, TopicIdentity};

use crate::stack;

/// One test's alias and what is written through it.
pub struct Lane {
    pub alias: String,
    pub settings: ElasticsearchSettings,
    pub mapping: Option<Value>,
    pub columns: Vec<(&'static str, ColumnType)>,
    pub deletes: Deletes,
}

/// One write of a batch: id, version, and the document or a delete.
pub type Put<'a> = (&'a str, Version, Option<&'a str>);

pub fn settings(url: &str) -> ElasticsearchSettings {
    ElasticsearchSettings {
        url: url.to_owned(),
        username: None,
        password: None,
        api_key: None,
        ca_file: None,
        timeout: Duration::from_secs(30),
        search_probe: Duration::ZERO,
    }
}

/// A name that no other test and no earlier run has used.
pub fn fresh(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("it-{name}-{}-{count}", since_1970())
}

pub fn identity() -> TopicIdentity {
    TopicIdentity {
        topic: String::from("app.app.user_profile"),
        topic_id: String::from("AAAA"),
        epoch: 1,
        partitions: 8,
    }
}

pub fn version(epoch: u32, offset: i64) -> Version {
    Version::new(Epoch::new(epoch).unwrap(), offset).unwrap()
}

pub fn batch(puts: &[Put<'_>]) -> Batch {
    let mut batch = Batch::new(Shape::Json);
    for (id, version, json) in puts {
        let origin = Origin {
            position: Position {
                partition: 0,
                offset: version.offset(),
            },
            version: *version,
            record: 0,
            committed_ms: 0,
        };
        let mut draft = batch.draft();
        let put_id = |out: &mut Vec<u8>| -> Result<(), ()> {
            out.extend_from_slice(id.as_bytes());
            Ok(())
        };
        draft.id(put_id).unwrap();
        match json {
            Some(json) => {
                let start = draft.arena().len();
                draft.arena().extend_from_slice(json.as_bytes());
                draft.commit_json(start, origin);
            }
            None => {
                draft.commit_delete(origin);
            }
        }
    }
    batch
}

pub async fn write(sink: &Arc<dyn Sink>, puts: &[Put<'_>]) -> Result<Vec<Outcome>, SinkError> {
    let batch = batch(puts);
    let select: Vec<u32> = (0..).take(puts.len()).collect();
    sink.write(&batch, &select, &[]).await
}

pub fn refused(result: Result<(), SinkError>) -> String {
    match result {
        Err(SinkError::Refused(text)) => text,
        other => panic!("not refused: {other:?}"),
    }
}

pub fn unavailable<T: std::fmt::Debug>(result: Result<T, SinkError>) -> (String, bool) {
    match result {
        Err(SinkError::Unavailable { detail, alarm }) => (detail, alarm),
        other => panic!("not unavailable: {other:?}"),
    }
}

/// Deletes what runs before the last hour left behind: a server takes a thousand shards.
fn sweep(lane: &Lane) {
    let an_hour_ago = since_1970() - 3_600_000_000_000;
    let sweep = async {
        let there = lane.ok(Method::Get, "it-*?filter_path=*.aliases", Value::Null);
        for index in there.await.as_object().unwrap().keys() {
            let made = index.split('-').find_map(|part| part.parse::<u128>().ok());
            if made.is_some_and(|made| made < an_hour_ago) {
                lane.call(Method::Delete, index, Value::Null).await;
            }
        }
    };
    let run = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(sweep);
    };
    // The calling thread is within a runtime, which cannot block.
    std::thread::scope(|scope| scope.spawn(run).join()).unwrap();
}

fn since_1970() -> u128 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    since.as_nanos()
}

// === impl Lane ===

impl Lane {
    /// On the plain instance, under an alias of its own.
    pub fn new(name: &str) -> Self {
        static SWEPT: OnceLock<()> = OnceLock::new();
        let url = stack::plain(&["elasticsearch"])
            .get("ELASTICSEARCH")
            .to_owned();
        let lane = Self::at(name, settings(&url));
        SWEPT.get_or_init(|| sweep(&lane));
        lane
    }

    pub fn at(name: &str, settings: ElasticsearchSettings) -> Self {
        Self {
            alias: fresh(name),
            settings,
            mapping: None,
            columns: Vec::new(),
            deletes: Deletes::Tombstone,
        }
    }

    pub fn index(&self) -> String {
        format!("{}-v1", self.alias)
    }

    pub fn hub(&self) -> ElasticsearchHub {
        let spec = ElasticsearchSpec {
            index: self.alias.clone(),
            mapping: self.mapping.clone(),
        };
        let sink = SinkSpec {
            name: String::from("elasticsearch"),
            kind: SinkKind::Elasticsearch(spec.clone()),
            deletes: self.deletes,
            horizon: Duration::from_secs(7 * 86_400),
            workers: 1,
            in_flight: 2,
            batch_documents: 1_000,
            batch_bytes: 1 << 20,
            linger: Duration::from_millis(5),
            buffer_bytes: 24 << 20,
            alone_deadline: Duration::from_secs(600),
        };
        let columns = self.columns.iter();
        let pipeline = PipelineSpec {
            name: String::from("profiles"),
            topic: Arc::new(TopicSpec {
                name: String::from("app.app.user_profile"),
                format: Format::DebeziumJson,
                key: vec![String::from("id")],
                partitions: 8,
                epoch: Epoch::new(1).unwrap(),
                replication: None,
                partitioner: None,
                reading: Default::default(),
                config: Default::default(),
                columns: columns.map(|(n, c)| ((*n).to_owned(), c.clone())).collect(),
                file: "topics/app.app.user_profile.toml".into(),
            }),
            document: DocumentSpec::default(),
            sinks: vec![sink.clone()],
            supervise: SuperviseSpec {
                max_restarts: 5,
                within: Duration::from_secs(60),
            },
            file: "pipelines/profiles.toml".into(),
        };
        ElasticsearchHub::new(&pipeline, &sink, &spec, &self.settings).unwrap()
    }

    /// A hub whose index is there, and a connection.
    pub async fn open(&self) -> (ElasticsearchHub, Arc<dyn Sink>) {
        let hub = self.hub();
        hub.check(&identity()).await.unwrap();
        let sink = hub.connect().unwrap();
        (hub, sink)
    }

    pub fn reader(&self) -> ElasticsearchReader {
        ElasticsearchReader::new(&self.settings, &self.alias).unwrap()
    }

    /// A plain request; the answer's status and JSON.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let lines = (!body.is_null()).then(|| format!("{body}\n"));
        self.send(method, path, lines).await
    }

    /// The same with a body as it is.
    pub async fn send(&self, method: Method, path: &str, body: Option<String>) -> (u16, Value) {
        let transport = Transport::single_node(&self.settings.url).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let path = format!("/{path}");
        let response = transport
            .send(method, &path, headers, None::<&()>, body, None)
            .await
            .unwrap();
        let status = response.status_code().as_u16();
        let json = response.json().await.unwrap_or(Value::Null);
        (status, json)
    }

    /// The same where nothing but success will do.
    pub async fn ok(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, json) = self.call(method, path, body).await;
        assert!(
            (200..300).contains(&status),
            "{method:?} {path}: {status} {json}"
        );
        json
    }

    /// The ids that a search through the alias finds.
    pub async fn search(&self, query: Value) -> Vec<String> {
        let index = self.index();
        self.ok(Method::Post, &format!("{index}/_refresh"), Value::Null)
            .await;
        let path = format!("{}/_search", self.alias);
        let found = self.ok(Method::Post, &path, query).await;
        let hits = found["hits"]["hits"].as_array().unwrap();
        hits.iter()
            .map(|hit| hit["_id"].as_str().unwrap().to_owned())
            .collect()
    }
}
