//! The index behind the alias: made where it is missing, compared where it is there.
//!
//! Promises: several processes may check at once and one index comes of it, since index, mapping, mark and
//! alias are made in one request; nothing that exists is changed but by adding (fields, the alias's filter)
//! or by renewing the mark in a higher epoch; whatever contradicts is one sentence with its remedy. An alias
//! is never moved or made for an index that exists without it: somebody took it away, and may be in the
//! middle of putting another index behind it.

use serde_json::{Map, Value, json};

use super::client::{Client, Payload, segment};
use super::failure::{self, ErrorBody};
use super::identity::{Mark, Standing};
use super::mapping::{DELETED, Wanted};
use crate::sink::SinkError;
use elasticsearch::http::Method;

/// Rounds of looking and mending: one to make the index, one to add fields, one to renew the mark, one to
/// mend the alias, and as many again for what other processes do meanwhile.
const ROUNDS: usize = 8;

/// What an index is checked against.
#[derive(Debug)]
pub(super) struct Plan {
    /// The alias.
    pub(super) alias: String,
    /// The index and its mapping as the pipeline wants them.
    pub(super) wanted: Wanted,
    /// The topic's file, for messages.
    pub(super) spec: String,
}

/// The index that was found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its name.
    pub(super) name: String,
    /// The id that the server gave it when it was made.
    pub(super) uuid: String,
    /// Whether this call made it.
    pub(super) made: bool,
}

enum Look {
    Nothing,
    Index {
        name: String,
        uuid: String,
        mappings: Value,
        alias: Value,
    },
}

/// How far an index that may be written is behind the pipeline's spec.
struct Comparison {
    /// Its mark is of a lower epoch.
    raised: bool,
    /// Fields that its mapping lacks.
    missing: Map<String, Value>,
}

/// The filter that hides tombstones.
pub(super) fn filter() -> Value {
    json!({"bool": {"must_not": {"term": {DELETED: true}}}})
}

// === impl Plan ===

impl Plan {
    /// The name of an index that is made: `<alias>-v1`.
    pub(super) fn first(&self) -> String {
        format!("{}-v1", self.alias)
    }

    /// Makes what is missing and compares the rest with `mark`. `may_make` is false where the index was
    /// there before: it does not go away by itself.
    ///
    /// # Errors
    /// [`SinkError::Refused`] with the remedy, [`SinkError::Unavailable`] where it cannot be said.
    pub(super) async fn ensure(
        &self,
        client: &Client,
        mark: &Mark,
        may_make: bool,
    ) -> Result<Found, SinkError> {
        let mut made = false;
        for _ in 0..ROUNDS {
            match self.look(client).await? {
                Look::Nothing if may_make || made => made |= self.make(client, mark).await?,
                Look::Nothing => {
                    return Err(SinkError::Refused(format!(
                        "alias {} and the index behind it are gone, with every row in it: restore a snapshot; or stop the lane, reset this branch's consumer group to the start of the log, and start it, which makes and fills a new index",
                        self.alias
                    )));
                }
                Look::Index {
                    name,
                    uuid,
                    mappings,
                    alias,
                } => {
                    if !self.mend(client, mark, &name, &mappings, &alias).await? {
                        return Ok(Found { name, uuid, made });
                    }
                }
            }
        }
        Err(SinkError::Unavailable {
            detail: format!(
                "alias {} or its index changed at each of {ROUNDS} looks: some other program changes it too",
                self.alias
            ),
            alarm: true,
        })
    }

    /// Compares what is there with `mark` and the pipeline's mapping, and changes nothing.
    ///
    /// # Errors
    /// As [`Plan::ensure`]; refused also where anything would have to be made or renewed.
    pub(super) async fn inspect(&self, client: &Client, mark: &Mark) -> Result<(), SinkError> {
        let alias = &self.alias;
        let Look::Index { name, mappings, .. } = self.look(client).await? else {
            return Err(SinkError::Refused(format!(
                "there is no alias {alias} and no index behind it: run the pipeline, which makes and fills it"
            )));
        };
        let difference = self.compare(mark, &name, &mappings)?;
        if difference.raised || !difference.missing.is_empty() {
            let fields: Vec<&str> = difference.missing.keys().map(String::as_str).collect();
            return Err(SinkError::Refused(format!(
                "index {name} is not brought up to the pipeline's spec yet ({}): run the pipeline, which does that",
                if difference.raised {
                    String::from("another epoch")
                } else {
                    format!("it lacks {}", fields.join(", "))
                }
            )));
        }
        Ok(())
    }

