//! The producers' side: how events come into Kafka without one of them being lost.
//!
//! Promises: an event is checked against its topic's schema, and its key made by the topic's declared key,
//! before anything is sent; what is sent is written once and in the order of its partition (idempotent,
//! `acks=all`), to the partition that Java's producer would choose; it counts as there only when Kafka has
//! acknowledged it. What waits is bounded in bytes and in number: whoever sends more waits, and nothing is
//! dropped. What was not acknowledged in time may be there all the same: sent again it is written again, which
//! changes nothing where an event is the whole state of its key.
//!
//! It relies on the topic's being as its spec says, which [`open::open`] checks once.

mod client;
pub mod http;
mod key;
pub mod open;
mod refused;
mod room;
mod topic;

pub use client::{Acked, Limits, Outgoing, Producer, Receipt, producer_config, promises};
pub use refused::{Reason, Refused};
pub use topic::{EventTopic, Named};
