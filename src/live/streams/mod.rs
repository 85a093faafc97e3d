//! The live lane's streams on NATS: what `topics/live.toml` says is made true on the server.
//!
//! Promises: what is absent is made; what differs and can be altered without losing what a stream is for is
//! altered, and nothing else of a stream is touched (replicas and placement are the operator's); what cannot
//! is refused with the remedy. It can be repeated, by several processes at once. A server that is away is
//! waited for.
//!
//! It never deletes a stream.

mod compare;
mod error;
mod wanted;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_nats::jetstream::{Context, consumer, stream};
use serde_json::json;

pub use compare::Difference;
pub use error::StreamsError;

use self::error::{Answer, ask};
use self::wanted::{Consumer, Wanted};
use crate::config::LiveSpec;
use crate::retry::Delays;

/// Comments that wait for a worker.
pub const LIVE_IN: &str = "LIVE_IN";
/// Accepted entries.
pub const LIVE_OUT: &str = "LIVE_OUT";
/// Comments that were delivered too often, on [`crate::live::names::dead`].
pub const LIVE_DEAD: &str = "LIVE_DEAD";
/// The server's advisories that a comment of LIVE_IN was delivered too often.
pub const LIVE_ADVISORY: &str = "LIVE_ADVISORY";
/// What moderators did, on [`crate::live::names::audit`].
pub const LIVE_AUDIT: &str = "LIVE_AUDIT";
/// Notifications.
pub const NOTIFY: &str = "NOTIFY";
/// How far each user has read his notifications: the last sequence of NOTIFY, one message a user.
pub const NOTIFY_READ: &str = "NOTIFY_READ";
/// The bucket with each room's moderation state.
pub const MODERATION: &str = "live_moderation";
/// For how long the server tells of a decision that no longer holds; a follower that was away reads all anyway.
pub const MODERATION_REMOVED: Duration = Duration::from_secs(3_600);
/// The durable pull consumer that all workers share, on LIVE_IN and on LIVE_ADVISORY.
pub const WORKERS: &str = "workers";

/// The most bytes of a comment in LIVE_IN, its headers included: 1,000 characters, the most that a spec can
/// allow, take 12,000 bytes where JSON escapes each of them as a surrogate pair.
pub const LARGEST_COMMENT: usize = 16 << 10;

/// The longest that a pull request on [`WORKERS`] may wait, in seconds. A worker that hangs keeps its request,
/// and redeliveries go on being handed to it until the request expires.
pub const LONGEST_PULL_SECONDS: u64 = 2;

/// What became of one stream or consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was absent.
    Created,
    /// It differed so.
    Altered(Vec<Difference>),
    /// It was as it should be.
    Unchanged,
}

/// What became of each stream and consumer, by name, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied(pub Vec<(String, Change)>);

/// What [`apply`] would do to one stream or consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Make it.
    Create,
    /// Alter it.
    Alter(Vec<Difference>),
    /// Nothing.
    Keep,
    /// Refuse it: at least one of these cannot be altered.
    Refuse(Vec<Difference>),
}

/// Makes the streams what the spec says. A server that is away, or that has no JetStream yet, is waited for
/// without end and with growing delays; drop the future to give up.
///
/// # Errors
/// [`StreamsError::Differs`] where a stream is there that cannot become what it should be, and
/// [`StreamsError::Refused`] where the server refuses; both name the stream and the remedy.
pub async fn apply(jetstream: &Context, spec: &LiveSpec) -> Result<Applied, StreamsError> {
    let mut delays = Delays::server();
    let mut told = false;
    loop {
        match try_apply(jetstream, spec).await {
            Err(StreamsError::Away { what, why }) => {
                if !told {
                    tracing::warn!(
                        "{what}: the server does not answer ({why}); it is asked again until it does"
                    );
                    told = true;
                }
                tokio::time::sleep(delays.next_delay()).await;
            }
            done => return done,
        }
    }
}

/// What [`apply`] would do, asked once.
///
/// # Errors
/// [`StreamsError::Away`] where the server does not answer, [`StreamsError::Refused`] where it refuses to.
pub async fn plan(
    jetstream: &Context,
    spec: &LiveSpec,
) -> Result<Vec<(String, Plan)>, StreamsError> {
    let mut plans = Vec::new();
    for wanted in wanted::all(spec) {
        let plan = match found_stream(jetstream, wanted.name()).await? {
            Some(found) => Plan::of(compare::streams(&found, &wanted.stream)),
            None => Plan::Create,
        };
        plans.push((wanted.label(), plan));
        if let Some(consumer) = &wanted.consumer {
            let plan = match found_consumer(jetstream, consumer).await? {
                Some(found) => Plan::of(compare::consumers(&found, &consumer.config)),
                None => Plan::Create,
            };
            plans.push((consumer.label(), plan));
        }
    }
    Ok(plans)
}

