//! What goes through a worker's mailbox: a run of records, copied once into one arena.
//!
//! Records go in chunks since a message to another thread costs 40 µs alone and 0.05 µs in a chunk of 500.
//! A chunk carries its memory's permit, and its records' claims: when it goes away with a record unresolved
//! (its worker died, or gave up), the ledger hears of it and rewinds.

use std::sync::Arc;

use actix::Message;

use crate::commit::{Claim, Ledger};
use crate::event::{Headers, Record};
use crate::source::Permit;

/// Bookkeeping bytes a record costs beside its own.
pub const RECORD_OVERHEAD: usize = 96;

/// A run of records for one worker.
#[derive(Debug)]
pub struct Chunk {
    arena: Vec<u8>,
    records: Vec<Taken>,
    ledger: Arc<Ledger>,
    _permit: Permit,
}

#[derive(Debug, Clone, Copy)]
struct Taken {
    claim: Claim,
    timestamp_ms: i64,
    start: u32,
    key: Option<u32>,
    value: Option<u32>,
    headers: u32,
}

/// A chunk on its way to a worker.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Deliver(pub Arc<Chunk>);

// === impl Chunk ===

impl Chunk {
    /// An empty chunk.
    pub fn new(ledger: Arc<Ledger>, permit: Permit) -> Self {
        Self {
            arena: Vec::new(),
            records: Vec::new(),
            ledger,
            _permit: permit,
        }
    }

    /// Takes more of the budget; `false` without room.
    pub fn reserve(&mut self, bytes: usize) -> bool {
        self._permit.grow(bytes)
    }

    /// Copies a record in.
    pub fn push(
        &mut self,
        claim: Claim,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = len(self.arena.len());
        let mut put = |bytes: Option<&[u8]>| {
            bytes.map(|b| {
                self.arena.extend_from_slice(b);
                len(b.len())
            })
        };
        let (key, value) = (put(key), put(value));
        let before = self.arena.len();
        headers(&mut self.arena);
        self.records.push(Taken {
            claim,
            timestamp_ms,
            start,
            key,
            value,
            headers: len(self.arena.len() - before),
        });
    }

    /// Records in it.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of its records.
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// A record and its claim.
    pub fn get(&self, index: usize) -> Option<(Claim, Record<'_>)> {
        let t = self.records.get(index)?;
        let mut rest = self.arena.get(t.start as usize..)?;
        let mut next = |n: u32| {
            let (head, tail) = rest.split_at_checked(n as usize)?;
            rest = tail;
            Some(head)
        };
        let key = match t.key {
            Some(n) => Some(next(n)?),
            None => None,
        };
        let value = match t.value {
            Some(n) => Some(next(n)?),
            None => None,
        };
        let record = Record {
            position: t.claim.position,
            timestamp_ms: t.timestamp_ms,
            key,
            value,
            headers: Headers::packed(next(t.headers)?),
        };
        Some((t.claim, record))
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.ledger.dropped(self.records.iter().map(|t| t.claim));
    }
}

/// Kafka's own sizes are 32 bits wide, and a chunk is cut long before 4 GiB.
fn len(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
