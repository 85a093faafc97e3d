//! The live lane on real NATS servers, one for each test.

mod actors;
mod comments;
mod dead;
mod faults;
mod history;
mod likes;
mod overload;
mod proxy;
pub mod rig;
mod speed;
mod worker;
