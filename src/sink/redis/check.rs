//! What INFO must say before anything is written, and which topic the markers must belong to.

use std::collections::HashMap;

use ::redis::Value;

use crate::sink::{SinkError, TopicIdentity};

/// The fields of one or more INFO answers. An INFO that was refused has none.
#[derive(Debug, Default)]
pub(super) struct Info(HashMap<String, String>);

// === impl Info ===

impl Info {
    /// Takes the answers apart.
    pub(super) fn of<'v>(answers: impl IntoIterator<Item = &'v Value>) -> Self {
        let mut fields = HashMap::new();
        for answer in answers {
            let text = match answer {
                Value::BulkString(bytes) => String::from_utf8_lossy(bytes),
                Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.into(),
                _ => continue,
            };
            for line in text.lines() {
                if let Some((name, value)) = line.split_once(':') {
                    fields.insert(name.to_owned(), value.trim_end().to_owned());
                }
            }
        }
        Self(fields)
    }

    /// One field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Adds what INFO left out and another command told.
    pub(super) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// # Errors
    /// [`SinkError::Refused`] before Redis 7, which has no `#!lua` scripts. A server that does not say passes:
    /// it fails where it must, when the scripts are loaded.
    pub(super) fn new_enough(&self) -> Result<(), SinkError> {
        let Some(version) = self.get("redis_version") else {
            return Ok(());
        };
        let major = version.split('.').next().unwrap_or_default();
        match major.parse::<u32>() {
            Ok(major) if major < 7 => Err(SinkError::Refused(format!(
                "redis.url: this is Redis {version}; its scripts cannot say what they need before Redis 7.0: use 7.0 or later"
            ))),
            _ => Ok(()),
        }
    }

    /// Whether this server can be a sink.
    ///
    /// # Errors
    /// [`SinkError::Refused`] where it must be configured otherwise, [`SinkError::Unavailable`] where it may
    /// become the right one.
    pub(super) fn suits(&self) -> Result<(), SinkError> {
        self.new_enough()?;
        if self.get("cluster_enabled") == Some("1") {
            return Err(SinkError::Refused(
                "redis.url leads to a Redis Cluster, where a document, its version and its partition's marker cannot \
                 be written by one script: use a server with cluster-enabled no"
                    .into(),
            ));
        }
        match self.get("maxmemory_policy") {
            Some("noeviction") => {}
            Some(policy) => {
                return Err(SinkError::Refused(format!(
                    "redis.url: the server's maxmemory-policy is {policy}, so it may throw away documents, versions and \
                     markers unnoticed: set maxmemory-policy noeviction"
                )));
            }
            None => {
                return Err(SinkError::Unavailable {
                    detail: "redis.url: neither INFO memory nor CONFIG GET says what the server's maxmemory-policy is: \
                             let the user of redis.username run one of them"
                        .into(),
                    alarm: true,
                });
            }
        }
        match self.get("role") {
            Some("slave") => Err(SinkError::Unavailable {
                detail: "redis.url leads to a replica, which takes no writes: point it at the primary (this passes by \
                         itself where a failover is under way)"
                    .into(),
                alarm: true,
            }),
            _ => Ok(()),
        }
    }
}

/// What the identity script answered.
///
/// # Errors
/// [`SinkError::Refused`] with the remedy where what is stored contradicts; [`SinkError::Unavailable`] where the
/// answer is none of the script's.
pub(super) fn identity(
    answer: &Value,
    ours: &TopicIdentity,
    branch: &str,
) -> Result<(), SinkError> {
    let found = match answer {
        Value::BulkString(text) if matches!(&text[..], b"made" | b"same" | b"raised") => {
            return Ok(());
        }
        Value::Array(found) => found,
        other => return Err(unexpected("checking the topic's identity", other)),
    };
    let text = |i: usize| match found.get(i) {
        Some(Value::BulkString(bytes)) => String::from_utf8_lossy(bytes),
        _ => "?".into(),
    };
    let (topic, id, epoch, partitions) = (text(0), text(1), text(2), text(3));
    let TopicIdentity {
        topic: our_topic,
        topic_id: our_id,
        epoch: our_epoch,
        partitions: our_partitions,
    } = ours;
    Err(SinkError::Refused(if id != our_id.as_str() {
        // Epochs only grow, so a stored epoch above ours is just as used up.
        let next = epoch.parse::<u32>().unwrap_or(0).max(u32::from(*our_epoch)) + 1;
        format!(
            "the rows that {branch} has in Redis carry versions of topic {topic} with id {id}, epoch {epoch}; topic \
             {our_topic} has id {our_id}, so it was made anew, and its offsets mean other things: set epoch = {next} in its spec"
        )
    } else if epoch != our_epoch.to_string() {
        format!(
            "the rows that {branch} has in Redis carry versions of epoch {epoch} of topic {topic}; its id is still {id}, and \
             under epoch {our_epoch} its old records would get new versions: set epoch = {epoch} in its spec again"
        )
    } else {
        format!(
            "the rows that {branch} has in Redis come from topic {topic} with {partitions} partitions; it has {our_partitions} \
             now, so keys have moved between partitions, whose versions do not compare: make a new topic, a new key prefix and a backfill"
        )
    }))
}

