//! What a supervisor is told of its children.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Exit;

/// How a child is run. The rest is given by `..ChildSpec::default()`.
#[derive(Debug, Clone)]
pub struct ChildSpec {
    /// Its name, unique within the process.
    pub name: String,
    /// Messages its [`Inbox`](super::Inbox) holds; more wait at their sender. Of actix' own address only
    /// `try_send` heeds it.
    pub mailbox: usize,
    /// When it is made anew.
    pub restart: Restart,
    /// Restarts allowed within [`ChildSpec::within`]; one more takes its supervisor down with it.
    pub max_restarts: u32,
    /// The window.
    pub within: Duration,
    /// How long it may take to end once it is asked to; past that it is killed.
    pub shutdown: Duration,
    /// Whether it ends by itself once it is asked to, through [`Incarnation::stopping`](super::Incarnation), as
    /// one does that has something to drain. Else its context is stopped at once.
    pub drains: bool,
    /// A child that has work and makes no progress for this long is stalled, and made anew; so is one whose
    /// thread does not answer for this long. `None`: it is not watched.
    pub stall: Option<Duration>,
    /// The steps at which tests may make it fail.
    pub steps: &'static [&'static str],
    /// Called when an incarnation could not be ended since it blocks its thread: what it holds is lost until the
    /// process ends.
    pub abandoned: Option<Hook>,
}

/// When a child is made anew after it has ended unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Always: it is to run for as long as its supervisor does.
    Permanent,
    /// After everything but its own word that its work is done ([`Exit::Completed`]): a stop that nobody asked for, too.
    UntilCompleted,
    /// After a failure; one that completed or stopped has done its work.
    Transient,
    /// Never.
    Temporary,
}

/// How a supervisor is run.
#[derive(Debug, Clone)]
pub struct SupervisorSpec {
    /// Its name, unique within the process.
    pub name: String,
    /// Which children are made anew after one has failed.
    pub strategy: Strategy,
    /// How often it may fail as a whole within [`SupervisorSpec::within`]: once more takes its own supervisor
    /// down with it.
    pub max_restarts: u32,
    /// The window.
    pub within: Duration,
}

/// Which children are made anew after one has failed, and in what order they start and stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The failed one alone. They start in the order in which they were added (downstream first), each once the
    /// one before it runs, and stop in reverse, each once the one behind it has ended.
    OneForOne,
    /// The failed one and those that were added after it, which stand upstream of it and hold something of it.
    /// Same order.
    RestForOne,
    /// The failed one alone, and there is no order: all start and stop at once. One that has ended leaves the
    /// tree. For siblings that know nothing of each other, of which there may be thousands.
    Independent,
}

/// Something to be called.
#[derive(Clone)]
pub struct Hook(Arc<dyn Fn() + Send + Sync>);

// === impl ChildSpec ===

impl Default for ChildSpec {
    /// A child of no name that runs until it says that its work is done, with a mailbox of 16, five restarts in a minute, 5 s
    /// to end, not watched.
    fn default() -> Self {
        Self {
            name: String::new(),
            mailbox: 16,
            restart: Restart::UntilCompleted,
            max_restarts: 5,
            within: Duration::from_secs(60),
            shutdown: Duration::from_secs(5),
            drains: false,
            stall: None,
            steps: &[],
            abandoned: None,
        }
    }
}

// === impl Restart ===

impl Restart {
    /// Whether a child is made anew after this exit.
    pub fn after(self, exit: &Exit) -> bool {
        match self {
            Self::Permanent => true,
            Self::UntilCompleted => *exit != Exit::Completed,
            Self::Transient => exit.restarts(),
            Self::Temporary => false,
        }
    }
}

// === impl SupervisorSpec ===

impl Default for SupervisorSpec {
    /// One-for-one, of no name, which may fail three times in ten minutes.
    fn default() -> Self {
        Self {
            name: String::new(),
            strategy: Strategy::OneForOne,
            max_restarts: 3,
            within: Duration::from_secs(600),
        }
    }
}

// === impl Strategy ===

impl Strategy {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneForOne => "one-for-one",
            Self::RestForOne => "rest-for-one",
            Self::Independent => "independent",
        }
    }

    pub(super) fn ordered(self) -> bool {
        match self {
            Self::OneForOne | Self::RestForOne => true,
            Self::Independent => false,
        }
    }
}

// === impl Hook ===

impl Hook {
    /// Calls `hook`.
    pub fn new(hook: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    pub(super) fn call(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}
