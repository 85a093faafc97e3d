//! `twolane rewind` between real servers: records are read again, by running processes and by stopped groups, and nothing
//! is ever passed over.

use std::collections::BTreeMap;
use std::process::Output;
use std::sync::Arc;

use serde_json::Value;
use twolane::source::Probe;

use crate::faults::alone;
use crate::faults::process::{Process, command};
use crate::lane::rig::{self, Options, Rig};
use crate::stack::{self, Stack};

const TOKEN: &str = "the-token-of-a-rewind";
const ROWS: i64 = 60;

async fn new(stack: &Stack, name: &str) -> Rig {
    let options = Options {
        settings: format!("token = \"{TOKEN}\""),
        ..Options::default()
    };
    let rig = Rig::new(stack, name, options).await;
    for id in 0..ROWS {
        rig.upsert(id, 1, "ada").await;
    }
    rig
}

/// Asks Kafka about the group of one of the rig's branches.
fn probe(rig: &Rig, sink: &str) -> Probe {
    let pipeline = &rig.config.pipelines[0];
    let group = format!("{}.{sink}", pipeline.name);
    let topic = Arc::clone(&pipeline.topic);
    Probe::new(&rig.config.settings.kafka, topic, &group).expect("a client")
}

async fn committed(rig: &Rig, sink: &str) -> BTreeMap<i32, i64> {
    let all = probe(rig, sink).committed().await.expect("the commits");
    all.into_iter()
        .map(|(p, offset)| (p, offset.unwrap_or(-1)))
        .collect()
}

async fn ends(rig: &Rig) -> BTreeMap<i32, i64> {
    let probe = probe(rig, "redis");
    let mut ends = BTreeMap::new();
    for partition in 0..rig.config.pipelines[0].topic.partitions {
        let (_, end) = probe.watermarks(partition).await.expect("the log's ends");
        ends.insert(partition, end);
    }
    ends
}

async fn all_committed(rig: &Rig) {
    let ends = ends(rig).await;
    for sink in ["elasticsearch", "redis"] {
        rig::until("the commits at the log's ends", || async {
            committed(rig, sink).await == ends
        })
        .await;
    }
}

/// `twolane rewind` of the rig's pipeline.
async fn rewind(rig: &Rig, arguments: &[&str]) -> Output {
    let mut command = command(rig.directory());
    command
        .args(["rewind", &rig.config.pipelines[0].name])
        .args(arguments);
    // Beside the test's own future, which the process may be part of.
    tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("it ends")
        .expect("twolane rewind runs")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Records that a branch of a process has consumed, and those that it found superseded.
async fn counts(process: &Process, sink: &str) -> (u64, u64) {
    let counts = process.counts().await.unwrap_or_default();
    let of = counts.into_iter().find(|(name, _)| name == sink);
    of.map_or((0, 0), |(_, count)| (count.consumed, count.superseded))
}

async fn consumed(process: &Process, sink: &str, records: u64) {
    rig::until(&format!("{sink} to have consumed {records}"), || async {
        counts(process, sink).await.0 == records
    })
    .await;
}

fn rows() -> u64 {
    ROWS.unsigned_abs()
}

#[test]
fn a_running_branch_reads_again_what_it_is_asked_to_and_its_sibling_does_not_notice() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = new(&stack, "rewindruns").await;
        let process = Process::start(rig.directory());
        all_committed(&rig).await;
        let admin = process.admin().to_owned();
        let redis = ["--admin", admin.as_str(), "--branch", "redis"];

        // A plan alone changes nothing.
        let earliest = [&redis[..], &["--to", "earliest"]].concat();
        let output = rewind(&rig, &earliest).await;
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for part in [
            "READ AGAIN",
            "LOG FROM",
            "--yes",
            "would be lost",
            "same version",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains(".elasticsearch"), "{said}");
        assert_eq!(committed(&rig, "redis").await, ends(&rig).await);

        // What the sink has lost comes back, and what it has stays.
        let mut connection = rig.redis().await;
        let lost = format!("{}:7", rig.prefix);
        let () = redis::cmd("DEL")
            .arg(&lost)
            .query_async(&mut connection)
            .await
            .expect("deleted");
        let output = rewind(&rig, &[&earliest[..], &["--yes"]].concat()).await;
        let said = text(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        consumed(&process, "redis", 2 * rows()).await;
        all_committed(&rig).await;
        assert_eq!(rig.hash(7).await["rev"], "1");
        assert_eq!(counts(&process, "redis").await.1, rows() - 1);
        assert_eq!(counts(&process, "elasticsearch").await.0, rows());

        // One partition, to an offset.
        let ends = ends(&rig).await;
        let to = (ends[&2] - 3).to_string();
        let one = ["--partition", "2", "--to", &to, "--yes", "--json"];
        let output = rewind(&rig, &[&redis[..], &one].concat()).await;
        let said = text(&output);
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert_eq!(answer["applied"], true, "{said}");
        assert_eq!(answer["branches"][0]["by"], "processes", "{said}");
        assert_eq!(answer["branches"][0]["partitions"][0]["again"], 3, "{said}");
        consumed(&process, "redis", 2 * rows() + 3).await;
        all_committed(&rig).await;

        // A change that comes afterwards goes on from there.
        rig.upsert(7, 2, "bob").await;
        rig::until("the change", || async { rig.hash(7).await["rev"] == "2" }).await;
        all_committed(&rig).await;
    });
}