    async fn look(&self, client: &Client) -> Result<Look, SinkError> {
        let first = self.first();
        let alias = &self.alias;
        let there = match self.named(client, alias).await? {
            Some(there) => Some(there),
            None if self.named(client, &first).await?.is_none() => return Ok(Look::Nothing),
            // Another process may have made both between the two questions; it makes them at once.
            None => self.named(client, alias).await?,
        };
        let Some(mut indices) = there else {
            return Err(SinkError::Refused(format!(
                "index {first} exists, but alias {alias} does not: delete the index if it is not needed, or add the alias with POST /_aliases {}",
                json!({"actions": [{"add": self.alias_action(&first)}]})
            )));
        };
        if indices.contains_key(alias) {
            return Err(SinkError::Refused(format!(
                "{alias} is an index, and this sink wants an alias of that name: write to another name, or copy the index to {first} and delete it"
            )));
        }
        let behind: Vec<String> = indices
            .iter()
            .filter(|(_, index)| index["aliases"].get(alias).is_some())
            .map(|(name, _)| name.clone())
            .collect();
        match &behind[..] {
            [name] => {
                let mut index = indices.remove(name).unwrap_or_default();
                Ok(Look::Index {
                    name: name.clone(),
                    uuid: index["settings"]["index"]["uuid"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned(),
                    alias: index["aliases"][alias].take(),
                    mappings: index["mappings"].take(),
                })
            }
            [] => Err(SinkError::Refused(format!(
                "{alias} is neither an alias nor free (a data stream?): write to another name"
            ))),
            several => Err(SinkError::Refused(format!(
                "alias {alias} points to several indices ({}): take it off all but the one that holds this topic's rows",
                several.join(", ")
            ))),
        }
    }

    /// The indices under a name, or `None` where the server says that there are none. It says so only to who
    /// may know; `ignore_unavailable` would say it to others too.
    async fn named(
        &self,
        client: &Client,
        name: &str,
    ) -> Result<Option<Map<String, Value>>, SinkError> {
        let path = format!(
            "{}?filter_path=*.aliases,*.mappings,*.settings.index.uuid,error,status",
            segment(name)
        );
        let doing = format!("look at {name}");
        let answer = client.send(Method::Get, &path, Payload::Empty).await?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map(Some)
                .map_err(|e| client.garbled(&doing, &e)),
            404 if ErrorBody::read(&answer.body)
                .is_some_and(|e| e.kind == "index_not_found_exception") =>
            {
                Ok(None)
            }
            _ => Err(client.refusal(&answer, &doing)),
        }
    }

    /// Whether this call made the index; where another process was faster, the next look sees it.
    async fn make(&self, client: &Client, mark: &Mark) -> Result<bool, SinkError> {
        let first = self.first();
        let mut mappings = self.wanted.mappings.clone();
        set_mark(&mut mappings, mark);
        let body = json!({
            "settings": self.wanted.settings,
            "mappings": mappings,
            "aliases": {&self.alias: {"filter": filter(), "is_write_index": true}},
        });
        let doing = format!("make index {first}");
        let answer = client
            .send(Method::Put, &segment(&first), Payload::Json(body))
            .await?;
        match answer.status {
            200..=299 => {
                tracing::info!(index = %first, alias = %self.alias, "made the index and its alias");
                Ok(true)
            }
            400 => {
                let error = ErrorBody::read(&answer.body);
                let kind = error.as_ref().map(|e| &*e.kind).unwrap_or_default();
                if matches!(
                    kind,
                    "resource_already_exists_exception" | "invalid_alias_name_exception"
                ) {
                    return Ok(false);
                }
                let why = error.as_ref().map(failure::detail).unwrap_or_default();
                Err(SinkError::Refused(format!(
                    "Elasticsearch does not make index {first} with the pipeline's mapping ({why}): correct the mapping"
                )))
            }
            _ => Err(client.refusal(&answer, &doing)),
        }
    }

