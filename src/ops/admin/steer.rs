//! `POST /reload` and `POST /pipelines/{pipeline}/{sink}/rewind`: what changes how a process works rather than that it
//! does, and so takes the token wherever it comes from.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::actions;
use super::answers::{State, answer, error, only};
use crate::branch::{NotRewound, rewind as turn_back};
use crate::config::{Place, Problem, Problems};
use crate::ops::audit::Outcome;
use crate::reload::NotReloaded;

/// The body of a rewind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rewind {
    /// Partition → the offset to read it from again.
    to: BTreeMap<i32, i64>,
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(only("/reload", "POST", web::post().to(reload)))
        .service(only(
            "/pipelines/{pipeline}/{sink}/rewind",
            "POST",
            web::post().to(rewind),
        ));
}

async fn reload(request: HttpRequest, shared: State) -> HttpResponse {
    let (who, noted) = match actions::begin(&request, &shared, "reload", "the process") {
        Ok(begun) => begun,
        Err(refused) => return refused,
    };
    let Some(reloads) = shared.subject.reloads() else {
        return actions::refuse(
            noted,
            StatusCode::SERVICE_UNAVAILABLE,
            "this process is still starting, or runs nothing that can be reloaded: ask again later",
        );
    };
    let reloaded = reloads.reload(who.from.clone()).await;
    match &reloaded {
        Ok(_) => noted.end(Outcome::Done, None),
        Err(NotReloaded::Wrong(problems)) => {
            let why = format!("the files have {} problems", problems.len());
            noted.end(Outcome::Refused, Some(why));
        }
        Err(why) => noted.end(Outcome::Refused, Some(why.to_string())),
    }
    match reloaded {
        Ok(reloaded) => answer(StatusCode::OK, &reloaded),
        Err(NotReloaded::Wrong(problems)) => {
            answer(StatusCode::UNPROCESSABLE_ENTITY, &wrong(&problems))
        }
        Err(why @ NotReloaded::Busy) => error(StatusCode::CONFLICT, &why.to_string()),
        Err(why @ NotReloaded::Ending) => error(StatusCode::SERVICE_UNAVAILABLE, &why.to_string()),
    }
}

fn wrong(problems: &Problems) -> Value {
    let all: Vec<Value> = problems.iter().map(problem).collect();
    json!({ "error": format!("nothing has changed, since something is wrong:\n{problems}"), "problems": all })
}

fn problem(problem: &Problem) -> Value {
    let message = &problem.message;
    match &problem.place {
        Place::Character { file, line, column } => {
            json!({ "file": file, "line": line, "column": column, "message": message })
        }
        Place::File(file) => json!({ "file": file, "message": message }),
        Place::Variable(name) => json!({ "variable": name, "message": message }),
        Place::Default(field) => json!({ "default_of": field, "message": message }),
    }
}

async fn rewind(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    body: web::Bytes,
    shared: State,
) -> HttpResponse {
    let (pipeline, sink) = path.into_inner();
    let target = format!("{pipeline}.{sink}");
    let (_, noted) = match actions::begin(&request, &shared, "rewind", &target) {
        Ok(begun) => begun,
        Err(refused) => return refused,
    };
    let asked: Rewind = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(why) => {
            let form = r#"{"to": {"0": 1200, "1": 1187}}"#;
            return actions::refuse(
                noted,
                StatusCode::BAD_REQUEST,
                &format!("{why}: send {form}, partition and offset"),
            );
        }
    };
    let Some(branch) = shared.subject.branch(&pipeline, &sink) else {
        return actions::refuse(
            noted,
            StatusCode::NOT_FOUND,
            &format!(
                "this process has no pipeline {pipeline:?} with a sink {sink:?}: GET /pipelines shows them"
            ),
        );
    };
    let rewound = turn_back(&branch, &asked.to).await;
    match &rewound {
        Ok(()) => noted.end(Outcome::Done, Some(format!("to {:?}", asked.to))),
        Err(why @ NotRewound::Refused(_)) => noted.end(Outcome::Refused, Some(why.to_string())),
        Err(why) => noted.end(Outcome::Failed, Some(why.to_string())),
    }
    match rewound {
        Ok(()) => answer(
            StatusCode::OK,
            &json!({ "rewound": branch.name, "to": asked.to }),
        ),
        Err(why @ NotRewound::Refused(_)) => error(StatusCode::CONFLICT, &why.to_string()),
        Err(why @ (NotRewound::Unavailable(_) | NotRewound::Unknown(_))) => {
            error(StatusCode::SERVICE_UNAVAILABLE, &why.to_string())
        }
    }
}
