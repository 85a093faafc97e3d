//! What is to become of a Kafka topic: the spec against what the broker has, without asking anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::item::Verdict;
use crate::config::{Config, TopicSpec, show_duration};

/// A topic as the broker has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub partitions: i32,
    /// Of the partition that has the fewest.
    pub replicas: i32,
    /// Every setting, with what holds by default.
    pub config: BTreeMap<String, String>,
}

/// How long a sink of the topic remembers what was deleted: the log must not forget sooner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Horizon {
    pub branch: String,
    pub span: Duration,
}

/// What Kafka does where neither topic nor broker says otherwise.
const DEFAULTS: [(&str, &str); 4] = [
    (POLICY, "delete"),
    ("retention.ms", "604800000"),
    ("delete.retention.ms", "86400000"),
    ("min.compaction.lag.ms", "0"),
];
const POLICY: &str = "cleanup.policy";
/// Past this a log is kept for ever.
const FOR_EVER: i64 = -1;

// === impl Horizon ===

impl Horizon {
    /// The longest of a topic's sinks; `None` where no pipeline reads it.
    pub(super) fn of(config: &Config, spec: &TopicSpec) -> Option<Self> {
        let pipelines = config.pipelines.iter();
        pipelines
            .filter(|pipeline| pipeline.topic.name == spec.name)
            .flat_map(|pipeline| pipeline.sinks.iter().map(move |sink| (pipeline, sink)))
            .max_by_key(|(_, sink)| sink.horizon)
            .map(|(pipeline, sink)| Self {
                branch: format!("{}.{}", pipeline.name, sink.name),
                span: sink.horizon,
            })
    }
}

