//! The rules and the dashboard of `deploy/observability`, in a real Prometheus that scrapes a real process.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::promql;
use crate::lane::rig::{Options, Rig, create_topic, system, until};
use crate::live_auth::rig::Server;
use crate::process::{Process, free_port};
use crate::stack::{self, Stack};

const SERVICES: [&str; 5] = ["kafka", "elasticsearch", "redis", "nats", "prometheus"];

fn observability() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/observability")
}

/// Everything that a process can run, with a branch that works and one that halts.
struct Everything {
    rig: Rig,
    admin: String,
    _nats: Server,
    _process: Process,
}

impl Everything {
    async fn start(stack: &Stack) -> Self {
        let nats = Server::start();
        let settings = format!(
            "[nats]\nurl = \"nats://127.0.0.1:{nats}\"\nusername = \"{user}\"\npassword = \"{password}\"\n\
             [live.auth]\nalgorithm = \"HS256\"\nkey = \"{key}\"\nissuer = \"{issuer}\"\n\
             [live.callout]\nissuer_seed = \"{seed}\"\nusername = \"{callout}\"\npassword = \"{callout_password}\"\n\
             [gateway]\nlisten = \"127.0.0.1:{gateway}\"\nnats_username = \"{gateway_user}\"\nnats_password = \"{gateway_password}\"\n\
             [ingest]\nlisten = \"127.0.0.1:{ingest}\"\nkeys_file = \"ingest.keys\"\n",
            nats = nats.port(),
            user = stack.get("NATS_USER"),
            password = stack.get("NATS_PASSWORD"),
            key = stack.get("TOKEN_KEY"),
            issuer = stack.get("TOKEN_ISSUER"),
            seed = stack.get("NATS_ISSUER_SEED"),
            callout = stack.get("NATS_CALLOUT_USER"),
            callout_password = stack.get("NATS_CALLOUT_PASSWORD"),
            gateway = free_port(),
            gateway_user = stack.get("NATS_GATEWAY_USER"),
            gateway_password = stack.get("NATS_GATEWAY_PASSWORD"),
            ingest = free_port(),
        );
        let rig = Rig::new(stack, "observed", Options::default()).await;
        let at = |path: &str, text: &str| {
            std::fs::write(rig.directory().join(path), text).expect("a file");
        };
        let file = rig.directory().join("twolane.toml");
        let plain = std::fs::read_to_string(&file).expect("the settings");
        at("twolane.toml", &format!("{plain}{settings}"));
        at("ingest.keys", &format!("client {}\n", "k".repeat(32)));
        at("topics/live.toml", "");
        // The topic has one partition, and its spec says two.
        let wrong = format!("{}.wrong", rig.topic);
        create_topic(stack.get("KAFKA"), &wrong, 1, &[]).await;
        at(
            "topics/wrong.toml",
            &format!(
                "name = \"{wrong}\"\nformat = \"debezium-json\"\nkey = [\"id\"]\npartitions = 2\nepoch = 1\n[columns]\nid = \"bigint\"\n"
            ),
        );
        at(
            "pipelines/wrong.toml",
            &format!(
                "topic = \"{wrong}\"\n[[sink]]\ntype = \"redis\"\nkey = \"{}-wrong:{{id}}\"\n",
                rig.prefix
            ),
        );
        let admin = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_twolane"));
        command
            .args(["run", "--settings", "twolane.toml"])
            .env("TWOLANE_ADMIN_LISTEN", &admin)
            .current_dir(rig.directory());
        let log = rig.directory().join("log");
        let process = Process::start(&mut command, &log, || {
            std::net::TcpStream::connect(&admin).is_ok()
        });
        Self {
            rig,
            admin,
            _nats: nats,
            _process: process,
        }
    }

    async fn metrics(&self) -> String {
        let answer = reqwest::get(format!("http://{}/metrics", self.admin)).await;
        answer.expect("an answer").text().await.expect("text")
    }
}

