//! Follows the bucket: first all of it, then every change.
//!
//! The client's own KV watch goes on by itself after a reconnect, from the last revision that it saw, up to 10 s
//! late, and after a server that lost writes from a revision that is another's now. Here a consumer without
//! acknowledgements is read as long as its numbers have no gap and its heartbeats come; then all is read again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PushConsumer, push};
use async_nats::jetstream::{self, Message};
use futures_util::StreamExt as _;

use super::bucket::bucket;
use super::entry::Item;
use super::{Moderation, Rules, change_in};
use crate::live::names::RoomId;
use crate::live::room::{Outlet, Stats};
use crate::live::streams::MODERATION;
use crate::retry::Delays;

/// Two of them missing are a gap: what a moderator did is seen 0.8 s after the connection is back, at the latest.
/// The server takes no less than 100 ms.
const HEARTBEAT: Duration = Duration::from_millis(400);
/// A server that is back may not have its streams yet: the first pause, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Follows for ever. What it learns is in `moderation`.
pub(in crate::live) async fn follow(moderation: &Moderation, outlet: &dyn Outlet, stats: &Stats) {
    let mut delays = Delays::new(PAUSES.0, PAUSES.1);
    loop {
        let mut whole = false;
        let js = outlet.connection().await;
        let why = match read(&js, moderation, &mut whole).await {
            Ok(never) => match never {},
            Err(why) => why,
        };
        stats.moderation_reread.add(1);
        tracing::warn!("the moderators' decisions are read again: {why}");
        if whole {
            delays.reset();
        }
        tokio::time::sleep(delays.next_delay()).await;
    }
}

enum Never {}

async fn read(
    js: &jetstream::Context,
    moderation: &Moderation,
    whole: &mut bool,
) -> Result<Never, String> {
    let store = bucket(js).await?;
    let mut consumer: PushConsumer = store
        .stream
        .create_consumer(push::Config {
            deliver_subject: js.client().new_inbox(),
            description: Some("a worker that follows the moderators' decisions".to_owned()),
            deliver_policy: DeliverPolicy::LastPerSubject,
            ack_policy: AckPolicy::None,
            max_deliver: 1,
            filter_subject: format!("{}>", store.prefix),
            idle_heartbeat: HEARTBEAT,
            flow_control: true,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: Duration::from_secs(30),
            ..push::Config::default()
        })
        .await
        .map_err(|e| format!("no consumer of {MODERATION}: {e}"))?;
    let mut messages = consumer
        .messages()
        .await
        .map_err(|e| format!("no subscription to {MODERATION}: {e}"))?;

    let mut fresh: HashMap<RoomId, Arc<Rules>> = HashMap::new();
    let (mut seen, mut revision) = (0, 0);
    let mut complete = consumer.cached_info().num_pending == 0;
    while !complete {
        let next = tokio::time::timeout(4 * HEARTBEAT, messages.next()).await;
        let Ok(next) = next else {
            // What was still to come may have expired meanwhile; then no message says that it is the last.
            let info = consumer.info().await.map_err(|e| e.to_string())?;
            complete = info.num_pending == 0 && info.delivered.consumer_sequence == seen;
            continue;
        };
        let message = next.ok_or("the subscription has ended")?;
        let message = message.map_err(|e| e.to_string())?;
        let step = Step::of(&message, &store.prefix, &mut seen)?;
        complete = step.pending == 0;
        revision = step.revision;
        if let Some((room, change)) = step.change {
            change_in(&mut fresh, &room, change);
        }
    }
    moderation.replace(fresh, revision);
    *whole = true;
    loop {
        let message = messages.next().await.ok_or("the subscription has ended")?;
        let message = message.map_err(|e| e.to_string())?;
        let step = Step::of(&message, &store.prefix, &mut seen)?;
        match step.change {
            Some((room, change)) => moderation.apply(&room, change, step.revision),
            None => moderation.saw(|seen| seen.revision = step.revision),
        }
    }
}

/// One message of the bucket.
struct Step {
    revision: u64,
    pending: u64,
    change: Option<(RoomId, super::Change)>,
}

// === impl Step ===

impl Step {
    fn of(message: &Message, prefix: &str, seen: &mut u64) -> Result<Self, String> {
        let info = message.info().map_err(|e| e.to_string())?;
        if info.consumer_sequence != *seen + 1 {
            return Err(format!(
                "message {} came after message {seen}",
                info.consumer_sequence
            ));
        }
        *seen = info.consumer_sequence;
        let key = message.subject.strip_prefix(prefix).unwrap_or_default();
        let removed = message.headers.as_ref().is_some_and(|headers| {
            headers
                .get("KV-Operation")
                .is_some_and(|operation| operation.as_str() != "PUT")
                || headers.get("Nats-Marker-Reason").is_some()
        });
        let value = (!removed).then_some(message.payload.as_ref());
        let change = Item::parse(key)
            .ok_or_else(|| "no such key is known here".to_owned())
            .and_then(|(room, item)| Ok((room, item.change(value)?)))
            .inspect_err(|why| {
                // One that cannot be read must not keep the others from being read.
                tracing::error!(
                    key,
                    revision = info.stream_sequence,
                    "a decision in {MODERATION} is not heeded: {why}; remove the key, or decide anew"
                );
            })
            .ok();
        Ok(Self {
            revision: info.stream_sequence,
            pending: info.pending,
            change,
        })
    }
}
