//! Every refusal with its exact line, over files in a folder of its own.

mod documents;
mod gateway;
mod ingest;
mod live;
mod live_settings;
mod mappings;
mod pipelines;
mod readings;
mod settings;
mod topics;

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

pub(super) const GOOD_TOPIC: &str = r#"name       = "app.users"
format     = "debezium-json"
key        = ["id"]
partitions = 8
epoch      = 1
config     = { "cleanup.policy" = "compact", "delete.retention.ms" = "604800000", "min.compaction.lag.ms" = "604800000" }
[columns]
id      = "bigint unsigned"
balance = "decimal(12,2)"
"#;

pub(super) const GOOD_PIPELINE: &str = r#"topic = "app.users"
[document]
rename = { due_at = "dueDate" }
omit   = ["password_hash"]
[[sink]]
type  = "elasticsearch"
index = "users"
[[sink]]
type = "redis"
key  = "user:{id}"
[supervise]
max_restarts = 5
within       = "60s"
"#;

/// A folder with files.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    /// The good topic and the good pipeline, and then these files over them; an empty text removes one.
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for sub in ["topics", "pipelines"] {
            std::fs::create_dir(folder.path().join(sub)).unwrap();
        }
        let good = [
            ("topics/users.toml", GOOD_TOPIC),
            ("pipelines/users.toml", GOOD_PIPELINE),
        ];
        for (name, text) in good.iter().chain(files) {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        for (name, text) in files {
            if text.is_empty() {
                std::fs::remove_file(folder.path().join(name)).unwrap();
            }
        }
        Self(folder)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn options(&self, variables: &[(&str, &str)]) -> LoadOptions {
        LoadOptions {
            settings: None,
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            directory: self.path().to_owned(),
        }
    }

    pub(super) fn load(&self) -> Config {
        load(&self.options(&[])).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The problems as `validate` prints them, without the folder.
    pub(super) fn problems(&self, variables: &[(&str, &str)]) -> Vec<String> {
        match load(&self.options(variables)) {
            Ok(_) => Vec::new(),
            Err(problems) => {
                let folder = format!("{}/", self.path().display());
                problems
                    .iter()
                    .map(|problem| problem.to_string().replace(&folder, ""))
                    .collect()
            }
        }
    }
}

/// Replaces the one place where `from` stands in a good file.
pub(super) fn changed(good: &str, from: &str, to: &str) -> String {
    assert_eq!(good.matches(from).count(), 1, "{from:?} is not there once");
    good.replace(from, to)
}

/// For each case: one change of the good topic spec, and what is said of it.
pub(super) fn topic_cases(cases: &[(&str, &str, &[&str])]) {
    for (from, to, expected) in cases {
        let folder = Folder::with(&[("topics/users.toml", &changed(GOOD_TOPIC, from, to))]);
        assert_eq!(folder.problems(&[]), *expected, "{from} -> {to}");
    }
}

/// For each case: one change of the good pipeline spec, and what is said of it.
pub(super) fn pipeline_cases(cases: &[(&str, &str, &[&str])]) {
    for (from, to, expected) in cases {
        let folder = Folder::with(&[("pipelines/users.toml", &changed(GOOD_PIPELINE, from, to))]);
        assert_eq!(folder.problems(&[]), *expected, "{from} -> {to}");
    }
}

#[test]
fn good_files_load_with_their_defaults() {
    let config = Folder::with(&[]).load();
    assert_eq!(config.topics.len(), 1);
    let [pipeline] = &config.pipelines[..] else {
        panic!("one pipeline");
    };
    assert_eq!(pipeline.name, "users");
    assert_eq!(pipeline.topic.epoch.get(), 1);
    assert_eq!(pipeline.document.rename["due_at"], "dueDate");
    let expected = "SinkSpec { name: \"elasticsearch\", kind: Elasticsearch(ElasticsearchSpec { index: \"users\", \
                    mapping: None }), deletes: Tombstone, horizon: 604800s, workers: 2, in_flight: 2, \
                    batch_documents: 2000, batch_bytes: 8388608, linger: 5ms, buffer_bytes: 12582912, \
                    alone_deadline: 600s }";
    assert_eq!(format!("{:?}", pipeline.sinks[0]), expected);
    let expected = "SinkSpec { name: \"redis\", kind: Redis(RedisSpec { key: \"user:{id}\", shape: Hash, ttl: None }), deletes: Tombstone, \
                    horizon: 604800s, workers: 2, in_flight: 2, batch_documents: 500, batch_bytes: 2097152, \
                    linger: 1ms, buffer_bytes: 12582912, alone_deadline: 600s }";
    assert_eq!(format!("{:?}", pipeline.sinks[1]), expected);
    assert_eq!(
        format!("{:?}", pipeline.supervise),
        "SuperviseSpec { max_restarts: 5, within: 60s }"
    );
}

#[test]
fn every_problem_of_every_file_is_reported_at_once() {
    let folder = Folder::with(&[
        (
            "topics/users.toml",
            &changed(GOOD_TOPIC, "epoch      = 1", "epoch = 0"),
        ),
        ("topics/orders.toml", "nonsense"),
        (
            "pipelines/users.toml",
            &changed(GOOD_PIPELINE, "index =", "indx =").replace("{id}", "{uid}"),
        ),
        ("twolane.toml", "[kafka]\nbroker = \"a:1\"\n"),
    ]);
    let problems = folder.problems(&[("TWOLANE_REDIS_TIMEOUT", "5")]);
    assert_eq!(
        problems,
        [
            "pipelines/users.toml:5:1: missing key \"index\": add index = \"user_profile\"",
            "pipelines/users.toml:7:1: unknown key \"indx\" in [[sink]]: did you mean \"index\"?",
            "pipelines/users.toml:10:8: key `user:{uid}` names `{uid}`, which is no column of the topic's key; those are `{id}`",
            "topics/orders.toml:1:9: is not TOML: key with no value, expected `=`",
            "topics/users.toml:5:9: epoch must be a whole number from 1 to 32767, not 0",
            "twolane.toml:2:1: unknown key \"broker\" in [kafka]: did you mean \"brokers\"?",
            "TWOLANE_REDIS_TIMEOUT: redis.timeout must be a duration from \"100ms\" to \"10m\", not \"5\"",
        ]
    );
}

#[test]
fn pipelines_are_selected_by_name() {
    let other = GOOD_PIPELINE
        .replace("\"users\"", "\"users2\"")
        .replace("user:", "other:");
    let config = Folder::with(&[("pipelines/second.toml", &other)]).load();
    let names = |wanted: &[&str]| {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let selected = config.select(&wanted)?;
        Ok::<_, String>(
            selected
                .iter()
                .map(|pipeline| pipeline.name.clone())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(names(&[]).unwrap(), ["second", "users"]);
    assert_eq!(names(&["users", "users"]).unwrap(), ["users"]);
    assert_eq!(
        names(&["user"]).unwrap_err(),
        "there is no pipeline \"user\": did you mean \"users\"?"
    );
    assert_eq!(
        names(&["x"]).unwrap_err(),
        "there is no pipeline \"x\": there are \"second\" and \"users\""
    );
}

#[test]
fn the_repositorys_own_files_are_right() {
    let options = LoadOptions {
        directory: Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(),
        ..LoadOptions::default()
    };
    let config = load(&options).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(
        config
            .pipelines
            .iter()
            .any(|pipeline| pipeline.name == "user_profile")
    );
}

#[test]
fn debug_of_options_shows_no_value_of_a_variable() {
    let options = Folder::with(&[]).options(&[("TWOLANE_KAFKA_PASSWORD", "s3cret")]);
    let shown = format!("{options:?}");
    assert!(
        shown.contains("TWOLANE_KAFKA_PASSWORD") && !shown.contains("s3cret"),
        "{shown}"
    );
}
