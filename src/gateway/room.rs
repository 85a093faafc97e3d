//! A room in this process: what comes of it from NATS, in order and without holes, to all who watch.
//!
//! Promises: a viewer who joined gets every entry that follows, in the order of LIVE_OUT, each once, or is told of a gap.
//! What is forged, which is what lacks `Nats-Stream: LIVE_OUT`, is dropped. Where it fails, the threads that serve its
//! viewers notice, and let them join another one after the last entry that each has.

mod place;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::frame::{Batch, Writer};
use super::history::Gap;
use super::hub::Hub;
use super::recent::{self, Recent, Seen};
use super::rooms::{Command, Join, Joined, Start, ToViewers};
use super::tally::{Class, count};
use super::wire::{self, Says};
use crate::live::connect::Conn;
use crate::live::names::{self, RoomId, UserId};
use crate::live::streams::LIVE_OUT;
use crate::live::wire::Likes;
use crate::retry::Delays;

/// Between two fan-outs of a room: below what anybody sees, and 250 writes a second to a viewer at the most.
const PACE: Duration = Duration::from_millis(4);
/// A room whose last viewer has left stays open for a reload of the page.
const LINGER: Duration = Duration::from_secs(5);
/// Messages that are taken before those that came are sent on: what an overloaded room has within a fan-out.
const TAKEN: usize = 1_024;
/// For so long the history is asked again before viewers are told of a gap: workers restart within that.
const PATIENCE: Duration = Duration::from_secs(10);

/// A room of this process.
pub(super) struct Room {
    id: RoomId,
    hub: Arc<Hub>,
    commands: mpsc::Receiver<Command>,
    outlets: HashMap<u64, mpsc::Sender<ToViewers>>,
    /// Who joins once the room knows where it is.
    waiting: Vec<Join>,
    /// The last entry that was taken; `None` where nothing is known yet.
    last: Option<u64>,
    recent: Recent,
    totals: Option<Likes>,
    pending: Pending,
    sent: Instant,
    /// In whose name the history is asked: the first who joined.
    asker: Option<UserId>,
    empty_since: Instant,
    /// When it was last sought in vain where the room is.
    unplaced: Option<Instant>,
}

/// What goes out next.
#[derive(Debug, Default)]
struct Pending {
    entries: Vec<Seen>,
    totals: Option<Likes>,
    gap: Option<Gap>,
    reset: bool,
}

/// How an entry is placed on the feed.
struct Placed {
    seq: u64,
    before: u64,
}

/// Why a connection is not used any more.
enum Over {
    /// It was lost.
    Lost,
    /// Nobody is there.
    Empty,
}

// === impl Pending ===

impl Pending {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.totals.is_none() && self.gap.is_none() && !self.reset
    }
}

// === impl Placed ===

impl Placed {
    /// The place of an entry; `None` for what the server did not put there.
    fn of(message: &Message) -> Option<Self> {
        let headers = message.headers.as_ref()?;
        // Where a header is there several times, the last one is the server's.
        let header = |name: &str| headers.get_last(name).map(|v| v.as_str());
        (header("Nats-Stream")? == LIVE_OUT).then_some(())?;
        Some(Self {
            seq: header("Nats-Sequence")?.parse().ok()?,
            before: header("Nats-Last-Sequence")?.parse().ok()?,
        })
    }
}

// === impl Room ===

impl Room {
    pub(super) fn new(id: RoomId, hub: Arc<Hub>, commands: mpsc::Receiver<Command>) -> Self {
        let now = Instant::now();
        Self {
            id,
            hub,
            commands,
            outlets: HashMap::new(),
            waiting: Vec::new(),
            last: None,
            recent: Recent::default(),
            totals: None,
            pending: Pending::default(),
            sent: now.checked_sub(PACE).unwrap_or(now),
            asker: None,
            empty_since: now,
            unplaced: None,
        }
    }

    /// Lives until nobody has been there for some time.
    pub(super) async fn run(mut self) {
        let mut delays = Delays::server();
        loop {
            let link = self.hub.link.clone();
            let conn = tokio::select! {
                conn = link.connected() => conn,
                command = self.commands.recv() => {
                    self.note(command);
                    continue;
                }
            };
            match self.over(&conn).await {
                Ok(Over::Lost) => delays.reset(),
                Ok(Over::Empty) => break,
                Err(why) => {
                    tracing::warn!(room = %self.id, "the room cannot be subscribed to, and is tried again: {why}");
                    tokio::time::sleep(delays.next_delay()).await;
                }
            }
        }
        let hub = Arc::clone(&self.hub);
        hub.rooms.closed(&self.id, &mut self.commands);
        // Who came at the last moment finds another one.
        while let Some(command) = self.commands.recv().await {
            match command {
                Command::Join(join) => hub.rooms.join(&hub, &self.id, join).await,
                Command::Leave(_) => {}
            }
        }
    }