async fn try_apply(jetstream: &Context, spec: &LiveSpec) -> Result<Applied, StreamsError> {
    let mut applied = Vec::new();
    for wanted in wanted::all(spec) {
        let change = apply_stream(jetstream, &wanted).await?;
        applied.push((wanted.label(), change));
        if let Some(consumer) = &wanted.consumer {
            let change = apply_consumer(jetstream, consumer).await?;
            applied.push((consumer.label(), change));
        }
    }
    Ok(Applied(applied))
}

async fn apply_stream(jetstream: &Context, wanted: &Wanted) -> Result<Change, StreamsError> {
    let name = wanted.name();
    let Some(found) = found_stream(jetstream, name).await? else {
        let subject = format!("STREAM.CREATE.{name}");
        return match ask::<stream::Info>(jetstream, &wanted.label(), subject, &wanted.stream)
            .await?
        {
            Answer::Is(_) => Ok(Change::Created),
            // Another process was faster; what it made is looked at.
            Answer::Taken => match found_stream(jetstream, name).await? {
                Some(found) => alter_stream(jetstream, wanted, found).await,
                None => Err(StreamsError::vanished(wanted.label())),
            },
            Answer::Absent => Err(StreamsError::vanished(wanted.label())),
        };
    };
    alter_stream(jetstream, wanted, found).await
}

async fn alter_stream(
    jetstream: &Context,
    wanted: &Wanted,
    found: stream::Config,
) -> Result<Change, StreamsError> {
    let differences = compare::streams(&found, &wanted.stream);
    if differences.is_empty() {
        return Ok(Change::Unchanged);
    }
    if differences.iter().any(|difference| difference.fixed) {
        return Err(StreamsError::differs(wanted.label(), differences));
    }
    let altered = compare::overlaid(found, &wanted.stream);
    let subject = format!("STREAM.UPDATE.{}", wanted.name());
    match ask::<stream::Info>(jetstream, &wanted.label(), subject, &altered).await? {
        Answer::Is(_) => Ok(Change::Altered(differences)),
        Answer::Absent | Answer::Taken => Err(StreamsError::vanished(wanted.label())),
    }
}

async fn apply_consumer(jetstream: &Context, wanted: &Consumer) -> Result<Change, StreamsError> {
    let change = match found_consumer(jetstream, wanted).await? {
        None => Change::Created,
        Some(found) => {
            let differences = compare::consumers(&found, &wanted.config);
            if differences.is_empty() {
                return Ok(Change::Unchanged);
            }
            if differences.iter().any(|difference| difference.fixed) {
                return Err(StreamsError::differs(wanted.label(), differences));
            }
            Change::Altered(differences)
        }
    };
    // This request makes or alters, whichever is called for by now.
    let subject = format!("CONSUMER.CREATE.{}.{WORKERS}", wanted.stream);
    let body = json!({"stream_name": wanted.stream, "config": wanted.config, "action": ""});
    match ask::<consumer::Info>(jetstream, &wanted.label(), subject, &body).await? {
        Answer::Is(_) => Ok(change),
        Answer::Absent | Answer::Taken => Err(StreamsError::vanished(wanted.label())),
    }
}

async fn found_stream(
    jetstream: &Context,
    name: &str,
) -> Result<Option<stream::Config>, StreamsError> {
    let label = format!("stream {name}");
    let subject = format!("STREAM.INFO.{name}");
    match ask::<stream::Info>(jetstream, &label, subject, &json!({})).await? {
        Answer::Is(info) => Ok(Some(info.config)),
        Answer::Absent => Ok(None),
        Answer::Taken => Err(StreamsError::vanished(label)),
    }
}

async fn found_consumer(
    jetstream: &Context,
    wanted: &Consumer,
) -> Result<Option<consumer::Config>, StreamsError> {
    let subject = format!("CONSUMER.INFO.{}.{WORKERS}", wanted.stream);
    match ask::<consumer::Info>(jetstream, &wanted.label(), subject, &json!({})).await? {
        Answer::Is(info) => Ok(Some(info.config)),
        Answer::Absent => Ok(None),
        Answer::Taken => Err(StreamsError::vanished(wanted.label())),
    }
}

// === impl Plan ===

impl Plan {
    fn of(differences: Vec<Difference>) -> Self {
        if differences.is_empty() {
            Self::Keep
        } else if differences.iter().any(|difference| difference.fixed) {
            Self::Refuse(differences)
        } else {
            Self::Alter(differences)
        }
    }
}

// === impl Applied ===

impl Applied {
    /// Whether everything was as it should be.
    pub fn is_unchanged(&self) -> bool {
        let unchanged = |change: &Change| *change == Change::Unchanged;
        self.0.iter().all(|(_, change)| unchanged(change))
    }
}
