//! What clients say, and what becomes of it: published on NATS in their name, or refused.

use std::rc::Rc;
use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use serde_json::value::RawValue;

use super::conn::Conn;
use super::local::Local;
use super::tally::count;
use super::wire::{self, Said, Says};
use crate::live::names::{self, Inbound};
use crate::live::wire::{Comment, Like, Reason, Refused};

/// Charges a client for a message. Not where it says more than it may.
pub(super) fn may_speak(conn: &Conn) -> bool {
    let now = conn.hub.now_ms();
    let settings = &conn.hub.settings;
    let (left, since) = conn.budget.get();
    let earned = now
        .saturating_sub(since)
        .saturating_mul(u64::from(settings.message_rate));
    let left = u64::from(left).saturating_add(earned);
    let left = left.min(u64::from(settings.message_burst) * 1_000);
    // It fits: it is at most as many thousands as may be sent at once.
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    conn.budget.set((left.saturating_sub(1_000), now));
    left >= 1_000
}

/// Deals with a text.
pub(super) fn text(local: &Rc<Local>, conn: &Rc<Conn>, text: &Bytes) {
    let said = match std::str::from_utf8(text) {
        Ok(text) => Said::parse(text),
        Err(_) => Err(("message", "a message is UTF-8".to_owned())),
    };
    match said {
        Ok(Said::Comment(comment)) => self::comment(conn, comment),
        Ok(Said::Like(n)) => like(conn, n),
        Ok(Said::Ctl(reference, request)) => ctl(conn, reference, request),
        Ok(Said::Notify(after)) => super::cursor::begin(local, conn, after),
        Ok(Said::Ack(seq)) => {
            if let Err(why) = super::cursor::acknowledge(conn, seq) {
                refuse(conn, "ack", Reason::Malformed, why, None);
            }
        }
        Err((what, why)) => refuse(conn, what, Reason::Malformed, why, None),
    }
}

fn refuse(conn: &Conn, what: &str, code: Reason, why: String, cid: Option<String>) {
    let refused = Refused {
        cid,
        ..wire::refusal(conn.room.as_str(), what, code, why)
    };
    conn.say(&Says::Refused(&refused));
}

fn comment(conn: &Rc<Conn>, comment: Comment) {
    let cid = comment.cid.clone();
    let Some(in_flight) = conn.begin() else {
        let why =
            "too many comments of yours wait for their acknowledgement: send it again".to_owned();
        return refuse(conn, "comment", Reason::Overloaded, why, cid);
    };
    let conn = Rc::clone(conn);
    actix_web::rt::spawn(async move {
        let _in_flight = in_flight;
        match store(&conn, &comment).await {
            Ok(id) => {
                count(&conn.hub.tally.comments);
                conn.say(&Says::Stored {
                    id: id.to_string(),
                    cid: cid.as_deref(),
                });
            }
            Err(why) => {
                tracing::debug!(room = %conn.room, "a comment is not acknowledged: {why}");
                let why =
                    "the comment may be stored or not: send it again with the same cid".to_owned();
                refuse(&conn, "comment", Reason::Overloaded, why, cid);
            }
        }
    });
}

/// Stores a comment, and returns its place in LIVE_IN.
async fn store(conn: &Conn, comment: &Comment) -> Result<u64, String> {
    let json = serde_json::to_vec(comment).map_err(|e| e.to_string())?;
    let subject = names::inbound(&conn.room, Inbound::Comment, &conn.user);
    let mut message = PublishMessage::build().payload(json.into());
    if let Some(cid) = &comment.cid {
        // A client that sends it again after a lost connection sends the same reference.
        message = message.message_id(format!("{}:{}:{cid}", conn.user, conn.room));
    }
    let stored = async {
        let nats = conn.hub.link.connected().await;
        let sent = nats.js.send_publish(subject, message).await;
        sent.map_err(|e| e.to_string())?
            .await
            .map_err(|e| e.to_string())
    };
    let stored = within(conn.hub.timeout, stored).await?;
    Ok(stored.sequence)
}

async fn within<T>(
    time: Duration,
    what: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match tokio::time::timeout(time, what).await {
        Ok(done) => done,
        Err(_) => Err(format!("no answer within {time:?}")),
    }
}

/// Likes are lossy by contract: where NATS is away they are gone.
fn like(conn: &Rc<Conn>, n: u32) {
    let most = conn.hub.settings.max_likes;
    if !(1..=most).contains(&n) {
        let why = format!("a message holds 1 to {most} likes, not {n}");
        return refuse(conn, "like", Reason::Malformed, why, None);
    }
    let (Some(nats), Some(in_flight)) = (conn.hub.link.now(), conn.begin()) else {
        return;
    };
    let subject = names::inbound(&conn.room, Inbound::Like, &conn.user);
    let Ok(json) = serde_json::to_vec(&Like { n }) else {
        return;
    };
    actix_web::rt::spawn(async move {
        let _in_flight = in_flight;
        if let Err(why) = nats.client.publish(subject, json.into()).await {
            tracing::debug!("likes could not be sent: {why}");
        }
    });
}

fn ctl(conn: &Rc<Conn>, reference: Option<String>, request: &str) {
    if !conn.moderates {
        let why = "your token does not moderate this room".to_owned();
        return refuse(conn, "ctl", Reason::Forbidden, why, reference);
    }
    let Some(in_flight) = conn.begin() else {
        let why = "too many requests of yours wait for their answers".to_owned();
        return refuse(conn, "ctl", Reason::Overloaded, why, reference);
    };
    let payload = Bytes::from(request.to_owned());
    let conn = Rc::clone(conn);
    actix_web::rt::spawn(async move {
        let _in_flight = in_flight;
        let subject = names::ctl(&conn.room, &conn.user);
        let answer = conn.hub.asks.ask(subject, &conn.user, payload).await;
        let answer = answer.map_err(|why| why.to_string());
        let raw = answer
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|a| serde_json::from_slice::<&RawValue>(a).map_err(|e| e.to_string()));
        match raw {
            Ok(answer) => conn.say(&Says::Ctl {
                reference: reference.as_deref(),
                answer,
            }),
            Err(why) => {
                tracing::debug!(room = %conn.room, "a moderator gets no answer: {why}");
                let why = "no answer: it may have been done, ask again".to_owned();
                refuse(&conn, "ctl", Reason::Overloaded, why, reference);
            }
        }
    });
}
