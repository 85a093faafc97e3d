//! The live lane: a room's likes and bullet comments over NATS, never late; what it sheds it counts.
//!
//! In the order in which a comment meets them: [`names`] says who and where, [`wire`] what is written; the
//! inbox takes comments, the [`room`]s judge them, the [`outbox`] shows them, [`dead`] keeps what nobody could
//! handle. Beside their way: history and requests, likes and heartbeats at receipt, and the counts of all of
//! it.

pub mod names;
pub mod wire;

pub mod connect;

mod inbox;
pub mod room;

pub mod dead;
pub mod outbox;
mod read;

pub mod load;
pub mod tally;
pub mod trouble;

mod history;
mod receive;
mod requests;

pub mod lane;
mod service;