/// The names of the samples of an exposition.
fn exposed(metrics: &str) -> BTreeSet<String> {
    let samples = metrics.lines().filter(|l| !l.starts_with('#'));
    let name = |l: &str| l.split(['{', ' ']).next().unwrap_or_default().to_owned();
    samples.map(name).collect()
}

/// Every expression of the dashboard, with Grafana's variables given a value.
fn dashboard() -> Vec<String> {
    fn walk(value: &Value, to: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    match inner {
                        Value::String(text) if name == "expr" => to.push(text.clone()),
                        // label_values(series{…}, label): what its variables ask.
                        Value::String(text) if name == "definition" => {
                            let asked = text.strip_prefix("label_values(").expect("label_values");
                            let (selector, _) = asked.rsplit_once(',').expect("a label");
                            to.push(selector.to_owned());
                        }
                        other => walk(other, to),
                    }
                }
            }
            Value::Array(all) => all.iter().for_each(|inner| walk(inner, to)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let file = observability().join("grafana/dashboards/twolane.json");
    let text = std::fs::read_to_string(file).expect("the dashboard");
    let json: Value = serde_json::from_str(&text).expect("the dashboard is JSON");
    let mut found = Vec::new();
    walk(&json, &mut found);
    assert!(found.len() > 30, "{found:?}");
    let filled = |e: String| {
        e.replace("$__rate_interval", "1m")
            .replace("$pipeline", ".*")
            .replace("$sink", ".*")
    };
    let filled: Vec<String> = found.into_iter().map(filled).collect();
    assert!(
        filled.iter().all(|e| !e.contains('$')),
        "a variable without a value: {filled:?}"
    );
    filled
}

async fn ask(stack: &Stack, path: &str, query: &[(&str, &str)]) -> Option<Value> {
    let mut url = reqwest::Url::parse(&format!("{}/api/v1/{path}", stack.get("PROMETHEUS")))
        .expect("an address");
    url.query_pairs_mut().extend_pairs(query);
    let answer = reqwest::get(url).await.ok()?;
    let answer: Value = answer.json().await.ok()?;
    assert_eq!(answer["status"], "success", "{path} {query:?}: {answer}");
    Some(answer["data"].clone())
}

/// Every rule that Prometheus has loaded.
async fn rules(stack: &Stack) -> Vec<Value> {
    let data = ask(stack, "rules", &[]).await.unwrap_or_default();
    let groups = data["groups"].as_array().cloned().unwrap_or_default();
    let of = |g: Value| g["rules"].as_array().cloned().unwrap_or_default();
    groups.into_iter().flat_map(of).collect()
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(observability())
        .output()
        .expect("promtool comes with Debian's prometheus");
    assert!(
        output.status.success(),
        "promtool {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn promtool_takes_the_rules_and_the_example_and_every_alert_passes_its_cases() {
    stack::plain(&["prometheus"]);
    promtool(&["check", "config", "prometheus.yml"]);
    promtool(&["check", "rules", "twolane.rules.yml"]);
    promtool(&["test", "rules", "twolane.rules.test.yml"]);
    let read = |name: &str| std::fs::read_to_string(observability().join(name)).expect("a file");
    let (rules, cases) = (read("twolane.rules.yml"), read("twolane.rules.test.yml"));
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|l| l.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 15, "{alerts:?}");
    for alert in alerts {
        for case in ["fires", "is silent"] {
            assert!(
                cases.contains(&format!("- name: {alert} {case}\n")),
                "no case: {alert} {case}"
            );
        }
    }
}

