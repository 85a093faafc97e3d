//! How fast counters grow, over the last seconds, so that whoever looks once sees a rate as well.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::view::{BranchView, Subject};
use crate::ops::LiveView;

/// How often they are looked at.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// Over how many looks a rate is.
const LOOKS: usize = 10;

/// The last looks at each counter.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<BTreeMap<String, VecDeque<(Instant, u64)>>>);

// === impl Rates ===

impl Rates {
    /// Looks at everything that has a rate. What is not there any more is forgotten.
    pub(super) fn look(&self, subject: &dyn Subject) {
        let now = Instant::now();
        let mut counters = Vec::new();
        for branch in subject.branches().iter().flatten() {
            counters.extend(of_branch(branch));
        }
        if let Some(live) = subject.live() {
            counters.extend(of_live(&live));
        }
        let mut all = self.lock();
        let mut looks = std::mem::take(&mut *all);
        for (name, value) in counters {
            let mut last = looks.remove(&name).unwrap_or_default();
            // A counter that fell is another one.
            if last.back().is_some_and(|(_, before)| *before > value) {
                last.clear();
            }
            if last.len() > LOOKS {
                last.pop_front();
            }
            last.push_back((now, value));
            all.insert(name, last);
        }
    }

    /// How much a counter grows in a second; `None` before two looks.
    pub(super) fn of(&self, name: &str) -> Option<f64> {
        let all = self.lock();
        let looks = all.get(name)?;
        let ((from, first), (to, last)) = (looks.front()?, looks.back()?);
        let seconds = to.duration_since(*from).as_secs_f64();
        (seconds > 0.0).then(|| ((last - first) as f64 / seconds * 10.0).round() / 10.0)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, VecDeque<(Instant, u64)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_branch(b: &BranchView) -> [(String, u64); 3] {
    let r = &b.records;
    let resolved = r.applied + r.superseded + r.filtered + r.dead_lettered;
    [
        (format!("records {}", b.group), resolved),
        (format!("retries {}", b.group), b.retried),
        (format!("dead letters {}", b.group), r.dead_lettered),
    ]
}

fn of_live(live: &LiveView) -> impl Iterator<Item = (String, u64)> {
    let classes = live.classes.iter();
    let classes = classes.map(|c| (format!("class {}", c.class), c.counts.received));
    let rooms = live.rooms.iter().flat_map(|r| {
        [
            (format!("comments {}", r.room), r.accepted),
            (format!("likes {}", r.room), r.likes),
        ]
    });
    classes.chain(rooms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_over_the_last_looks_and_a_counter_that_fell_begins_anew() {
        let rates = Rates::default();
        let from = Instant::now();
        let at = |seconds| from + Duration::from_secs(seconds);
        let put = |looks: &[(u64, u64)]| {
            let looks = looks.iter().map(|(s, n)| (at(*s), *n)).collect();
            rates.lock().insert("a".into(), looks);
        };
        assert_eq!(rates.of("a"), None);
        put(&[(0, 5)]);
        assert_eq!(rates.of("a"), None);
        put(&[(0, 5), (1, 15), (2, 30)]);
        assert_eq!(rates.of("a"), Some(12.5));
    }
}
