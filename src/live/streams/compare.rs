//! How a stream or consumer differs from what it should be, and what becomes of it.
//!
//! Only what the spec speaks of is compared: replicas, placement, compression and metadata are the operator's.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::consumer;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use crate::config::show_duration;

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The server's name for it.
    pub field: &'static str,
    /// What it is.
    pub found: String,
    /// What it should be.
    pub wanted: String,
    /// Whether it cannot be altered without losing what is there, or what it is for.
    pub fixed: bool,
}

/// A field's name, its value in words, and whether it is fixed.
type Line = (&'static str, String, bool);

/// How a stream differs.
pub(super) fn streams(found: &Config, wanted: &Config) -> Vec<Difference> {
    differences(stream_lines(found), stream_lines(wanted))
}

/// How a consumer differs.
pub(super) fn consumers(found: &consumer::Config, wanted: &consumer::Config) -> Vec<Difference> {
    differences(consumer_lines(found), consumer_lines(wanted))
}

/// The found stream with what is not fixed as it should be.
pub(super) fn overlaid(found: Config, wanted: &Config) -> Config {
    Config {
        discard: wanted.discard,
        max_bytes: wanted.max_bytes,
        max_age: wanted.max_age,
        max_messages: wanted.max_messages,
        max_messages_per_subject: wanted.max_messages_per_subject,
        max_message_size: wanted.max_message_size,
        duplicate_window: if wanted.duplicate_window.is_zero() {
            found.duplicate_window
        } else {
            wanted.duplicate_window
        },
        republish: wanted.republish.clone(),
        allow_direct: wanted.allow_direct,
        allow_rollup: wanted.allow_rollup,
        no_ack: wanted.no_ack,
        allow_message_ttl: wanted.allow_message_ttl,
        subject_delete_marker_ttl: wanted.subject_delete_marker_ttl,
        ..found
    }
}

fn stream_lines(config: &Config) -> Vec<Line> {
    let mut subjects = config.subjects.clone();
    subjects.sort();
    let republish = config
        .republish
        .as_ref()
        .map_or("none".to_owned(), |republish| {
            let headers = if republish.headers_only {
                " (headers only)"
            } else {
                ""
            };
            format!("{} to {}{headers}", republish.source, republish.destination)
        });
    let retention = match config.retention {
        RetentionPolicy::Limits => "limits",
        RetentionPolicy::Interest => "interest",
        RetentionPolicy::WorkQueue => "workqueue",
    };
    let storage = match config.storage {
        StorageType::File => "file",
        StorageType::Memory => "memory",
    };
    let discard = match config.discard {
        DiscardPolicy::Old => "old",
        DiscardPolicy::New => "new",
    };
    vec![
        ("subjects", subjects.join(" "), true),
        ("retention", retention.to_owned(), true),
        ("storage", storage.to_owned(), true),
        // The server lets nobody take these back.
        ("sealed", config.sealed.to_string(), true),
        ("deny_delete", config.deny_delete.to_string(), true),
        ("deny_purge", config.deny_purge.to_string(), true),
        ("discard", discard.to_owned(), false),
        ("max_bytes", limit(config.max_bytes), false),
        ("max_age", span(config.max_age), false),
        ("max_msgs", limit(config.max_messages), false),
        (
            "max_msgs_per_subject",
            limit(config.max_messages_per_subject),
            false,
        ),
        (
            "max_msg_size",
            limit(i64::from(config.max_message_size)),
            false,
        ),
        ("duplicate_window", span(config.duplicate_window), false),
        ("republish", republish, false),
        ("allow_direct", config.allow_direct.to_string(), false),
        ("allow_rollup_hdrs", config.allow_rollup.to_string(), false),
        ("no_ack", config.no_ack.to_string(), false),
        ("allow_msg_ttl", config.allow_message_ttl.to_string(), false),
        (
            "subject_delete_marker_ttl",
            span(config.subject_delete_marker_ttl.unwrap_or_default()),
            false,
        ),
    ]
}

fn consumer_lines(config: &consumer::Config) -> Vec<Line> {
    let filter = [&config.filter_subject]
        .into_iter()
        .chain(&config.filter_subjects)
        .filter(|filter| !filter.is_empty())
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ");
    vec![
        (
            "deliver_subject",
            config.deliver_subject.clone().unwrap_or_default(),
            true,
        ),
        ("ack_policy", format!("{:?}", config.ack_policy), true),
        (
            "deliver_policy",
            format!("{:?}", config.deliver_policy),
            true,
        ),
        ("filter_subject", filter, true),
        ("ack_wait", span(config.ack_wait), false),
        ("max_deliver", limit(config.max_deliver), false),
        ("max_ack_pending", limit(config.max_ack_pending), false),
        ("max_expires", span(config.max_expires), false),
    ]
}

fn differences(found: Vec<Line>, wanted: Vec<Line>) -> Vec<Difference> {
    found
        .into_iter()
        .zip(wanted)
        // A window that is not asked for is the server's own.
        .filter(|((field, ..), (_, wanted, _))| *field != "duplicate_window" || wanted != NONE)
        .filter(|((_, found, _), (_, wanted, _))| found != wanted)
        .map(|((field, found, fixed), (_, wanted, _))| Difference {
            field,
            found,
            wanted,
            fixed,
        })
        .collect()
}

const NONE: &str = "none";

/// A limit in words; the server writes none as -1 or 0.
fn limit(limit: i64) -> String {
    if limit > 0 {
        limit.to_string()
    } else {
        NONE.to_owned()
    }
}

fn span(span: Duration) -> String {
    if span.is_zero() {
        NONE.to_owned()
    } else {
        show_duration(span)
    }
}

// === impl Difference ===

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            found,
            wanted,
            ..
        } = self;
        write!(f, "{field} is {found:?}, and should be {wanted:?}")
    }
}