/// What is to become of it.
pub(super) fn judge(spec: &TopicSpec, found: Option<&Found>, horizon: Option<&Horizon>) -> Verdict {
    let mut wanted: BTreeMap<String, String> = match found {
        Some(found) => found.config.clone(),
        None => DEFAULTS
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    wanted.extend(spec.config.clone());
    let mut refused = Vec::new();
    if let Some(found) = found {
        fixed(spec, found, &wanted, &mut refused);
    }
    if let Some(horizon) = horizon {
        forgets(&wanted, horizon, &mut refused);
    }
    if !refused.is_empty() {
        return Verdict::Refuse(refused);
    }
    let Some(found) = found else {
        let mut how = vec![format!("{} partitions", spec.partitions)];
        how.extend(spec.replication.map(|n| format!("{n} replicas of each")));
        let settings = spec.config.iter();
        how.extend(settings.map(|(name, value)| format!("{name} = {value:?}")));
        return Verdict::Create(how);
    };
    let differences: Vec<String> = spec
        .config
        .iter()
        .filter_map(|(name, value)| match found.config.get(name) {
            Some(is) if same(name, is, value) => None,
            Some(is) => Some(format!("{name} is {is:?}, and should be {value:?}")),
            None => Some(format!(
                "{name} is nothing that the broker knows, and should be {value:?}"
            )),
        })
        .collect();
    if differences.is_empty() {
        Verdict::Keep
    } else {
        Verdict::Alter(differences)
    }
}

/// What cannot be altered.
fn fixed(
    spec: &TopicSpec,
    found: &Found,
    wanted: &BTreeMap<String, String>,
    refused: &mut Vec<String>,
) {
    if found.partitions != spec.partitions {
        refused.push(format!(
            "it has {} partitions, and its spec says {}: keys would move, and with them the order of their changes. Make the spec say {}, or make a new topic, a new index and a backfill",
            found.partitions, spec.partitions, found.partitions
        ));
    }
    if let Some(replication) = spec.replication
        && replication != found.replicas
    {
        refused.push(format!(
            "its partitions have {} replicas, and its spec says {replication}: moving them is the operator's (kafka-reassign-partitions); make the spec say {} until then",
            found.replicas, found.replicas
        ));
    }
    if compacts(&found.config) && !compacts(wanted) {
        refused.push(
            "it is compacted, and would be no more: rows that were not changed for long would be forgotten. Keep \"compact\" in cleanup.policy, or make a new topic".to_owned(),
        );
    }
}

/// What a log would forget before its readers have.
fn forgets(wanted: &BTreeMap<String, String>, horizon: &Horizon, refused: &mut Vec<String>) {
    let needed = i64::try_from(horizon.span.as_millis()).unwrap_or(i64::MAX);
    let mut below = |name: &str, why: &str| {
        let Some(value) = wanted.get(name) else {
            return;
        };
        // What is no number the broker refuses itself.
        let Ok(ms) = value.parse::<i64>() else { return };
        if ms != FOR_EVER && ms < needed {
            refused.push(format!(
                "{name} is {ms}, below the horizon of {}, {} ({why}): set \"{name}\" = \"{needed}\" in its spec, or a shorter horizon",
                horizon.branch,
                show_duration(horizon.span)
            ));
        }
    };
    let policy = policies(wanted.get(POLICY).map_or("", String::as_str));
    if policy.contains("delete") {
        below(
            "retention.ms",
            "a branch that is further behind would miss changes",
        );
    }
    if policy.contains("compact") {
        below(
            "delete.retention.ms",
            "a reader that is further behind would miss deletes",
        );
        below(
            "min.compaction.lag.ms",
            "a repair or a replay could meet a log that compaction has already thinned out",
        );
    }
}

fn compacts(config: &BTreeMap<String, String>) -> bool {
    policies(config.get(POLICY).map_or("", String::as_str)).contains("compact")
}

fn policies(value: &str) -> BTreeSet<&str> {
    value.split(',').map(str::trim).collect()
}

/// Whether two texts are one value: the order of policies says nothing.
fn same(name: &str, is: &str, wanted: &str) -> bool {
    is == wanted || (name == POLICY && policies(is) == policies(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Format, Reading};
    use crate::event::Epoch;

    const DAY: i64 = 86_400_000;

    fn spec(config: &[(&str, &str)]) -> TopicSpec {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        TopicSpec {
            name: "t".into(),
            format: Format::Json,
            key: vec!["id".into()],
            partitions: 8,
            replication: None,
            epoch: Epoch::new(1).unwrap(),
            partitioner: None,
            config: config.iter().map(text).collect(),
            columns: Default::default(),
            reading: Reading::default(),
            file: "topics/t.toml".into(),
        }
    }

    fn found(config: &[(&str, &str)]) -> Found {
        let mut all: BTreeMap<String, String> = DEFAULTS
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        all.extend(spec(config).config);
        Found {
            partitions: 8,
            replicas: 1,
            config: all,
        }
    }

    fn week() -> Horizon {
        Horizon {
            branch: "p.redis".into(),
            span: Duration::from_secs(7 * 86_400),
        }
    }

    fn refused(verdict: Verdict) -> String {
        match verdict {
            Verdict::Refuse(why) => why.join("\n"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_absent_is_made_and_what_differs_is_altered() {
        let spec = spec(&[("cleanup.policy", "compact,delete"), ("segment.ms", "1000")]);
        let made = judge(&spec, None, None);
        assert!(
            matches!(&made, Verdict::Create(how) if how.len() == 3 && how[0] == "8 partitions"),
            "{made:?}"
        );
        let same = found(&[
            ("cleanup.policy", "delete, compact"),
            ("segment.ms", "1000"),
        ]);
        assert_eq!(judge(&spec, Some(&same), None), Verdict::Keep);
        let other = found(&[("segment.ms", "5"), ("flush.ms", "7")]);
        let Verdict::Alter(how) = judge(&spec, Some(&other), None) else {
            panic!("not altered");
        };
        assert_eq!(how[1], "segment.ms is \"5\", and should be \"1000\"");
        assert_eq!(how.len(), 2);
    }

    #[test]
    fn partitions_replicas_and_compaction_are_not_altered() {
        let mut other = found(&[]);
        other.partitions = 3;
        let why = refused(judge(&spec(&[]), Some(&other), None));
        assert!(why.contains("3 partitions") && why.contains("Make the spec say 3"));
        let mut three = spec(&[]);
        three.replication = Some(3);
        let why = refused(judge(&three, Some(&found(&[])), None));
        assert!(why.contains("1 replicas"), "{why}");
        let compacted = found(&[("cleanup.policy", "compact")]);
        let why = refused(judge(
            &spec(&[("cleanup.policy", "delete")]),
            Some(&compacted),
            None,
        ));
        assert!(why.contains("compacted"), "{why}");
        // What the spec does not say stays.
        assert_eq!(judge(&spec(&[]), Some(&compacted), None), Verdict::Keep);
    }

    #[test]
    fn a_log_that_forgets_before_a_sink_does_is_refused_whoever_says_so() {
        let week = week();
        let short = (6 * DAY).to_string();
        let why = refused(judge(&spec(&[("retention.ms", &short)]), None, Some(&week)));
        assert!(
            why.contains("retention.ms is 518400000, below the horizon of p.redis, 7d"),
            "{why}"
        );
        assert!(why.contains("\"retention.ms\" = \"604800000\""), "{why}");
        // The broker's own setting, where the spec is silent.
        let on_broker = found(&[("retention.ms", &short)]);
        refused(judge(&spec(&[]), Some(&on_broker), Some(&week)));
        let compacted = found(&[("cleanup.policy", "compact"), ("retention.ms", &short)]);
        let why = refused(judge(&spec(&[]), Some(&compacted), Some(&week)));
        assert!(why.contains("delete.retention.ms is 86400000"), "{why}");
        assert!(why.contains("min.compaction.lag.ms is 0"), "{why}");
        assert!(!why.contains("\nretention.ms"), "{why}");
        // The spec mends it.
        let mends = spec(&[("retention.ms", "-1")]);
        assert!(matches!(
            judge(&mends, Some(&on_broker), Some(&week)),
            Verdict::Alter(_)
        ));
        assert_eq!(judge(&spec(&[]), Some(&on_broker), None), Verdict::Keep);
    }
}
