//! One supervised actor: its mailbox, its factory, and the life of one incarnation.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use actix::dev::channel::channel;
use actix::{Actor, ActorContext, Addr, AsyncContext, Context};
use tokio::sync::watch;

use super::chaos::Steps;
use super::keeper::LOOK;
use super::mailbox::{Inbox, Mailbox, mailbox};
use super::progress::{Activities, Progress};
use super::pump::Pump;
use super::run::{Order, Runner, Stopping};
use super::status::ChildStatus;
use super::table::{Body, Family, Request, Rules, Slot};
use super::thread::{Place, Seat};
use super::window::Window;
use super::{ChildSpec, Exit, ExitSlot, Hook, Supervisor};
use crate::retry::Delays;

/// The first restart comes after about this long, then twice as long each time.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// No restart waits longer than about this.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// What a factory is told of the incarnation that it makes.
#[derive(Debug, Clone)]
pub struct Incarnation {
    /// 0 for the first.
    pub number: u64,
    /// Where the actor leaves its reason before it stops its context, and what ends it from outside.
    pub exit: ExitSlot,
    /// Where it says what it does: its main activity.
    pub progress: Progress,
    /// Tells it to end, where its spec says that it drains.
    pub stopping: Stopping,
    /// Where tests may make it fail.
    pub steps: Steps,
}

/// A running child: its address, which is the same over all incarnations, and the means to end it.
#[derive(Debug)]
pub struct Child<A: Actor> {
    /// Where to send messages. actix bounds it for `try_send` alone: prefer [`Child::inbox`].
    pub addr: Addr<A>,
    /// The same mailbox, bounded for whoever sends.
    pub inbox: Inbox<A>,
    slot: Arc<Slot>,
}

struct ActorBody<A: Actor, F> {
    place: Place,
    mailbox: Arc<Mailbox<A>>,
    factory: Arc<F>,
    steps: Steps,
    status: Arc<ChildStatus>,
    abandoned: Option<Hook>,
    now: Mutex<Option<Arc<Seat>>>,
    /// Held so that the mailbox never ends by itself: a child lives until it is stopped.
    _addr: Addr<A>,
    _inbox: Inbox<A>,
}

/// Adds a child to `parent`, which starts it on `place`: a [`Thread`](super::Thread) of the supervisor's, or an
/// arbiter of the caller's. The factory runs there, once for every incarnation.
pub fn start<A, F>(
    place: impl Into<Place>,
    parent: impl Into<Supervisor>,
    spec: ChildSpec,
    factory: F,
) -> Child<A>
where
    A: Actor<Context = Context<A>>,
    F: Fn(&Incarnation) -> Result<A, String> + Send + Sync + 'static,
{
    let parent = parent.into();
    let (tx, rx) = channel::<A>(spec.mailbox);
    let (inbox, mailbox) = mailbox(spec.mailbox, rx);
    let addr = Addr::new(tx);
    let depth = inbox.clone();
    let status = Arc::new(ChildStatus::new(
        spec.name.clone(),
        spec.steps,
        Some(Box::new(move || depth.depth())),
    ));
    let body = ActorBody {
        place: place.into(),
        mailbox,
        factory: Arc::new(factory),
        steps: Steps::new(&spec.name, Arc::clone(&parent.family().common.chaos)),
        status: Arc::clone(&status),
        abandoned: spec.abandoned,
        now: Mutex::default(),
        _addr: addr.clone(),
        _inbox: inbox.clone(),
    };
    let rules = Rules {
        restart: spec.restart,
        shutdown: Some(spec.shutdown),
        stall: spec.stall,
        drains: spec.drains,
    };
    let slot = parent.add(
        status,
        rules,
        Window::new(spec.max_restarts, spec.within),
        Delays::new(FIRST_DELAY, MAX_DELAY),
        Box::new(body),
    );
    Child { addr, inbox, slot }
}

// === impl Child ===

impl<A: Actor> Child<A> {
    /// Ends the present incarnation and makes no further one; the child leaves the tree. What waits in its
    /// mailbox is dropped, which its senders see.
    pub fn stop(&self) {
        if let Some(family) = self.slot.family() {
            // One that has ended needs no stop.
            let _ = family.request(self.slot.id, Request::Stop);
        }
    }

    /// Waits until the child is gone, which is after its last incarnation.
    pub async fn ended(&self) {
        self.slot.gone().await;
    }

    /// What is known of it.
    pub fn status(&self) -> &Arc<ChildStatus> {
        &self.slot.status
    }
}

// === impl ActorBody ===

