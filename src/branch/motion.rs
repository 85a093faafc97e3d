//! Whether a branch that runs also moves: an actor that is alive, polls and waits in order may still resolve nothing,
//! since its sink takes nothing or its partitions are given no records.

use std::time::{Duration, Instant};

/// How a branch has moved.
#[derive(Debug, Default)]
pub struct Motion {
    resolved: u64,
    /// Since when there has been something to resolve and nothing was.
    since: Option<Instant>,
    alarm: bool,
}

/// What a look found new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It has stood for so long that it is an alarm.
    Stuck(Duration),
    /// It has moved again, or has nothing to do, after standing for so long.
    Moves(Duration),
}

// === impl Motion ===

impl Motion {
    /// Looks at a branch that has resolved `resolved` records so far and, where `busy`, runs and has more to resolve.
    /// Standing for `limit` is an alarm.
    pub fn look(
        &mut self,
        busy: bool,
        resolved: u64,
        now: Instant,
        limit: Duration,
    ) -> Option<Turn> {
        let stood = self.stands(now);
        let moved = std::mem::replace(&mut self.resolved, resolved) != resolved;
        if !busy || moved {
            self.since = busy.then_some(now);
            return std::mem::take(&mut self.alarm)
                .then_some(Turn::Moves(stood.unwrap_or_default()));
        }
        self.since.get_or_insert(now);
        let stands = stood.filter(|stood| *stood >= limit && !self.alarm)?;
        self.alarm = true;
        Some(Turn::Stuck(stands))
    }

    /// For how long nothing was resolved although there was something to resolve.
    fn stands(&self, now: Instant) -> Option<Duration> {
        self.since.map(|since| now.saturating_duration_since(since))
    }

    /// The same, once it is an alarm.
    pub fn stuck(&self, now: Instant) -> Option<Duration> {
        self.stands(now).filter(|_| self.alarm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMIT: Duration = Duration::from_secs(3);

    #[test]
    fn work_that_does_not_move_is_one_alarm_which_ends_once() {
        let (mut m, now) = (Motion::default(), Instant::now());
        let at = |s: u32| now + s * SECOND;
        assert_eq!(m.look(true, 5, at(0), LIMIT), None);
        assert_eq!(m.look(true, 5, at(2), LIMIT), None);
        assert_eq!(m.stuck(at(2)), None);
        assert_eq!(m.look(true, 5, at(3), LIMIT), Some(Turn::Stuck(LIMIT)));
        assert_eq!(m.look(true, 5, at(4), LIMIT), None);
        assert_eq!(m.stuck(at(9)), Some(9 * SECOND));
        assert_eq!(
            m.look(true, 6, at(10), LIMIT),
            Some(Turn::Moves(10 * SECOND))
        );
        assert_eq!(m.look(true, 7, at(11), LIMIT), None);
        assert_eq!(m.stuck(at(11)), None);
    }

    #[test]
    fn a_branch_with_nothing_to_do_never_stands() {
        let (mut m, now) = (Motion::default(), Instant::now());
        for s in 0..100 {
            assert_eq!(m.look(false, 5, now + s * SECOND, LIMIT), None);
        }
        assert_eq!(m.look(true, 5, now + 100 * SECOND, LIMIT), None);
        assert_eq!(m.look(true, 5, now + 102 * SECOND, LIMIT), None);
        assert_eq!(
            m.look(true, 5, now + 103 * SECOND, LIMIT),
            Some(Turn::Stuck(LIMIT))
        );
        // it was halted meanwhile: that is another alarm
        assert_eq!(
            m.look(false, 5, now + 104 * SECOND, LIMIT),
            Some(Turn::Moves(4 * SECOND))
        );
    }

    #[test]
    fn each_record_that_is_resolved_begins_the_wait_anew() {
        let (mut m, now) = (Motion::default(), Instant::now());
        for s in 0..100 {
            assert_eq!(
                m.look(true, u64::from(s / 2), now + s * SECOND, LIMIT),
                None
            );
        }
    }
}
