//! A room's viewers on one thread: who has joined, and the fan-out to them.

use std::rc::{Rc, Weak};

use tokio::sync::mpsc;

use super::conn::Conn;
use super::frame::Batch;
use super::local::Local;
use super::rooms::{Joined, ToViewers};
use super::wire::Says;
use crate::live::names::RoomId;

/// Sockets that are written to before the thread does something else: about half a millisecond.
const TURN: usize = 64;

/// Takes what the room brings until it ends, or until nobody is left.
pub(super) async fn run(
    local: Rc<Local>,
    room: RoomId,
    outlet: u64,
    mut told: mpsc::Receiver<ToViewers>,
) {
    // A socket that ends gives up its place at once, however long the room has nothing to show.
    let mut viewers: Vec<Weak<Conn>> = Vec::new();
    while let Some(what) = told.recv().await {
        match what {
            ToViewers::Joined(joined) => {
                if let Some(conn) = local.conn(joined.ticket) {
                    welcome(&conn, &joined);
                    if viewers.len() == viewers.capacity() {
                        viewers.retain(|viewer| viewer.strong_count() > 0);
                    }
                    viewers.push(Rc::downgrade(&conn));
                }
            }
            ToViewers::Behind(ticket) => {
                if let Some(conn) = local.conn(ticket) {
                    // It is no viewer of this outlet: that the outlet may end now is nothing to it.
                    conn.outlet.set(0);
                    local.catch_up(conn);
                }
            }
            ToViewers::Batch(batch) => fan_out(&mut viewers, &batch).await,
        }
    }
    // Either everyone has left, or the room has failed.
    local.room_ended(&room, outlet);
}

/// A greeting, and what there is to see.
fn welcome(conn: &Conn, joined: &Joined) {
    conn.say(&Says::Hello {
        room: conn.room.as_str(),
        user: conn.user.as_str(),
        seq: joined.last,
        moderates: conn.moderates,
        expires: conn.expires,
        total: joined.totals.map(|t| t.total),
        viewers: joined.totals.map(|t| t.viewers),
        reset: joined.reset,
    });
    if !joined.backlog.parts().is_empty() {
        conn.offer(&joined.backlog);
    }
    conn.last.set(joined.last);
}

/// Sends to everyone, a few at a time. Who is gone is forgotten.
async fn fan_out(viewers: &mut Vec<Weak<Conn>>, batch: &Batch) {
    let mut at = 0;
    let mut turn = 0;
    while at < viewers.len() {
        match viewers[at].upgrade().filter(|conn| conn.is_open()) {
            Some(conn) => {
                conn.offer(batch);
                at += 1;
            }
            None => {
                viewers.swap_remove(at);
            }
        }
        turn += 1;
        if turn == TURN {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
}
