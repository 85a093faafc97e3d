//! The rooms of a process: each opened when it is first needed, and stopped when it is idle.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use actix::ArbiterHandle;

use super::RoomsError;
use super::actor::RoomActor;
use super::state::{Room, Shared};
use super::stats::RoomNow;
use crate::live::lane::STALL;
use crate::live::names::RoomId;
use crate::supervise::{self, Child, ChildSpec, Strategy, Supervisor, SupervisorSpec, Tree};

/// Moderators' requests in the hands of one room, beside its comments.
const REQUESTS: u32 = 16;
/// Where there are as many rooms as may be, so many at once are stopped of those that are idle (one in eight),
/// so that looking for them is worth it.
const EVICTED: usize = 8;
/// A room fails again and again for a reason of its own. It is made anew each time, after ten seconds in the end,
/// and takes nobody down with it; what it is given meanwhile is refused by time, and counted.
const RESTARTS: u32 = u32::MAX;

/// What the name of a room's actor begins with.
pub(in crate::live) const ROOM: &str = "live/room/";

/// A room and its actor.
pub(super) struct Seat {
    pub(super) room: Arc<Room>,
    pub(super) actor: Child<RoomActor>,
}

/// The rooms.
pub(super) struct Table {
    rooms: RwLock<Rooms>,
    arbiters: Vec<ArbiterHandle>,
    /// Of room actors alone: there may be thousands, which come and go and know nothing of each other.
    supervisor: Supervisor,
    /// This process, and never another one.
    process: String,
    opened: AtomicU64,
}

struct Rooms {
    seats: HashMap<RoomId, Arc<Seat>>,
    closed: bool,
}

// === impl Table ===

impl Table {
    pub(super) fn new(arbiters: Vec<ArbiterHandle>, process: String, tree: &Arc<Tree>) -> Self {
        let spec = SupervisorSpec {
            name: "live/rooms".to_owned(),
            strategy: Strategy::Independent,
            ..SupervisorSpec::default()
        };
        Self {
            rooms: RwLock::new(Rooms {
                seats: HashMap::new(),
                closed: false,
            }),
            arbiters,
            supervisor: Supervisor::start(tree, spec),
            process,
            opened: AtomicU64::new(0),
        }
    }

    /// Does something with a room, opened if need be. It is not stopped meanwhile; `act` must be quick.
    pub(super) fn with<T>(
        &self,
        shared: &Arc<Shared>,
        id: &RoomId,
        act: impl FnOnce(&Seat) -> T,
    ) -> Result<T, RoomsError> {
        if let Some(seat) = self.read().seats.get(id) {
            return Ok(act(seat));
        }
        let mut rooms = self.write();
        if rooms.closed {
            return Err(RoomsError::Unavailable("the worker is stopping".into()));
        }
        if let Some(seat) = rooms.seats.get(id) {
            return Ok(act(seat));
        }
        let most = shared.spec.rooms.max_rooms as usize;
        if rooms.seats.len() >= most && self.evict(&mut rooms, shared) == 0 {
            shared.stats.crowded.add(1);
            return Err(RoomsError::Unavailable(format!(
                "this worker has {most} rooms, all at work: raise rooms.max_rooms, or run more workers"
            )));
        }
        let seat = self.open(shared, id);
        let done = act(&seat);
        rooms.seats.insert(id.clone(), Arc::new(seat));
        Ok(done)
    }

    /// Does something with a room that is open.
    pub(super) fn peek(&self, id: &RoomId, act: impl FnOnce(&Seat)) {
        if let Some(seat) = self.read().seats.get(id) {
            act(seat);
        }
    }

    /// Those with the most viewers, and of these with the most comments.
    pub(super) fn busiest(&self, most: usize) -> Vec<RoomNow> {
        let mut all: Vec<RoomNow> = self.read().seats.values().map(|s| s.room.now()).collect();
        let busy = |r: &RoomNow| (std::cmp::Reverse((r.viewers, r.accepted)), r.room.clone());
        all.sort_by_cached_key(busy);
        all.truncate(most);
        all
    }

    fn open(&self, shared: &Arc<Shared>, id: &RoomId) -> Seat {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let places = shared.spec.inbox.worker_pending.max(1) + REQUESTS;
        let sender = format!("{}-{number}", self.process);
        let room = Arc::new(Room::new(id.clone(), sender, places));
        let spec = ChildSpec {
            name: format!("{ROOM}{id}"),
            // Every message carries a permit of the room's, so that it never is full.
            mailbox: places as usize + 1,
            max_restarts: RESTARTS,
            within: Duration::from_secs(60),
            stall: Some(STALL),
            steps: RoomActor::STEPS,
            ..ChildSpec::default()
        };
        let arbiter = &self.arbiters[number as usize % self.arbiters.len()];
        let factory = {
            let (shared, room) = (Arc::clone(shared), Arc::clone(&room));
            move |incarnation: &supervise::Incarnation| {
                if incarnation.number > 0 {
                    shared.stats.restarted.add(1);
                }
                Ok(RoomActor::new(
                    Arc::clone(&shared),
                    Arc::clone(&room),
                    incarnation.clone(),
                ))
            }
        };
        let actor = supervise::start(arbiter, &self.supervisor, spec, factory);
        shared.stats.opened.add(1);
        shared.stats.open.add(1);
        Seat { room, actor }
    }

    /// Stops the rooms that nothing came to since this was last called, and that hold nothing.
    pub(super) fn sweep(&self, shared: &Shared) {
        let mut rooms = self.write();
        self.stop_idle(&mut rooms, shared, usize::MAX);
    }

    /// Makes room for another: first for the price of idle rooms, then of any that hold nothing.
    fn evict(&self, rooms: &mut Rooms, shared: &Shared) -> usize {
        let most = (rooms.seats.len() / EVICTED).max(1);
        match self.stop_idle(rooms, shared, most) {
            0 => self.stop_idle(rooms, shared, most),
            some => some,
        }
    }

    fn stop_idle(&self, rooms: &mut Rooms, shared: &Shared, most: usize) -> usize {
        let mut stopped = 0;
        rooms.seats.retain(|_, seat| {
            let idle = !seat.room.used.swap(false, Ordering::Relaxed);
            if !idle || stopped >= most || !seat.room.close() {
                return true;
            }
            seat.actor.stop();
            stopped += 1;
            false
        });
        shared.stats.stopped.add(stopped as u64);
        shared.stats.open.sub(stopped as u64);
        stopped
    }

    /// Opens no more rooms, and gives those that there are.
    pub(super) fn close(&self) -> Vec<Arc<Seat>> {
        let mut rooms = self.write();
        rooms.closed = true;
        rooms.seats.drain().map(|(_, seat)| seat).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Rooms> {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rooms> {
        self.rooms.write().unwrap_or_else(PoisonError::into_inner)
    }
}
