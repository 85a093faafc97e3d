//! Where actors run: an arbiter's thread that can be replaced.
//!
//! A thread cannot be ended from outside. Where one is blocked, its actors are given up with it (it is
//! *abandoned*: when it wakes it drops them and ends), and they are made anew on a fresh one. What the blocked
//! ones hold is lost until the process ends, so only a few may be: [`MOST_ABANDONED`](super::MOST_ABANDONED).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Arbiter, ArbiterHandle, System};
use tokio::time::Instant;

/// How long a thread may take to end once its actors have.
const JOIN: Duration = Duration::from_secs(5);

/// A thread for actors, which their supervisor may replace. Clones are the same thread.
#[derive(Debug, Clone)]
pub struct Thread(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    system: System,
    seat: Mutex<Arc<Seat>>,
}

/// Where an actor runs.
#[derive(Debug, Clone)]
pub enum Place {
    /// On a thread of the supervisor's, replaced where it is blocked.
    Thread(Thread),
    /// On an arbiter of the caller's, which nobody replaces: where it is blocked, its actors fail for good.
    Arbiter(Arc<Seat>),
}

/// An arbiter, and whether it answers.
#[derive(Debug)]
pub struct Seat {
    handle: ArbiterHandle,
    /// Where the arbiter is our own.
    arbiter: Mutex<Option<Arbiter>>,
    retired: AtomicBool,
    answered: Arc<AtomicU64>,
    /// Counts what its actors do.
    moves: Arc<AtomicU64>,
    pulse: Mutex<Pulse>,
}

#[derive(Debug)]
struct Pulse {
    asked: u64,
    moves: u64,
    looked: Instant,
    silent: Duration,
}

// === impl Thread ===

impl Thread {
    /// Starts a thread of the present actix system.
    ///
    /// # Errors
    /// Where the system has no thread to give, or this is not called within an actix system.
    pub fn start() -> std::io::Result<Self> {
        let system = System::try_current()
            .ok_or_else(|| std::io::Error::other("not called within an actix system"))?;
        let seat = Mutex::new(Arc::new(Seat::own()?));
        Ok(Self(Arc::new(Shared { system, seat })))
    }

    /// Ends the thread once its actors have ended, and waits for it, but for one that is blocked.
    pub async fn stop(self) {
        let seat = self.seat();
        let Some(arbiter) = lock(&seat.arbiter).take() else {
            return;
        };
        arbiter.stop();
        // A panic there was caught by the supervisor, and a blocked thread is left to the process's end.
        let joined = tokio::task::spawn_blocking(move || arbiter.join());
        let _ = tokio::time::timeout(JOIN, joined).await;
    }

    fn seat(&self) -> Arc<Seat> {
        Arc::clone(&lock(&self.0.seat))
    }

    /// Puts a fresh thread in the place of `blocked`; only once, whoever asks.
    fn replace(&self, blocked: &Arc<Seat>) -> Result<(), String> {
        let mut seat = lock(&self.0.seat);
        if !Arc::ptr_eq(&seat, blocked) {
            return Ok(());
        }
        if System::try_current().is_none() {
            System::set_current(self.0.system.clone());
        }
        let fresh = Seat::own().map_err(|e| format!("starting a thread: {e}"))?;
        blocked.retired.store(true, Ordering::Release);
        *seat = Arc::new(fresh);
        Ok(())
    }
}

// === impl Place ===

impl Place {
    /// The arbiter to start an incarnation on.
    pub(super) fn seat(&self) -> Arc<Seat> {
        match self {
            Self::Thread(thread) => thread.seat(),
            Self::Arbiter(seat) => Arc::clone(seat),
        }
    }

    /// Gives `blocked` up, with everything that is on it.
    pub(super) fn abandon(&self, blocked: &Arc<Seat>) -> Result<(), String> {
        match self {
            Self::Thread(thread) => thread.replace(blocked),
            Self::Arbiter(seat) => {
                seat.retired.store(true, Ordering::Release);
                Ok(())
            }
        }
    }
}

impl From<&Thread> for Place {
    fn from(thread: &Thread) -> Self {
        Self::Thread(thread.clone())
    }
}

impl From<&ArbiterHandle> for Place {
    fn from(handle: &ArbiterHandle) -> Self {
        Self::Arbiter(Arc::new(Seat::new(handle.clone(), None)))
    }
}

// === impl Seat ===

impl Seat {
    fn new(handle: ArbiterHandle, arbiter: Option<Arbiter>) -> Self {
        Self {
            handle,
            arbiter: Mutex::new(arbiter),
            retired: AtomicBool::new(false),
            answered: Arc::default(),
            moves: Arc::default(),
            pulse: Mutex::new(Pulse {
                asked: 0,
                moves: 0,
                looked: Instant::now(),
                silent: Duration::ZERO,
            }),
        }
    }

    fn own() -> std::io::Result<Self> {
        let arbiter = Arbiter::try_new()?;
        Ok(Self::new(arbiter.handle(), Some(arbiter)))
    }

    pub(super) fn handle(&self) -> &ArbiterHandle {
        &self.handle
    }

    /// Whether it was given up.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Where its actors count what they do.
    pub(super) fn moves(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.moves)
    }

    /// Asks whether it is there, and says for how long it has neither answered nor has any actor on it moved: a busy
    /// thread is none that blocks. Between two looks at most `most` counts, so that a suspended process finds nobody
    /// silent.
    pub(super) fn silent(&self, most: Duration) -> Duration {
        let mut pulse = lock(&self.pulse);
        let since = pulse.looked.elapsed().min(most);
        pulse.looked = Instant::now();
        let moves = self.moves.load(Ordering::Relaxed);
        let moved = std::mem::replace(&mut pulse.moves, moves) != moves;
        if self.answered.load(Ordering::Acquire) < pulse.asked {
            pulse.silent = if moved {
                Duration::ZERO
            } else {
                pulse.silent + since
            };
            return pulse.silent;
        }
        pulse.silent = Duration::ZERO;
        let answered = Arc::clone(&self.answered);
        pulse.asked += 1;
        let asked = pulse.asked;
        // A closed channel means that the arbiter has ended, and its runners have reported that.
        self.handle
            .spawn_fn(move || answered.store(asked, Ordering::Release));
        Duration::ZERO
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // The last runner has left. A seat of the caller's is the caller's to stop.
        if let Some(arbiter) = lock(&self.arbiter).take() {
            arbiter.stop();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
