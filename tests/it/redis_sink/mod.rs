//! The Redis sink against real Redis.

mod bench;
mod forgets;
mod lane;
mod refuses;
mod server;
mod versions;

pub use server::Server;
