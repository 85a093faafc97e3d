//! Who may do what on the live lane, and its streams, on servers with the local stack's configuration.

mod callout;
mod permissions;
mod replies;
pub mod rig;
mod secure;
mod streams;
pub mod user;
