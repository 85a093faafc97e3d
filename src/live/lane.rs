//! The live lane of one process: started, shown, and ended in order.
//!
//! Three connections and two threads. Comments have one of each for themselves: a flood of likes is never in
//! front of a comment's acknowledgement, neither on the wire nor on the thread. History has a connection of
//! its own since its answers are large.
//!
//! At the end the parts that take from NATS stop first and see through what is in hand, then the rooms end.
//! What is left when the time is over is delivered again to another worker.

use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use tokio::sync::watch;

use super::connect::Link;
use super::dead::recover;
use super::load::Load;
use super::room::Rooms;
use super::service::{Service, Work};
use super::tally::Tally;
use super::trouble::Trouble;
use super::{inbox, receive, requests, room};
use crate::config::{LiveSpec, NatsSettings};
use crate::supervise::{self, Child, ChildSpec, Incarnation, Tree};

/// What `twolane run` calls the lane among its pipelines.
pub const NAME: &str = "live";

/// Messages that the comments' subscriptions hold: what one worker may have asked for, and a page of LIVE_OUT.
const COMMENTS: usize = 8 * 1_024;
/// Likes that wait for the receiving thread: a tenth of a second at 500,000/s. Beyond them the client drops,
/// and counts.
const LIKES: usize = 64 * 1_024;
/// Requests that wait for the receiving thread.
const REQUESTS: usize = 8 * 1_024;
/// Restarts of one part within [`WITHIN`]; one more ends the process. A comment that kills its worker does so
/// once a delivery at the most.
const MAX_RESTARTS: u32 = 10;
/// The window.
const WITHIN: Duration = Duration::from_secs(60);
/// A part that has work and does not get on for this long is made anew.
pub(super) const STALL: Duration = Duration::from_secs(3);
/// Nobody sends messages to these actors.
const MAILBOX: usize = 1;
/// What ending takes beyond the time for what is in hand: the last pull request must expire.
const GRACE: Duration = Duration::from_secs(2);

/// Makes a part's work for an incarnation of it.
type Making = Box<dyn Fn(&Incarnation) -> Work + Send + Sync>;

/// The steps of a part at which tests may make it fail.
type Steps = &'static [&'static str];

/// The live lane at work.
pub struct LiveLane {
    status: Arc<LiveStatus>,
    rooms: Rooms,
    intake: Vec<Child<Service>>,
    recovery: Child<Service>,
    stop: watch::Sender<bool>,
    arbiters: Vec<Arbiter>,
    drain: Duration,
}

/// What can be seen of the live lane.
#[derive(Debug)]
pub struct LiveStatus {
    /// What became of what was received.
    pub tally: Arc<Tally>,
    /// Whether it is too much.
    pub load: Arc<Load>,
    /// What comments wait for.
    pub trouble: Arc<Trouble>,
    /// The connections.
    pub links: Vec<Link>,
    /// Comments that this worker may have in hand.
    pub worker_pending: u32,
}

// === impl LiveLane ===

