//! What became of everything that the gateway sent, by class, and what it met besides.
//!
//! Promises, for each class and once every socket is closed: sent = delivered + shed, exactly. A unit is one comment,
//! recall, total, notification or answer at one viewer; it is delivered when the kernel has taken the last byte of it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What is sent to a viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Comments of the room.
    Comment,
    /// Recalls; never shed while the socket lives.
    Recall,
    /// Totals of likes and viewers.
    Like,
    /// Notifications; never shed while the socket lives.
    Notification,
    /// What answers the client: greetings, acknowledgements, refusals, marks of what was missed.
    Answer,
}

/// The counters of one class; each only grows.
#[derive(Debug, Default)]
pub struct Counts {
    sent: AtomicU64,
    delivered: AtomicU64,
    shed: AtomicU64,
}

/// The counters of one class at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Snapshot {
    /// What was to be sent.
    pub sent: u64,
    /// What the kernel took.
    pub delivered: u64,
    /// What was given up, since its viewer was too slow or gone.
    pub shed: u64,
}

/// The counters of one gateway.
#[derive(Debug, Default)]
pub struct Tally {
    classes: [Counts; 5],
    /// Bytes that wait for all viewers of this gateway: what is left of messages that were begun, and marks of what was
    /// missed, are among them.
    pub queued: AtomicUsize,
    /// Frames that were encoded: each of them once, for all viewers of its room.
    pub frames: AtomicU64,
    /// Sockets that were opened.
    pub opened: AtomicU64,
    /// Sockets that were refused before they were opened.
    pub refused: AtomicU64,
    /// Sockets that were closed.
    pub closed: AtomicU64,
    /// Of these, since the client did not take even what is never shed.
    pub too_slow: AtomicU64,
    /// Of these, since the token had ended.
    pub expired: AtomicU64,
    /// Of these, since the client broke the protocol or a limit.
    pub misbehaved: AtomicU64,
    /// Times that a feed left something out, and the history was asked.
    pub gaps: AtomicU64,
    /// Of these, times that the history did not answer in time either.
    pub unhealed: AtomicU64,
    /// Messages on a feed that are no entries, and were dropped.
    pub forged: AtomicU64,
    /// Rooms that failed, and were opened anew.
    pub rooms_restarted: AtomicU64,
    /// Comments that clients sent and the server stored.
    pub comments: AtomicU64,
    /// Notifications that services handed over and the server stored.
    pub notifications: AtomicU64,
}

// === impl Class ===

impl Class {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Comment,
        Self::Recall,
        Self::Like,
        Self::Notification,
        Self::Answer,
    ];

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Recall => "recall",
            Self::Like => "like",
            Self::Notification => "notification",
            Self::Answer => "answer",
        }
    }
}

// === impl Tally ===

impl Tally {
    fn of(&self, class: Class) -> &Counts {
        match class {
            Class::Comment => &self.classes[0],
            Class::Recall => &self.classes[1],
            Class::Like => &self.classes[2],
            Class::Notification => &self.classes[3],
            Class::Answer => &self.classes[4],
        }
    }

    pub(super) fn sent(&self, class: Class, units: u32) {
        let counter = &self.of(class).sent;
        counter.fetch_add(u64::from(units), Ordering::Relaxed);
    }

    pub(super) fn delivered(&self, class: Class, units: u32) {
        let counter = &self.of(class).delivered;
        counter.fetch_add(u64::from(units), Ordering::Relaxed);
    }

    pub(super) fn shed(&self, class: Class, units: u32) {
        let counter = &self.of(class).shed;
        counter.fetch_add(u64::from(units), Ordering::Relaxed);
    }

    /// The counters of a class now.
    pub fn snapshot(&self, class: Class) -> Snapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = self.of(class);
        // The outcomes first: nothing is to show as delivered before it was sent.
        let (delivered, shed) = (get(&counts.delivered), get(&counts.shed));
        Snapshot {
            sent: get(&counts.sent),
            delivered,
            shed,
        }
    }
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
