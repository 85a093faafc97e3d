//! Failures on demand, for tests: a chosen actor fails at a chosen step.
//!
//! Actors name their steps ([`Steps::at`], [`Steps::pass`]); while nothing is planned a step costs one relaxed load.
//! Nothing can be planned unless the tree was made for it (`twolane run --chaos`).

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Exit, ExitSlot};

/// What an actor does at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It panics.
    Panic,
    /// It fails with an error.
    Error,
    /// It never goes on: its future stays pending, or, within a handler, its thread is blocked.
    Freeze,
    /// It stops by itself, unasked.
    Stop,
}

/// A failure to come.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The actor's name.
    pub actor: String,
    /// One of its steps.
    pub step: String,
    /// What happens there.
    pub fault: Fault,
    /// How many times; 0 for always.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

/// The failures that are planned in a tree.
#[derive(Default)]
pub struct Chaos {
    allowed: bool,
    planned: AtomicBool,
    plans: Mutex<Vec<Plan>>,
    /// Counts the releases of what is frozen.
    released: Mutex<u64>,
    threads: Condvar,
    futures: Notify,
}

/// An actor's steps.
#[derive(Debug, Clone)]
pub struct Steps {
    actor: Arc<str>,
    chaos: Arc<Chaos>,
    exit: ExitSlot,
}

/// A failure that was planned; whoever meets it stops what it was doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a planned failure at step {0}")]
pub struct Planned(&'static str);

/// The most plans at a time: a test needs a few, and each step looks through all of them.
const MOST_PLANS: usize = 64;

// === impl Chaos ===

impl Chaos {
    pub(super) fn allowed() -> Self {
        Self {
            allowed: true,
            ..Self::default()
        }
    }

    /// Whether failures can be planned.
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// Plans a failure, beside those that are planned.
    ///
    /// # Errors
    /// One sentence where it is not allowed, or too many are planned.
    pub fn plan(&self, plan: Plan) -> Result<(), String> {
        if !self.allowed {
            return Err("this process was not started with --chaos".to_owned());
        }
        let mut plans = self.plans();
        if plans.len() >= MOST_PLANS {
            return Err(format!("{MOST_PLANS} failures are planned already"));
        }
        plans.push(plan);
        self.planned.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// What is planned and has not happened yet.
    pub fn planned(&self) -> Vec<Plan> {
        self.plans().clone()
    }

    /// Plans nothing more, and lets whatever is frozen go on.
    pub fn clear(&self) {
        self.planned.store(false, Ordering::Relaxed);
        self.plans().clear();
        *lock(&self.released) += 1;
        self.threads.notify_all();
        self.futures.notify_waiters();
    }

    fn due(&self, actor: &str, step: &str) -> Option<Fault> {
        let mut plans = self.plans();
        let at = plans
            .iter()
            .position(|p| p.actor == actor && p.step == step)?;
        let plan = plans.get_mut(at)?;
        let fault = plan.fault;
        if plan.times == 1 {
            plans.remove(at);
        } else if plan.times > 1 {
            plan.times -= 1;
        }
        if plans.is_empty() {
            self.planned.store(false, Ordering::Relaxed);
        }
        Some(fault)
    }

    fn freeze_thread(&self) {
        let mut released = lock(&self.released);
        let before = *released;
        while *released == before {
            released = self
                .threads
                .wait(released)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn plans(&self) -> MutexGuard<'_, Vec<Plan>> {
        lock(&self.plans)
    }
}

impl fmt::Debug for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chaos({} planned)", self.plans().len())
    }
}

// === impl Steps ===

impl Steps {
    pub(super) fn new(actor: &str, chaos: Arc<Chaos>) -> Self {
        Self {
            actor: actor.into(),
            chaos,
            exit: ExitSlot::default(),
        }
    }

    pub(super) fn of(&self, exit: &ExitSlot) -> Self {
        Self {
            exit: exit.clone(),
            ..self.clone()
        }
    }

    /// A step within a handler or on a thread.
    ///
    /// # Errors
    /// [`Planned`] where the actor is to fail or to stop here, which it does by itself; the caller has only to
    /// leave off.
    ///
    /// # Panics
    /// Where that is planned.
    #[inline]
    pub fn at(&self, step: &'static str) -> Result<(), Planned> {
        if !self.chaos.planned.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.chaos.due(&self.actor, step) {
            Some(Fault::Freeze) => {
                tracing::warn!(child = &*self.actor, step, "frozen, as planned");
                self.chaos.freeze_thread();
                Ok(())
            }
            Some(fault) => self.fail(step, fault),
            None => Ok(()),
        }
    }

    /// A step within a future, which a freeze leaves pending.
    ///
    /// # Errors
    /// As [`Steps::at`].
    ///
    /// # Panics
    /// As [`Steps::at`].
    #[inline]
    pub async fn pass(&self, step: &'static str) -> Result<(), Planned> {
        if !self.chaos.planned.load(Ordering::Relaxed) {
            return Ok(());
        }
        // Before the plan is taken, so that a release right after is not missed.
        let released = self.chaos.futures.notified();
        match self.chaos.due(&self.actor, step) {
            Some(Fault::Freeze) => {
                tracing::warn!(child = &*self.actor, step, "frozen, as planned");
                released.await;
                Ok(())
            }
            Some(fault) => self.fail(step, fault),
            None => Ok(()),
        }
    }

    fn fail(&self, step: &'static str, fault: Fault) -> Result<(), Planned> {
        let planned = Planned(step);
        match fault {
            #[expect(clippy::panic, reason = "it is what was asked for")]
            Fault::Panic => panic!("{planned}"),
            Fault::Error => self.exit.end(Exit::Failed(planned.to_string())),
            Fault::Stop => self.exit.end(Exit::Stopped),
            // Served by the callers, each in its own way.
            Fault::Freeze => {}
        }
        Err(planned)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
