//! The answers, all of them JSON.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::stats::Turned;
use crate::produce::Refused;

/// The most lines that an answer names; the rest is counted.
const NAMED: usize = 100;

/// Kafka has acknowledged every event of the request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// How many.
    accepted: usize,
}

/// Why the request was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// One word of a few, for programs.
    #[schema(example = "event")]
    pub reason: &'static str,
    /// One sentence, for people.
    pub error: String,
    /// The events that are refused, the first hundred of them; nothing of the request was sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Line>,
    /// How many are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_count: Option<usize>,
    /// With `away`: how many events Kafka has acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<usize>,
    /// With `away`: the lines of the events that it has not, or not in time. They may be there or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unacknowledged: Vec<usize>,
}

/// An event that is refused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Line {
    /// Its line in the body, from 1.
    #[schema(example = 3)]
    pub line: usize,
    /// The field at fault; absent where it is the event as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "user_id")]
    pub field: Option<String>,
    /// Why, as one word: `json`, `schema`, `key` or `size`.
    #[schema(example = "schema")]
    pub reason: &'static str,
    /// What is wrong, and what to do.
    pub error: String,
}

/// A request that is not taken, and when to come again.
#[derive(Debug)]
pub(super) struct Turn {
    pub why: Turned,
    pub problem: Box<Problem>,
    pub after: Option<Duration>,
}

pub(super) fn accepted(events: usize) -> HttpResponse {
    HttpResponse::Accepted().json(Accepted { accepted: events })
}

// === impl Line ===

impl Line {
    pub(super) fn of(line: usize, refused: &Refused) -> Self {
        Self {
            line,
            field: Some(refused.field.clone()).filter(|field| !field.is_empty()),
            reason: refused.reason.name(),
            error: refused.to_string(),
        }
    }
}

// === impl Turn ===

impl Turn {
    pub(super) fn new(why: Turned, error: impl Into<String>) -> Self {
        Self {
            why,
            problem: Box::new(Problem {
                reason: why.name(),
                error: error.into(),
                refused: Vec::new(),
                refused_count: None,
                accepted: None,
                unacknowledged: Vec::new(),
            }),
            after: None,
        }
    }

    pub(super) fn after(mut self, wait: Duration) -> Self {
        self.after = Some(wait);
        self
    }

    /// Events that are refused.
    pub(super) fn events(mut lines: Vec<Line>) -> Self {
        let mut turn = Self::new(
            Turned::Event,
            "events are refused, and nothing was sent: correct these lines, and send the request again",
        );
        turn.problem.refused_count = Some(lines.len());
        lines.truncate(NAMED);
        turn.problem.refused = lines;
        turn
    }

    fn status(&self) -> StatusCode {
        match self.why {
            Turned::Key => StatusCode::UNAUTHORIZED,
            Turned::Forbidden => StatusCode::FORBIDDEN,
            Turned::Topic => StatusCode::NOT_FOUND,
            Turned::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Turned::Size => StatusCode::PAYLOAD_TOO_LARGE,
            Turned::Slow => StatusCode::REQUEST_TIMEOUT,
            Turned::Rate => StatusCode::TOO_MANY_REQUESTS,
            Turned::Event => StatusCode::UNPROCESSABLE_ENTITY,
            Turned::Busy | Turned::Away => StatusCode::SERVICE_UNAVAILABLE,
            Turned::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn answer(self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status());
        if let Some(after) = self.after {
            // Whole seconds, and never too early.
            let seconds = after.as_millis().div_ceil(1_000).max(1);
            answer.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        match self.why {
            Turned::Key => {
                answer.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            // What is left of the body is not read: the connection is of no more use.
            Turned::Size | Turned::Slow | Turned::Busy => {
                answer.force_close();
            }
            Turned::Forbidden
            | Turned::Topic
            | Turned::Type
            | Turned::Rate
            | Turned::Event
            | Turned::Away
            | Turned::Broken => {}
        }
        answer.json(self.problem)
    }
}
