//! Failures on demand, over HTTP: `POST /chaos` with `{"actor": …, "step": …, "fault": "panic" | "error" | "freeze" |
//! "stop", "times": 1}` (0 times: always), `GET /chaos` for what is planned and possible, `DELETE /chaos` to plan nothing
//! more and let what is frozen go on.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use serde_json::json;

use super::answers::{State, answer, error};
use super::permit;
use crate::supervise::{Chaos, Plan};

pub(super) fn resource() -> Resource {
    web::resource("/chaos")
        .route(web::get().to(show))
        .route(web::head().to(show))
        .route(web::post().to(plan))
        .route(web::delete().to(clear))
}

/// The tree's chaos, for a request that may have it.
fn chaos(request: &HttpRequest, shared: &State) -> Result<Arc<Chaos>, permit::Refused> {
    let chaos = shared.subject.chaos().ok_or(permit::Refused::NoChaos)?;
    permit::token(request, shared.token())?;
    Ok(chaos)
}

async fn show(request: HttpRequest, shared: State) -> HttpResponse {
    let chaos = match chaos(&request, &shared) {
        Ok(chaos) => chaos,
        Err(refused) => return refused.answer(),
    };
    let children = shared.subject.children();
    let steps: serde_json::Map<_, _> = children
        .iter()
        .filter_map(|c| Some((c.name.clone(), json!(shared.subject.steps(&c.name)?))))
        .collect();
    answer(
        StatusCode::OK,
        &json!({ "planned": chaos.planned(), "steps": steps }),
    )
}

async fn plan(request: HttpRequest, body: web::Bytes, shared: State) -> HttpResponse {
    let chaos = match chaos(&request, &shared) {
        Ok(chaos) => chaos,
        Err(refused) => return refused.answer(),
    };
    let plan: Plan = match serde_json::from_slice(&body) {
        Ok(plan) => plan,
        Err(why) => {
            let form = r#"{"actor": "…", "step": "…", "fault": "panic"}"#;
            return error(
                StatusCode::BAD_REQUEST,
                &format!("{why}: send {form}, with a fault of panic, error, freeze or stop"),
            );
        }
    };
    let (actor, step) = (&plan.actor, plan.step.as_str());
    match shared.subject.steps(actor) {
        Some(steps) if steps.contains(&step) => {}
        Some(steps) => {
            return error(
                StatusCode::NOT_FOUND,
                &format!("{actor} has no step {step:?}; it has {}", steps.join(", ")),
            );
        }
        None => {
            return error(
                StatusCode::NOT_FOUND,
                &format!("this process has no actor {actor:?}: GET /chaos shows them"),
            );
        }
    }
    tracing::warn!(actor, step, fault = ?plan.fault, times = plan.times, "a failure is planned");
    match chaos.plan(plan) {
        Ok(()) => answer(
            StatusCode::ACCEPTED,
            &json!({ "planned": chaos.planned().len() }),
        ),
        Err(why) => error(StatusCode::CONFLICT, &why),
    }
}

async fn clear(request: HttpRequest, shared: State) -> HttpResponse {
    match chaos(&request, &shared) {
        Ok(chaos) => {
            chaos.clear();
            tracing::warn!("no failure is planned any more");
            answer(StatusCode::OK, &json!({ "planned": 0 }))
        }
        Err(refused) => refused.answer(),
    }
}
