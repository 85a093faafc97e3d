//! One letter in a line: why and where, and nothing of what its record holds.

use serde::Serialize;

use super::letter::Letter;
use super::text;

/// A letter, without its key and value.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    /// What names it in its topic.
    pub(crate) letter: String,
    pub(crate) time_ms: Option<i64>,
    pub(crate) time: String,
    pub(crate) pipeline: String,
    pub(crate) sink: String,
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
    pub(crate) offset: Option<i64>,
    pub(crate) record_time_ms: Option<i64>,
    /// As text: it is beyond what a double holds exactly.
    pub(crate) version: Option<String>,
    pub(crate) reason: String,
    /// In the sink's words, which may repeat a value.
    pub(crate) detail: String,
    pub(crate) value_bytes: Option<usize>,
    pub(crate) value_omitted_bytes: Option<u64>,
    #[serde(skip)]
    pub(crate) source: String,
}

// === impl Summary ===

impl From<&Letter> for Summary {
    fn from(letter: &Letter) -> Self {
        let about = &letter.about;
        Self {
            letter: letter.at.to_string(),
            time: text::time(about.time_ms),
            source: text::line(&about.source()),
            time_ms: about.time_ms,
            pipeline: about.pipeline.clone(),
            sink: about.sink.clone(),
            topic: about.topic.clone(),
            partition: about.partition,
            offset: about.offset,
            record_time_ms: about.record_time_ms,
            version: about.version.map(|v| v.to_string()),
            reason: about.reason.clone(),
            detail: about.detail.clone(),
            value_bytes: letter.value.as_ref().map(Vec::len),
            value_omitted_bytes: about.omitted,
        }
    }
}
