//! What a viewer has not taken yet: bounded in bytes, with a policy for what does not fit.
//!
//! Promises: of what is pushed each unit is either written or shed, and counted as such once; a message that was begun
//! is never shed before the socket is given up. The order of what is written is the order of what was pushed, but that
//! a newer total takes the place of one that waits. Whoever missed something is told before the next message.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::frame::Batch;
use super::tally::{Class, Tally};
use super::wire;

/// What may wait beyond the limit so that recalls, answers and notifications find room: some sixty answers.
const RESERVE: usize = 16 << 10;
/// A queue that was long gives its memory back.
const KEPT: usize = 16;

/// What waits for one viewer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    /// How much of the first item is written.
    written: usize,
    missed: Missed,
    /// What the first item says, where it is a mark of what was missed.
    mark: Option<Missed>,
}

/// A message that waits.
#[derive(Debug)]
pub(super) struct Item {
    pub class: Class,
    pub units: u32,
    pub bytes: Bytes,
}

/// What was shed since the viewer was last told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Missed {
    pub comments: u32,
    pub likes: u32,
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For one viewer, in bytes.
    pub one: usize,
    /// For all of them.
    pub all: usize,
}

/// The viewer does not take even what is never shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooSlow;

// === impl Queue ===

impl Queue {
    /// Whether the next message may go to the socket at once.
    pub(super) fn is_clear(&self) -> bool {
        self.items.is_empty() && self.missed == Missed::default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a message, or sheds it or an older one. The caller has counted it as sent.
    pub(super) fn push(
        &mut self,
        item: Item,
        limits: Limits,
        tally: &Tally,
    ) -> Result<(), TooSlow> {
        let len = item.bytes.len();
        match item.class {
            Class::Like => {
                let begun = usize::from(self.written > 0);
                let older = self
                    .items
                    .iter()
                    .skip(begun)
                    .position(|i| i.class == Class::Like);
                if let Some(older) = older {
                    self.remove(older + begun, tally);
                }
                // Half is for comments: totals heal by themselves.
                if !self.fits(
                    len,
                    Limits {
                        one: limits.one / 2,
                        ..limits
                    },
                    tally,
                ) {
                    self.shed(&item, tally);
                    return Ok(());
                }
            }
            Class::Comment => {
                while !self.fits(len, limits, tally) {
                    if !self.drop_oldest(tally) {
                        self.shed(&item, tally);
                        return Ok(());
                    }
                }
            }
            Class::Recall | Class::Notification | Class::Answer => {
                while !self.fits(len, limits, tally) && self.drop_oldest(tally) {}
                if self.bytes + len > limits.one + RESERVE {
                    tally.shed(item.class, item.units);
                    return Err(TooSlow);
                }
            }
        }
        self.bytes += len;
        tally.queued.fetch_add(len, Ordering::Relaxed);
        self.items.push_back(item);
        Ok(())
    }

    /// Takes what is left of a message whose first `written` bytes are written.
    pub(super) fn begin_with(&mut self, item: Item, written: usize, tally: &Tally) {
        debug_assert!(self.items.is_empty() && written < item.bytes.len());
        self.bytes += item.bytes.len();
        tally.queued.fetch_add(item.bytes.len(), Ordering::Relaxed);
        self.items.push_back(item);
        self.written = written;
    }

    /// What is to be written next. A mark of what was missed comes before the next message.
    pub(super) fn next(&mut self, tally: &Tally) -> Option<Bytes> {
        if self.written == 0 && self.missed != Missed::default() && !self.items.is_empty() {
            let mut missed = std::mem::take(&mut self.missed);
            match self.mark {
                // One that waits says what was missed since as well: marks do not pile up before a full socket.
                Some(before) => {
                    missed.comments += before.comments;
                    missed.likes += before.likes;
                    self.forget(0, tally);
                }
                None => tally.sent(Class::Answer, 1),
            }
            self.mark = Some(missed);
            let mark = Batch::one(Class::Answer, 1, 0, &wire::missed(missed));
            let bytes = mark.bytes().clone();
            self.bytes += bytes.len();
            tally.queued.fetch_add(bytes.len(), Ordering::Relaxed);
            self.items.push_front(Item {
                class: Class::Answer,
                units: 1,
                bytes,
            });
        }
        let first = self.items.front()?;
        Some(first.bytes.slice(self.written..))
    }

    /// So many bytes of it were written.
    pub(super) fn wrote(&mut self, n: usize, tally: &Tally) {
        self.written += n;
        let Some(first) = self.items.front() else {
            return;
        };
        if self.written < first.bytes.len() {
            return;
        }
        tally.delivered(first.class, first.units);
        self.forget(0, tally);
        self.written = 0;
        self.mark = None;
        if self.items.is_empty() && self.items.capacity() > KEPT {
            self.items = VecDeque::new();
        }
    }

    /// Sheds everything that was not begun.
    pub(super) fn clear(&mut self, tally: &Tally) {
        let begun = usize::from(self.written > 0);
        while self.items.len() > begun {
            self.remove(self.items.len() - 1, tally);
        }
        if begun == 0 {
            self.mark = None;
        }
    }

    /// Sheds everything: the socket is given up.
    pub(super) fn abandon(&mut self, tally: &Tally) {
        self.written = 0;
        self.clear(tally);
    }

    fn fits(&self, len: usize, limits: Limits, tally: &Tally) -> bool {
        // A viewer for whom nothing waits gets a message through, however little memory is left.
        let all = tally.queued.load(Ordering::Relaxed) + len <= limits.all;
        self.bytes + len <= limits.one && (all || self.items.is_empty())
    }

    /// The oldest total goes first, then the oldest comments.
    fn drop_oldest(&mut self, tally: &Tally) -> bool {
        let begun = usize::from(self.written > 0);
        let oldest = |class: Class| {
            let mut waiting = self.items.iter().enumerate().skip(begun);
            waiting.find(|(_, i)| i.class == class).map(|(at, _)| at)
        };
        let Some(at) = oldest(Class::Like).or_else(|| oldest(Class::Comment)) else {
            return false;
        };
        self.remove(at, tally);
        true
    }

    /// Sheds a message that waits.
    fn remove(&mut self, at: usize, tally: &Tally) {
        if let Some(item) = self.forget(at, tally) {
            self.shed(&item, tally);
        }
    }

    fn forget(&mut self, at: usize, tally: &Tally) -> Option<Item> {
        let item = self.items.remove(at)?;
        self.bytes -= item.bytes.len();
        tally.queued.fetch_sub(item.bytes.len(), Ordering::Relaxed);
        Some(item)
    }

    fn shed(&mut self, item: &Item, tally: &Tally) {
        tally.shed(item.class, item.units);
        match item.class {
            Class::Comment => self.missed.comments += item.units,
            Class::Like => self.missed.likes += item.units,
            Class::Recall | Class::Notification | Class::Answer => {}
        }
    }
}

#[cfg(test)]
mod tests;
