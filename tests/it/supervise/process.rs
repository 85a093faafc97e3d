//! `twolane run` as a process of its own; none of these needs a server.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};

const TOKEN: &str = "a-token-of-a-test-run";
/// A branch fails five times within seconds, and so four times; each time it waits a second or two longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Specs of one pipeline whose servers are away, and an admin address that is free.
struct Folder {
    dir: tempfile::TempDir,
    admin: String,
}

impl Folder {
    fn new(brokers: &str, token: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let admin = free.local_addr().expect("its address").to_string();
        let at = |path: &str, text: String| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        at(
            "topics/t.toml",
            "name = \"t\"\nformat = \"debezium-json\"\nkey = [\"id\"]\npartitions = 1\nepoch = 1\n[columns]\nid = \"bigint\"\n".into(),
        );
        at(
            "pipelines/p.toml",
            "topic = \"t\"\n[[sink]]\ntype = \"redis\"\nkey = \"t:{id}\"\n[supervise]\nmax_restarts = 2\n".into(),
        );
        at(
            "twolane.toml",
            format!(
                "shutdown = \"1s\"\n[kafka]\nbrokers = \"{brokers}\"\n[redis]\nurl = \"redis://127.0.0.1:1\"\n[admin]\nlisten = \
                 \"{admin}\"\n{token}\n"
            ),
        );
        Self { dir, admin }
    }

    fn run(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_twolane"))
            .args(["run", "--settings", "twolane.toml"])
            .args(arguments)
            .current_dir(self.dir.path())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.dir.path().join("log")).expect("a log"))
            .spawn()
            .expect("twolane starts")
    }

    /// What the process has said so far.
    fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).expect("a log")
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> Option<(StatusCode, String)> {
        let url = format!("http://{}{path}", self.admin);
        let request = Client::new().request(method, url).bearer_auth(TOKEN);
        let response = request.body(body.to_owned()).send().await.ok()?;
        let status = response.status();
        Some((status, response.text().await.ok()?))
    }

    /// The same once it answers so.
    async fn until(&self, method: Method, path: &str, body: &str, wanted: StatusCode) -> String {
        let started = Instant::now();
        loop {
            match self.ask(method.clone(), path, body).await {
                Some((status, text)) if status == wanted => return text,
                last => assert!(started.elapsed() < PATIENCE, "{path}: {last:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Waits until the process has ended; its code.
async fn ended(mut child: Child) -> Option<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return status.code();
        }
        if started.elapsed() > PATIENCE {
            child.kill().expect("it runs");
            panic!("it does not end");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn with_token() -> String {
    format!("token = \"{TOKEN}\"")
}

#[actix_web::test]
async fn an_actor_that_fails_for_good_ends_the_process_with_the_reason_in_its_last_line() {
    let folder = Folder::new("127.0.0.1:1", &with_token());
    let child = folder.run(&["--chaos"]);
    let always = r#"{"actor": "p.redis/source", "step": "prepare", "fault": "panic", "times": 0}"#;
    folder
        .until(Method::POST, "/chaos", always, StatusCode::ACCEPTED)
        .await;
    let code = ended(child).await;
    let said = folder.said();
    assert_eq!(code, Some(1), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(
        last,
        "twolane: a supervisor gave up: durable failed: p.redis: 4 failures within 600s, the last one failed: \
         p.redis/source: 3 failures within 60s, the last one panicked: a planned failure at step prepare",
        "{said}"
    );
}

#[actix_web::test]
async fn the_tree_is_shown_and_an_actor_is_made_anew_for_whoever_has_the_token() {
    let folder = Folder::new("127.0.0.1:1", &with_token());
    let mut child = folder.run(&[]);
    let shown = |text: &str| -> serde_json::Value { serde_json::from_str(text).expect("JSON") };
    let worker =
        |tree: &serde_json::Value| tree["children"][0]["children"][0]["children"][0].clone();
    let started = Instant::now();
    let before = loop {
        let text = folder
            .until(Method::GET, "/actors", "", StatusCode::OK)
            .await;
        let tree = shown(&text);
        if worker(&tree)["state"] == "running" {
            break tree;
        }
        assert!(started.elapsed() < PATIENCE, "{tree}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(before["name"], "twolane");
    assert_eq!(before["children"][0]["name"], "durable");
    assert_eq!(
        before["children"][0]["children"][0]["strategy"],
        "one-for-one"
    );
    assert_eq!(worker(&before)["name"], "p.redis/worker-0");
    assert_eq!(worker(&before)["queue"], 0);
    assert!(
        worker(&before)["progress"]["age_seconds"].is_number(),
        "{before}"
    );
    let restart = "/actors/p.redis/worker-0/restart";
    let without = Client::new().post(format!("http://{}{restart}", folder.admin));
    let status = without.send().await.expect("an answer").status();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    folder
        .until(Method::POST, restart, "", StatusCode::ACCEPTED)
        .await;
    let started = Instant::now();
    loop {
        let text = folder
            .until(Method::GET, "/actors", "", StatusCode::OK)
            .await;
        let now = worker(&shown(&text));
        if now["restarts"] == 1 && now["state"] == "running" {
            assert_eq!(now["restart_asked_by"], "127.0.0.1");
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{now}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let plan = r#"{"actor": "p.redis/worker-0", "step": "decode", "fault": "panic"}"#;
    let (status, why) = folder
        .ask(Method::POST, "/chaos", plan)
        .await
        .expect("an answer");
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(why.contains("--chaos"), "{why}");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[actix_web::test]
async fn without_a_configured_token_a_restart_is_refused_with_what_to_do() {
    let folder = Folder::new("127.0.0.1:1", "");
    let mut child = folder.run(&[]);
    let restart = "/actors/p.redis/worker-0/restart";
    let why = folder
        .until(Method::POST, restart, "", StatusCode::FORBIDDEN)
        .await;
    assert!(why.contains("set admin.token"), "{why}");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[actix_web::test]
async fn failures_on_demand_are_refused_beyond_this_machine() {
    let folder = Folder::new("kafka.example.com:9092", &with_token());
    let code = ended(folder.run(&["--chaos"])).await;
    assert_eq!(code, Some(2));
    let said = folder.said();
    assert!(
        said.contains("kafka.brokers = \"kafka.example.com:9092\""),
        "{said}"
    );
}
