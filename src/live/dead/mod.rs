//! Where comments go that nobody could handle: the stream LIVE_DEAD, with the original payload and why.
//!
//! Promises: a dead letter is there once, however often it is buried (each has a subject of its own, and only
//! the first message of a subject is taken), and a comment leaves LIVE_IN only after its dead letter was
//! acknowledged. So a crash at any point costs nothing but a repetition.
//!
//! A comment's last delivery is not for another attempt: the worker that gets it buries it at once. The
//! server's own way (it gives up a message after its last delivery, and says so in an advisory) is there for
//! the case that this worker dies as well, see [`recover`]: it is the weaker one, since the server forgets in a
//! restart what it had given up, and then drops it.

pub mod recover;

use async_nats::HeaderMap;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;

use super::connect::Conn;
use super::names;
use super::streams::{LIVE_DEAD, LIVE_IN};

/// The headers of a dead letter.
pub mod header {
    /// Why, in words.
    pub const REASON: &str = "Twolane-Reason";
    /// The stream that the comment came from.
    pub const STREAM: &str = "Twolane-Stream";
    /// Its sequence there.
    pub const SEQUENCE: &str = "Twolane-Sequence";
    /// The subject that it was published on, which names its room and its author.
    pub const SUBJECT: &str = "Twolane-Subject";
    /// How often it was delivered.
    pub const DELIVERIES: &str = "Twolane-Deliveries";
    /// When the stream took it, in milliseconds since 1970.
    pub const RECEIVED: &str = "Twolane-Received";
    /// When it was buried, in milliseconds since 1970.
    pub const TIME: &str = "Twolane-Time";
}

/// A comment and why nobody could handle it.
#[derive(Debug, Clone)]
pub(super) struct Letter<'a> {
    /// The message id that it would have had in LIVE_OUT; it tells apart what came from a stream that was
    /// made anew.
    pub msg_id: &'a str,
    /// Its sequence in LIVE_IN.
    pub seq: u64,
    /// The subject that it was published on.
    pub subject: &'a str,
    /// What its author sent.
    pub payload: Bytes,
    /// How often it was delivered.
    pub deliveries: u64,
    /// When LIVE_IN took it, in milliseconds since 1970.
    pub received_ms: i64,
    /// Why, in words.
    pub reason: &'a str,
}

/// The message id of a comment in LIVE_OUT: its sequence in LIVE_IN, and which LIVE_IN that is, by the time in
/// milliseconds at which the stream was made.
pub(super) fn msg_id(created_ms: i64, seq: u64) -> String {
    format!("{created_ms}-{seq}")
}

/// Writes a dead letter and waits for the acknowledgement. One that is there already is as good.
///
/// # Errors
/// One sentence where LIVE_DEAD does not acknowledge it; it may be there nevertheless.
pub(super) async fn bury(conn: &Conn, letter: &Letter<'_>) -> Result<(), String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::REASON, letter.reason);
    headers.insert(header::STREAM, LIVE_IN);
    headers.insert(header::SEQUENCE, letter.seq.to_string());
    headers.insert(header::SUBJECT, letter.subject);
    headers.insert(header::DELIVERIES, letter.deliveries.to_string());
    headers.insert(header::RECEIVED, letter.received_ms.to_string());
    headers.insert(header::TIME, crate::branch::now_ms().to_string());
    let message = PublishMessage::build()
        .payload(letter.payload.clone())
        .headers(headers)
        .expected_last_subject_sequence(0);
    let subject = names::dead(letter.msg_id);
    let sent = match conn.js.send_publish(subject, message).await {
        Ok(ack) => ack.await,
        Err(e) => Err(e),
    };
    match sent {
        Ok(_) => {}
        Err(e) if e.kind() == PublishErrorKind::WrongLastSequence => return Ok(()),
        Err(e) => return Err(format!("{LIVE_DEAD} does not acknowledge: {e}")),
    }
    tracing::error!(
        stream = LIVE_IN,
        seq = letter.seq,
        subject = letter.subject,
        "a comment is a dead letter: {}",
        letter.reason
    );
    Ok(())
}
