//! The answers, all of them JSON but for the metrics. An error is `{"error": one sentence}`.

use actix_web::http::header;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, Resource, Route, guard, web};
use serde::Serialize;
use serde_json::json;

use super::{Shared, actions, dead, page, steer};
use crate::live::lane;
use crate::ops::metrics::CONTENT_TYPE;
use crate::ops::view::{BranchView, ChildView};
use crate::ops::{LiveView, ProcessView};

const PATHS: [&str; 24] = [
    "GET /",
    "GET /live",
    "GET /ready",
    "GET /metrics",
    "GET /pipelines",
    "GET /actors",
    "GET /rooms",
    "GET /gateway",
    "GET /groups",
    "GET /dead",
    "GET /dead/{topic}/{letter}",
    "POST /dead/{topic}/replay",
    "POST /dead/{topic}/{letter}/replay",
    "GET /settings",
    "GET /process",
    "GET /audit",
    "POST /actors/{id}/restart",
    "POST /reload",
    "POST /pipelines/{pipeline}/{sink}/rewind",
    "GET /chaos",
    "POST /chaos",
    "DELETE /chaos",
    "POST /pipelines/{pipeline}/{sink}/pause",
    "POST /pipelines/{pipeline}/{sink}/resume",
];

pub(super) type State = web::Data<Shared>;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .configure(page::routes)
        .service(only("/live", "GET", read().to(live)))
        .service(only("/ready", "GET", read().to(ready)))
        .service(only("/metrics", "GET", read().to(metrics)))
        .service(only("/pipelines", "GET", read().to(pipelines)))
        .service(only("/actors", "GET", read().to(actors)))
        .service(only("/rooms", "GET", read().to(rooms)))
        .service(only("/gateway", "GET", read().to(gateway)))
        .service(only("/groups", "GET", read().to(groups)))
        .service(only("/settings", "GET", read().to(settings)))
        .service(only("/process", "GET", read().to(process)))
        .configure(actions::routes)
        .configure(dead::routes)
        .configure(steer::routes)
        .service(super::chaos::resource())
        .default_service(web::to(unknown));
}

pub(super) fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

pub(super) fn only(path: &'static str, allowed: &'static str, route: Route) -> Resource {
    let other = move |method: Method| async move {
        let mut answer = error(
            StatusCode::METHOD_NOT_ALLOWED,
            &format!("{path} takes {allowed}, not {method}"),
        );
        let value = header::HeaderValue::from_static(allowed);
        answer.headers_mut().insert(header::ALLOW, value);
        answer
    };
    web::resource(path)
        .route(route)
        .default_service(web::to(other))
}

pub(super) fn answer(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    match serde_json::to_string_pretty(body) {
        Ok(mut text) => {
            text.push('\n');
            HttpResponse::build(status)
                .content_type("application/json")
                .body(text)
        }
        // These types have string keys and nothing that fails.
        Err(e) => HttpResponse::InternalServerError().body(format!("{e}\n")),
    }
}

pub(super) fn error(status: StatusCode, sentence: &str) -> HttpResponse {
    answer(status, &json!({ "error": sentence }))
}

async fn unknown() -> HttpResponse {
    let body = json!({ "error": "no such path", "paths": PATHS });
    answer(StatusCode::NOT_FOUND, &body)
}

async fn live() -> HttpResponse {
    answer(StatusCode::OK, &json!({ "live": true }))
}

async fn metrics(shared: State) -> HttpResponse {
    match shared.exposition.text() {
        Ok(text) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
        Err(e) => error(StatusCode::INTERNAL_SERVER_ERROR, &e.to_string()),
    }
}

/// What is not at work.
#[derive(Serialize)]
struct Unready {
    /// A branch, or one of its actors.
    name: String,
    state: &'static str,
    reason: String,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    not_ready: Vec<Unready>,
}

async fn ready(shared: State) -> HttpResponse {
    let unready = unready(
        shared.subject.branches(),
        shared.subject.live().as_ref(),
        &shared.subject.children(),
    );
    let status = if unready.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = Ready {
        ready: unready.is_empty(),
        not_ready: unready,
    };
    answer(status, &body)
}

