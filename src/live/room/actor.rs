//! A room's actor: it judges the room's comments in their order, closes its windows of likes, counts its viewers
//! and answers its moderators.
//!
//! It keeps nothing that its failure would lose: what is in its hands is answered with an error, and comes again;
//! the rest is in [`Room`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use super::state::{Room, Shared};
use super::text;
use super::{RoomsError, Verdict};
use crate::live::limits::{Answer, Charge, Limit, Local};
use crate::live::moderation::{Bar, Mark, now_ms};
use crate::live::names::UserId;
use crate::live::viewers;
use crate::live::wire::{Comment, Reason, Refused, Shown};
use crate::retry::Delays;
use crate::supervise::{Exit, ExitSlot};

/// Comments that are charged with one call to Redis. What comes meanwhile waits for the next one, 0.2 ms later.
const BATCH: usize = 64;

/// A room's actor.
pub(super) struct RoomActor {
    shared: Arc<Shared>,
    room: Arc<Room>,
    exit: ExitSlot,
    queue: Rc<Queue>,
}

/// A comment that is to be judged.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Judge {
    pub(super) user: UserId,
    pub(super) seq: u64,
    pub(super) received_ms: i64,
    pub(super) comment: Comment,
    /// Dropped with the message where the actor fails over it.
    pub(super) verdict: Answering,
    pub(super) place: OwnedSemaphorePermit,
}

/// Where a verdict goes.
pub(super) type Answering = oneshot::Sender<Result<Verdict, RoomsError>>;

/// A moderator's request.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Ask {
    pub(super) by: UserId,
    pub(super) request: Vec<u8>,
    pub(super) reply: oneshot::Sender<Vec<u8>>,
    pub(super) place: OwnedSemaphorePermit,
}

/// Comments that are to be charged.
#[derive(Default)]
struct Queue {
    waiting: RefCell<VecDeque<Waiting>>,
    filled: Notify,
}

/// A comment that waits for its turn. Where the actor fails meanwhile it was over another one, so that this one
/// is to be judged again as if it had not been here.
struct Waiting(Option<Looked>);

/// A comment that only the limits have still to pass.
struct Looked {
    charge: Charge,
    shown: Shown,
    verdict: Answering,
    _place: OwnedSemaphorePermit,
}

/// Why a comment is not shown.
struct No {
    code: Reason,
    detail: String,
    retry_after_ms: Option<u64>,
}

// === impl RoomActor ===

impl RoomActor {
    pub(super) fn new(shared: Arc<Shared>, room: Arc<Room>, exit: ExitSlot) -> Self {
        Self {
            shared,
            room,
            exit,
            queue: Rc::default(),
        }
    }

    /// Everything that can be said without asking anybody, from the cheap to the dear.
    fn look(&self, judge: &Judge) -> Result<(Charge, Shown), No> {
        let comment = &judge.comment;
        let text =
            text::check(comment, self.shared.spec.comments.max_chars).map_err(|fault| No {
                code: fault.code,
                detail: fault.detail,
                retry_after_ms: None,
            })?;
        let mark = Mark::of(&judge.user);
        let rules = self.shared.moderation.rules(&self.room.id);
        if let Some(bar) = rules.as_ref().and_then(|r| r.bar(mark, now_ms())) {
            return Err(No::barred(bar));
        }
        let room_filter = rules.as_ref().map(|r| r.filter());
        if self.shared.keywords.hits(&text.normal)
            || room_filter.is_some_and(|filter| filter.hits(&text.normal))
        {
            return Err(No {
                code: Reason::Keyword,
                detail: "it holds a word that this room does not take".to_owned(),
                retry_after_ms: None,
            });
        }
        let mark = mark.to_string();
        let charge = Charge {
            user: judge.user.clone(),
            mark: mark.clone(),
            seq: judge.seq,
            slow: rules.map_or(Duration::ZERO, |r| r.slow()),
        };
        let shown = Shown {
            id: judge.seq.to_string(),
            progress: comment.progress,
            mode: comment.mode,
            fontsize: comment.fontsize,
            color: comment.color,
            mid_hash: mark,
            content: text.shown,
            ctime: judge.received_ms,
            weight: 0,
            cid: comment.cid.clone(),
        };
        Ok((charge, shown))
    }
}

