//! What becomes of a comment: look it up, judge it, publish it, acknowledge it.
//!
//! What is away (NATS, what the rooms need) is waited for with the comment in hand: its deliveries are
//! counted, and the count is for comments that nobody can handle, not for outages.

use std::sync::atomic::Ordering;

use super::Env;
use super::held::Held;
use super::seen::Found;
use crate::live::dead::{self, Letter};
use crate::live::names::{self, RoomId, UserId};
use crate::live::outbox::{self, OutboxError, Sent};
use crate::live::room::{RoomsError, Verdict};
use crate::live::tally::Outcome;
use crate::live::wire::{Comment, Entry, Reason, Refused, Shown};
use crate::retry::{Because, Delays};

/// What is to be done with a comment.
#[derive(Debug)]
pub(super) enum Decision {
    /// Publish it.
    Show(Box<Shown>),
    /// Tell its author why it is not shown; `None` where its subject names no author.
    Refuse(Option<Box<Refused>>),
    /// Nothing: LIVE_OUT has it.
    Known,
    /// Nobody could handle it.
    Bury,
    /// Let it go, to be delivered again.
    GiveUp,
}

/// Decides on a delivery; takes as long as what it needs is away.
pub(super) async fn decide(env: &Env, held: &Held) -> Decision {
    let Some((room, user)) = &held.address else {
        return Decision::Refuse(None);
    };
    let comment: Comment = match serde_json::from_slice(&held.payload) {
        Ok(comment) => comment,
        Err(why) => return Decision::Refuse(Some(Box::new(malformed(room, held.seq, &why)))),
    };
    if held.delivered > 1 {
        env.rooms.redelivered(room);
        match look_up(env, held, room).await {
            Found::There => return Decision::Known,
            Found::Absent => {}
            Found::Unknown => {
                env.tally.unproven.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    %room,
                    seq = held.seq,
                    "LIVE_OUT keeps too little to say whether this comment was shown before: it is shown (again)"
                );
            }
        }
        if held.delivered >= u64::from(env.spec.inbox.max_deliver) {
            return Decision::Bury;
        }
    }
    judge(env, held, room, user, comment).await
}

async fn judge(env: &Env, held: &Held, room: &RoomId, user: &UserId, comment: Comment) -> Decision {
    let mut delays = Delays::server();
    loop {
        let verdict = env
            .rooms
            .judge(room, user, held.seq, held.received_ms, comment.clone())
            .await;
        match verdict {
            Ok(Verdict::Accepted(shown)) => return Decision::Show(Box::new(shown)),
            Ok(Verdict::Refused(refused)) => return Decision::Refuse(Some(Box::new(refused))),
            Err(RoomsError::Failed(why)) => {
                tracing::warn!(
                    %room,
                    seq = held.seq,
                    delivered = held.delivered,
                    "the room failed over a comment, which is delivered again: {why}"
                );
                return Decision::GiveUp;
            }
            Err(RoomsError::Unavailable(why)) => env.trouble.report(&why),
        }
        tokio::time::sleep(delays.next_delay()).await;
    }
}

async fn look_up(env: &Env, held: &Held, room: &RoomId) -> Found {
    let mut delays = Delays::server();
    loop {
        match env.seen.find(room, &held.msg_id, held.received_ms).await {
            Ok(found) => {
                env.link.server().answered();
                return found;
            }
            Err(why) => env.trouble.report(&why.to_string()),
        }
        env.link.server().again(&mut delays, Because::Away).await;
    }
}

fn malformed(room: &RoomId, seq: u64, why: &serde_json::Error) -> Refused {
    Refused {
        room: room.to_string(),
        what: "comment".to_owned(),
        code: Reason::Malformed,
        detail: format!("a comment is JSON with at least a `content`: {why}"),
        retry_after_ms: None,
        id: Some(seq.to_string()),
        cid: None,
    }
}

