//! Dead letters over HTTP. Where and why is open to whoever reaches the address; what a letter holds, and what a sink said
//! of it, is shown with the token, and without what the pipelines mask.

use std::str::FromStr as _;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::actions::begin;
use super::answers::{State, answer, error, only, read};
use super::permit;
use crate::dead::{At, Which};
use crate::ops::dead::{Filter, Order, Refusal};

/// Letters that are listed of each topic unless the request says otherwise, and the most.
const LIMIT: usize = 100;
const MOST: usize = 2_000;
/// How long a replay may take before the answer says that it is under way: shorter than whoever asks waits.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(only("/dead", "GET", read().to(list)))
        .service(only("/dead/{topic}/replay", "POST", web::post().to(some)))
        .service(only(
            "/dead/{topic}/{letter}/replay",
            "POST",
            web::post().to(one),
        ))
        .service(only("/dead/{topic}/{letter}", "GET", read().to(show)));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    topic: Option<String>,
    reason: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replayed {
    reason: Option<String>,
    pipeline: Option<String>,
    sink: Option<String>,
    /// Said in so many words where nothing else is.
    all: Option<bool>,
}

async fn list(request: HttpRequest, query: web::Query<Listed>, shared: State) -> HttpResponse {
    let query = query.into_inner();
    let filter = Filter {
        topic: query.topic,
        reason: query.reason,
        limit: query.limit.unwrap_or(LIMIT).min(MOST),
    };
    let full = permit::token(&request, shared.token()).is_ok();
    let mut replay = shared.desk.job();
    let mut topics = match shared.desk.list(filter).await {
        Ok(topics) => topics,
        Err(refusal) => return refused(&refusal),
    };
    if !full {
        // A sink's words may repeat a value.
        let letters = topics.iter_mut().flat_map(|t| &mut t.letters);
        letters.for_each(|letter| letter.detail.clear());
        if let Some(replay) = &mut replay {
            replay.lines.clear();
        }
    }
    let body = json!({ "topics": topics, "replay": replay, "details": full });
    answer(StatusCode::OK, &body)
}

async fn show(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    shared: State,
) -> HttpResponse {
    if let Err(refused) = permit::token(&request, shared.token()) {
        return refused.answer();
    }
    let (topic, letter) = path.into_inner();
    let at = match At::from_str(&letter) {
        Ok(at) => at,
        Err(why) => return error(StatusCode::BAD_REQUEST, &why),
    };
    match shared.desk.show(topic, at).await {
        Ok(letter) => answer(StatusCode::OK, &letter),
        Err(refusal) => refused(&refusal),
    }
}

async fn one(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    shared: State,
) -> HttpResponse {
    let (topic, letter) = path.into_inner();
    let which = At::from_str(&letter).map(|at| Which {
        letters: vec![at],
        ..Which::default()
    });
    replay(&request, topic, which, &shared).await
}

async fn some(
    request: HttpRequest,
    path: web::Path<String>,
    query: web::Query<Replayed>,
    shared: State,
) -> HttpResponse {
    let query = query.into_inner();
    let nothing = query.reason.is_none() && query.pipeline.is_none() && query.sink.is_none();
    let which = if nothing && query.all != Some(true) {
        Err("say which letters: ?reason=…, ?pipeline=…, ?sink=…, or ?all=true".to_owned())
    } else {
        Ok(Which {
            letters: Vec::new(),
            reason: query.reason,
            pipeline: query.pipeline,
            sink: query.sink,
        })
    };
    replay(&request, path.into_inner(), which, &shared).await
}

async fn replay(
    request: &HttpRequest,
    source: String,
    which: Result<Which, String>,
    shared: &State,
) -> HttpResponse {
    let target = match &which {
        Ok(which) => which.of(&crate::sink::dead_letter::dead_topic(&source)),
        Err(_) => source.clone(),
    };
    let which = match which {
        Ok(which) => which,
        Err(why) => return error(StatusCode::BAD_REQUEST, &why),
    };
    let (who, noted) = match begin(request, shared, "replay", &target) {
        Ok(begun) => begun,
        Err(refused) => return refused,
    };
    let order = Order {
        source,
        which,
        by: who.to_string(),
        noted,
    };
    match shared.desk.replay(order, PATIENCE).await {
        Ok(job) if job.is_over() => answer(StatusCode::OK, &json!({ "replay": job })),
        Ok(job) => answer(StatusCode::ACCEPTED, &json!({ "replay": job })),
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> HttpResponse {
    match refusal {
        Refusal::Absent(why) => error(StatusCode::NOT_FOUND, why),
        Refusal::Busy(why) => error(StatusCode::CONFLICT, why),
        Refusal::Failed(why) => error(StatusCode::BAD_GATEWAY, why),
    }
}
