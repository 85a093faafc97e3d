//! Whether a branch runs, and why not; and when so many records are rejected that it must halt.
//!
//! A *pause* lies over the state, and is an operator's: nothing more is fetched, what was taken is resolved and
//! committed, and the group's membership stays, so that no partition moves. The source may be made anew beneath it.
//! It is of this process, and ends with it: what starts a process anew (a deployment, a crash) is to find it at work,
//! and not at a standstill that somebody asked for long ago.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, watch};

/// Rejections among the last [`WINDOW`] records that halt a branch: so many are a wrong mapping, not poison.
pub const REJECTIONS: usize = 200;
/// The records looked back upon.
pub const WINDOW: usize = 1_000;

/// What a branch is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Getting ready: reaching its servers, checking identity.
    Starting,
    /// Consuming.
    Running,
    /// Stopped with an alarm until an operator resumes it; nothing is consumed or committed past it.
    Halted(String),
    /// Draining, on the way to its end.
    Stopping,
}

/// Who rejects records. Each has a window of its own: a worker decodes far ahead of what the sink answers, so
/// in one window a few poison records would stand alone while the sink is slow or away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// The decoder and the projection.
    Decoder,
    /// The sink.
    Sink,
}

/// An operator's pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Who asked for it.
    pub by: String,
    /// When.
    pub since: Instant,
}

/// What became of a wish to pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pausing {
    /// It pauses.
    Paused,
    /// It was paused before: that pause stands.
    Already(Pause),
    /// It stands still without a pause: it is halted, or on its way to its end.
    AtRest,
}

/// A branch's switch.
#[derive(Debug)]
pub struct Control {
    state: watch::Sender<State>,
    pause: watch::Sender<Option<Pause>>,
    /// What a starting branch waits for.
    waiting: Mutex<Option<String>>,
    /// When the branch halted.
    halted: Mutex<Option<Instant>>,
    decoded: Mutex<Rejections>,
    written: Mutex<Rejections>,
    forgotten: Mutex<BTreeSet<i32>>,
    forgot: Notify,
}

/// The outcome of the last records, newest last.
#[derive(Debug, Default)]
struct Rejections {
    last: VecDeque<bool>,
    rejected: usize,
}

// === impl Control ===

impl Default for Control {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::Starting),
            pause: watch::Sender::new(None),
            waiting: Mutex::default(),
            halted: Mutex::default(),
            decoded: Mutex::default(),
            written: Mutex::default(),
            forgotten: Mutex::default(),
            forgot: Notify::new(),
        }
    }
}

impl Control {
    /// The state, to be watched.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// The state now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Whether writes may go on.
    pub fn is_halted(&self) -> bool {
        matches!(*self.state.borrow(), State::Halted(_))
    }

    /// Halts the branch; the first reason stays. `true` where it was not halted before.
    pub fn halt(&self, reason: impl Into<String>) -> bool {
        self.state.send_if_modified(|s| match s {
            State::Halted(_) | State::Stopping => false,
            State::Starting | State::Running => {
                *s = State::Halted(reason.into());
                *self.halted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                true
            }
        })
    }

    /// Since when the branch has been halted, where it is.
    pub fn halted_since(&self) -> Option<Instant> {
        // Not while it is held: whoever halts takes the two the other way round.
        let since = *self.halted.lock().unwrap_or_else(PoisonError::into_inner);
        since.filter(|_| self.is_halted())
    }

    /// Pauses the branch, for `by`.
    pub fn pause(&self, by: impl Into<String>) -> Pausing {
        match &*self.state.borrow() {
            State::Halted(_) | State::Stopping => return Pausing::AtRest,
            State::Starting | State::Running => {}
        }
        let mut before = None;
        self.pause.send_if_modified(|pause| {
            before.clone_from(pause);
            if pause.is_none() {
                *pause = Some(Pause {
                    by: by.into(),
                    since: Instant::now(),
                });
            }
            before.is_none()
        });
        before.map_or(Pausing::Paused, Pausing::Already)
    }

    /// The pause, where there is one.
    pub fn paused(&self) -> Option<Pause> {
        self.pause.borrow().clone()
    }

    /// Whether nothing more is to be fetched.
    pub fn is_paused(&self) -> bool {
        self.pause.borrow().is_some()
    }

    /// Whether records may be taken: it is neither paused nor halted.
    pub fn may_take(&self) -> bool {
        !self.is_paused() && !self.is_halted()
    }

    /// Lets a halted branch start anew, and a paused one go on. `false` where it was neither.
    pub fn resume(&self) -> bool {
        self.pause.send_replace(None).is_some() | self.unhalt()
    }

