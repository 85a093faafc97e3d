//! `topics/live.toml`: the live lane's streams on NATS and what its rooms take. A process runs the live lane
//! where this file is there.

use std::path::PathBuf;
use std::time::Duration;

/// The live lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSpec {
    /// LIVE_IN, the comments' inbox, and its consumer.
    pub inbox: InboxSpec,
    /// LIVE_OUT, what was accepted.
    pub out: OutSpec,
    /// LIVE_DEAD, what was delivered too often.
    pub dead: KeptSpec,
    /// LIVE_AUDIT, what moderators did.
    pub audit: KeptSpec,
    /// NOTIFY, notifications a user has not acknowledged.
    pub notify: KeptSpec,
    /// What a room takes of comments.
    pub comments: CommentSpec,
    /// What a room takes of likes.
    pub likes: LikeSpec,
    /// Room actors and viewers.
    pub rooms: RoomSpec,
    /// The file that it was read from.
    pub file: PathBuf,
}

/// LIVE_IN: work-queue retention, `discard=new`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxSpec {
    /// The most bytes that wait; beyond them a publish is refused.
    pub max_bytes: u64,
    /// How long a comment may wait for a worker at all.
    pub max_age: Duration,
    /// When a comment that was not acknowledged is delivered again.
    pub ack_wait: Duration,
    /// Deliveries of one comment; then it is a dead letter.
    pub max_deliver: u32,
    /// Comments that all workers together may hold unacknowledged.
    pub max_ack_pending: u32,
    /// Comments that one worker holds at the most.
    pub worker_pending: u32,
}

/// LIVE_OUT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutSpec {
    /// The most bytes kept; the oldest entries go first.
    pub max_bytes: u64,
    /// How long an entry is kept.
    pub max_age: Duration,
    /// Entries kept of one room.
    pub max_per_room: u32,
    /// Within which the server itself knows a message id again.
    pub duplicate_window: Duration,
}

/// A stream that keeps what was put into it until it is too old or too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptSpec {
    /// The most bytes kept.
    pub max_bytes: u64,
    /// How long.
    pub max_age: Duration,
}

/// So many within so long, as GCRA counts: `burst` at once, then evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateSpec {
    /// How many within [`RateSpec::per`].
    pub count: u32,
    /// The period.
    pub per: Duration,
    /// How many at once.
    pub burst: u32,
}

/// What a room takes of comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentSpec {
    /// The most characters (Unicode scalar values after NFC).
    pub max_chars: u32,
    /// Of one user in one room.
    pub user_rate: RateSpec,
    /// Of one room.
    pub room_rate: RateSpec,
    /// Words that no room takes, one a line; relative to the spec's file.
    pub keywords_file: Option<PathBuf>,
}

/// What a room takes of likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LikeSpec {
    /// How long likes are folded before they are added to the total.
    pub window: Duration,
    /// The most likes in one message.
    pub max_per_message: u32,
    /// Messages that wait for their room in one worker; beyond them they are shed.
    pub queue: u32,
}

/// Room actors and viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomSpec {
    /// A room without traffic for this long is stopped.
    pub idle: Duration,
    /// A viewer without a heartbeat for this long is gone.
    pub viewer_expiry: Duration,
    /// Rooms that one process holds at the most.
    pub max_rooms: u32,
}
