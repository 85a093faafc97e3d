//! One incarnation, between the supervisor that orders it about and the runner that lives it.

use std::sync::Arc;

use tokio::sync::watch;

use super::Exit;
use super::table::Slot;

/// What an incarnation is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// Go on.
    Run,
    /// End in order.
    Stop,
    /// End at once, for this reason.
    End(Exit),
}

/// The supervisor's end of an incarnation.
#[derive(Debug)]
pub(super) struct Run {
    number: u64,
    order: watch::Sender<Order>,
}

/// The runner's end. It reports exactly one exit, also where it is dropped.
pub(super) struct Runner {
    slot: Arc<Slot>,
    number: u64,
    order: watch::Receiver<Order>,
    reported: bool,
}

/// Tells an actor that drains that it is to end.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<Order>);

/// The two ends of incarnation `number` of a slot.
pub(super) fn run(slot: Arc<Slot>, number: u64) -> (Run, Runner) {
    let (tx, rx) = watch::channel(Order::Run);
    let runner = Runner {
        slot,
        number,
        order: rx,
        reported: false,
    };
    (Run { number, order: tx }, runner)
}

// === impl Run ===

impl Run {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn order(&self, order: Order) {
        self.order.send_replace(order);
    }
}

// === impl Runner ===

impl Runner {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn orders(&self) -> watch::Receiver<Order> {
        self.order.clone()
    }

    /// Whether the incarnation ends by itself once it is asked to.
    pub(super) fn drains(&self) -> bool {
        self.slot.rules.drains
    }

    /// The incarnation is at work.
    pub(super) fn running(&self) {
        self.slot.running(self.number);
    }

    /// The incarnation has ended.
    pub(super) fn exited(mut self, exit: Exit) {
        self.reported = true;
        self.slot.exited(self.number, exit);
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if !self.reported {
            let why = "what ran it ended under it".to_owned();
            self.slot.exited(self.number, Exit::Killed(why));
        }
    }
}

// === impl Stopping ===

impl Stopping {
    pub(super) fn new(order: watch::Receiver<Order>) -> Self {
        Self(order)
    }

    /// Waits until the incarnation is asked to end.
    pub async fn asked(&mut self) {
        if self.0.wait_for(|o| *o != Order::Run).await.is_err() {
            // Nobody is left to ask.
            std::future::pending::<()>().await;
        }
    }

    /// Whether it is asked to end.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow() != Order::Run
    }
}