#[test]
fn a_rewind_is_committed_at_once_so_that_a_crash_does_not_undo_it() {
    let (_turn, stack) = alone(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = new(&stack, "rewindcrash").await;
        let mut process = Process::start(rig.directory());
        all_committed(&rig).await;
        let admin = process.admin().to_owned();
        // Redis takes no write from here on, so that nothing which comes again is committed before the crash.
        let mut connection = rig.redis().await;
        let mut pause = redis::cmd("CLIENT");
        pause.arg("PAUSE").arg(60_000).arg("WRITE");
        let () = pause.query_async(&mut connection).await.expect("paused");
        let arguments = [
            "--admin", &admin, "--branch", "redis", "--to", "earliest", "--yes",
        ];
        let output = rewind(&rig, &arguments).await;
        process.kill();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert!(committed(&rig, "redis").await.values().all(|at| *at == 0));
        let mut unpause = redis::cmd("CLIENT");
        unpause.arg("UNPAUSE");
        let () = unpause
            .query_async(&mut connection)
            .await
            .expect("it goes on");
        let process = Process::start(rig.directory());
        consumed(&process, "redis", rows()).await;
        all_committed(&rig).await;
    });
}

#[test]
fn a_stopped_group_is_turned_back_at_the_brokers_and_reads_from_there_when_it_starts() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = new(&stack, "rewindrests").await;
        let mut process = Process::start(rig.directory());
        all_committed(&rig).await;
        process.terminate().await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let then = jiff::Timestamp::now().to_string();
        for id in 0..10 {
            rig.upsert(id, 2, "bob").await;
        }
        let mut process = Process::start(rig.directory());
        all_committed(&rig).await;
        process.terminate().await;
        let output = rewind(&rig, &["--to", &then, "--yes", "--json"]).await;
        let said = text(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        for branch in answer["branches"].as_array().expect("branches") {
            assert_eq!(branch["by"], "kafka", "{said}");
            let steps = branch["partitions"].as_array().expect("partitions");
            let again: i64 = steps.iter().filter_map(|s| s["again"].as_i64()).sum();
            assert_eq!(again, 10, "{said}");
            let now = committed(
                &rig,
                branch["branch"]
                    .as_str()
                    .unwrap()
                    .rsplit('.')
                    .next()
                    .unwrap(),
            )
            .await;
            for step in steps {
                let partition = i32::try_from(step["partition"].as_i64().unwrap()).unwrap();
                let expected = step["target"].as_i64().or(step["committed"].as_i64());
                assert_eq!(Some(now[&partition]), expected, "{said}");
            }
        }
        let process = Process::start(rig.directory());
        for sink in ["elasticsearch", "redis"] {
            consumed(&process, sink, 10).await;
            assert_eq!(counts(&process, sink).await.1, 10, "{sink}");
        }
        all_committed(&rig).await;
        assert_eq!(rig.hash(3).await["rev"], "2");
    });
}

