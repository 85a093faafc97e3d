//! Writes that fail by themselves while others pass: which of a job's they are, and for how long.
//!
//! A document that its server does not take although it takes others is to hold up nobody, and is a dead letter one day;
//! while the server as a whole fails, nothing may become one. What passes beside it in the same request tells the two
//! apart, and where nothing does, what the branch does otherwise.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use crate::sink::Failure;

/// Those of one job, by their numbers in its batch.
#[derive(Debug, Default)]
pub(super) struct Alone(HashMap<u32, Known>);

#[derive(Debug)]
struct Known {
    since: Instant,
    /// What the sink called it.
    kind: Box<str>,
    /// Records that the branch had resolved when it was last tried.
    resolved: u64,
}

// === impl Alone ===

impl Alone {
    /// Whether a write is one of them.
    pub(super) fn has(&self, write: u32) -> bool {
        self.0.contains_key(&write)
    }

    /// Notes that a write has failed: for how long it has while others passed, where this failure is one of that kind.
    /// `passed` says whether anything of the same request did, `resolved` how many records the branch has resolved so far.
    pub(super) fn failed(
        &mut self,
        write: u32,
        failure: &Failure,
        passed: bool,
        resolved: u64,
    ) -> Option<Duration> {
        match self.0.entry(write) {
            Entry::Occupied(mut known) => {
                if !(failure.alone || (!passed && known.get().kind == failure.kind)) {
                    known.remove();
                    return None;
                }
                let known = known.get_mut();
                let passes = passed || resolved > known.resolved;
                known.resolved = resolved;
                passes.then(|| known.since.elapsed())
            }
            Entry::Vacant(new) if failure.alone => {
                new.insert(Known {
                    since: Instant::now(),
                    kind: failure.kind.clone(),
                    resolved,
                });
                Some(Duration::ZERO)
            }
            Entry::Vacant(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: &str, alone: bool) -> Failure {
        Failure {
            kind: kind.into(),
            detail: Box::default(),
            alone,
            alarm: false,
        }
    }

    #[test]
    fn what_fails_among_those_that_pass_has_a_time_from_the_first_failure_on() {
        let mut alone = Alone::default();
        let own = failure("own", true);
        assert_eq!(alone.failed(7, &own, true, 0), Some(Duration::ZERO));
        assert!(alone.has(7) && !alone.has(8));
        std::thread::sleep(Duration::from_millis(2));
        let later = alone.failed(7, &own, true, 0);
        assert!(later.is_some_and(|t| t >= Duration::from_millis(2)));
    }

    #[test]
    fn where_nothing_of_a_request_passes_the_time_counts_only_while_the_branch_resolves_others() {
        let mut alone = Alone::default();
        let own = failure("own", true);
        assert_eq!(alone.failed(7, &own, false, 10), Some(Duration::ZERO));
        assert_eq!(alone.failed(7, &own, false, 10), None);
        assert!(alone.failed(7, &own, false, 11).is_some());
        assert_eq!(alone.failed(7, &own, false, 11), None);
        // The sink may not say again that it is this write's own.
        assert!(alone.failed(7, &failure("own", false), false, 12).is_some());
        assert!(alone.has(7));
    }

    #[test]
    fn a_failure_of_another_kind_is_the_servers() {
        let mut alone = Alone::default();
        assert_eq!(alone.failed(7, &failure("busy", false), true, 0), None);
        assert!(!alone.has(7));
        alone.failed(7, &failure("own", true), true, 0);
        assert_eq!(alone.failed(7, &failure("busy", false), false, 1), None);
        assert!(!alone.has(7));
    }
}
