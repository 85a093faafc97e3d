//! The generic cell rate algorithm: one number a key says how fast it may go on.
//!
//! ITU-T I.371's virtual scheduling, with the tolerance given as a burst: of `burst` at once all pass, and then
//! one each `every`. What is refused is not charged. `limits.lua` does the same sums on the server's clock.

use crate::config::RateSpec;

/// A rate, in whole microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// Between two of a steady stream, rounded up: never more than the rate says.
    pub(super) every: i64,
    /// At once.
    pub(super) burst: i64,
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It passes.
    Passes {
        /// The key's new number: when its account is empty again.
        at: i64,
        /// How many more would pass at once.
        left: i64,
    },
    /// It is too early, by so many microseconds.
    Waits(i64),
}

// === impl Gcra ===

impl Gcra {
    pub(crate) fn of(rate: RateSpec) -> Self {
        let per = i64::try_from(rate.per.as_micros()).unwrap_or(i64::MAX / 2);
        let count = i64::from(rate.count.max(1));
        Self {
            every: (per.saturating_add(count - 1) / count).max(1),
            burst: i64::from(rate.burst.max(1)),
        }
    }

    /// Asks for one at `now`, with the key's number as it was left, or 0.
    pub(super) fn ask(self, at: i64, now: i64) -> Answer {
        self.ask_for(1, at, now)
    }

    /// Asks for `n` that pass together or not at all. More than the burst never do.
    pub(crate) fn ask_for(self, n: u32, at: i64, now: i64) -> Answer {
        let most = self.every.saturating_mul(self.burst);
        // A number beyond what this rate can have made is of another rate, or of a clock that went back.
        let at = at.clamp(now, now.saturating_add(most));
        let after = at.saturating_add(self.every.saturating_mul(i64::from(n)));
        let used = after - now;
        if used > most {
            return Answer::Waits(used - most);
        }
        Answer::Passes {
            at: after,
            left: (most - used) / self.every,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn gcra(count: u32, per_ms: u64, burst: u32) -> Gcra {
        Gcra::of(RateSpec {
            count,
            per: Duration::from_millis(per_ms),
            burst,
        })
    }

    #[test]
    fn a_burst_passes_and_then_an_even_stream() {
        let rate = gcra(2, 1_000, 3);
        let (mut at, mut passed) = (0, Vec::new());
        for ms in (0..3_000).step_by(100) {
            if let Answer::Passes { at: next, .. } = rate.ask(at, ms * 1_000) {
                at = next;
                passed.push(ms);
            }
        }
        assert_eq!(passed[..3], [0, 100, 200]);
        // Three at once and two a second: 3 + 2 × 2.9 s.
        assert_eq!(passed.len(), 3 + 5, "{passed:?}");
    }

    #[test]
    fn several_pass_together_or_not_at_all() {
        let rate = gcra(2, 1_000, 4);
        let Answer::Passes { at, left } = rate.ask_for(3, 0, 0) else {
            panic!("three of four");
        };
        assert_eq!(left, 1);
        assert_eq!(rate.ask_for(2, at, 0), Answer::Waits(500_000));
        assert!(matches!(
            rate.ask_for(2, at, 500_000),
            Answer::Passes { .. }
        ));
        assert!(matches!(rate.ask_for(5, 0, i64::MAX / 4), Answer::Waits(_)));
    }

    #[test]
    fn a_number_of_another_rate_blocks_no_longer_than_this_one() {
        let rate = gcra(1, 1_000, 1);
        assert_eq!(rate.ask(i64::MAX, 0), Answer::Waits(1_000_000));
    }

    proptest! {
        /// Against the definition: whatever is asked, in no stretch of time do more pass than the burst and the
        /// rate allow, and what waited the time that it was told passes.
        #[test]
        fn no_stretch_has_more_than_burst_and_rate(
            count in 1_u32..20, per in 1_u64..5_000, burst in 1_u32..20,
            gaps in proptest::collection::vec(0_i64..2_000_000, 1..200),
        ) {
            let rate = gcra(count, per, burst);
            let (mut at, mut now, mut passed) = (0, 1, Vec::new());
            for gap in gaps {
                now += gap;
                match rate.ask(at, now) {
                    Answer::Passes { at: next, left } => {
                        prop_assert!((0..rate.burst).contains(&left));
                        at = next;
                        passed.push(now);
                    }
                    Answer::Waits(wait) => {
                        prop_assert!(wait > 0);
                        let later = rate.ask(at, now + wait);
                        prop_assert!(matches!(later, Answer::Passes { .. }), "{:?}", later);
                        let early = rate.ask(at, now + wait - 1);
                        prop_assert!(matches!(early, Answer::Waits(_)), "{:?}", early);
                    }
                }
            }
            for (i, from) in passed.iter().enumerate() {
                for (j, to) in passed.iter().enumerate().skip(i) {
                    let most = rate.burst + (to - from) / rate.every;
                    let n = i64::try_from(j - i).unwrap() + 1;
                    prop_assert!(n <= most, "{} from {} to {}", n, from, to);
                }
            }
        }
    }
}
