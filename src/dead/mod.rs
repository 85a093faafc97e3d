//! Dead letters: found, read, and written into their sinks again once the cause is mended.
//!
//! Promises: it joins no consumer group, moves no offset and leaves every letter where it is, since the
//! dead-letter topic is a log; a replayed record carries its original version, so it never covers anything newer.
//!
//! It relies on the headers that [`crate::sink::dead_letter`] writes. What a replay wrote lies under no marker:
//! where Redis forgets it, it is to be replayed again.

mod branch;
mod letter;
mod redact;
mod replay;
mod summary;
pub(crate) mod text;
mod topic;
mod view;

#[cfg(test)]
pub(crate) use letter::About;
pub(crate) use letter::{At, Letter};
pub(crate) use redact::Redactor;
pub(crate) use replay::{Branches, Replayed, Tally, Which, replay};
pub(crate) use summary::Summary;
pub(crate) use topic::DeadTopic;
pub(crate) use view::LetterView;
