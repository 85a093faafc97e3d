//! The sinks as their readers see them: documents by id, hashes by key, and what is live in each.
//!
//! It only reads, by ways of its own: a plain HTTP client and HGETALL, nothing of the lane's sinks.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, IntoConnectionInfo as _};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::compare::{Document, Hash};
use super::http::Http;
use crate::config::{PipelineSpec, RedisShape, Settings, SinkKind};

/// The field that marks a document as a tombstone.
const TOMBSTONE_FIELD: &str = "_deleted";
/// Ids in one page of a walk through everything live.
const PAGE: usize = 5_000;
/// How long Redis may take for one pipeline of reads.
const REDIS_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// Both sinks of a pipeline.
#[derive(Debug, Clone)]
pub struct Stores {
    /// Elasticsearch.
    pub documents: Documents,
    /// Redis.
    pub hashes: Hashes,
}

/// An index behind an alias.
#[derive(Debug, Clone)]
pub struct Documents {
    http: Http,
    /// The alias.
    pub alias: Arc<str>,
}

/// The hashes under a key template with `{id}` in it.
#[derive(Debug, Clone)]
pub struct Hashes {
    connection: MultiplexedConnection,
    before: Arc<str>,
    after: Arc<str>,
}

#[derive(Deserialize)]
struct Mget {
    docs: Vec<Got>,
}

#[derive(Deserialize)]
struct Got {
    #[serde(default)]
    error: Option<Value>,
    #[serde(rename = "_source", default)]
    source: Option<Document>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(rename = "_scroll_id")]
    scroll: String,
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
}

// === impl Stores ===

impl Stores {
    /// Both sinks of the demo's pipeline.
    ///
    /// # Errors
    /// Where the pipeline has not one sink of each kind, hashes in Redis and `{id}` as their key's only
    /// column, or where a server cannot be reached.
    pub async fn open(settings: &Settings, pipeline: &PipelineSpec) -> anyhow::Result<Self> {
        let (mut documents, mut hashes) = (None, None);
        for sink in &pipeline.sinks {
            match &sink.kind {
                SinkKind::Elasticsearch(spec) => {
                    documents = Some(Documents {
                        http: Http::elasticsearch(&settings.elasticsearch)?,
                        alias: spec.index.as_str().into(),
                    });
                }
                SinkKind::Redis(spec) => {
                    ensure!(
                        spec.shape == RedisShape::Hash,
                        "{}: the demo compares hashes: set shape = \"hash\"",
                        pipeline.file.display()
                    );
                    hashes = Some(Hashes::open(settings, &spec.key).await?);
                }
            }
        }
        match (documents, hashes) {
            (Some(documents), Some(hashes)) => Ok(Self { documents, hashes }),
            _ => bail!(
                "{}: the demo needs an elasticsearch sink and a redis sink",
                pipeline.file.display()
            ),
        }
    }
}

// === impl Documents ===

impl Documents {
    /// The live documents with these ids, in their order. A read by id sees a write at once, before any
    /// refresh, and passes by the alias's filter: tombstones are left out here.
    ///
    /// # Errors
    /// Where Elasticsearch fails.
    pub async fn get(&self, ids: &[String]) -> anyhow::Result<Vec<Option<Document>>> {
        let answer: Mget = self
            .http
            .post(&format!("/{}/_mget", self.alias), &json!({ "ids": ids }))
            .await?;
        ensure!(
            answer.docs.len() == ids.len(),
            "_mget answered for {} of {} ids",
            answer.docs.len(),
            ids.len()
        );
        let live = answer.docs.into_iter().map(|got| match got.error {
            Some(error) => bail!("_mget of the alias {} failed: {error}", self.alias),
            None => Ok(got.source.filter(|s| !s.contains_key(TOMBSTONE_FIELD))),
        });
        live.collect()
    }

    /// The `rev` that the document shows; `None` where there is no live document.
    ///
    /// # Errors
    /// Where Elasticsearch fails.
    pub async fn rev(&self, id: u64) -> anyhow::Result<Option<u64>> {
        let found = self.get(&[id.to_string()]).await?;
        let rev = found.first().and_then(|d| d.as_ref()?.get("rev"));
        Ok(rev.and_then(|raw| raw.get().parse().ok()))
    }

    /// Calls `each` with every id that a search through the alias finds.
    ///
    /// # Errors
    /// Where Elasticsearch fails.
    pub async fn walk(&self, mut each: impl FnMut(&str)) -> anyhow::Result<()> {
        self.refresh(&self.alias).await?;
        let query = json!({ "size": PAGE, "sort": ["_doc"], "_source": false });
        let mut page: Page = self
            .http
            .post(&format!("/{}/_search?scroll=1m", self.alias), &query)
            .await?;
        while !page.hits.hits.is_empty() {
            for hit in &page.hits.hits {
                each(&hit.id);
            }
            let next = json!({ "scroll": "1m", "scroll_id": page.scroll });
            page = self.http.post("/_search/scroll", &next).await?;
        }
        Ok(())
    }

    /// Lets searches see what was written so far.
    async fn refresh(&self, name: &str) -> anyhow::Result<()> {
        let path = format!("/{name}/_refresh");
        let _: Value = self.http.request(Method::POST, &path, None).await?;
        Ok(())
    }

