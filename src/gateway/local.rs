//! One thread of the gateway: its sockets, by number and by user, and what is done for them from time to time.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::admit::Admitted;
use super::conn::{Conn, Opened, State, Why};
use super::frame::{Batch, Writer};
use super::history::{self, MOST};
use super::hub::{Hub, ToThread};
use super::recent::{self, Seen};
use super::rooms::{Join, Start, ToViewers};
use super::session::Session;
use super::tally::{Class, count};
use super::viewers;
use super::wire::Says;
use crate::live::names::{self, Inbound, RoomId, UserId};
use crate::retry::Delays;

/// Batches on their way to a room's viewers on a thread: while one is sent, the next may come, and more go into one
/// together.
const OUTLET: usize = 1;
/// Every socket is looked at once in a second, a tenth of them at a time.
const TICK: Duration = Duration::from_millis(100);
const TICKS: u64 = 10;
/// "I am watching" is said so often for each viewer: the wire contract's.
const BEAT_MS: u64 = 10_000;
/// What was said farewell to may take so long to go.
const FAREWELL_MS: u64 = 2_000;
/// Between two farewells of a drain there is at least this.
const STEP: Duration = Duration::from_millis(10);

/// The sockets of one thread.
pub(super) struct Local {
    pub hub: Arc<Hub>,
    /// Its number among the threads.
    pub id: usize,
    conns: RefCell<HashMap<u64, Rc<Conn>>>,
    users: RefCell<HashMap<UserId, Vec<u64>>>,
    rooms: RefCell<HashMap<RoomId, LocalRoom>>,
    last: Cell<u64>,
}

/// A room's viewers on this thread.
struct LocalRoom {
    outlet: u64,
    to: mpsc::WeakSender<ToViewers>,
    members: usize,
}

/// Seconds since 1970.
pub(super) fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

// === impl Local ===

impl Local {
    /// Of the present thread, whose actix system runs.
    pub(super) fn start(hub: &Arc<Hub>) -> Rc<Self> {
        let (id, told) = hub.thread();
        let local = Rc::new(Self {
            hub: Arc::clone(hub),
            id,
            conns: RefCell::default(),
            users: RefCell::default(),
            rooms: RefCell::default(),
            // Outlets and tickets of all threads differ.
            last: Cell::new((id as u64) << 40),
        });
        actix_web::rt::spawn(Rc::clone(&local).listen(told));
        actix_web::rt::spawn(Rc::clone(&local).tick());
        local
    }

    fn number(&self) -> u64 {
        self.last.set(self.last.get() + 1);
        self.last.get()
    }

    /// Takes a socket over, whose handshake is done; `read` is what came behind it.
    pub(super) fn open(self: &Rc<Self>, stream: TcpStream, admitted: Admitted, read: &[u8]) {
        let ticket = self.number();
        let start = admitted.start;
        let conn = Conn::new(Opened {
            hub: Arc::clone(&self.hub),
            stream,
            ticket,
            moderates: admitted.claims.moderates.contains(&admitted.room),
            room: admitted.room,
            user: admitted.claims.user,
            expires: admitted.claims.expires,
            place: admitted.place,
        });
        if let Start::After(seq) = start {
            conn.last.set(seq);
        }
        self.conns.borrow_mut().insert(ticket, Rc::clone(&conn));
        let mut users = self.users.borrow_mut();
        users.entry(conn.user.clone()).or_default().push(ticket);
        drop(users);
        self.join(&conn, start, true);
        let session = Session::new(Rc::clone(self), conn, read);
        actix_web::rt::spawn(session);
    }

    /// A socket has ended.
    pub(super) fn closed(self: &Rc<Self>, conn: &Rc<Conn>) {
        conn.give_up();
        count(&self.hub.tally.closed);
        self.conns.borrow_mut().remove(&conn.ticket);
        let mut users = self.users.borrow_mut();
        if let Some(tickets) = users.get_mut(&conn.user) {
            tickets.retain(|t| *t != conn.ticket);
            if tickets.is_empty() {
                users.remove(&conn.user);
            }
        }
        drop(users);
        super::cursor::ended(conn);
        let mut rooms = self.rooms.borrow_mut();
        let Some(room) = rooms.get_mut(&conn.room) else {
            return;
        };
        room.members = room.members.saturating_sub(1);
        if room.members == 0 {
            let outlet = room.outlet;
            rooms.remove(&conn.room);
            let (hub, room) = (Arc::clone(&self.hub), conn.room.clone());
            // This thread may be ending.
            self.hub
                .spawn(async move { hub.rooms.leave(&room, outlet).await });
        }
    }

