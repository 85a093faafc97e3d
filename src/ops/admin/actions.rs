//! What changes something: with the token, and noted in the audit log before it is done.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::answers::{State, answer, error, only};
use super::permit;
use crate::branch::Pausing;
use crate::ops::audit::{Actor, Noted, Outcome};
use crate::ops::view::Resumed;
use crate::supervise::Asked;

/// The most of a name that whoever may do nothing has written into the audit log.
const NAME: usize = 200;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        // A name may hold slashes.
        .service(only(
            "/actors/{id:.+}/restart",
            "POST",
            web::post().to(restart),
        ))
        .service(only(
            "/pipelines/{pipeline}/{sink}/pause",
            "POST",
            web::post().to(pause),
        ))
        .service(only(
            "/pipelines/{pipeline}/{sink}/resume",
            "POST",
            web::post().to(resume),
        ))
        .service(only("/audit", "GET", super::answers::read().to(audit)));
}

/// Whether a request may do this, noted either way; then it may be done, and its end be noted.
#[expect(
    clippy::result_large_err,
    reason = "it is the answer itself, and goes on as it is"
)]
pub(super) fn begin(
    request: &HttpRequest,
    shared: &State,
    action: &str,
    target: &str,
) -> Result<(Actor, Noted), HttpResponse> {
    let mut who = Actor {
        from: permit::peer(request),
        token: None,
    };
    if let Err(refused) = permit::token(request, shared.token()) {
        let target: String = target.chars().take(NAME).collect();
        shared.audit.denied(&who, action, &target, refused.why());
        return Err(refused.answer());
    }
    who.token = shared.token().map(crate::config::Secret::fingerprint);
    match shared.audit.begin(&who, action, target) {
        Ok(noted) => Ok((who, noted)),
        Err(why) => {
            tracing::error!(action, on = target, "an operator must act: {why}");
            Err(error(StatusCode::SERVICE_UNAVAILABLE, &why))
        }
    }
}

/// Refuses what was begun.
pub(super) fn refuse(noted: Noted, status: StatusCode, why: &str) -> HttpResponse {
    noted.end(Outcome::Refused, Some(why.to_owned()));
    error(status, why)
}

async fn restart(request: HttpRequest, path: web::Path<String>, shared: State) -> HttpResponse {
    let id = path.into_inner();
    let (who, noted) = match begin(&request, &shared, "restart", &id) {
        Ok(begun) => begun,
        Err(refused) => return refused,
    };
    match shared.subject.restart(&id, &who.from) {
        Asked::Restarting => {
            noted.end(Outcome::Done, None);
            answer(StatusCode::ACCEPTED, &json!({ "restarting": id }))
        }
        Asked::Ended => refuse(
            noted,
            StatusCode::CONFLICT,
            &format!("{id} has ended, and is not to be made anew"),
        ),
        Asked::Unknown => refuse(
            noted,
            StatusCode::NOT_FOUND,
            &format!("this process has no actor or supervisor {id:?}: GET /actors shows them"),
        ),
    }
}

async fn pause(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    shared: State,
) -> HttpResponse {
    let (pipeline, sink) = path.into_inner();
    let branch = format!("{pipeline}.{sink}");
    let (who, noted) = match begin(&request, &shared, "pause", &branch) {
        Ok(begun) => begun,
        Err(refused) => return refused,
    };
    match shared.subject.pause(&pipeline, &sink, &who.to_string()) {
        Some(Pausing::Paused) => {
            noted.end(Outcome::Done, None);
            answer(StatusCode::OK, &json!({ "paused": branch }))
        }
        Some(Pausing::Already(pause)) => {
            let seconds = pause.since.elapsed().as_secs();
            let why = format!(
                "{branch} is paused already, for {seconds} s, by {}",
                pause.by
            );
            refuse(noted, StatusCode::CONFLICT, &why)
        }
        Some(Pausing::AtRest) => {
            let why =
                format!("{branch} is halted, or on its way to its end: there is nothing to pause");
            refuse(noted, StatusCode::CONFLICT, &why)
        }
        None => unknown(noted, &shared, &pipeline, &sink, "pause"),
    }
}

async fn resume(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    shared: State,
) -> HttpResponse {
    let (pipeline, sink) = path.into_inner();
    let branch = format!("{pipeline}.{sink}");
    let (_, noted) = match begin(&request, &shared, "resume", &branch) {
        Ok(begun) => begun,
        Err(refused) => return refused,
    };
    match shared.subject.resume(&pipeline, &sink) {
        Resumed::Resumed => {
            noted.end(Outcome::Done, None);
            answer(StatusCode::OK, &json!({ "resumed": branch }))
        }
        Resumed::NotHalted => {
            let why = format!("{branch} is not halted, nor paused: there is nothing to resume");
            refuse(noted, StatusCode::CONFLICT, &why)
        }
        Resumed::Unknown => unknown(noted, &shared, &pipeline, &sink, "resume"),
    }
}

fn unknown(noted: Noted, shared: &State, pipeline: &str, sink: &str, what: &str) -> HttpResponse {
    let branches = shared.subject.branches().unwrap_or_default();
    let known: Vec<String> = branches
        .iter()
        .map(|b| format!("/pipelines/{}/{}/{what}", b.pipeline, b.sink))
        .collect();
    let why = format!("this process has no pipeline {pipeline:?} with a sink {sink:?}");
    noted.end(Outcome::Refused, Some(why.clone()));
    let body = json!({ "error": why, "known": known });
    answer(StatusCode::NOT_FOUND, &body)
}

/// The last actions. With the token, since it says who did what from where.
async fn audit(request: HttpRequest, shared: State) -> HttpResponse {
    if let Err(refused) = permit::token(&request, shared.token()) {
        return refused.answer();
    }
    let file = shared.audit.file().map(|f| f.display().to_string());
    let body = json!({ "file": file, "entries": shared.audit.recent() });
    answer(StatusCode::OK, &body)
}
