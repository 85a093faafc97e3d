//! For how long a partition has had records that are not resolved.
//!
//! A record's age is known only once it was decoded, so a lane that takes none would not know how late it is. What
//! is known without taking any is the log's end: it is looked at once a second, and a record existed at the first
//! look that found the end past it. Promises: the time is never longer than the oldest unresolved record has been in
//! the log, and shorter by at most the time between two looks (in a long backlog by more, see `LOOKS`) and by what the
//! log held before the first; what a rewind makes unread again counts from the rewind. An idle partition is not behind.
//!
//! The end of a log that transactions were written to is a marker of theirs, which no consumer is given. So that
//! such a log does not count as unread for ever, the consumer's word that it has reached the end settles what was
//! looked at before.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Looks that are remembered. When there are more, every second is forgotten, and from then on they are twice as far
/// apart: of a backlog of an hour, ages are known to a minute, and that of its oldest record exactly.
const LOOKS: usize = 128;

/// How far apart looks are kept once there are too many: twice what lies between two of them.
const FIRST_STEP: Duration = Duration::from_secs(2);

/// What was seen of one partition's log.
#[derive(Debug, Default)]
pub struct Behind {
    /// Those that found records which were not resolved when the log was last looked at.
    looks: VecDeque<Look>,
    /// How far apart they are, at least.
    step: Duration,
    /// The log's end, and when it was last asked for with an answer.
    end: i64,
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
    /// The log's end was `end` at `now`, and the lowest unresolved offset `watermark`.
    pub fn saw(&mut self, end: i64, watermark: i64, now: Instant) {
        let before = self.asked.replace(now);
        let known = std::mem::replace(&mut self.end, end);
        if end < known {
            // Made anew, or cut: what was known is of another log.
            self.looks.clear();
        }
        while self.looks.front().is_some_and(|l| l.end <= watermark) {
            self.looks.pop_front();
        }
        if self.looks.is_empty() {
            self.step = Duration::ZERO;
        }
        // What is read again after a rewind counts from there.
        let anew = self.looks.is_empty() && watermark < end;
        if before.is_some() && end == known && !anew {
            return;
        }
        let mut look = Look {
            end,
            at: now,
            after: before.unwrap_or(now),
        };
        // The last one gives way to this one where it stands too close to the one before; never the first.
        let last = self.looks.len().wrapping_sub(1);
        if let (Some(one), Some(other)) = (self.looks.get(last.wrapping_sub(1)), self.looks.back())
            && self.looks.len() > 1
            && other.at.saturating_duration_since(one.at) < self.step
        {
            look.after = other.after;
            self.looks.pop_back();
        }
        self.looks.push_back(look);
        if self.looks.len() > LOOKS {
            let mut keep = false;
            self.looks.retain(|_| {
                keep = !keep;
                keep
            });
            self.step = (self.step * 2).max(FIRST_STEP);
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
            behind.saw(*end, -1, now);
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
        assert!(half <= 2_499 * SECOND && half >= 2_370 * SECOND, "{half:?}");
    }

    #[test]
    fn a_lane_that_keeps_up_remembers_next_to_nothing_and_is_told_to_the_second() {
        let (mut behind, mut now) = (Behind::default(), Instant::now());
        for end in 0..5_000 {
            behind.saw(end, end - 3, now);
            assert!(behind.looks.len() <= 4);
            now += SECOND;
        }
        assert_eq!(behind.waits(4_997, now - SECOND), Some(SECOND));
        assert_eq!(behind.waits(4_999, now), None);
    }

    #[test]
    fn what_is_read_again_is_unread_also_where_the_log_does_not_grow() {
        let (mut behind, now) = (Behind::default(), Instant::now());
        for s in 0..5 {
            behind.saw(9, 9, now + s * SECOND);
        }
        assert_eq!(behind.waits(9, now + 5 * SECOND), None);
        behind.saw(9, 4, now + 5 * SECOND);
        assert_eq!(behind.waits(4, now + 7 * SECOND), Some(2 * SECOND));
        behind.saw(9, 9, now + 8 * SECOND);
        assert_eq!(behind.waits(9, now + 8 * SECOND), None);
    }

    #[test]
    fn a_marker_behind_the_last_record_is_nothing_to_read() {
        let (mut behind, now) = seen(&[7, 7, 9]);
        assert_eq!(behind.waits(8, now), Some(Duration::ZERO));
        behind.reached_end(8, now);
        assert_eq!(behind.waits(8, now + 9 * SECOND), None);
        // a record that came later is one, also where the consumer is never given it
        behind.saw(9, 8, now + SECOND);
        behind.saw(10, 8, now + 2 * SECOND);
        assert_eq!(behind.waits(8, now + 9 * SECOND), Some(7 * SECOND));
        // and what was read again is unread
        assert!(behind.waits(6, now).is_some());
    }

    #[test]
    fn a_log_that_was_made_anew_begins_anew() {
        let (mut behind, now) = seen(&[7, 9]);
        behind.saw(3, -1, now + SECOND);
        assert_eq!(behind.waits(3, now + SECOND), None);
        assert_eq!(behind.waits(0, now + 2 * SECOND), Some(SECOND));
        assert_eq!(behind.asked(), Some(now + SECOND));
    }
}
