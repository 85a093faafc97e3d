//! Why an incarnation ended.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::task::AtomicWaker;

/// Why an incarnation ended, by analogy to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Its work is done: exit code 0.
    Completed,
    /// It stopped, asked or not, without a word: SIGTERM obeyed.
    Stopped,
    /// It gave up with a reason: a non-zero exit code.
    Failed(String),
    /// It panicked: SIGSEGV.
    Panicked(String),
    /// It had work and made no progress: a watchdog's SIGABRT.
    Stalled(String),
    /// It was asked to end and did not within its deadline, or its thread ended under it: SIGKILL.
    Killed(String),
}

/// Where an actor leaves its reason before it stops its context, and how what runs beside it ends it.
#[derive(Debug, Clone, Default)]
pub struct ExitSlot(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    exit: Mutex<Option<Exit>>,
    end: AtomicBool,
    runner: AtomicWaker,
}

// === impl Exit ===

impl Exit {
    /// Whether a child that need not run for ever (a *transient* one) is to be made anew after it.
    pub fn restarts(&self) -> bool {
        match self {
            Self::Completed | Self::Stopped => false,
            Self::Failed(_) | Self::Panicked(_) | Self::Stalled(_) | Self::Killed(_) => true,
        }
    }

    /// From what a panic that was caught left behind.
    pub fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        Self::Panicked(text.unwrap_or_else(|| "a panic without a message".to_owned()))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Stopped => f.write_str("stopped"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::Panicked(why) => write!(f, "panicked: {why}"),
            Self::Stalled(why) => write!(f, "stalled: {why}"),
            Self::Killed(why) => write!(f, "killed: {why}"),
        }
    }
}

// === impl ExitSlot ===

impl ExitSlot {
    /// Leaves the reason; the first one stays.
    pub fn set(&self, exit: Exit) {
        self.exit().get_or_insert(exit);
    }

    /// Leaves the reason and ends the incarnation, from wherever this is called: for what runs beside the
    /// actor, in a task or a thread of its own. The actor is dropped at its next poll.
    pub fn end(&self, exit: Exit) {
        self.set(exit);
        self.0.end.store(true, Ordering::Release);
        self.0.runner.wake();
    }

    /// Runs a future that is not the context's own (a plain `ResponseFuture`, a spawned task) so that its
    /// panic ends the incarnation like one in a handler. The panic goes on, so that whoever waits for the
    /// future sees it fail.
    pub async fn guard<F: Future>(self, future: F) -> F::Output {
        match AssertUnwindSafe(future).catch_unwind().await {
            Ok(output) => output,
            Err(panic) => {
                self.end(Exit::from_panic(&*panic));
                resume_unwind(panic)
            }
        }
    }

    pub(super) fn take(&self) -> Option<Exit> {
        self.exit().take()
    }

    /// Ready once [`ExitSlot::end`] was called.
    pub(super) fn poll_end(&self, task: &Context<'_>) -> Poll<()> {
        self.0.runner.register(task.waker());
        if self.0.end.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn exit(&self) -> MutexGuard<'_, Option<Exit>> {
        self.0.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
