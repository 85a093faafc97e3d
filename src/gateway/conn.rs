//! One socket, as its thread knows it: what waits for it, and how it is written to.
//!
//! A message goes to the socket at once, on the thread and in the turn that brought it; only where the kernel does not
//! take all of it does the rest wait in the queue, for the session to write when there is room.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use actix_http::ws::{CloseCode, OpCode};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::cursor::Cursor;
use super::frame::{Batch, Writer};
use super::hub::Hub;
use super::places::Place;
use super::queue::{Item, Queue};
use super::tally::{Class, Tally, count};
use super::wire::Says;
use crate::live::names::{RoomId, UserId};

/// A socket.
pub(super) struct Conn {
    pub hub: Arc<Hub>,
    pub stream: TcpStream,
    pub ticket: u64,
    pub room: RoomId,
    pub user: UserId,
    pub moderates: bool,
    /// When the token ends, in seconds since 1970.
    pub expires: u64,
    /// The outlet through which the room comes; 0 before it joins.
    pub outlet: Cell<u64>,
    /// The last entry that was sent or shed.
    pub last: Cell<u64>,
    /// When it was last heard of, in milliseconds of the hub's clock.
    pub heard: Cell<u64>,
    /// When it was last pinged.
    pub pinged: Cell<u64>,
    /// When its viewer was last told of.
    pub beat: Cell<u64>,
    /// How much it may say now, in thousandths of a message, and since when.
    pub budget: Cell<(u32, u64)>,
    pub notices: RefCell<Option<Cursor>>,
    /// Somebody waits for room in the queue, or for an acknowledgement.
    pub moved: Notify,
    queue: RefCell<Queue>,
    waker: RefCell<Option<Waker>>,
    state: Cell<State>,
    in_flight: Cell<u8>,
    pong: Cell<bool>,
    _place: Place,
}

/// How far a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It lives.
    Open,
    /// Its client was told that it ends, at this time.
    Closing(u64),
    /// It is given up.
    Gone,
}

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The client said so.
    Client,
    /// The gateway is stopped.
    Drain,
    /// The token has ended.
    Expired,
    /// It does not take even what is never shed.
    TooSlow,
    /// Nothing came from it for too long.
    Idle,
    /// It says too much.
    Flood,
    /// A message is too long.
    TooLong,
    /// It breaks the protocol.
    Protocol,
}

/// A comment or request that waits for its answer.
pub(super) struct InFlight(Rc<Conn>);

/// What a socket begins with.
pub(super) struct Opened {
    pub hub: Arc<Hub>,
    pub stream: TcpStream,
    pub ticket: u64,
    pub room: RoomId,
    pub user: UserId,
    pub moderates: bool,
    pub expires: u64,
    pub place: Place,
}

// === impl Why ===

impl Why {
    /// As the client is told.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Drain => "drain",
            Self::Expired => "expired",
            Self::TooSlow => "too_slow",
            Self::Idle => "idle",
            Self::Flood => "flood",
            Self::TooLong => "too_long",
            Self::Protocol => "protocol",
        }
    }

    fn close(self) -> CloseCode {
        match self {
            Self::Client => CloseCode::Normal,
            Self::Drain => CloseCode::Restart,
            Self::TooSlow => CloseCode::Again,
            Self::Expired | Self::Idle | Self::Flood => CloseCode::Policy,
            Self::TooLong => CloseCode::Size,
            Self::Protocol => CloseCode::Protocol,
        }
    }
}

// === impl Conn ===

impl Conn {
    pub(super) fn new(opened: Opened) -> Rc<Self> {
        let now = opened.hub.now_ms();
        let burst = opened.hub.settings.message_burst;
        count(&opened.hub.tally.opened);
        Rc::new(Self {
            hub: opened.hub,
            stream: opened.stream,
            ticket: opened.ticket,
            room: opened.room,
            user: opened.user,
            moderates: opened.moderates,
            expires: opened.expires,
            outlet: Cell::new(0),
            last: Cell::new(0),
            heard: Cell::new(now),
            pinged: Cell::new(now),
            beat: Cell::new(0),
            budget: Cell::new((burst * 1_000, now)),
            notices: RefCell::default(),
            moved: Notify::new(),
            queue: RefCell::default(),
            waker: RefCell::default(),
            state: Cell::new(State::Open),
            in_flight: Cell::new(0),
            pong: Cell::new(false),
            _place: opened.place,
        })
    }

    pub(super) fn state(&self) -> State {
        self.state.get()
    }

    /// Whether there is still somebody to send to.
    pub(super) fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    fn tally(&self) -> &Tally {
        &self.hub.tally
    }

