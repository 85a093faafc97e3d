//! Reads a room's entries out of LIVE_OUT, many with one request: JetStream's batched direct get, ADR-31.
//!
//! Relies on the stream's `allow_direct`. Promises: a page is a run of the room's entries without a hole, in
//! order; its size is bounded by what is asked for.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::json;

use super::connect::Conn;
use super::names::{self, RoomId};
use super::streams::LIVE_OUT;

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// At the first entry of this sequence or a higher one.
    Sequence(u64),
    /// At the first entry that was stored at this time or later, in milliseconds since 1970.
    Time(i64),
}

/// An entry as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Its sequence in LIVE_OUT.
    pub sequence: u64,
    /// The message id that it was published with.
    pub msg_id: Option<String>,
    /// When it was stored, in milliseconds since 1970.
    pub stored_ms: i64,
    /// Its JSON.
    pub payload: Bytes,
}

/// A run of a room's entries.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// In the order of their sequences.
    pub entries: Vec<Kept>,
    /// How many of the room come after the last of them.
    pub pending: u64,
}

/// The stream did not answer as it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stream cannot be read: {0}")]
pub(crate) struct ReadError(String);

// === impl ReadError ===

impl ReadError {
    pub(super) fn new(why: &impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}

/// Reads a page: at most `batch` entries, and none more after `max_bytes`. An answer that does not come
/// within `timeout` is an error.
pub(super) async fn page(
    conn: &Conn,
    room: &RoomId,
    from: From,
    batch: usize,
    max_bytes: usize,
    timeout: Duration,
) -> Result<Page, ReadError> {
    let of = (LIVE_OUT, names::out(room));
    subject_page(conn, of, from, batch, max_bytes, timeout).await
}

/// The same of one subject of any stream that allows direct gets.
pub(crate) async fn subject_page(
    conn: &Conn,
    (stream, subject): (&str, String),
    from: From,
    batch: usize,
    max_bytes: usize,
    timeout: Duration,
) -> Result<Page, ReadError> {
    let mut request = json!({
        "next_by_subj": subject,
        "batch": batch,
        "max_bytes": max_bytes,
    });
    match from {
        From::Sequence(sequence) => request["seq"] = json!(sequence.max(1)),
        From::Time(ms) => {
            let time = jiff::Timestamp::from_millisecond(ms.max(0));
            let time = time.map_err(|e| ReadError(e.to_string()))?;
            request["start_time"] = json!(time.to_string());
        }
    }
    let inbox = conn.client.new_inbox();
    let subscribed = conn.client.subscribe(inbox.clone()).await;
    let mut answers = subscribed.map_err(|e| ReadError::new(&e))?;
    let subject = format!("$JS.API.DIRECT.GET.{stream}");
    conn.client
        .publish_with_reply(subject, inbox, request.to_string().into())
        .await
        .map_err(|e| ReadError::new(&e))?;
    let mut page = Page::default();
    let whole = async {
        while let Some(answer) = answers.next().await {
            match answer.status.map(|s| s.as_u16()) {
                None | Some(200) => page.entries.push(Kept::of(&answer)?),
                // The end of the batch.
                Some(204) => {
                    page.pending = number(answer.headers.as_ref(), "Nats-Num-Pending")?;
                    return Ok(());
                }
                // Nothing there.
                Some(404) => return Ok(()),
                Some(503) => {
                    return Err(ReadError::new(
                        &"there is no such stream, or it does not allow direct gets",
                    ));
                }
                Some(other) => {
                    let why = answer.description.as_deref().unwrap_or_default();
                    return Err(ReadError(format!("{other} {why}")));
                }
            }
        }
        Err(ReadError::new(&"the connection ended"))
    };
    match tokio::time::timeout(timeout, whole).await {
        Ok(read) => read.map(|()| page),
        Err(_) => Err(ReadError(format!("no answer within {timeout:?}"))),
    }
}

// === impl Kept ===

impl Kept {
    fn of(message: &async_nats::Message) -> Result<Self, ReadError> {
        let headers = message.headers.as_ref();
        let stored = text(headers, "Nats-Time-Stamp").unwrap_or_default();
        let stored: jiff::Timestamp = stored
            .parse()
            .map_err(|e| ReadError(format!("Nats-Time-Stamp: {e}")))?;
        Ok(Self {
            sequence: number(headers, "Nats-Sequence")?,
            msg_id: text(headers, "Nats-Msg-Id").map(str::to_owned),
            stored_ms: stored.as_millisecond(),
            payload: message.payload.clone(),
        })
    }
}

fn text<'h>(headers: Option<&'h HeaderMap>, name: &str) -> Option<&'h str> {
    // The server's own come last: an author's header of the same name does not stand in for them.
    headers?.get_last(name).map(|value| value.as_str())
}

fn number(headers: Option<&HeaderMap>, name: &str) -> Result<u64, ReadError> {
    text(headers, name)
        .and_then(|n| n.parse().ok())
        .ok_or_else(|| ReadError(format!("an answer without {name}")))
}
