//! `POST /reload` and `POST /pipelines/{pipeline}/{sink}/rewind`: what changes how a process works rather than that it
//! does, and so takes the token wherever it comes from.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{State, answer, error};
use super::permit;
use crate::branch::{NotRewound, rewind as turn_back};
use crate::config::{Place, Problem, Problems};
use crate::reload::NotReloaded;

/// The body of a rewind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rewind {
    /// Partition → the offset to read it from again.
    to: BTreeMap<i32, i64>,
}

/// Every action of an operator that was permitted passes here once, with what became of it.
fn acted(who: &str, action: &str, of: &str, outcome: &str) {
    tracing::info!(who, action, of, outcome, "an operator's action");
}

pub(super) async fn reload(request: HttpRequest, shared: State) -> HttpResponse {
    if let Err(refused) = permit::token(&request, shared.token.as_ref()) {
        return refused.answer();
    }
    let who = permit::peer(&request);
    let Some(reloads) = shared.subject.reloads() else {
        return error(
            StatusCode::SERVICE_UNAVAILABLE,
            "this process is still starting, or runs nothing that can be reloaded: ask again later",
        );
    };
    let reloaded = reloads.reload(who.clone()).await;
    let outcome = match &reloaded {
        Ok(_) => "reloaded".to_owned(),
        Err(NotReloaded::Wrong(problems)) => format!("refused: {} problems", problems.len()),
        Err(why) => format!("refused: {why}"),
    };
    acted(&who, "reload", "the process", &outcome);
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

pub(super) async fn rewind(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    body: web::Bytes,
    shared: State,
) -> HttpResponse {
    if let Err(refused) = permit::token(&request, shared.token.as_ref()) {
        return refused.answer();
    }
    let (pipeline, sink) = path.into_inner();
    let asked: Rewind = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(why) => {
            let form = r#"{"to": {"0": 1200, "1": 1187}}"#;
            return error(
                StatusCode::BAD_REQUEST,
                &format!("{why}: send {form}, partition and offset"),
            );
        }
    };
    let Some(branch) = shared.subject.branch(&pipeline, &sink) else {
        return error(
            StatusCode::NOT_FOUND,
            &format!(
                "this process has no pipeline {pipeline:?} with a sink {sink:?}: GET /pipelines shows them"
            ),
        );
    };
    let who = permit::peer(&request);
    let rewound = turn_back(&branch, &asked.to).await;
    let outcome = match &rewound {
        Ok(()) => format!("turned back to {:?}", asked.to),
        Err(why) => format!("refused: {why}"),
    };
    acted(&who, "rewind", &branch.name, &outcome);
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
