//! Restarts actors that fail.
//!
//! actix's own `Supervisor` restarts only what stopped itself: it catches no panic, waits for nothing and
//! never gives up. Here the supervisor owns the mailbox. Each incarnation is a fresh actor from its factory
//! on a fresh context, fed from that one mailbox by a pump; when it panics, fails or stops, the queued
//! messages stay, and after a delay the next incarnation takes them. The message that was being handled is
//! lost to the actor, so whatever must not be lost carries its own guard (a chunk tells the ledger).
//!
//! Panics are caught in handlers, in futures given to the context, in the factory and on drop. Not in a
//! plain `ResponseFuture`, which actix runs as a task of its own: use `ResponseActFuture`.

mod child;
mod exit;
mod pump;
mod tree;

pub use child::{Child, ChildSpec, Incarnation, start};
pub use exit::{Exit, ExitSlot};
pub use tree::{ChildState, ChildStatus, Tree};