    fn unhalt(&self) -> bool {
        for window in [&self.decoded, &self.written] {
            *window.lock().unwrap_or_else(PoisonError::into_inner) = Rejections::default();
        }
        self.state.send_if_modified(|s| {
            let halted = matches!(s, State::Halted(_));
            if halted {
                *s = State::Starting;
            }
            halted
        })
    }

    /// The source was made anew, and is getting ready.
    pub fn starting(&self) {
        self.state.send_if_modified(|s| {
            let running = *s == State::Running;
            if running {
                *s = State::Starting;
            }
            running
        });
    }

    /// Why a branch that is getting ready is not yet.
    pub fn waits(&self, why: impl Into<String>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.into());
    }

    /// What a starting branch waits for, where it has met something.
    pub fn waiting(&self) -> Option<String> {
        let why = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        why.clone().filter(|_| self.state() == State::Starting)
    }

    /// The branch consumes.
    pub fn running(&self) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.state.send_if_modified(|s| {
            let starting = *s == State::Starting;
            if starting {
                *s = State::Running;
            }
            starting
        });
    }

    /// The branch is to end.
    pub fn stop(&self) {
        self.state.send_replace(State::Stopping);
    }

    /// Notes how `judge` found records; `true` where it rejected too many of the last.
    pub fn note(&self, judge: Judge, rejected: bool, count: usize) -> bool {
        let window = match judge {
            Judge::Decoder => &self.decoded,
            Judge::Sink => &self.written,
        };
        let mut w = window.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..count.min(WINDOW) {
            w.last.push_back(rejected);
            w.rejected += usize::from(rejected);
            if w.last.len() > WINDOW && w.last.pop_front() == Some(true) {
                w.rejected -= 1;
            }
        }
        w.rejected >= REJECTIONS
    }

    /// The sink has lost acknowledged writes of `partition`.
    pub fn forgot(&self, partition: i32) {
        self.forgotten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(partition);
        self.forgot.notify_one();
    }

    /// Waits until the sink has forgotten, and takes the partitions.
    pub async fn forgotten(&self) -> Vec<i32> {
        loop {
            let taken = std::mem::take(
                &mut *self
                    .forgotten
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            if !taken.is_empty() {
                return taken.into_iter().collect();
            }
            self.forgot.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hundred_rejections_among_the_last_thousand_halt() {
        let c = Control::default();
        assert!(!c.note(Judge::Sink, true, REJECTIONS - 1));
        assert!(!c.note(Judge::Sink, false, WINDOW - REJECTIONS));
        assert!(c.note(Judge::Sink, true, 1));
        // good records push the bad ones out
        assert!(!c.note(Judge::Sink, false, WINDOW));
        assert!(!c.note(Judge::Sink, true, REJECTIONS - 1));
    }

    #[test]
    fn what_the_sink_has_not_answered_yet_does_not_make_poison_of_its_neighbours() {
        let c = Control::default();
        for _ in 0..WINDOW {
            assert!(!c.note(Judge::Decoder, true, 1));
            assert!(!c.note(Judge::Decoder, false, 9));
        }
        assert!(!c.note(Judge::Sink, true, REJECTIONS - 1));
    }

    #[test]
    fn what_it_waits_for_is_said_only_while_it_starts() {
        let c = Control::default();
        assert_eq!(c.waiting(), None);
        c.waits("no broker");
        assert_eq!(c.waiting(), Some("no broker".into()));
        c.running();
        assert_eq!(c.waiting(), None);
        c.halt("wrong mapping");
        c.resume();
        assert_eq!(c.waiting(), None);
    }

    #[test]
    fn a_pause_outlives_its_source_and_ends_with_a_resume() {
        let c = Control::default();
        assert_eq!(c.pause("a"), Pausing::Paused);
        assert!(matches!(c.pause("b"), Pausing::Already(first) if first.by == "a"));
        c.running();
        c.starting();
        assert!(c.is_paused() && !c.may_take());
        assert!(c.resume());
        assert!(!c.is_paused() && c.may_take());
        assert!(!c.resume());
        c.halt("wrong mapping");
        assert_eq!(c.pause("a"), Pausing::AtRest);
        assert!(c.resume());
        c.pause("a");
        // What halts a paused branch is seen, and one resume ends both.
        assert!(c.halt("made anew"));
        assert!(c.resume() && !c.is_paused() && !c.is_halted());
    }

    #[test]
    fn the_first_reason_for_a_halt_stays_until_it_is_resumed() {
        let c = Control::default();
        c.running();
        assert!(c.may_take() && c.halt("first"));
        assert!(!c.halt("second") && !c.may_take());
        c.running();
        assert_eq!(c.state(), State::Halted("first".into()));
        assert!(c.resume());
        assert!(!c.resume());
        assert_eq!(c.state(), State::Starting);
    }
}
