//! Removing tombstones that are past the horizon.
//!
//! Promises: a tombstone is deleted only at its own version (`external_gte`), so a row that came back
//! meanwhile stays. Never delete-by-query: it raises the version, and the next record of that key would
//! collide with it. It relies on nothing older than the horizon being written any more (see rule 11 of
//! replay, and the topic's `delete.retention.ms`).

use std::borrow::Cow;

use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Payload, segment};
use super::mapping::{DELETED, DELETED_AT};
use super::request::action;
use super::response;
use crate::sink::SinkError;

/// Tombstones in one search and one bulk request: some 100 kB each way.
const PAGE: usize = 1_000;
/// Pages in one call, so that a great many tombstones leave the server time for rows in between.
const PAGES: usize = 100;

#[derive(Deserialize)]
struct Search<'a> {
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
    version: i64,
}

/// Deletes the tombstones of `index` that are dated before `before_ms`, in milliseconds since 1970, at most
/// 100,000 in one call; gives back how many.
///
/// # Errors
/// [`SinkError::Unavailable`]; what was deleted by then stays deleted.
pub(super) async fn purge(client: &Client, index: &str, before_ms: i64) -> Result<u64, SinkError> {
    let doing = format!("purge the tombstones of index {index}");
    let search = json!({
        "size": PAGE,
        "_source": false,
        "version": true,
        "track_total_hits": false,
        "sort": ["_doc"],
        "query": {"bool": {"filter": [
            {"term": {DELETED: true}},
            {"range": {DELETED_AT: {"lt": before_ms, "format": "epoch_millis"}}},
        ]}},
    });
    let search_path = format!(
        "{}/_search?filter_path=hits.hits._id,hits.hits._version",
        segment(index)
    );
    // The refresh hides what was deleted from the next page's search.
    let bulk_path = format!(
        "{}/_bulk?refresh=true&filter_path=items.*.status,items.*.error",
        segment(index)
    );
    let mut purged = 0;
    for _ in 0..PAGES {
        let body = client
            .demand(
                Method::Post,
                &search_path,
                Payload::Json(search.clone()),
                &doing,
            )
            .await?;
        let hits = page(&body).map_err(|e| client.garbled(&doing, &e))?;
        if hits.is_empty() {
            break;
        }
        let mut lines = Vec::new();
        for hit in &hits {
            action(&mut lines, b"delete", &hit.id, hit.version, b"external_gte");
        }
        let body = client
            .demand(
                Method::Post,
                &bulk_path,
                Payload::Lines(lines.into()),
                &doing,
            )
            .await?;
        let mut done: u64 = 0;
        let mut settled = 0;
        response::items(&body, |item| match item.status {
            200..=299 => done += 1,
            // Purged by another process, or written again: no tombstone any more.
            404 | 409 => settled += 1,
            _ => {}
        })
        .map_err(|e| client.garbled(&doing, &e))?;
        purged += done;
        if done == 0 && settled == 0 {
            return Err(SinkError::Unavailable {
                detail: format!(
                    "Elasticsearch at {} refuses to {doing}: see whether the index is write-blocked",
                    client.address()
                ),
                alarm: false,
            });
        }
        if hits.len() < PAGE {
            break;
        }
    }
    Ok(purged)
}

/// With no hit, the filtered answer is `{}`.
fn page(body: &[u8]) -> Result<Vec<Hit<'_>>, serde_json::Error> {
    if body == b"{}" {
        return Ok(Vec::new());
    }
    let search: Search<'_> = serde_json::from_slice(body)?;
    Ok(search.hits.hits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_versions_and_an_empty_one_is_no_error() {
        let body = br#"{"hits":{"hits":[{"_id":"a\"b","_version":9007199254740993}]}}"#;
        let hits = page(body).unwrap();
        assert_eq!(
            (&*hits[0].id, hits[0].version),
            ("a\"b", 9_007_199_254_740_993)
        );
        assert!(page(b"{}").unwrap().is_empty());
        assert!(page(b"{\"hits\"").is_err());
    }
}