#[test]
fn prometheus_evaluates_the_rules_on_a_process_whose_halted_branch_it_reports() {
    system(async {
        let stack = stack::plain(&SERVICES);
        let all = Everything::start(&stack).await;
        // A process has every series from its start, but for reasons, which have names only once there are some.
        for id in 0..20 {
            all.rig.upsert(id, 1, "x").await;
        }
        all.rig.send(Some("{\"id\":99}"), Some("no JSON")).await;
        until("everything to be at work", || async {
            let metrics = all.metrics().await;
            let has = |part: &str| {
                metrics
                    .lines()
                    .any(|l| l.contains(part) && !l.ends_with(" 0"))
            };
            has("stage=\"acknowledged\"")
                && has("twolane_record_reasons_total{")
                && has("twolane_last_freshness_seconds{")
        })
        .await;

        stack.stop("prometheus").await;
        stack
            .start_with("prometheus", "TWOLANE_STACK_SCRAPE", &all.admin)
            .await;

        let loaded = std::cell::RefCell::new(Vec::new());
        until("every rule to be evaluated", || async {
            let now = rules(&stack).await;
            let done = !now.is_empty() && now.iter().all(|r| r["health"] == "ok");
            loaded.replace(now);
            done
        })
        .await;
        let loaded = loaded.into_inner();
        assert!(loaded.len() > 20, "{loaded:?}");

        let expressions = loaded
            .iter()
            .map(|r| r["query"].as_str().expect("a query").to_owned());
        let expressions: Vec<String> = expressions.chain(dashboard()).collect();
        let recorded: BTreeSet<String> = loaded
            .iter()
            .filter(|r| r["type"] == "recording")
            .map(|r| r["name"].as_str().expect("a name").to_owned())
            .collect();
        let exposed = exposed(&all.metrics().await);
        for expression in &expressions {
            for name in promql::series(expression) {
                let known = name == "up" || recorded.contains(&name) || exposed.contains(&name);
                assert!(
                    known,
                    "/metrics has no series {name}, which is named in {expression}"
                );
            }
            // Prometheus itself understands it.
            assert!(
                ask(&stack, "query", &[("query", expression)])
                    .await
                    .is_some()
            );
        }

        until("the alert of the halted branch", || async {
            let data = ask(&stack, "alerts", &[]).await.unwrap_or_default();
            let alerts = data["alerts"].as_array().cloned().unwrap_or_default();
            alerts.iter().any(|a| {
                a["labels"]["alertname"] == "TwolaneBranchHalted"
                    && a["labels"]["pipeline"] == "wrong"
                    && a["state"] == "firing"
                    && a["annotations"]["runbook_url"] == "deploy/RUNBOOK.md#halted"
            })
        })
        .await;
        let of_the_other = ask(&stack, "alerts", &[]).await.expect("alerts");
        let of_the_other = of_the_other["alerts"].as_array().expect("a list").clone();
        let halted = of_the_other
            .iter()
            .filter(|a| a["labels"]["alertname"] == "TwolaneBranchHalted");
        assert_eq!(halted.count(), 1, "{of_the_other:?}");

        // What the process says of the halt leads to the same page.
        let pipelines = reqwest::get(format!("http://{}/pipelines", all.admin))
            .await
            .expect("an answer");
        let pipelines: Value = pipelines.json().await.expect("JSON");
        let wrong = pipelines
            .as_array()
            .expect("a list")
            .iter()
            .find(|p| p["pipeline"] == "wrong");
        let branch = &wrong.expect("the pipeline")["branches"][0];
        assert_eq!(
            (&branch["state"], &branch["runbook"]),
            (&"halted".into(), &"partition-count".into()),
            "{branch}"
        );
        let age = |b: &Value| b["staleness_seconds"].as_f64().expect("a number");
        let before = age(branch);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let pipelines = reqwest::get(format!("http://{}/pipelines", all.admin))
            .await
            .expect("an answer");
        let pipelines: Value = pipelines.json().await.expect("JSON");
        let wrong = pipelines
            .as_array()
            .expect("a list")
            .iter()
            .find(|p| p["pipeline"] == "wrong");
        assert!(age(&wrong.expect("the pipeline")["branches"][0]) > before + 1.0);
    });
}