/// Sees a decision through, and acknowledges the comment. `sent` is the first attempt to publish it, made in
/// the order of its room.
pub(super) async fn finish(
    env: &Env,
    held: Held,
    decision: Decision,
    sent: Option<Result<Sent, OutboxError>>,
) {
    let outcome = match decision {
        Decision::Show(shown) => match show(env, &held, *shown, sent).await {
            Ok(outcome) => outcome,
            Err(refused) => refuse(env, &held, Some(&refused)).await,
        },
        Decision::Refuse(refused) => refuse(env, &held, refused.as_deref()).await,
        Decision::Known => Outcome::Duplicate,
        Decision::Bury => bury(env, &held).await,
        Decision::GiveUp => {
            held.resolve(Outcome::Abandoned);
            return;
        }
    };
    // An acknowledgement that is lost costs a redelivery, which finds the comment where it is.
    loop {
        let conn = env.link.connected().await;
        match conn.client.publish(held.reply.clone(), "".into()).await {
            Ok(()) => break,
            // The client has ended, and another one is on its way.
            Err(_) => env.link.lost(conn.epoch).await,
        }
    }
    held.resolve(outcome);
}

/// Publishes until LIVE_OUT has it.
async fn show(
    env: &Env,
    held: &Held,
    shown: Shown,
    mut sent: Option<Result<Sent, OutboxError>>,
) -> Result<Outcome, Refused> {
    let Some((room, _)) = &held.address else {
        // What has no room is refused before.
        return Ok(Outcome::Refused);
    };
    let cid = shown.cid.clone();
    let mut delays = Delays::server();
    loop {
        let first = sent.is_some();
        let attempt = match sent.take() {
            Some(Ok(sent)) => env.outbox.acknowledged(sent).await,
            Some(Err(why)) => Err(why),
            // What an earlier attempt sent may be there, and by now older than the duplicate window.
            None => match look_up(env, held, room).await {
                Found::There => return Ok(Outcome::Accepted),
                Found::Absent | Found::Unknown => publish(env, held, room, &shown).await,
            },
        };
        match attempt {
            Ok(stored) if stored.duplicate && first => return Ok(Outcome::Duplicate),
            Ok(_) => {
                env.link.server().answered();
                return Ok(Outcome::Accepted);
            }
            Err(OutboxError::Away(why)) => env.trouble.report(&why),
            Err(OutboxError::Refused(why)) => {
                return Err(Refused {
                    room: room.to_string(),
                    what: "comment".to_owned(),
                    code: Reason::TooLong,
                    detail: why,
                    retry_after_ms: None,
                    id: Some(held.seq.to_string()),
                    cid,
                });
            }
        }
        env.link.server().again(&mut delays, Because::Away).await;
    }
}

async fn publish(
    env: &Env,
    held: &Held,
    room: &RoomId,
    shown: &Shown,
) -> Result<outbox::Stored, OutboxError> {
    let payload = outbox::encode(&Entry::Comment(shown.clone()))?;
    let conn = env.link.connected().await;
    let sent = env.outbox.send(&conn, room, payload, &held.msg_id).await?;
    env.outbox.acknowledged(sent).await
}

/// Tells the author. A refusal is lossy by contract: whoever is away misses it.
async fn refuse(env: &Env, held: &Held, refused: Option<&Refused>) -> Outcome {
    env.tally
        .because(refused.map_or(Reason::BadName, |refused| refused.code));
    if let (Some((_, user)), Some(refused)) = (&held.address, refused) {
        tell(env, user, refused).await;
    }
    Outcome::Refused
}

async fn tell(env: &Env, user: &UserId, refused: &Refused) {
    let Ok(json) = serde_json::to_vec(refused) else {
        // The type has string keys and nothing that fails.
        return;
    };
    let conn = env.link.connected().await;
    if let Err(why) = conn.client.publish(names::refused(user), json.into()).await {
        tracing::debug!(%user, "a refusal could not be sent: {why}");
    }
}

async fn bury(env: &Env, held: &Held) -> Outcome {
    let reason = format!(
        "delivered {} times, and each time the worker failed before it had an outcome",
        held.delivered
    );
    let letter = Letter {
        msg_id: &held.msg_id,
        seq: held.seq,
        subject: &held.subject,
        payload: held.payload.clone(),
        deliveries: held.delivered,
        received_ms: held.received_ms,
        reason: &reason,
    };
    let mut delays = Delays::server();
    loop {
        let conn = env.link.connected().await;
        match dead::bury(&conn, &letter).await {
            Ok(()) => return Outcome::DeadLettered,
            Err(why) => env.trouble.report(&why),
        }
        env.link.server().again(&mut delays, Because::Away).await;
    }
}
