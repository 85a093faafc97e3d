//! What is known of every child, and the way up when one cannot be kept alive.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::Exit;

/// Every child of a process and its state.
#[derive(Debug)]
pub struct Tree {
    children: Mutex<Vec<Arc<ChildStatus>>>,
    escalated: watch::Sender<Option<String>>,
}

/// One child, over all of its incarnations.
#[derive(Debug)]
pub struct ChildStatus {
    /// Its name, unique within the process, such as `user_profile.redis/worker-0`.
    pub name: String,
    now: Mutex<Now>,
}

/// A child's present state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildState {
    /// At work.
    Running,
    /// Between two incarnations.
    Waiting,
    /// Ended, and not to be restarted.
    Ended,
}

#[derive(Debug)]
struct Now {
    state: ChildState,
    since: Instant,
    restarts: u64,
    last_exit: Option<Exit>,
}

// === impl Tree ===

impl Default for Tree {
    fn default() -> Self {
        Self {
            children: Mutex::default(),
            escalated: watch::Sender::new(None),
        }
    }
}

impl Tree {
    pub(super) fn add(&self, name: String) -> Arc<ChildStatus> {
        let status = Arc::new(ChildStatus {
            name,
            now: Mutex::new(Now {
                state: ChildState::Waiting,
                since: Instant::now(),
                restarts: 0,
                last_exit: None,
            }),
        });
        lock(&self.children).push(Arc::clone(&status));
        status
    }

    /// The children in the order in which they were started.
    pub fn children(&self) -> Vec<Arc<ChildStatus>> {
        lock(&self.children).clone()
    }

    /// Takes those off the list that have ended and are not to be restarted: of children that come and go, such
    /// as rooms, nothing is kept.
    pub fn forget_ended(&self) {
        lock(&self.children).retain(|child| child.state().0 != ChildState::Ended);
    }

    /// A child failed more often than it may: the process is to end with this reason.
    pub fn escalate(&self, reason: String) {
        self.escalated.send_if_modified(|r| {
            let first = r.is_none();
            r.get_or_insert(reason);
            first
        });
    }

    /// Waits for an escalation and returns its reason.
    pub async fn escalated(&self) -> String {
        let mut rx = self.escalated.subscribe();
        match rx.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }
}

// === impl ChildStatus ===

impl ChildStatus {
    pub(super) fn running(&self) {
        self.set(ChildState::Running);
    }

    pub(super) fn exited(&self, exit: &Exit, restarts: bool) {
        let mut now = lock(&self.now);
        now.state = if restarts {
            ChildState::Waiting
        } else {
            ChildState::Ended
        };
        now.since = Instant::now();
        now.restarts += u64::from(restarts);
        now.last_exit = Some(exit.clone());
    }

    fn set(&self, state: ChildState) {
        let mut now = lock(&self.now);
        now.state = state;
        now.since = Instant::now();
    }

    /// Its present state, and since when.
    pub fn state(&self) -> (ChildState, Instant) {
        let now = lock(&self.now);
        (now.state, now.since)
    }

    /// Restarts so far.
    pub fn restarts(&self) -> u64 {
        lock(&self.now).restarts
    }

    /// Why the last incarnation ended.
    pub fn last_exit(&self) -> Option<Exit> {
        lock(&self.now).last_exit.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
