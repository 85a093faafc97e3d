//! What moderators have decided: mutes, bans, slow mode, silence and each room's own keywords.
//!
//! Promises: a decision is in NATS KV before its moderator is told so, and in the audit stream; every worker
//! follows the bucket and judges by a copy of it in memory, which outlives the room's actor; after a gap, however
//! it came about, the whole bucket is read again. Until it was read once, nothing is judged.
//!
//! A user is known here by the public mark alone ([`wire::mid_hash`]), since that is what moderators see. Who may
//! moderate is not asked here: only a moderator's token lets anybody publish `live.<room>.ctl.<user>`.

mod act;
mod audit;
mod bucket;
mod entry;
mod find;
mod follow;
mod request;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::keywords::Filter;
use super::names::{RoomId, UserId};
use super::wire;
pub(super) use act::Desk;
pub(super) use follow::follow;

/// An author's public mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Mark(u64);

/// What holds in one room. Of a room without any decision there is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    /// Until when, in milliseconds since 1970.
    muted: HashMap<Mark, i64>,
    banned: HashSet<Mark>,
    slow: Duration,
    silenced: bool,
    words: Arc<[String]>,
    filter: Filter,
}

/// A decision, as it is applied.
#[derive(Debug, Clone)]
enum Change {
    /// Until when, in milliseconds since 1970; `None`: not any more.
    Mute(Mark, Option<i64>),
    Ban(Mark, bool),
    Slow(Duration),
    Silence(bool),
    Words(Arc<[String]>, Filter),
}

/// What may be said against an author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bar {
    /// For good.
    Banned,
    /// For so many milliseconds.
    Muted(u64),
    /// Nobody may write.
    Silenced,
}

/// The copy of the bucket that every room of this process judges by.
#[derive(Debug)]
pub(super) struct Moderation {
    rooms: RwLock<HashMap<RoomId, Arc<Rules>>>,
    seen: watch::Sender<Seen>,
}

/// How far the copy has come.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// The whole bucket has been read.
    whole: bool,
    /// The highest revision applied.
    revision: u64,
}

// === impl Mark ===

impl Mark {
    /// A user's.
    pub(super) fn of(user: &UserId) -> Self {
        // The mark is 16 hex digits, which are a number.
        Self::parse(&wire::mid_hash(user)).unwrap_or(Self(0))
    }

