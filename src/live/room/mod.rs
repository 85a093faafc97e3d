//! Rooms: what comes into them is judged, folded and counted by an actor each.
//!
//! Promises
//! - A room is opened by the first thing that comes to it, on one of a few threads, and stopped when it is idle;
//!   where there are as many as may be, idle ones make way. An actor that fails is made anew, with all that was
//!   decided about its room and all likes that it had taken; what it had in hand is answered with an error.
//! - A verdict is the same however often a comment is delivered, as far as it was charged for; it comes within
//!   `ack_wait`, or an error does. Comments of one room are judged in the order in which they are handed over.
//! - Nothing waits without bound: comments by a room's permits (as many as a worker may hold), likes by
//!   `likes.queue`, heartbeats by number.
//!
//! It relies on Redis for limits, totals and viewer counts, and on NATS for the moderators' decisions; each may be
//! away, and `limits`, `likes`, `viewers` and [`super::moderation`] say what holds meanwhile.
//!
//! It never publishes a comment: that is its caller's, who alone knows whether LIVE_OUT has it.

mod actor;
mod keeper;
mod parts;
mod state;
mod stats;
mod table;
mod text;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::Arbiter;
use actix::dev::SendError;
use async_nats::jetstream;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use self::actor::{Ask, Judge};
use self::keeper::Keeper;
use self::state::Shared;
pub(super) use self::table::ROOM;
use self::table::Table;
use super::keywords::{self, Filter};
use super::likes::{Added, Likes};
use super::limits::Limits;
use super::moderation::{Desk, Moderation, now_ms};
use super::names::{RoomId, UserId};
use super::redis::Redis;
use super::viewers::{Noted, Viewers};
use super::wire::{Comment, Entry, Refused, Shown};
use crate::config::{LiveSpec, RedisSettings};
use crate::supervise::{self, Child, ChildSpec, ChildStatus, Tree};

pub use self::stats::{Counter, RoomNow, Stats};

/// Threads that room actors share. They wait for Redis most of their time; two keep a room that is busy with a
/// long list of keywords from holding up all others.
const ARBITERS: usize = 2;

/// What the rooms need of NATS; whoever keeps the connection provides it.
pub trait Outlet: Send + Sync + 'static {
    /// Publishes an entry of a room into LIVE_OUT, in the one order that there is, and waits until it is stored.
    /// An entry of the same `msg_id` is there once, however often it is published. Returns its sequence.
    ///
    /// # Errors
    /// One sentence; the entry may be there nevertheless.
    fn publish<'a>(
        &'a self,
        room: &'a RoomId,
        entry: &'a Entry,
        msg_id: &'a str,
    ) -> BoxFuture<'a, Result<u64, String>>;

    /// JetStream over a connection that holds now, with the settings' timeout; waits for one.
    fn connection(&self) -> BoxFuture<'_, jetstream::Context>;
}

/// What the rooms of a process are made of.
pub struct Parts {
    /// What rooms take.
    pub spec: Arc<LiveSpec>,
    /// Where limits, totals and viewers are.
    pub redis: RedisSettings,
    /// The way to NATS.
    pub outlet: Arc<dyn Outlet>,
    /// Where the rooms' keeper and their actors are shown.
    pub tree: Arc<Tree>,
    /// How long [`Rooms::stop`] may take to add what was liked.
    pub shutdown: Duration,
}

/// Judges what comes in. Cheap to clone.
#[derive(Clone)]
pub struct Rooms(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    table: Arc<Table>,
    keeper: Child<Keeper>,
    tree: Arc<Tree>,
    arbiters: Mutex<Vec<Arbiter>>,
    shutdown: Duration,
}

/// What becomes of a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everyone is to see it.
    Accepted(Shown),
    /// Its author is told why not.
    Refused(Refused),
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoomsError {
    /// What a verdict needs is not there, or takes too long: the comment is to be judged again.
    #[error("{0}")]
    Unavailable(String),
    /// The room's actor died over this comment: it is to be judged again a few times, and then to be buried.
    #[error("{0}")]
    Failed(String),
}

// === impl Rooms ===

