//! What the spec makes of each stream.

use std::time::Duration;

use async_nats::jetstream::consumer;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Republish, RetentionPolicy, StorageType,
};

use super::{
    LARGEST_COMMENT, LIVE_ADVISORY, LIVE_AUDIT, LIVE_DEAD, LIVE_IN, LIVE_OUT, LONGEST_PULL_SECONDS,
    MODERATION, MODERATION_REMOVED, NOTIFY, NOTIFY_READ, WORKERS,
};
use crate::config::{KeptSpec, LiveSpec};
use crate::live::names::all;

/// Advisories of a few hundred bytes each, and each is dealt with at once.
const ADVISORY_BYTES: i64 = 16 << 20;

/// A million decisions of 256 bytes.
const MODERATION_BYTES: i64 = 256 << 20;

/// A room's keywords are one value, and by far the largest.
const MODERATION_VALUE: i32 = 256 << 10;

/// A client that lost its connection before the acknowledgement sends its comment again, with the same
/// `Nats-Msg-Id`, once it is back. Longer, and whoever floods the inbox fills the server's memory with ids.
const RESEND_WINDOW: Duration = Duration::from_secs(10);

/// What a user has not seen after so many is not going to be read; and nobody's flood pushes out others'.
const NOTIFICATIONS_A_USER: i64 = 1_000;

/// How much longer than the notifications themselves it is known how far somebody has read.
const READ_LONGER: Duration = Duration::from_secs(86_400);

/// How long a worker may take for a dead letter: two writes to the same server.
const ADVISORY_WAIT: Duration = Duration::from_secs(10);

/// A stream and its consumer.
pub(super) struct Wanted {
    pub stream: Config,
    pub consumer: Option<Consumer>,
}

/// A durable pull consumer, named [`WORKERS`].
pub(super) struct Consumer {
    pub stream: &'static str,
    pub config: consumer::Config,
}

/// Every stream, those that catch something first.
pub(super) fn all(spec: &LiveSpec) -> Vec<Wanted> {
    let advisories = format!("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{LIVE_IN}.>");
    vec![
        Wanted::stream(kept(LIVE_DEAD, all::DEAD, &spec.dead)),
        Wanted {
            stream: Config {
                retention: RetentionPolicy::WorkQueue,
                max_bytes: ADVISORY_BYTES,
                ..kept(LIVE_ADVISORY, &advisories, &spec.dead)
            },
            consumer: Some(workers(
                LIVE_ADVISORY,
                consumer::Config {
                    ack_wait: ADVISORY_WAIT,
                    // A dead letter is not given up: it is tried until the stream forgets it.
                    max_deliver: -1,
                    max_ack_pending: 1_000,
                    ..consumer::Config::default()
                },
            )),
        },
        Wanted::stream(kept(LIVE_AUDIT, all::AUDIT, &spec.audit)),
        Wanted::stream(Config {
            max_messages_per_subject: NOTIFICATIONS_A_USER,
            allow_direct: true,
            // Gateways see each with its place, and notice what they missed.
            republish: Some(Republish {
                source: all::NOTIFY.to_owned(),
                destination: "notify.{{wildcard(1)}}.feed".to_owned(),
                headers_only: false,
            }),
            ..kept(NOTIFY, all::NOTIFY, &spec.notify)
        }),
        Wanted::stream(Config {
            max_messages_per_subject: 1,
            allow_direct: true,
            // What a place stands for is forgotten before the place is.
            max_age: spec.notify.max_age + READ_LONGER,
            ..kept(NOTIFY_READ, all::NOTIFIED, &spec.notify)
        }),
        Wanted::stream(moderation()),
        Wanted::stream(out(spec)),
        inbox(spec),
    ]
}

fn inbox(spec: &LiveSpec) -> Wanted {
    let inbox = &spec.inbox;
    Wanted {
        stream: Config {
            name: LIVE_IN.to_owned(),
            subjects: vec![all::COMMENTS.to_owned()],
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            max_bytes: bytes(inbox.max_bytes),
            max_age: inbox.max_age,
            max_message_size: LARGEST_COMMENT as i32,
            duplicate_window: RESEND_WINDOW,
            // A worker that writes a dead letter reads the comment by its sequence.
            allow_direct: true,
            ..usual()
        },
        consumer: Some(workers(
            LIVE_IN,
            consumer::Config {
                ack_wait: inbox.ack_wait,
                max_deliver: i64::from(inbox.max_deliver),
                max_ack_pending: i64::from(inbox.max_ack_pending),
                ..consumer::Config::default()
            },
        )),
    }
}

fn out(spec: &LiveSpec) -> Config {
    let out = &spec.out;
    Config {
        name: LIVE_OUT.to_owned(),
        subjects: vec![all::OUT.to_owned()],
        max_bytes: bytes(out.max_bytes),
        max_age: out.max_age,
        max_messages_per_subject: i64::from(out.max_per_room),
        duplicate_window: out.duplicate_window,
        republish: Some(Republish {
            source: all::OUT.to_owned(),
            destination: "live.{{wildcard(1)}}.feed".to_owned(),
            headers_only: false,
        }),
        // "The last N" and resume are read by workers, from any replica.
        allow_direct: true,
        ..usual()
    }
}

/// What a client of the server makes for a key-value bucket with one value a key, and an end for those that
/// have one.
fn moderation() -> Config {
    Config {
        name: format!("KV_{MODERATION}"),
        subjects: vec![format!("$KV.{MODERATION}.>")],
        discard: DiscardPolicy::New,
        max_bytes: MODERATION_BYTES,
        max_messages_per_subject: 1,
        max_message_size: MODERATION_VALUE,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        allow_message_ttl: true,
        subject_delete_marker_ttl: Some(MODERATION_REMOVED),
        ..usual()
    }
}

fn kept(name: &str, subject: &str, spec: &KeptSpec) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        max_bytes: bytes(spec.max_bytes),
        max_age: spec.max_age,
        ..usual()
    }
}

/// On disk, in one copy until the operator decides otherwise, without limits that are not named.
fn usual() -> Config {
    Config {
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        num_replicas: 1,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        ..Config::default()
    }
}

fn workers(stream: &'static str, config: consumer::Config) -> Consumer {
    Consumer {
        stream,
        config: consumer::Config {
            durable_name: Some(WORKERS.to_owned()),
            name: Some(WORKERS.to_owned()),
            ack_policy: consumer::AckPolicy::Explicit,
            deliver_policy: consumer::DeliverPolicy::All,
            max_expires: Duration::from_secs(LONGEST_PULL_SECONDS),
            ..config
        },
    }
}

fn bytes(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

// === impl Wanted ===

impl Wanted {
    fn stream(stream: Config) -> Self {
        Self {
            stream,
            consumer: None,
        }
    }

    pub fn name(&self) -> &str {
        &self.stream.name
    }

    /// How it is spoken of.
    pub fn label(&self) -> String {
        format!("stream {}", self.stream.name)
    }
}

// === impl Consumer ===

impl Consumer {
    /// How it is spoken of.
    pub fn label(&self) -> String {
        format!("consumer {WORKERS} of stream {}", self.stream)
    }
}
