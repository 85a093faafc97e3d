//! One partition's records between poll and resolution, and the offset below which all are resolved.
//!
//! Promises: the watermark never passes an unresolved record, whatever order resolutions come in, and a
//! record is resolved at most once. Relies on being told of records in offset order. Offsets may have gaps
//! (compaction, transactions), so a record is found by its ticket, a dense number, not by its offset.

use std::collections::VecDeque;

use crate::planted::{Bug, planted};

/// How a record was resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// It is in the sink.
    Applied,
    /// The sink holds the same version or a newer one, or a newer change of the batch has landed.
    Superseded,
    /// It changes no document.
    Filtered,
    /// It is durably in the dead-letter topic.
    DeadLettered,
}

/// A record's number within its partition's generation, from 0 and without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The records of one generation of one partition.
#[derive(Debug)]
pub struct Watermark {
    /// Ticket of the first entry.
    base: u64,
    /// Taken and not yet below the watermark; `true` is resolved.
    window: VecDeque<(i64, bool)>,
    /// What the watermark is while the window is empty: one past the last record taken.
    next: i64,
    pending: usize,
}

/// The offset is not above the one taken before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("offset {offset} came after offset {after}")]
pub struct OutOfOrder {
    /// The offset that came.
    pub offset: i64,
    /// The lowest that was expected.
    pub after: i64,
}

// === impl Watermark ===

impl Watermark {
    /// A partition that is read from `start` on.
    pub fn new(start: i64) -> Self {
        Self {
            base: 0,
            window: VecDeque::new(),
            next: start,
            pending: 0,
        }
    }

    /// Notes that the record at `offset` was taken.
    ///
    /// # Errors
    /// [`OutOfOrder`] where a record at or past it was taken before.
    pub fn take(&mut self, offset: i64) -> Result<Ticket, OutOfOrder> {
        if offset < self.next {
            return Err(OutOfOrder {
                offset,
                after: self.next,
            });
        }
        let ticket = Ticket(self.base + self.window.len() as u64);
        self.window.push_back((offset, false));
        self.next = offset + 1;
        self.pending += 1;
        Ok(ticket)
    }

    /// Resolves a record; `false` where it was resolved before.
    pub fn resolve(&mut self, ticket: Ticket) -> bool {
        let Some(entry) = ticket
            .0
            .checked_sub(self.base)
            .and_then(|i| usize::try_from(i).ok())
            .and_then(|i| self.window.get_mut(i))
        else {
            return false;
        };
        if std::mem::replace(&mut entry.1, true) {
            return false;
        }
        self.pending -= 1;
        while let Some((_, true)) = self.window.front() {
            self.window.pop_front();
            self.base += 1;
        }
        true
    }

    /// Whether the record is taken and not resolved.
    pub fn is_pending(&self, ticket: Ticket) -> bool {
        ticket
            .0
            .checked_sub(self.base)
            .and_then(|i| usize::try_from(i).ok())
            .and_then(|i| self.window.get(i))
            .is_some_and(|e| !e.1)
    }

    /// The lowest unresolved offset, or one past the last record taken where all are resolved.
    pub fn offset(&self) -> i64 {
        if planted(Bug::GapSkip)
            && let Some((offset, _)) = self.window.iter().rev().find(|e| e.1)
        {
            return offset + 1;
        }
        self.window.front().map_or(self.next, |e| e.0)
    }

    /// One past the last record taken.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Records taken and not resolved.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Records from the watermark to the last one taken, resolved or not.
    pub fn span(&self) -> usize {
        self.window.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_later_success_does_not_pass_an_earlier_unresolved_record() {
        let mut w = Watermark::new(10);
        let a = w.take(10).unwrap();
        let b = w.take(17).unwrap();
        assert!(w.resolve(b));
        assert_eq!(w.offset(), 10);
        assert!(w.resolve(a));
        assert_eq!(w.offset(), 18);
        assert!(!w.resolve(a));
    }

    #[test]
    fn an_offset_that_steps_back_is_refused() {
        let mut w = Watermark::new(5);
        assert_eq!(
            w.take(4),
            Err(OutOfOrder {
                offset: 4,
                after: 5
            })
        );
        w.take(5).unwrap();
        assert!(w.take(5).is_err());
    }

    proptest! {
        #[test]
        fn the_watermark_is_the_lowest_unresolved_offset_in_any_order_of_resolution(
            gaps in prop::collection::vec(1i64..5, 1..200),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..400),
            start in 0i64..1000,
        ) {
            let mut w = Watermark::new(start);
            let mut model: Vec<(i64, Ticket, bool)> = Vec::new();
            let mut gaps = gaps.into_iter();
            let mut offset = start - 1;
            // takes and resolutions interleave: each step resolves one, then takes one
            for pick in order {
                if let Some(gap) = gaps.next() {
                    offset += gap;
                    model.push((offset, w.take(offset).unwrap(), false));
                }
                let i = pick.index(model.len().max(1));
                if let Some(entry) = model.get_mut(i) {
                    prop_assert_eq!(w.resolve(entry.1), !entry.2);
                    entry.2 = true;
                }
                let expected = model.iter().find(|e| !e.2).map_or(offset.max(start - 1) + 1, |e| e.0);
                prop_assert_eq!(w.offset(), expected);
                prop_assert_eq!(w.pending(), model.iter().filter(|e| !e.2).count());
                for e in &model {
                    prop_assert_eq!(w.is_pending(e.1), !e.2);
                }
            }
        }
    }
}