    /// How many tombstones lie in the index behind the alias.
    ///
    /// # Errors
    /// Where Elasticsearch fails.
    pub async fn tombstones(&self) -> anyhow::Result<u64> {
        let behind: Value = self.http.get(&format!("/_alias/{}", self.alias)).await?;
        let mut count = 0;
        for index in behind.as_object().into_iter().flat_map(|o| o.keys()) {
            let query = json!({ "query": { "term": { TOMBSTONE_FIELD: true } } });
            self.refresh(index).await?;
            let answer: Value = self.http.post(&format!("/{index}/_count"), &query).await?;
            count += answer["count"].as_u64().context("_count gave no count")?;
        }
        Ok(count)
    }
}

// === impl Hashes ===

impl Hashes {
    async fn open(settings: &Settings, template: &str) -> anyhow::Result<Self> {
        let (before, after) = template
            .split_once("{id}")
            .filter(|(before, after)| !format!("{before}{after}").contains(['{', '}']))
            .with_context(|| {
                format!("the demo needs a key template with {{id}} alone, not '{template}'")
            })?;
        let settings = &settings.redis;
        let info = settings
            .url
            .as_str()
            .into_connection_info()
            .context("the address of Redis is not redis://host:port/db")?;
        let mut login = info.redis_settings().clone();
        if let Some(user) = &settings.username {
            login = login.set_username(user);
        }
        if let Some(password) = &settings.password {
            login = login.set_password(password.expose());
        }
        let info = info.set_redis_settings(login);
        let root_cert =
            match &settings.ca_file {
                None => None,
                Some(file) => Some(std::fs::read(file).with_context(|| {
                    format!("cannot read the authority's file {}", file.display())
                })?),
            };
        let client = if root_cert.is_some() {
            let certificates = redis::TlsCertificates {
                client_tls: None,
                root_cert,
            };
            redis::Client::build_with_tls(info, certificates)
        } else {
            redis::Client::open(info)
        };
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(REDIS_TIMEOUT));
        let connection = client
            .context("the settings of Redis make no client")?
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .with_context(|| format!("cannot connect to Redis at {}", settings.url))?;
        Ok(Self {
            connection,
            before: before.into(),
            after: after.into(),
        })
    }

    /// The key of a row.
    pub fn key(&self, id: &str) -> String {
        format!("{}{id}{}", self.before, self.after)
    }

    /// The live hashes of these rows, in their order.
    ///
    /// # Errors
    /// Where Redis fails, or holds something other than a hash there.
    pub async fn get(&self, ids: &[String]) -> anyhow::Result<Vec<Option<Hash>>> {
        let mut pipe = redis::pipe();
        for id in ids {
            pipe.hgetall(self.key(id));
        }
        let found: Vec<Hash> = pipe
            .query_async(&mut self.connection.clone())
            .await
            .context("HGETALL failed")?;
        Ok(found
            .into_iter()
            .map(|hash| is_live(hash.keys()).then_some(hash))
            .collect())
    }

    /// The `rev` that the hash shows; `None` where there is no live hash.
    ///
    /// # Errors
    /// Where Redis fails.
    pub async fn rev(&self, id: u64) -> anyhow::Result<Option<u64>> {
        let key = self.key(&id.to_string());
        redis::cmd("HGET")
            .arg(key)
            .arg("rev")
            .query_async(&mut self.connection.clone())
            .await
            .context("HGET failed")
    }

    /// Calls `each` with every id that has a live hash; an id may come twice. Those that `known` knows are
    /// not looked into.
    ///
    /// # Errors
    /// Where Redis fails.
    pub async fn walk(
        &self,
        known: impl Fn(&str) -> bool,
        mut each: impl FnMut(&str),
    ) -> anyhow::Result<()> {
        let mut connection = self.connection.clone();
        let pattern = format!("{}*{}", glob(&self.before), glob(&self.after));
        let mut cursor = 0_u64;
        loop {
            let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(PAGE)
                .query_async(&mut connection)
                .await
                .context("SCAN failed")?;
            for key in keys {
                let id = key
                    .strip_prefix(&*self.before)
                    .and_then(|rest| rest.strip_suffix(&*self.after));
                let Some(id) = id.filter(|id| !known(id)) else {
                    continue;
                };
                let kind: String = redis::cmd("TYPE")
                    .arg(&key)
                    .query_async(&mut connection)
                    .await?;
                if kind == "hash" {
                    let fields: Vec<String> = redis::cmd("HKEYS")
                        .arg(&key)
                        .query_async(&mut connection)
                        .await?;
                    if is_live(fields.iter()) {
                        each(id);
                    }
                }
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}

/// What is left of a deleted row has only fields of the lane's own, such as `_v`.
fn is_live<'a>(mut fields: impl Iterator<Item = &'a String>) -> bool {
    fields.any(|field| !field.starts_with('_'))
}

/// Text that a glob pattern takes literally.
fn glob(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_with_a_version_alone_is_a_deleted_row() {
        let live = |fields: &[&str]| {
            is_live(
                fields
                    .iter()
                    .map(|f| (*f).to_owned())
                    .collect::<Vec<_>>()
                    .iter(),
            )
        };
        assert!(live(&["_v", "id"]));
        assert!(!live(&["_v"]));
        assert!(!live(&[]));
    }

    #[test]
    fn a_template_is_matched_literally() {
        assert_eq!(glob("a[1]*:"), r"a\[1\]\*:");
    }
}
