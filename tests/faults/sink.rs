//! What the sinks hold, seen from beside the lane.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

/// A sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sink {
    Elasticsearch,
    Redis,
}

/// What a sink has of a row: its version, and its `rev` unless it was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub version: u64,
    pub rev: Option<i64>,
}

pub type Rows = BTreeMap<i64, Held>;

/// How long a sink may take to answer: one that is stopped must not stop who looks.
const TIMEOUT: Duration = Duration::from_secs(3);

// === impl Sink ===

impl Sink {
    /// The branch's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Elasticsearch => "elasticsearch",
            Self::Redis => "redis",
        }
    }
}

/// The live rows, and their `rev`.
pub fn live(rows: &Rows) -> BTreeMap<i64, i64> {
    let live = rows.iter().filter_map(|(id, held)| Some((*id, held.rev?)));
    live.collect()
}

/// Every document of an index, tombstones included, after a refresh; `None` while it does not answer.
pub async fn documents(client: &reqwest::Client, url: &str, index: &str) -> Option<Rows> {
    let base = format!("{url}/{index}");
    let refresh = client.post(format!("{base}/_refresh")).timeout(TIMEOUT);
    refresh.send().await.ok()?.error_for_status().ok()?;
    let query = json!({"size": 10_000, "version": true, "_source": ["rev", "_deleted"]});
    let request = client.post(format!("{base}/_search")).timeout(TIMEOUT);
    let answer = request.json(&query).send().await.ok()?;
    let found: Value = answer.error_for_status().ok()?.json().await.ok()?;
    if found["_shards"]["failed"] != 0 {
        return None;
    }
    let hits = found["hits"]["hits"].as_array()?.iter();
    hits.map(|hit| {
        let held = Held {
            version: hit["_version"].as_u64()?,
            rev: match hit["_source"]["_deleted"].as_bool() {
                Some(true) => None,
                Some(false) | None => Some(hit["_source"]["rev"].as_i64()?),
            },
        };
        Some((hit["_id"].as_str()?.parse().ok()?, held))
    })
    .collect()
}

/// The hashes of the rows 0 to `ids` − 1 at one moment, deleted ones with the version that is kept beside them;
/// `None` while it does not answer.
pub async fn hashes(url: &str, prefix: &str, ids: i64) -> Option<Rows> {
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(Some(TIMEOUT));
    let client = redis::Client::open(url).ok()?;
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    let mut connection = connection.await.ok()?;
    let mut pipe = redis::pipe();
    pipe.atomic();
    for id in 0..ids {
        let key = format!("{prefix}:{id}");
        pipe.hget(&key, "_v");
        pipe.hget(&key, "rev");
        pipe.get(format!("{key}:_v"));
    }
    let found: Vec<Option<String>> = pipe.query_async(&mut connection).await.ok()?;
    let mut rows = Rows::new();
    for (id, held) in (0..ids).zip(found.chunks_exact(3)) {
        let number = |text: &Option<String>| text.as_ref()?.parse::<u64>().ok();
        let (inside, beside) = (number(&held[0]), number(&held[2]));
        if let Some(version) = inside.max(beside) {
            let rev = held[1].as_ref().and_then(|rev| rev.parse().ok());
            rows.insert(id, Held { version, rev });
        }
    }
    Some(rows)
}
