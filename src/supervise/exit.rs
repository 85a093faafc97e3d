//! Why an incarnation ended.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// Why an incarnation ended, by analogy to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Its work is done: exit code 0.
    Completed,
    /// It was asked to stop: SIGTERM obeyed.
    Stopped,
    /// It gave up with a reason: a non-zero exit code.
    Failed(String),
    /// It panicked: SIGSEGV.
    Panicked(String),
}

/// Where an actor leaves its reason before it stops its context.
#[derive(Debug, Clone, Default)]
pub struct ExitSlot(Rc<RefCell<Option<Exit>>>);

// === impl Exit ===

impl Exit {
    /// Whether the next incarnation is to be made.
    pub fn restarts(&self) -> bool {
        match self {
            Self::Completed | Self::Stopped => false,
            Self::Failed(_) | Self::Panicked(_) => true,
        }
    }

    pub(super) fn from_panic(payload: &(dyn Any + Send)) -> Self {
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
        }
    }
}

// === impl ExitSlot ===

impl ExitSlot {
    /// Leaves the reason; the first one stays.
    pub fn set(&self, exit: Exit) {
        self.0.borrow_mut().get_or_insert(exit);
    }

    pub(super) fn take(&self) -> Option<Exit> {
        self.0.borrow_mut().take()
    }
}
