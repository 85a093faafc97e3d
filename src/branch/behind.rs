//! For how long a partition has had records that are not resolved.
//!
//! A record's age is known only once it was decoded, so a lane that takes none would not know how late it is. What
//! is known without taking any is the log's end: it is looked at once a second, and a record existed at the first
//! look that found the end past it. Promises: the time is never longer than the oldest unresolved record has been in
//! the log, and shorter by at most the time between two looks, and by what the log held before the first; an idle
//! partition is not behind.
//!
//! The end of a log that transactions were written to is a marker of theirs, which no consumer is given. So that
//! such a log does not count as unread for ever, the consumer's word that it has reached the end settles what was
//! looked at before.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Looks that are remembered. When there are more, every second is forgotten: a log that grew for an hour unread
/// is told from its oldest record, and its younger ones are known to a minute.
const LOOKS: usize = 128;

/// What was seen of one partition's log.
#[derive(Debug, Default)]
pub struct Behind {
    looks: VecDeque<Look>,
    /// When the end was last asked for with an answer.
    asked: Option<Instant>,
    /// The consumer reached the end: the next offset that it would take, and when.
    reached: Option<(i64, Instant)>,
}

/// The first look that found the log so long.
#[derive(Debug, Clone, Copy)]
struct Look {
    end: i64,
    at: Instant,
    /// The look before it, when the log was shorter.
    after: Instant,
}

// === impl Behind ===

impl Behind {
    /// The log's end was `end` at `now`.
    pub fn saw(&mut self, end: i64, now: Instant) {
        let before = self.asked.replace(now);
        match self.looks.back() {
            Some(last) if last.end == end => return,
            // Made anew, or cut: what was known is of another log.
            Some(last) if last.end > end => self.looks.clear(),
            Some(_) | None => {}
        }
        let after = before.unwrap_or(now);
        self.looks.push_back(Look {
            end,
            at: now,
            after,
        });
        if self.looks.len() > LOOKS {
            let mut keep = false;
            self.looks.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    /// The consumer has reached the end of the log, and would take `next` next.
    pub fn reached_end(&mut self, next: i64, now: Instant) {
        self.reached = Some((next, now));
    }

    /// For how long the record at `watermark`, the lowest unresolved, has been in the log; `None` where the log holds
    /// none.
    pub fn waits(&self, watermark: i64, now: Instant) -> Option<Duration> {
        let settled = |look: &Look| {
            self.reached
                .is_some_and(|(next, at)| watermark >= next && look.after <= at)
        };
        let unread = self
            .looks
            .iter()
            .find(|l| l.end > watermark && !settled(l))?;
        Some(now.saturating_duration_since(unread.at))
    }

    /// When the log's end was last known.
    pub fn asked(&self) -> Option<Instant> {
        self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn seen(ends: &[i64]) -> (Behind, Instant) {
        let (mut behind, mut now) = (Behind::default(), Instant::now());
        for end in ends {
            behind.saw(*end, now);
            now += SECOND;
        }
        (behind, now - SECOND)
    }

    #[test]
    fn an_idle_partition_is_not_behind_however_long_it_idles() {
        let (behind, now) = seen(&[7; 500]);
        assert_eq!(behind.waits(7, now + 1_000 * SECOND), None);
    }

    #[test]
    fn what_is_not_read_grows_older_with_the_clock_whether_the_log_grows_or_not() {
        let (behind, now) = seen(&[7, 7, 8, 8, 8]);
        assert_eq!(behind.waits(7, now), Some(2 * SECOND));
        let (behind, now) = seen(&[7, 8, 9, 10, 11]);
        assert_eq!(behind.waits(7, now), Some(3 * SECOND));
        assert_eq!(behind.waits(7, now + 60 * SECOND), Some(63 * SECOND));
        // what was read since is forgotten
        assert_eq!(behind.waits(9, now), Some(SECOND));
        assert_eq!(behind.waits(11, now), None);
    }

    #[test]
    fn a_long_stay_is_told_from_its_first_record_in_bounded_memory() {
        let ends: Vec<i64> = (0..5_000).collect();
        let (behind, now) = seen(&ends);
        assert!(behind.looks.len() <= LOOKS);
        assert_eq!(behind.waits(-1, now), Some(4_999 * SECOND));
        let half = behind.waits(2_500, now).unwrap();
        assert!(half <= 2_499 * SECOND && half >= 2_300 * SECOND, "{half:?}");
    }

    #[test]
    fn a_marker_behind_the_last_record_is_nothing_to_read() {
        let (mut behind, now) = seen(&[7, 7, 9]);
        assert_eq!(behind.waits(8, now), Some(Duration::ZERO));
        behind.reached_end(8, now);
        assert_eq!(behind.waits(8, now + 9 * SECOND), None);
        // a record that came later is one, also where the consumer is never given it
        behind.saw(9, now + SECOND);
        behind.saw(10, now + 2 * SECOND);
        assert_eq!(behind.waits(8, now + 9 * SECOND), Some(7 * SECOND));
        // and what was read again is unread
        assert!(behind.waits(6, now).is_some());
    }

    #[test]
    fn a_log_that_was_made_anew_begins_anew() {
        let (mut behind, now) = seen(&[7, 9]);
        behind.saw(3, now + SECOND);
        assert_eq!(behind.waits(3, now + SECOND), None);
        assert_eq!(behind.waits(0, now + 2 * SECOND), Some(SECOND));
        assert_eq!(behind.asked(), Some(now + SECOND));
    }
}
