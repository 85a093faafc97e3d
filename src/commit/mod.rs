//! Which records are resolved, and what may therefore be committed.

mod committer;
mod ledger;
mod search;
mod stuck;
mod watermark;

pub use committer::Committer;
pub use ledger::{Claim, Lease, Ledger, OpenMarks, Tally};
pub use watermark::{OutOfOrder, Resolution, Ticket, Watermark};
