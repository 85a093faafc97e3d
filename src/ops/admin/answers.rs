//! The answers, all of them JSON but for the metrics. An error is `{"error": one sentence}`.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, guard, web};
use serde::Serialize;
use serde_json::json;

use super::Shared;
use crate::ops::metrics::CONTENT_TYPE;
use crate::ops::view::{BranchView, ChildView, LiveView, Resumed};

const PATHS: [&str; 7] = [
    "GET /live",
    "GET /ready",
    "GET /metrics",
    "GET /pipelines",
    "GET /rooms",
    "GET /actors",
    "POST /pipelines/{pipeline}/{sink}/resume",
];

type State = web::Data<Shared>;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    config
        .service(only("/live", "GET", read().to(live)))
        .service(only("/ready", "GET", read().to(ready)))
        .service(only("/metrics", "GET", read().to(metrics)))
        .service(only("/pipelines", "GET", read().to(pipelines)))
        .service(only("/rooms", "GET", read().to(rooms)))
        .service(only("/actors", "GET", read().to(actors)))
        .service(only(
            "/pipelines/{pipeline}/{sink}/resume",
            "POST",
            web::post().to(resume),
        ))
        .default_service(web::to(unknown));
}

fn only(path: &'static str, allowed: &'static str, route: Route) -> Resource {
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

fn answer(status: StatusCode, body: &impl Serialize) -> HttpResponse {
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

fn error(status: StatusCode, sentence: &str) -> HttpResponse {
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
    let children = shared.subject.children();
    let mut unready = unready(shared.subject.branches(), &children);
    if let Some(live) = shared.subject.live() {
        unready.extend(unready_live(&live, &children));
    }
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

fn unready(branches: Option<Vec<BranchView>>, children: &[ChildView]) -> Vec<Unready> {
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
        let resting = children
            .iter()
            .filter(|c| branch.owns(c) && c.state != "running");
        found.extend(resting.map(Unready::resting));
    }
    found
}

fn unready_live(live: &LiveView, children: &[ChildView]) -> Vec<Unready> {
    let down = live.connections.iter().filter(|c| !c.up);
    let mut found: Vec<Unready> = down
        .map(|c| Unready {
            name: format!("live: connection for {}", c.connection),
            state: "waiting",
            reason: "NATS is not reached".to_owned(),
        })
        .collect();
    found.extend(live.waiting.iter().map(|why| Unready {
        name: "live: comments".to_owned(),
        state: "waiting",
        reason: why.clone(),
    }));
    let resting = children
        .iter()
        .filter(|c| LiveView::owns(c) && c.state != "running");
    found.extend(resting.map(Unready::resting));
    found
}

// === impl Unready ===

impl Unready {
    /// An actor that is between two runs, or at its end.
    fn resting(c: &ChildView) -> Self {
        Self {
            name: c.name.clone(),
            state: c.state,
            reason: match &c.last_exit {
                Some(exit) => format!("its last run ended: {exit}"),
                None => "it has not started yet".to_owned(),
            },
        }
    }
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

async fn rooms(shared: State) -> HttpResponse {
    match shared.subject.live() {
        Some(live) => answer(StatusCode::OK, &live),
        None => error(
            StatusCode::NOT_FOUND,
            "this process does not run the live lane: it runs where topics/live.toml is, unless other pipelines are named",
        ),
    }
}

async fn actors(shared: State) -> HttpResponse {
    answer(StatusCode::OK, &shared.subject.children())
}

async fn resume(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    shared: State,
) -> HttpResponse {
    let (pipeline, sink) = path.into_inner();
    let local = request.app_config().local_addr();
    if let Err(why) = allowed(request.peer_addr(), local, request.headers()) {
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

/// Whether a request may change something: from this machine, and not out of a web page. The peer is the
/// connection's own; headers that name another are not asked.
fn allowed(peer: Option<SocketAddr>, local: SocketAddr, headers: &HeaderMap) -> Result<(), String> {
    let here = |ip: IpAddr| {
        let (ip, local) = (ip.to_canonical(), local.ip().to_canonical());
        ip.is_loopback() || (ip == local && !local.is_unspecified())
    };
    match peer {
        Some(peer) if here(peer.ip()) => {}
        Some(peer) => {
            return Err(format!(
                "a branch is resumed from the machine that it runs on, since this address asks for no password; this request \
                 came from {}",
                peer.ip()
            ));
        }
        None => return Err("this connection does not say where it comes from".to_owned()),
    }
    if headers.contains_key(header::ORIGIN) {
        return Err(
            "web pages may not resume a branch: send the request without an Origin header"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_change_something() {
        let may = |peer: &str, local: &str| {
            let peer = Some(SocketAddr::new(peer.parse().unwrap(), 40_000));
            let local = SocketAddr::new(local.parse().unwrap(), 9_464);
            allowed(peer, local, &HeaderMap::new()).is_ok()
        };
        assert!(may("127.0.0.1", "0.0.0.0"));
        assert!(may("::1", "::"));
        assert!(may("::ffff:127.0.0.1", "::"));
        assert!(may("10.0.0.5", "10.0.0.5"));
        assert!(!may("10.0.0.6", "10.0.0.5"));
        assert!(!may("10.0.0.6", "0.0.0.0"));
        assert!(!may("0.0.0.0", "0.0.0.0"));
        assert!(
            allowed(
                None,
                SocketAddr::from(([127, 0, 0, 1], 1)),
                &HeaderMap::new()
            )
            .is_err()
        );
    }
}
