//! The live lane: a room's likes and bullet comments over NATS, never late; what it sheds it counts.
//!
//! In the order in which a comment meets them: [`names`] says who and where, [`wire`] what is written,
//! [`auth`] who may do what, [`streams`] where it is kept.

pub mod auth;
pub mod names;
pub mod streams;
pub mod wire;
