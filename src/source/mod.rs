//! Kafka, where an event enters: identity and start offsets, the poll loop with its memory and its
//! rebalances, and the actor that keeps it alive.

mod actor;
mod budget;
mod client;
mod command;
mod group;
mod offsets;
mod poller;
mod pollers;
mod probe;
mod room;
mod topic_id;
mod turn_back;

pub use actor::{Commands, Source};
pub use budget::{Budget, Permit};
pub use client::{client_config, consumer_config};
pub use command::Command;
pub use offsets::NotMoved;
pub use pollers::Pollers;
pub use probe::{Probe, ProbeError};
