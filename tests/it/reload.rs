//! `twolane reload`, SIGHUP and what a reload refuses. None of these needs a server: what a reload does under load is a row
//! of the fault matrix.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const TOKEN: &str = "a-token-of-a-reload";
const PATIENCE: Duration = Duration::from_secs(60);

/// A process whose servers are away, with the pipelines `p` and `q`.
struct Running {
    dir: tempfile::TempDir,
    admin: String,
    child: Child,
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

fn settings(admin: &str, more: &str, token: &str) -> String {
    format!(
        "shutdown = \"1s\"\n[kafka]\nbrokers = \"127.0.0.1:1\"\n{more}\n[redis]\nurl = \"redis://127.0.0.1:1\"\n[admin]\nlisten = \
         \"{admin}\"\n{token}\n"
    )
}

fn pipeline(prefix: &str, more: &str) -> String {
    format!("topic = \"t\"\n{more}\n[[sink]]\ntype = \"redis\"\nkey = \"{prefix}:{{id}}\"\n")
}

// === impl Running ===

impl Running {
    async fn start(arguments: &[&str], token: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let admin = free.local_addr().expect("its address").to_string();
        drop(free);
        let topic = "name = \"t\"\nformat = \"debezium-json\"\nkey = [\"id\"]\npartitions = 1\nepoch = 1\n[columns]\nid = \"bigint\"\n";
        write(dir.path(), "topics/t.toml", topic);
        write(dir.path(), "pipelines/p.toml", &pipeline("p", ""));
        write(dir.path(), "pipelines/q.toml", &pipeline("q", ""));
        write(dir.path(), "twolane.toml", &settings(&admin, "", token));
        let child = Command::new(env!("CARGO_BIN_EXE_twolane"))
            .args(["run", "--settings", "twolane.toml"])
            .args(arguments)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("log")).expect("a log"))
            .spawn()
            .expect("twolane starts");
        let running = Self { dir, admin, child };
        running
            .until("the actors to run", |tree| names(tree).len() >= 2)
            .await;
        running
    }

    fn write(&self, path: &str, text: &str) {
        write(self.dir.path(), path, text);
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).expect("a log")
    }

    /// `twolane reload` in its folder.
    fn reload(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_twolane"))
            .args(["reload", "--admin", &self.admin])
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .expect("twolane reload runs")
    }

    async fn tree(&self) -> Option<Value> {
        let url = format!("http://{}/actors", self.admin);
        reqwest::get(url).await.ok()?.json().await.ok()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let started = Instant::now();
        loop {
            let tree = self.tree().await;
            if tree.as_ref().is_some_and(&holds) {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "waited in vain: {what}: {tree:?}\n{}",
                self.said()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn branches(&self) -> Vec<String> {
        self.tree().await.as_ref().map(names).unwrap_or_default()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended where a test got to its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The branches of the durable lane.
fn names(tree: &Value) -> Vec<String> {
    let lanes = tree["children"].as_array().into_iter().flatten();
    let durable = lanes.filter(|lane| lane["name"] == "durable");
    let branches = durable.flat_map(|lane| lane["children"].as_array().into_iter().flatten());
    let mut names: Vec<String> = branches
        .filter_map(|b| Some(b["name"].as_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn token() -> String {
    format!("token = \"{TOKEN}\"")
}

/// A line of the table that the command prints.
fn line<'a>(text: &'a str, branch: &str) -> &'a str {
    let mut lines = text.lines();
    lines
        .find(|line| line.starts_with(branch))
        .unwrap_or_default()
}

#[actix_web::test]
async fn what_means_the_same_is_left_alone_and_what_differs_says_in_what() {
    let running = Running::start(&[], &token()).await;
    // Another spelling of the same.
    running.write(
        "pipelines/p.toml",
        &format!("# the same\n{}\n", pipeline("p", "")),
    );
    running.write(
        "pipelines/q.toml",
        &pipeline("q", "[document]\nomit = [\"secret\"]"),
    );
    running.write(
        "pipelines/r.toml",
        &pipeline("r", "[supervise]\nmax_restarts = 3"),
    );
    let output = running.reload(&[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(line(&said, "p.redis").contains("unchanged"), "{said}");
    let changed = line(&said, "q.redis");
    assert!(
        changed.contains("changed") && changed.ends_with("document"),
        "{said}"
    );
    assert!(line(&said, "r.redis").contains("added"), "{said}");
    assert_eq!(running.branches().await, ["p.redis", "q.redis", "r.redis"]);
    std::fs::remove_file(running.dir.path().join("pipelines/q.toml")).expect("it was there");
    let answer: Value = serde_json::from_slice(&running.reload(&["--json"]).stdout).expect("JSON");
    let change = |sink: &str| {
        let all = answer["branches"].as_array().expect("branches");
        let of = all.iter().find(|b| b["pipeline"] == sink);
        of.expect("the branch")["change"].clone()
    };
    assert_eq!(
        [change("p"), change("q"), change("r")],
        ["unchanged", "removed", "unchanged"]
    );
    assert_eq!(running.branches().await, ["p.redis", "r.redis"]);
}

#[actix_web::test]
async fn a_change_of_a_topic_changes_every_pipeline_of_it() {
    let running = Running::start(&[], &token()).await;
    let topic = "name = \"t\"\nformat = \"debezium-json\"\nkey = [\"id\"]\npartitions = 1\nepoch = 2\n[columns]\nid = \"bigint\"\n";
    running.write("topics/t.toml", topic);
    let said = text(&running.reload(&[]));
    for branch in ["p.redis", "q.redis"] {
        let line = line(&said, branch);
        assert!(
            line.contains("changed") && line.ends_with("topic"),
            "{said}"
        );
    }
}

#[actix_web::test]
async fn a_bad_file_changes_nothing_and_every_problem_is_told_with_its_place() {
    let running = Running::start(&[], &token()).await;
    running.write(
        "pipelines/p.toml",
        &pipeline("p", "[document]\nomit = [\"x\"]"),
    );
    running.write(
        "pipelines/q.toml",
        "topic = \"t\"\n[[sink]]\ntype = \"rediss\"\nkey = \"q:{id}\"\n",
    );
    running.write("topics/u.toml", "name = \"u\"\n");
    let output = running.reload(&[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for place in ["pipelines/q.toml:3:", "topics/u.toml", "type"] {
        assert!(said.contains(place), "{place}: {said}");
    }
    let output = running.reload(&["--json"]);
    assert_eq!(output.status.code(), Some(2));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let problems = answer["problems"].as_array().expect("problems");
    assert!(problems.len() >= 2, "{answer}");
    let of = |file: &str| {
        let mut all = problems.iter();
        all.find(|p| p["file"].as_str().is_some_and(|f| f.ends_with(file)))
            .cloned()
    };
    let problem = of("q.toml").expect("the pipeline's problem");
    assert_eq!(problem["line"], 3, "{answer}");
    assert!(
        problem["message"]
            .as_str()
            .is_some_and(|m| m.contains("rediss")),
        "{answer}"
    );
    // Not even what was right.
    running.signal("HUP");
    let started = Instant::now();
    while running.said().matches("nothing has changed").count() < 3 {
        assert!(started.elapsed() < PATIENCE, "{}", running.said());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(running.branches().await, ["p.redis", "q.redis"]);
    let said = running.said();
    let did = said.replace("not reloaded", "");
    assert!(
        !did.contains("reloaded") && !did.contains("draining"),
        "{said}"
    );
    // Once they are right, all of it.
    running.write("pipelines/q.toml", &pipeline("q", ""));
    std::fs::remove_file(running.dir.path().join("topics/u.toml")).expect("it was there");
    let said = text(&running.reload(&[]));
    assert!(line(&said, "p.redis").ends_with("document"), "{said}");
    assert!(line(&said, "q.redis").contains("unchanged"), "{said}");
}

#[actix_web::test]
async fn a_sighup_reloads_and_does_not_end_the_process() {
    let running = Running::start(&[], &token()).await;
    running.write("pipelines/r.toml", &pipeline("r", ""));
    running.signal("HUP");
    running
        .until("the new pipeline", |tree| {
            names(tree).contains(&"r.redis".to_owned())
        })
        .await;
}

#[actix_web::test]
async fn settings_that_need_a_restart_are_named_each_time_and_the_others_are_taken_over() {
    let running = Running::start(&[], &token()).await;
    let more = "session_timeout = \"12s\"\nproperties = { \"client.rack\" = \"a-secret-rack\" }";
    let changed = settings(&running.admin, more, &token()) + "[log]\nfilter = \"warn\"\n";
    running.write("twolane.toml", &changed);
    let mut before = 0;
    for round in 0..2 {
        before = running.said().len();
        let output = running.reload(&[]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        for name in ["kafka.session_timeout", "kafka.properties"] {
            assert!(
                said.contains(&format!("needs a restart: {name} ")),
                "{said}"
            );
        }
        assert!(!said.contains("a-secret-rack"), "{said}");
        assert!(line(&said, "p.redis").contains("unchanged"), "{said}");
        // Taken over once.
        assert_eq!(
            said.contains("taken over: log.filter"),
            round == 0,
            "{said}"
        );
    }
    let said = running.said();
    assert!(!said.contains("a-secret-rack"), "{said}");
    // What the second reload says is of the new filter.
    let since = said.get(before..).unwrap_or_default();
    assert!(since.contains("WARN") && !since.contains("INFO"), "{since}");
}

#[actix_web::test]
async fn a_process_that_was_started_for_a_pipeline_stays_with_it() {
    let running = Running::start(&["p", "q"], &token()).await;
    running.write("pipelines/r.toml", &pipeline("r", ""));
    let said = text(&running.reload(&[]));
    assert!(!said.contains("r.redis"), "{said}");
    std::fs::remove_file(running.dir.path().join("pipelines/q.toml")).expect("it was there");
    let output = running.reload(&[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no pipeline \"q\""), "{said}");
    assert_eq!(running.branches().await, ["p.redis", "q.redis"]);
}

#[actix_web::test]
async fn without_the_token_nothing_is_reloaded() {
    let running = Running::start(&[], &token()).await;
    running.write("pipelines/r.toml", &pipeline("r", ""));
    let url = format!("http://{}/reload", running.admin);
    let answer = reqwest::Client::new().post(&url).send().await;
    assert_eq!(answer.expect("an answer").status(), 401);
    running.write("twolane.toml", &settings(&running.admin, "", ""));
    let output = running.reload(&[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("admin.token"), "{said}");
    assert_eq!(running.branches().await, ["p.redis", "q.redis"]);
    drop(running);
    let running = Running::start(&[], "").await;
    let output = running.reload(&[]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no token is configured"), "{said}");
}
