//! The way into LIVE_OUT, for comments and recalls alike: one order for everyone.
//!
//! Promises: `Ok` means that the server has acknowledged the entry, or has it already under the same message
//! id. Relies on LIVE_OUT's duplicate window: within it an entry may be sent as often as need be.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;

use super::connect::{Conn, Link};
use super::names::{self, RoomId};
use super::wire::Entry;
use crate::retry::{Because, Delays};

/// How long [`Outbox::publish`] tries: a moderator waits for the answer. It is far below the duplicate
/// window, so that no retry of it is shown twice.
const PATIENCE: Duration = Duration::from_secs(10);

/// The way into LIVE_OUT. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    link: Link,
}

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its sequence in LIVE_OUT.
    pub sequence: u64,
    /// It was there already.
    pub duplicate: bool,
}

/// Why an entry is not known to be in LIVE_OUT.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboxError {
    /// NATS or the stream is away, or the answer was lost: it may be there all the same.
    #[error("LIVE_OUT does not acknowledge: {0}")]
    Away(String),
    /// It will not be taken however often it is sent.
    #[error("LIVE_OUT cannot take it: {0}")]
    Refused(String),
}

/// An entry that was sent and not yet acknowledged.
#[derive(Debug)]
pub(super) struct Sent {
    ack: PublishAckFuture,
    epoch: u64,
}

// === impl Outbox ===

impl Outbox {
    /// Over this connection.
    pub(super) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Publishes an entry of a room and waits for the acknowledgement, for at most 10 s. An entry of the same
    /// `msg_id` is there once, whoever sends it, within LIVE_OUT's duplicate window.
    ///
    /// # Errors
    /// [`OutboxError`]; after [`OutboxError::Away`] it may be there nevertheless.
    pub async fn publish(
        &self,
        room: &RoomId,
        entry: &Entry,
        msg_id: &str,
    ) -> Result<Stored, OutboxError> {
        let payload = encode(entry)?;
        let mut delays = Delays::server();
        let mut last = OutboxError::Away("NATS is away".to_owned());
        let tries = async {
            loop {
                let conn = self.link.connected().await;
                let sent = self.send(&conn, room, payload.clone(), msg_id).await;
                let why = match sent {
                    Ok(sent) => match self.acknowledged(sent).await {
                        Ok(stored) => {
                            self.link.server().answered();
                            return Ok(stored);
                        }
                        Err(why) => why,
                    },
                    Err(why) => why,
                };
                match why {
                    OutboxError::Refused(_) => return Err(why),
                    OutboxError::Away(_) => last = why,
                }
                self.link.server().again(&mut delays, Because::Away).await;
            }
        };
        match tokio::time::timeout(PATIENCE, tries).await {
            Ok(done) => done,
            Err(_) => Err(last),
        }
    }

    /// Sends an entry over a connection. What is sent over one connection is stored in the order of sending.
    pub(super) async fn send(
        &self,
        conn: &Conn,
        room: &RoomId,
        payload: bytes::Bytes,
        msg_id: &str,
    ) -> Result<Sent, OutboxError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, msg_id);
        let message = PublishMessage::build().payload(payload).headers(headers);
        let ack = conn.js.send_publish(names::out(room), message).await;
        Ok(Sent {
            ack: ack.map_err(|e| refused(&e))?,
            epoch: conn.epoch,
        })
    }

    /// Waits for the acknowledgement of what was sent. It is given up when the connection is lost.
    pub(super) async fn acknowledged(&self, sent: Sent) -> Result<Stored, OutboxError> {
        tokio::select! {
            biased;
            ack = sent.ack.into_future() => match ack {
                Ok(ack) => Ok(Stored {
                    sequence: ack.sequence,
                    duplicate: ack.duplicate,
                }),
                Err(e) => Err(refused(&e)),
            },
            () = self.link.lost(sent.epoch) => {
                Err(OutboxError::Away("the connection was lost before the answer".to_owned()))
            }
        }
    }
}

/// The JSON of an entry.
pub(super) fn encode(entry: &Entry) -> Result<bytes::Bytes, OutboxError> {
    match serde_json::to_vec(entry) {
        Ok(json) => Ok(json.into()),
        // The type has string keys and nothing that fails.
        Err(e) => Err(OutboxError::Refused(e.to_string())),
    }
}

fn refused(error: &async_nats::jetstream::context::PublishError) -> OutboxError {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => OutboxError::Refused(error.to_string()),
        PublishErrorKind::StreamNotFound
        | PublishErrorKind::WrongLastMessageId
        | PublishErrorKind::WrongLastSequence
        | PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::MaxAckPending
        | PublishErrorKind::Other => OutboxError::Away(error.to_string()),
    }
}
