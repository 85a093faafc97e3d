//! Progress, not liveness: what a child says of its work, and what its supervisor concludes from it.
//!
//! A child does several things at a time, each of them an *activity*. An activity that has work, is not
//! declared to be waiting, and does not move for the child's stall deadline makes the child stalled. The
//! deadline is counted in the watcher's own looks, each of which counts for at most twice its interval: a
//! process that was suspended for a minute finds nobody stalled when it goes on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

/// One activity of a child. Its clones are the same activity, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct Progress {
    one: Arc<Activity>,
    all: Arc<Activities>,
}

/// While this lives, the activity waits for something that is not its child's to hurry.
#[derive(Debug)]
pub struct Waiting(Arc<Activity>);

/// Everything that one incarnation does.
#[derive(Debug)]
pub(super) struct Activities {
    born: Instant,
    list: Mutex<List>,
    done: AtomicU64,
    /// Milliseconds from `born` to the last progress.
    last: AtomicU64,
    /// Counts the moves of whatever is on the child's own thread.
    thread: Arc<AtomicU64>,
}

#[derive(Debug)]
struct List {
    all: Vec<Weak<Activity>>,
    /// Swept when it grows past this.
    sweep: usize,
}

#[derive(Debug)]
struct Activity {
    name: &'static str,
    /// Whether it is on the child's own thread.
    here: bool,
    working: AtomicBool,
    /// What it waits for; more than one where it is shared.
    waiting: Mutex<Vec<&'static str>>,
    moves: AtomicU64,
    /// The watcher's: the moves that it saw, and the milliseconds since without any.
    seen: AtomicU64,
    still: AtomicU64,
}

/// Progress as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Units done, as the child counts them.
    pub done: u64,
    /// Since the last progress.
    pub age: Duration,
    /// Activities that have work.
    pub working: usize,
    /// What one of them waits for.
    pub waiting: Option<&'static str>,
}

/// An idle list is not swept more often than this.
const SWEEP: usize = 64;

// === impl Progress ===

impl Progress {
    pub(super) fn new(name: &'static str, thread: Arc<AtomicU64>) -> (Self, Arc<Activities>) {
        let all = Arc::new(Activities {
            born: Instant::now(),
            list: Mutex::new(List {
                all: Vec::new(),
                sweep: SWEEP,
            }),
            done: AtomicU64::new(0),
            last: AtomicU64::new(0),
            thread,
        });
        (all.add(name, true), Arc::clone(&all))
    }

    /// A further activity of the same child, without work.
    pub fn activity(&self, name: &'static str) -> Self {
        self.all.add(name, true)
    }

    /// The same on a thread of its own, whose moves do not say that the child's thread is alive.
    pub fn elsewhere(&self, name: &'static str) -> Self {
        self.all.add(name, false)
    }

    /// Something was done: `n` units, or 0 for a step of one.
    pub fn did(&self, n: u64) {
        self.all.done.fetch_add(n, Ordering::Relaxed);
        self.moved();
    }

    /// Whether there is work to do: only then can the activity stall.
    pub fn has_work(&self, has: bool) {
        if self.one.working.swap(has, Ordering::Relaxed) != has {
            self.moved();
        }
    }

    /// Declares a wait for `what` (a server, room, the next tick), which does not count as standing still.
    #[must_use = "it waits only while this lives"]
    pub fn waiting(&self, what: &'static str) -> Waiting {
        lock(&self.one.waiting).push(what);
        Waiting(Arc::clone(&self.one))
    }

    /// Runs a future that waits for `what`.
    pub async fn wait<F: Future>(&self, what: &'static str, future: F) -> F::Output {
        let _waiting = self.waiting(what);
        future.await
    }

    fn moved(&self) {
        self.one.moves.fetch_add(1, Ordering::Relaxed);
        if self.one.here {
            self.all.thread.fetch_add(1, Ordering::Relaxed);
        }
        let at = self.all.born.elapsed().as_millis();
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        self.all.last.store(at, Ordering::Relaxed);
    }
}

impl Default for Progress {
    /// An activity that nobody watches.
    fn default() -> Self {
        Self::new("alone", Arc::default()).0
    }
}

// === impl Waiting ===

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.0.waiting).pop();
        self.0.moves.fetch_add(1, Ordering::Relaxed);
    }
}

