//! What became of everything that a worker received, by class.
//!
//! Promises, at rest and for each class: received = accepted + refused + shed + duplicate + dead-lettered +
//! abandoned, exactly, since every receipt ends in one of the six, and in `abandoned` where it is dropped
//! without a word. Likes are counted as likes and not as messages, so that a batch weighs what it holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::wire::Reason;

/// What a worker receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Deliveries of LIVE_IN; a redelivery is one more.
    Comment,
    /// Likes.
    Like,
    /// Viewers' heartbeats.
    Here,
    /// Requests for history.
    History,
    /// Moderators' requests.
    Ctl,
}

/// What became of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A comment is in LIVE_OUT, a like or a heartbeat in its room, a request answered.
    Accepted,
    /// Not taken, and its sender told so where there is one.
    Refused,
    /// Given up since the worker had too much to do; never a comment.
    Shed,
    /// A comment that LIVE_OUT had already.
    Duplicate,
    /// A comment that is in LIVE_DEAD.
    DeadLettered,
    /// Given up unresolved; a comment is delivered again.
    Abandoned,
}

/// The counters of one class; each only grows.
#[derive(Debug, Default)]
pub struct Counts {
    received: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    shed: AtomicU64,
    duplicate: AtomicU64,
    dead_lettered: AtomicU64,
    abandoned: AtomicU64,
    redelivered: AtomicU64,
}

/// The counters of one class at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Snapshot {
    /// What came in.
    pub received: u64,
    /// See [`Outcome::Accepted`].
    pub accepted: u64,
    /// See [`Outcome::Refused`].
    pub refused: u64,
    /// See [`Outcome::Shed`].
    pub shed: u64,
    /// See [`Outcome::Duplicate`].
    pub duplicate: u64,
    /// See [`Outcome::DeadLettered`].
    pub dead_lettered: u64,
    /// See [`Outcome::Abandoned`].
    pub abandoned: u64,
    /// Of the received: those that had been delivered before, to this worker or to another.
    pub redelivered: u64,
}

/// The counters of one worker.
#[derive(Debug, Default)]
pub struct Tally {
    comment: Counts,
    like: Counts,
    here: Counts,
    history: Counts,
    ctl: Counts,
    reasons: [AtomicU64; Reason::ALL.len()],
    /// Comments copied to LIVE_DEAD for an advisory of the server, or found undeliverable in LIVE_IN: no
    /// worker had them in hand.
    pub buried: AtomicU64,
    /// Redelivered comments of which it could not be shown whether LIVE_OUT once had them: it keeps too
    /// little, and the duplicate window is over. They were published.
    pub unproven: AtomicU64,
}

/// Something received, until it is said what became of it.
#[derive(Debug)]
#[must_use = "a receipt that is dropped counts as abandoned"]
pub struct Receipt {
    tally: Arc<Tally>,
    class: Class,
    units: u64,
}

// === impl Class ===

impl Class {
    /// All of them, those that matter most first.
    pub const ALL: [Self; 5] = [
        Self::Comment,
        Self::Ctl,
        Self::History,
        Self::Here,
        Self::Like,
    ];

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Like => "like",
            Self::Here => "here",
            Self::History => "history",
            Self::Ctl => "ctl",
        }
    }
}

// === impl Counts ===

impl Counts {
    fn of(&self, outcome: Outcome) -> &AtomicU64 {
        match outcome {
            Outcome::Accepted => &self.accepted,
            Outcome::Refused => &self.refused,
            Outcome::Shed => &self.shed,
            Outcome::Duplicate => &self.duplicate,
            Outcome::DeadLettered => &self.dead_lettered,
            Outcome::Abandoned => &self.abandoned,
        }
    }