impl LiveLane {
    /// Starts every part. Must be called within an actix system. Servers that are away, and streams that have
    /// not been made, are waited for. `drain` is how long the end may take for what is in hand.
    pub fn start(
        nats: &NatsSettings,
        spec: &Arc<LiveSpec>,
        rooms: Rooms,
        drain: Duration,
        tree: &Arc<Tree>,
    ) -> Self {
        let (comments, crowd) = (Arbiter::new(), Arbiter::new());
        let link = Link::open(nats, &comments.handle(), "comments", COMMENTS);
        let likes = Link::open(nats, &crowd.handle(), "likes", LIKES);
        let asked = Link::open(nats, &crowd.handle(), "requests", REQUESTS);
        let status = Arc::new(LiveStatus {
            tally: Arc::default(),
            load: Arc::default(),
            trouble: Arc::default(),
            links: vec![link.clone(), likes.clone(), asked.clone()],
            worker_pending: spec.inbox.worker_pending,
        });
        let (stop, stopped) = watch::channel(false);
        let start = |arbiter: &Arbiter, spec: ChildSpec, work: Making| {
            let made = move |i: &Incarnation| Ok(Service::new(work(i), i));
            supervise::start(&arbiter.handle(), Arc::clone(tree), spec, made)
        };
        let watched = |part: &str, steps: Steps| ChildSpec {
            stall: Some(STALL),
            steps,
            ..child(part)
        };
        let recovery = {
            let (link, tally) = (link.clone(), Arc::clone(&status.tally));
            let (stop, never) = watch::channel(false);
            let work = move |_: &Incarnation| -> Work {
                // It is ended by its supervisor alone, after the others.
                let _stop = &stop;
                Box::pin(recover::run(
                    link.clone(),
                    Arc::clone(&tally),
                    never.clone(),
                ))
            };
            start(&comments, child("dead-letters"), Box::new(work))
        };
        let inbox = {
            let (spec, status) = (Arc::clone(spec), Arc::clone(&status));
            let (rooms, stopped) = (rooms.clone(), stopped.clone());
            let timeout = nats.timeout;
            let work = move |incarnation: &Incarnation| -> Work {
                let env = inbox::Env::new(
                    incarnation.clone(),
                    link.clone(),
                    rooms.clone(),
                    Arc::clone(&spec),
                    &status,
                    timeout,
                    drain,
                );
                Box::pin(inbox::run(env, stopped.clone()))
            };
            start(&comments, watched("comments", inbox::STEPS), Box::new(work))
        };
        let requests = {
            let env = requests::Env {
                link: asked,
                rooms: rooms.clone(),
                tally: Arc::clone(&status.tally),
                timeout: nats.timeout,
            };
            let stopped = stopped.clone();
            let work = move |incarnation: &Incarnation| -> Work {
                Box::pin(requests::run(
                    env.clone(),
                    incarnation.clone(),
                    stopped.clone(),
                ))
            };
            start(&crowd, watched("requests", requests::STEPS), Box::new(work))
        };
        let likes = {
            let env = receive::Env {
                link: likes,
                rooms: rooms.clone(),
                tally: Arc::clone(&status.tally),
                load: Arc::clone(&status.load),
                most: spec.likes.max_per_message,
            };
            let work = move |incarnation: &Incarnation| -> Work {
                Box::pin(receive::run(
                    env.clone(),
                    incarnation.clone(),
                    stopped.clone(),
                ))
            };
            start(&crowd, watched("likes", receive::STEPS), Box::new(work))
        };
        Self {
            status,
            rooms,
            intake: vec![inbox, requests, likes],
            recovery,
            stop,
            arbiters: vec![comments, crowd],
            drain,
        }
    }

    /// What can be seen of it.
    pub fn status(&self) -> &Arc<LiveStatus> {
        &self.status
    }

    /// Takes no more, sees through what is in hand within the time for it, and ends every part and thread.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let ended = futures_util::future::join_all(self.intake.iter().map(Child::ended));
        if tokio::time::timeout(self.drain + GRACE, ended)
            .await
            .is_err()
        {
            tracing::warn!(
                "the live lane is not done within {:?}, and is ended",
                self.drain
            );
        }
        self.intake.iter().for_each(Child::stop);
        futures_util::future::join_all(self.intake.iter().map(Child::ended)).await;
        self.rooms.stop().await;
        self.recovery.stop();
        self.recovery.ended().await;
        for arbiter in self.arbiters {
            arbiter.stop();
            // A thread that panicked has said so.
            let _ = tokio::task::spawn_blocking(move || arbiter.join()).await;
        }
    }
}

/// Whether a child of this name is a part of the lane, and not a room.
pub fn owns(child: &str) -> bool {
    let rest = child.strip_prefix(NAME);
    rest.is_some_and(|rest| rest.starts_with('/')) && !child.starts_with(room::ROOM)
}

pub(super) fn child(part: &str) -> ChildSpec {
    ChildSpec {
        name: format!("{NAME}/{part}"),
        mailbox: MAILBOX,
        max_restarts: MAX_RESTARTS,
        within: WITHIN,
        ..ChildSpec::default()
    }
}
