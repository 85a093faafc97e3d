use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::branch::{Control, Pausing};
use crate::config::{self, LoadOptions};
use crate::ops::audit::{Entry, Outcome};
use crate::ops::view::testing::{branch, child};
use crate::ops::view::{BranchView, ChildView, NodeView, Resumed};
use crate::ops::{GatewayView, LiveView};
use crate::supervise::{Asked, Chaos};

const TOKEN: &str = "0123456789abcdef";

#[derive(Default)]
struct Fake {
    live: Option<LiveView>,
    branches: Option<Vec<BranchView>>,
    children: Vec<ChildView>,
    resumed: AtomicUsize,
    /// Of every branch that is running.
    control: Control,
    restarted: std::sync::Mutex<Vec<(String, String)>>,
    chaos: Option<Arc<Chaos>>,
}

impl Subject for Fake {
    fn branches(&self) -> Option<Vec<BranchView>> {
        self.branches.clone()
    }
    fn children(&self) -> Vec<ChildView> {
        self.children.clone()
    }
    fn live(&self) -> Option<LiveView> {
        self.live.clone().or_else(|| Some(LiveView::sample()))
    }
    fn gateway(&self) -> Option<GatewayView> {
        Some(GatewayView::sample())
    }
    fn tree(&self) -> NodeView {
        let leaf = |child: &ChildView| NodeView {
            child: child.clone(),
            strategy: None,
            children: vec![],
            more: 0,
        };
        NodeView {
            child: child("twolane", "running"),
            strategy: Some("one-for-one"),
            children: self.children.iter().map(leaf).collect(),
            more: 3,
        }
    }
    fn restart(&self, child: &str, who: &str) -> Asked {
        match self.children.iter().find(|c| c.name == child) {
            Some(c) if c.state == "ended" => Asked::Ended,
            Some(_) => {
                let mut restarted = self.restarted.lock().unwrap();
                restarted.push((child.into(), who.into()));
                Asked::Restarting
            }
            None => Asked::Unknown,
        }
    }
    fn chaos(&self) -> Option<Arc<Chaos>> {
        self.chaos.clone()
    }
    fn steps(&self, child: &str) -> Option<&'static [&'static str]> {
        let known = self.children.iter().any(|c| c.name == child);
        known.then_some(&["decode", "write"])
    }
    fn pause(&self, pipeline: &str, sink: &str, who: &str) -> Option<Pausing> {
        let mut all = self.branches.iter().flatten();
        let found = all.find(|b| b.pipeline == pipeline && b.sink == sink)?;
        Some(match found.state {
            "running" => self.control.pause(who),
            _ => Pausing::AtRest,
        })
    }
    fn resume(&self, pipeline: &str, sink: &str) -> Resumed {
        let mut all = self.branches.iter().flatten();
        match all.find(|b| b.pipeline == pipeline && b.sink == sink) {
            Some(b) if b.state == "halted" => {
                self.resumed.fetch_add(1, Ordering::Relaxed);
                Resumed::Resumed
            }
            Some(_) if self.control.resume() => Resumed::Resumed,
            Some(_) => Resumed::NotHalted,
            None => Resumed::Unknown,
        }
    }
}

fn two() -> Arc<Fake> {
    let mut halted = branch("p", "elasticsearch");
    halted.state = "halted";
    halted.reason = Some("200 of the last 1000 records were rejected".into());
    let mut waiting = child("p.redis/source", "waiting");
    waiting.last_exit = Some("failed: no broker".into());
    Arc::new(Fake {
        branches: Some(vec![halted, branch("p", "redis")]),
        children: vec![child("p.elasticsearch/worker-0", "running"), waiting],
        ..Fake::default()
    })
}

/// Settings of an empty folder, with the token, and an audit file where one is given.
fn settings(audit_file: Option<std::path::PathBuf>) -> Arc<Settings> {
    let folder = tempfile::tempdir().unwrap();
    let options = LoadOptions {
        directory: folder.path().to_owned(),
        // Nobody listens there.
        variables: [("TWOLANE_KAFKA_BROKERS".to_owned(), "127.0.0.1:1".to_owned())].into(),
        ..LoadOptions::default()
    };
    let settings = config::load_settings(&options);
    let mut settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
    settings.admin.token = Some(Secret::new(TOKEN));
    settings.admin.audit_file = audit_file;
    Arc::new(settings)
}