#[test]
fn what_would_lose_records_or_lies_beyond_the_log_or_belongs_to_others_is_refused() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = new(&stack, "rewindrefuses").await;
        let process = Process::start(rig.directory());
        all_committed(&rig).await;
        let before = committed(&rig, "redis").await;
        let end = before[&1];
        let admin = ["--admin", process.admin(), "--yes"];
        let refuses = async |arguments: &[&str], code: i32, why: &str| {
            let output = rewind(&rig, arguments).await;
            let said = text(&output);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
            assert!(said.contains(why), "{arguments:?}: {why}: {said}");
        };
        let beyond = (end + 5).to_string();
        let past_the_end = ["--partition", "1", "--to", &beyond];
        refuses(&[&admin[..], &past_the_end].concat(), 1, "the log holds").await;
        refuses(
            &[&admin[..], &["--to", "2199-01-01T00:00:00Z"]].concat(),
            1,
            "no record is of",
        )
        .await;
        refuses(&[&admin[..], &["--to", "3"]].concat(), 2, "--partition").await;
        refuses(
            &[&admin[..], &["--to", "earliest", "--branch", "mongo"]].concat(),
            2,
            "no sink",
        )
        .await;
        refuses(
            &[&admin[..], &["--to", "earliest", "--partition", "9"]].concat(),
            2,
            "0 to 3",
        )
        .await;
        refuses(
            &[&admin[..], &["--to", "yesterday"]].concat(),
            2,
            "earliest",
        )
        .await;
        // The settings' own admin address answers nobody: the members are elsewhere.
        refuses(&["--to", "earliest", "--yes"], 1, "has members").await;
        // The process checks by itself what it is asked, whoever asks.
        let url = format!(
            "http://{}/pipelines/{}/redis/rewind",
            process.admin(),
            rig.config.pipelines[0].name
        );
        let ask = async |token: &str, body: String| {
            let request = reqwest::Client::new()
                .post(&url)
                .bearer_auth(token)
                .body(body);
            request.send().await.expect("an answer").status().as_u16()
        };
        assert_eq!(ask("a-wrong-token-of-a-test", "{}".into()).await, 401);
        assert_eq!(ask(TOKEN, "{}".into()).await, 400);
        assert_eq!(ask(TOKEN, r#"{"to":{"9":0}}"#.into()).await, 409);
        assert_eq!(
            ask(TOKEN, format!(r#"{{"to":{{"1":{}}}}}"#, end + 1)).await,
            409
        );
        // Without the token the command is refused too.
        let settings = rig.directory().join("twolane.toml");
        let text_before = std::fs::read_to_string(&settings).expect("settings");
        std::fs::write(
            &settings,
            text_before.replace(&format!("token = \"{TOKEN}\""), ""),
        )
        .expect("settings");
        refuses(
            &[&admin[..], &["--to", "earliest"]].concat(),
            1,
            "admin.token",
        )
        .await;
        assert_eq!(committed(&rig, "redis").await, before);
        assert_eq!(counts(&process, "redis").await.0, rows());
    });
}

#[test]
fn forward_of_what_is_committed_is_refused_while_records_wait() {
    let stack = stack::plain(&["kafka", "elasticsearch", "redis"]);
    rig::system(async {
        let rig = new(&stack, "rewindforward").await;
        let mut process = Process::start(rig.directory());
        all_committed(&rig).await;
        process.terminate().await;
        let before = committed(&rig, "redis").await;
        for id in 0..ROWS {
            rig.upsert(id, 2, "bob").await;
        }
        let forward = (before[&1] + 1).to_string();
        let output = rewind(&rig, &["--partition", "1", "--to", &forward, "--yes"]).await;
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("would be lost"), "{said}");
        assert_eq!(committed(&rig, "redis").await, before);
    });
}
