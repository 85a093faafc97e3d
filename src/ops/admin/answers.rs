//! The answers, all of them JSON but for the metrics. An error is `{"error": one sentence}`.

use actix_web::http::header;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, guard, web};
use serde::Serialize;
use serde_json::json;

use super::{Shared, page, permit, steer};
use crate::live::lane;
use crate::ops::LiveView;
use crate::ops::metrics::CONTENT_TYPE;
use crate::ops::view::{BranchView, ChildView, Resumed};
use crate::supervise::Asked;

const PATHS: [&str; 15] = [
    "GET /",
    "GET /live",
    "GET /ready",
    "GET /metrics",
    "GET /pipelines",
    "GET /actors",
    "GET /rooms",
    "GET /gateway",
    "POST /actors/{id}/restart",
    "POST /reload",
    "POST /pipelines/{pipeline}/{sink}/rewind",
    "GET /chaos",
    "POST /chaos",
    "DELETE /chaos",
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
        // A name may hold slashes.
        .service(only(
            "/actors/{id:.+}/restart",
            "POST",
            web::post().to(restart),
        ))
        .service(only("/reload", "POST", web::post().to(steer::reload)))
        .service(only(
            "/pipelines/{pipeline}/{sink}/rewind",
            "POST",
            web::post().to(steer::rewind),
        ))
        .service(super::chaos::resource())
        .service(only(
            "/pipelines/{pipeline}/{sink}/resume",
            "POST",
            web::post().to(resume),
        ))
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
        if branch.state != "running" {
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
    actors: Vec<&'a ChildView>,
}

async fn pipelines(shared: State) -> HttpResponse {
    let branches = shared.subject.branches().unwrap_or_default();
    let children = shared.subject.children();
    let mut all: Vec<Pipeline<'_>> = Vec::new();
    for view in &branches {
        let branch = Branch {
            view,
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

async fn restart(request: HttpRequest, path: web::Path<String>, shared: State) -> HttpResponse {
    let id = path.into_inner();
    if let Err(refused) = permit::token(&request, shared.token.as_ref()) {
        return refused.answer();
    }
    let who = permit::peer(&request);
    match shared.subject.restart(&id, &who) {
        Asked::Restarting => {
            tracing::info!(child = id, who, "a restart was asked for");
            answer(StatusCode::ACCEPTED, &json!({ "restarting": id }))
        }
        Asked::Ended => error(
            StatusCode::CONFLICT,
            &format!("{id} has ended, and is not to be made anew"),
        ),
        Asked::Unknown => error(
            StatusCode::NOT_FOUND,
            &format!("this process has no actor or supervisor {id:?}: GET /actors shows them"),
        ),
    }
}

async fn rooms(shared: State) -> HttpResponse {
    match shared.subject.live() {
        Some(live) => answer(StatusCode::OK, &live),
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

async fn resume(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    shared: State,
) -> HttpResponse {
    let (pipeline, sink) = path.into_inner();
    let local = request.app_config().local_addr();
    if permit::token(&request, shared.token.as_ref()).is_err()
        && let Err(why) = permit::here(request.peer_addr(), local, request.headers())
    {
        return error(StatusCode::FORBIDDEN, &why);
    }
    match shared.subject.resume(&pipeline, &sink) {
        Resumed::Resumed => {
            tracing::info!(pipeline, sink, "resumed by an operator");
            answer(
                StatusCode::OK,
                &json!({ "resumed": format!("{pipeline}.{sink}") }),
            )
        }
        Resumed::NotHalted => {
            let sentence = format!("{pipeline}.{sink} is not halted: there is nothing to resume");
            error(StatusCode::CONFLICT, &sentence)
        }
        Resumed::Unknown => {
            let branches = shared.subject.branches().unwrap_or_default();
            let known: Vec<String> = branches
                .iter()
                .map(|b| format!("/pipelines/{}/{}/resume", b.pipeline, b.sink))
                .collect();
            let sentence =
                format!("this process has no pipeline {pipeline:?} with a sink {sink:?}");
            let body = json!({ "error": sentence, "known": known });
            answer(StatusCode::NOT_FOUND, &body)
        }
    }
}