    pub(super) fn conn(&self, ticket: u64) -> Option<Rc<Conn>> {
        let conns = self.conns.borrow();
        conns.get(&ticket).filter(|conn| conn.is_open()).cloned()
    }

    /// Lets a socket join its room. `first`: it was not counted there yet.
    pub(super) fn join(self: &Rc<Self>, conn: &Rc<Conn>, start: Start, first: bool) {
        let (outlet, to) = self.outlet(&conn.room, first);
        conn.outlet.set(outlet);
        let join = Join {
            outlet,
            to,
            ticket: conn.ticket,
            user: conn.user.clone(),
            start,
        };
        let (hub, room) = (Arc::clone(&self.hub), conn.room.clone());
        actix_web::rt::spawn(async move { hub.rooms.join(&hub, &room, join).await });
    }

    fn outlet(self: &Rc<Self>, room: &RoomId, first: bool) -> (u64, mpsc::Sender<ToViewers>) {
        let mut rooms = self.rooms.borrow_mut();
        let members = match rooms.get_mut(room) {
            Some(there) => {
                there.members += usize::from(first);
                if let Some(to) = there.to.upgrade() {
                    return (there.outlet, to);
                }
                there.members
            }
            None => 1,
        };
        let outlet = self.number();
        let (to, told) = mpsc::channel(OUTLET);
        let local = LocalRoom {
            outlet,
            to: to.downgrade(),
            members,
        };
        rooms.insert(room.clone(), local);
        actix_web::rt::spawn(viewers::run(Rc::clone(self), room.clone(), outlet, told));
        (outlet, to)
    }

    /// A room brings nothing more through this outlet. Whoever is still there joins again, after the last entry that
    /// each was sent.
    pub(super) fn room_ended(self: &Rc<Self>, room: &RoomId, outlet: u64) {
        let left: Vec<_> = {
            let conns = self.conns.borrow();
            let here = |c: &&Rc<Conn>| c.outlet.get() == outlet && c.is_open();
            conns.values().filter(here).cloned().collect()
        };
        if left.is_empty() {
            return;
        }
        count(&self.hub.tally.rooms_restarted);
        tracing::warn!(%room, "the room ended under {} viewers, who join again", left.len());
        let local = Rc::clone(self);
        actix_web::rt::spawn(async move {
            tokio::time::sleep(Delays::server().next_delay()).await;
            for conn in left {
                let start = match conn.last.get() {
                    0 => Start::Last(local.hub.settings.recent),
                    last => Start::After(last),
                };
                local.join(&conn, start, false);
            }
        });
    }

    /// Brings a socket what the room does not remember, as fast as it takes it, and lets it join after that.
    pub(super) fn catch_up(self: &Rc<Self>, conn: Rc<Conn>) {
        let local = Rc::clone(self);
        actix_web::rt::spawn(async move {
            let hub = &local.hub;
            let mut delays = Delays::server();
            while conn.is_open() {
                let after = conn.last.get();
                let page = history::after(&hub.asks, &conn.room, &conn.user, after, MOST).await;
                let Ok(page) = page else {
                    tokio::time::sleep(delays.next_delay()).await;
                    continue;
                };
                if let Some(gap) = page.gap {
                    conn.say(&Says::Gap {
                        after: gap.after,
                        before: gap.before,
                    });
                }
                let entries = page
                    .entries
                    .into_iter()
                    .filter_map(|one| Seen::new(one.seq, Bytes::from(one.entry.get().to_owned())));
                let entries: Vec<Seen> = entries.collect();
                for some in entries.chunks(32) {
                    let mut writer = Writer::default();
                    recent::write(&mut writer, some);
                    let batch = writer.finish();
                    while conn.is_open() && !conn.has_room(batch.bytes().len()) {
                        conn.moved.notified().await;
                    }
                    conn.offer(&batch);
                }
                if page.more == 0 {
                    if entries.is_empty() {
                        // The room itself does not know where it is yet.
                        tokio::time::sleep(delays.next_delay()).await;
                    }
                    let start = Start::After(conn.last.get());
                    return local.join(&conn, start, false);
                }
            }
        });
    }

