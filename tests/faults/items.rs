//! A proxy before Elasticsearch that fails single items of a bulk request: the server never sees them, and the
//! answer says 500 for each. It can also be slow, by the document.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

/// A running proxy; it ends with its actix system.
pub struct Items {
    pub url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    server: String,
    failing: Mutex<BTreeSet<String>>,
    /// How often each document's version was sent on.
    passed: Mutex<BTreeMap<(String, i64), u32>>,
    failed: Mutex<u64>,
    each: Mutex<Duration>,
}

// === impl Items ===

impl Items {
    pub fn before(server: &str) -> Self {
        let state = Arc::new(State {
            server: server.to_owned(),
            ..State::default()
        });
        let shared = Arc::clone(&state);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::PayloadConfig::new(64 << 20))
                .app_data(web::Data::new(reqwest::Client::new()))
                .app_data(web::Data::from(Arc::clone(&shared)))
                .default_service(web::to(answer))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .expect("a port");
        let addr = *server.addrs().first().expect("an address");
        actix::spawn(server.run());
        Self {
            url: format!("http://{addr}"),
            state,
        }
    }

    /// The items of these documents fail from now on, and no others.
    pub fn fail(&self, ids: impl IntoIterator<Item = i64>) {
        *lock(&self.state.failing) = ids.into_iter().map(|id| id.to_string()).collect();
    }

    /// A bulk request takes so long for each of its documents from now on.
    pub fn take(&self, each: Duration) {
        *lock(&self.state.each) = each;
    }

    /// Items that were failed.
    pub fn failed(&self) -> u64 {
        *lock(&self.state.failed)
    }

    /// Documents' versions that were sent on more than once.
    pub fn repeated(&self) -> usize {
        let passed = lock(&self.state.passed);
        passed.values().filter(|times| **times > 1).count()
    }
}

async fn answer(
    request: HttpRequest,
    body: web::Bytes,
    state: web::Data<State>,
    client: web::Data<reqwest::Client>,
) -> HttpResponse {
    let failing = lock(&state.failing).clone();
    let bulk = request.path().ends_with("/_bulk");
    if bulk {
        let documents = body.iter().filter(|byte| **byte == b'\n').count() / 2;
        let each = *lock(&state.each);
        tokio::time::sleep(each * documents as u32).await;
    }
    let (body, failed) = match bulk {
        true => state.sort(&body, &failing),
        false => (body.to_vec(), Vec::new()),
    };
    if bulk && body.is_empty() {
        return HttpResponse::Ok().json(json!({ "items": insert(Vec::new(), &failed) }));
    }
    let path = request.uri().to_string();
    let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes());
    let mut sent = client.request(method.expect("a method"), format!("{}{path}", state.server));
    if let Some(kind) = request.headers().get("content-type") {
        sent = sent.header("content-type", kind.as_bytes());
    }
    let Ok(answer) = sent.body(body).send().await else {
        return HttpResponse::BadGateway().finish();
    };
    let status = answer.status().as_u16();
    let mut response = HttpResponse::build(status.try_into().expect("a status"));
    for (name, value) in answer.headers() {
        let name = name.as_str();
        if ![
            "content-length",
            "transfer-encoding",
            "connection",
            "content-encoding",
        ]
        .contains(&name)
        {
            response.insert_header((name, value.as_bytes()));
        }
    }
    let Ok(bytes) = answer.bytes().await else {
        return HttpResponse::BadGateway().finish();
    };
    if failed.is_empty() || status != 200 {
        return response.body(bytes);
    }
    let mut read: Value = serde_json::from_slice(&bytes).expect("JSON");
    let items = read["items"].as_array().cloned().unwrap_or_default();
    read["items"] = insert(items, &failed).into();
    response.body(read.to_string())
}

/// Puts an answer for each failed item at its place.
fn insert(mut items: Vec<Value>, failed: &[usize]) -> Vec<Value> {
    for at in failed {
        let error = json!({"type": "planted_exception", "reason": "this item fails"});
        let item = json!({"index": {"status": 500, "error": error}});
        items.insert((*at).min(items.len()), item);
    }
    items
}

// === impl State ===

impl State {
    /// The body without the failing items, and their places.
    fn sort(&self, body: &[u8], failing: &BTreeSet<String>) -> (Vec<u8>, Vec<usize>) {
        let mut kept = Vec::new();
        let mut failed = Vec::new();
        let mut lines = body.split_inclusive(|byte| *byte == b'\n');
        let mut at = 0;
        while let Some(action) = lines.next() {
            let read: Value = serde_json::from_slice(action).expect("an action line");
            let (op, about) = read
                .as_object()
                .and_then(|o| o.iter().next())
                .expect("an operation");
            let id = about["_id"].as_str().unwrap_or_default().to_owned();
            let document = if op == "delete" { None } else { lines.next() };
            if failing.contains(&id) {
                failed.push(at);
                *lock(&self.failed) += 1;
            } else {
                let version = about["version"].as_i64().unwrap_or_default();
                *lock(&self.passed).entry((id, version)).or_default() += 1;
                kept.extend_from_slice(action);
                kept.extend_from_slice(document.unwrap_or_default());
            }
            at += 1;
        }
        (kept, failed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
