//! A supervisor's children, shared between its keeper, their runners and whoever holds a handle.
//!
//! News goes by the table, not by a channel: a child has at most one exit and one request outstanding, so what
//! waits for the keeper is bounded by the number of children.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::run::Run;
use super::status::{ChildState, ChildStatus};
use super::tree::Common;
use super::window::Window;
use super::{Exit, Restart, Runner, Strategy};
use crate::retry::Delays;

/// What a child is: an actor, or a supervisor with children of its own.
pub(super) trait Body: Send + Sync {
    /// Starts an incarnation. It never blocks; what fails is reported through the runner.
    fn launch(&self, runner: Runner);
    /// One look of the watcher: why the child is stalled, if it is.
    fn look(&self, step: Duration, deadline: Duration) -> Option<String>;
    /// The present incarnation did not end and is left behind. `false` where there is nothing to be left.
    fn abandon(&self) -> bool;
    /// The child is gone for good.
    fn close(&self);
    /// Its own children, where it is a supervisor.
    fn family(&self) -> Option<&Arc<Family>>;
}

/// A supervisor's side of one child.
pub(super) struct Slot {
    pub(super) id: u64,
    pub(super) status: Arc<ChildStatus>,
    pub(super) rules: Rules,
    pub(super) body: Box<dyn Body>,
    family: Weak<Family>,
    gone: watch::Sender<bool>,
}

/// The part of a spec that the keeper goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) restart: Restart,
    /// `None` where each part of it has a deadline of its own.
    pub(super) shutdown: Option<Duration>,
    pub(super) stall: Option<Duration>,
    pub(super) drains: bool,
}

/// A child as its keeper sees it.
pub(super) struct Entry {
    pub(super) slot: Arc<Slot>,
    pub(super) phase: Phase,
    pub(super) run: Option<Run>,
    /// Incarnations so far.
    pub(super) made: u64,
    pub(super) started: Instant,
    pub(super) window: Window,
    pub(super) delays: Delays,
    /// News: the present incarnation has ended.
    pub(super) exit: Option<Exit>,
    /// News: somebody wants something.
    pub(super) request: Option<Request>,
}

/// Where a child stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not running, and nobody has said when.
    Idle,
    /// Launched, and not yet at work.
    Starting,
    /// At work.
    Running,
    /// Asked to end, or being ended.
    Stopping(Stop),
    /// To be started at this moment.
    Waiting(Instant),
    /// Ended for good.
    Ended,
}

/// A child on its way to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stop {
    /// Past it, the next stage.
    pub(super) deadline: Option<Instant>,
    /// It was told to end at once; past the deadline it is left behind, and this is its exit.
    pub(super) verdict: Option<Exit>,
    pub(super) then: Then,
}

/// What follows a child's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It is started by whoever stopped it.
    Rest,
    /// It leaves.
    Leave,
    /// It starts again at once: it was asked to.
    Again,
    /// It failed.
    Judge,
}

/// What somebody wants of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// It is new.
    Start,
    /// It is to leave.
    Stop,
    /// It is to be made anew.
    Restart,
}

/// A supervisor and its children.
pub(super) struct Family {
    pub(super) name: String,
    pub(super) strategy: Strategy,
    pub(super) common: Arc<Common>,
    pub(super) wake: Notify,
    /// Whether any child is to be watched for stalls.
    watched: AtomicBool,
    table: Mutex<Table>,
}

/// The children, in the order in which they were added.
#[derive(Default)]
pub(super) struct Table {
    pub(super) entries: BTreeMap<u64, Entry>,
    next: u64,
    /// Children with news.
    due: BTreeSet<u64>,
    closed: bool,
}

// === impl Slot ===