    fn of_user(&self, user: &UserId) -> Vec<Rc<Conn>> {
        let tickets = self.users.borrow().get(user).cloned().unwrap_or_default();
        tickets.iter().filter_map(|t| self.conn(*t)).collect()
    }

    async fn listen(self: Rc<Self>, mut told: mpsc::Receiver<ToThread>) {
        while let Some(what) = told.recv().await {
            match what {
                ToThread::Refused(user, room, json) => {
                    let batch = Batch::one(Class::Answer, 1, 0, &json);
                    for conn in self.of_user(&user) {
                        if conn.room.as_str() == &*room {
                            conn.offer(&batch);
                        }
                    }
                }
                ToThread::Notice(user, seq, before, payload) => {
                    for conn in self.of_user(&user) {
                        super::cursor::notice(&conn, seq, before, &payload);
                    }
                }
                ToThread::Resync => {
                    let all: Vec<_> = self.conns.borrow().values().cloned().collect();
                    for conn in all {
                        super::cursor::resync(&conn);
                    }
                }
                ToThread::Drain => {
                    actix_web::rt::spawn(Rc::clone(&self).drain());
                }
            }
        }
    }

    /// Sends everyone away, evenly over the time for it.
    async fn drain(self: Rc<Self>) {
        let all: Vec<_> = self.conns.borrow().values().cloned().collect();
        let over = self.hub.settings.drain;
        let began = tokio::time::Instant::now();
        let n = u32::try_from(all.len()).unwrap_or(u32::MAX).max(1);
        for (i, conn) in (1..=n).zip(all) {
            let due = over.mul_f64(f64::from(i) / f64::from(n));
            if due.saturating_sub(began.elapsed()) >= STEP {
                tokio::time::sleep_until(began + due).await;
            }
            conn.close(Why::Drain);
        }
    }

    async fn tick(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut turn = 0;
        loop {
            ticks.tick().await;
            turn = (turn + 1) % TICKS;
            let due: Vec<_> = {
                let conns = self.conns.borrow();
                let mine = conns.values().filter(|c| c.ticket % TICKS == turn);
                mine.cloned().collect()
            };
            let (now, second) = (self.hub.now_ms(), now_s());
            let mut beats = Vec::new();
            for conn in due {
                self.look_after(&conn, now, second, &mut beats);
            }
            if !beats.is_empty() {
                self.beat(beats);
            }
        }
    }

    fn look_after(&self, conn: &Rc<Conn>, now: u64, second: u64, beats: &mut Vec<String>) {
        match conn.state() {
            State::Closing(since) if now.saturating_sub(since) > FAREWELL_MS => {
                return conn.give_up();
            }
            State::Closing(_) | State::Gone => return,
            State::Open => {}
        }
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let settings = &self.hub.settings;
        if second >= conn.expires {
            return conn.close(Why::Expired);
        }
        let quiet = now.saturating_sub(conn.heard.get());
        if quiet > millis(settings.idle_timeout) {
            return conn.close(Why::Idle);
        }
        let ping = millis(settings.ping_interval);
        if quiet >= ping && now.saturating_sub(conn.pinged.get()) >= ping {
            conn.pinged.set(now);
            conn.ping();
        }
        if conn.beat.get() == 0 || now.saturating_sub(conn.beat.get()) >= BEAT_MS {
            conn.beat.set(now.max(1));
            beats.push(names::inbound(&conn.room, Inbound::Here, &conn.user));
        }
        super::cursor::store(conn);
    }

    /// Says who is watching. It is lossy: where NATS is away it is not said.
    fn beat(&self, subjects: Vec<String>) {
        if let Some(nats) = self.hub.link.now() {
            actix_web::rt::spawn(async move {
                for subject in subjects {
                    if nats.client.publish(subject, Bytes::new()).await.is_err() {
                        return;
                    }
                }
            });
        }
    }
}