impl Actor for RoomActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (shared, room) = (Arc::clone(&self.shared), Arc::clone(&self.room));
        ctx.spawn(
            charge(
                Arc::clone(&shared),
                Arc::clone(&room),
                Rc::clone(&self.queue),
            )
            .into_actor(self),
        );
        ctx.spawn(count(Arc::clone(&shared), Arc::clone(&room)).into_actor(self));
        let folded = fold(shared, room).into_actor(self);
        ctx.spawn(folded.map(|(), actor: &mut Self, ctx: &mut Self::Context| {
            actor.exit.set(Exit::Stopped);
            ctx.stop();
        }));
    }
}

impl Handler<Judge> for RoomActor {
    type Result = ();

    fn handle(&mut self, judge: Judge, _: &mut Self::Context) {
        match self.look(&judge) {
            Ok((charge, shown)) => {
                self.queue
                    .waiting
                    .borrow_mut()
                    .push_back(Waiting(Some(Looked {
                        charge,
                        shown,
                        verdict: judge.verdict,
                        _place: judge.place,
                    })));
                self.queue.filled.notify_one();
            }
            Err(no) => {
                let refused = no.refused(&self.room, judge.seq, judge.comment.cid);
                give(
                    &self.shared,
                    &self.room,
                    judge.verdict,
                    Verdict::Refused(refused),
                );
            }
        }
    }
}

impl Handler<Ask> for RoomActor {
    type Result = ();

    fn handle(&mut self, ask: Ask, ctx: &mut Self::Context) {
        let (shared, room) = (Arc::clone(&self.shared), Arc::clone(&self.room));
        let answering = async move {
            let answer = shared.desk.answer(&room.id, &ask.by, &ask.request).await;
            // Whoever asked may have stopped waiting.
            let _ = ask.reply.send(answer);
            drop(ask.place);
        };
        ctx.spawn(answering.into_actor(self));
    }
}

// === impl Waiting ===

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(looked) = self.0.take() {
            let why = "the room's actor ended over something else; it is made anew".to_owned();
            // Whoever waited may have given up.
            let _ = looked.verdict.send(Err(RoomsError::Unavailable(why)));
        }
    }
}

// === impl No ===

impl No {
    fn barred(bar: Bar) -> Self {
        let (code, detail, retry_after_ms) = match bar {
            Bar::Banned => (
                Reason::Banned,
                "a moderator has banned you from this room",
                None,
            ),
            Bar::Muted(ms) => (
                Reason::Muted,
                "a moderator has muted you for a while",
                Some(ms),
            ),
            Bar::Silenced => (Reason::Silenced, "nobody may write in this room now", None),
        };
        Self {
            code,
            detail: detail.to_owned(),
            retry_after_ms,
        }
    }

    fn early(limit: Limit, ms: u64) -> Self {
        let (code, detail) = match limit {
            Limit::Slow => (Reason::SlowMode, "the room is in slow mode"),
            Limit::User => (Reason::RateLimited, "you write faster than a room takes it"),
            Limit::Room => (Reason::RoomBusy, "too many write in this room at once"),
        };
        Self {
            code,
            detail: format!("{detail}: wait {ms} ms"),
            retry_after_ms: Some(ms),
        }
    }

    fn refused(self, room: &Room, seq: u64, cid: Option<String>) -> Refused {
        Refused {
            room: room.id.to_string(),
            what: "comment".to_owned(),
            // One that is too long is not sent back.
            cid: cid.filter(|_| self.code != Reason::Malformed),
            code: self.code,
            detail: self.detail,
            retry_after_ms: self.retry_after_ms,
            id: Some(seq.to_string()),
        }
    }
}

/// 0 to 10: how much of what an author may send at once is left. One who has been quiet weighs 10, one at the
/// limit least, so that a client that cannot show all shows everyone something.
fn weight(left: u32, burst: u32) -> u8 {
    let burst = u64::from(burst.max(1));
    let left = (u64::from(left) + 1).min(burst);
    u8::try_from((10 * left).div_ceil(burst)).unwrap_or(10)
}

fn give(shared: &Shared, room: &Room, to: Answering, verdict: Verdict) {
    let accepted = match &verdict {
        Verdict::Accepted(_) => true,
        Verdict::Refused(_) => false,
    };
    // Whoever waited may have given up: then the comment comes again, and is counted then.
    match (to.send(Ok(verdict)).is_ok(), accepted) {
        (true, true) => {
            shared.stats.accepted.add(1);
            room.stats.accepted.add(1);
        }
        (true, false) => room.stats.refused.add(1),
        (false, _) => {}
    }
}

