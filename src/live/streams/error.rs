//! Requests to the server's JetStream, and what can come of them.

use async_nats::jetstream::context::RequestErrorKind;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{Context, ErrorCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Difference;

/// Why the streams are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum StreamsError {
    /// The server does not answer; asking again may help.
    #[error("{what}: the server does not answer: {why}")]
    Away {
        /// The stream or consumer.
        what: String,
        /// What came instead of an answer.
        why: String,
    },
    /// It is there and cannot become what it should be.
    #[error(
        "{what} is not what topics/live.toml makes of it: {}. That cannot be altered without losing what it holds: \
         give this account of the server to twolane alone, or empty the stream and delete it (`nats stream rm`), and start again",
        list(.differences)
    )]
    Differs {
        /// The stream or consumer.
        what: String,
        /// All differences; at least one of them is fixed.
        differences: Vec<Difference>,
    },
    /// The server refuses.
    #[error("{what}: the server refuses: {why}{}", remedy(*.code))]
    Refused {
        /// The stream or consumer.
        what: String,
        /// In the server's words.
        why: String,
        /// The server's code.
        code: ErrorCode,
    },
}

/// What the server says of a thing.
pub(super) enum Answer<T> {
    /// So it is now.
    Is(T),
    /// There is none of that name.
    Absent,
    /// There is one of that name that is different.
    Taken,
}

/// No room for the bytes that a stream reserves (`resource limits exceeded`).
const NO_RESOURCES: ErrorCode = ErrorCode::INSUFFICIENT_RESOURCES;
const NO_STORAGE: ErrorCode = ErrorCode::STORAGE_RESOURCES_EXCEEDED;

/// Asks once.
pub(super) async fn ask<T: DeserializeOwned>(
    jetstream: &Context,
    what: &str,
    subject: String,
    body: &(impl Serialize + ?Sized),
) -> Result<Answer<T>, StreamsError> {
    let answer = jetstream.request(subject, body).await;
    let error = match answer {
        Ok(Response::Ok(is)) => return Ok(Answer::Is(is)),
        Ok(Response::Err { error }) => error,
        Err(error) => {
            let why = match error.kind() {
                RequestErrorKind::NoResponders => {
                    "JetStream is not there: it is starting, or not enabled for this user's account"
                        .to_owned()
                }
                RequestErrorKind::TimedOut
                | RequestErrorKind::InvalidSubject
                | RequestErrorKind::Other => error.to_string(),
            };
            return Err(StreamsError::Away {
                what: what.to_owned(),
                why,
            });
        }
    };
    let what = what.to_owned();
    let why = error.to_string();
    match error.error_code() {
        ErrorCode::STREAM_NOT_FOUND | ErrorCode::CONSUMER_NOT_FOUND => Ok(Answer::Absent),
        ErrorCode::STREAM_NAME_EXIST | ErrorCode::CONSUMER_NAME_EXIST => Ok(Answer::Taken),
        code @ (NO_RESOURCES
        | NO_STORAGE
        | ErrorCode::JETSTREAM_NOT_ENABLED
        | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT) => {
            Err(StreamsError::Refused { what, why, code })
        }
        // 503: a leader is being elected, a stream is offline for now.
        _ if error.code() == 503 => Err(StreamsError::Away { what, why }),
        code => Err(StreamsError::Refused { what, why, code }),
    }
}

fn list(differences: &[Difference]) -> String {
    let lines: Vec<String> = differences.iter().map(Difference::to_string).collect();
    lines.join("; ")
}

fn remedy(code: ErrorCode) -> &'static str {
    match code {
        NO_RESOURCES | NO_STORAGE => {
            ". A stream reserves its max_bytes: lower them in topics/live.toml, or raise max_file_store of the server or the account"
        }
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            ". Give the worker's account `jetstream: enabled` in the server's configuration"
        }
        ErrorCode::STREAM_SUBJECT_OVERLAP => {
            ". Another stream of this account takes these subjects: delete it, or give twolane an account of its own"
        }
        _ => "",
    }
}

// === impl StreamsError ===

impl StreamsError {
    pub(super) fn differs(what: String, differences: Vec<Difference>) -> Self {
        Self::Differs { what, differences }
    }

    /// Somebody deletes or makes it at this moment: the next attempt sees what came of that.
    pub(super) fn vanished(what: String) -> Self {
        Self::Away {
            what,
            why: "it was made or deleted at the same moment".to_owned(),
        }
    }
}
