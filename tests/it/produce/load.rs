//! A load tool of its own kind against the ingest as a process: what is acknowledged is what is in the topic, at a rate, over
//! a client's limit, and while Kafka is away.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::desk::{Desk, event, key};
use super::http::{KEY, keys};
use crate::faults::alone;
use crate::lane::rig;
use crate::process::{Process, free_port, listens};
use crate::stack;

/// vegeta.
struct Vegeta(PathBuf);

/// `twolane run ingest`.
struct Served {
    url: String,
    _process: Process,
}

/// One answer, and which events it was about.
#[derive(Debug)]
struct Answer {
    events: std::ops::Range<u64>,
    code: u64,
    accepted: u64,
    after: Option<u64>,
}

// === impl Served ===

impl Served {
    fn start(desk: &Desk, limits: &str) -> Self {
        keys(desk);
        let port = free_port();
        desk.settings(&format!(
            "[ingest]\nlisten = \"127.0.0.1:{port}\"\nkeys_file = \"keys\"\ntimeout = \"2s\"\n{limits}"
        ));
        let mut command = Command::new(env!("CARGO_BIN_EXE_twolane"));
        command.args(["run", "ingest"]).current_dir(desk.dir.path());
        let log = desk.dir.path().join("ingest.log");
        Self {
            url: format!("http://127.0.0.1:{port}/v1/events/{}", desk.topic),
            _process: Process::start(&mut command, &log, || listens(port)),
        }
    }
}

// === impl Vegeta ===

impl Vegeta {
    /// `None`, and said so, where it cannot be built.
    fn find() -> Option<Self> {
        stack::tool("vegeta").map(Self)
    }

    /// So many requests a second for so long, each of its own `batch` events; and what was answered to each.
    fn attack(&self, folder: &Path, url: &str, rate: u64, seconds: u64, batch: u64) -> Vec<Answer> {
        let targets = folder.join("targets");
        let mut lines = String::new();
        let kind = if batch == 1 {
            "application/json"
        } else {
            "application/x-ndjson"
        };
        for n in 0..rate * seconds {
            let first = n * batch;
            let body: String = (first..first + batch).map(|id| event(id) + "\n").collect();
            let target = json!({
                "method": "POST",
                // The ingest reads no query: it tells the answers apart.
                "url": format!("{url}?first={first}"),
                "header": {"Authorization": [format!("Bearer {KEY}")], "Content-Type": [kind]},
                "body": BASE64.encode(body),
            });
            lines += &format!("{target}\n");
        }
        std::fs::write(&targets, lines).expect("a file");
        let results = self.run(
            &[
                "attack",
                "-format=json",
                &format!("-targets={}", targets.display()),
                &format!("-rate={rate}/s"),
                &format!("-duration={seconds}s"),
                "-timeout=30s",
            ],
            &[],
        );
        println!(
            "{}",
            String::from_utf8_lossy(&self.run(&["report"], &results))
        );
        let encoded = self.run(&["encode", "-to=json"], &results);
        let encoded = String::from_utf8(encoded).expect("JSON is UTF-8");
        let answers: Vec<Answer> = encoded.lines().map(|line| answer(line, batch)).collect();
        assert_eq!(answers.len() as u64, rate * seconds);
        answers
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new(&self.0)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("vegeta starts");
        let mut to = child.stdin.take().expect("its input");
        let input = input.to_owned();
        let writer = std::thread::spawn(move || to.write_all(&input));
        let output = child.wait_with_output().expect("it ends");
        writer.join().expect("written").expect("it reads it all");
        assert!(output.status.success(), "vegeta {arguments:?} failed");
        output.stdout
    }
}

fn answer(line: &str, batch: u64) -> Answer {
    let result: Value = serde_json::from_str(line).expect("a result");
    let url = result["url"].as_str().expect("its address");
    let (_, first) = url.rsplit_once('=').expect("a query");
    let first = first.parse().expect("a number");
    let code = result["code"].as_u64().expect("a status");
    assert_ne!(code, 0, "no answer: {line}");
    let body = result["body"].as_str().unwrap_or_default();
    let body = BASE64.decode(body).expect("base64");
    let body: Value = serde_json::from_slice(&body).expect("an answer is JSON");
    let after = result["headers"]["Retry-After"][0].as_str();
    Answer {
        events: first..first + batch,
        code,
        accepted: body["accepted"].as_u64().unwrap_or(0),
        after: after.map(|seconds| seconds.parse().expect("whole seconds")),
    }
}

