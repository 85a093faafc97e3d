//! Whether LIVE_OUT has a comment already: the look-up of a redelivery.
//!
//! The server itself recognises a message id within the stream's duplicate window, so what was published
//! lately cannot be shown twice. What is looked up here is what may be older than that (an outage outlasted
//! the window), and it spares a comment that is shown a second verdict.
//!
//! LIVE_OUT is in the order of storing, so a comment can only be there after the time at which LIVE_IN took
//! it: a room's entries since then are read once, and from then on only what was added. LIVE_OUT forgets, by
//! age, bytes and entries of a room: where it may have forgotten the comment, the answer says so.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::config::LiveSpec;
use crate::live::connect::{Conn, Link};
use crate::live::names::RoomId;
use crate::live::read::{self, From, Page, ReadError};
use crate::live::streams::LIVE_OUT;

/// Entries of one request: few enough to be sent in one go, many enough that a second is rare.
const BATCH: usize = 512;
/// The same in bytes.
const BATCH_BYTES: usize = 512 * 1024;
/// How far the clocks of two servers of a cluster may be apart.
const SKEW_MS: i64 = 2_000;
/// Read further back than need be, so that the next redelivery, which may be a little older, needs no
/// reading of its own.
const FURTHER_MS: i64 = 3_000;
/// Rooms of which it is remembered what was read. A dead worker's comments are of as many rooms at the most
/// as it had comments in hand.
const ROOMS: usize = 1_024;
/// A burst of redeliveries is over by then.
const FORGET: Duration = Duration::from_secs(30);

/// What LIVE_OUT says of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It is there.
    There,
    /// It is not there and was not.
    Absent,
    /// It is not there, but it may have been, and was forgotten.
    Unknown,
}

/// Looks redeliveries up.
pub(super) struct Seen {
    link: Link,
    spec: Arc<LiveSpec>,
    timeout: Duration,
    rooms: RefCell<HashMap<RoomId, Rc<Mutex<Scan>>>>,
}

/// What was read of one room.
#[derive(Debug)]
struct Scan {
    /// Everything stored since then was read, in milliseconds since 1970.
    since_ms: i64,
    /// The first sequence that was not read.
    next: u64,
    /// The message ids.
    ids: HashSet<String>,
    used: Instant,
}

// === impl Seen ===

impl Seen {
    /// Over this connection; nothing is read yet.
    pub(super) fn new(link: Link, spec: Arc<LiveSpec>, timeout: Duration) -> Self {
        Self {
            link,
            spec,
            timeout,
            rooms: RefCell::default(),
        }
    }

    /// Looks for the comment that would have been published with `msg_id`, and that LIVE_IN took at
    /// `received_ms`.
    pub(super) async fn find(
        &self,
        room: &RoomId,
        msg_id: &str,
        received_ms: i64,
    ) -> Result<Found, ReadError> {
        let scan = self.scan(room);
        let mut scan = scan.lock().await;
        let conn = self.link.connected().await;
        self.catch_up(&conn, room, received_ms - SKEW_MS, &mut scan)
            .await?;
        if scan.ids.contains(msg_id) {
            return Ok(Found::There);
        }
        let age_ms = crate::branch::now_ms() - received_ms;
        // Half of the window, since what the server recognises was published after LIVE_IN took it.
        if age_ms < (self.spec.out.duplicate_window.as_millis() / 2) as i64 {
            return Ok(Found::Absent);
        }
        self.forgotten(&conn, room, received_ms - SKEW_MS).await
    }

    fn scan(&self, room: &RoomId) -> Rc<Mutex<Scan>> {
        let mut rooms = self.rooms.borrow_mut();
        if rooms.len() >= ROOMS && !rooms.contains_key(room) {
            rooms.retain(|_, scan| match scan.try_lock() {
                Ok(scan) => scan.used.elapsed() < FORGET,
                Err(_) => true,
            });
            if rooms.len() >= ROOMS {
                rooms.clear();
            }
        }
        let scan = rooms.entry(room.clone()).or_insert_with(|| {
            Rc::new(Mutex::new(Scan {
                since_ms: i64::MAX,
                next: 0,
                ids: HashSet::new(),
                used: Instant::now(),
            }))
        });
        Rc::clone(scan)
    }

    /// Reads what was stored since `since_ms` and is not known yet.
    async fn catch_up(
        &self,
        conn: &Conn,
        room: &RoomId,
        since_ms: i64,
        scan: &mut Scan,
    ) -> Result<(), ReadError> {
        scan.used = Instant::now();
        let mut from = From::Sequence(scan.next);
        if since_ms < scan.since_ms {
            let since_ms = since_ms - FURTHER_MS;
            *scan = Scan {
                since_ms: i64::MAX,
                next: 0,
                ids: HashSet::new(),
                used: scan.used,
            };
            from = From::Time(since_ms);
            self.read_on(conn, room, from, scan).await?;
            scan.since_ms = since_ms;
            return Ok(());
        }
        if scan.next == 0 {
            // Nothing was stored between then and the last reading.
            from = From::Time(scan.since_ms);
        }
        self.read_on(conn, room, from, scan).await
    }

    async fn read_on(
        &self,
        conn: &Conn,
        room: &RoomId,
        mut from: From,
        scan: &mut Scan,
    ) -> Result<(), ReadError> {
        loop {
            let page = self.page(conn, room, from, BATCH).await?;
            let Some(last) = page.entries.last().map(|e| e.sequence) else {
                return Ok(());
            };
            scan.next = last + 1;
            let ids = page.entries.into_iter().filter_map(|e| e.msg_id);
            scan.ids.extend(ids);
            if page.pending == 0 {
                return Ok(());
            }
            from = From::Sequence(scan.next);
        }
    }

    /// Whether what was stored in `room` since `since_ms` may have been removed: the oldest entries always go
    /// first, so one that is older and still there says no.
    async fn forgotten(
        &self,
        conn: &Conn,
        room: &RoomId,
        since_ms: i64,
    ) -> Result<Found, ReadError> {
        let first = self.page(conn, room, From::Sequence(0), 1).await?;
        let oldest = first.entries.first().map(|e| e.stored_ms);
        if oldest.is_some_and(|ms| ms < since_ms) {
            return Ok(Found::Absent);
        }
        let count = first.entries.len() as u64 + first.pending;
        if count >= u64::from(self.spec.out.max_per_room) {
            return Ok(Found::Unknown);
        }
        // The room is not full, so it lost entries only where the whole stream did.
        let stream = conn.js.get_stream(LIVE_OUT).await;
        let stream = stream.map_err(|e| ReadError::new(&e))?;
        let state = &stream.cached_info().state;
        let first_ms = (state.first_timestamp.unix_timestamp_nanos() / 1_000_000) as i64;
        let whole = state.first_sequence <= 1 || (state.messages > 0 && first_ms < since_ms);
        Ok(if whole { Found::Absent } else { Found::Unknown })
    }

    async fn page(
        &self,
        conn: &Conn,
        room: &RoomId,
        from: From,
        batch: usize,
    ) -> Result<Page, ReadError> {
        read::page(conn, room, from, batch, BATCH_BYTES, self.timeout).await
    }
}