impl Slot {
    /// Waits until the child is gone.
    pub(super) async fn gone(&self) {
        // The sender is in here.
        let _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    pub(super) fn leave(&self) {
        self.body.close();
        self.gone.send_replace(true);
    }

    pub(super) fn family(&self) -> Option<Arc<Family>> {
        self.family.upgrade()
    }

    pub(super) fn running(&self, number: u64) {
        self.news(number, |entry| {
            if entry.phase == Phase::Starting {
                entry.phase = Phase::Running;
                entry.slot.status.set(ChildState::Running);
            }
        });
    }

    pub(super) fn exited(&self, number: u64, exit: Exit) {
        self.news(number, |entry| entry.exit = Some(exit));
    }

    /// Of an incarnation that was left behind there is no news.
    fn news(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        if let Some(family) = self.family.upgrade() {
            family.change(self.id, |entry| {
                if entry.run.as_ref().is_some_and(|r| r.number() == number) {
                    change(entry);
                }
            });
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({})", self.status.name)
    }
}

// === impl Family ===

impl Family {
    pub(super) fn new(name: String, strategy: Strategy, common: Arc<Common>) -> Arc<Self> {
        Arc::new(Self {
            name,
            strategy,
            common,
            wake: Notify::new(),
            watched: AtomicBool::new(false),
            table: Mutex::default(),
        })
    }

    /// Adds a child, which the keeper starts.
    pub(super) fn add(
        self: &Arc<Self>,
        status: Arc<ChildStatus>,
        rules: Rules,
        window: Window,
        delays: Delays,
        body: Box<dyn Body>,
    ) -> Arc<Slot> {
        if rules.stall.is_some() {
            self.watched.store(true, Ordering::Relaxed);
        }
        let mut table = self.table();
        let id = table.next;
        table.next += 1;
        let slot = Arc::new(Slot {
            id,
            status,
            rules,
            body,
            family: Arc::downgrade(self),
            gone: watch::Sender::new(false),
        });
        if table.closed {
            drop(table);
            slot.status.set(ChildState::Ended);
            slot.leave();
            return slot;
        }
        table.due.insert(id);
        table.entries.insert(
            id,
            Entry {
                slot: Arc::clone(&slot),
                phase: Phase::Idle,
                run: None,
                made: 0,
                started: Instant::now(),
                window,
                delays,
                exit: None,
                request: Some(Request::Start),
            },
        );
        drop(table);
        self.wake.notify_one();
        slot
    }

    /// Asks something of a child; `false` where it has ended.
    pub(super) fn request(&self, id: u64, request: Request) -> bool {
        let mut taken = false;
        self.change(id, |entry| {
            taken = entry.phase != Phase::Ended;
            // A stop is the last word.
            if taken && entry.request != Some(Request::Stop) {
                entry.request = Some(request);
            }
        });
        taken
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Entry)) {
        let mut table = self.table();
        if let Some(entry) = table.entries.get_mut(&id) {
            change(entry);
            table.due.insert(id);
            drop(table);
            self.wake.notify_one();
        }
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// Has the keeper look at a child again.
    pub(super) fn touch(&self, id: u64) {
        self.change(id, |_| {});
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The children, in order; at most `most` of them, and how many more there are. Those that do not run come
    /// first where not all can be shown, since they are what is looked for.
    pub(super) fn slots(&self, most: usize) -> (Vec<Arc<Slot>>, usize) {
        let table = self.table();
        let more = table.entries.len().saturating_sub(most);
        let mut left = most;
        let mut take = |entry: &Entry| {
            let troubled = more == 0 || entry.phase != Phase::Running;
            let taken = troubled && left > 0;
            left -= usize::from(taken);
            taken.then(|| Arc::clone(&entry.slot))
        };
        let mut slots: Vec<Arc<Slot>> = table.entries.values().filter_map(&mut take).collect();
        let sound = table.entries.values();
        let sound = sound.filter(|e| more > 0 && e.phase == Phase::Running);
        slots.extend(sound.take(left).map(|e| Arc::clone(&e.slot)));
        slots.sort_by_key(|s| s.id);
        (slots, more)
    }

    /// Looks a child up by its name, here and below.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Slot>> {
        let (slots, _) = self.slots(usize::MAX);
        slots.iter().find_map(|slot| {
            if slot.status.name == name {
                return Some(Arc::clone(slot));
            }
            slot.body.family()?.find(name)
        })
    }

    /// All of it is gone for good: the children too, and none can be added.
    pub(super) fn close(&self) {
        let entries = {
            let mut table = self.table();
            table.closed = true;
            std::mem::take(&mut table.entries)
        };
        for entry in entries.into_values() {
            entry.slot.status.set(ChildState::Ended);
            entry.slot.leave();
        }
    }
}

// === impl Table ===

impl Table {
    pub(super) fn next_due(&mut self) -> Option<u64> {
        self.due.pop_first()
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Entry> {
        self.due.remove(&id);
        self.entries.remove(&id)
    }
}
