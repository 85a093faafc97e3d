//! A batch in the making, with the records it came from.
//!
//! Promises: each record given to it is resolved through it exactly once, when the last of its writes is
//! settled; of several writes to one document only the newest is live, and the others are settled with it or,
//! where it is rejected, come to life in turn, newest first.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Instant;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::commit::{Claim, Resolution};
use crate::decode::{DecodeError, Decoder};
use crate::event::{Batch, Change, Changes, Origin, Pass, Record, Shape, SourcePosition, Version};
use crate::route::Chunk;
use crate::transform::Projection;

/// A batch and its records.
pub struct Job {
    batch: Batch,
    entries: Vec<Entry>,
    chunks: Vec<Arc<Chunk>>,
    newest: HashTable<u32>,
    hasher: DefaultHashBuilder,
    partitions: Vec<i32>,
    opened: Instant,
}

struct Entry {
    claim: Claim,
    chunk: u32,
    index: u32,
    /// Writes not settled yet.
    open: u32,
    worst: Resolution,
}

/// A record, and where it comes from.
pub struct Incoming<'a> {
    pub chunk: &'a Arc<Chunk>,
    /// Its place in the chunk.
    pub index: usize,
    pub claim: Claim,
    pub record: &'a Record<'a>,
    pub version: Version,
}

/// What became of a record that was added.
pub enum Added {
    /// It waits in the batch.
    Batched,
    /// It changes no document.
    Passed(Pass),
    /// A part of it may not be written; nothing of it waits until that is reported.
    Partly(String),
}

// === impl Job ===

impl Job {
    /// An empty job.
    pub fn new(shape: Shape) -> Self {
        Self {
            batch: Batch::new(shape),
            entries: Vec::new(),
            chunks: Vec::new(),
            newest: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            partitions: Vec::new(),
            opened: Instant::now(),
        }
    }

    /// Empties it and keeps its memory. Records unresolved are given up.
    pub fn clear(&mut self) {
        self.batch.clear();
        self.entries.clear();
        self.chunks.clear();
        self.newest.clear();
        self.partitions.clear();
    }

