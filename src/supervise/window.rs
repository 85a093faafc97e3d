//! How often a child may fail: the whole policy of giving up, without clock, actor or task.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Failures of the last while.
#[derive(Debug)]
pub(super) struct Window {
    most: u32,
    within: Duration,
    recent: VecDeque<Instant>,
}

// === impl Window ===

impl Window {
    /// At most `most` failures within `within`.
    pub(super) fn new(most: u32, within: Duration) -> Self {
        Self {
            most,
            within,
            recent: VecDeque::new(),
        }
    }

    /// Notes a failure; `Err` with how many there were where that was one too many.
    pub(super) fn note(&mut self, now: Instant) -> Result<(), usize> {
        self.recent.push_back(now);
        while self
            .recent
            .front()
            .is_some_and(|t| now.saturating_duration_since(*t) > self.within)
        {
            self.recent.pop_front();
        }
        if self.recent.len() > self.most as usize {
            Err(self.recent.len())
        } else {
            Ok(())
        }
    }

    /// Forgets them: the supervisor itself was made anew.
    pub(super) fn clear(&mut self) {
        self.recent.clear();
    }

    pub(super) fn within(&self) -> Duration {
        self.within
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_failure_is_one_too_many_exactly_where_more_than_allowed_lie_within_the_window(
            most in 0u32..6,
            within in 1u64..2_000,
            gaps in prop::collection::vec(0u64..1_500, 1..60),
        ) {
            let mut w = Window::new(most, Duration::from_millis(within));
            let start = Instant::now();
            let mut at = 0;
            let mut all = Vec::new();
            for gap in gaps {
                at += gap;
                all.push(at);
                let lately = all.iter().filter(|t| at - **t <= within).count();
                let answer = w.note(start + Duration::from_millis(at));
                prop_assert_eq!(answer.is_err(), lately > most as usize);
                if let Err(n) = answer {
                    prop_assert_eq!(n, lately);
                }
                prop_assert!(w.recent.len() <= all.len());
            }
        }
    }
}
