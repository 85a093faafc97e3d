//! Likes and heartbeats at receipt: taken apart, counted, and handed to their room.
//!
//! Lossy by contract, and in this order: where the worker has too much to do, likes are shed here before
//! anything is spent on them; where a room's queue is full, there. What the client library drops before it
//! comes here was not received; see the connection's `overflowed`.

use std::sync::Arc;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use tokio::sync::watch;

use super::connect::{Conn, Link};
use super::load::Load;
use super::names::{self, Inbound, RoomId, UserId};
use super::room::Rooms;
use super::service::{Left, over_connections, turning};
use super::tally::{Class, Outcome, Tally};
use super::wire::{Like, Reason, Refused};
use crate::supervise::Incarnation;

/// The queue group of all workers: one of them gets each message.
pub(super) const GROUP: &str = "workers";

/// What the receipt of likes and heartbeats needs.
#[derive(Clone)]
pub(super) struct Env {
    pub link: Link,
    pub rooms: Rooms,
    pub tally: Arc<Tally>,
    pub load: Arc<Load>,
    /// The most likes of one message.
    pub most: u32,
}

/// The steps at which tests may make it fail.
pub(super) const STEPS: &[&str] = &["receive"];

/// Takes until it is told to stop.
pub(super) async fn run(
    env: Env,
    incarnation: Incarnation,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let turns = &incarnation.progress;
    over_connections(&env.link, stop, "likes", turns, async |conn, stop| {
        env.take(&incarnation, conn, stop).await
    })
    .await
}

// === impl Env ===

impl Env {
    /// Over one connection. Returns whether it was told to stop.
    async fn take(
        &self,
        incarnation: &Incarnation,
        conn: &Conn,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<bool, Left> {
        let mut turning = turning();
        let subscribe =
            |subject: &'static str| conn.client.queue_subscribe(subject, GROUP.to_owned());
        let mut likes: Subscriber = subscribe(names::all::LIKES).await?;
        let mut here = subscribe(names::all::HERE).await?;
        let mut stopping = false;
        let (mut more_likes, mut more_here) = (true, true);
        while more_likes || more_here {
            tokio::select! {
                message = here.next(), if more_here => match message {
                    Some(message) => self.here(&message),
                    None => more_here = false,
                },
                message = likes.next(), if more_likes => match message {
                    Some(message) => {
                        incarnation.steps.pass("receive").await?;
                        if let Some((user, refused)) = self.like(&message) {
                            self.tell(conn, &user, &refused).await;
                        }
                    }
                    None => more_likes = false,
                },
                _ = turning.tick() => incarnation.progress.did(0),
                () = self.link.lost(conn.epoch) => return Ok(stopping),
                _ = stop.wait_for(|s| *s), if !stopping => {
                    stopping = true;
                    let _ = likes.drain().await;
                    let _ = here.drain().await;
                }
            }
        }
        Ok(stopping)
    }

    fn here(&self, message: &Message) {
        let receipt = self.tally.receive(Class::Here, 1);
        match names::parse_inbound(&message.subject) {
            Some((room, Inbound::Here, user)) => {
                self.rooms.here(&room, &user);
                receipt.resolve(Outcome::Accepted);
            }
            Some((_, Inbound::Comment | Inbound::Like, _)) | None => {
                self.tally.because(Reason::BadName);
                receipt.resolve(Outcome::Refused);
            }
        }
    }

    /// Returns whom to tell that it was refused, and why.
    fn like(&self, message: &Message) -> Option<(UserId, Refused)> {
        let address = match names::parse_inbound(&message.subject) {
            Some((room, Inbound::Like, user)) => Some((room, user)),
            Some((_, Inbound::Comment | Inbound::Here, _)) | None => None,
        };
        let Some((room, user)) = address else {
            self.tally.because(Reason::BadName);
            self.tally.receive(Class::Like, 1).resolve(Outcome::Refused);
            return None;
        };
        let n = match count(&message.payload, self.most) {
            Ok(n) => n,
            Err(why) => {
                self.tally.because(Reason::Malformed);
                self.tally.receive(Class::Like, 1).resolve(Outcome::Refused);
                return Some((user, malformed(&room, why)));
            }
        };
        let receipt = self.tally.receive(Class::Like, u64::from(n));
        let taken = if self.load.overloaded() {
            self.rooms.like_shed(&room, n);
            false
        } else {
            self.rooms.like(&room, n)
        };
        receipt.resolve(if taken {
            Outcome::Accepted
        } else {
            Outcome::Shed
        });
        None
    }

    async fn tell(&self, conn: &Conn, user: &UserId, refused: &Refused) {
        if let Ok(json) = serde_json::to_vec(refused)
            && let Err(why) = conn.client.publish(names::refused(user), json.into()).await
        {
            tracing::debug!(%user, "a refusal could not be sent: {why}");
        }
    }
}

/// The likes of a message.
fn count(payload: &[u8], most: u32) -> Result<u32, String> {
    if payload.is_empty() {
        return Ok(1);
    }
    let Like { n } = serde_json::from_slice(payload)
        .map_err(|e| format!(r#"likes are {{"n": COUNT}}, or empty for one: {e}"#))?;
    if (1..=most).contains(&n) {
        Ok(n)
    } else {
        Err(format!("a message holds 1 to {most} likes, not {n}"))
    }
}

fn malformed(room: &RoomId, why: String) -> Refused {
    Refused {
        room: room.to_string(),
        what: "like".to_owned(),
        code: Reason::Malformed,
        detail: why,
        retry_after_ms: None,
        id: None,
        cid: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_holds_one_like_or_as_many_as_it_says() {
        assert_eq!(count(b"", 50), Ok(1));
        assert_eq!(count(br#"{"n":50}"#, 50), Ok(50));
        for bad in [
            &br#"{"n":51}"#[..],
            br#"{"n":0}"#,
            br#"{"n":-1}"#,
            b"7",
            b"{}",
            b"x",
        ] {
            assert!(count(bad, 50).is_err());
        }
    }
}
