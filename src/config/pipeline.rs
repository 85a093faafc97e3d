//! `pipelines/*.toml`: which topic goes into which sinks, and as what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::TopicSpec;

/// One pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineSpec {
    /// The file's name without `.toml`.
    pub name: String,
    /// The topic that it reads.
    pub topic: Arc<TopicSpec>,
    /// How a row becomes a document.
    pub document: DocumentSpec,
    /// Its sinks; each is a branch with its own consumer group.
    pub sinks: Vec<SinkSpec>,
    /// How its actors are restarted.
    pub supervise: SuperviseSpec,
    /// The file that it was read from.
    pub file: PathBuf,
}

/// How a row becomes a document. Columns are named as the table names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentSpec {
    /// Column → field name.
    pub rename: BTreeMap<String, String>,
    /// Columns that no document holds.
    pub omit: BTreeSet<String>,
    /// Columns whose values are masked.
    pub mask: BTreeMap<String, Mask>,
    /// What a decimal is in the document.
    pub decimals: Decimals,
}

/// What a decimal is in a document's JSON: the same digits either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decimals {
    /// A string, which every reader keeps exactly.
    #[default]
    String,
    /// A number, which many readers round to 15 digits.
    Number,
}

/// What stands in a document for a masked value. NULL stays NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// `"***"`.
    Redact,
    /// `"***"` and the last four characters, where the value has more than eight.
    Last4,
    /// The SHA-256 of the value's text, in lower-case hex: equal values stay equal.
    Sha256,
}

/// One sink of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct SinkSpec {
    /// The branch's name within the pipeline; the sink's type unless given.
    pub name: String,
    /// What it is.
    pub kind: SinkKind,
    /// What a delete leaves behind.
    pub deletes: Deletes,
    /// How long a tombstone, or a deleted key's version, is kept.
    pub horizon: Duration,
    /// Worker actors, 1 to 64, each on a thread of its own.
    pub workers: usize,
    /// Requests that one worker keeps in flight at the most, 1 to 64.
    pub in_flight: usize,
    /// The most documents in one request.
    pub batch_documents: usize,
    /// The most bytes in one request.
    pub batch_bytes: usize,
    /// How long a document may wait for others to share its request.
    pub linger: Duration,
    /// The most bytes from poll to resolution.
    pub buffer_bytes: usize,
    /// How long a 5xx for one document alone is retried before it is a dead letter.
    pub alone_deadline: Duration,
}

/// The sinks there are.
#[derive(Debug, Clone, PartialEq)]
pub enum SinkKind {
    /// An index behind an alias.
    Elasticsearch(ElasticsearchSpec),
    /// Keys under a prefix.
    Redis(RedisSpec),
}

/// An Elasticsearch sink.
#[derive(Debug, Clone, PartialEq)]
pub struct ElasticsearchSpec {
    /// The alias that readers use; the index behind it is `<alias>-v1`.
    pub index: String,
    /// The mapping's JSON as read from its file; derived from the declared columns where absent.
    pub mapping: Option<serde_json::Value>,
}

/// A Redis sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisSpec {
    /// The key's template, such as `profile:{id}`.
    pub key: String,
    /// What a row becomes.
    pub shape: RedisShape,
    /// How long a row's key lives after its last write; for ever where absent.
    pub ttl: Option<Duration>,
}

/// What a row becomes in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisShape {
    /// A hash of its columns and `_v`, the version.
    Hash,
    /// One string: the document's JSON.
    String,
}

/// What a delete leaves in the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deletes {
    /// A tombstone that keeps the version, behind a filtered alias.
    #[default]
    Tombstone,
    /// Nothing: an older write that comes after a restart of the shard brings the row back.
    Hard,
}

/// How a pipeline's actors are restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuperviseSpec {
    /// Restarts allowed within [`SuperviseSpec::within`]; one more escalates.
    pub max_restarts: u32,
    /// The window.
    pub within: Duration,
}
