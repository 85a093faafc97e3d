//! From one file under `topics/` to a [`TopicSpec`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::reading;
use crate::config::read::{
    Entry, Field, Heading, Kind, Placed, Source, Values, did_you_mean, listed,
};
use crate::config::{ColumnType, Place, Problems, TopicSpec};
use crate::event::Epoch;

/// Every key of a topic spec.
pub(crate) static TOPIC: [Field; 19] = [
    Field::new("name", Kind::Text, "The Kafka topic's name.").required("\"app.app.user_profile\""),
    Field::new(
        "format",
        Kind::Choice(&reading::FORMATS),
        "What its records are: change events of Debezium, Canal or Maxwell, or plain events (each an upsert) in Avro or JSON with a schema of the topic's own.",
    )
    .required("\"debezium-json\""),
    Field::new(
        "key",
        Kind::List,
        "The columns of the record's key: all of them and no others, in the order in which they make a document's id.",
    )
    .required("[\"id\"]"),
    // Above 10,000 the watermarks, markers and metrics of one partition each become a load of their own.
    Field::new(
        "partitions",
        Kind::integer(1, 10_000),
        "How many partitions it has. More partitions means a new topic, since keys would move.",
    )
    .required("8"),
    // Nobody runs more than a handful; the brokers' number is the real bound.
    Field::new(
        "replication",
        Kind::integer(1, 32),
        "How many brokers hold each partition, when `twolane topics apply` makes it; the brokers' own `default.replication.factor` where absent.",
    ),
    // 15 bits of every version.
    Field::new(
        "epoch",
        Kind::integer(1, 32_767),
        "Its incarnation: raise it when the topic is made anew, so that new versions stand above old ones.",
    )
    .required("1"),
    Field::new(
        "partitioner",
        Kind::Choice(&["murmur2", "canal", "table"]),
        "How the producer places a key. `murmur2` is Java's default, so Debezium's, and every record is checked against it; `canal` is Canal's hash of the primary key (`partitionHash`), and every row is checked; `table` says that Canal or Maxwell sends all rows of a table to one partition. The last two tell whether a row whose primary key changed leaves its partition: where that is not known, such a record is a dead letter too.",
    ),
    Field::new(
        "config",
        Kind::Map { scalars: true },
        "The topic's settings on the broker. A compacted topic needs `delete.retention.ms` and `min.compaction.lag.ms` of at least every sink's `horizon`.",
    )
    .example("{ \"cleanup.policy\" = \"compact\" }"),
    Field::new(
        "columns",
        Kind::Map { scalars: false },
        "Column types that the format leaves out, as SHOW CREATE TABLE writes them; MariaDB writes a JSON column as `longtext`: declare it `json`.",
    )
    .example("{ balance = \"decimal(12,2)\" }"),
    Field::new(
        "decimal_handling_mode",
        Kind::Choice(&["precise", "string", "double"]),
        "Debezium's setting of this name, where its records bring no schema. Where absent, text with a point is taken for digits, and text without one for base64.",
    ),
    Field::new(
        "binary_handling_mode",
        Kind::Choice(&["bytes", "base64", "base64-url-safe", "hex"]),
        "Debezium's setting of this name.",
    )
    .default("bytes"),
    Field::new(
        "time_precision_mode",
        Kind::Choice(&["adaptive_time_microseconds", "adaptive", "connect"]),
        "Debezium's setting of this name, where its records bring no schema.",
    )
    .default("adaptive_time_microseconds"),
    Field::new(
        "timestamp_zone",
        Kind::Text,
        "The zone that TIMESTAMP columns are printed in: `UTC`, an offset, or a name such as `Asia/Shanghai`. Canal prints in its own zone, and without this key such a column is refused; Maxwell's is UTC unless it is given here.",
    )
    .example("\"Asia/Shanghai\""),
    Field::new(
        "tables",
        Kind::List,
        "The tables whose rows are taken, as `database.table`: required for `canal-json` and `maxwell-json`, whose topics may hold several. Rows of others are passed over and counted.",
    )
    .example("[\"app.user_profile\"]"),
    Field::new(
        "on_truncate",
        Kind::Choice(&["ignore", "dead-letter"]),
        "What becomes of a TRUNCATE: counted with an alarm, or a dead letter. It deletes no document.",
    )
    .default("ignore"),
    Field::new(
        "on_new_column",
        Kind::Choice(&["map", "ignore", "dead-letter"]),
        "What becomes of a column that `columns` does not declare, where it declares any: a field like the others, left out, or the record a dead letter.",
    )
    .default("map"),
    Field::new(
        "schema",
        Kind::Path,
        "The Avro schema of the topic's events, with `format = \"avro\"` or `\"json\"`; this file's name with `.avsc` where absent.",
    )
    .example("\"page_view.avsc\""),
    Field::new(
        "former_schemas",
        Kind::List,
        "Schemas before the one in force, the newest first, whose records may still be in the log (single-object encoding names its schema by a hash).",
    )
    .example("[\"page_view.1.avsc\"]"),
    Field::new(
        "compatibility",
        Kind::Choice(&["backward", "forward", "full", "none"]),
        "What the schema must be to its predecessor: the first of `former_schemas`, and the registry's latest where there is a registry. `backward`: who reads by it reads what was written before; `forward`: who reads by the one before reads what is written by it; `full`: both.",
    )
    .default("backward"),
];

