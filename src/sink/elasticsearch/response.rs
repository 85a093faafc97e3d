//! Reading the answer to a bulk request: the items in their order, without a tree and, for items that were
//! applied, without an allocation.
//!
//! Promises: an answer that is cut off, is no JSON, or has another number of items than the request is an
//! error, and then nothing is said of any item. It never looks at the `errors` flag: every item is judged by
//! its own status.

use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::failure::{ErrorBody, Op};

/// One item of the answer.
#[derive(Debug)]
pub(super) struct Item<'a> {
    /// What the operation was.
    pub(super) op: Op,
    /// Its own HTTP status.
    pub(super) status: u16,
    /// What went wrong.
    pub(super) error: Option<ErrorBody<'a>>,
}

/// Calls `each` for every item of `body` and gives back how many there were.
///
/// # Errors
/// Where the body is not a whole bulk answer; items that came before may have been given to `each`.
pub(super) fn items<'a>(
    body: &'a [u8],
    each: impl FnMut(Item<'a>),
) -> Result<usize, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let found = json.deserialize_map(Answer { each })?;
    json.end()?;
    found.ok_or_else(|| serde_json::Error::custom("no items"))
}

/// As a sink reads an answer, for who measures it: the number of its items; `None` where it is none.
pub fn bulk_answer(body: &[u8]) -> Option<usize> {
    items(body, drop).ok()
}

struct Answer<F> {
    each: F,
}

struct Items<'f, F> {
    each: &'f mut F,
}

/// `{"index": {…}}` or `{"delete": {…}}`.
struct Entry<'a>(Item<'a>);

#[derive(Deserialize)]
struct Result_<'a> {
    status: u16,
    #[serde(borrow, default)]
    error: Option<ErrorBody<'a>>,
}

impl<'a, F: FnMut(Item<'a>)> Visitor<'a> for Answer<F> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer to a bulk request")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut count = None;
        while let Some(key) = map.next_key::<&str>()? {
            if key == "items" && count.is_none() {
                count = Some(map.next_value_seed(Items {
                    each: &mut self.each,
                })?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(count)
    }
}

impl<'a, F: FnMut(Item<'a>)> DeserializeSeed<'a> for Items<'_, F> {
    type Value = usize;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a, F: FnMut(Item<'a>)> Visitor<'a> for Items<'_, F> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the items of a bulk answer")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(Entry(item)) = seq.next_element()? {
            (self.each)(item);
            count += 1;
        }
        Ok(count)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneKey;
        impl<'de> Visitor<'de> for OneKey {
            type Value = Entry<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an operation's result")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry<'de>, A::Error> {
                let op = match map.next_key::<&str>()? {
                    Some("index") => Op::Index,
                    Some("delete") => Op::Delete,
                    Some(_) | None => return Err(A::Error::custom("neither index nor delete")),
                };
                let Result_ { status, error } = map.next_value()?;
                if map.next_key::<&str>()?.is_some() {
                    return Err(A::Error::custom("two operations in one item"));
                }
                Ok(Entry(Item { op, status, error }))
            }
        }
        deserializer.deserialize_map(OneKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from Elasticsearch 8.19.0.
    const MIXED: &str = r#"{"errors":true,"items":[{"index":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"[1]: version conflict, current version [9007199254740993] is higher or equal to the one provided [9007199254740993]","index_uuid":"CO5BhGD5TBW6MnVH-bwXUg","shard":"0","index":"p-v1"}}},{"index":{"status":400,"error":{"type":"document_parsing_exception","reason":"[1:6] failed to parse field [l] of type [long] in document with id '2'. Preview of field's value: 'zzsecret'","caused_by":{"type":"illegal_argument_exception","reason":"For input string: \"zzsecret\""}}}},{"delete":{"status":404}},{"index":{"status":201}}]}"#;

    fn read(body: &str) -> Result<Vec<(Op, u16, Option<String>)>, serde_json::Error> {
        let mut seen = Vec::new();
        let count = items(body.as_bytes(), |item| {
            seen.push((
                item.op,
                item.status,
                item.error.map(|e| e.kind.into_owned()),
            ));
        })?;
        assert_eq!(count, seen.len());
        Ok(seen)
    }

    #[test]
    fn items_come_in_order_with_their_own_status_and_error() {
        let parsing = Some(String::from("document_parsing_exception"));
        let conflict = Some(String::from("version_conflict_engine_exception"));
        assert_eq!(
            read(MIXED).unwrap(),
            [
                (Op::Index, 409, conflict),
                (Op::Index, 400, parsing),
                (Op::Delete, 404, None),
                (Op::Index, 201, None),
            ]
        );
    }

    #[test]
    fn an_unfiltered_answer_reads_the_same() {
        let body = r#"{"took":3,"errors":false,"items":[{"index":{"_index":"p-v1","_id":"1","_version":5,"result":"created","_shards":{"total":2,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1,"status":201}}]}"#;
        assert_eq!(read(body).unwrap(), [(Op::Index, 201, None)]);
    }

    #[test]
    fn an_answer_cut_anywhere_is_an_error() {
        for end in 0..MIXED.len() {
            assert!(read(&MIXED[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn what_is_no_bulk_answer_is_an_error() {
        for body in [
            "<html><body>Bad gateway</body></html>",
            "{}",
            "[]",
            "null",
            r#"{"errors":false}"#,
            r#"{"errors":false,"items":null}"#,
            r#"{"items":[{}]}"#,
            r#"{"items":[{"create":{"status":201}}]}"#,
            r#"{"items":[{"index":{}}]}"#,
            r#"{"items":[{"index":{"status":201},"delete":{"status":200}}]}"#,
            r#"{"items":[]}{"items":[]}"#,
        ] {
            assert!(read(body).is_err(), "{body}");
        }
    }
}
