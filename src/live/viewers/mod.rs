//! Who is watching: heartbeats of one worker folded over a second, counted in Redis over all workers.
//!
//! Promises: a viewer counts from a heartbeat on for the spec's expiry, and a quarter of it longer at the most; the
//! count is an estimate (HyperLogLog, standard error 0.81 %), exact in practice for some hundreds; a room takes at
//! most six times 12 KB in Redis, however many watch, and its count is made once a second, however many workers
//! ask. Heartbeats are lossy: what is not counted now is with the next one.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::Script;

use super::names::{RoomId, UserId};
use super::redis::{self, Away, Redis};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("viewers.lua")));

/// How often a worker brings heartbeats and asks for the count, and so how often a room's count goes out.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// A count is made anew when it is older than this: below [`EVERY`], so that a worker alone makes one each time.
const FRESH: Duration = Duration::from_millis(900);
/// Viewers noted of one room and second, in one worker: 100,000 viewers with a heartbeat each 10 s are half of it.
const MOST: usize = 20_000;
/// A viewer counts in the slot of its heartbeat and as many after it as there are in an expiry.
const SLOTS: u32 = 4;

/// The viewers heard of since the last flush, in one room.
#[derive(Debug, Default)]
pub(super) struct Here(Mutex<HashSet<UserId>>);

/// What became of a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// The first since the last flush.
    First,
    /// Noted, or known already.
    More,
    /// As many are noted as may be.
    Full,
}

/// What Redis said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    /// Viewers, over all workers.
    pub(super) viewers: u64,
    /// The room's like total.
    pub(super) total: u64,
    /// Whether it is this worker's turn to tell everyone.
    pub(super) announce: bool,
}

/// How heartbeats reach Redis.
#[derive(Debug, Clone)]
pub(super) struct Viewers {
    redis: Arc<Redis>,
    /// The width of a slot.
    width: Duration,
}

// === impl Here ===

impl Here {
    pub(super) fn note(&self, user: &UserId) -> Noted {
        let mut users = self.lock();
        if users.contains(user) {
            return Noted::More;
        }
        if users.len() >= MOST {
            return Noted::Full;
        }
        users.insert(user.clone());
        if users.len() == 1 {
            Noted::First
        } else {
            Noted::More
        }
    }

    /// Takes the viewers heard of.
    pub(super) fn take(&self) -> HashSet<UserId> {
        std::mem::take(&mut *self.lock())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<UserId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Viewers ===

impl Viewers {
    pub(super) fn new(redis: Arc<Redis>, expiry: Duration) -> Self {
        Self {
            redis,
            width: (expiry / SLOTS).max(Duration::from_millis(1)),
        }
    }

    /// Brings heartbeats, and counts.
    ///
    /// # Errors
    /// [`Away`]: these heartbeats may be lost.
    pub(super) async fn flush(
        &self,
        room: &RoomId,
        users: &HashSet<UserId>,
    ) -> Result<Counted, Away> {
        let mut keys = vec![redis::key(room, "viewers")];
        keys.extend((0..6).map(|slot| redis::key(room, &format!("here:{slot}"))));
        keys.push(redis::key(room, "likes"));
        let mut cmd = redis::call(&SCRIPT, &keys);
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        cmd.arg(micros(self.width)).arg(micros(FRESH));
        for user in users {
            cmd.arg(user.as_str());
        }
        let answers = self
            .redis
            .run(&[cmd], self.redis.timeout(), "counting viewers")
            .await?;
        let words = answers.first().map(redis::words).unwrap_or_default();
        let number = |i: usize| words.get(i).and_then(|n| n.parse::<u64>().ok());
        match (number(0), number(1), number(2)) {
            (Some(viewers), Some(total), Some(turn)) => Ok(Counted {
                viewers,
                total,
                announce: turn == 1,
            }),
            _ => Err(Away(format!(
                "counting viewers: Redis answered {words:?}, which is none of the script's answers"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_is_noted_once_and_so_many_are() {
        let here = Here::default();
        let user = |i: usize| UserId::new(&format!("u{i}")).unwrap();
        assert_eq!(here.note(&user(0)), Noted::First);
        assert_eq!(here.note(&user(0)), Noted::More);
        for i in 1..MOST {
            assert_eq!(here.note(&user(i)), Noted::More);
        }
        assert_eq!(here.note(&user(MOST)), Noted::Full);
        assert_eq!(here.note(&user(0)), Noted::More);
        assert!(!here.is_empty());
        assert_eq!(here.take().len(), MOST);
        assert_eq!(here.note(&user(MOST)), Noted::First);
    }
}
