//! What Elasticsearch's errors mean for one write: done, again later, or never.
//!
//! Promises: nothing is rejected for a reason that lies with the server, the alias or the permissions; no
//! message repeats a value of the row. It relies on the error's type and status, and on its text only where
//! two meanings share a type.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::Version;
use crate::planted::{Bug, planted};
use crate::sink::{Failure, Outcome};

/// The most bytes of the server's words that are kept: enough for every mapper's sentence, and a dead
/// letter's headers stay small.
const MAX_DETAIL: usize = 1_000;

/// From these words on, the server's texts quote the row.
const QUOTES: [&str; 8] = [
    "Preview of field's value:",
    "Unrecognized token",
    "Numeric value (",
    "For input string:",
    "Failed to parse value [",
    "failed to parse date field [",
    "The prefix of the first immense term is:",
    "\n at [Source",
];

/// What stands where a text was cut before a quotation.
const LEFT_OUT: &str = "(the value is left out)";

/// An error as the server words it, for a request or for one item.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ErrorBody<'a> {
    /// Its type, such as `document_parsing_exception`.
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Cow<'a, str>,
    /// Its text, which may quote the row.
    #[serde(borrow, default)]
    pub(super) reason: Cow<'a, str>,
    /// What caused it; the type alone is used, since the texts quote the row.
    #[serde(borrow, default)]
    caused_by: Option<Cause<'a>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Cause<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    error: &'a RawValue,
}

/// Which kind of operation an item was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// `index`.
    Index,
    /// `delete`.
    Delete,
}

// === impl ErrorBody ===

impl<'a> ErrorBody<'a> {
    /// The error of a whole request; `None` where the body holds none.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let envelope: Envelope<'a> = serde_json::from_slice(body).ok()?;
        let raw = envelope.error.get();
        serde_json::from_str(raw).ok().or_else(|| {
            // Some handlers answer {"error": "text"}.
            serde_json::from_str::<Cow<'a, str>>(raw)
                .ok()
                .map(|reason| Self {
                    kind: Cow::Borrowed(""),
                    reason,
                    caused_by: None,
                })
        })
    }
}

/// What became of a write, by its item's status and error.
pub(super) fn judge(op: Op, status: u16, error: Option<&ErrorBody<'_>>) -> Outcome {
    let Some(error) = error else {
        return match (op, status) {
            (_, 200..=299) => Outcome::Applied,
            // The document was not there, and its version is remembered.
            (Op::Delete, 404) => Outcome::Applied,
            (Op::Index | Op::Delete, _) => Outcome::Retry(failure(
                "unexpected_status",
                format!("the item has status {status} and no error"),
                false,
            )),
        };
    };
    let said = |alarm| failure(&error.kind, detail(error), alarm);
    match status {
        409 if error.kind == "version_conflict_engine_exception" => Outcome::Superseded {
            by: current_version(&error.reason),
        },
        // A closed index and an alias without a write index are answered with the status of a bad document.
        400 if error.kind == "index_closed_exception" => Outcome::Retry(said(true)),
        400 if error
            .reason
            .starts_with("no write index is defined for alias") =>
        {
            Outcome::Retry(said(true))
        }
        400 if planted(Bug::SwallowedRejection) => Outcome::Applied,
        400 => Outcome::Rejected(said(false)),
        // The server wants less for a while, but for a disk that is full.
        429 => Outcome::Retry(said(error.kind == "cluster_block_exception")),
        408 | 409 | 500..=599 => Outcome::Retry(said(false)),
        // 401 and 403: permissions and blocks. 404: the alias or its index is gone. Whatever else there may
        // be is not said of a document.
        _ => Outcome::Retry(said(true)),
    }
}

/// Whether a status may be due to the one document that it was given for: a 503 says that the server, or
/// the document's shard, is not there, which its neighbours on other shards do not notice.
pub(super) fn may_be_alone(status: u16) -> bool {
    matches!(status, 500..=599) && status != 503
}

/// A failure with the given name and words.
pub(super) fn failure(kind: &str, detail: impl Into<Box<str>>, alarm: bool) -> Failure {
    Failure {
        kind: kind.into(),
        detail: detail.into(),
        alone: false,
        alarm,
    }
}

/// An error's words without the row's values, at most [`MAX_DETAIL`] bytes.
pub(super) fn detail(error: &ErrorBody<'_>) -> String {
    let reason = &*error.reason;
    let cut = QUOTES.iter().filter_map(|quote| reason.find(quote)).min();
    let mut text = match cut {
        Some(at) => format!("{}{LEFT_OUT}", &reason[..at]),
        None => reason.to_owned(),
    };
    if let Some(cause) = &error.caused_by {
        text.push_str(" (");
        text.push_str(&cause.kind);
        text.push(')');
    }
    if text.len() > MAX_DETAIL {
        text.truncate(text.floor_char_boundary(MAX_DETAIL));
    }
    text
}