fn on_any_port() -> Arc<Settings> {
    let mut settings = Settings::clone(&settings(None));
    settings.admin.listen.set_port(0);
    Arc::new(settings)
}

async fn ask(subject: &Arc<Fake>, request: TestRequest) -> (StatusCode, String) {
    let subject: Arc<dyn Subject> = Arc::clone(subject) as Arc<dyn Subject>;
    ask_of(
        &shared(&settings(None), subject, Vec::new()).unwrap(),
        request,
    )
    .await
}

async fn ask_of(shared: &web::Data<Shared>, request: TestRequest) -> (StatusCode, String) {
    let app = App::new()
        .app_data(web::Data::clone(shared))
        .configure(answers::routes);
    let app = init_service(app).await;
    let response = call_service(&app, request.to_request()).await;
    let status = response.status();
    let body = read_body(response).await;
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(subject: &Arc<Fake>, path: &str) -> (StatusCode, Value) {
    let (status, body) = ask(subject, TestRequest::get().uri(path)).await;
    (status, serde_json::from_str(&body).unwrap())
}

fn with_token(request: TestRequest) -> TestRequest {
    request.insert_header(("Authorization", format!("Bearer {TOKEN}")))
}

fn post(path: &str, peer: &str) -> TestRequest {
    TestRequest::post()
        .uri(path)
        .peer_addr(peer.parse().unwrap())
}

#[actix::test]
async fn it_is_ready_only_when_every_branch_and_its_actors_are_at_work() {
    let not_yet = Arc::new(Fake::default());
    assert_eq!(get(&not_yet, "/live").await.0, StatusCode::OK);
    let (status, body) = get(&not_yet, "/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["not_ready"][0]["state"], "starting");

    let (status, body) = get(&two(), "/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let why = &body["not_ready"];
    assert_eq!(why[0]["name"], "p.elasticsearch");
    assert_eq!(
        why[0]["reason"],
        "200 of the last 1000 records were rejected"
    );
    assert_eq!(why[1]["name"], "p.redis/source");
    assert_eq!(why[1]["reason"], "its last run ended: failed: no broker");

    let all = Arc::new(Fake {
        branches: Some(vec![branch("p", "redis")]),
        // Another branch's actor, whose name begins alike.
        children: vec![
            child("p.redis/worker-0", "running"),
            child("p.redis2/source", "ended"),
        ],
        ..Fake::default()
    });
    let (status, body) = get(&all, "/ready").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["ready"], true);
}

#[actix::test]
async fn it_is_not_ready_without_nats_nor_without_a_part_of_the_live_lane() {
    let mut fake = Fake {
        branches: Some(vec![]),
        children: vec![
            child("live/comments", "running"),
            child("live/likes", "waiting"),
        ],
        ..Fake::default()
    };
    let (status, body) = get(&Arc::new(fake), "/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["not_ready"][0]["name"], "live/likes");
    for (connected, streams) in [(false, true), (true, false)] {
        fake = Fake {
            branches: Some(vec![]),
            live: Some(LiveView {
                connected,
                streams,
                ..LiveView::sample()
            }),
            ..Fake::default()
        };
        let (status, body) = get(&Arc::new(fake), "/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body["not_ready"][0]["name"], "live");
    }
}

#[actix::test]
async fn pipelines_show_state_tally_lag_and_actors_of_each_branch() {
    let (status, body) = get(&two(), "/pipelines").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body.as_array().unwrap().len(), 1);
    assert_eq!(body[0]["pipeline"], "p");
    assert_eq!(body[0]["topic"], "app.p");
    let elasticsearch = &body[0]["branches"][0];
    assert_eq!(elasticsearch["state"], "halted");
    assert_eq!(elasticsearch["records"]["consumed"], 100);
    assert_eq!(elasticsearch["lag"], 30);
    assert_eq!(elasticsearch["partitions"][0]["committed"], 60);
    assert_eq!(
        elasticsearch["actors"][0]["name"],
        "p.elasticsearch/worker-0"
    );
    assert_eq!(elasticsearch["freshness_seconds"]["count"], 2);
    assert_eq!(body[0]["branches"][1]["actors"][0]["state"], "waiting");

    let (_, actors) = get(&two(), "/actors").await;
    assert_eq!(actors["strategy"], "one-for-one");
    assert_eq!(actors["children"][1]["last_exit"], "failed: no broker");
    assert_eq!(actors["children"][1]["queue"], 0);
    assert_eq!(actors["more"], 3);
}

#[actix::test]
async fn a_halted_branch_is_resumed_once_it_is_named_rightly() {
    let subject = two();
    let post = |path| with_token(post(path, "127.0.0.1:4000"));
    let (status, _) = ask(&subject, post("/pipelines/p/elasticsearch/resume")).await;
    assert_eq!(status, StatusCode::OK);
    let (status, body) = ask(&subject, post("/pipelines/p/redis/resume")).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(body.contains("p.redis is not halted"), "{body}");
    let (status, body) = ask(&subject, post("/pipelines/p/kafka/resume")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("/pipelines/p/elasticsearch/resume"), "{body}");
    assert_eq!(subject.resumed.load(Ordering::Relaxed), 1);
}

#[actix::test]
async fn nobody_resumes_without_the_token_and_no_other_web_page_with_it() {
    let subject = two();
    let path = "/pipelines/p/elasticsearch/resume";
    for peer in ["192.0.2.7:4000", "127.0.0.1:4000"] {
        let (status, body) = ask(&subject, post(path, peer)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(body.contains("admin.token"), "{body}");
        // A header cannot change where a connection comes from.
        let forged = post(path, peer).insert_header(("X-Forwarded-For", "127.0.0.1"));
        assert_eq!(ask(&subject, forged).await.0, StatusCode::UNAUTHORIZED);
        let page = with_token(post(path, peer)).insert_header(("Origin", "http://example.com"));
        assert_eq!(ask(&subject, page).await.0, StatusCode::FORBIDDEN);
    }
    assert_eq!(subject.resumed.load(Ordering::Relaxed), 0);
}

#[actix::test]
async fn a_branch_is_paused_once_and_resumed_and_a_halted_one_is_not() {
    let subject = two();
    let post = |path| with_token(post(path, "192.0.2.7:4000"));
    let (status, _) = ask(&subject, post("/pipelines/p/redis/pause")).await;
    assert_eq!(status, StatusCode::OK);
    let (status, body) = ask(&subject, post("/pipelines/p/redis/pause")).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(body.contains("by 192.0.2.7 (token "), "{body}");
    let (status, body) = ask(&subject, post("/pipelines/p/elasticsearch/pause")).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(body.contains("halted"), "{body}");
    let (status, body) = ask(&subject, post("/pipelines/p/kafka/pause")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("/pipelines/p/redis/pause"), "{body}");
    let (status, _) = ask(&subject, post("/pipelines/p/redis/resume")).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = ask(&subject, post("/pipelines/p/redis/resume")).await;
    assert_eq!(status, StatusCode::CONFLICT);
}

#[actix::test]
async fn a_paused_branch_is_as_it_should_be() {
    let mut paused = branch("p", "redis");
    paused.state = "paused";
    let all = Arc::new(Fake {
        branches: Some(vec![paused]),
        ..Fake::default()
    });
    let (status, body) = get(&all, "/ready").await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

#[actix::test]
async fn every_action_is_noted_with_who_asked_and_what_became_of_it_and_never_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.ndjson");
    let subject: Arc<dyn Subject> = two();
    let shared = shared(&settings(Some(file.clone())), subject, Vec::new()).unwrap();
    let far = "192.0.2.7:4000";
    let paths = [
        "/pipelines/p/redis/pause",
        "/pipelines/p/redis/resume",
        "/pipelines/p/redis/resume",
        "/actors/p.redis/source/restart",
        "/dead/app.nobodys/7/replay",
    ];
    for path in paths {
        ask_of(&shared, with_token(post(path, far))).await;
    }
    ask_of(&shared, post(paths[0], far)).await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(TOKEN));
    let lines = text
        .lines()
        .map(|l| serde_json::from_str::<Entry>(l).unwrap());
    let lines: Vec<Entry> = lines.collect();
    let found: Vec<_> = lines.iter().map(|e| (&*e.action, e.outcome)).collect();
    use Outcome::{Asked, Denied, Done, Refused};
    let wanted = [
        ("pause", Asked),
        ("pause", Done),
        ("resume", Asked),
        ("resume", Done),
        ("resume", Asked),
        ("resume", Refused),
        ("restart", Asked),
        ("restart", Done),
        ("replay", Asked),
        ("replay", Refused),
        ("pause", Denied),
    ];
    assert_eq!(found, wanted);
    let fingerprint = Some(Secret::new(TOKEN).fingerprint());
    assert!(lines.iter().all(|e| e.from == "192.0.2.7"));
    assert!(lines[..10].iter().all(|e| e.token == fingerprint));
    assert_eq!(lines[10].token, None);
    assert!(lines[5].reason.as_ref().unwrap().contains("not halted"));
    assert_eq!(lines[8].target, "app.nobodys.dead, letter 7");

    let (status, _) = ask_of(&shared, TestRequest::get().uri("/audit")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (_, body) = ask_of(&shared, with_token(TestRequest::get().uri("/audit"))).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["entries"].as_array().unwrap().len(), 6);
    assert_eq!(body["entries"][0]["outcome"], "denied");
    assert!(body["file"].as_str().unwrap().ends_with("audit.ndjson"));
}

#[actix::test]
async fn nothing_is_done_while_the_audit_log_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let fake = two();
    let file = folder.path().join("absent/audit.ndjson");
    let subject = Arc::clone(&fake) as Arc<dyn Subject>;
    let shared = shared(&settings(Some(file)), subject, Vec::new()).unwrap();
    for path in ["/pipelines/p/redis/pause", "/actors/p.redis/source/restart"] {
        let request = with_token(post(path, "127.0.0.1:4000"));
        let (status, body) = ask_of(&shared, request).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("nothing was done"), "{body}");
        assert!(body.contains("admin.audit_file"), "{body}");
    }
    assert!(!fake.control.is_paused() && fake.restarted.lock().unwrap().is_empty());
}

#[actix::test]
async fn what_a_dead_letter_holds_is_for_those_with_the_token() {
    let subject = two();
    let path = "/dead/app.p/7";
    let (status, _) = ask(&subject, TestRequest::get().uri(path)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    // No pipeline here reads it.
    let (status, body) = ask(&subject, with_token(TestRequest::get().uri(path))).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    let (status, body) = get(&subject, "/dead").await;
    assert_eq!(
        (status, &body["details"]),
        (StatusCode::OK, &Value::Bool(false))
    );
    let bad = with_token(post("/dead/app.p/x/replay", "127.0.0.1:4000"));
    assert_eq!(ask(&subject, bad).await.0, StatusCode::BAD_REQUEST);
    let none = with_token(post("/dead/app.p/replay", "127.0.0.1:4000"));
    let (status, body) = ask(&subject, none).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("all=true"), "{body}");
}

#[actix::test]
async fn an_actor_is_restarted_by_name_for_whoever_has_the_token() {
    let subject = two();
    let far = "192.0.2.7:4000";
    let path = "/actors/p.redis/source/restart";
    let (status, body) = ask(&subject, post(path, far)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(body.contains("admin.token"), "{body}");
    let with =
        |path: &str| post(path, far).insert_header(("Authorization", format!("Bearer {TOKEN}")));
    assert_eq!(ask(&subject, with(path)).await.0, StatusCode::ACCEPTED);
    let encoded = with("/actors/p.redis%2Fsource/restart");
    assert_eq!(ask(&subject, encoded).await.0, StatusCode::ACCEPTED);
    let (status, body) = ask(&subject, with("/actors/p.redis/sauce/restart")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("p.redis/sauce"), "{body}");
    let restarted = subject.restarted.lock().unwrap().clone();
    assert_eq!(
        restarted,
        vec![("p.redis/source".into(), "192.0.2.7".into()); 2]
    );
    // The token resumes a branch from afar as well.
    let resume = with("/pipelines/p/elasticsearch/resume");
    assert_eq!(ask(&subject, resume).await.0, StatusCode::OK);
}

#[actix::test]
async fn failures_are_planned_only_where_that_is_allowed_and_only_at_steps_that_there_are() {
    let plan = |actor: &str, step: &str| {
        let body = format!(r#"{{"actor":"{actor}","step":"{step}","fault":"panic"}}"#);
        post("/chaos", "127.0.0.1:4000")
            .insert_header(("Authorization", format!("Bearer {TOKEN}")))
            .set_payload(body)
    };
    let (status, body) = ask(&two(), plan("p.redis/source", "write")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.contains("--chaos"), "{body}");
    let tree = crate::supervise::Tree::with_chaos();
    let subject = Arc::new(Fake {
        children: vec![child("p.redis/source", "running")],
        chaos: Some(Arc::clone(tree.chaos())),
        ..Fake::default()
    });
    let (status, _) = ask(&subject, post("/chaos", "127.0.0.1:4000")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, body) = ask(&subject, plan("p.redis/source", "wrote")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("decode, write"), "{body}");
    let (status, _) = ask(&subject, plan("p.redis/sauce", "write")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(tree.chaos().planned().is_empty());
    assert_eq!(
        ask(&subject, plan("p.redis/source", "write")).await.0,
        StatusCode::ACCEPTED
    );
    assert_eq!(tree.chaos().planned().len(), 1);
}

#[actix::test]
async fn an_unknown_path_names_the_known_ones_and_a_wrong_method_the_right_one() {
    let subject = two();
    let (status, body) = get(&subject, "/nowhere").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let known: Vec<&str> = body["paths"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(known.contains(&"GET /metrics"), "{known:?}");
    let whole = |p: &&str| !p.contains('{');
    for path in known
        .iter()
        .filter_map(|p| p.strip_prefix("GET "))
        .filter(whole)
    {
        let (status, _) = ask(&subject, TestRequest::get().uri(path)).await;
        assert_ne!(status, StatusCode::NOT_FOUND, "{path}");
        let head = TestRequest::default().method(Method::HEAD).uri(path);
        assert_ne!(ask(&subject, head).await.0, StatusCode::METHOD_NOT_ALLOWED);
    }
    let (status, body) = ask(
        &subject,
        TestRequest::get().uri("/pipelines/p/redis/resume"),
    )
    .await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(body.contains("takes POST, not GET"), "{body}");
}

#[actix::test]
async fn the_page_needs_nothing_but_this_address_and_may_not_be_framed() {
    let subject: Arc<dyn Subject> = two();
    let app = App::new()
        .app_data(shared(&settings(None), subject, Vec::new()).unwrap())
        .configure(answers::routes);
    let app = init_service(app).await;
    for (path, kind, _) in page::FILES {
        let response = call_service(&app, TestRequest::get().uri(path).to_request()).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap();
        assert_eq!(header("content-type"), kind);
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"));
        let body = read_body(response).await;
        let text = std::str::from_utf8(&body).unwrap();
        assert!(!text.contains("://"), "{path} names another address");
    }
}

#[actix::test]
async fn it_serves_on_a_socket_says_who_has_the_address_and_frees_it_when_stopped() {
    let server = serve(&on_any_port(), two(), Vec::new()).unwrap();
    let addr = server.addr();
    let settings = |listen| {
        let mut settings = Settings::clone(&settings(None));
        settings.admin.listen = listen;
        Arc::new(settings)
    };
    let mut to = tokio::net::TcpStream::connect(addr).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    to.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    to.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.contains("twolane_records_consumed_total{"), "{text}");

    let why = serve(&settings(addr), two(), Vec::new()).unwrap_err();
    assert!(
        why.starts_with(&format!("admin.listen = \"{addr}\"")),
        "{why}"
    );
    assert!(why.contains("another process has it"), "{why}");

    server.stop().await;
    let again = serve(&settings(addr), two(), Vec::new()).unwrap();
    again.stop().await;
}

#[actix::test]
async fn a_resume_over_a_socket_knows_its_peer() {
    let subject = two();
    let shown = Arc::clone(&subject) as Arc<dyn Subject>;
    let server = serve(&on_any_port(), shown, Vec::new()).unwrap();
    let mut to = tokio::net::TcpStream::connect(server.addr()).await.unwrap();
    let request = format!(
        "POST /pipelines/p/elasticsearch/resume HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\
         Authorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    to.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    to.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert_eq!(subject.resumed.load(Ordering::Relaxed), 1);
    assert_eq!(server.shared.audit.recent()[0].from, "127.0.0.1");
    server.stop().await;
}
