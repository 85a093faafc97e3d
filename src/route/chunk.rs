//! What goes through a worker's mailbox: a run of records, copied once into one arena.
//!
//! Records go in chunks since a message to another thread costs 40 µs alone and 0.05 µs in a chunk of 500.
//! A chunk carries its memory's permit, and its records' claims: when it goes away with a record unresolved
//! (its worker died, or gave up), the ledger hears of it and rewinds.

use std::sync::{Arc, Mutex, PoisonError};

use actix::Message;

use crate::commit::{Claim, Ledger};
use crate::event::{Headers, Record};
use crate::source::Permit;

/// Bookkeeping bytes a record costs beside its own.
pub const RECORD_OVERHEAD: usize = 96;

/// A run of records for one worker.
#[derive(Debug)]
pub struct Chunk {
    held: Held,
    spare: Arc<Spare>,
    ledger: Arc<Ledger>,
    _permit: Permit,
}

/// A chunk's memory.
#[derive(Debug, Default)]
struct Held {
    arena: Vec<u8>,
    records: Vec<Taken>,
}

/// Memory of chunks that went away, to be used again: a fresh arena costs a page fault every five records. An arena
/// grows to no more than a full chunk takes, unless one record needs more; then it is not kept.
#[derive(Debug)]
pub struct Spare {
    free: Mutex<Vec<Held>>,
    /// Arenas kept at the most.
    count: usize,
    /// Bytes of an arena at the most.
    bytes: usize,
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

// === impl Spare ===

impl Spare {
    /// Keeps at most `count` arenas of at most `bytes`.
    pub fn new(count: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Mutex::default(),
            count,
            bytes,
        })
    }

    fn take(&self) -> Held {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_default()
    }

    fn give(&self, mut held: Held) {
        if held.arena.capacity() > self.bytes {
            return;
        }
        held.arena.clear();
        held.records.clear();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.count {
            free.push(held);
        }
    }
}

// === impl Held ===

impl Held {
    /// Makes room for `more` bytes: twice as much as before, but no more than `full` without need.
    fn room(&mut self, more: usize, full: usize) {
        let needed = self.arena.len() + more;
        if needed > self.arena.capacity() {
            let wanted = needed.max((self.arena.capacity() * 2).min(full));
            self.arena.reserve_exact(wanted - self.arena.len());
        }
    }
}

// === impl Chunk ===

impl Chunk {
    /// An empty chunk.
    pub fn new(ledger: Arc<Ledger>, permit: Permit, spare: &Arc<Spare>) -> Self {
        Self {
            held: spare.take(),
            spare: Arc::clone(spare),
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
        headers: &[u8],
    ) {
        let parts = [key.unwrap_or_default(), value.unwrap_or_default(), headers];
        let held = &mut self.held;
        held.room(parts.iter().map(|p| p.len()).sum(), self.spare.bytes);
        let start = len(held.arena.len());
        for part in parts {
            held.arena.extend_from_slice(part);
        }
        held.records.push(Taken {
            claim,
            timestamp_ms,
            start,
            key: key.map(|k| len(k.len())),
            value: value.map(|v| len(v.len())),
            headers: len(headers.len()),
        });
    }

    /// Records in it.
    pub fn len(&self) -> usize {
        self.held.records.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.held.records.is_empty()
    }

    /// Bytes of its records.
    pub fn bytes(&self) -> usize {
        self.held.arena.len()
    }

    /// A record and its claim.
    pub fn get(&self, index: usize) -> Option<(Claim, Record<'_>)> {
        let t = self.held.records.get(index)?;
        let mut rest = self.held.arena.get(t.start as usize..)?;
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
        self.ledger
            .dropped(self.held.records.iter().map(|t| t.claim));
        self.spare.give(std::mem::take(&mut self.held));
    }
}

/// Kafka's own sizes are 32 bits wide, and a chunk is cut long before 4 GiB.
fn len(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Position;
    use crate::source::Budget;

    fn chunk(spare: &Arc<Spare>, records: i64, bytes: usize) -> Chunk {
        let ledger = Arc::new(Ledger::default());
        ledger.open(0, 0);
        let permit = Budget::new(1 << 20, 1).chunk().unwrap();
        let mut chunk = Chunk::new(Arc::clone(&ledger), permit, spare);
        for offset in 0..records {
            let position = Position {
                partition: 0,
                offset,
            };
            let claim = ledger.take(position).unwrap().unwrap();
            chunk.push(claim, 7, Some(b"k"), Some(&vec![b'v'; bytes]), b"h");
        }
        chunk
    }

    #[test]
    fn memory_is_used_again_and_grows_to_no_more_than_a_full_chunk() {
        let spare = Spare::new(1, 10_000);
        drop(chunk(&spare, 12, 800));
        let again = chunk(&spare, 2, 800);
        assert_eq!(again.len(), 2);
        assert_eq!(again.held.arena.capacity(), 10_000);
        let (_, record) = again.get(1).unwrap();
        assert_eq!(
            (record.key, record.value.unwrap().len()),
            (Some(&b"k"[..]), 800)
        );
        // A second one is not kept beside it, nor one that had to be larger.
        let other = chunk(&spare, 1, 20_000);
        assert_eq!(other.held.arena.capacity(), 20_002);
        drop(other);
        assert!(spare.free.lock().unwrap().is_empty());
    }

    #[test]
    fn null_and_empty_stay_apart() {
        let spare = Spare::new(1, 100);
        let mut chunk = chunk(&spare, 0, 0);
        let claim = chunk.ledger.take(Position {
            partition: 0,
            offset: 9,
        });
        let claim = claim.unwrap().unwrap();
        chunk.push(claim, 0, None, Some(b""), b"");
        let (_, record) = chunk.get(0).unwrap();
        assert_eq!((record.key, record.value), (None, Some(&b""[..])));
    }
}
