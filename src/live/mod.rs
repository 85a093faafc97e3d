//! The live lane: a room's likes and bullet comments over NATS, never late; what it sheds it counts.
//!
//! In the order in which a comment meets them: [`names`] says who and where, [`wire`] what is written, [`room`]
//! judges by what [`moderation`] decided, by its [`keywords`] and by its limits; it also folds likes and counts
//! viewers.

pub mod names;
pub mod wire;

pub mod room;

pub mod keywords;
mod limits;
pub mod moderation;

mod likes;
mod viewers;

mod redis;
