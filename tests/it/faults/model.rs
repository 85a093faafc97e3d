//! Random upserts and deletes, and what they must leave in the sinks.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};
use twolane::cli::demo::rng::Rng;

use crate::lane::rig::{self, Rig};

/// A sink, as its readers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    Elasticsearch,
    Redis,
}

/// Both of them.
pub const BOTH: [Sink; 2] = [Sink::Elasticsearch, Sink::Redis];

/// What was sent: of each row its newest `rev`, or that it was deleted.
pub struct Model {
    seed: u64,
    rng: Rng,
    ids: u64,
    rev: i64,
    sent: u64,
    rows: BTreeMap<i64, Option<i64>>,
}

// === impl Model ===

impl Model {
    /// Changes of rows with the ids 0 to `ids` − 1.
    pub fn new(ids: u64) -> Self {
        let seed = UNIX_EPOCH
            .elapsed()
            .map_or(1, |d| u64::from(d.subsec_nanos()));
        Self {
            seed,
            rng: Rng::new(seed),
            ids,
            rev: 0,
            sent: 0,
            rows: BTreeMap::new(),
        }
    }

    /// The highest `rev` so far.
    pub fn rev(&self) -> i64 {
        self.rev
    }

    /// Records sent, nulls included.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends changes, and returns when all are acknowledged.
    pub async fn change(&mut self, rig: &Rig, changes: usize) {
        let mut records = Vec::new();
        for _ in 0..changes {
            let id = i64::try_from(self.rng.below(self.ids)).expect("an id");
            self.rev += 1;
            if self.rng.one_in(6) {
                self.rows.insert(id, None);
                records.push((rig::key(id), Some(rig::deletion(id))));
                records.push((rig::key(id), None));
            } else {
                self.rows.insert(id, Some(self.rev));
                let event = rig::event("u", id, self.rev, "ada");
                records.push((rig::key(id), Some(event)));
            }
        }
        self.sent += records.len() as u64;
        rig.send_all(&records).await;
    }

    /// The rows that are there.
    fn live(&self) -> BTreeMap<i64, i64> {
        let live = self.rows.iter();
        live.filter_map(|(id, rev)| Some((*id, (*rev)?))).collect()
    }

    /// How a sink differs from what was sent; `None` where it does not.
    async fn difference(&self, rig: &Rig, sink: Sink) -> Option<String> {
        let Some(found) = revs(rig, sink).await else {
            return Some(String::from("it does not answer"));
        };
        let expected = self.live();
        let ids = expected.keys().chain(found.keys());
        let differing: BTreeMap<_, _> = ids
            .map(|id| (*id, (expected.get(id), found.get(id))))
            .filter(|(_, (expected, found))| expected != found)
            .collect();
        let (id, (expected, found)) = differing.first_key_value()?;
        Some(format!(
            "{} rows differ; row {id}: expected rev {expected:?}, found {found:?}",
            differing.len()
        ))
    }

    /// Waits until the sinks hold what was sent, and nothing else.
    pub async fn arrives(&self, rig: &Rig, sinks: &[Sink]) {
        let started = std::time::Instant::now();
        for sink in sinks {
            while let Some(why) = self.difference(rig, *sink).await {
                assert!(
                    started.elapsed() < super::RECOVERY,
                    "{sink:?} never held what was sent (seed {}): {why}",
                    self.seed
                );
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    }
}

/// The `rev` of every live row in a sink; `None` while it does not answer.
pub async fn revs(rig: &Rig, sink: Sink) -> Option<BTreeMap<i64, i64>> {
    match sink {
        Sink::Elasticsearch => documents(rig).await,
        Sink::Redis => hashes(rig).await,
    }
}

/// Through the alias, as a search sees them: tombstones are left out by its filter.
async fn documents(rig: &Rig) -> Option<BTreeMap<i64, i64>> {
    let base = format!("{}/{}", rig.elasticsearch, rig.index);
    let client = reqwest::Client::new();
    let refreshed = client.post(format!("{base}/_refresh")).send().await.ok()?;
    refreshed.error_for_status().ok()?;
    let request = client.post(format!("{base}/_search"));
    let request = request.json(&json!({"size": 10_000, "_source": ["rev"]}));
    let answer = request.send().await.ok()?.error_for_status().ok()?;
    let found: Value = answer.json().await.ok()?;
    if found["_shards"]["failed"] != 0 {
        return None;
    }
    let hits = found["hits"]["hits"].as_array()?.iter();
    hits.map(|hit| {
        let id = hit["_id"].as_str()?.parse().ok()?;
        Some((id, hit["_source"]["rev"].as_i64()?))
    })
    .collect()
}

async fn hashes(rig: &Rig) -> Option<BTreeMap<i64, i64>> {
    let client = redis::Client::open(rig.redis.as_str()).ok()?;
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    let mut found = BTreeMap::new();
    let mut cursor = 0_u64;
    let prefix = format!("{}:", rig.prefix);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*"));
        scan.arg("COUNT").arg(2_000);
        let (next, keys): (u64, Vec<String>) = scan.query_async(&mut connection).await.ok()?;
        let ids = |key: &String| key.strip_prefix(&prefix)?.parse::<i64>().ok();
        let ids: Vec<i64> = keys.iter().filter_map(ids).collect();
        if !ids.is_empty() {
            let mut pipe = redis::pipe();
            for id in &ids {
                pipe.hget(format!("{prefix}{id}"), "rev");
            }
            let revs: Vec<Option<i64>> = pipe.query_async(&mut connection).await.ok()?;
            let live = ids.into_iter().zip(revs);
            found.extend(live.filter_map(|(id, rev)| Some((id, rev?))));
        }
        if next == 0 {
            return Some(found);
        }
        cursor = next;
    }
}
