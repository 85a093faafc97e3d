//! What stands in the bucket: one key a decision, so that two moderators never overwrite each other's.
//!
//! `<room>.mute.<mark>`, `<room>.ban.<mark>`, `<room>.slow`, `<room>.silence`, `<room>.words`; a key that is not
//! there, or was removed, is a decision that does not hold.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Change, Mark};
use crate::live::keywords::Filter;
use crate::live::names::RoomId;

/// What a key is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Mute(Mark),
    Ban(Mark),
    Slow,
    Silence,
    Words,
}

/// What stands under a key: who decided it and when, and what the item needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The moderator.
    pub(super) by: String,
    /// In milliseconds since 1970.
    pub(super) at: i64,
    /// Of a mute: when it ends, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<i64>,
    /// Of slow mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seconds: Option<u32>,
    /// Of the keywords.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) words: Option<Vec<String>>,
}

// === impl Item ===

impl Item {
    pub(super) fn key(self, room: &RoomId) -> String {
        match self {
            Self::Mute(mark) => format!("{room}.mute.{mark}"),
            Self::Ban(mark) => format!("{room}.ban.{mark}"),
            Self::Slow => format!("{room}.slow"),
            Self::Silence => format!("{room}.silence"),
            Self::Words => format!("{room}.words"),
        }
    }

    /// Takes a key apart; `None` where it is none of these.
    pub(super) fn parse(key: &str) -> Option<(RoomId, Self)> {
        let mut tokens = key.split('.');
        let room = RoomId::new(tokens.next()?).ok()?;
        let item = match (tokens.next()?, tokens.next()) {
            ("mute", Some(mark)) => Self::Mute(Mark::parse(mark)?),
            ("ban", Some(mark)) => Self::Ban(Mark::parse(mark)?),
            ("slow", None) => Self::Slow,
            ("silence", None) => Self::Silence,
            ("words", None) => Self::Words,
            _ => return None,
        };
        tokens.next().is_none().then_some((room, item))
    }

    /// The decision that a value is; without a value, that it does not hold.
    ///
    /// # Errors
    /// One sentence where the value is none.
    pub(super) fn change(self, value: Option<&[u8]>) -> Result<Change, String> {
        let entry = match value {
            Some(json) => Some(serde_json::from_slice::<Entry>(json).map_err(|e| e.to_string())?),
            None => None,
        };
        Ok(match (self, entry) {
            (Self::Mute(mark), None) => Change::Mute(mark, None),
            (Self::Mute(mark), Some(entry)) => {
                let until = entry.until.ok_or("a mute without `until`")?;
                Change::Mute(mark, Some(until))
            }
            (Self::Ban(mark), entry) => Change::Ban(mark, entry.is_some()),
            (Self::Slow, None) => Change::Slow(Duration::ZERO),
            (Self::Slow, Some(entry)) => {
                let seconds = entry.seconds.ok_or("a slow mode without `seconds`")?;
                Change::Slow(Duration::from_secs(u64::from(seconds)))
            }
            (Self::Silence, entry) => Change::Silence(entry.is_some()),
            (Self::Words, None) => Change::Words(Arc::default(), Filter::default()),
            (Self::Words, Some(entry)) => {
                let words = entry.words.ok_or("keywords without `words`")?;
                let filter = Filter::new(&words).map_err(|e| e.to_string())?;
                Change::Words(words.into(), filter)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::names::UserId;

    #[test]
    fn a_key_is_taken_apart_as_it_was_made() {
        let room = RoomId::new("r-1").unwrap();
        let mark = Mark::of(&UserId::new("u").unwrap());
        for item in [
            Item::Mute(mark),
            Item::Ban(mark),
            Item::Slow,
            Item::Silence,
            Item::Words,
        ] {
            assert_eq!(Item::parse(&item.key(&room)), Some((room.clone(), item)));
        }
        for bad in [
            "",
            "r",
            "r.mute",
            "r.mute.u1",
            "r.slow.x",
            "r.other",
            "r.mute.0123456789abcdef.x",
        ] {
            assert_eq!(Item::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_value_that_lacks_what_its_key_needs_is_no_decision() {
        for item in [Item::Slow, Item::Words] {
            assert!(item.change(Some(br#"{"by":"m","at":1}"#)).is_err());
            assert!(item.change(Some(b"no")).is_err());
            assert!(item.change(None).is_ok());
        }
        let silence = Item::Silence.change(Some(br#"{"by":"m","at":1}"#));
        assert!(matches!(silence, Ok(Change::Silence(true))));
    }
}