impl<A, F> ActorBody<A, F>
where
    A: Actor<Context = Context<A>>,
{
    fn now(&self) -> MutexGuard<'_, Option<Arc<Seat>>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A, F> Body for ActorBody<A, F>
where
    A: Actor<Context = Context<A>>,
    F: Fn(&Incarnation) -> Result<A, String> + Send + Sync + 'static,
{
    fn launch(&self, runner: Runner) {
        let seat = self.place.seat();
        if seat.is_retired() {
            let why = "its arbiter is blocked, and is not its supervisor's to replace";
            return runner.exited(Exit::Failed(why.to_owned()));
        }
        *self.now() = Some(Arc::clone(&seat));
        let (progress, activities) = Progress::new("main", seat.moves());
        self.status.watch(activities);
        self.mailbox.hand_to(runner.number());
        let exit = ExitSlot::default();
        let incarnation = Incarnation {
            number: runner.number(),
            steps: self.steps.of(&exit),
            stopping: Stopping::new(runner.orders()),
            exit,
            progress,
        };
        let life = Life {
            runner,
            incarnation,
            mailbox: Arc::clone(&self.mailbox),
            factory: Arc::clone(&self.factory),
            seat: Arc::clone(&seat),
        };
        // On an arbiter that has ended the life is dropped, and so reported.
        seat.handle().spawn_fn(move || {
            actix::spawn(life.live());
        });
    }

    fn look(&self, step: Duration, deadline: Duration) -> Option<String> {
        let seat = self.now().clone()?;
        if seat.is_retired() {
            return Some("its thread was given up, since another actor blocks it".to_owned());
        }
        let silent = seat.silent(2 * LOOK);
        if silent >= deadline {
            return Some(format!("its thread has not answered for {silent:?}"));
        }
        let activities: Arc<Activities> = self.status.activities()?;
        activities.look(step, deadline)
    }

    fn abandon(&self) -> bool {
        self.mailbox.hand_to(u64::MAX);
        let Some(seat) = self.now().take() else {
            return false;
        };
        if let Err(why) = self.place.abandon(&seat) {
            tracing::error!(child = self.status.name, "no thread in its place: {why}");
        }
        if let Some(hook) = &self.abandoned {
            hook.call();
        }
        true
    }

    fn close(&self) {
        self.mailbox.close();
        *self.now() = None;
    }

    fn family(&self) -> Option<&Arc<Family>> {
        None
    }
}

/// Everything that one incarnation needs, on its way to its thread.
struct Life<A: Actor, F> {
    runner: Runner,
    incarnation: Incarnation,
    mailbox: Arc<Mailbox<A>>,
    factory: Arc<F>,
    /// Held to the end, so that a thread that was given up ends after its last actor.
    seat: Arc<Seat>,
}

// === impl Life ===

impl<A, F> Life<A, F>
where
    A: Actor<Context = Context<A>>,
    F: Fn(&Incarnation) -> Result<A, String>,
{
    async fn live(self) {
        let made = catch_unwind(AssertUnwindSafe(|| (self.factory)(&self.incarnation)));
        let exit = match made {
            Ok(Ok(actor)) => {
                self.runner.running();
                self.run(actor).await
            }
            Ok(Err(why)) => Exit::Failed(why),
            Err(panic) => Exit::from_panic(&*panic),
        };
        let (runner, seat) = (self.runner, self.seat);
        // What the incarnation left with its actor goes before anybody hears of its end.
        drop((self.incarnation, self.mailbox, self.factory));
        runner.exited(exit);
        drop(seat);
    }

    /// From the first message to the end.
    async fn run(&self, actor: A) -> Exit {
        let exit = &self.incarnation.exit;
        let mut ctx = Context::new();
        ctx.spawn(Pump {
            mailbox: Arc::clone(&self.mailbox),
            number: self.runner.number(),
        });
        let mut running = ctx.into_future(actor);
        let mut next = Box::pin(next_order(self.runner.orders()));
        let drains = self.runner.drains();
        let mut asked = false;
        let ended = poll_fn(|task| {
            while let Poll::Ready((order, orders)) = next.as_mut().poll(task) {
                next.set(next_order(orders));
                match order {
                    Order::Stop if !asked => {
                        asked = true;
                        if !drains {
                            exit.set(Exit::Stopped);
                            running.ctx().stop();
                        }
                    }
                    Order::Run | Order::Stop => {}
                    Order::End(verdict) => return Poll::Ready(Some(verdict)),
                }
            }
            if exit.poll_end(task).is_ready() {
                return Poll::Ready(Some(exit.take().unwrap_or(Exit::Stopped)));
            }
            // The future is polled by reference, so unwinding drops none of the actor.
            match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut running).poll(task))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(())) => Poll::Ready(None),
                Err(panic) => Poll::Ready(Some(Exit::from_panic(&*panic))),
            }
        })
        .await;
        if ended.is_some() {
            // Else the drop would poll the actor once more, its broken future included.
            running.ctx().terminate();
        }
        let dropped = catch_unwind(AssertUnwindSafe(move || drop(running)));
        match (ended, dropped) {
            (Some(exit), _) => exit,
            (None, Err(panic)) => Exit::from_panic(&*panic),
            (None, Ok(())) if asked => exit.take().unwrap_or(Exit::Stopped),
            (None, Ok(())) => exit.take().unwrap_or(Exit::Completed),
        }
    }
}

/// Waits for the next order, and gives the way to the one after it back.
async fn next_order(mut orders: watch::Receiver<Order>) -> (Order, watch::Receiver<Order>) {
    if orders.changed().await.is_err() {
        // Whoever could order is gone, and with it the slot; the mailbox closes.
        std::future::pending::<()>().await;
    }
    let order = orders.borrow_and_update().clone();
    (order, orders)
}

#[cfg(test)]
mod tests;
