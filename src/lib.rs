//! twolane keeps Elasticsearch and Redis in step with MySQL and MariaDB, through Kafka.
//!
//! The modules stand in the order in which an event meets them.
#![forbid(unsafe_op_in_unsafe_fn)]

pub mod config;
pub mod event;

pub mod decode;
pub mod transform;

pub mod sink;

pub mod cli;
