//! Pipelines change, come and go in a process that runs, while another one is to notice nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::super::case::{Case, Count, Start, options};
use super::super::process::Process;
use super::super::sink::{self, Sink};
use super::super::table::Row;
use super::super::until;
use crate::lane::rig::Options;

const TOKEN: &str = "the-token-of-a-reload";
/// A field is called so once the change is in effect, and `name` before.
const LABEL: &str = "label";

/// The pipeline that changes, and the one that comes and goes; both read the topic of the one that stays.
struct Others {
    folder: PathBuf,
    topic: String,
    /// Names of the pipelines, and what their keys and indices begin with.
    changing: String,
    coming: String,
}

// === impl Others ===

impl Others {
    fn new(case: &Case) -> Self {
        let rig = &case.rig;
        Self {
            folder: rig.directory().join("pipelines"),
            topic: rig.topic.clone(),
            // Behind the one that stays, by name.
            changing: format!("x-{}", rig.index),
            coming: format!("y-{}", rig.index),
        }
    }

    fn write(&self, name: &str, document: &str) {
        let (topic, map) = (&self.topic, format!("{name}.mapping.json"));
        let field = if document.is_empty() { "name" } else { LABEL };
        let properties = format!(
            r#"{{"dynamic":false,"properties":{{"id":{{"type":"long"}},"rev":{{"type":"long"}},"{field}":{{"type":"keyword"}}}}}}"#
        );
        std::fs::write(self.folder.join(&map), properties).expect("a mapping");
        let spec = format!(
            "topic = \"{topic}\"\n{document}\n[[sink]]\ntype = \"elasticsearch\"\nindex = \"{name}\"\nmapping = \"{map}\"\n\
             [[sink]]\ntype = \"redis\"\nkey = \"{name}:{{id}}\"\nshape = \"hash\"\n"
        );
        std::fs::write(self.file(name), spec).expect("a pipeline");
    }

    fn rename(&self) {
        let document = format!("[document]\nrename = {{ name = \"{LABEL}\" }}\n");
        self.write(&self.changing, &document);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.toml"))
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.file(name)).expect("it was there");
    }
}

/// What shows that a branch was left alone: its actors with their restarts and how long they have been running, and the
/// assignments that the log tells of.
struct Untouched {
    actors: BTreeMap<String, (u64, f64)>,
    assignments: usize,
}

async fn untouched(process: &Process, pipeline: &str) -> Untouched {
    let tree = process.get("actors").await.expect("the tree");
    let mut actors = BTreeMap::new();
    collect(&tree, &format!("{pipeline}."), &mut actors);
    let said = process.said();
    let assignments = said
        .lines()
        .filter(|line| line.contains(&format!("\"{pipeline}.")))
        .filter(|line| line.contains("assigned") || line.contains("revoked"));
    Untouched {
        actors,
        assignments: assignments.count(),
    }
}

fn collect(node: &Value, prefix: &str, to: &mut BTreeMap<String, (u64, f64)>) {
    let name = node["name"].as_str().unwrap_or_default();
    if name.starts_with(prefix) {
        let restarts = node["restarts"].as_u64().expect("restarts");
        let since = node["since_seconds"].as_f64().expect("a time");
        to.insert(name.to_owned(), (restarts, since));
    }
    for child in node["children"].as_array().into_iter().flatten() {
        collect(child, prefix, to);
    }
}

// === impl Untouched ===

impl Untouched {
    fn judge(&self, now: &Self, case: &Case, what: &str) {
        if self.assignments != now.assignments {
            case.violation(format!(
                "{what}: partitions of the unchanged pipeline moved"
            ));
        }
        let names = |of: &Self| of.actors.keys().cloned().collect::<Vec<_>>();
        if self.actors.len() < 6 || names(self) != names(now) {
            case.violation(format!("{what}: other actors: {:?}", now.actors));
        }
        for (name, (restarts, since)) in &self.actors {
            if let Some((then, longer)) = now.actors.get(name)
                && (restarts != then || since >= longer)
            {
                case.violation(format!("{what}: {name} was made anew"));
            }
        }
    }
}

