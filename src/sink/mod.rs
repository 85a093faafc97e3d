//! Where documents go. A sink writes a batch and says what became of each write; it neither retries nor
//! commits, nor decides what is a dead letter: the worker alone owns that policy.

pub mod dead_letter;
pub mod elasticsearch;
pub mod redis;
pub mod registry;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::event::{Batch, Mark, Shape, Version};

/// One connection's worth of a sink. Each worker has its own, made on the worker's own thread, since an HTTP
/// client's connections live on the runtime that opened them.
pub trait Sink: Send + Sync {
    /// Writes the writes of `batch` that `select` names, and answers for each of them in that order.
    /// `acknowledged` gives the watermarks of the batch's partitions: everything below them is in this sink
    /// already.
    ///
    /// # Errors
    /// A [`SinkError`] where nothing can be said of the single writes; any of them may have been applied.
    fn write<'a>(
        &'a self,
        batch: &'a Batch,
        select: &'a [u32],
        acknowledged: &'a dyn Watermarks,
    ) -> BoxFuture<'a, Result<Vec<Outcome>, SinkError>>;
}

/// Watermarks as they stand when they are asked for, which is at the last moment before a request is built: one
/// that was read before a wait may belong to a stay of its partition that has ended, and vouch for what the
/// sink has lost since.
pub trait Watermarks: Send + Sync {
    /// The watermarks now; a partition that is given up or being sought has none.
    fn now(&self) -> Vec<Mark>;
}

impl Watermarks for Vec<Mark> {
    fn now(&self) -> Vec<Mark> {
        self.clone()
    }
}

impl<const N: usize> Watermarks for [Mark; N] {
    fn now(&self) -> Vec<Mark> {
        self.to_vec()
    }
}

/// What a branch has one of: it checks, prepares and remembers on behalf of all its workers.
pub trait SinkHub: Send + Sync {
    /// How this sink wants its documents.
    fn shape(&self) -> Shape;

    /// Makes what is missing (index, alias, markers' identity) and refuses what contradicts the topic.
    /// Called at start, at every assignment and every 10 s; cheap when all is well.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] where it cannot be said yet, [`SinkError::Refused`] with the remedy.
    fn check<'a>(&'a self, identity: &'a TopicIdentity) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Whether a branch of this topic has prepared this sink, changing nothing: for commands beside the lane.
    /// Were one of them to make what is missing, the branch would find it and take it for filled.
    ///
    /// # Errors
    /// As [`SinkHub::check`]; [`SinkError::Refused`] also where anything is missing.
    fn inspect<'a>(&'a self, identity: &'a TopicIdentity) -> BoxFuture<'a, Result<(), SinkError>>;

    /// A connection for one worker, bound to the runtime that calls it.
    ///
    /// # Errors
    /// [`SinkError::Refused`] where the settings cannot make one. Reachability shows at the first write.
    fn connect(&self) -> Result<Arc<dyn Sink>, SinkError>;

    /// Where to read an assigned partition from, given the group's committed offset (`None`: never).
    fn resume<'a>(
        &'a self,
        partition: i32,
        committed: Option<i64>,
    ) -> BoxFuture<'a, Result<Resume, SinkError>> {
        let _ = (partition, committed);
        Box::pin(async { Ok(Resume::Committed) })
    }

    /// Called before watermarks are committed to Kafka; those that stood before the call are committed only if
    /// it succeeds.
    fn checkpoint<'a>(&'a self, marks: &'a dyn Watermarks) -> BoxFuture<'a, Result<(), SinkError>> {
        let _ = marks;
        Box::pin(async { Ok(()) })
    }

    /// Whether what was acknowledged of these partitions is still there, as far as the sink can lose it. Called
    /// each idle second for the assigned ones; writes and checkpoints find out by themselves.
    ///
    /// # Errors
    /// [`SinkError::Forgot`] with the first that lost writes; [`SinkError::Unavailable`] where it cannot be said.
    fn verify<'a>(&'a self, partitions: &'a [i32]) -> BoxFuture<'a, Result<(), SinkError>> {
        let _ = partitions;
        Box::pin(async { Ok(()) })
    }

    /// How often one acknowledged document is to be looked for by a search; `None` where what is acknowledged is
    /// visible, and where nobody wants to know.
    fn search_every(&self) -> Option<Duration> {
        None
    }

    /// Whether a search shows the document at `version` or a later one. Asked at most once a second, and only where
    /// [`SinkHub::search_every`] says so.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] where it cannot be said.
    fn is_shown<'a>(
        &'a self,
        id: &'a str,
        version: Version,
    ) -> BoxFuture<'a, Result<bool, SinkError>> {
        let _ = (id, version);
        Box::pin(async { Ok(true) })
    }

    /// Removes the tombstones that are older than the horizon; returns how many.
    fn purge(&self) -> BoxFuture<'_, Result<u64, SinkError>> {
        Box::pin(async { Ok(0) })
    }
}

/// Where a partition is to be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// From the group's committed offset; where there is none, from the log's start.
    Committed,
    /// The sink has lost what came after this offset: from here.
    At(i64),
    /// The sink remembers nothing: from the log's start, if the log still holds every key from there.
    Start,
}

/// What became of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the sink.
    Applied,
    /// The sink holds the same version or a higher one, which is success.
    Superseded {
        /// The version that the sink holds, where it says so.
        by: Option<Version>,
    },
    /// Not now: worth trying again.
    Retry(Failure),
    /// Never: the write itself is at fault.
    Rejected(Failure),
}

/// What the sink said of a write that it did not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The sink's own name for it, short and without values: a metric label.
    pub kind: Box<str>,
    /// The sink's words, cut to 1,000 bytes, without credentials.
    pub detail: Box<str>,
    /// Whether it may be due to this write alone: a 5xx for one item while its neighbours pass, or in a request of which
    /// every write fails so.
    pub alone: bool,
    /// Whether it passes only after an operator has acted (a missing alias, a write block, a permission).
    pub alarm: bool,
}

/// Why nothing can be said of the single writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// Down, overloaded, or not to be talked to with these credentials: retried for as long as it takes.
    #[error("{detail}")]
    Unavailable {
        /// What it said and, where it can be known, what to do.
        detail: String,
        /// Whether an operator must act (a wrong password, a missing index).
        alarm: bool,
    },
    /// Did not answer in time: retried; by workers with fewer writes in a request, since the same again may be as late.
    #[error("{0}")]
    Late(String),
    /// The server refused the request as a whole, for its size or for a reason that it does not tie to one
    /// write: to be split. A sink does not say this of a request that holds one write, but for its size.
    #[error("the server refuses the request as a whole: {0}")]
    TooLarge(String),
    /// The sink has lost acknowledged writes of this partition.
    #[error(
        "partition {partition}: the sink has forgotten acknowledged writes (marker {marker:?})"
    )]
    Forgot {
        /// The partition.
        partition: i32,
        /// The watermark that survived; `None` where none did.
        marker: Option<i64>,
    },
    /// The sink's content contradicts the topic or the pipeline: the branch halts with the remedy.
    #[error("{0}")]
    Refused(String),
}

/// Which topic the versions in a sink belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicIdentity {
    /// The topic's name.
    pub topic: String,
    /// The id that the broker gave it when it was made.
    pub topic_id: String,
    /// The spec's epoch.
    pub epoch: u16,
    /// Its number of partitions.
    pub partitions: i32,
}
