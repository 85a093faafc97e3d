//! The open rooms of a process: opened by the first viewer, closed some time after the last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::ArbiterHandle;
use tokio::sync::mpsc;

use super::frame::Batch;
use super::hub::Hub;
use super::room::Room;
use crate::live::names::{RoomId, UserId};
use crate::live::wire::Likes;

/// Joins that wait for a room; more wait at their sockets.
const COMMANDS: usize = 256;

/// The open rooms.
#[derive(Debug)]
pub(super) struct Rooms {
    arbiter: ArbiterHandle,
    open: Mutex<HashMap<RoomId, mpsc::Sender<Command>>>,
}

/// What a room is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Somebody wants to see it.
    Join(Join),
    /// An outlet has no viewers any more.
    Leave(u64),
}

/// Somebody wants to see a room.
#[derive(Debug)]
pub(super) struct Join {
    /// The viewers of one thread.
    pub outlet: u64,
    pub to: mpsc::Sender<ToViewers>,
    /// Which of them it is.
    pub ticket: u64,
    pub user: UserId,
    pub start: Start,
}

/// Where somebody begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// With the last so many entries.
    Last(usize),
    /// After this one.
    After(u64),
}

/// What a room brings its viewers of one thread, in order.
#[derive(Debug)]
pub(super) enum ToViewers {
    /// One more of them, and what it has to see first; what follows is live.
    Joined(Joined),
    /// This one is further back than the room remembers: the history has what it lacks.
    Behind(u64),
    /// For all of them.
    Batch(Batch),
}

/// Somebody has joined.
#[derive(Debug)]
pub(super) struct Joined {
    pub ticket: u64,
    /// What it has to see first.
    pub backlog: Batch,
    /// The last entry; everything later comes live.
    pub last: u64,
    pub totals: Option<Likes>,
    /// What it came with is no sequence of this stream.
    pub reset: bool,
}

// === impl Rooms ===

impl Rooms {
    pub(super) fn new(arbiter: ArbiterHandle) -> Self {
        Self {
            arbiter,
            open: Mutex::default(),
        }
    }

    /// Rooms that are open.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Lets somebody in, opening the room where nobody is there. The answer comes to the outlet.
    pub(super) async fn join(&self, hub: &Arc<Hub>, room: &RoomId, join: Join) {
        let mut command = Command::Join(join);
        loop {
            let to = self.sender(hub, room);
            match to.send(command).await {
                Ok(()) => return,
                // It was just closed: another one is opened.
                Err(refused) => command = refused.0,
            }
        }
    }

    /// An outlet has no viewers any more.
    pub(super) async fn leave(&self, room: &RoomId, outlet: u64) {
        let to = self.lock().get(room).cloned();
        if let Some(to) = to {
            let _ = to.send(Command::Leave(outlet)).await;
        }
    }

    /// Takes a room out of the list, if this is the one in it.
    pub(super) fn closed(&self, room: &RoomId, commands: &mut mpsc::Receiver<Command>) {
        let mut open = self.lock();
        commands.close();
        // Another may be open by now.
        if open.get(room).is_some_and(mpsc::Sender::is_closed) {
            open.remove(room);
        }
    }

    fn sender(&self, hub: &Arc<Hub>, room: &RoomId) -> mpsc::Sender<Command> {
        let mut open = self.lock();
        if let Some(there) = open.get(room).filter(|there| !there.is_closed()) {
            return there.clone();
        }
        let (tell, told) = mpsc::channel(COMMANDS);
        let opened = Room::new(room.clone(), Arc::clone(hub), told);
        if !self.arbiter.spawn(opened.run()) {
            tracing::error!(%room, "the rooms' thread has ended: nobody can join");
        }
        open.insert(room.clone(), tell.clone());
        tell
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, mpsc::Sender<Command>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