/// The version in "…current version [N] is higher or equal to the one provided [M]". The id stands before
/// it and may hold the same words, so the last place counts.
fn current_version(reason: &str) -> Option<Version> {
    const WORDS: &str = "current version [";
    let from = reason.rfind(WORDS)? + WORDS.len();
    let (digits, _) = reason.get(from..)?.split_once(']')?;
    digits.parse().ok().map(Version::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<'a>(kind: &'a str, reason: &'a str) -> ErrorBody<'a> {
        ErrorBody {
            kind: kind.into(),
            reason: reason.into(),
            caused_by: None,
        }
    }

    fn judged(status: u16, kind: &str, reason: &str) -> Outcome {
        judge(Op::Index, status, Some(&error(kind, reason)))
    }

    #[test]
    fn nothing_that_lies_with_the_server_is_a_rejection() {
        for (status, kind, reason, alarm) in [
            (401, "security_exception", "", true),
            (403, "security_exception", "action is unauthorized", true),
            (
                403,
                "cluster_block_exception",
                "blocked by: [FORBIDDEN/8/index write (api)];",
                true,
            ),
            (429, "cluster_block_exception", "flood-stage", true),
            (429, "es_rejected_execution_exception", "", false),
            (404, "index_not_found_exception", "no such index [p]", true),
            (400, "index_closed_exception", "closed", true),
            (
                400,
                "illegal_argument_exception",
                "no write index is defined for alias [p]. The write",
                true,
            ),
            (409, "resource_already_exists_exception", "", false),
            (500, "not_x_content_exception", "", false),
            (503, "unavailable_shards_exception", "", false),
            (418, "teapot", "", true),
        ] {
            match judged(status, kind, reason) {
                Outcome::Retry(f) => assert_eq!((&*f.kind, f.alarm), (kind, alarm), "{status}"),
                other => panic!("{status} {kind}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_document_that_the_mapping_does_not_take_is_rejected() {
        for kind in [
            "document_parsing_exception",
            "mapper_parsing_exception",
            "strict_dynamic_mapping_exception",
            "illegal_argument_exception",
        ] {
            assert!(matches!(judged(400, kind, "no"), Outcome::Rejected(f) if &*f.kind == kind));
        }
    }

    #[test]
    fn a_delete_of_nothing_is_applied_and_an_index_answered_so_is_not() {
        assert_eq!(judge(Op::Delete, 404, None), Outcome::Applied);
        assert!(matches!(judge(Op::Index, 404, None), Outcome::Retry(_)));
        assert!(matches!(judge(Op::Index, 302, None), Outcome::Retry(_)));
    }

    #[test]
    fn a_conflict_tells_the_version_that_stands_whatever_the_id_says() {
        let by = |reason| match judged(409, "version_conflict_engine_exception", reason) {
            Outcome::Superseded { by } => by.map(Version::get),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            by(
                "[a, current version [5]]: version conflict, current version [9007199254740993] is higher or equal to the one provided [7]"
            ),
            Some(9_007_199_254_740_993)
        );
        assert_eq!(by("something else"), None);
    }

    #[test]
    fn no_value_of_the_row_is_repeated() {
        for reason in [
            "[1:6] failed to parse field [l] of type [long] in document with id '2'. Preview of field's value: 'zzsecret'",
            "[1:2] failed to parse: [1:15] Unrecognized token 'zzsecret': was expecting (JSON String, …)\n at [Source: (byte[])\"{\"l\":zzsecret}\"; line: 1, column: 15]",
            "[1:6] failed to parse: [1:11] Duplicate field 'l'\n at [Source: (byte[])\"{\"l\":zzsecret,\"l\":2}\"; line: 1]",
            "Failed to parse value [zzsecret] as only [true] or [false] are allowed.",
            "failed to parse date field [zzsecret] with format [strict_date_optional_time]",
            "For input string: \"zzsecret\"",
        ] {
            let text = detail(&error("document_parsing_exception", reason));
            assert!(
                !text.contains("zzsecret") && text.ends_with(LEFT_OUT),
                "{text}"
            );
        }
    }

    #[test]
    fn the_cause_is_named_by_its_type_alone() {
        let body = br#"{"error":{"type":"document_parsing_exception","reason":"no","caused_by":{"type":"number_format_exception","reason":"For input string: \"zzsecret\""}},"status":400}"#;
        let error = ErrorBody::read(body).unwrap();
        assert_eq!(detail(&error), "no (number_format_exception)");
        let text = ErrorBody::read(br#"{"error":"alias [p] missing","status":404}"#).unwrap();
        assert_eq!(text.reason, "alias [p] missing");
        assert_eq!(ErrorBody::read(b"<html>"), None);
        assert_eq!(ErrorBody::read(b"{}"), None);
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let long = "é".repeat(MAX_DETAIL);
        let text = detail(&error("x", &long));
        assert!(text.len() <= MAX_DETAIL && text.len() >= MAX_DETAIL - 4);
    }
}
