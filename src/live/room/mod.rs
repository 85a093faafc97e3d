//! A stand-in for the rooms, until they are here: it takes every comment.

use super::names::{RoomId, UserId};
use super::wire::{self, Comment, Refused, Shown};

/// Judges what comes in.
#[derive(Debug, Clone, Default)]
pub struct Rooms;

/// What becomes of a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everyone is to see it.
    Accepted(Shown),
    /// Its author is told why not.
    Refused(Refused),
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoomsError {
    /// What a verdict needs is away.
    #[error("{0}")]
    Unavailable(String),
    /// The room died over this comment.
    #[error("{0}")]
    Failed(String),
}

// === impl Rooms ===

impl Rooms {
    /// The verdict on a comment.
    ///
    /// # Errors
    /// [`RoomsError`].
    pub async fn judge(
        &self,
        _: &RoomId,
        user: &UserId,
        seq: u64,
        received_ms: i64,
        comment: Comment,
    ) -> Result<Verdict, RoomsError> {
        Ok(Verdict::Accepted(Shown {
            id: seq.to_string(),
            progress: comment.progress,
            mode: comment.mode,
            fontsize: comment.fontsize,
            color: comment.color,
            mid_hash: wire::mid_hash(user),
            content: comment.content,
            ctime: received_ms,
            weight: 5,
            cid: comment.cid,
        }))
    }

    /// Likes; `false` where they are shed.
    pub fn like(&self, _: &RoomId, _: &UserId, _: u32) -> bool {
        true
    }

    /// A heartbeat.
    pub fn here(&self, _: &RoomId, _: &UserId) {}

    /// A moderator's request.
    pub async fn ctl(&self, _: &RoomId, _: &UserId, _: &[u8]) -> Vec<u8> {
        b"{}".to_vec()
    }

    /// Ends the rooms.
    pub async fn stop(&self) {}
}