/// What a reload says of each pipeline's branches.
fn changes(answer: &Value, pipeline: &str) -> Vec<String> {
    let branches = answer["branches"].as_array().into_iter().flatten();
    let of = branches.filter(|b| b["pipeline"] == pipeline);
    of.map(|b| b["change"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Waits until a row of this pipeline in Redis has a field.
async fn has_field(case: &Case, pipeline: &str, field: &str) {
    until(&format!("{pipeline} to write {field}"), async || {
        let mut redis = case.rig.redis().await;
        for id in 0..case.model.ids() {
            let found = redis::cmd("HEXISTS")
                .arg(format!("{pipeline}:{id}"))
                .arg(field)
                .query_async(&mut redis)
                .await;
            if found.unwrap_or(false) {
                return true;
            }
        }
        false
    })
    .await;
}

/// Waits until both sinks of a pipeline hold what was sent.
async fn holds_all(case: &Case, pipeline: &str) {
    let client = reqwest::Client::new();
    until(&format!("{pipeline} to hold everything"), async || {
        let index = format!("{pipeline}-v1");
        let documents = sink::documents(&client, &case.rig.elasticsearch, &index).await;
        let hashes = sink::hashes(&case.rig.redis, pipeline, case.model.ids()).await;
        let expected = case.model.live();
        [documents, hashes].iter().all(|rows| {
            rows.as_ref()
                .is_some_and(|rows| sink::live(rows) == expected)
        })
    })
    .await;
}

fn expect(case: &Case, what: &str, found: &[String], wanted: &str) {
    if found.len() != 2 || found.iter().any(|change| change != wanted) {
        case.violation(format!("{what}: {found:?} is not {wanted}"));
    }
}

pub async fn under_load(start: &Start<'_>) -> Row {
    let fault = "pipelines changed, added and removed by reloads";
    let options = Options {
        settings: format!("token = \"{TOKEN}\""),
        ..options()
    };
    let case = Case::new(start, fault, options).await;
    let others = Others::new(&case);
    others.write(&others.changing, "");
    let process = Process::start(case.rig.directory());
    case.warm(start).await;
    has_field(&case, &others.changing, "name").await;
    let stays = case.rig.index.clone();
    let judged = async |before: Untouched, what: &str| {
        let now = untouched(&process, &stays).await;
        before.judge(&now, &case, what);
        now
    };
    case.while_loaded(async {
        // Nothing has struck, so that nothing of what stays may be done twice.
        case.lifted();
        let before = untouched(&process, &stays).await;
        others.rename();
        let (status, answer) = process.post("reload", TOKEN).await;
        if status != 200 {
            case.violation(format!("{status}: {answer}"));
        }
        expect(
            &case,
            "a change",
            &changes(&answer, &others.changing),
            "changed",
        );
        expect(&case, "a change", &changes(&answer, &stays), "unchanged");
        has_field(&case, &others.changing, LABEL).await;
        let before = judged(before, "a change").await;

        std::fs::write(
            others.file(&others.coming),
            "topic = \"nowhere\"\nsinks = 1\n",
        )
        .expect("a file");
        let (status, answer) = process.post("reload", TOKEN).await;
        let problem = &answer["problems"][0];
        if status != 422 || problem["line"].is_null() || problem["message"].is_null() {
            case.violation(format!("a bad file: {status}: {answer}"));
        }
        let before = judged(before, "a bad file").await;

        others.write(&others.coming, "");
        let (_, answer) = process.post("reload", TOKEN).await;
        expect(
            &case,
            "an addition",
            &changes(&answer, &others.coming),
            "added",
        );
        expect(
            &case,
            "an addition",
            &changes(&answer, &others.changing),
            "unchanged",
        );
        has_field(&case, &others.coming, "name").await;
        let before = judged(before, "an addition").await;

        others.remove(&others.coming);
        // By the signal this time.
        process.signal("HUP");
        until("the pipeline to be gone", async || {
            let pipelines = process.pipelines().await.unwrap_or_default();
            let names = pipelines.as_array().into_iter().flatten();
            names.into_iter().all(|p| p["pipeline"] != *others.coming)
        })
        .await;
        let rows = sink::hashes(&case.rig.redis, &others.coming, case.model.ids()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let later = sink::hashes(&case.rig.redis, &others.coming, case.model.ids()).await;
        if rows != later {
            case.violation("a pipeline that was removed still writes".to_owned());
        }
        judged(before, "a removal").await;
    })
    .await;
    case.settles().await;
    holds_all(&case, &others.changing).await;
    let resolved = process.counts().await.unwrap_or_default();
    for (_, count) in &resolved {
        case.duplicates(Count::resolved(count).saturating_sub(case.model.sent()));
    }
    if case.watch.sinks != [Sink::Elasticsearch, Sink::Redis] || resolved.len() != 2 {
        case.violation(format!("{resolved:?} are not two branches"));
    }
    case.rest_process(process).await;
    case.verdict().await
}
