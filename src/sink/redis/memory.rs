//! What a process remembers of its markers, so that Redis cannot forget unnoticed.
//!
//! Redis executes in order, and what it loses in a crash or a failover is a suffix of what it executed. So an
//! acknowledged write is still there if something that was written after it is. A marker alone is not written
//! after it: the script that raises the marker knows only the watermark from before its own pipeline, so the
//! writes of the last acknowledged pipeline could vanish behind a marker that survived, and the next pipeline
//! would raise the marker over the hole. Hence the *tally*: a counter in Redis that belongs to this process
//! alone and that the last script of every pipeline raises by one. A pipeline counts as acknowledged when the
//! new tally came back; and no script raises a marker while the tally is below the last one acknowledged.
//!
//! Two things could still raise a tally past what was lost: another process (therefore each has its own) and a
//! pipeline of this process that was built before the lost acknowledgement was read, and sent after the loss.
//! Such a pipeline needs a connection that was made after the loss; so whoever makes a connection to a server
//! that is not the one known starts a new *session*, and an answer to a pipeline of an older session counts for
//! nothing. It relies on callers having their connection before they make a [`Claim`].
//!
//! The order in which pipelines are answered does not matter: tallies and markers are remembered as maxima, a
//! mark below the stored one changes nothing, and one above it from another owner is no contradiction. Nor
//! does it matter who raises a marker: a former owner of a partition raises it only to watermarks whose writes
//! had been acknowledged to it, under the same proof.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sink::Watermarks;

/// The memory that all connections of one sink in one process share.
#[derive(Debug)]
pub(super) struct Memory {
    tally_prefix: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    session: u64,
    server: Option<Server>,
    tally: Tally,
    /// Counts the resumes, so that no two stays of a partition are mistaken for each other.
    stays: u64,
    partitions: HashMap<i32, Part>,
}

#[derive(Debug, Clone)]
struct Tally {
    key: Arc<str>,
    acknowledged: u64,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    stay: u64,
    /// The marker that Redis is known to have had, or `None` where it may be made.
    acknowledged: Option<i64>,
    lost: bool,
}

/// Which process answers, and which history of writes it continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// A new one at every start of the server.
    pub(super) run_id: String,
    /// A new one when a replica takes over, or takes another's data.
    pub(super) replication_id: String,
}

/// What one script may rely on, as it stood before the pipeline was sent.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    /// The tally's key.
    pub(super) tally_key: Arc<str>,
    /// The tally that was last acknowledged.
    pub(super) tally: u64,
    /// The watermarks to raise the markers to.
    pub(super) marks: Vec<ClaimedMark>,
    session: u64,
}

/// One partition of a [`Claim`].
#[derive(Debug, Clone, Copy)]
pub(super) struct ClaimedMark {
    /// The partition.
    pub(super) partition: i32,
    /// The watermark, where there is one to raise to.
    pub(super) offset: i64,
    /// The marker that Redis must have, or `None` where it may be made.
    pub(super) known: Option<i64>,
    stay: u64,
}

/// An answer that proves nothing, since the server may have changed meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stale;

// === impl Memory ===

impl Memory {
    /// Nothing remembered. Tallies are kept under keys that begin with `tally_prefix`.
    pub(super) fn new(tally_prefix: String) -> Self {
        let tally = Tally::new(&tally_prefix);
        Self {
            tally_prefix,
            state: Mutex::new(State {
                session: 0,
                server: None,
                tally,
                stays: 0,
                partitions: HashMap::new(),
            }),
        }
    }

    /// To be called when a connection has been made, before anything is sent over it. `server` is `None`
    /// where Redis does not say who it is.
    pub(super) fn connected(&self, server: Option<Server>) {
        let mut state = self.lock();
        if server.is_none() || state.server != server {
            state.session += 1;
            state.server = server;
        }
    }

    /// What a pipeline with these watermarks may rely on.
    ///
    /// # Errors
    /// A partition whose writes are known to be lost, and that was not resumed since.
    pub(super) fn claim(&self, marks: &dyn Watermarks) -> Result<Claim, i32> {
        let mut state = self.lock();
        // Under the lock that a resume takes as well: a stay's watermarks are never claimed for the next one.
        let marks = marks.now();
        let mut claimed = Vec::with_capacity(marks.len());
        for mark in &marks {
            let part = match state.partitions.get(&mark.partition) {
                Some(part) => *part,
                None => state.begin(mark.partition, None),
            };
            if part.lost {
                return Err(mark.partition);
            }
            claimed.push(ClaimedMark {
                partition: mark.partition,
                offset: mark.offset,
                known: part.acknowledged,
                stay: part.stay,
            });
        }
        Ok(Claim {
            tally_key: Arc::clone(&state.tally.key),
            tally: state.tally.acknowledged,
            marks: claimed,
            session: state.session,
        })
    }

    /// Remembers that the claim's script ran and left this tally.
    ///
    /// # Errors
    /// [`Stale`] where that proves nothing: the pipeline is to be sent again.
    pub(super) fn acknowledge(&self, claim: &Claim, tally: u64) -> Result<(), Stale> {
        let mut state = self.lock();
        if state.session != claim.session || state.tally.key != claim.tally_key {
            return Err(Stale);
        }
        state.tally.acknowledged = state.tally.acknowledged.max(tally);
        for mark in &claim.marks {
            if let Some(part) = state.partitions.get_mut(&mark.partition)
                && part.stay == mark.stay
            {
                part.acknowledged = part.acknowledged.max(Some(mark.offset));
            }
        }
        Ok(())
    }