/// What the stored topic, topic id, epoch and partitions are to ours.
///
/// # Errors
/// As [`identity`], and [`SinkError::Refused`] where a branch has yet to make or renew them.
pub(super) fn standing(
    stored: &Value,
    ours: &TopicIdentity,
    branch: &str,
) -> Result<(), SinkError> {
    let Value::Array(found) = stored else {
        return Err(unexpected("reading the topic's identity", stored));
    };
    let text = |i: usize| match found.get(i) {
        Some(Value::BulkString(bytes)) => std::str::from_utf8(bytes).ok(),
        _ => None,
    };
    let (id, epoch) = (text(1), text(2).and_then(|e| e.parse::<u16>().ok()));
    let (Some(id), Some(epoch)) = (id, epoch) else {
        return Err(SinkError::Refused(format!(
            "Redis holds nothing of {branch}, or has forgotten it: run the pipeline, which fills it, then try again"
        )));
    };
    if id != ours.topic_id && epoch < ours.epoch {
        return Err(SinkError::Refused(format!(
            "Redis holds {branch} under epoch {epoch} still: run the pipeline, which fills it under epoch {}, then try again",
            ours.epoch
        )));
    }
    let partitions = text(3).and_then(|p| p.parse().ok());
    if id == ours.topic_id && epoch == ours.epoch && partitions == Some(ours.partitions) {
        return Ok(());
    }
    identity(stored, ours, branch)
}

/// An answer that no script gives: another program answers here, or a proxy in between.
pub(super) fn unexpected(doing: &str, answer: &Value) -> SinkError {
    let kind = match answer {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a text",
        Value::Array(_) => "a list",
        _ => "something else",
    };
    SinkError::Unavailable {
        detail: format!(
            "{doing}: Redis answered with {kind} that the script does not give: does redis.url point at Redis itself?"
        ),
        alarm: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> Info {
        Info::of([&Value::BulkString(text.as_bytes().to_vec())])
    }

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\nrole:master\r\ncluster_enabled:0\r\n";

    fn ours() -> TopicIdentity {
        TopicIdentity {
            topic: "t".into(),
            topic_id: "id1".into(),
            epoch: 3,
            partitions: 8,
        }
    }

    fn found(id: &str, epoch: &str, partitions: &str) -> String {
        let bulk = |s: &str| Value::BulkString(s.as_bytes().to_vec());
        let stored = Value::Array(vec![bulk("t"), bulk(id), bulk(epoch), bulk(partitions)]);
        identity(&stored, &ours(), "p.redis")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_primary_of_version_7_that_evicts_nothing_suits() {
        info(GOOD).suits().unwrap();
    }

    #[test]
    fn old_servers_clusters_evicting_ones_and_replicas_do_not_and_the_message_says_what_would() {
        let with = |from: &str, to: &str| info(&GOOD.replace(from, to)).suits().unwrap_err();
        assert!(with("7.0.15", "6.2.7").to_string().contains("7.0 or later"));
        assert!(
            with("cluster_enabled:0", "cluster_enabled:1")
                .to_string()
                .contains("cluster-enabled no")
        );
        for policy in ["allkeys-lru", "volatile-ttl"] {
            let error = with("noeviction", policy);
            assert!(
                matches!(&error, SinkError::Refused(text) if text.contains("noeviction")),
                "{error}"
            );
        }
        assert!(matches!(
            with("role:master", "role:slave"),
            SinkError::Unavailable { alarm: true, .. }
        ));
        assert!(matches!(
            with("maxmemory_policy", "x"),
            SinkError::Unavailable { alarm: true, .. }
        ));
    }

    #[test]
    fn a_stored_identity_is_compared_without_being_made() {
        let bulk = |s: &str| Value::BulkString(s.as_bytes().to_vec());
        let stored = |id: &str, epoch: &str, partitions: &str| {
            Value::Array(vec![bulk("t"), bulk(id), bulk(epoch), bulk(partitions)])
        };
        standing(&stored("id1", "3", "8"), &ours(), "p.redis").unwrap();
        let refused = |stored: &Value| {
            let error = standing(stored, &ours(), "p.redis").unwrap_err();
            assert!(matches!(error, SinkError::Refused(_)), "{error}");
            error.to_string()
        };
        let nothing = Value::Array(vec![Value::Nil, Value::Nil, Value::Nil, Value::Nil]);
        assert!(refused(&nothing).contains("run the pipeline"));
        assert!(refused(&stored("id0", "2", "8")).contains("run the pipeline"));
        assert!(refused(&stored("id0", "3", "8")).contains("set epoch = 4"));
        assert!(refused(&stored("id1", "2", "8")).contains("set epoch = 2"));
        assert!(refused(&stored("id1", "3", "4")).contains("8 now"));
    }

    #[test]
    fn a_contradicting_identity_is_refused_with_its_remedy() {
        assert!(found("id0", "3", "8").contains("set epoch = 4"));
        assert!(found("id0", "7", "8").contains("set epoch = 8"));
        assert!(found("id1", "2", "8").contains("set epoch = 2 in its spec again"));
        assert!(found("id1", "3", "4").contains("8 now"));
    }
}
