//! The comments' way from LIVE_IN to LIVE_OUT.
//!
//! Promises: a comment leaves LIVE_IN only after it is in LIVE_OUT, refused or in LIVE_DEAD; it is in LIVE_OUT
//! once, however often it is delivered, since it is published under its own message id and a redelivery is
//! looked up first; what one worker is given for the first time it publishes in the order of LIVE_IN, room by
//! room. A worker asks for no more than it can hold, and tells the server of what takes it long, so that only
//! a worker that is dead or hung loses its comments to another.
//!
//! Relies on LIVE_OUT's duplicate window for what is published by two workers at about the same time, and on
//! the connection never to send what it was given long ago (see [`super::connect`]).
//!
//! One task: it takes, and awaits verdicts and acknowledgements of many comments at once.

mod held;
mod order;
mod pull;
mod seen;
mod verdict;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Subscriber;
use async_nats::jetstream::consumer::{Consumer, pull as js_pull};
use async_nats::jetstream::{self, AckKind};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use self::held::{Held, InHand};
use self::order::{Place, RoomOrder};
use self::pull::Pull;
use self::seen::Seen;
use self::verdict::Decision;
use super::connect::{Conn, Link};
use super::lane::LiveStatus;
use super::load::{self, Load};
use super::outbox::{self, Outbox};
use super::room::Rooms;
use super::streams::{LIVE_IN, WORKERS};
use super::tally::Tally;
use super::trouble::Trouble;
use super::wire::Entry;
use crate::config::LiveSpec;
use crate::retry::{Because, Delays};
use crate::supervise::Incarnation;

/// How often the load is looked at and the server told of what takes long. It is also how late a lost pull
/// request is noticed.
const TICK: Duration = Duration::from_millis(25);
/// A connection that lived for less than this is no success: the next attempt waits longer.
const LIVED: Duration = Duration::from_secs(5);

/// The steps at which tests may make it fail.
pub(super) const STEPS: &[&str] = &["receive", "decide", "finish"];

/// What the comments' way needs.
pub(super) struct Env {
    incarnation: Incarnation,
    pub link: Link,
    pub outbox: Outbox,
    pub rooms: Rooms,
    pub spec: Arc<LiveSpec>,
    pub tally: Arc<Tally>,
    pub load: Arc<Load>,
    pub trouble: Arc<Trouble>,
    seen: Seen,
    /// How long a stop may wait for what is in hand.
    pub drain: Duration,
}

/// An open way to the consumer.
struct Session {
    conn: Conn,
    consumer: Consumer<js_pull::Config>,
    messages: Subscriber,
    inbox: String,
    /// When this LIVE_IN was made, in milliseconds since 1970: which one it is.
    created_ms: i64,
    since: Instant,
}

/// What a piece of work came to.
enum Step {
    Decided(Box<(Option<Place>, Held, Decision)>),
    Finished,
}

type Work = LocalBoxFuture<'static, Step>;

/// The loop and what it has in hand.
struct Inbox {
    env: Rc<Env>,
    in_hand: InHand,
    order: RoomOrder<(Held, Decision)>,
    pull: Pull,
    /// Comments that wait in LIVE_IN, as the last delivery said.
    behind: u64,
    works: FuturesUnordered<Work>,
}

// === impl Env ===

impl Env {
    /// For a worker over this connection.
    pub(super) fn new(
        incarnation: Incarnation,
        link: Link,
        rooms: Rooms,
        spec: Arc<LiveSpec>,
        status: &LiveStatus,
        timeout: Duration,
        drain: Duration,
    ) -> Self {
        Self {
            incarnation,
            outbox: Outbox::new(link.clone()),
            seen: Seen::new(link.clone(), Arc::clone(&spec), timeout),
            link,
            rooms,
            spec,
            tally: Arc::clone(&status.tally),
            load: Arc::clone(&status.load),
            trouble: Arc::clone(&status.trouble),
            drain,
        }
    }

    /// Work on one comment, which may fail at `step` where that is planned, and stands still if it does not get past
    /// it. Beyond it, everything that is waited for has a limit of its own.
    async fn work<T>(&self, step: &'static str, work: impl Future<Output = T>) -> Option<T> {
        let progress = self.incarnation.progress.activity(step);
        progress.has_work(true);
        self.incarnation.steps.pass(step).await.ok()?;
        Some(progress.wait("a server or a room", work).await)
    }
}

