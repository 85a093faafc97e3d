//! Reading rows back, for comparing them with their source.

use std::collections::BTreeMap;

use ::redis::{Pipeline, Value};

use super::RedisHub;
use super::check::unexpected;
use super::encode::SIBLING;
use super::markers::{PREFIX, one};
use crate::config::RedisShape;
use crate::event::Version;
use crate::sink::SinkError;

/// Keys asked for in one pipeline: enough to make the round trip cheap, and few enough to keep memory flat.
const KEYS_AT_ONCE: usize = 500;

/// What Redis holds under a row's key and its sibling.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredRow {
    /// The row, unless it is not there.
    pub body: Option<StoredBody>,
    /// The version of the row, or of its delete.
    pub version: Option<Version>,
}

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredBody {
    /// A hash's fields, without `_v`.
    Hash(BTreeMap<String, Vec<u8>>),
    /// A string's bytes.
    Text(Vec<u8>),
}

// === impl RedisHub ===

impl RedisHub {
    /// What is stored under these keys, in their order.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] where it cannot be read, also where a key holds another type.
    pub async fn rows<K: AsRef<str>>(&self, keys: &[K]) -> Result<Vec<StoredRow>, SinkError> {
        let doing = "reading rows from Redis";
        let get = match self.shape {
            RedisShape::Hash => "HGETALL",
            RedisShape::String => "GET",
        };
        let wire = self.link.wire().await?;
        let mut rows = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_AT_ONCE) {
            let mut pipeline = Pipeline::with_capacity(2 * keys.len());
            for key in keys {
                pipeline.cmd(get).arg(key.as_ref());
                pipeline
                    .cmd("GET")
                    .arg(format!("{}{SIBLING}", key.as_ref()));
            }
            let mut answers = self.link.send(&wire, &pipeline, doing).await?.into_iter();
            while let (Some(row), Some(beside)) = (answers.next(), answers.next()) {
                self.link.unless_refused(&row, doing)?;
                self.link.unless_refused(&beside, doing)?;
                rows.push(stored(row, beside));
            }
        }
        Ok(rows)
    }

    /// Every key that begins with `prefix`, siblings and this program's own keys left out, in no order. Walks
    /// the whole key space.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] where it cannot be read.
    pub async fn scan(&self, prefix: &str) -> Result<Vec<String>, SinkError> {
        let doing = "walking the keys in Redis";
        let wire = self.link.wire().await?;
        let mut pattern = String::new();
        for c in prefix.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '^' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('*');

        let mut keys = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let mut pipeline = Pipeline::new();
            pipeline
                .cmd("SCAN")
                .arg(&cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(1000);
            let answer = one(self.link.send(&wire, &pipeline, doing).await?);
            self.link.unless_refused(&answer, doing)?;
            let Value::Array(parts) = &answer else {
                return Err(unexpected(doing, &answer));
            };
            let (Some(Value::BulkString(next)), Some(Value::Array(found))) =
                (parts.first(), parts.get(1))
            else {
                return Err(unexpected(doing, &answer));
            };
            for key in found {
                if let Value::BulkString(key) = key {
                    let key = String::from_utf8_lossy(key);
                    if !self.is_sibling(&key) && !key.starts_with(PREFIX) {
                        keys.push(key.into_owned());
                    }
                }
            }
            cursor = String::from_utf8_lossy(next).into_owned();
            if cursor == "0" {
                // A walk may give a key twice.
                keys.sort_unstable();
                keys.dedup();
                return Ok(keys);
            }
        }
    }
}

impl RedisHub {
    /// A row whose last value is `_v` may end like a sibling, but values hold no colons, so that it has one
    /// colon less.
    fn is_sibling(&self, key: &str) -> bool {
        key.ends_with(SIBLING) && key.matches(':').count() > self.colons
    }
}

fn stored(row: Value, beside: Value) -> StoredRow {
    let mut version = match beside {
        Value::BulkString(digits) => parse(&digits),
        _ => None,
    };
    let body = match row {
        Value::BulkString(text) => Some(StoredBody::Text(text)),
        Value::Array(items) => {
            let mut fields = BTreeMap::new();
            let there = !items.is_empty();
            let mut items = items.into_iter();
            while let (Some(Value::BulkString(name)), Some(Value::BulkString(value))) =
                (items.next(), items.next())
            {
                if name == b"_v" {
                    version = parse(&value);
                } else {
                    fields.insert(String::from_utf8_lossy(&name).into_owned(), value);
                }
            }
            there.then_some(StoredBody::Hash(fields))
        }
        _ => None,
    };
    StoredRow { body, version }
}

fn parse(digits: &[u8]) -> Option<Version> {
    let digits = std::str::from_utf8(digits).ok()?;
    Some(Version::from_raw(digits.parse().ok()?))
}
