//! Reading an index back, rows and tombstones alike, for comparing it with the table.
//!
//! It reads by id and past the alias's filter; it is not how an application reads (see the alias).

use std::borrow::Cow;

use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::client::{Client, Payload, segment};
use crate::config::ElasticsearchSettings;
use crate::event::Version;
use crate::sink::SinkError;

/// Documents in one page of an export: with rows of 1 kB, some 2 MB in memory at a time.
const PAGE: usize = 2_000;
/// How long the server keeps an export's place between two pages.
const KEEP: &str = "1m";

/// Reads the index behind one alias.
#[derive(Debug)]
pub struct ElasticsearchReader {
    client: Client,
    alias: String,
}

/// One document, row or tombstone.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    /// Its id.
    pub id: Cow<'a, str>,
    /// Its version.
    pub version: Version,
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Its JSON.
    pub source: Cow<'a, RawValue>,
}

#[derive(Deserialize)]
struct Got {
    #[serde(default)]
    found: bool,
    #[serde(rename = "_version", default)]
    version: u64,
    #[serde(rename = "_source")]
    source: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, rename = "_scroll_id")]
    scroll: Cow<'a, str>,
    #[serde(borrow)]
    hits: Hits<'a>,
}

#[derive(Deserialize)]
struct Hits<'a> {
    #[serde(borrow)]
    hits: Vec<Hit<'a>>,
}

#[derive(Deserialize)]
struct Hit<'a> {
    #[serde(borrow, rename = "_id")]
    id: Cow<'a, str>,
    #[serde(rename = "_version")]
    version: u64,
    #[serde(borrow, rename = "_source")]
    source: &'a RawValue,
}

#[derive(Deserialize)]
struct Deleted {
    #[serde(rename = "_deleted", default)]
    deleted: Option<bool>,
}

// === impl ElasticsearchReader ===

impl ElasticsearchReader {
    /// A reader bound to the runtime that first uses it.
    ///
    /// # Errors
    /// [`SinkError::Refused`] naming the setting that cannot be used.
    pub fn new(settings: &ElasticsearchSettings, alias: &str) -> Result<Self, SinkError> {
        Ok(Self {
            client: Client::new(settings)?,
            alias: alias.to_owned(),
        })
    }

    /// The newest state of one document, also before a refresh; `None` where there is none.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`].
    pub async fn get(&self, id: &str) -> Result<Option<Document<'static>>, SinkError> {
        let doing = format!("read a document through {}", self.alias);
        let path = format!(
            "{}/_doc/{}?filter_path=found,_version,_source,error,status",
            segment(&self.alias),
            segment(id)
        );
        let answer = self.client.send(Method::Get, &path, Payload::Empty).await?;
        let got: Result<Got, _> = serde_json::from_slice(&answer.body);
        match (answer.status, got) {
            (200, Ok(got)) => Ok(got.source.filter(|_| got.found).map(|source| Document {
                id: Cow::Owned(id.to_owned()),
                version: Version::from_raw(got.version),
                deleted: is_deleted(&source),
                source: Cow::Owned(source),
            })),
            // A missing document is a 404 without an error; a missing alias has one.
            (404, Ok(_)) if !answer.body.starts_with(b"{\"error\"") => Ok(None),
            (200, Err(e)) => Err(self.client.garbled(&doing, &e)),
            (_, _) => Err(self.client.refusal(&answer, &doing)),
        }
    }

    /// Every document of the index behind the alias as of one moment, each given to `each`; gives back how
    /// many there were.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`]; `each` may have been called by then.
    pub async fn export(&self, mut each: impl FnMut(Document<'_>)) -> Result<u64, SinkError> {
        let doing = format!("read the index behind {}", self.alias);
        let index = self.index(&doing).await?;
        let refresh = format!("{}/_refresh", segment(&index));
        self.client
            .demand(Method::Post, &refresh, Payload::Empty, &doing)
            .await?;
        let first = format!("{}/_search?scroll={KEEP}", segment(&index));
        let query = json!({"size": PAGE, "version": true, "sort": ["_doc"]});
        let mut body = self
            .client
            .demand(Method::Post, &first, Payload::Json(query), &doing)
            .await?;
        let mut count = 0;
        loop {
            let page: Page<'_> =
                serde_json::from_slice(&body).map_err(|e| self.client.garbled(&doing, &e))?;
            let scroll = json!({"scroll_id": page.scroll});
            if page.hits.hits.is_empty() {
                self.client
                    .demand(
                        Method::Delete,
                        "_search/scroll",
                        Payload::Json(scroll),
                        &doing,
                    )
                    .await?;
                return Ok(count);
            }
            for hit in page.hits.hits {
                count += 1;
                each(Document {
                    id: hit.id,
                    version: Version::from_raw(hit.version),
                    deleted: is_deleted(hit.source),
                    source: Cow::Borrowed(hit.source),
                });
            }
            let mut next = scroll;
            next["scroll"] = json!(KEEP);
            body = self
                .client
                .demand(Method::Post, "_search/scroll", Payload::Json(next), &doing)
                .await?;
        }
    }

    /// The one index behind the alias: a search through the alias would miss the tombstones.
    async fn index(&self, doing: &str) -> Result<String, SinkError> {
        let path = format!("_alias/{}", segment(&self.alias));
        let body = self
            .client
            .demand(Method::Get, &path, Payload::Empty, doing)
            .await?;
        let indices: Map<String, Value> =
            serde_json::from_slice(&body).map_err(|e| self.client.garbled(doing, &e))?;
        let mut names = indices.into_iter().map(|(name, _)| name);
        match (names.next(), names.next()) {
            (Some(name), None) => Ok(name),
            (_, _) => Err(SinkError::Refused(format!(
                "alias {} does not point to exactly one index",
                self.alias
            ))),
        }
    }
}

fn is_deleted(source: &RawValue) -> bool {
    serde_json::from_str::<Deleted>(source.get()).is_ok_and(|d| d.deleted == Some(true))
}
