//! Finds what the server gave up with no worker left to bury it, and buries it.
//!
//! Two ways lead here. The server publishes an advisory for each message that was delivered as often as it
//! may be (when it is next asked for messages); the stream LIVE_ADVISORY keeps them until a worker has seen to
//! each. And since an advisory can be lost with the server, LIVE_IN is looked through now and then: of a work
//! queue only what was given up is left below what the consumer has acknowledged, or below what it has
//! delivered while no acknowledgement is due.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::datetime::DateTime;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use futures_util::StreamExt as _;
use tokio::sync::watch;

use super::{Letter, bury, msg_id};
use crate::live::connect::{Conn, Link};
use crate::live::names;
use crate::live::streams::{LIVE_ADVISORY, LIVE_IN, WORKERS};
use crate::live::tally::Tally;
use crate::retry::{Because, Delays};

/// How often LIVE_IN is looked through. It is the last resort, and costs two requests.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// At most so many in one look; the next one finds the rest.
const LOOK_MOST: usize = 256;
/// See `inbox::pull`: a hung worker swallows what it is handed.
const EXPIRES: Duration = Duration::from_secs(2);

/// What an advisory says, as far as it matters.
#[derive(Debug, serde::Deserialize)]
struct Advisory {
    stream: String,
    consumer: String,
    stream_seq: u64,
    #[serde(default)]
    deliveries: u64,
}

/// Buries what the server gave up, until told to stop.
pub(in crate::live) async fn run(
    link: Link,
    tally: Arc<Tally>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut delays = Delays::server();
    let mut logged = false;
    loop {
        let watching = async {
            let conn = link.connected().await;
            tokio::select! {
                ended = watch(&conn, &tally, &mut delays) => ended,
                () = link.lost(conn.epoch) => Ok(()),
            }
        };
        let ended = tokio::select! {
            ended = watching => ended,
            _ = stop.wait_for(|s| *s) => return Ok(()),
        };
        match ended {
            Ok(()) => logged = false,
            Err(why) => {
                if !std::mem::replace(&mut logged, true) {
                    tracing::warn!("dead letters cannot be seen to, and are tried again: {why}");
                }
                tokio::select! {
                    () = link.server().again(&mut delays, Because::Away) => {}
                    _ = stop.wait_for(|s| *s) => return Ok(()),
                }
            }
        }
    }
}

/// Over one connection.
async fn watch(conn: &Conn, tally: &Tally, delays: &mut Delays) -> Result<(), String> {
    let open = |e: &dyn std::fmt::Display| format!("{LIVE_ADVISORY} and {LIVE_IN}: {e}");
    let inbox = conn.js.get_stream(LIVE_IN).await.map_err(|e| open(&e))?;
    let advisories = conn.js.get_stream(LIVE_ADVISORY).await;
    let advisories = advisories.map_err(|e| open(&e))?;
    let consumer = advisories.get_consumer::<pull::Config>(WORKERS).await;
    let consumer = consumer.map_err(|e| open(&e))?;
    let mut messages = consumer
        .stream()
        .max_messages_per_batch(16)
        .expires(EXPIRES)
        .messages()
        .await
        .map_err(|e| open(&e))?;
    let mut look = tokio::time::interval(LOOK_EVERY);
    let mut suspects = BTreeSet::new();
    delays.reset();
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else {
                    return Err("the advisories ended".to_owned());
                };
                let message = message.map_err(|e| e.to_string())?;
                match serde_json::from_slice::<Advisory>(&message.payload) {
                    Ok(a) if a.stream == LIVE_IN && a.consumer == WORKERS => {
                        let reason = format!("delivered {} times, and acknowledged by no worker", a.deliveries);
                        exhume(conn, &inbox, a.stream_seq, a.deliveries, &reason, tally).await?;
                    }
                    Ok(a) => tracing::warn!(stream = a.stream, consumer = a.consumer, "an advisory of another consumer"),
                    Err(e) => tracing::warn!("an advisory that cannot be read: {e}"),
                }
                message.double_ack().await.map_err(|e| e.to_string())?;
            }
            _ = look.tick() => suspects = look_through(conn, &inbox, suspects, tally).await?,
        }
    }
}

/// Copies a message of LIVE_IN into LIVE_DEAD, then deletes it. One that is gone was seen to before.
async fn exhume(
    conn: &Conn,
    inbox: &Stream,
    seq: u64,
    deliveries: u64,
    reason: &str,
    tally: &Tally,
) -> Result<(), String> {
    let message = match inbox.get_raw_message(seq).await {
        Ok(message) => message,
        Err(e) if e.kind() == RawMessageErrorKind::NoMessageFound => return Ok(()),
        Err(e) => return Err(format!("{LIVE_IN} {seq}: {e}")),
    };
    let created = inbox.cached_info().created;
    let letter = Letter {
        msg_id: &msg_id(millis(created), seq),
        seq,
        subject: &message.subject,
        payload: message.payload,
        deliveries,
        received_ms: millis(message.time),
        reason,
    };
    bury(conn, &letter).await?;
    let deleted = inbox.delete_message(seq).await;
    deleted.map_err(|e| format!("{LIVE_IN} {seq} is buried and cannot be deleted: {e}"))?;
    tally.buried.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Buries what was given up and already looked like it at the look before: what has only just been
/// acknowledged looks like it, too, for the moment until it is removed.
async fn look_through(
    conn: &Conn,
    inbox: &Stream,
    before: BTreeSet<u64>,
    tally: &Tally,
) -> Result<BTreeSet<u64>, String> {
    let failed = |e: &dyn std::fmt::Display| format!("{LIVE_IN} cannot be looked through: {e}");
    let consumer = match inbox.consumer_info(WORKERS).await {
        Ok(info) => info,
        // No worker has made it yet: nothing was delivered.
        Err(e) if e.kind() == ConsumerInfoErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(e) => return Err(failed(&e)),
    };
    let floor = if consumer.num_ack_pending == 0 {
        consumer.delivered.stream_sequence
    } else {
        consumer.ack_floor.stream_sequence
    };
    let state = inbox.get_info().await.map_err(|e| failed(&e))?.state;
    let mut suspects = BTreeSet::new();
    let mut from = state.first_sequence;
    while state.messages > 0 && from <= floor && suspects.len() < LOOK_MOST {
        let next = inbox
            .raw_message_builder()
            .sequence(from)
            .next_by_subject(names::all::COMMENTS)
            .send()
            .await;
        let message = match next {
            Ok(message) => message,
            Err(e) if e.kind() == RawMessageErrorKind::NoMessageFound => break,
            Err(e) => return Err(failed(&e)),
        };
        if message.sequence > floor {
            break;
        }
        suspects.insert(message.sequence);
        from = message.sequence + 1;
    }
    for seq in suspects.intersection(&before) {
        let most = u64::try_from(consumer.config.max_deliver).unwrap_or(0);
        exhume(
            conn,
            inbox,
            *seq,
            most,
            "given up by the server without a word",
            tally,
        )
        .await?;
    }
    Ok(suspects.difference(&before).copied().collect())
}

fn millis(time: DateTime) -> i64 {
    (time.unix_timestamp_nanos() / 1_000_000) as i64
}
