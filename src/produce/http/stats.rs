//! What the ingest did, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// The counters.
#[derive(Debug, Default)]
pub struct Stats {
    requests: AtomicU64,
    accepted: AtomicU64,
    unacknowledged: AtomicU64,
    turned: [AtomicU64; Turned::ALL.len()],
}

/// Why a request is not answered with 202.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// It carries no key of a client.
    Key,
    /// The client may not write to the topic.
    Forbidden,
    /// There is no such topic for events.
    Topic,
    /// Its content type is none that is taken.
    Type,
    /// Its body is too large, or has too many events.
    Size,
    /// Its body did not come in time.
    Slow,
    /// Its client sends too much.
    Rate,
    /// It holds an event that is refused, or none.
    Event,
    /// There is no room for it now.
    Busy,
    /// Kafka did not acknowledge all of it in time.
    Away,
    /// The topic is not as its spec says.
    Broken,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Requests for events.
    pub requests: u64,
    /// Events that Kafka acknowledged.
    pub accepted: u64,
    /// Events that it did not acknowledge in time.
    pub unacknowledged: u64,
    /// Requests by why they were turned away.
    pub turned: Vec<(&'static str, u64)>,
}

// === impl Turned ===

impl Turned {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Key,
        Self::Forbidden,
        Self::Topic,
        Self::Type,
        Self::Size,
        Self::Slow,
        Self::Rate,
        Self::Event,
        Self::Busy,
        Self::Away,
        Self::Broken,
    ];

    /// Its name in answers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Forbidden => "forbidden",
            Self::Topic => "topic",
            Self::Type => "type",
            Self::Size => "size",
            Self::Slow => "slow",
            Self::Rate => "rate",
            Self::Event => "event",
            Self::Busy => "busy",
            Self::Away => "away",
            Self::Broken => "broken",
        }
    }
}

// === impl Stats ===

impl Stats {
    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn acknowledged(&self, accepted: u64, unacknowledged: u64) {
        self.accepted.fetch_add(accepted, Ordering::Relaxed);
        self.unacknowledged
            .fetch_add(unacknowledged, Ordering::Relaxed);
    }

    pub(super) fn turned(&self, why: Turned) {
        let counters = Turned::ALL.iter().zip(&self.turned);
        for (_, counter) in counters.filter(|(of, _)| **of == why) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted so far.
    pub fn snapshot(&self) -> Snapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let turned = Turned::ALL.iter().zip(&self.turned);
        Snapshot {
            requests: get(&self.requests),
            accepted: get(&self.accepted),
            unacknowledged: get(&self.unacknowledged),
            turned: turned.map(|(why, n)| (why.name(), get(n))).collect(),
        }
    }
}
