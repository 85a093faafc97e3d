//! How far a client has its notifications: they are kept in the stream NOTIFY, and this says which is next.
//!
//! Promises: a client that asked for them gets its user's notifications in order, from the one after the last that it, or
//! any client of that user, has acknowledged, or after the one that it names; none is left out but what NOTIFY has
//! forgotten. What was sent and not acknowledged comes again on another socket. At most `gateway.unacknowledged` are on their way.

use std::rc::Rc;

use bytes::Bytes;

use super::conn::Conn;
use super::frame::Batch;
use super::local::Local;
use super::tally::Class;
use super::wire;
use crate::live::connect::Conn as Nats;
use crate::live::names::{self, UserId};
use crate::live::read::{self, From};
use crate::live::streams::{NOTIFY, NOTIFY_READ};
use crate::retry::Delays;

/// Notifications read at once, and their bytes.
const PAGE: usize = 50;
const PAGE_BYTES: usize = 64 << 10;

/// A client's place in its user's notifications.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// The last one that was sent.
    sent: u64,
    /// The last one that was acknowledged, and whether that is stored.
    acked: u64,
    dirty: bool,
    /// Those between the two.
    on_the_way: std::collections::VecDeque<u64>,
    /// Something reads the stream for it.
    reading: bool,
    /// There may be more than was read.
    more: bool,
}

/// A client wants its notifications.
pub(super) fn begin(local: &Rc<Local>, conn: &Rc<Conn>, after: Option<u64>) {
    if conn.notices.borrow().is_some() {
        return;
    }
    *conn.notices.borrow_mut() = Some(Cursor {
        reading: true,
        ..Cursor::default()
    });
    let (conn, _local) = (Rc::clone(conn), Rc::clone(local));
    actix_web::rt::spawn(async move {
        let acked = match after {
            Some(after) => after,
            None => acknowledged(&conn).await,
        };
        if let Some(cursor) = &mut *conn.notices.borrow_mut() {
            (cursor.sent, cursor.acked) = (acked, acked);
        }
        follow(conn).await;
    });
}

/// What this user has acknowledged; 0 where nothing is known.
async fn acknowledged(conn: &Conn) -> u64 {
    let mut delays = Delays::server();
    while conn.is_open() {
        let nats = conn.hub.link.connected().await;
        let stored = read::subject_page(
            &nats,
            (NOTIFY_READ, names::notified(&conn.user)),
            From::Sequence(1),
            1,
            PAGE_BYTES,
            conn.hub.timeout,
        );
        match stored.await {
            Ok(page) => {
                let last = page.entries.last();
                let text = last.and_then(|kept| std::str::from_utf8(&kept.payload).ok());
                return text.and_then(|text| text.parse().ok()).unwrap_or(0);
            }
            Err(why) => {
                tracing::debug!(user = %conn.user, "what was acknowledged cannot be read: {why}");
                tokio::time::sleep(delays.next_delay()).await;
            }
        }
    }
    0
}

/// Reads the stream until there is nothing more. One at a time does so for a socket.
async fn follow(conn: Rc<Conn>) {
    let mut delays = Delays::server();
    while conn.is_open() {
        let Some(sent) = conn.notices.borrow_mut().as_mut().map(|cursor| {
            cursor.more = false;
            cursor.sent
        }) else {
            return;
        };
        let nats = conn.hub.link.connected().await;
        let page = read::subject_page(
            &nats,
            (NOTIFY, names::notify(&conn.user)),
            From::Sequence(sent + 1),
            PAGE,
            PAGE_BYTES,
            conn.hub.timeout,
        );
        let page = match page.await {
            Ok(page) => page,
            Err(why) => {
                tracing::debug!(user = %conn.user, "notifications cannot be read: {why}");
                tokio::time::sleep(delays.next_delay()).await;
                continue;
            }
        };
        delays.reset();
        for kept in page.entries {
            let batch = encode(kept.sequence, &kept.payload);
            while conn.is_open() && !may_send(&conn, &batch) {
                conn.moved.notified().await;
            }
            send(&conn, kept.sequence, &batch);
        }
        let mut cursor = conn.notices.borrow_mut();
        let Some(cursor) = cursor.as_mut() else {
            return;
        };
        if page.pending == 0 && !cursor.more {
            cursor.reading = false;
            return;
        }
    }
}

