//! Who may open partitions and take records: one poller at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::watermark::OutOfOrder;
use super::{Claim, Ledger};
use crate::event::Position;

/// The right to open partitions and take records, until the next one is given out. Dropped, it ends every
/// generation.
#[derive(Debug)]
pub struct Lease {
    pub(super) ledger: Arc<Ledger>,
    pub(super) number: u64,
}

// === impl Lease ===

impl Lease {
    /// Its number; later ones are higher.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether it is good.
    pub fn holds(&self) -> bool {
        let _all = self.ledger.lock();
        self.is_good()
    }

    /// As [`Ledger::open`].
    pub fn open(&self, partition: i32, start: i64) {
        let mut all = self.ledger.lock();
        if self.is_good() {
            self.ledger.open_in(&mut all, partition, start);
        }
    }

    /// As [`Ledger::close`].
    pub fn close(&self, partition: i32) {
        let mut all = self.ledger.lock();
        if self.is_good()
            && let Some(p) = all.get_mut(&partition)
        {
            self.ledger.end_generation(p);
        }
        self.ledger.resolved.notify_all();
    }

    /// As [`Ledger::rewind`].
    pub fn rewind(&self, partition: i32) -> Option<i64> {
        let mut all = self.ledger.lock();
        if !self.is_good() {
            return None;
        }
        self.ledger.rewind_in(&mut all, partition)
    }

    /// As [`Ledger::take`].
    ///
    /// # Errors
    /// As [`Ledger::take`].
    pub fn take(&self, position: Position) -> Result<Option<Claim>, OutOfOrder> {
        let mut all = self.ledger.lock();
        if !self.is_good() {
            return Ok(None);
        }
        self.ledger.take_in(&mut all, position)
    }

    /// To be asked with the partitions locked.
    fn is_good(&self) -> bool {
        self.ledger.leased.load(Ordering::Relaxed) == self.number
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut all = self.ledger.lock();
        if self.is_good() {
            for p in all.values_mut() {
                self.ledger.end_generation(p);
            }
        }
        drop(all);
        self.ledger.resolved.notify_all();
    }
}
