//! twolane keeps Elasticsearch and Redis in step with MySQL and MariaDB, through Kafka.
//!
//! The modules stand in the order in which an event meets them.

pub mod cli;
pub mod config;

pub mod event;

pub mod source;

pub mod route;
pub mod worker;

pub mod decode;
pub mod schema_registry;
pub mod transform;

pub mod sink;

pub mod commit;

pub(crate) mod dead;

pub mod produce;

pub mod live;

pub mod gateway;

pub mod branch;
pub mod lane;
pub mod reload;
pub mod retry;
pub mod supervise;

pub mod ops;
pub mod runbook;

#[doc(hidden)]
pub mod planted;