fn unready(
    branches: Option<Vec<BranchView>>,
    live: Option<&LiveView>,
    children: &[ChildView],
) -> Vec<Unready> {
    let Some(branches) = branches else {
        return vec![Unready {
            name: "twolane".to_owned(),
            state: "starting",
            reason: "the pipelines have not been started yet".to_owned(),
        }];
    };
    let mut found = Vec::new();
    for branch in &branches {
        // It does what it was asked to: a pause is no reason to take the process out of service.
        if !matches!(branch.state, "running" | "paused") {
            let reason = branch.reason.clone().unwrap_or_else(|| match branch.state {
                "starting" => "reaching its servers and checking the topic's identity".to_owned(),
                _ => "draining, on the way to its end".to_owned(),
            });
            found.push(Unready {
                name: branch.group.clone(),
                state: branch.state,
                reason,
            });
            continue;
        }
        found.extend(resting(children, |c| branch.owns(c)));
    }
    if let Some(live) = live {
        found.extend(live.not_ready().map(|reason| Unready {
            name: lane::NAME.to_owned(),
            state: "starting",
            reason: reason.to_owned(),
        }));
        // A room that is between two incarnations is no reason to send nobody to the others.
        found.extend(resting(children, |c| lane::owns(&c.name)));
    }
    found
}

/// Those of these actors that are not at work.
fn resting(children: &[ChildView], mine: impl Fn(&ChildView) -> bool) -> Vec<Unready> {
    let resting = children.iter().filter(|c| mine(c) && c.state != "running");
    let unready = resting.map(|c| Unready {
        name: c.name.clone(),
        state: c.state,
        reason: match &c.last_exit {
            Some(exit) => format!("its last run ended: {exit}"),
            None => "it has not started yet".to_owned(),
        },
    });
    unready.collect()
}

#[derive(Serialize)]
struct Pipeline<'a> {
    pipeline: &'a str,
    topic: &'a str,
    branches: Vec<Branch<'a>>,
}

#[derive(Serialize)]
struct Branch<'a> {
    #[serde(flatten)]
    view: &'a BranchView,
    per_second: PerSecond,
    actors: Vec<&'a ChildView>,
}

/// Over the last ten seconds; absent in the first.
#[derive(Serialize)]
struct PerSecond {
    /// Records resolved.
    records: Option<f64>,
    /// Requests to the sink that were put off.
    retries: Option<f64>,
    /// Records that became dead letters.
    dead_letters: Option<f64>,
}

async fn pipelines(shared: State) -> HttpResponse {
    let branches = shared.subject.branches().unwrap_or_default();
    let children = shared.subject.children();
    let mut all: Vec<Pipeline<'_>> = Vec::new();
    for view in &branches {
        let rate = |what| shared.rates.of(&format!("{what} {}", view.group));
        let branch = Branch {
            view,
            per_second: PerSecond {
                records: rate("records"),
                retries: rate("retries"),
                dead_letters: rate("dead letters"),
            },
            actors: children.iter().filter(|c| view.owns(c)).collect(),
        };
        match all.iter_mut().find(|p| p.pipeline == view.pipeline) {
            Some(pipeline) => pipeline.branches.push(branch),
            None => all.push(Pipeline {
                pipeline: &view.pipeline,
                topic: &view.topic,
                branches: vec![branch],
            }),
        }
    }
    answer(StatusCode::OK, &all)
}

async fn actors(shared: State) -> HttpResponse {
    answer(StatusCode::OK, &shared.subject.tree())
}

async fn rooms(shared: State) -> HttpResponse {
    match shared.subject.live() {
        Some(mut live) => {
            for class in &mut live.classes {
                class.received_per_second = shared.rates.of(&format!("class {}", class.class));
            }
            for room in &mut live.rooms {
                room.comments_per_second = shared.rates.of(&format!("comments {}", room.room));
                room.likes_per_second = shared.rates.of(&format!("likes {}", room.room));
            }
            answer(StatusCode::OK, &live)
        }
        None => error(
            StatusCode::NOT_FOUND,
            "this process runs no live lane: it does where topics/live.toml is there, unless other pipelines are named",
        ),
    }
}

async fn gateway(shared: State) -> HttpResponse {
    match shared.subject.gateway() {
        Some(gateway) => answer(StatusCode::OK, &gateway),
        None => error(
            StatusCode::NOT_FOUND,
            "this process runs no gateway: it does where gateway.listen is set, unless other pipelines are named",
        ),
    }
}

async fn groups(shared: State) -> HttpResponse {
    answer(StatusCode::OK, &shared.subject.groups().await)
}

async fn settings(shared: State) -> HttpResponse {
    answer(StatusCode::OK, &shared.shown)
}

async fn process(shared: State) -> HttpResponse {
    let process = ProcessView::here(&shared.settings.kafka, shared.started);
    answer(StatusCode::OK, &process)
}
