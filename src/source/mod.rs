//! Kafka, where an event enters: identity and start offsets, the poll loop with its memory and its
//! rebalances, and the actor that keeps it alive.

mod actor;
mod budget;
mod client;
mod command;
mod group;
mod native;
mod offsets;
mod poller;
mod pollers;
mod probe;
mod ready;
mod room;
mod turn_back;

pub use actor::{Commands, Source};
pub use budget::{Budget, Permit};
pub use client::{client_config, client_id, consumer_config};
pub use command::Command;
pub use native::{Member, set_topic_config};
pub use offsets::NotMoved;
pub use pollers::Pollers;
pub use probe::{Probe, ProbeError};