// === impl Activities ===

impl Activities {
    fn add(self: &Arc<Self>, name: &'static str, here: bool) -> Progress {
        let one = Arc::new(Activity {
            name,
            here,
            working: AtomicBool::new(false),
            waiting: Mutex::default(),
            moves: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            still: AtomicU64::new(0),
        });
        let mut list = lock(&self.list);
        if list.all.len() >= list.sweep {
            list.all.retain(|a| a.strong_count() > 0);
            list.sweep = SWEEP.max(2 * list.all.len());
        }
        list.all.push(Arc::downgrade(&one));
        drop(list);
        Progress {
            one,
            all: Arc::clone(self),
        }
    }

    fn live(&self) -> Vec<Arc<Activity>> {
        let list = lock(&self.list);
        list.all.iter().filter_map(Weak::upgrade).collect()
    }

    /// One look of the watcher, `step` after the one before it: why the child is stalled, if it is.
    pub(super) fn look(&self, step: Duration, deadline: Duration) -> Option<String> {
        self.live().iter().find_map(|a| a.look(step, deadline))
    }

    pub(super) fn standing(&self) -> Standing {
        let live = self.live();
        let working = live.iter().filter(|a| a.working.load(Ordering::Relaxed));
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        Standing {
            done: self.done.load(Ordering::Relaxed),
            age: self.born.elapsed().saturating_sub(last),
            working: working.count(),
            waiting: live.iter().find_map(|a| lock(&a.waiting).last().copied()),
        }
    }
}

// === impl Activity ===

impl Activity {
    fn look(&self, step: Duration, deadline: Duration) -> Option<String> {
        let moves = self.moves.load(Ordering::Relaxed);
        let moved = self.seen.swap(moves, Ordering::Relaxed) != moves;
        if moved || !self.working.load(Ordering::Relaxed) || !lock(&self.waiting).is_empty() {
            self.still.store(0, Ordering::Relaxed);
            return None;
        }
        let step = u64::try_from(step.as_millis()).unwrap_or(u64::MAX);
        let still = self.still.load(Ordering::Relaxed).saturating_add(step);
        self.still.store(still, Ordering::Relaxed);
        let still = Duration::from_millis(still);
        (still >= deadline)
            .then(|| format!("{} has work and has not moved for {still:?}", self.name))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(250);
    const DEADLINE: Duration = Duration::from_secs(1);

    fn stalled(all: &Activities, looks: usize) -> bool {
        (0..looks).any(|_| all.look(STEP, DEADLINE).is_some())
    }

    #[test]
    fn only_work_that_stands_still_undeclared_is_a_stall() {
        let (main, all) = Progress::new("main", Arc::default());
        assert!(!stalled(&all, 10), "no work");
        main.has_work(true);
        assert!(!stalled(&all, 4), "not for the whole deadline");
        assert!(stalled(&all, 1));
        main.did(3);
        assert!(!stalled(&all, 4));
        let waiting = main.waiting("sink");
        assert!(!stalled(&all, 10), "it waits");
        assert_eq!(all.standing().waiting, Some("sink"));
        drop(waiting);
        assert!(!stalled(&all, 4));
        main.has_work(false);
        assert!(!stalled(&all, 10));
        assert_eq!((all.standing().done, all.standing().waiting), (3, None));
    }

    #[test]
    fn one_activity_that_stands_still_is_not_hidden_by_the_others() {
        let (main, all) = Progress::new("main", Arc::default());
        main.has_work(true);
        let other = main.activity("delivery");
        other.has_work(true);
        let _waiting = main.waiting("sink");
        for _ in 0..4 {
            main.did(1);
            assert_eq!(all.look(STEP, DEADLINE), None);
        }
        let why = all.look(STEP, DEADLINE).unwrap();
        assert!(why.starts_with("delivery "), "{why}");
        drop(other);
        assert!(!stalled(&all, 10), "it ended");
    }

    #[test]
    fn activities_that_ended_take_no_room() {
        let (main, all) = Progress::new("main", Arc::default());
        for _ in 0..10_000 {
            main.activity("delivery").did(1);
        }
        assert!(lock(&all.list).all.len() <= 2 * SWEEP);
        assert_eq!(all.standing().done, 10_000);
    }
}
