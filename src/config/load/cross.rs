//! What only shows when all topics and pipelines are seen together.

use std::collections::BTreeMap;

use super::pipeline::{Claim, Claimed};
use super::topic::{DEAD_SUFFIX, ReadTopic};
use crate::config::read::show_duration;
use crate::config::{Format, Place, Problems, Settings};

/// Kafka's own values where a topic does not set them.
const COMPACTION_DEFAULTS: [(&str, u64, &str); 2] = [
    (
        "delete.retention.ms",
        86_400_000,
        "a reader that is further behind would miss deletes",
    ),
    (
        "min.compaction.lag.ms",
        0,
        "a repair or a replay could meet a log that compaction has already thinned out",
    ),
];

/// Two specs of one topic, or a topic that is another's dead-letter topic.
pub(super) fn topics(topics: &[ReadTopic], problems: &mut Problems) {
    let mut first: BTreeMap<&str, &ReadTopic> = BTreeMap::new();
    for topic in topics {
        let Some(name) = &topic.name else { continue };
        match first
            .get(name.value.as_str())
            .and_then(|other| other.name.as_ref())
        {
            Some(other) => {
                let message = format!(
                    "topic {:?} has a spec already, at {}: keep one",
                    name.value, other.place
                );
                problems.add(name.place.clone(), message);
            }
            None => {
                first.insert(&name.value, topic);
            }
        }
    }
    for topic in topics {
        let Some(name) = &topic.name else { continue };
        if let Some(source) = name.value.strip_suffix(DEAD_SUFFIX)
            && first.contains_key(source)
        {
            let message = format!(
                "topic {:?} is where the dead letters of {source:?} go: choose another name",
                name.value
            );
            problems.add(name.place.clone(), message);
        }
    }
}

/// Topics that cannot be read without a schema registry, where none is set.
pub(super) fn registry(topics: &[ReadTopic], settings: &Settings, problems: &mut Problems) {
    for spec in topics.iter().filter_map(|topic| topic.spec.as_ref()) {
        if spec.format == Format::DebeziumAvro && settings.schema_registry.is_none() {
            problems.add(
                Place::File(spec.file.clone()),
                "format \"debezium-avro\" needs a schema registry: set schema_registry.url in the settings",
            );
        }
    }
}

/// Two sinks that would write the same index or the same keys.
pub(super) fn claims(claims: &[Claim], problems: &mut Problems) {
    for (i, claim) in claims.iter().enumerate() {
        for earlier in &claims[..i] {
            let conflict = match (&claim.of, &earlier.of) {
                (Claimed::Index(index), Claimed::Index(other)) => {
                    let behind = |alias: &str| format!("{alias}-v1");
                    (index == other || *index == behind(other) || behind(index) == *other)
                        .then(|| format!("index {index:?} is written by"))
                }
                (Claimed::Prefix(prefix), Claimed::Prefix(other)) => (prefix
                    .starts_with(other.as_str())
                    || other.starts_with(prefix.as_str()))
                .then(|| {
                    format!(
                        "the key's prefix {prefix:?} and {other:?} are not apart: the second is of"
                    )
                }),
                (Claimed::Index(_), Claimed::Prefix(_) | Claimed::Nothing)
                | (Claimed::Prefix(_), Claimed::Index(_) | Claimed::Nothing)
                | (Claimed::Nothing, _) => None,
            };
            if let Some(conflict) = conflict {
                let message = format!(
                    "{conflict} {} too ({}): one topic and one sink for each",
                    earlier.branch, earlier.place
                );
                problems.add(claim.place.clone(), message);
            }
        }
    }
}

/// Compacted topics that forget sooner than a sink of theirs.
pub(super) fn compaction(topics: &[ReadTopic], claims: &[Claim], problems: &mut Problems) {
    for topic in topics {
        let Some(name) = &topic.name else { continue };
        let setting = |wanted: &str| topic.config.iter().find(|entry| entry.name.value == wanted);
        let compacted = setting("cleanup.policy").is_some_and(|policy| {
            policy
                .value
                .value
                .split(',')
                .any(|policy| policy.trim() == "compact")
        });
        let of_topic = claims.iter().filter(|claim| claim.topic == name.value);
        let Some(longest) = of_topic
            .max_by_key(|claim| claim.horizon)
            .filter(|_| compacted)
        else {
            continue;
        };
        for (wanted, default, why) in COMPACTION_DEFAULTS {
            let (set, place) = match setting(wanted) {
                Some(entry) => match entry.value.value.parse::<u64>() {
                    Ok(set) => (set, entry.value.place.clone()),
                    // Not a number: that has been said already.
                    Err(_) => continue,
                },
                None => (default, topic.config_place.clone()),
            };
            let needed = longest.horizon.as_millis();
            if u128::from(set) < needed {
                let whose = if setting(wanted).is_some() {
                    "is"
                } else {
                    "is by default"
                };
                let message = format!(
                    "{wanted} {whose} {set}, below the horizon of {}, {} ({why}): set \"{wanted}\" = \"{needed}\"",
                    longest.branch,
                    show_duration(longest.horizon)
                );
                problems.add(place, message);
            }
        }
    }
}
