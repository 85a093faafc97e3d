//! When to ask the server for more, and for how much: never for more than can be held.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull::BatchConfig;

/// How long a request waits at the server. A worker that hangs keeps its request open, and messages go on
/// being handed to it; each comes again after another `ack_wait`. With 1 s a hung worker delays a comment by
/// 3 s at the most.
pub(super) const EXPIRES: Duration = Duration::from_secs(1);
/// Past this without a word about the request, it or the answer was lost, and another is made.
const LOST: Duration = Duration::from_secs(2);
/// After an answer that says no: the server is busy, or the consumer is just being made.
const REFUSED: Duration = Duration::from_millis(200);

/// The one request that is open, or none.
#[derive(Debug)]
pub(super) struct Pull {
    /// Messages that may be held at one time.
    limit: usize,
    /// What is still to come of the request.
    remaining: usize,
    open_until: Option<Instant>,
    not_before: Option<Instant>,
}

// === impl Pull ===

impl Pull {
    /// None is open yet.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            remaining: 0,
            open_until: None,
            not_before: None,
        }
    }

    /// Whether a request is open: something may still come of it.
    pub(super) fn open(&self) -> bool {
        self.open_until.is_some()
    }

    /// How many to ask for now. A quarter of the limit must be free: a request for one message at a time
    /// would cost as much as the message.
    pub(super) fn wants(&self, held: usize, now: Instant) -> Option<usize> {
        let free = self.limit.saturating_sub(held);
        let due = self.not_before.is_none_or(|at| now >= at);
        (!self.open() && due && free >= (self.limit / 4).max(1)).then_some(free)
    }

    /// A request for so many was sent.
    pub(super) fn asked(&mut self, batch: usize, now: Instant) {
        self.remaining = batch;
        self.open_until = Some(now + LOST);
        self.not_before = None;
    }

    /// One message came.
    pub(super) fn came(&mut self) {
        self.remaining = self.remaining.saturating_sub(1);
        if self.remaining == 0 {
            self.open_until = None;
        }
    }

    /// The server says that the request is over.
    pub(super) fn over(&mut self) {
        self.remaining = 0;
        self.open_until = None;
    }

    /// The server did not take the request.
    pub(super) fn refused(&mut self, now: Instant) {
        self.over();
        self.not_before = Some(now + REFUSED);
    }

    /// Gives up on a request of which nothing is heard.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.open_until.is_some_and(|until| now >= until) {
            self.over();
        }
    }
}

/// What is asked of the server.
pub(super) fn request(batch: usize) -> BatchConfig {
    BatchConfig {
        batch,
        expires: Some(EXPIRES),
        ..BatchConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_and_what_is_asked_for_stay_within_the_limit() {
        let now = Instant::now();
        let mut pull = Pull::new(8);
        assert_eq!(pull.wants(0, now), Some(8));
        pull.asked(8, now);
        for held in 1..8 {
            pull.came();
            assert_eq!(pull.wants(held, now), None, "one request at a time");
        }
        pull.came();
        assert_eq!(pull.wants(8, now), None, "nothing is free");
        assert_eq!(pull.wants(7, now), None, "less than a quarter is free");
        assert_eq!(pull.wants(6, now), Some(2));
    }

    #[test]
    fn a_request_ends_by_the_servers_word_or_by_its_silence() {
        let now = Instant::now();
        let mut pull = Pull::new(4);
        pull.asked(4, now);
        pull.over();
        assert_eq!(pull.wants(0, now), Some(4));
        pull.asked(4, now);
        pull.expire(now + Duration::from_millis(1_999));
        assert!(pull.open());
        pull.expire(now + Duration::from_secs(2));
        assert_eq!(pull.wants(0, now), Some(4));
        pull.asked(4, now);
        pull.refused(now);
        assert_eq!(pull.wants(0, now), None);
        assert_eq!(pull.wants(0, now + REFUSED), Some(4));
    }
}
