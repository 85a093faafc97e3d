//! The durable lane between real servers: Kafka in, Elasticsearch and Redis out.

pub mod rig;
mod rules;

pub use rig::system;
