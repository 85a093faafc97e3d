//! Likes: folded in windows, added to the room's total in Redis once a window.
//!
//! Promises: every like that was taken is in exactly one window; a window is added once, however often it is sent;
//! the total never falls; windows that were not added when a worker died are what its death cost, at the most one
//! that was being sent and the one that was open. A like is an addition to one word of memory: it waits for
//! nobody and makes no message.
//!
//! It relies on Redis for the total. Where Redis has lost what it acknowledged, the next window raises the total
//! to the highest that its sender was told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::Script;

use super::names::RoomId;
use super::redis::{self, Away, Redis};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("likes.lua")));

/// For how long Redis remembers the windows of a sender, and so the longest outage after which a window that may
/// have been added already can be told apart: a day, since an outage is a matter of minutes and a sender takes
/// 150 bytes.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// After half of that a window that still has not been answered is given up: Redis might no longer know it.
const GIVEN_UP: Duration = Duration::from_secs(12 * 3600);

/// The window that is open in one room: messages and likes in one word, so that both are taken at once.
/// The upper 24 bits are messages, the lower 40 likes.
#[derive(Debug, Default)]
pub(super) struct Open(AtomicU64);

const MESSAGE: u64 = 1 << 40;
const LIKES: u64 = MESSAGE - 1;
const MOST_MESSAGES: u64 = (1 << 24) - 1;

/// What became of likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// They are the first in the window.
    First,
    /// They are in the window.
    More,
    /// As many messages wait as may.
    Full,
}

/// A window that is to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// From 1, without gaps.
    pub(super) number: u64,
    /// How many messages it holds.
    pub(super) messages: u64,
    /// How many likes.
    pub(super) likes: u64,
}

/// What one worker has sent of one room's likes; it outlives the room's actor.
#[derive(Debug)]
pub(super) struct Tally {
    /// Who sends: this stay of the room in this process, and nobody else ever.
    sender: String,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    sent: u64,
    sending: Option<(Window, std::time::Instant)>,
    /// The highest total that Redis told.
    told: u64,
}

/// What Redis said to a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// The room's total.
    pub(super) total: u64,
    /// It had been added before.
    pub(super) had: bool,
    /// Redis had lost what it acknowledged, and the total was raised.
    pub(super) forgot: bool,
}

/// How windows reach Redis.
#[derive(Debug, Clone)]
pub(super) struct Likes {
    redis: Arc<Redis>,
}

// === impl Open ===

impl Open {
    /// Adds a message of `n` likes, unless `most` messages wait.
    pub(super) fn add(&self, n: u32, most: u32) -> Added {
        let most = u64::from(most).min(MOST_MESSAGES);
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            if now / MESSAGE >= most || (now & LIKES) + u64::from(n) > LIKES {
                return Added::Full;
            }
            let next = now + MESSAGE + u64::from(n);
            match self
                .0
                .compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(0) => return Added::First,
                Ok(_) => return Added::More,
                Err(other) => now = other,
            }
        }
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    /// Takes what is in it: messages and likes.
    pub(super) fn take(&self) -> (u64, u64) {
        let word = self.0.swap(0, Ordering::AcqRel);
        (word / MESSAGE, word & LIKES)
    }
}

// === impl Tally ===

impl Tally {
    pub(super) fn new(sender: String) -> Self {
        Self {
            sender,
            books: Mutex::default(),
        }
    }

    /// The window to be sent: the one that was being sent, or else what is in the open one.
    pub(super) fn next(&self, open: &Open) -> Option<Window> {
        let mut books = self.lock();
        if let Some((window, _)) = books.sending {
            return Some(window);
        }
        let (messages, likes) = open.take();
        if messages == 0 {
            return None;
        }
        let window = Window {
            number: books.sent + 1,
            messages,
            likes,
        };
        books.sending = Some((window, std::time::Instant::now()));
        Some(window)
    }

    /// Whether no window is being sent.
    pub(super) fn is_settled(&self) -> bool {
        self.lock().sending.is_none()
    }

    /// The window was added: the next one may be sent. Returns the highest total so far.
    fn settle(&self, window: Window, total: u64) -> u64 {
        let mut books = self.lock();
        books.sent = window.number;
        books.sending = None;
        books.told = books.told.max(total);
        books.told
    }

    /// A total that Redis told elsewhere. Returns the highest so far.
    pub(super) fn hear(&self, total: u64) -> u64 {
        let mut books = self.lock();
        books.told = books.told.max(total);
        books.told
    }