impl Rooms {
    /// Starts without any room. Must be called within an actix system. Servers that are away are waited for.
    ///
    /// # Errors
    /// One sentence where the keywords' file or the settings cannot be used.
    pub fn start(parts: Parts) -> Result<Self, String> {
        let spec = &parts.spec;
        let keywords = match &spec.comments.keywords_file {
            Some(file) => keywords::load(file).map_err(|e| e.to_string())?,
            None => Filter::default(),
        };
        let redis = Redis::new(&parts.redis).map_err(|e| e.to_string())?;
        let moderation = Arc::new(Moderation::default());
        let stats = Arc::new(Stats::default());
        let shared = Arc::new(Shared {
            keywords,
            limits: Limits::new(Arc::clone(&redis), spec),
            likes: Likes::new(Arc::clone(&redis)),
            viewers: Viewers::new(redis, spec.rooms.viewer_expiry),
            desk: Desk::new(
                Arc::clone(&moderation),
                Arc::clone(&parts.outlet),
                Arc::clone(&stats),
            ),
            moderation,
            outlet: parts.outlet,
            stats,
            stopping: watch::Sender::new(false),
            spec: parts.spec,
        });
        let arbiters: Vec<Arbiter> = (0..=ARBITERS).map(|_| Arbiter::new()).collect();
        let mut handles: Vec<_> = arbiters.iter().map(Arbiter::handle).collect();
        // The keeper has one for itself, where it may build a filter for a millisecond.
        let keeping = handles.pop().unwrap_or_else(Arbiter::current);
        let table = Arc::new(Table::new(handles, incarnation(), &parts.tree));
        let made = {
            let (shared, table) = (Arc::clone(&shared), Arc::clone(&table));
            move |_: &supervise::Incarnation| {
                Ok(Keeper {
                    shared: Arc::clone(&shared),
                    table: Arc::clone(&table),
                })
            }
        };
        let spec = ChildSpec {
            name: "live/keeper".to_owned(),
            mailbox: 1,
            max_restarts: 5,
            within: Duration::from_secs(60),
            ..ChildSpec::default()
        };
        let keeper = supervise::start(&keeping, &parts.tree, spec, made);
        Ok(Self(Arc::new(Inner {
            shared,
            table,
            keeper,
            tree: parts.tree,
            arbiters: Mutex::new(arbiters),
            shutdown: parts.shutdown,
        })))
    }

    /// The verdict on a comment of LIVE_IN; `received_ms` is when the server stored it. Given again after an
    /// error, or to another worker, it is not charged twice.
    ///
    /// # Errors
    /// [`RoomsError`], within `ack_wait`.
    pub async fn judge(
        &self,
        room: &RoomId,
        user: &UserId,
        seq: u64,
        received_ms: i64,
        comment: Comment,
    ) -> Result<Verdict, RoomsError> {
        let patience = self.0.shared.spec.inbox.ack_wait;
        let judging = async {
            if !self.0.shared.moderation.ready(patience / 2).await {
                return Err(RoomsError::Unavailable(
                    "the moderators' decisions have not been read yet".into(),
                ));
            }
            let place = self.place(room).await?;
            let (verdict, given) = oneshot::channel();
            let judge = Judge {
                user: user.clone(),
                seq,
                received_ms,
                comment,
                verdict,
                place,
            };
            self.send(room, judge)?;
            given.await.unwrap_or_else(|_| {
                Err(RoomsError::Failed(format!(
                    "the actor of room {room} failed over it; it is made anew"
                )))
            })
        };
        match tokio::time::timeout(patience, judging).await {
            Ok(done) => done,
            Err(_) => Err(RoomsError::Unavailable(format!(
                "room {room} gave no verdict within {patience:?}"
            ))),
        }
    }

    /// Takes `n` likes, which are in the room's next window. `false`: they are shed, since as many messages as may
    /// be wait for the room, or there is no room. Likes are not moderated: the total has no names, and whoever
    /// calls has checked that `n` is within the limit of a message.
    pub fn like(&self, room: &RoomId, n: u32) -> bool {
        let shared = &self.0.shared;
        let queue = shared.spec.likes.queue;
        let added = self.0.table.with(shared, room, |seat| {
            seat.room.touch();
            let added = seat.room.open.add(n, queue);
            if added == Added::First {
                seat.room.liked.notify_one();
            }
            let stats = &seat.room.stats;
            match added {
                Added::First | Added::More => stats.likes.add(u64::from(n)),
                Added::Full => stats.shed.add(u64::from(n)),
            }
            added
        });
        match added {
            Ok(Added::First | Added::More) => {
                shared.stats.like_messages.add(1);
                shared.stats.likes_taken.add(u64::from(n));
                true
            }
            Ok(Added::Full) | Err(_) => false,
        }
    }

    /// Notes likes that were shed before they came to their room. No room is opened for it.
    pub fn like_shed(&self, room: &RoomId, n: u32) {
        let shed = |seat: &table::Seat| seat.room.stats.shed.add(u64::from(n));
        self.0.table.peek(room, shed);
    }

    /// Notes that a comment was delivered again.
    pub fn redelivered(&self, room: &RoomId) {
        self.0
            .table
            .peek(room, |seat| seat.room.stats.redelivered.add(1));
    }

