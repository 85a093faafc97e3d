//! To which topic an index belongs: kept in the mapping's `_meta.twolane`, and compared at every check.
//!
//! Promises: two incarnations of a topic never write versions of one epoch into one index. It relies on
//! nobody else writing `_meta.twolane`. Elasticsearch offers no compare-and-set on a mapping, so of two
//! processes that raise the epoch at the same moment both succeed; they raise it to the same topic id, or
//! the next check of one of them refuses.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sink::TopicIdentity;

/// What `_meta.twolane` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The topic's name.
    pub(super) topic: String,
    /// The id that the broker gave it.
    pub(super) topic_id: String,
    /// The spec's epoch.
    pub(super) epoch: u16,
    /// Its number of partitions.
    pub(super) partitions: i32,
    /// The pipeline that fills the index.
    pub(super) pipeline: String,
}

/// How an index stands to the topic that is to be written into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is this topic's.
    Same,
    /// It was this topic's in a lower epoch: the mark is to be renewed, and every version grows.
    Raised,
    /// It is not to be written: why, and what to do.
    Refused(String),
}

// === impl Mark ===

impl Mark {
    pub(super) fn new(identity: &TopicIdentity, pipeline: &str) -> Self {
        Self {
            topic: identity.topic.clone(),
            topic_id: identity.topic_id.clone(),
            epoch: identity.epoch,
            partitions: identity.partitions,
            pipeline: pipeline.to_owned(),
        }
    }

    /// Reads `_meta.twolane` of `mappings`; `None` where there is none, or another thing under that name.
    pub(super) fn read(mappings: &Value) -> Option<Self> {
        let mark = mappings.get("_meta")?.get("twolane")?;
        Self::deserialize(mark).ok()
    }

    /// How an index with this mark stands to `now`. `index` and `spec` (the topic's file) are for messages.
    pub(super) fn standing(&self, now: &Mark, index: &str, spec: &str) -> Standing {
        let topic = &now.topic;
        let refused = if self.topic != *topic {
            format!(
                "index {index} belongs to topic {}, not to {topic}: give this pipeline an index of its own",
                self.topic
            )
        } else if self.pipeline != now.pipeline {
            format!(
                "index {index} is filled by pipeline {}, not by {}: give this pipeline an index of its own; if it was only renamed, set _meta.twolane.pipeline of the index's mapping to its new name",
                self.pipeline, now.pipeline
            )
        } else if self.topic_id == now.topic_id {
            if self.epoch != now.epoch {
                format!(
                    "index {index} holds topic {topic} (id {}) under epoch {}, and {spec} says {}: set epoch = {} again; it is raised only when the topic is made anew",
                    self.topic_id, self.epoch, now.epoch, self.epoch
                )
            } else if self.partitions != now.partitions {
                format!(
                    "index {index} was filled from {} partitions of topic {topic}, which has {} now, so keys have moved: make a new topic and a new index, and fill it by a backfill",
                    self.partitions, now.partitions
                )
            } else {
                return Standing::Same;
            }
        } else if now.epoch > self.epoch {
            return Standing::Raised;
        } else {
            format!(
                "index {index} holds topic {topic} with id {} under epoch {}, and the topic's id is {} now with epoch {}: the topic was made anew, so raise the epoch in {spec} to {}",
                self.topic_id,
                self.epoch,
                now.topic_id,
                now.epoch,
                self.epoch.saturating_add(1)
            )
        };
        Standing::Refused(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mark(id: &str, epoch: u16) -> Mark {
        Mark {
            topic: String::from("t"),
            topic_id: String::from(id),
            epoch,
            partitions: 8,
            pipeline: String::from("p"),
        }
    }

    fn standing(there: &Mark, now: &Mark) -> Standing {
        there.standing(now, "t-v1", "topics/t.toml")
    }

    fn refusal(there: &Mark, now: &Mark) -> String {
        match standing(there, now) {
            Standing::Refused(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_epoch_belongs_to_one_topic_id() {
        assert_eq!(standing(&mark("a", 3), &mark("a", 3)), Standing::Same);
        assert_eq!(standing(&mark("a", 3), &mark("b", 4)), Standing::Raised);
        for (now, remedy) in [
            (mark("b", 3), "raise the epoch in topics/t.toml to 4"),
            (mark("b", 2), "raise the epoch in topics/t.toml to 4"),
            (mark("a", 4), "set epoch = 3 again"),
            (mark("a", 2), "set epoch = 3 again"),
        ] {
            let text = refusal(&mark("a", 3), &now);
            assert!(text.contains(remedy), "{text}");
        }
    }

    #[test]
    fn another_topic_pipeline_or_partition_count_is_refused_also_in_a_higher_epoch() {
        let there = mark("a", 3);
        let mut topic = mark("b", 4);
        topic.topic = String::from("u");
        assert!(refusal(&there, &topic).contains("an index of its own"));
        let mut pipeline = mark("b", 4);
        pipeline.pipeline = String::from("q");
        assert!(refusal(&there, &pipeline).contains("filled by pipeline p"));
        let mut partitions = mark("a", 3);
        partitions.partitions = 9;
        assert!(refusal(&there, &partitions).contains("backfill"));
        // A topic made anew may have another count: all its versions are higher.
        partitions.topic_id = String::from("b");
        partitions.epoch = 4;
        assert_eq!(standing(&there, &partitions), Standing::Raised);
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let there = mark("a", 3);
        let mappings = json!({"_meta": {"twolane": there, "mine": 1}});
        assert_eq!(Mark::read(&mappings), Some(there));
        assert_eq!(Mark::read(&json!({})), None);
        assert_eq!(
            Mark::read(&json!({"_meta": {"twolane": {"topic": 1}}})),
            None
        );
    }
}
