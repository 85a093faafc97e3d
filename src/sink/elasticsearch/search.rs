//! Whether a search shows a document yet.
//!
//! How it is measured. Every [`search_probe`](crate::config::ElasticsearchSettings::search_probe) one document that the
//! server has just acknowledged is looked for by a search, at once and then once a second, until its version or a later
//! one is shown. No refresh is forced: a realtime GET would show what no search does, and `refresh=true` would measure
//! itself. What is found is from the source's commit until the search that showed the document was answered, by this
//! machine's clock.
//!
//! Its error. The document may have been visible since just after the search before, so a value is too high by at most a
//! second and the time of a search, and never too low. It is one document of many, and one shard of an index: the
//! histogram tells of the index as a whole only over many samples. An index that has not been searched for 30 s and has
//! no `refresh_interval` of its own is *search idle*: the server refreshes it when somebody searches, and lets that search
//! wait. There the probe measures what any user would have met at that moment, and causes the refresh just as that
//! user would have.

use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Payload, segment};
use crate::event::Version;
use crate::sink::SinkError;

#[derive(Deserialize)]
struct Search {
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_version")]
    version: u64,
}

/// Whether a search of `index` shows document `id` at `version` or a later one.
///
/// # Errors
/// [`SinkError::Unavailable`].
pub(super) async fn is_shown(
    client: &Client,
    index: &str,
    id: &str,
    version: Version,
) -> Result<bool, SinkError> {
    let doing = format!("search index {index} for one document");
    let path = format!("{}/_search?filter_path=hits.hits._version", segment(index));
    let search = json!({
        "size": 1,
        "_source": false,
        "version": true,
        "track_total_hits": false,
        "query": {"ids": {"values": [id]}},
    });
    let body = client
        .demand(Method::Post, &path, Payload::Json(search), &doing)
        .await?;
    let shown = shown(&body).map_err(|e| client.garbled(&doing, &e))?;
    Ok(shown.is_some_and(|shown| shown >= version))
}

/// With no hit, the filtered answer is `{}`.
fn shown(body: &[u8]) -> Result<Option<Version>, serde_json::Error> {
    if body == b"{}" {
        return Ok(None);
    }
    let search: Search = serde_json::from_slice(body)?;
    let hit = search.hits.hits.first();
    Ok(hit.map(|hit| Version::from_raw(hit.version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_hit_is_what_counts() {
        assert_eq!(shown(b"{}").unwrap(), None);
        let body = br#"{"hits":{"hits":[{"_version":281474976710663}]}}"#;
        assert_eq!(shown(body).unwrap(), Some(Version::from_raw((1 << 48) + 7)));
        assert!(shown(b"{\"hits\":").is_err());
    }
}
