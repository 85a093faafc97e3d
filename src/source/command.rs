//! What the source and its poller tell each other.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::event::Mark;

/// What the poller is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Reads an assigned partition.
    Begin {
        /// From this offset on.
        mark: Mark,
        /// The group's committed offset, which may be higher: the sink may have forgotten what it had.
        committed: Option<i64>,
    },
    /// Goes back to a partition's watermark.
    Rewind(i32),
    /// Commits watermarks, each for the generation that it was read in.
    Commit(Vec<(Mark, u64)>),
    /// Reads these partitions again from offsets below their watermarks, which become the group's committed ones. Either
    /// all of them or none.
    TurnBack {
        /// Where each is to be read from.
        marks: Vec<Mark>,
        /// Hears when the commits stand, or in a sentence why not.
        answer: oneshot::Sender<Result<(), String>>,
    },
    /// Leaves the group, after draining for at most this long.
    Stop(Duration),
}

/// What the poller tells the source.
#[derive(Debug)]
pub enum Event {
    /// Partitions came, and wait for [`Command::Begin`].
    Assigned(Vec<i32>),
    /// Partitions went.
    Revoked(Vec<i32>),
    /// A partition must be begun anew: its seek failed.
    Lost(i32),
    /// Partitions were turned back, and wait for [`Command::Begin`].
    TurnedBack(Vec<i32>),
    /// The thread has ended.
    Ended(Result<(), String>),
}
