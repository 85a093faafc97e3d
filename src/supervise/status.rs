//! What is known of a child, for whoever looks.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Exit;
use super::progress::{Activities, Standing};

/// One child, over all of its incarnations.
pub struct ChildStatus {
    /// Its name, unique within the process, such as `user_profile.redis/worker-0`.
    pub name: String,
    /// The steps at which tests may make it fail.
    pub steps: &'static [&'static str],
    /// Messages that wait in its inbox.
    queue: Option<Box<dyn Fn() -> usize + Send + Sync>>,
    now: Mutex<Now>,
}

/// A child's present state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildState {
    /// At work.
    Running,
    /// Asked to end, or being ended.
    Stopping,
    /// Between two incarnations, or before the first.
    Waiting,
    /// Ended, and not to be restarted.
    Ended,
}

struct Now {
    state: ChildState,
    since: Instant,
    restarts: u64,
    last_exit: Option<Exit>,
    asked_by: Option<String>,
    activities: Option<Arc<Activities>>,
}

// === impl ChildStatus ===

impl ChildStatus {
    pub(super) fn new(
        name: String,
        steps: &'static [&'static str],
        queue: Option<Box<dyn Fn() -> usize + Send + Sync>>,
    ) -> Self {
        Self {
            name,
            steps,
            queue,
            now: Mutex::new(Now {
                state: ChildState::Waiting,
                since: Instant::now(),
                restarts: 0,
                last_exit: None,
                asked_by: None,
                activities: None,
            }),
        }
    }

    pub(super) fn exited(&self, exit: Exit, then: ChildState, restarts: bool) {
        let mut now = self.lock();
        now.state = then;
        now.since = Instant::now();
        now.restarts += u64::from(restarts);
        now.last_exit = Some(exit);
        now.activities = None;
    }

    pub(super) fn set(&self, state: ChildState) {
        let mut now = self.lock();
        if now.state != state {
            now.state = state;
            now.since = Instant::now();
        }
    }

    pub(super) fn watch(&self, activities: Arc<Activities>) {
        self.lock().activities = Some(activities);
    }

    pub(super) fn activities(&self) -> Option<Arc<Activities>> {
        self.lock().activities.clone()
    }

    pub(super) fn asked_by(&self, who: String) {
        self.lock().asked_by = Some(who);
    }

    /// Its present state, and since when.
    pub fn state(&self) -> (ChildState, Instant) {
        let now = self.lock();
        (now.state, now.since)
    }

    /// Restarts so far.
    pub fn restarts(&self) -> u64 {
        self.lock().restarts
    }

    /// Why the last incarnation ended.
    pub fn last_exit(&self) -> Option<Exit> {
        self.lock().last_exit.clone()
    }

    /// Who asked for the last restart that somebody asked for.
    pub fn restart_asked_by(&self) -> Option<String> {
        self.lock().asked_by.clone()
    }

    /// Messages that wait in its inbox; `None` for a supervisor.
    pub fn queue(&self) -> Option<usize> {
        self.queue.as_ref().map(|depth| depth())
    }

    /// Its progress; `None` while it does not run, and for a supervisor.
    pub fn progress(&self) -> Option<Standing> {
        self.activities().map(|a| a.standing())
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ChildStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, _) = self.state();
        write!(f, "ChildStatus({} {state:?})", self.name)
    }
}
