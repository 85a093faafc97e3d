//! The durable lane between real servers: Kafka in, Elasticsearch and Redis out.

mod group;
mod identity;
mod pause;
mod rejections;
mod restarts;
pub mod rig;
mod rules;
pub mod tools;
mod versions;

pub use rig::system;
