//! What happens inside rooms, against real Redis and NATS of the tests' own, so that they may be killed.

mod bench;
mod idle;
mod likes;
mod limits;
mod lossy;
mod moderation;
mod rig;
mod viewers;
