//! Requests to workers in a user's name: history, and what moderators ask.
//!
//! A worker answers to the user's own inbox and nowhere else, so the gateway listens to
//! `_INBOX.*.gateway.<its own id>.*`, which is the one part of users' inboxes that it may read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_nats::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{oneshot, watch};

use crate::live::connect::{Conn, Link};
use crate::live::names::{self, UserId};
use crate::live::service::{Left, over_connections, turning};
use crate::supervise::Progress;

/// Requests that wait for their answers: a worker has 64 under way, and this is as much as sixty of them.
const WAITING: usize = 4_096;

/// Requests of one process.
#[derive(Debug)]
pub(super) struct Asks {
    link: Link,
    id: String,
    timeout: Duration,
    last: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Option<Bytes>>>>,
    /// The connection on which answers are listened for.
    listening: watch::Sender<u64>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("too many requests wait for an answer")]
    TooMany,
    #[error("no worker answers")]
    Nobody,
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("NATS is away: {0}")]
    Away(String),
}

/// Forgets a request whose answer nobody waits for any more.
struct Forget<'a>(&'a Asks, u64);

// === impl Asks ===

impl Asks {
    pub(super) fn new(link: Link, timeout: Duration) -> Self {
        Self {
            link,
            id: nuid(),
            timeout,
            last: AtomicU64::new(0),
            waiting: Mutex::default(),
            listening: watch::Sender::new(0),
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`NoAnswer`]; whether the request was executed is then not known.
    pub(super) async fn ask(
        &self,
        subject: String,
        user: &UserId,
        payload: Bytes,
    ) -> Result<Bytes, NoAnswer> {
        let asked = self.send(subject, user, payload);
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(NoAnswer::Late(self.timeout)),
        }
    }

    async fn send(
        &self,
        subject: String,
        user: &UserId,
        payload: Bytes,
    ) -> Result<Bytes, NoAnswer> {
        let conn = self.link.connected().await;
        let mut listening = self.listening.subscribe();
        // The sender lives as long as this.
        let _ = listening.wait_for(|epoch| *epoch == conn.epoch).await;
        let n = self.last.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() >= WAITING {
                return Err(NoAnswer::TooMany);
            }
            waiting.insert(n, tell);
        }
        let _forget = Forget(self, n);
        let reply = format!("{}gateway.{}.{n}", names::inbox_prefix(user), self.id);
        conn.client
            .publish_with_reply(subject, reply, payload)
            .await
            .map_err(|why| NoAnswer::Away(why.to_string()))?;
        match told.await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(NoAnswer::Nobody),
            Err(_) => Err(NoAnswer::Away("the connection was lost".to_owned())),
        }
    }

    /// Listens for answers until it is told to stop.
    pub(super) async fn listen(
        &self,
        turns: &Progress,
        stop: watch::Receiver<bool>,
    ) -> Result<(), String> {
        over_connections(&self.link, stop, "answers", turns, async |conn, stop| {
            self.take(turns, conn, stop).await
        })
        .await
    }

    /// Over one connection. Returns whether it was told to stop.
    async fn take(
        &self,
        turns: &Progress,
        conn: &Conn,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<bool, Left> {
        let mut turning = turning();
        let subject = format!("_INBOX.*.gateway.{}.*", self.id);
        let mut answers = conn.client.subscribe(subject).await?;
        self.listening.send_replace(conn.epoch);
        loop {
            tokio::select! {
                answer = answers.next() => match answer {
                    Some(answer) => self.answered(&answer),
                    None => return Ok(false),
                },
                _ = turning.tick() => turns.did(0),
                () = self.link.lost(conn.epoch) => {
                    let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    waiting.clear();
                    return Ok(false);
                }
                _ = stop.wait_for(|s| *s) => return Ok(true),
            }
        }
    }

    fn answered(&self, answer: &async_nats::Message) {
        let n = answer
            .subject
            .rsplit('.')
            .next()
            .and_then(|n| n.parse().ok());
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Who does not wait any more was told that it is late.
        if let Some(tell) = n.and_then(|n: u64| waiting.remove(&n)) {
            let nobody = answer.status == Some(StatusCode::NO_RESPONDERS);
            let _ = tell.send((!nobody).then(|| answer.payload.clone()));
        }
    }
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut waiting = self
            .0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        waiting.remove(&self.1);
    }
}

/// An id that no other process has.
fn nuid() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let word = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", word(), word())
}