    /// Sends a batch: all of it to the socket where nothing waits, else into the queue.
    pub(super) fn offer(&self, batch: &Batch) {
        if !self.is_open() {
            return;
        }
        let tally = self.tally();
        for part in batch.parts() {
            tally.sent(part.class, part.units);
        }
        self.last.set(self.last.get().max(batch.last()));
        let mut queue = self.queue.borrow_mut();
        let written = if queue.is_clear() {
            match self.stream.try_write(batch.bytes()) {
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
                Err(_) => {
                    for part in batch.parts() {
                        tally.shed(part.class, part.units);
                    }
                    drop(queue);
                    self.give_up();
                    return;
                }
            }
        } else {
            0
        };
        if written == batch.bytes().len() {
            for part in batch.parts() {
                tally.delivered(part.class, part.units);
            }
            return;
        }
        let mut left = written;
        let mut too_slow = false;
        for (part, bytes) in batch.each() {
            if left >= bytes.len() {
                left -= bytes.len();
                tally.delivered(part.class, part.units);
                continue;
            }
            let item = Item {
                class: part.class,
                units: part.units,
                bytes,
            };
            if left > 0 {
                queue.begin_with(item, left, tally);
                left = 0;
            } else if queue.push(item, self.hub.limits(), tally).is_err() {
                too_slow = true;
            }
        }
        drop(queue);
        if too_slow {
            self.close(Why::TooSlow);
        } else {
            self.wake();
        }
    }

    /// Sends one message to this client alone.
    pub(super) fn say(&self, says: &Says<'_>) {
        self.offer(&Batch::one(Class::Answer, 1, 0, &says.json()));
    }

    /// Sends a ping.
    pub(super) fn ping(&self) {
        let mut writer = Writer::default();
        writer.message(OpCode::Ping, Class::Answer, 1, 0, b"");
        self.offer(&writer.finish());
    }

    /// Answers a ping; of several that wait only the last is answered, as RFC 6455 (5.5.3) allows.
    pub(super) fn pong(&self, payload: &[u8]) {
        if self.pong.replace(true) {
            return;
        }
        let mut writer = Writer::default();
        writer.message(OpCode::Pong, Class::Answer, 1, 0, payload);
        self.offer(&writer.finish());
        if self.queue.borrow().is_empty() {
            self.pong.set(false);
        }
    }

    /// Whether a message of this length finds room without anything being shed.
    pub(super) fn has_room(&self, len: usize) -> bool {
        let queue = self.queue.borrow();
        queue.is_empty() || queue.bytes() + len <= self.hub.settings.queue_bytes / 2
    }

    /// Says farewell: why, when to come back, and with which sequence. What waits and may be shed is shed for one that is
    /// too slow.
    pub(super) fn close(&self, why: Why) {
        if !self.is_open() {
            return;
        }
        let tally = self.tally();
        match why {
            Why::Client | Why::Drain => {}
            Why::TooSlow => count(&tally.too_slow),
            Why::Expired => count(&tally.expired),
            Why::Idle | Why::Flood | Why::TooLong | Why::Protocol => count(&tally.misbehaved),
        }
        if why == Why::TooSlow {
            self.queue.borrow_mut().clear(tally);
        }
        let mut writer = Writer::default();
        if why != Why::Client {
            let bye = Says::Bye {
                code: why.code(),
                retry_ms: self.retry_ms(why),
                seq: self.last.get(),
            };
            writer.text(Class::Answer, 1, 0, &bye.json());
        }
        let mut reason = u16::from(why.close()).to_be_bytes().to_vec();
        reason.extend_from_slice(why.code().as_bytes());
        writer.message(OpCode::Close, Class::Answer, 1, 0, &reason);
        self.offer(&writer.finish());
        // It is past telling where the farewell did not fit either.
        if self.is_open() {
            self.state.set(State::Closing(self.hub.now_ms()));
            self.wake();
        }
    }

    /// A random time, so that those who were sent away together do not come back together.
    fn retry_ms(&self, why: Why) -> u64 {
        use std::hash::{BuildHasher as _, RandomState};
        let spread = match why {
            Why::Drain => u64::try_from(self.hub.settings.drain.as_millis()).unwrap_or(0),
            Why::Client
            | Why::Expired
            | Why::TooSlow
            | Why::Idle
            | Why::Flood
            | Why::TooLong
            | Why::Protocol => 0,
        };
        RandomState::new().hash_one(self.ticket) % (spread + 1_000)
    }

    /// Nothing can be sent any more.
    pub(super) fn give_up(&self) {
        self.state.set(State::Gone);
        self.queue.borrow_mut().abandon(self.tally());
        self.moved.notify_waiters();
        self.wake();
    }

    /// Lets the session look.
    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    pub(super) fn watch(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    /// Writes what waits, as far as the kernel takes it.
    pub(super) fn flush(&self, cx: &mut Context<'_>) {
        let mut wrote = false;
        loop {
            let mut queue = self.queue.borrow_mut();
            let Some(bytes) = queue.next(self.tally()) else {
                self.pong.set(false);
                break;
            };
            match self.stream.try_write(&bytes) {
                Ok(n) => {
                    queue.wrote(n, self.tally());
                    wrote = true;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    drop(queue);
                    match self.stream.poll_write_ready(cx) {
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(_)) => return self.give_up(),
                        Poll::Pending => break,
                    }
                }
                Err(_) => {
                    drop(queue);
                    return self.give_up();
                }
            }
        }
        if wrote {
            self.moved.notify_waiters();
        }
    }

    /// Nothing waits.
    pub(super) fn is_flushed(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    /// One more that waits for its answer; `None` where too many do.
    pub(super) fn begin(self: &Rc<Self>) -> Option<InFlight> {
        let n = self.in_flight.get();
        (n < self.hub.settings.in_flight).then(|| {
            self.in_flight.set(n + 1);
            InFlight(Rc::clone(self))
        })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
    }
}
