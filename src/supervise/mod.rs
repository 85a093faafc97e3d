//! A tree of supervisors that make failed actors anew.
//!
//! actix's own `Supervisor` restarts only what stopped itself: it catches no panic, waits for nothing and
//! never gives up. Here the supervisor owns the mailbox. Each incarnation is a fresh actor from its factory
//! on a fresh context, fed from that one mailbox by a pump; when it panics, fails, stalls or stops, the queued
//! messages stay, and after a delay the next incarnation takes them. The message that was being handled is
//! lost to the actor (its sender sees `Closed`), so whatever must not be lost carries its own guard (a chunk
//! tells the ledger).
//!
//! What it promises
//! - A child ends for a reason ([`Exit`]), and its [`Restart`] policy says whether it is made anew: after an
//!   exponential delay with jitter, and at most [`ChildSpec::max_restarts`] times within a window. Once more, and its
//!   supervisor fails as a whole: it stops its other children in order and is itself a failed child of the
//!   one above. The window is a child's own, not its supervisor's: eight workers that meet one fault each
//!   are no crash loop. At the root it is an escalation, which ends the process ([`Tree::escalated`]).
//! - Children of an ordered supervisor start one after the other, downstream first, and stop in reverse, each
//!   within its deadline; what does not end is killed.
//! - Panics are caught in handlers, in futures given to the context, in the factory and on drop; in a plain
//!   `ResponseFuture` or a spawned task, which actix runs beside the context, where it goes through
//!   [`ExitSlot::guard`]. One that does not is seen by its sender alone, as `Closed`.
//! - A child that has work and does not move ([`Progress`]), or whose thread neither answers nor moves, for its
//!   stall deadline is made anew. Nothing can end code that blocks a thread: after a moment such an actor is
//!   left behind together with its thread, and made anew on a fresh [`Thread`] like every other actor of
//!   that thread. The one left behind gets no more messages, and is dropped when it wakes. Past
//!   [`MOST_ABANDONED`] of them the tree escalates. On an arbiter of the caller's own the child fails for good.
//! - An [`Inbox`] is bounded for whoever sends.

mod chaos;
mod child;
mod exit;
mod keeper;
mod mailbox;
mod progress;
mod pump;
mod run;
mod spec;
mod status;
mod supervisor;
mod table;
mod thread;
mod tree;
mod window;

pub use chaos::{Chaos, Fault, Plan, Planned, Steps};
pub use child::{Child, Incarnation, start};
pub use exit::{Exit, ExitSlot};
pub use mailbox::{Inbox, Post};
pub use progress::{Progress, Standing, Waiting};
pub use run::Stopping;
pub use spec::{ChildSpec, Hook, Restart, Strategy, SupervisorSpec};
pub use status::{ChildState, ChildStatus};
pub use supervisor::Supervisor;
pub use thread::{Place, Thread};
pub use tree::{Asked, MOST_ABANDONED, Node, Tree};

use run::Runner;