/// Charges what waits, batch by batch, for ever.
async fn charge(shared: Arc<Shared>, room: Arc<Room>, queue: Rc<Queue>) {
    let mut local = Local::default();
    loop {
        // From here on a failure is over these.
        let batch: Vec<Looked> = {
            let mut waiting = queue.waiting.borrow_mut();
            let n = waiting.len().min(BATCH);
            waiting.drain(..n).filter_map(|mut w| w.0.take()).collect()
        };
        if batch.is_empty() {
            queue.filled.notified().await;
            continue;
        }
        let charges: Vec<Charge> = batch.iter().map(|looked| looked.charge.clone()).collect();
        let answers = shared
            .limits
            .charge(&room.id, &charges, &mut local, &shared.stats)
            .await;
        for (looked, answer) in batch.into_iter().zip(answers) {
            let mut shown = looked.shown;
            let verdict = match answer {
                Answer::Passes { left } => {
                    shown.weight = weight(left, shared.limits.burst());
                    Verdict::Accepted(shown)
                }
                Answer::Waits { limit, ms } => {
                    let no = No::early(limit, ms);
                    Verdict::Refused(no.refused(&room, looked.charge.seq, shown.cid))
                }
            };
            give(&shared, &room, looked.verdict, verdict);
        }
    }
}

/// Closes a window of likes each time that one is due and adds it, until the end, when it adds what there is.
async fn fold(shared: Arc<Shared>, room: Arc<Room>) {
    let mut stopping = std::pin::pin!(shared.stopping());
    let mut ending = false;
    // What the incarnation before this one was about to add comes first.
    let mut due = !room.tally.is_settled();
    loop {
        if !due && !ending {
            if room.open.is_empty() {
                tokio::select! {
                    () = room.liked.notified() => {}
                    () = &mut stopping => ending = true,
                }
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(shared.spec.likes.window) => {}
                () = &mut stopping => ending = true,
            }
        }
        due = false;
        if add(&shared, &room).await.is_none() && ending {
            return;
        }
    }
}

/// Adds the window that is due, however often it takes. `None`: there was none.
async fn add(shared: &Shared, room: &Room) -> Option<()> {
    let window = room.tally.next(&room.open)?;
    let stats = &shared.stats;
    let mut delays = Delays::server();
    let mut tries = 0_u64;
    loop {
        match shared.likes.send(&room.id, &room.tally, window).await {
            Ok(told) => {
                stats.windows.add(1);
                stats.likes_added.add(window.likes);
                if told.forgot {
                    stats.totals_raised.add(1);
                    tracing::error!(
                        room = %room.id,
                        total = told.total,
                        "Redis has lost likes that it had acknowledged; the total is raised to what was last told"
                    );
                }
                if tries > 0 {
                    tracing::debug!(room = %room.id, tries, had = told.had, "likes are added again");
                }
                shared.tell(room, told.total).await;
                return Some(());
            }
            Err(why) => {
                tracing::debug!(room = %room.id, likes = window.likes, "likes wait to be added: {why}");
                tries += 1;
                stats.windows_retried.add(1);
            }
        }
        if let Some(lost) = room.tally.expire() {
            stats.likes_lost.add(lost.likes);
            tracing::error!(
                room = %room.id,
                likes = lost.likes,
                messages = lost.messages,
                "a window of likes is given up after hours without Redis: it might be added twice"
            );
            return Some(());
        }
        tokio::time::sleep(delays.next_delay()).await;
    }
}

/// Brings heartbeats and counts viewers each second while there are any, until the end.
async fn count(shared: Arc<Shared>, room: Arc<Room>) {
    let mut stopping = std::pin::pin!(shared.stopping());
    loop {
        if room.here.is_empty() && room.viewers.load(Ordering::Relaxed) == 0 {
            tokio::select! {
                () = room.beaten.notified() => {}
                () = &mut stopping => return,
            }
            continue;
        }
        let users = room.here.take();
        match shared.viewers.flush(&room.id, &users).await {
            Ok(counted) => {
                room.viewers.store(counted.viewers, Ordering::Relaxed);
                let total = room.tally.hear(counted.total);
                if counted.announce {
                    shared.tell(&room, total).await;
                }
            }
            Err(why) => {
                shared.stats.here_shed.add(users.len() as u64);
                tracing::debug!(room = %room.id, "viewers are not counted: {why}");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(viewers::EVERY) => {}
            () = &mut stopping => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quiet_weigh_most_and_nobody_nothing() {
        assert_eq!((weight(4, 5), weight(0, 5), weight(0, 100)), (10, 2, 1));
        assert_eq!((weight(0, 1), weight(u32::MAX, 5)), (10, 10));
    }
}