    fn snapshot(&self) -> Snapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // The outcomes first: between two reads more is received, and nothing is to show as resolved before
        // it is received.
        let outcomes = Snapshot {
            accepted: get(&self.accepted),
            refused: get(&self.refused),
            shed: get(&self.shed),
            duplicate: get(&self.duplicate),
            dead_lettered: get(&self.dead_lettered),
            abandoned: get(&self.abandoned),
            ..Snapshot::default()
        };
        Snapshot {
            redelivered: get(&self.redelivered),
            received: get(&self.received),
            ..outcomes
        }
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// What the outcomes add up to.
    pub fn resolved(&self) -> u64 {
        self.accepted
            + self.refused
            + self.shed
            + self.duplicate
            + self.dead_lettered
            + self.abandoned
    }

    /// Received and not resolved.
    pub fn pending(&self) -> u64 {
        self.received.saturating_sub(self.resolved())
    }
}

// === impl Tally ===

impl Tally {
    fn counts(&self, class: Class) -> &Counts {
        match class {
            Class::Comment => &self.comment,
            Class::Like => &self.like,
            Class::Here => &self.here,
            Class::History => &self.history,
            Class::Ctl => &self.ctl,
        }
    }

    /// Counts something that came in: one message, or so many likes.
    pub fn receive(self: &Arc<Self>, class: Class, units: u64) -> Receipt {
        let received = &self.counts(class).received;
        received.fetch_add(units, Ordering::Relaxed);
        Receipt {
            tally: Arc::clone(self),
            class,
            units,
        }
    }

    /// Counts a receipt as one that had been delivered before.
    pub fn redelivered(&self, class: Class) {
        self.counts(class)
            .redelivered
            .fetch_add(1, Ordering::Relaxed);
    }

    /// Counts why something was refused, or shed with an answer.
    pub fn because(&self, reason: Reason) {
        if let Some(counter) = self.reasons.get(reason as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Messages that were not taken for each reason.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL
            .into_iter()
            .zip(self.reasons.iter().map(|n| n.load(Ordering::Relaxed)))
    }

    /// The counters of a class now.
    pub fn snapshot(&self, class: Class) -> Snapshot {
        self.counts(class).snapshot()
    }
}

// === impl Receipt ===

impl Receipt {
    /// Says what became of it.
    pub fn resolve(mut self, outcome: Outcome) {
        self.settle(outcome);
    }

    fn settle(&mut self, outcome: Outcome) {
        let units = std::mem::take(&mut self.units);
        let counter = self.tally.counts(self.class).of(outcome);
        counter.fetch_add(units, Ordering::Relaxed);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        // Nothing is left of one that was resolved.
        self.settle(Outcome::Abandoned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_received_is_what_became_of_it() {
        let tally = Arc::new(Tally::default());
        let outcomes = [
            Outcome::Accepted,
            Outcome::Refused,
            Outcome::Shed,
            Outcome::Duplicate,
            Outcome::DeadLettered,
        ];
        for (n, outcome) in (1..).zip(outcomes) {
            tally.receive(Class::Like, n).resolve(outcome);
        }
        let open = tally.receive(Class::Like, 100);
        let shown = tally.snapshot(Class::Like);
        assert_eq!((shown.received, shown.resolved()), (115, 15));
        assert_eq!(shown.pending(), 100);
        drop(open);
        let shown = tally.snapshot(Class::Like);
        assert_eq!((shown.abandoned, shown.pending()), (100, 0));
        assert_eq!(
            (shown.accepted, shown.refused, shown.shed, shown.duplicate),
            (1, 2, 3, 4)
        );
        assert_eq!(tally.snapshot(Class::Comment), Snapshot::default());
    }

    #[test]
    fn a_receipt_that_dies_with_its_task_is_abandoned() {
        let tally = Arc::new(Tally::default());
        let receipt = tally.receive(Class::Comment, 1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _receipt = receipt;
            panic!("as told");
        }));
        assert!(panicked.is_err());
        assert_eq!(tally.snapshot(Class::Comment).abandoned, 1);
    }
}