    /// Decodes a record of `chunk` and adds what it writes. On an error nothing was added. With `reported` a
    /// dead letter already tells of the part that may not be written. `seen` is told where the record stood in the
    /// source's log.
    pub fn add(
        &mut self,
        from: &Incoming<'_>,
        reported: bool,
        (decoder, projection): (&mut dyn Decoder, &mut Projection),
        seen: impl FnOnce(&SourcePosition<'_>),
    ) -> Result<Added, DecodeError> {
        let record = from.record;
        let glanced = decoder.glance(record)?;
        let looked_at;
        let (changes, added) = match self.put(from, reported, projection, &glanced) {
            Err(_) if !rows(&glanced).iter().all(is_checked) => {
                looked_at = decoder.decode(record)?;
                let added = self.put(from, reported, projection, &looked_at);
                (&looked_at, added)
            }
            added => (&glanced, added),
        };
        if let (Ok(Added::Batched) | Err(_), Some(first)) = (&added, rows(changes).first()) {
            seen(&first.source);
        }
        added
    }

    fn put(
        &mut self,
        from: &Incoming<'_>,
        reported: bool,
        projection: &mut Projection,
        changes: &Changes<'_>,
    ) -> Result<Added, DecodeError> {
        let worst = match changes {
            Changes::Pass(pass) => return Ok(Added::Passed(*pass)),
            Changes::Partly { stray, .. } if !reported => {
                return Ok(Added::Partly(stray.clone()));
            }
            Changes::Partly { .. } => Resolution::DeadLettered,
            Changes::One(_) | Changes::Many(_) => Resolution::Filtered,
        };
        if self.entries.is_empty() {
            self.opened = Instant::now();
        }
        let position = from.record.position;
        let entry = u32_of(self.entries.len());
        let first_write = self.batch.writes().len();
        for change in rows(changes) {
            let origin = Origin {
                position,
                version: from.version,
                record: entry,
                committed_ms: change.source.committed_ms,
            };
            // Nothing of the record is live yet, so an error in a later row leaves no trace but dead bytes.
            projection.write(change, origin, &mut self.batch)?;
        }
        let mut open = 0;
        for write in first_write..self.batch.writes().len() {
            open += u32::from(self.make_newest(u32_of(write)));
        }
        let same = |last: &Arc<Chunk>| Arc::ptr_eq(last, from.chunk);
        if !self.chunks.last().is_some_and(same) {
            self.chunks.push(Arc::clone(from.chunk));
        }
        if !self.partitions.contains(&position.partition) {
            self.partitions.push(position.partition);
        }
        self.entries.push(Entry {
            claim: from.claim,
            chunk: u32_of(self.chunks.len() - 1),
            index: u32_of(from.index),
            open,
            worst,
        });
        Ok(Added::Batched)
    }

    /// Puts a write before the others of its document; `true` where it adds one to settle.
    fn make_newest(&mut self, write: u32) -> bool {
        let batch = &self.batch;
        let Some(new) = batch.writes().get(write as usize) else {
            return false;
        };
        let id = batch.id(new);
        let hash = self.hasher.hash_one(id);
        let same = |at: &u32| {
            let other = batch.writes().get(*at as usize);
            other.is_some_and(|w| batch.id(w) == id)
        };
        let Some(slot) = self.newest.find_mut(hash, same) else {
            let (batch, hasher) = (&self.batch, &self.hasher);
            self.newest.insert_unique(hash, write, |at| {
                let w = batch.writes().get(*at as usize);
                hasher.hash_one(w.map_or("", |w| batch.id(w)))
            });
            return true;
        };
        let (version, record) = (new.version, new.record);
        let at = |w: u32| batch.writes().get(w as usize);
        // Down the chain to the first write that is not newer. After a rewind an older record can come later.
        let mut newer = None;
        let mut below = Some(*slot);
        while let Some(w) = below.and_then(at).filter(|w| w.version > version) {
            newer = below;
            below = w.older;
        }
        // Rows of one record share a version and are folded in row order: the later one stands alone.
        let folded = below.and_then(at).filter(|w| w.record == record);
        let (below, adds) = match folded {
            Some(earlier) => (earlier.older, false),
            None => (below, true),
        };
        match newer {
            None => *slot = write,
            Some(newer) => {
                if let Some(w) = self.batch.write_mut(newer) {
                    w.older = Some(write);
                }
            }
        }
        if let Some(w) = self.batch.write_mut(write) {
            w.older = below;
        }
        adds
    }

    /// The live writes in the order in which their documents' records came.
    pub fn live(&self) -> Vec<u32> {
        let mut live: Vec<u32> = self.newest.iter().copied().collect();
        live.sort_unstable();
        live
    }

    /// Settles a write, and all that are older than it as superseded; hands out what is thereby resolved.
    pub fn settle(&mut self, write: u32, as_: Resolution, resolved: &mut Vec<(Claim, Resolution)>) {
        self.settle_one(write, as_, resolved);
        let mut older = self.older(write);
        while let Some(w) = older {
            self.settle_one(w, Resolution::Superseded, resolved);
            older = self.older(w);
        }
    }

    /// Settles a write alone, whose next older one then is live.
    pub fn settle_one(
        &mut self,
        write: u32,
        as_: Resolution,
        resolved: &mut Vec<(Claim, Resolution)>,
    ) {
        let record = self.batch.writes().get(write as usize).map(|w| w.record);
        let Some(entry) = record.and_then(|r| self.entries.get_mut(r as usize)) else {
            return;
        };
        if rank(as_) > rank(entry.worst) {
            entry.worst = as_;
        }
        entry.open = entry.open.saturating_sub(1);
        if entry.open == 0 {
            resolved.push((entry.claim, entry.worst));
        }
    }

    /// The write that comes to life when this one is rejected.
    pub fn older(&self, write: u32) -> Option<u32> {
        self.batch.writes().get(write as usize)?.older
    }

    /// The claim of the record that made a write.
    pub fn claim(&self, write: u32) -> Option<Claim> {
        let record = self.batch.writes().get(write as usize)?.record;
        Some(self.entries.get(record as usize)?.claim)
    }

    /// The record that made a write.
    pub fn record(&self, write: u32) -> Option<Record<'_>> {
        let record = self.batch.writes().get(write as usize)?.record;
        let entry = self.entries.get(record as usize)?;
        let chunk = self.chunks.get(entry.chunk as usize)?;
        Some(chunk.get(entry.index as usize)?.1)
    }

    /// The writes.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Partitions that its records came from.
    pub fn partitions(&self) -> &[i32] {
        &self.partitions
    }

    /// Whether it holds no record.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Documents that it would write.
    pub fn documents(&self) -> usize {
        self.newest.len()
    }

    /// When its first record came.
    pub fn opened(&self) -> Instant {
        self.opened
    }
}

/// Of a record with several writes, what it counts as: the one that an operator should hear of most.
fn rank(resolution: Resolution) -> u8 {
    match resolution {
        Resolution::Filtered => 0,
        Resolution::Superseded => 1,
        Resolution::Applied => 2,
        Resolution::DeadLettered => 3,
    }
}

fn rows<'c, 'a>(changes: &'c Changes<'a>) -> &'c [Change<'a>] {
    match changes {
        Changes::One(change) => std::slice::from_ref(change),
        Changes::Many(rows) | Changes::Partly { rows, .. } => rows,
        Changes::Pass(_) => &[],
    }
}

/// A key's row always is.
fn is_checked(change: &Change<'_>) -> bool {
    change.after.as_ref().is_none_or(|row| row.checked)
}

/// Jobs are cut long before 2^32 of anything.
fn u32_of(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