/// Names that `config` may hold, for suggestions: a broker may know others.
const KNOWN_CONFIG: [&str; 29] = [
    "cleanup.policy",
    "compression.type",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.zstd.level",
    "delete.retention.ms",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "follower.replication.throttled.replicas",
    "index.interval.bytes",
    "leader.replication.throttled.replicas",
    "local.retention.bytes",
    "local.retention.ms",
    "max.compaction.lag.ms",
    "max.message.bytes",
    "message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms",
    "message.timestamp.type",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "min.insync.replicas",
    "preallocate",
    "remote.storage.enable",
    "retention.bytes",
    "retention.ms",
    "segment.bytes",
    "segment.ms",
    "unclean.leader.election.enable",
];

/// Dead letters of topic `t` go to `t.dead`, which must be a legal name too (249 characters at most).
pub(super) const DEAD_SUFFIX: &str = ".dead";
const LONGEST_NAME: usize = 249 - DEAD_SUFFIX.len();

/// A topic spec and where its parts are written.
pub(super) struct ReadTopic {
    /// The name, where the file has one.
    pub name: Option<Placed<String>>,
    /// The spec, where nothing is wrong with what pipelines are checked against.
    pub spec: Option<TopicSpec>,
    /// What `config` holds.
    pub config: Vec<Entry>,
    /// Where `config` is, or would be.
    pub config_place: Place,
}

/// Reads one file. What is wrong goes to `problems`.
pub(super) fn read(file: &Path, problems: &mut Problems) -> Option<ReadTopic> {
    let source = Source::read(file, problems)?;
    let table = source.toml(problems)?;
    let mut values = Values::new(&TOPIC, source.at(1, 1));
    values.read_table(table.get_ref(), &source, &Heading::TOP, problems);
    values.require(problems);

    let name = values.text("name").map(|value| Placed {
        place: values.place("name"),
        value,
    });
    if let Some(name) = &name {
        check_name(name, problems);
    }
    let key = values.list("key");
    let key_is_right = check_key(&values, &key, problems);
    let declared = values.map("columns");
    let columns = columns(&declared, problems);
    // What follows from a topic's key and columns is only said of those that are right.
    let is_known = key_is_right && !values.refused("columns") && columns.len() == declared.len();
    let config = values.map("config");
    check_config(&config, problems);
    let reading = reading::read(&values, file, &columns, problems);

    // An epoch that was refused has been reported, and nothing is returned; with a stand-in the pipelines can
    // still be checked against the rest.
    let epoch = u32::try_from(values.integer("epoch"))
        .ok()
        .and_then(|epoch| Epoch::new(epoch).ok())
        .or_else(|| Epoch::new(1).ok());
    let spec = (|| {
        is_known.then_some(())?;
        Some(TopicSpec {
            name: name.as_ref()?.value.clone(),
            format: reading::format(&values)?,
            key: key.iter().map(|column| column.value.clone()).collect(),
            partitions: i32::try_from(values.integer("partitions")).ok()?,
            replication: values
                .given("replication")
                .then(|| i32::try_from(values.integer("replication")).ok())
                .flatten(),
            epoch: epoch?,
            partitioner: reading::partitioner(&values),
            config: config
                .iter()
                .map(|entry| (entry.name.value.clone(), entry.value.value.clone()))
                .collect(),
            columns,
            reading: reading?,
            file: file.to_owned(),
        })
    })();
    Some(ReadTopic {
        name,
        spec,
        config_place: values.place("config"),
        config,
    })
}

