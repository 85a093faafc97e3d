//! A room's actor: it judges the room's comments in their order, closes its windows of likes, counts its viewers
//! and answers its moderators.
//!
//! It keeps nothing that its failure would lose: what is in its hands is answered with an error, and comes again;
//! the rest is in [`Room`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use super::parts::Part;
use super::state::{Room, Shared};
use super::text;
use super::{RoomsError, Verdict};
use crate::live::limits::{Charge, Limit};
use crate::live::moderation::{Bar, Mark, now_ms};
use crate::live::names::UserId;
use crate::live::wire::{Comment, Reason, Refused, Shown};
use crate::supervise::{Exit, Incarnation};

/// A room's actor.
pub(super) struct RoomActor {
    shared: Arc<Shared>,
    room: Arc<Room>,
    incarnation: Incarnation,
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
pub(super) struct Queue {
    pub(super) waiting: RefCell<VecDeque<Waiting>>,
    pub(super) filled: Notify,
}

/// A comment that waits for its turn. Where the actor fails meanwhile it was over another one, so that this one
/// is to be judged again as if it had not been here.
pub(super) struct Waiting(pub(super) Option<Looked>);

/// A comment that only the limits have still to pass.
pub(super) struct Looked {
    pub(super) charge: Charge,
    pub(super) shown: Shown,
    pub(super) verdict: Answering,
    _place: OwnedSemaphorePermit,
}

/// Why a comment is not shown.
pub(super) struct No {
    code: Reason,
    detail: String,
    retry_after_ms: Option<u64>,
}

// === impl RoomActor ===

impl RoomActor {
    /// The steps at which tests may make it fail.
    pub(super) const STEPS: &'static [&'static str] = &["judge", "charge", "fold", "count", "ask"];

    pub(super) fn new(shared: Arc<Shared>, room: Arc<Room>, incarnation: Incarnation) -> Self {
        Self {
            shared,
            room,
            incarnation,
            queue: Rc::default(),
        }
    }

    /// What one of its loops is given.
    fn part(&self, activity: &'static str) -> Part {
        Part {
            shared: Arc::clone(&self.shared),
            room: Arc::clone(&self.room),
            progress: self.incarnation.progress.activity(activity),
            steps: self.incarnation.steps.clone(),
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
        // A loop that is made to fail ends the actor by itself.
        let charging = self.part("charging").charge(Rc::clone(&self.queue));
        ctx.spawn(charging.into_actor(self).map(|_, _, _| ()));
        let counting = self.part("counting").count();
        ctx.spawn(counting.into_actor(self).map(|_, _, _| ()));
        let folding = self.part("folding").fold().into_actor(self);
        ctx.spawn(folding.map(|folded, actor: &mut Self, ctx| {
            if folded.is_ok() {
                actor.incarnation.exit.set(Exit::Completed);
                ctx.stop();
            }
        }));
    }
}

impl Handler<Judge> for RoomActor {
    type Result = ();

    fn handle(&mut self, judge: Judge, _: &mut Self::Context) {
        if self.incarnation.steps.at("judge").is_err() {
            return;
        }
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
        if self.incarnation.steps.at("ask").is_err() {
            return;
        }
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

    pub(super) fn early(limit: Limit, ms: u64) -> Self {
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

    pub(super) fn refused(self, room: &Room, seq: u64, cid: Option<String>) -> Refused {
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

pub(super) fn give(shared: &Shared, room: &Room, to: Answering, verdict: Verdict) {
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