fn encode(seq: u64, payload: &[u8]) -> Batch {
    Batch::one(Class::Notification, 1, 0, &wire::notification(seq, payload))
}

fn may_send(conn: &Conn, batch: &Batch) -> bool {
    let cursor = conn.notices.borrow();
    let open = cursor
        .as_ref()
        .is_some_and(|c| c.on_the_way.len() < conn.hub.settings.unacknowledged);
    open && conn.has_room(batch.bytes().len())
}

fn send(conn: &Conn, seq: u64, batch: &Batch) {
    if !conn.is_open() {
        return;
    }
    if let Some(cursor) = conn.notices.borrow_mut().as_mut() {
        cursor.sent = seq;
        cursor.on_the_way.push_back(seq);
    }
    conn.offer(batch);
}

/// A notification came, and the one before it of the same user has the sequence `before`.
pub(super) fn notice(conn: &Rc<Conn>, seq: u64, before: u64, payload: &Bytes) {
    let next = match conn.notices.borrow_mut().as_mut() {
        None => return,
        Some(cursor) if seq <= cursor.sent => return,
        Some(cursor) if cursor.reading => {
            cursor.more = true;
            return;
        }
        Some(cursor) => before <= cursor.sent,
    };
    let batch = encode(seq, payload);
    if next && may_send(conn, &batch) {
        send(conn, seq, &batch);
    } else {
        resync(conn);
    }
}

/// Some may have been missed: the stream has them.
pub(super) fn resync(conn: &Rc<Conn>) {
    match conn.notices.borrow_mut().as_mut() {
        None => return,
        Some(cursor) if cursor.reading => {
            cursor.more = true;
            return;
        }
        Some(cursor) => cursor.reading = true,
    }
    actix_web::rt::spawn(follow(Rc::clone(conn)));
}

/// The client has seen everything up to this one.
pub(super) fn acknowledge(conn: &Rc<Conn>, seq: u64) -> Result<(), String> {
    {
        let mut cursor = conn.notices.borrow_mut();
        let Some(cursor) = cursor.as_mut() else {
            return Err("ask for notifications first: {\"type\":\"notify\"}".to_owned());
        };
        if seq > cursor.sent {
            return Err(format!("no notification {seq} was sent here"));
        }
        if seq > cursor.acked {
            cursor.acked = seq;
            cursor.dirty = true;
        }
        while cursor.on_the_way.front().is_some_and(|first| *first <= seq) {
            cursor.on_the_way.pop_front();
        }
    }
    conn.moved.notify_waiters();
    Ok(())
}

/// Stores what was acknowledged since the last time. It is called about once a second: what is acknowledged in the second
/// before a crash comes again.
pub(super) fn store(conn: &Rc<Conn>) {
    let Some(nats) = conn.hub.link.now() else {
        return;
    };
    let acked = match conn.notices.borrow_mut().as_mut() {
        Some(cursor) if cursor.dirty => {
            cursor.dirty = false;
            cursor.acked
        }
        Some(_) | None => return,
    };
    let conn = Rc::clone(conn);
    actix_web::rt::spawn(async move {
        if let Err(why) = keep(&nats, &conn.user, acked).await {
            tracing::debug!(user = %conn.user, "what was acknowledged is not stored yet: {why}");
            if let Some(cursor) = conn.notices.borrow_mut().as_mut() {
                cursor.dirty = true;
            }
        }
    });
}

async fn keep(nats: &Nats, user: &UserId, acked: u64) -> Result<(), String> {
    let sent = nats
        .js
        .publish(names::notified(user), acked.to_string().into())
        .await;
    let stored = sent.map_err(|e| e.to_string())?.await;
    stored.map(|_| ()).map_err(|e| e.to_string())
}

/// The socket has ended: what was acknowledged is stored, also where its thread is ending.
pub(super) fn ended(conn: &Conn) {
    let cursor = conn.notices.borrow_mut().take();
    let (Some(cursor), Some(nats)) = (cursor.filter(|c| c.dirty), conn.hub.link.now()) else {
        return;
    };
    let user = conn.user.clone();
    conn.hub.spawn(async move {
        if let Err(why) = keep(&nats, &user, cursor.acked).await {
            tracing::debug!(%user, "what was acknowledged is not stored, and comes again: {why}");
        }
    });
}
