//! What is written on the subjects: JSON, every message of the wire contract. Comment fields speak the field's
//! own language, Bilibili's danmaku.
//!
//! Readers ignore fields that they do not know, so that a field can be added; a message that lacks a required
//! field is refused.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::names::UserId;

/// How a comment moves over the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Scrolls from right to left.
    #[default]
    Scroll,
    /// Stands at the bottom.
    Bottom,
    /// Stands at the top.
    Top,
}

/// A comment as its author sends it, on `live.<room>.in.comment.<user>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// The text, as UTF-8; the room limits its length in characters.
    pub content: String,
    /// 1 scroll, 4 bottom, 5 top.
    #[serde(default)]
    pub mode: Mode,
    /// 18, 25 or 36.
    #[serde(default = "Comment::usual_size")]
    pub fontsize: u8,
    /// 0xRRGGBB as a number; white where absent.
    #[serde(default = "Comment::white")]
    pub color: u32,
    /// Milliseconds into the programme, where there is one.
    #[serde(default)]
    pub progress: u64,
    /// The author's own reference, at most 64 bytes: comes back in the entry and in a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<String>,
}

/// An entry of LIVE_OUT: what every viewer sees on `live.<room>.feed`, in the order of `Nats-Sequence`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Entry {
    /// An accepted comment.
    Comment(Shown),
    /// A comment that was shown is to be taken away.
    Recall(Recall),
}

/// An accepted comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The comment's id: its sequence in LIVE_IN, as text, since JSON numbers end at 2^53.
    pub id: String,
    /// Milliseconds into the programme.
    pub progress: u64,
    /// 1 scroll, 4 bottom, 5 top.
    pub mode: Mode,
    /// 18, 25 or 36.
    pub fontsize: u8,
    /// 0xRRGGBB as a number.
    pub color: u32,
    /// The author, as [`mid_hash`] gives it.
    #[serde(rename = "midHash")]
    pub mid_hash: String,
    /// The text.
    pub content: String,
    /// When the server received it, in milliseconds since 1970.
    pub ctime: i64,
    /// 0 to 10: how much a client that cannot show all should want to show it.
    pub weight: u8,
    /// The author's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<String>,
}

/// A recall of a comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recall {
    /// The id of the comment that is taken away.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub ctime: i64,
}

/// Likes as a user sends them, on `live.<room>.in.like.<user>`: a count, so that taps can be batched. An
/// empty payload is one like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Like {
    /// 1 to the room's limit a message.
    pub n: u32,
}

/// What workers publish on `live.<room>.likes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Likes {
    /// All likes of the room. Clients keep the highest that they saw.
    pub total: u64,
    /// Viewers by their heartbeats.
    pub viewers: u64,
}

/// Why something that a user sent is not shown, on `live.refused.<user>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The room.
    pub room: String,
    /// What was refused: `comment`, `like`, `history` or `ctl`.
    pub what: String,
    /// Why.
    pub code: Reason,
    /// The same in words, with what to do.
    pub detail: String,
    /// When it may be sent again, in milliseconds from now, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The comment's sequence in LIVE_IN, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The author's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cid: Option<String>,
}

/// The codes of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not JSON, or a field is missing or of the wrong type.
    Malformed,
    /// A room's or a user's id that is none.
    BadName,
    /// No text, or nothing but blanks and invisible characters.
    Empty,
    /// More characters than the room takes.
    TooLong,
    /// A mode, size, colour or weight that there is not.
    BadStyle,
    /// A word that the room does not take.
    Keyword,
    /// The user may not write here for some time.
    Muted,
    /// The user may not write here.
    Banned,
    /// Nobody may write here now.
    Silenced,
    /// The room takes a user's comments more slowly now.
    SlowMode,
    /// Faster than a user may write.
    RateLimited,
    /// More than the whole room may take.
    RoomBusy,
    /// Not allowed to this user.
    Forbidden,
    /// The worker sheds load; the comment itself is never shed, so this is for likes and requests.
    Overloaded,
}

// === impl Reason ===

impl Reason {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Malformed,
        Self::BadName,
        Self::Empty,
        Self::TooLong,
        Self::BadStyle,
        Self::Keyword,
        Self::Muted,
        Self::Banned,
        Self::Silenced,
        Self::SlowMode,
        Self::RateLimited,
        Self::RoomBusy,
        Self::Forbidden,
        Self::Overloaded,
    ];

    /// As it is written on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::BadName => "bad_name",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::BadStyle => "bad_style",
            Self::Keyword => "keyword",
            Self::Muted => "muted",
            Self::Banned => "banned",
            Self::Silenced => "silenced",
            Self::SlowMode => "slow_mode",
            Self::RateLimited => "rate_limited",
            Self::RoomBusy => "room_busy",
            Self::Forbidden => "forbidden",
            Self::Overloaded => "overloaded",
        }
    }
}

/// The author's public mark: the first 16 hex digits of the SHA-256 of the user id. Equal for the same
/// author; whoever knows a user id can compute it, so it is a pseudonym and not a secret.
pub fn mid_hash(user: &UserId) -> String {
    let digest = Sha256::digest(user.as_str().as_bytes());
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

// === impl Comment ===

impl Comment {
    fn usual_size() -> u8 {
        25
    }

    fn white() -> u32 {
        0xFF_FF_FF
    }
}

// === impl Mode ===

impl Mode {
    fn number(self) -> u8 {
        match self {
            Self::Scroll => 1,
            Self::Bottom => 4,
            Self::Top => 5,
        }
    }
}

impl Serialize for Mode {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(self.number())
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(from)?;
        [Self::Scroll, Self::Bottom, Self::Top]
            .into_iter()
            .find(|mode| mode.number() == number)
            .ok_or_else(|| serde::de::Error::custom(format!("mode is 1, 4 or 5, not {number}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_needs_its_content_alone() {
        let comment: Comment = serde_json::from_str(r#"{"content":"加油","unknown":1}"#).unwrap();
        assert_eq!(
            (comment.mode, comment.fontsize, comment.color),
            (Mode::Scroll, 25, 0xFF_FF_FF)
        );
        assert!(serde_json::from_str::<Comment>(r#"{"mode":1}"#).is_err());
        assert!(serde_json::from_str::<Comment>(r#"{"content":"x","mode":2}"#).is_err());
    }

    #[test]
    fn a_reason_is_named_as_it_is_written_and_stands_at_its_place() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
            assert_eq!(place, reason as usize);
        }
    }

    #[test]
    fn an_entry_is_told_apart_by_its_type() {
        let recall = Entry::Recall(Recall {
            id: "7".into(),
            ctime: 1,
        });
        let text = serde_json::to_string(&recall).unwrap();
        assert_eq!(text, r#"{"type":"recall","id":"7","ctime":1}"#);
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), recall);
    }

    #[test]
    fn the_authors_mark_is_the_same_everywhere() {
        let user = UserId::new("u1").unwrap();
        assert_eq!(mid_hash(&user), "bb82030dbc2bcaba");
    }
}
