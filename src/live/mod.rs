//! The live lane: a room's likes and bullet comments over NATS, never late; what it sheds it counts.
//!
//! In the order in which a comment meets them: [`names`] says who and where, [`wire`] what is written, [`auth`]
//! who may do what, [`streams`] where it is kept. The inbox takes comments, the [`room`]s judge them by what
//! [`moderation`] decided, by their [`keywords`] and by their limits, the [`outbox`] shows them, and [`dead`]
//! keeps what nobody could handle. Beside their way: likes and viewers, history and requests, and the counts of
//! all of it.

pub mod auth;
pub mod names;
pub mod streams;
pub mod wire;

pub mod connect;

mod inbox;
pub mod room;

pub mod keywords;
pub(crate) mod limits;
pub mod moderation;

mod likes;
mod viewers;

pub mod dead;
pub mod outbox;
pub(crate) mod read;

pub mod load;
pub mod tally;
pub mod trouble;

mod history;
mod receive;
mod redis;
mod requests;

pub mod lane;
pub(crate) mod service;
pub mod start;
