//! The durable lane between real servers: Kafka in, Elasticsearch and Redis out.

mod rig;
mod rules;