    /// A mark as it stands in an entry.
    fn parse(hex: &str) -> Option<Self> {
        let digits = hex.len() == 16
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        digits.then(|| u64::from_str_radix(hex, 16).ok().map(Self))?
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

// === impl Rules ===

impl Rules {
    /// What keeps this author from writing, the longest first.
    pub(super) fn bar(&self, author: Mark, now_ms: i64) -> Option<Bar> {
        if self.banned.contains(&author) {
            return Some(Bar::Banned);
        }
        if let Some(until) = self.muted.get(&author)
            && *until > now_ms
        {
            return Some(Bar::Muted(u64::try_from(until - now_ms).unwrap_or(0)));
        }
        self.silenced.then_some(Bar::Silenced)
    }

    /// How long an author waits between two comments; zero where slow mode is off.
    pub(super) fn slow(&self) -> Duration {
        self.slow
    }

    /// The room's own keywords.
    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Mute(mark, Some(until)) => {
                self.muted.insert(mark, until);
            }
            Change::Mute(mark, None) => {
                self.muted.remove(&mark);
            }
            Change::Ban(mark, true) => {
                self.banned.insert(mark);
            }
            Change::Ban(mark, false) => {
                self.banned.remove(&mark);
            }
            Change::Slow(slow) => self.slow = slow,
            Change::Silence(silenced) => self.silenced = silenced,
            Change::Words(words, filter) => {
                self.words = words;
                self.filter = filter;
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.muted.is_empty()
            && self.banned.is_empty()
            && self.slow.is_zero()
            && !self.silenced
            && self.words.is_empty()
    }
}

// === impl Moderation ===

impl Default for Moderation {
    fn default() -> Self {
        Self {
            rooms: RwLock::default(),
            seen: watch::Sender::new(Seen::default()),
        }
    }
}

impl Moderation {
    /// What holds in a room now.
    pub(super) fn rules(&self, room: &RoomId) -> Option<Arc<Rules>> {
        let rooms = self.rooms.read().unwrap_or_else(PoisonError::into_inner);
        rooms.get(room).cloned()
    }

    /// Waits until the bucket has been read once. `false`: not within this time.
    pub(super) async fn ready(&self, within: Duration) -> bool {
        if self.seen.borrow().whole {
            return true;
        }
        let mut seen = self.seen.subscribe();
        let whole = seen.wait_for(|seen| seen.whole);
        matches!(tokio::time::timeout(within, whole).await, Ok(Ok(_)))
    }

    /// Waits until a revision has been applied. `false`: not within this time.
    async fn applied(&self, revision: u64, within: Duration) -> bool {
        let mut seen = self.seen.subscribe();
        let applied = seen.wait_for(|seen| seen.revision >= revision);
        matches!(tokio::time::timeout(within, applied).await, Ok(Ok(_)))
    }

    fn apply(&self, room: &RoomId, change: Change, revision: u64) {
        {
            let mut rooms = self.rooms.write().unwrap_or_else(PoisonError::into_inner);
            change_in(&mut rooms, room, change);
        }
        self.saw(|seen| seen.revision = revision);
    }

    /// Puts a copy of the whole bucket in the place of the present one.
    fn replace(&self, rooms: HashMap<RoomId, Arc<Rules>>, revision: u64) {
        *self.rooms.write().unwrap_or_else(PoisonError::into_inner) = rooms;
        self.saw(|seen| {
            *seen = Seen {
                whole: true,
                revision,
            };
        });
    }

    fn saw(&self, how: impl FnOnce(&mut Seen)) {
        self.seen.send_modify(how);
    }
}

fn change_in(rooms: &mut HashMap<RoomId, Arc<Rules>>, room: &RoomId, change: Change) {
    let rules = rooms.entry(room.clone()).or_default();
    // Copied only while a comment is being judged by it.
    let rules = Arc::make_mut(rules);
    rules.change(change);
    if rules.is_empty() {
        rooms.remove(room);
    }
}

/// Milliseconds since 1970 by this machine's clock.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(user: &str) -> Mark {
        Mark::of(&UserId::new(user).unwrap())
    }

    #[test]
    fn a_mark_is_what_entries_show() {
        let user = UserId::new("u1").unwrap();
        assert_eq!(Mark::of(&user).to_string(), wire::mid_hash(&user));
        assert_eq!(Mark::parse(&wire::mid_hash(&user)), Some(Mark::of(&user)));
        for bad in [
            "",
            "bb82030dbc2bcab",
            "BB82030DBC2BCABA",
            "+b82030dbc2bcaba",
        ] {
            assert_eq!(Mark::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_longest_bar_is_the_one_that_is_told() {
        let mut rules = Rules::default();
        assert_eq!(rules.bar(mark("a"), 0), None);
        rules.change(Change::Silence(true));
        assert_eq!(rules.bar(mark("a"), 0), Some(Bar::Silenced));
        rules.change(Change::Mute(mark("a"), Some(5_000)));
        assert_eq!(rules.bar(mark("a"), 1_000), Some(Bar::Muted(4_000)));
        assert_eq!(rules.bar(mark("a"), 5_000), Some(Bar::Silenced));
        rules.change(Change::Ban(mark("a"), true));
        assert_eq!(rules.bar(mark("a"), 1_000), Some(Bar::Banned));
        assert_eq!(rules.bar(mark("b"), 1_000), Some(Bar::Silenced));
    }

    #[test]
    fn a_room_without_decisions_takes_no_memory() {
        let moderation = Moderation::default();
        let room = RoomId::new("r").unwrap();
        moderation.apply(&room, Change::Ban(mark("a"), true), 1);
        assert!(moderation.rules(&room).is_some());
        moderation.apply(&room, Change::Ban(mark("a"), false), 2);
        assert!(moderation.rules(&room).is_none());
    }
}