    /// At most so many of the open rooms: those with the most viewers.
    pub fn busiest(&self, most: usize) -> Vec<RoomNow> {
        self.0.table.busiest(most)
    }

    /// Notes that a user is watching.
    pub fn here(&self, room: &RoomId, user: &UserId) {
        let shared = &self.0.shared;
        let noted = self.0.table.with(shared, room, |seat| {
            seat.room.touch();
            let noted = seat.room.here.note(user);
            if noted == Noted::First {
                seat.room.beaten.notify_one();
            }
            noted
        });
        match noted {
            Ok(Noted::First | Noted::More) => {}
            Ok(Noted::Full) | Err(_) => shared.stats.here_shed.add(1),
        }
    }

    /// The answer to a moderator's request, as JSON: `{"ok":true,…}` or `{"ok":false,"code":…,"detail":…}`.
    pub async fn ctl(&self, room: &RoomId, by: &UserId, request: &[u8]) -> Vec<u8> {
        let asking = async {
            let place = self.place(room).await?;
            let (reply, given) = oneshot::channel();
            let ask = Ask {
                by: by.clone(),
                request: request.to_vec(),
                reply,
                place,
            };
            self.send(room, ask)?;
            given.await.map_err(|_| {
                RoomsError::Failed(format!(
                    "the actor of room {room} failed; it may have been done: ask again"
                ))
            })
        };
        asking.await.unwrap_or_else(|why: RoomsError| {
            self.0.shared.stats.ctl_failed.add(1);
            serde_json::json!({"ok": false, "code": "unavailable", "detail": why.to_string()})
                .to_string()
                .into_bytes()
        })
    }

    /// What the rooms have done.
    pub fn stats(&self) -> &Stats {
        &self.0.shared.stats
    }

    /// The room actors that there are, as far as the tree lists them.
    pub fn actors(&self) -> Vec<Arc<ChildStatus>> {
        let mut all = self.0.tree.children();
        all.retain(|child| child.name.starts_with(table::ROOM));
        all
    }

    /// Takes nothing any more, adds what was liked, within the deadline, and ends every actor and thread. What
    /// could not be added is counted as lost.
    pub async fn stop(&self) {
        let inner = &self.0;
        let seats = inner.table.close();
        inner.shared.stopping.send_replace(true);
        let ended = join_all(seats.iter().map(|seat| seat.actor.ended()));
        if tokio::time::timeout(inner.shutdown, ended).await.is_err() {
            tracing::warn!("likes could not be added before the end");
        }
        for seat in &seats {
            seat.actor.stop();
            let sending = seat.room.tally.abandon();
            let (_, open) = seat.room.open.take();
            let lost = open + sending.map_or(0, |window| window.likes);
            inner.shared.stats.likes_lost.add(lost);
        }
        inner.shared.stats.stopped.add(seats.len() as u64);
        inner.shared.stats.open.sub(seats.len() as u64);
        inner.keeper.stop();
        inner.keeper.ended().await;
        let arbiters = {
            let mut held = inner
                .arbiters
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *held)
        };
        for arbiter in arbiters {
            arbiter.stop();
            // Its thread ends with its runtime; a panic there was caught by the supervisor.
            let _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
        }
    }

    /// A place in the hands of a room.
    async fn place(&self, room: &RoomId) -> Result<OwnedSemaphorePermit, RoomsError> {
        loop {
            let hands = self.0.table.with(&self.0.shared, room, |seat| {
                seat.room.touch();
                Arc::clone(&seat.room.hands)
            })?;
            // An error: it was stopped while we waited, and another is opened.
            if let Ok(place) = Semaphore::acquire_owned(hands).await {
                return Ok(place);
            }
        }
    }

    fn send<M>(&self, room: &RoomId, message: M) -> Result<(), RoomsError>
    where
        M: actix::Message<Result = ()> + Send + 'static,
        actor::RoomActor: actix::Handler<M>,
    {
        self.0.table.with(&self.0.shared, room, |seat| {
            seat.actor.addr.try_send(message).map_err(|e| {
                RoomsError::Unavailable(match e {
                    SendError::Full(_) => format!("room {room} has too much in hand"),
                    SendError::Closed(_) => format!("room {room} has ended"),
                })
            })
        })?
    }
}

/// A name that no other process has, and this one only once: the time, the process and 64 random bits.
fn incarnation() -> String {
    let random = RandomState::new().build_hasher().finish();
    format!("{:x}-{:x}-{random:016x}", now_ms(), std::process::id())
}

impl std::fmt::Debug for Rooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rooms")
    }
}