    /// Adds what is missing; `false` where nothing was.
    async fn mend(
        &self,
        client: &Client,
        mark: &Mark,
        name: &str,
        mappings: &Value,
        alias: &Value,
    ) -> Result<bool, SinkError> {
        let Comparison { raised, missing } = self.compare(mark, name, mappings)?;
        let filter_there = alias.get("filter");
        if filter_there.is_some_and(|f| *f != filter()) {
            return Err(SinkError::Refused(format!(
                "alias {} has a filter of its own, so readers may see deleted rows: set its filter to {} and give the other filter another alias",
                self.alias,
                filter()
            )));
        }
        let mut update = Map::new();
        if raised {
            if let Some(meta) = mappings.get("_meta") {
                update.insert(String::from("_meta"), meta.clone());
            }
            set_mark(&mut update, mark);
        }
        if !missing.is_empty() {
            update.insert(String::from("properties"), Value::Object(missing));
        }
        if !update.is_empty() {
            self.update_mapping(client, name, update).await?;
            return Ok(true);
        }
        let writable = alias.get("is_write_index") != Some(&Value::Bool(false));
        if filter_there.is_none() || !writable {
            let doing = format!("set the filter of alias {}", self.alias);
            let body = json!({"actions": [{"add": self.alias_action(name)}]});
            client
                .demand(Method::Post, "_aliases", Payload::Json(body), &doing)
                .await?;
            tracing::warn!(index = %name, alias = %self.alias, "the alias lacked its filter or was not writable; mended");
            return Ok(true);
        }
        Ok(false)
    }

    /// # Errors
    /// [`SinkError::Refused`] where the index is another topic's, or its mapping contradicts.
    fn compare(&self, mark: &Mark, name: &str, mappings: &Value) -> Result<Comparison, SinkError> {
        let Some(there) = Mark::read(mappings) else {
            return Err(SinkError::Refused(format!(
                "index {name} behind alias {} was not made by twolane (its mapping has no _meta.twolane): write to another name, or delete it",
                self.alias
            )));
        };
        let raised = match there.standing(mark, name, &self.spec) {
            Standing::Same => false,
            Standing::Raised => true,
            Standing::Refused(why) => return Err(SinkError::Refused(why)),
        };
        let difference = self.wanted.difference(mappings);
        if !difference.contradictions.is_empty() {
            return Err(SinkError::Refused(format!(
                "the mapping of index {name} disagrees with the pipeline's: {}; set the pipeline's mapping back, or write to a new name and fill it by a backfill",
                difference.contradictions.join(", ")
            )));
        }
        Ok(Comparison {
            raised,
            missing: difference.missing,
        })
    }

    async fn update_mapping(
        &self,
        client: &Client,
        name: &str,
        update: Map<String, Value>,
    ) -> Result<(), SinkError> {
        let fields = update.get("properties").and_then(Value::as_object);
        let fields: Vec<_> = fields
            .map(|f| f.keys().cloned().collect())
            .unwrap_or_default();
        let path = format!("{}/_mapping", segment(name));
        let answer = client
            .send(Method::Put, &path, Payload::Json(Value::Object(update)))
            .await?;
        match answer.status {
            200..=299 => {
                tracing::warn!(
                    index = %name,
                    fields = %fields.join(","),
                    "updated the mapping; rows written before are not found through new fields until they are written again"
                );
                Ok(())
            }
            400 => {
                let why = ErrorBody::read(&answer.body).map(|e| failure::detail(&e));
                Err(SinkError::Refused(format!(
                    "Elasticsearch does not add the pipeline's fields {} to index {name} ({}): correct the mapping, or write to a new name and fill it by a backfill",
                    fields.join(", "),
                    why.unwrap_or_default()
                )))
            }
            _ => Err(client.refusal(&answer, &format!("update the mapping of index {name}"))),
        }
    }

    fn alias_action(&self, index: &str) -> Value {
        json!({"index": index, "alias": self.alias, "filter": filter(), "is_write_index": true})
    }
}

fn set_mark(mappings: &mut Map<String, Value>, mark: &Mark) {
    let meta = mappings.entry("_meta").or_insert_with(|| json!({}));
    if !meta.is_object() {
        *meta = json!({});
    }
    meta["twolane"] = json!(mark);
}
