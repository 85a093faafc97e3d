//! One supervised actor.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use actix::dev::channel::{AddressReceiver, channel};
use actix::{Actor, ActorContext, Addr, ArbiterHandle, AsyncContext, Context};
use tokio::sync::watch;

use super::pump::Pump;
use super::{ChildStatus, Exit, ExitSlot, Tree};
use crate::retry::Delays;

/// How a child is run.
#[derive(Debug, Clone)]
pub struct ChildSpec {
    /// Its name, unique within the process.
    pub name: String,
    /// Messages its mailbox holds. Only `try_send` heeds it.
    pub mailbox: usize,
    /// Restarts allowed within [`ChildSpec::within`]; one more escalates.
    pub max_restarts: u32,
    /// The window.
    pub within: Duration,
}

/// What a factory is told of the incarnation that it makes.
#[derive(Debug, Clone)]
pub struct Incarnation {
    /// 0 for the first.
    pub number: u64,
    /// Where the actor leaves its reason before it stops its context.
    pub exit: ExitSlot,
}

/// A running child: its address, which is the same over all incarnations, and the means to end it.
#[derive(Debug)]
pub struct Child<A: Actor> {
    /// Where to send messages.
    pub addr: Addr<A>,
    stop: watch::Sender<bool>,
}

/// The first restart comes after about this long, then twice as long each time.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// No restart waits longer than about this.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// Starts a child on `arbiter`. The factory runs there, once for every incarnation.
pub fn start<A, F>(
    arbiter: &ArbiterHandle,
    tree: Arc<Tree>,
    spec: ChildSpec,
    factory: F,
) -> Child<A>
where
    A: Actor<Context = Context<A>>,
    F: Fn(&Incarnation) -> Result<A, String> + Send + 'static,
{
    let (tx, rx) = channel::<A>(spec.mailbox);
    let (stop, stopped) = watch::channel(false);
    let status = tree.add(spec.name.clone());
    let name = spec.name.clone();
    let spawned = arbiter.spawn_fn({
        let tree = Arc::clone(&tree);
        move || {
            actix::spawn(supervise(spec, rx, factory, status, tree, stopped));
        }
    });
    if !spawned {
        tree.escalate(format!("{name}: its arbiter is gone"));
    }
    Child {
        addr: Addr::new(tx),
        stop,
    }
}

// === impl Child ===

impl<A: Actor> Child<A> {
    /// Ends the present incarnation and makes no further one.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the supervisor of this child is gone, which is after its last incarnation.
    pub async fn ended(&self) {
        self.stop.closed().await;
    }
}

async fn supervise<A, F>(
    spec: ChildSpec,
    rx: AddressReceiver<A>,
    factory: F,
    status: Arc<ChildStatus>,
    tree: Arc<Tree>,
    mut stopped: watch::Receiver<bool>,
) where
    A: Actor<Context = Context<A>>,
    F: Fn(&Incarnation) -> Result<A, String>,
{
    let rx = Rc::new(RefCell::new(rx));
    let mut recent: VecDeque<Instant> = VecDeque::new();
    let mut delays = Delays::new(FIRST_DELAY, MAX_DELAY);
    for number in 0.. {
        let incarnation = Incarnation {
            number,
            exit: ExitSlot::default(),
        };
        let made = catch_unwind(AssertUnwindSafe(|| factory(&incarnation)));
        let started = Instant::now();
        let exit = match made {
            Ok(Ok(actor)) => {
                status.running();
                live(actor, &rx, &incarnation, &mut stopped).await
            }
            Ok(Err(why)) => Exit::Failed(why),
            Err(panic) => Exit::from_panic(&*panic),
        };
        let again = exit.restarts() && !*stopped.borrow();
        status.exited(&exit, again);
        if !again {
            return;
        }
        recent.push_back(Instant::now());
        while recent.front().is_some_and(|t| t.elapsed() > spec.within) {
            recent.pop_front();
        }
        if recent.len() > spec.max_restarts as usize {
            tree.escalate(format!(
                "{}: {} failures within {:?}, the last one {exit}",
                spec.name,
                recent.len(),
                spec.within
            ));
            return;
        }
        // What lived through a whole window has shown that it can.
        if started.elapsed() > spec.within {
            delays.reset();
        }
        let delay = delays.next_delay();
        tracing::warn!(child = spec.name, %exit, ?delay, "restarting");
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = stopped.wait_for(|s| *s) => {}
        }
        if *stopped.borrow() {
            status.exited(&Exit::Stopped, false);
            return;
        }
    }
}

/// One incarnation, from its first message to its end.
async fn live<A>(
    actor: A,
    rx: &Rc<RefCell<AddressReceiver<A>>>,
    incarnation: &Incarnation,
    stopped: &mut watch::Receiver<bool>,
) -> Exit
where
    A: Actor<Context = Context<A>>,
{
    let mut ctx = Context::new();
    ctx.spawn(Pump(Rc::clone(rx)));
    let mut running = ctx.into_future(actor);
    let mut stop = pin!(async {
        if stopped.wait_for(|s| *s).await.is_err() {
            // The owner is gone without a word: nobody is left to stop it, and it lives on.
            std::future::pending::<()>().await;
        }
    });
    let mut asked = false;
    let polled = poll_fn(|task| {
        if !asked && stop.as_mut().poll(task).is_ready() {
            asked = true;
            incarnation.exit.set(Exit::Stopped);
            running.ctx().stop();
        }
        // The future is polled by reference, so unwinding drops none of the actor.
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut running).poll(task))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(None),
            Err(panic) => Poll::Ready(Some(Exit::from_panic(&*panic))),
        }
    })
    .await;
    if polled.is_some() {
        // Else the drop would poll the actor once more, its broken future included.
        running.ctx().terminate();
    }
    let dropped = catch_unwind(AssertUnwindSafe(move || drop(running)));
    match (polled, dropped) {
        (Some(panicked), _) => panicked,
        (None, Err(panic)) => Exit::from_panic(&*panic),
        (None, Ok(())) => incarnation.exit.take().unwrap_or(Exit::Completed),
    }
}

#[cfg(test)]
mod tests;
