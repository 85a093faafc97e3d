//! A stand-in for a schema registry: as much of Confluent's HTTP API as clients use, in memory, on loopback.
//! It can be away, and it counts what it is asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpResponse, HttpServer, web};
use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use serde_json::{Value, json};

/// The stand-in and its address.
pub struct Registry {
    pub url: String,
    pub state: Arc<State>,
}

/// What it holds.
#[derive(Default)]
pub struct State {
    /// Answers 503 to everything.
    pub away: AtomicBool,
    /// Requests so far.
    pub asked: AtomicU64,
    /// Schemas; their ids are their places, from 1.
    schemas: Mutex<Vec<String>>,
    /// The versions of each subject, as places of schemas.
    subjects: Mutex<HashMap<String, Vec<usize>>>,
}

impl Registry {
    /// Serves until the actix system that it is called in ends.
    pub fn start() -> Self {
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::from(Arc::clone(&shared)))
                .route("/schemas/ids/{id}", web::get().to(by_id))
                .route("/subjects/{subject}", web::post().to(find))
                .route("/subjects/{subject}/versions", web::post().to(register))
                .route("/subjects/{subject}/versions/latest", web::get().to(latest))
                .route(
                    "/compatibility/subjects/{subject}/versions/latest",
                    web::post().to(compatibility),
                )
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .expect("a port");
        let url = format!("http://{}", server.addrs()[0]);
        actix_web::rt::spawn(server.run());
        Self { url, state }
    }

    /// Registers a schema as a client does; gives its id.
    pub async fn register(&self, subject: &str, schema: &str) -> u32 {
        let answer = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client")
            .post(format!("{}/subjects/{subject}/versions", self.url))
            .json(&json!({"schema": schema}))
            .send()
            .await
            .expect("the stand-in answers");
        let answer: Value = answer.json().await.expect("JSON");
        u32::try_from(answer["id"].as_u64().expect("an id")).expect("a small id")
    }
}

impl State {
    /// The answer where it is away.
    fn away(&self) -> Option<HttpResponse> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.away
            .load(Ordering::SeqCst)
            .then(|| HttpResponse::ServiceUnavailable().finish())
    }
}

async fn by_id(state: web::Data<State>, id: web::Path<usize>) -> HttpResponse {
    if let Some(away) = state.away() {
        return away;
    }
    let schemas = state.schemas.lock().expect("not poisoned");
    match id.checked_sub(1).and_then(|at| schemas.get(at)) {
        Some(schema) => HttpResponse::Ok().json(json!({"schema": schema})),
        None => HttpResponse::NotFound()
            .json(json!({"error_code": 40403, "message": "Schema not found"})),
    }
}

async fn register(
    state: web::Data<State>,
    subject: web::Path<String>,
    body: web::Json<Value>,
) -> HttpResponse {
    if let Some(away) = state.away() {
        return away;
    }
    let text = body["schema"].as_str().unwrap_or_default().to_owned();
    if Schema::parse_str(&text).is_err() {
        return HttpResponse::UnprocessableEntity()
            .json(json!({"error_code": 42201, "message": "Invalid schema"}));
    }
    let mut schemas = state.schemas.lock().expect("not poisoned");
    let known = schemas.iter().position(|known| *known == text);
    let at = known.unwrap_or_else(|| {
        schemas.push(text);
        schemas.len() - 1
    });
    let mut subjects = state.subjects.lock().expect("not poisoned");
    let versions = subjects.entry(subject.into_inner()).or_default();
    if !versions.contains(&at) {
        versions.push(at);
    }
    HttpResponse::Ok().json(json!({"id": at + 1}))
}

fn no_subject() -> HttpResponse {
    HttpResponse::NotFound().json(json!({"error_code": 40401, "message": "Subject not found"}))
}

fn version(subject: &str, version: usize, at: usize, schema: &str) -> HttpResponse {
    HttpResponse::Ok()
        .json(json!({"subject": subject, "version": version, "id": at + 1, "schema": schema}))
}

/// The version that has the schema given.
async fn find(
    state: web::Data<State>,
    subject: web::Path<String>,
    body: web::Json<Value>,
) -> HttpResponse {
    if let Some(away) = state.away() {
        return away;
    }
    let text = body["schema"].as_str().unwrap_or_default();
    let subjects = state.subjects.lock().expect("not poisoned");
    let schemas = state.schemas.lock().expect("not poisoned");
    let Some(versions) = subjects.get(&*subject) else {
        return no_subject();
    };
    let found = versions
        .iter()
        .enumerate()
        .find(|(_, at)| schemas[**at] == text);
    match found {
        Some((i, at)) => version(&subject, i + 1, *at, text),
        None => HttpResponse::NotFound()
            .json(json!({"error_code": 40403, "message": "Schema not found"})),
    }
}

async fn latest(state: web::Data<State>, subject: web::Path<String>) -> HttpResponse {
    if let Some(away) = state.away() {
        return away;
    }
    let subjects = state.subjects.lock().expect("not poisoned");
    let schemas = state.schemas.lock().expect("not poisoned");
    match subjects
        .get(&*subject)
        .and_then(|versions| Some((versions.len(), *versions.last()?)))
    {
        Some((number, at)) => version(&subject, number, at, &schemas[at]),
        None => no_subject(),
    }
}

/// Whether a reader with the schema given reads what the subject's last one wrote.
async fn compatibility(
    state: web::Data<State>,
    subject: web::Path<String>,
    body: web::Json<Value>,
) -> HttpResponse {
    if let Some(away) = state.away() {
        return away;
    }
    let subjects = state.subjects.lock().expect("not poisoned");
    let schemas = state.schemas.lock().expect("not poisoned");
    let last = subjects.get(&*subject).and_then(|versions| versions.last());
    let Some(last) = last.and_then(|at| schemas.get(*at)) else {
        return no_subject();
    };
    let new = Schema::parse_str(body["schema"].as_str().unwrap_or_default());
    match (new, Schema::parse_str(last)) {
        (Ok(new), Ok(last)) => HttpResponse::Ok()
            .json(json!({"is_compatible": SchemaCompatibility::can_read(&last, &new).is_ok()})),
        (_, _) => HttpResponse::UnprocessableEntity().json(json!({"error_code": 42201})),
    }
}
