//! Requests at receipt: history for users, and what moderators ask of a room.
//!
//! Promises: an answer goes to the inbox of the user whom the server pinned in the request's subject, and
//! nowhere else; a request that names another reply subject is not even executed. Each worker has so many
//! requests under way at the most; beyond them the answer is that it has too much to do.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::connect::{Conn, Link};
use super::history;
use super::names::{self, RoomId, UserId};
use super::receive::GROUP;
use super::room::Rooms;
use super::service::{Left, over_connections, turning};
use super::tally::{Class, Outcome, Receipt, Tally};
use super::wire::{Reason, Refused};
use crate::supervise::Incarnation;

/// Requests under way in one worker: an answer takes a millisecond or two, and holds half a MiB at the most.
const UNDER_WAY: usize = 64;

/// What requests need.
#[derive(Clone)]
pub(super) struct Env {
    pub link: Link,
    pub rooms: Rooms,
    pub tally: Arc<Tally>,
    /// How long one request to the server may take.
    pub timeout: Duration,
}

/// A request whose sender and reply subject are as they should be.
struct Asked {
    class: Class,
    room: RoomId,
    user: UserId,
    payload: bytes::Bytes,
    reply: async_nats::Subject,
}

/// The steps at which tests may make it fail.
pub(super) const STEPS: &[&str] = &["receive"];

/// Answers until it is told to stop, then what is under way.
pub(super) async fn run(
    env: Env,
    incarnation: Incarnation,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let turns = &incarnation.progress;
    over_connections(&env.link, stop, "requests", turns, async |conn, stop| {
        serve(&env, &incarnation, conn, stop).await
    })
    .await
}

/// Over one connection. Returns whether it was told to stop.
async fn serve(
    env: &Env,
    incarnation: &Incarnation,
    conn: &Conn,
    stop: &mut watch::Receiver<bool>,
) -> Result<bool, Left> {
    let mut turning = turning();
    let subscribe = |subject: &'static str| conn.client.queue_subscribe(subject, GROUP.to_owned());
    let mut history = subscribe(names::all::HISTORY).await?;
    let mut ctl = subscribe(names::all::CTL).await?;
    let mut under_way: FuturesUnordered<LocalBoxFuture<'static, ()>> = FuturesUnordered::new();
    let mut stopping = false;
    let (mut more_history, mut more_ctl) = (true, true);
    while more_history || more_ctl || !under_way.is_empty() {
        let (class, message) = tokio::select! {
            Some(()) = under_way.next(), if !under_way.is_empty() => continue,
            message = ctl.next(), if more_ctl => {
                more_ctl = message.is_some();
                (Class::Ctl, message)
            }
            message = history.next(), if more_history => {
                more_history = message.is_some();
                (Class::History, message)
            }
            _ = turning.tick() => {
                incarnation.progress.did(0);
                continue;
            }
            () = env.link.lost(conn.epoch) => return Ok(stopping),
            _ = stop.wait_for(|s| *s), if !stopping => {
                stopping = true;
                // What was received is still answered.
                let _ = history.drain().await;
                let _ = ctl.drain().await;
                continue;
            }
        };
        let Some(message) = message else {
            continue;
        };
        incarnation.steps.pass("receive").await?;
        let receipt = env.tally.receive(class, 1);
        let Some(asked) = admit(env, conn, class, message).await else {
            receipt.resolve(Outcome::Refused);
            continue;
        };
        if under_way.len() >= UNDER_WAY {
            let refused =
                asked.refused(Reason::Overloaded, "this worker has too much to do".into());
            env.tally.because(refused.code);
            reply(conn, &asked, &refused).await;
            receipt.resolve(Outcome::Shed);
            continue;
        }
        under_way.push(Box::pin(answer(env.clone(), conn.clone(), asked, receipt)));
    }
    let _ = conn.client.flush().await;
    Ok(stopping)
}

/// Takes a request apart; `None` where it is refused.
async fn admit(env: &Env, conn: &Conn, class: Class, message: Message) -> Option<Asked> {
    let Some((room, user)) = names::parse_request(&message.subject, class.name()) else {
        env.tally.because(Reason::BadName);
        return None;
    };
    let asked = Asked {
        class,
        room,
        user,
        payload: message.payload,
        reply: message.reply.unwrap_or_else(|| "".into()),
    };
    if names::may_reply(&asked.user, &asked.reply) {
        return Some(asked);
    }
    let refused = asked.refused(
        Reason::Forbidden,
        format!(
            "a request needs a reply subject under {}",
            names::inbox_prefix(&asked.user)
        ),
    );
    env.tally.because(refused.code);
    tell(env, conn, &asked.user, &refused).await;
    None
}

async fn answer(env: Env, conn: Conn, asked: Asked, receipt: Receipt) {
    let json = match asked.class {
        Class::Ctl => {
            let answer = env.rooms.ctl(&asked.room, &asked.user, &asked.payload);
            answer.await
        }
        Class::History | Class::Comment | Class::Like | Class::Here => {
            match history(&env, &conn, &asked).await {
                Ok(json) => json,
                Err(refused) => {
                    env.tally.because(refused.code);
                    reply(&conn, &asked, &refused).await;
                    receipt.resolve(Outcome::Refused);
                    return;
                }
            }
        }
    };
    match conn.client.publish(asked.reply, json.into()).await {
        Ok(()) => receipt.resolve(Outcome::Accepted),
        // Abandoned: whoever asked hears nothing, and asks again.
        Err(why) => tracing::debug!(room = %asked.room, "an answer could not be sent: {why}"),
    }
}

async fn history(env: &Env, conn: &Conn, asked: &Asked) -> Result<Vec<u8>, Refused> {
    let request = history::Request::parse(&asked.payload)
        .map_err(|why| asked.refused(Reason::Malformed, why))?;
    let answer = request.answer(conn, &asked.room, env.timeout).await;
    let json = answer
        .map_err(|why| why.to_string())
        .and_then(|answer| serde_json::to_vec(&answer).map_err(|e| e.to_string()));
    json.map_err(|why| {
        tracing::warn!(room = %asked.room, "no history: {why}");
        asked.refused(
            Reason::Overloaded,
            "the history cannot be read now: try again".into(),
        )
    })
}

async fn reply(conn: &Conn, asked: &Asked, refused: &Refused) {
    // The type has string keys and nothing that fails.
    if let Ok(json) = serde_json::to_vec(refused)
        && let Err(why) = conn.client.publish(asked.reply.clone(), json.into()).await
    {
        tracing::debug!(room = %asked.room, "a refusal could not be sent: {why}");
    }
}

/// Tells a user on their own subject; lossy by contract.
pub(super) async fn tell(env: &Env, conn: &Conn, user: &UserId, refused: &Refused) {
    if !env.link.up() {
        return;
    }
    if let Ok(json) = serde_json::to_vec(refused)
        && let Err(why) = conn.client.publish(names::refused(user), json.into()).await
    {
        tracing::debug!(%user, "a refusal could not be sent: {why}");
    }
}

// === impl Asked ===

impl Asked {
    fn refused(&self, code: Reason, detail: String) -> Refused {
        Refused {
            room: self.room.to_string(),
            what: self.class.name().to_owned(),
            code,
            detail,
            retry_after_ms: None,
            id: None,
            cid: None,
        }
    }
}