/// The keys that are in the topic, each of which must be there once.
async fn there(desk: &Desk) -> BTreeSet<String> {
    let records = desk.records().await;
    let keys: BTreeSet<String> = records.iter().map(key).collect();
    assert_eq!(keys.len(), records.len(), "an event is there twice");
    keys
}

fn keys_of<'a>(answers: impl Iterator<Item = &'a Answer>) -> BTreeSet<String> {
    let ids = answers.flat_map(|answer| answer.events.clone());
    ids.map(|id| format!("{{\"id\":{id}}}")).collect()
}

/// What was taken, and what was turned away with the time to come again. Nothing else is answered.
fn split(answers: &[Answer], turned: &[u64]) -> (BTreeSet<String>, BTreeSet<String>) {
    for answer in answers {
        if answer.code == 202 {
            let all = answer.events.end - answer.events.start;
            assert_eq!(answer.accepted, all, "{answer:?}");
        } else {
            assert!(turned.contains(&answer.code), "{answer:?}");
            assert!(answer.after.is_some_and(|s| s > 0), "{answer:?}");
        }
    }
    let taken = |answer: &&Answer| answer.code == 202;
    (
        keys_of(answers.iter().filter(taken)),
        keys_of(answers.iter().filter(|a| !taken(a))),
    )
}

#[test]
fn what_a_load_tool_is_told_was_acknowledged_is_what_is_in_the_topic() {
    let Some(vegeta) = Vegeta::find() else { return };
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        for (name, rate, batch) in [("single", 100, 1), ("batches", 20, 50)] {
            let desk = Desk::new(&stack, name, "avro", 3).await;
            let served = Served::start(&desk, "rate = 1000000\nburst = 1000000\n");
            let answers = vegeta.attack(desk.dir.path(), &served.url, rate, 5, batch);
            let (taken, turned) = split(&answers, &[]);
            assert_eq!((taken.len() as u64, turned.len()), (rate * 5 * batch, 0));
            assert_eq!(there(&desk).await, taken);
        }
    });
}

#[test]
fn over_a_clients_rate_it_is_turned_away_with_the_time_to_come_again_and_nothing_is_lost() {
    let Some(vegeta) = Vegeta::find() else { return };
    let stack = stack::plain(&["kafka"]);
    rig::system(async {
        for (name, rate, batch) in [("singles-over", 200, 1), ("batches-over", 20, 10)] {
            let desk = Desk::new(&stack, name, "json", 3).await;
            let served = Served::start(&desk, "rate = 50\nburst = 50\nmax_events = 50\n");
            let answers = vegeta.attack(desk.dir.path(), &served.url, rate, 3, batch);
            let (taken, turned) = split(&answers, &[429]);
            // What may be sent at once, and in three seconds and a little.
            assert!((150..=260).contains(&taken.len()), "{}", taken.len());
            assert!(turned.len() > 300, "{}", turned.len());
            assert_eq!(there(&desk).await, taken);
        }
    });
}

#[test]
fn while_kafka_is_away_it_is_told_so_and_nothing_that_was_acknowledged_is_missing() {
    let Some(vegeta) = Vegeta::find() else { return };
    let (_turn, stack) = alone(&["kafka"]);
    rig::system(async {
        let desk = Desk::new(&stack, "load-away", "json", 3).await;
        let served = Served::start(&desk, "rate = 1000000\nburst = 1000000\n");
        let (folder, url) = (desk.dir.path().to_owned(), served.url.clone());
        let attack = tokio::task::spawn_blocking(move || vegeta.attack(&folder, &url, 50, 25, 1));
        let fault = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            stack.stop("kafka").await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            stack.start("kafka").await;
        };
        let (answers, ()) = tokio::join!(attack, fault);
        let (taken, turned) = split(&answers.expect("it ends"), &[503]);
        assert!(!turned.is_empty(), "nobody noticed");
        // librdkafka begins a new epoch when a record has waited for too long: of what was on its way then, some may be there
        // twice, as the answer says.
        let there: BTreeSet<String> = desk.records().await.iter().map(key).collect();
        let missing: Vec<_> = taken.difference(&there).collect();
        assert!(missing.is_empty(), "{missing:?}");
    });
}