fn check_name(name: &Placed<String>, problems: &mut Problems) {
    let Placed { place, value } = name;
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let wrong = if !value.bytes().all(legal) {
        "may hold letters, digits, '.', '_' and '-' only".to_owned()
    } else if value == "." || value == ".." {
        "is not a name that Kafka takes".to_owned()
    } else if value.len() > LONGEST_NAME {
        format!(
            "is longer than {LONGEST_NAME} characters, which leaves no room for its dead-letter topic's \"{DEAD_SUFFIX}\""
        )
    } else {
        return;
    };
    problems.add(place.clone(), format!("name {value:?} {wrong}"));
}

/// Whether there is a key, and one that names each of its columns once.
fn check_key(values: &Values, key: &[Placed<String>], problems: &mut Problems) -> bool {
    if key.is_empty() {
        if values.given("key") && !values.refused("key") {
            problems.add(
                values.place("key"),
                "key is empty: name the columns of the table's primary key, such as [\"id\"]",
            );
        }
        return false;
    }
    let mut seen = BTreeSet::new();
    let twice = key.iter().filter(|column| !seen.insert(&column.value));
    let twice: Vec<_> = twice.collect();
    for column in &twice {
        let message = format!("key names column {:?} twice", column.value);
        problems.add(column.place.clone(), message);
    }
    twice.is_empty()
}

fn columns(entries: &[Entry], problems: &mut Problems) -> BTreeMap<String, ColumnType> {
    let mut columns = BTreeMap::new();
    for Entry { name, value } in entries {
        match value.value.parse() {
            Ok(column) => {
                columns.insert(name.value.clone(), column);
            }
            Err(wrong) => problems.add(
                value.place.clone(),
                format!("columns.{}: {wrong}", name.value),
            ),
        }
    }
    columns
}

fn check_config(config: &[Entry], problems: &mut Problems) {
    for Entry { name, value } in config {
        if !KNOWN_CONFIG.contains(&name.value.as_str()) {
            // A broker may know settings that this list does not; what is near a known one is a slip.
            if let Some(near) = did_you_mean(&name.value, KNOWN_CONFIG) {
                let message = format!(
                    "unknown setting {:?} in config: did you mean {near:?}?",
                    name.value
                );
                problems.add(name.place.clone(), message);
            }
        } else if name.value.ends_with(".ms") && value.value.parse::<i64>().is_err() {
            let message = format!(
                "{:?} must be milliseconds, such as \"604800000\" for 7 days, not {:?}",
                name.value, value.value
            );
            problems.add(value.place.clone(), message);
        } else if name.value == "cleanup.policy" {
            const POLICIES: [&str; 2] = ["compact", "delete"];
            let unknown = value
                .value
                .split(',')
                .map(str::trim)
                .find(|policy| !POLICIES.contains(policy));
            if let Some(unknown) = unknown {
                let message = format!(
                    "\"cleanup.policy\" is {} or both, not {unknown:?}",
                    listed(POLICIES, "or")
                );
                problems.add(value.place.clone(), message);
            }
        }
    }
}