    /// While one connection holds.
    async fn over(&mut self, conn: &Conn) -> Result<Over, async_nats::SubscribeError> {
        let mut feed = conn.client.subscribe(names::feed(&self.id)).await?;
        let mut totals = conn.client.subscribe(names::likes(&self.id)).await?;
        let link = self.hub.link.clone();
        tokio::select! {
            () = self.find_place() => {}
            () = link.lost(conn.epoch) => return Ok(Over::Lost),
        }
        self.flush().await;
        for join in std::mem::take(&mut self.waiting) {
            self.join(join).await;
        }
        loop {
            let due = self.sent + PACE;
            let empty = self.outlets.is_empty() && self.waiting.is_empty();
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(Command::Join(join)) => self.join(join).await,
                    other => self.note(other),
                },
                () = tokio::time::sleep_until(due), if !self.pending.is_empty() => self.flush().await,
                message = feed.next() => match message {
                    Some(message) => self.take(message, &mut feed).await,
                    None => return Ok(Over::Lost),
                },
                message = totals.next() => match message {
                    Some(message) => self.total(&message.payload),
                    None => return Ok(Over::Lost),
                },
                () = link.lost(conn.epoch) => return Ok(Over::Lost),
                () = tokio::time::sleep_until(self.empty_since + LINGER), if empty => return Ok(Over::Empty),
            }
            if !self.pending.is_empty() && self.sent.elapsed() >= PACE {
                self.flush().await;
            }
        }
    }

    /// A command that needs no connection.
    fn note(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Join(join)) => self.waiting.push(join),
            Some(Command::Leave(outlet)) => {
                self.outlets.remove(&outlet);
                self.empty_since = Instant::now();
            }
            // The list of rooms keeps the sender until `closed`.
            None => {}
        }
    }

    async fn join(&mut self, join: Join) {
        self.asker.get_or_insert_with(|| join.user.clone());
        if self.last.is_none() && self.unplaced.is_none_or(|at| at.elapsed() > PATIENCE) {
            // The first who comes: only now somebody can be asked in their name.
            self.find_place().await;
        }
        // Whoever joins after a batch must not get it as well.
        self.flush().await;
        let (backlog, reset) = match join.start {
            Start::Last(n) => (Some(self.recent.last(n)), false),
            Start::After(seq) => self.after(seq).await,
        };
        let last = self.last.unwrap_or(0);
        let answer = match backlog {
            Some(backlog) => {
                self.outlets.insert(join.outlet, join.to.clone());
                ToViewers::Joined(Joined {
                    ticket: join.ticket,
                    backlog,
                    last,
                    totals: self.totals,
                    reset,
                })
            }
            None => ToViewers::Behind(join.ticket),
        };
        if join.to.send(answer).await.is_err() {
            self.outlets.remove(&join.outlet);
        }
        self.empty_since = Instant::now();
    }

    /// What somebody lacks who has seen the entry `seq`, where it is here; and whether it was one of another stream.
    async fn after(&mut self, seq: u64) -> (Option<Batch>, bool) {
        if self.last.is_some_and(|last| seq > last) {
            // Another process may have been told earlier.
            if self.follow().await.is_err() {
                return (None, false);
            }
        }
        match self.last {
            None => (None, false),
            Some(last) if seq > last => (Some(self.recent.last(self.hub.settings.recent)), true),
            Some(_) => (self.recent.after(seq), false),
        }
    }

    /// A message of the feed, and those that are there behind it.
    async fn take(&mut self, first: Message, feed: &mut Subscriber) {
        let mut next = Some(first);
        let mut taken = 0;
        while let Some(message) = next {
            self.entry(&message).await;
            taken += 1;
            if taken == TAKEN {
                break;
            }
            next = feed.next().now_or_never().flatten();
        }
    }

    async fn entry(&mut self, message: &Message) {
        let placed = Placed::of(message);
        let entry = placed.and_then(|p| {
            let seen = Seen::new(p.seq, message.payload.clone())?;
            Some((p, seen))
        });
        let Some((place, entry)) = entry else {
            count(&self.hub.tally.forged);
            return;
        };
        match self.last {
            Some(last) if place.seq <= last => return,
            Some(last) if place.before != last => {
                count(&self.hub.tally.gaps);
                self.heal(place.seq).await;
                if self.last.is_some_and(|last| place.seq <= last) {
                    return;
                }
            }
            Some(_) | None => {}
        }
        self.append(entry);
    }

    fn append(&mut self, entry: Seen) {
        self.last = Some(entry.seq);
        self.recent.push(entry.clone());
        self.pending.entries.push(entry);
    }

    fn total(&mut self, payload: &[u8]) {
        // Anybody can have the server's acknowledgement of a comment delivered here: it has no total.
        let Ok(told) = serde_json::from_slice::<Likes>(payload) else {
            count(&self.hub.tally.forged);
            return;
        };
        let highest = self.totals.map_or(0, |t| t.total).max(told.total);
        let now = Likes {
            total: highest,
            viewers: told.viewers,
        };
        if self.totals != Some(now) {
            self.totals = Some(now);
            self.pending.totals = Some(now);
        }
    }

    /// Sends what is pending to everyone. A thread that has not done the last one is waited for, and what comes
    /// meanwhile goes into the next.
    async fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        self.sent = Instant::now();
        if self.outlets.is_empty() {
            return;
        }
        let mut writer = Writer::default();
        if pending.reset {
            writer.text(Class::Answer, 1, 0, &Says::Reset {}.json());
        }
        if let Some(Gap { after, before }) = pending.gap {
            writer.text(Class::Answer, 1, 0, &Says::Gap { after, before }.json());
        }
        recent::write(&mut writer, &pending.entries);
        if let Some(totals) = pending.totals {
            writer.text(Class::Like, 1, 0, &wire::likes(totals));
        }
        count(&self.hub.tally.frames);
        let batch = writer.finish();
        let mut gone = Vec::new();
        for (id, outlet) in &self.outlets {
            if outlet.send(ToViewers::Batch(batch.clone())).await.is_err() {
                gone.push(*id);
            }
        }
        for id in gone {
            self.outlets.remove(&id);
            self.empty_since = Instant::now();
        }
    }
}
