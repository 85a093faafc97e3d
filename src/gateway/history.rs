//! A room's history, as a worker tells it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::asks::{Asks, NoAnswer};
use crate::live::names::{self, RoomId, UserId};

/// The most entries of one answer, as the wire contract has it.
pub(super) const MOST: usize = 200;

/// A page of it.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub entries: Vec<Numbered>,
    /// How many follow by now.
    pub more: u64,
    pub gap: Option<Gap>,
}

/// An entry and its place.
#[derive(Debug, Deserialize)]
pub(super) struct Numbered {
    pub seq: u64,
    pub entry: Box<RawValue>,
}

/// Entries between two places may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Gap {
    pub after: u64,
    pub before: Option<u64>,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoHistory {
    #[error("{0}")]
    NoAnswer(#[from] NoAnswer),
    #[error("a worker answers {0}")]
    Refused(String),
}

/// What follows an entry, at most so many.
pub(super) async fn after(
    asks: &Asks,
    room: &RoomId,
    user: &UserId,
    after: u64,
    limit: usize,
) -> Result<Page, NoHistory> {
    ask(asks, room, user, json!({ "after": after, "limit": limit })).await
}

/// The last so many.
pub(super) async fn last(
    asks: &Asks,
    room: &RoomId,
    user: &UserId,
    n: usize,
) -> Result<Page, NoHistory> {
    ask(asks, room, user, json!({ "last": n })).await
}

async fn ask(
    asks: &Asks,
    room: &RoomId,
    user: &UserId,
    request: serde_json::Value,
) -> Result<Page, NoHistory> {
    let payload = Bytes::from(request.to_string());
    let answer = asks.ask(names::history(room, user), user, payload).await?;
    serde_json::from_slice(&answer).map_err(|_| {
        let text: String = String::from_utf8_lossy(&answer).chars().take(200).collect();
        NoHistory::Refused(text)
    })
}