    /// Gives the window up that is being sent, if any: what is lost.
    pub(super) fn abandon(&self) -> Option<Window> {
        let mut books = self.lock();
        let (window, _) = books.sending.take()?;
        books.sent = window.number;
        Some(window)
    }

    /// As [`Tally::abandon`], if the window has been sent for so long that Redis might no longer know it.
    pub(super) fn expire(&self) -> Option<Window> {
        let old = |(_, since): &(Window, std::time::Instant)| since.elapsed() > GIVEN_UP;
        if !self.lock().sending.as_ref().is_some_and(old) {
            return None;
        }
        self.abandon()
    }

    fn told(&self) -> u64 {
        self.lock().told
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Likes ===

impl Likes {
    pub(super) fn new(redis: Arc<Redis>) -> Self {
        Self { redis }
    }

    /// Adds a window of [`Tally::next`] to the room's total.
    ///
    /// # Errors
    /// [`Away`]: then it is to be sent again, under its number.
    pub(super) async fn send(
        &self,
        room: &RoomId,
        tally: &Tally,
        window: Window,
    ) -> Result<Told, Away> {
        let keys = [
            redis::key(room, "likes"),
            redis::key(room, &format!("from:{}", tally.sender)),
        ];
        let mut cmd = redis::call(&SCRIPT, &keys);
        cmd.arg(window.number)
            .arg(window.likes)
            .arg(tally.told())
            .arg(u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX));
        let answers = self
            .redis
            .run(&[cmd], self.redis.timeout(), "adding likes")
            .await?;
        let words = answers.first().map(redis::words).unwrap_or_default();
        let (Some(what), Some(total)) = (
            words.first(),
            words.get(1).and_then(|total| total.parse::<u64>().ok()),
        ) else {
            return Err(Away(format!(
                "adding likes: Redis answered {words:?}, which is none of the script's answers"
            )));
        };
        let told = Told {
            total: tally.settle(window, total),
            had: what == "had",
            forgot: words.get(2).is_some_and(|forgot| forgot == "1"),
        };
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_like_is_in_exactly_one_window() {
        let open = Open::default();
        let taken = std::thread::scope(|scope| {
            let adders: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..50_000)
                            .filter(|_| !matches!(open.add(3, u32::MAX), Added::Full))
                            .count()
                    })
                })
                .collect();
            let mut taken = (0, 0);
            while adders.iter().any(|a| !a.is_finished()) {
                let (messages, likes) = open.take();
                taken = (taken.0 + messages, taken.1 + likes);
            }
            let added: usize = adders.into_iter().map(|a| a.join().unwrap()).sum();
            assert_eq!(added, 200_000);
            taken
        });
        let (messages, likes) = open.take();
        assert_eq!((taken.0 + messages, taken.1 + likes), (200_000, 600_000));
    }

    #[test]
    fn the_first_is_told_apart_and_so_many_messages_wait() {
        let open = Open::default();
        assert_eq!(open.add(1, 2), Added::First);
        assert_eq!(open.add(1, 2), Added::More);
        assert_eq!(open.add(1, 2), Added::Full);
        assert!(!open.is_empty());
        assert_eq!(open.take(), (2, 2));
        assert!(open.is_empty());
        assert_eq!(open.add(1, 2), Added::First);
    }

    #[test]
    fn likes_never_run_into_the_messages() {
        let open = Open::default();
        let mut taken = 0;
        while open.add(u32::MAX, u32::MAX) != Added::Full {
            taken += 1;
        }
        assert_eq!(open.take(), (taken, taken * u64::from(u32::MAX)));
    }

    #[test]
    fn a_window_keeps_its_number_until_it_is_settled() {
        let (open, tally) = (Open::default(), Tally::new("s".into()));
        assert_eq!(tally.next(&open), None);
        open.add(5, 10);
        let first = tally.next(&open).unwrap();
        open.add(7, 10);
        assert_eq!(tally.next(&open), Some(first));
        assert_eq!((first.number, first.likes), (1, 5));
        assert_eq!(tally.settle(first, 100), 100);
        let second = tally.next(&open).unwrap();
        assert_eq!((second.number, second.likes), (2, 7));
        assert_eq!(tally.settle(second, 90), 100, "what was told does not fall");
        assert!(tally.is_settled());
    }
}
