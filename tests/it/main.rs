//! Behaviours across real servers, in one binary since linking it is what takes the time.
//!
//! The servers come from `deploy/local/stack` and end with this process.
// Clippy's exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod browser;
mod capture;
mod dead_letters;
mod elasticsearch_identity;
mod elasticsearch_secure;
mod elasticsearch_sink;
mod elasticsearch_support;
#[path = "../faults/mod.rs"]
mod faults;
mod formats;
mod gateway;
mod lane;
mod live;
mod live_auth;
mod live_rooms;
mod nats;
mod observability;
mod ops;
mod process;
mod produce;
mod redis_sink;
mod reload;
mod rewind;
mod segments;
mod stack;
mod supervise;
