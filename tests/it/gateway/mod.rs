//! The browsers' gateway, on servers with the local stack's accounts and permissions, and with a client that is not its
//! own.

mod abuse;
mod admission;
mod browser;
mod client;
mod crowd;
mod drain;
mod identity;
mod memory;
mod notifications;
mod ready;
mod resume;
mod rig;
mod rooms;
mod slow;