/// Works until it is told to stop, then until nothing is in hand or the time for that is over.
pub(super) async fn run(env: Env, mut stop: watch::Receiver<bool>) -> Result<(), String> {
    let limit = env.spec.inbox.worker_pending as usize;
    let mut inbox = Inbox {
        env: Rc::new(env),
        in_hand: InHand::default(),
        order: RoomOrder::default(),
        pull: Pull::new(limit),
        behind: 0,
        works: FuturesUnordered::new(),
    };
    let mut judge = load::Judge::new(limit);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut delays = Delays::server();
    let mut opening = Box::pin(open(Rc::clone(&inbox.env), Duration::ZERO));
    let mut session: Option<Session> = None;
    let mut deadline: Option<Instant> = None;
    let Incarnation {
        progress, steps, ..
    } = inbox.env.incarnation.clone();
    // It turns for as long as it lives, whether comments come or not.
    progress.has_work(true);
    loop {
        match (deadline, &session) {
            (Some(at), _) if inbox.at_rest() || Instant::now() >= at => break,
            (None, Some(open)) => inbox.ask(open).await,
            (Some(_), _) | (None, None) => {}
        }
        let mut over = false;
        let epoch = session.as_ref().map(|s| s.conn.epoch);
        tokio::select! {
            biased;
            due = tick.tick() => {
                progress.did(0);
                let lag = due.elapsed();
                let held = inbox.in_hand.len() as u64;
                inbox.env.load.note(&mut judge, lag, held, inbox.behind);
                inbox.tick(session.as_ref()).await;
            }
            Some(step) = inbox.works.next(), if !inbox.works.is_empty() => {
                inbox.step(step, session.as_ref()).await;
            }
            message = next(&mut session), if session.is_some() => {
                steps.pass("receive").await.map_err(|planned| planned.to_string())?;
                over = match (message, &session) {
                    (Some(message), Some(open)) => inbox.message(message, open),
                    (None, _) | (_, None) => true,
                };
            }
            () = lost(&inbox.env.link, epoch) => over = true,
            opened = &mut opening, if session.is_none() && deadline.is_none() => session = Some(opened),
            _ = stop.wait_for(|s| *s), if deadline.is_none() => {
                deadline = Some(Instant::now() + inbox.env.drain);
            }
        }
        if over && let Some(ended) = session.take() {
            inbox.pull.over();
            let wait = if ended.since.elapsed() < LIVED {
                delays.next_delay()
            } else {
                delays.reset();
                Duration::ZERO
            };
            opening = Box::pin(open(Rc::clone(&inbox.env), wait));
        }
    }
    let left = inbox.in_hand.len();
    if left > 0 {
        tracing::warn!("{left} comments are still in hand, and will be delivered again");
    }
    if let Some(session) = session
        && let Err(why) = session.conn.client.flush().await
    {
        tracing::warn!(
            "the last acknowledgements may be lost, and their comments looked up: {why}"
        );
    }
    Ok(())
}

async fn next(session: &mut Option<Session>) -> Option<async_nats::Message> {
    session.as_mut()?.messages.next().await
}

/// Waits until the connection of the present session is lost; for ever where there is none.
async fn lost(link: &Link, epoch: Option<u64>) {
    match epoch {
        Some(epoch) => link.lost(epoch).await,
        None => std::future::pending().await,
    }
}

/// Opens the way to the consumer, for as long as it takes.
async fn open(env: Rc<Env>, wait: Duration) -> Session {
    let mut delays = Delays::server();
    tokio::time::sleep(wait).await;
    loop {
        match Session::open(&env).await {
            Ok(session) => return session,
            Err(why) => env.trouble.report(&why),
        }
        env.link.server().again(&mut delays, Because::Away).await;
    }
}

// === impl Session ===

impl Session {
    async fn open(env: &Env) -> Result<Self, String> {
        let conn = env.link.connected().await;
        let failed = |e: &dyn std::fmt::Display| {
            format!(
                "{LIVE_IN} cannot be opened ({e}); a process that runs the live lane makes it at its start"
            )
        };
        let stream = conn.js.get_stream(LIVE_IN).await;
        let stream = stream.map_err(|e| failed(&e))?;
        let consumer = stream.get_consumer::<js_pull::Config>(WORKERS).await;
        let consumer = consumer.map_err(|e| failed(&e))?;
        let inbox = conn.client.new_inbox();
        let messages = conn.client.subscribe(inbox.clone()).await;
        let created = stream.cached_info().created;
        Ok(Self {
            messages: messages.map_err(|e| failed(&e))?,
            created_ms: (created.unix_timestamp_nanos() / 1_000_000) as i64,
            conn,
            consumer,
            inbox,
            since: Instant::now(),
        })
    }
}

