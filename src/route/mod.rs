//! Which worker a record goes to: one key, one worker, so that changes of one document meet in one batch
//! and are coalesced there. Correctness does not rest on it; the versions carry that.

mod chunk;

pub use chunk::{Chunk, Deliver, RECORD_OVERHEAD, Spare};

use std::hash::Hasher as _;
use std::sync::Arc;

use actix::prelude::SendError;

use crate::commit::{Claim, Ledger};
use crate::source::Budget;
use crate::supervise::Post;

/// Records in a chunk at the most. Past some hundreds the cost of a message no longer shows.
const CHUNK_RECORDS: usize = 500;
/// Bytes in a chunk at the most, unless one record is larger: a small part of the default budget, so that
/// memory comes back in small steps.
const CHUNK_BYTES: usize = 256 * 1024;
/// What a full chunk's arena may take: a chunk is full once it is past [`CHUNK_BYTES`], and most records are smaller than
/// the difference.
const CHUNK_ARENA: usize = CHUNK_BYTES + 16 * 1024;

/// Why a chunk did not reach its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("worker {0} is gone")]
pub struct WorkerGone(pub usize);

/// Fills a chunk for each worker and sends it when it is full.
pub struct Router {
    workers: Vec<Post<Deliver>>,
    open: Vec<Option<Chunk>>,
    /// The worker of the record for which room was made last.
    reserved: usize,
    spare: Arc<Spare>,
    ledger: Arc<Ledger>,
    budget: Arc<Budget>,
}

/// A record's parts as the client hands them out.
pub struct Incoming<'a> {
    /// The record's own time, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    /// Packed headers.
    pub headers: &'a [u8],
}

// === impl Router ===

impl Router {
    /// A router to these workers.
    pub fn new(workers: Vec<Post<Deliver>>, ledger: Arc<Ledger>, budget: Arc<Budget>) -> Self {
        Self {
            open: workers.iter().map(|_| None).collect(),
            workers,
            reserved: 0,
            // As many as the budget has room for when they are full.
            spare: Spare::new((budget.limit() / CHUNK_BYTES).max(1), CHUNK_ARENA),
            ledger,
            budget,
        }
    }

    /// Makes room for a record; `false` where the budget has none.
    pub fn reserve(&mut self, incoming: &Incoming<'_>) -> bool {
        self.reserved = self.worker_of(incoming.key);
        let Some(open) = self.open.get_mut(self.reserved) else {
            return false;
        };
        if open.is_none() {
            match self.budget.chunk() {
                Some(permit) => {
                    let ledger = Arc::clone(&self.ledger);
                    *open = Some(Chunk::new(ledger, permit, &self.spare));
                }
                None => return false,
            }
        }
        open.as_mut().is_some_and(|c| c.reserve(incoming.size()))
    }

    /// Adds the record for which room was made last, and sends its chunk if that is full now.
    ///
    /// # Errors
    /// [`WorkerGone`] where the worker's mailbox is closed; the chunk's records are rewound.
    pub fn push(&mut self, claim: Claim, incoming: &Incoming<'_>) -> Result<(), WorkerGone> {
        let worker = self.reserved;
        let Some(Some(chunk)) = self.open.get_mut(worker) else {
            self.ledger.dropped([claim]);
            return Ok(());
        };
        chunk.push(
            claim,
            incoming.timestamp_ms,
            incoming.key,
            incoming.value,
            incoming.headers,
        );
        if chunk.len() >= CHUNK_RECORDS || chunk.bytes() >= CHUNK_BYTES {
            self.send(worker)?;
        }
        Ok(())
    }

    /// Sends what is there.
    ///
    /// # Errors
    /// [`WorkerGone`] as in [`Router::push`].
    pub fn flush(&mut self) -> Result<(), WorkerGone> {
        for worker in 0..self.open.len() {
            self.send(worker)?;
        }
        Ok(())
    }

    fn send(&mut self, worker: usize) -> Result<(), WorkerGone> {
        let Some(chunk) = self.open.get_mut(worker).and_then(Option::take) else {
            return Ok(());
        };
        if chunk.is_empty() {
            return Ok(());
        }
        let Some(to) = self.workers.get(worker) else {
            return Err(WorkerGone(worker));
        };
        // The budget allows no more chunks than a mailbox holds, so a full one is a mistake of ours, and
        // the chunk's drop makes its records come again either way.
        match to.try_send(Deliver(Arc::new(chunk))) {
            Ok(()) => Ok(()),
            Err(SendError::Full(_) | SendError::Closed(_)) => Err(WorkerGone(worker)),
        }
    }

    fn worker_of(&self, key: Option<&[u8]>) -> usize {
        // The same in every process: a key's worker does not change with the poller.
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write(key.unwrap_or_default());
        let n = self.workers.len().max(1) as u64;
        usize::try_from(hasher.finish() % n).unwrap_or(0)
    }
}

// === impl Incoming ===

impl Incoming<'_> {
    /// What it takes of the budget, in bytes.
    pub fn size(&self) -> usize {
        self.key.map_or(0, <[u8]>::len)
            + self.value.map_or(0, <[u8]>::len)
            + self.headers.len()
            + RECORD_OVERHEAD
    }
}