    /// Notes that Redis has lost acknowledged writes, of no matter which partition.
    pub(super) fn forgot_all(&self, claim: &Claim) {
        let mut state = self.lock();
        // The claim of a time before the last loss tells nothing new.
        if state.tally.key == claim.tally_key {
            state.tally = Tally::new(&self.tally_prefix);
            for part in state.partitions.values_mut() {
                part.lost = true;
            }
        }
    }

    /// Notes that Redis has lost one partition's marker.
    pub(super) fn forgot(&self, claim: &Claim, partition: i32) {
        let mut state = self.lock();
        let stay = claim.marks.iter().find(|m| m.partition == partition);
        if let Some(part) = state.partitions.get_mut(&partition)
            && stay.is_some_and(|m| m.stay == part.stay)
        {
            part.lost = true;
        }
    }

    /// Starts anew with a partition, whose marker was read as this.
    pub(super) fn resumed(&self, partition: i32, marker: Option<i64>) {
        self.lock().begin(partition, marker);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done under this lock, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn begin(&mut self, partition: i32, marker: Option<i64>) -> Part {
        self.stays += 1;
        let part = Part {
            stay: self.stays,
            acknowledged: marker,
            lost: false,
        };
        self.partitions.insert(partition, part);
        part
    }
}

// === impl Tally ===

impl Tally {
    fn new(prefix: &str) -> Self {
        // Two processes with one key would vouch for each other's losses: 128 random bits.
        let random = || RandomState::new().hash_one(std::process::id());
        Self {
            key: format!("{prefix}{:016x}{:016x}", random(), random()).into(),
            acknowledged: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Mark;

    fn mark(partition: i32, offset: i64) -> Mark {
        Mark { partition, offset }
    }

    fn server(run_id: &str) -> Option<Server> {
        Some(Server {
            run_id: run_id.into(),
            replication_id: "r".into(),
        })
    }

    fn memory() -> Memory {
        let memory = Memory::new("t:".into());
        memory.connected(server("one"));
        memory
    }

    #[test]
    fn acknowledgements_in_any_order_remember_the_highest() {
        let memory = memory();
        memory.resumed(0, Some(5));
        let (a, b) = (
            memory.claim(&[mark(0, 10)]).unwrap(),
            memory.claim(&[mark(0, 20)]).unwrap(),
        );
        assert_eq!(a.marks[0].known, Some(5));
        memory.acknowledge(&b, 2).unwrap();
        memory.acknowledge(&a, 1).unwrap();
        let next = memory.claim(&[mark(0, 20)]).unwrap();
        assert_eq!((next.tally, next.marks[0].known), (2, Some(20)));
    }

    #[test]
    fn an_answer_counts_for_nothing_once_another_server_was_connected_to() {
        let memory = memory();
        let sent_before = memory.claim(&[mark(0, 10)]).unwrap();
        memory.connected(server("one"));
        memory.acknowledge(&sent_before, 1).unwrap();
        memory.connected(server("two"));
        assert_eq!(memory.acknowledge(&sent_before, 2), Err(Stale));
        let sent_after = memory.claim(&[mark(0, 10)]).unwrap();
        memory.connected(None);
        assert_eq!(memory.acknowledge(&sent_after, 2), Err(Stale));
    }

    #[test]
    fn a_loss_holds_every_partition_until_it_is_resumed_and_starts_a_new_tally() {
        let memory = memory();
        memory.resumed(0, Some(5));
        memory.resumed(1, Some(6));
        let claim = memory.claim(&[mark(0, 5)]).unwrap();
        memory.acknowledge(&claim, 9).unwrap();
        memory.forgot_all(&claim);
        assert_eq!(memory.claim(&[mark(1, 6)]).unwrap_err(), 1);
        memory.resumed(1, Some(3));
        let after = memory.claim(&[mark(1, 3)]).unwrap();
        assert_eq!((after.tally, after.marks[0].known), (0, Some(3)));
        assert_ne!(after.tally_key, claim.tally_key);
        assert_eq!(memory.claim(&[mark(1, 3), mark(0, 5)]).unwrap_err(), 0);
    }

    #[test]
    fn what_was_sent_before_a_resume_neither_raises_nor_loses_what_came_after() {
        let memory = memory();
        memory.resumed(0, Some(50));
        let old = memory.claim(&[mark(0, 90)]).unwrap();
        memory.resumed(0, Some(20));
        memory.acknowledge(&old, 1).unwrap();
        assert_eq!(
            memory.claim(&[mark(0, 20)]).unwrap().marks[0].known,
            Some(20)
        );
        memory.forgot(&old, 0);
        assert!(memory.claim(&[mark(0, 20)]).is_ok());

        let old = memory.claim(&[mark(0, 20)]).unwrap();
        memory.forgot_all(&old);
        memory.resumed(0, None);
        memory.forgot_all(&old);
        assert_eq!(memory.claim(&[mark(0, 0)]).unwrap().marks[0].known, None);
    }

    #[test]
    fn one_lost_marker_holds_only_its_partition() {
        let memory = memory();
        let claim = memory.claim(&[mark(0, 1), mark(1, 1)]).unwrap();
        memory.forgot(&claim, 1);
        assert!(memory.claim(&[mark(0, 1)]).is_ok());
        assert_eq!(memory.claim(&[mark(1, 1)]).unwrap_err(), 1);
    }
}