// === impl Inbox ===

impl Inbox {
    /// Whether nothing is in hand and nothing is on its way here.
    fn at_rest(&self) -> bool {
        self.in_hand.len() == 0 && self.works.is_empty() && !self.pull.open()
    }

    /// Asks for more, where there is room for it.
    async fn ask(&mut self, session: &Session) {
        let Some(batch) = self.pull.wants(self.in_hand.len(), Instant::now()) else {
            return;
        };
        let request = session
            .consumer
            .request_batch(pull::request(batch), session.inbox.clone().into());
        match request.await {
            Ok(()) => self.pull.asked(batch, Instant::now()),
            Err(why) => {
                self.env.trouble.report(&why.to_string());
                self.pull.refused(Instant::now());
            }
        }
    }

    /// One message of the consumer, or the server's word on the request. Returns whether the session is over.
    fn message(&mut self, message: async_nats::Message, session: &Session) -> bool {
        let description = message.description.as_deref().unwrap_or_default();
        match message.status.map(|s| s.as_u16()) {
            None | Some(200) => {
                self.pull.came();
                let message = jetstream::Message {
                    message,
                    context: session.conn.js.clone(),
                };
                match Held::take(message, session.created_ms, &self.env.tally, &self.in_hand) {
                    Ok(held) => {
                        self.behind = held.behind;
                        self.start(held);
                    }
                    Err(why) => self.env.trouble.report(&why),
                }
            }
            // It has expired: nothing was left for it.
            Some(408) => {
                self.behind = 0;
                self.pull.over();
            }
            Some(409) if description == "Consumer Deleted" => return true,
            // The server has too many requests, or is just starting.
            Some(409) => {
                self.env.trouble.report(description);
                self.pull.refused(Instant::now());
            }
            // Nobody is there who knows the consumer.
            Some(503) => return true,
            Some(100) => {}
            Some(other) => {
                self.env.trouble.report(&format!("{other} {description}"));
                self.pull.refused(Instant::now());
            }
        }
        false
    }

    fn start(&mut self, held: Held) {
        let env = Rc::clone(&self.env);
        // A redelivery is late in any case; it is not to hold up the others while it is looked up.
        let place = match &held.address {
            Some((room, _)) if held.delivered == 1 => Some(self.order.enter(room)),
            Some(_) | None => None,
        };
        self.works.push(Box::pin(async move {
            match env.work("decide", verdict::decide(&env, &held)).await {
                Some(decision) => Step::Decided(Box::new((place, held, decision))),
                None => Step::Finished,
            }
        }));
    }

    async fn step(&mut self, step: Step, session: Option<&Session>) {
        match step {
            Step::Finished => {}
            Step::Decided(decided) => {
                let (place, held, decision) = *decided;
                let ready = match place {
                    Some(place) => self.order.fill(&place, (held, decision)),
                    None => vec![(held, decision)],
                };
                for (held, decision) in ready {
                    self.finish(held, decision, session).await;
                }
            }
        }
    }

    /// Sends what is to be shown, here and now, so that a room's order is kept; the rest can wait.
    async fn finish(&mut self, held: Held, decision: Decision, session: Option<&Session>) {
        let sent = match (&decision, session, &held.address) {
            (Decision::Show(shown), Some(session), Some((room, _)))
                if self.env.link.up() && held.fresh(&self.env.spec) =>
            {
                let entry = Entry::Comment((**shown).clone());
                Some(match outbox::encode(&entry) {
                    Ok(payload) => {
                        let conn = &session.conn;
                        let outbox = &self.env.outbox;
                        outbox.send(conn, room, payload, &held.msg_id).await
                    }
                    Err(why) => Err(why),
                })
            }
            _ => None,
        };
        let env = Rc::clone(&self.env);
        self.works.push(Box::pin(async move {
            // Where that is planned, the comment is let go as if its worker had died here.
            env.work("finish", verdict::finish(&env, held, decision, sent))
                .await;
            Step::Finished
        }));
    }

    /// Tells the server of what takes long, and gives up on a request of which nothing is heard.
    async fn tick(&mut self, session: Option<&Session>) {
        let now = Instant::now();
        self.pull.expire(now);
        let Some(session) = session.filter(|_| self.env.link.up()) else {
            return;
        };
        let half = self.env.spec.inbox.ack_wait / 2;
        for reply in self.in_hand.overdue(half, now) {
            let progress = session.conn.client.publish(reply, AckKind::Progress.into());
            if let Err(why) = progress.await {
                self.env.trouble.report(&why.to_string());
            }
        }
    }
}
