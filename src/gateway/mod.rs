//! The gateway: live rooms and notifications for browsers, over WebSockets on actix-web.
//!
//! What is said on a socket is written down in `deploy/gateway.md`; behind it lies the wire contract on NATS, whose
//! order, permissions and limits hold here as they are. Promises
//! - **One order.** A viewer sees a room's entries in the order of LIVE_OUT, each once; what the feed did not bring is
//!   asked for from the history before anything later is shown. A client that comes back with the sequence of the
//!   last entry that it saw goes on from there.
//! - **Once for all.** A room has one pair of subscriptions in a process however many watch it, and what comes is
//!   encoded once, at once when the room is quiet and at most every 4 ms when it is not; while a fan-out takes longer
//!   than that, what comes meanwhile goes into the next one.
//! - **Nobody waits for the slow.** What a viewer does not take lies in a queue that is bounded in bytes. Past it the
//!   oldest totals are shed, then the oldest comments, and the viewer is told how many; recalls, answers and
//!   notifications are never shed: who does not even take those is sent away. Sent = delivered + shed, exactly, for
//!   each class, once every socket is closed.
//! - **Nobody gets in** without a token that [`crate::live::auth`] takes, from a page of another origin, or past the
//!   limits; a token's end ends its socket.
//!
//! In the order in which a client meets them: [`serve`] listens, [`admit`] decides, a [`session`] reads and writes a
//! [`conn`]ection on its worker thread ([`local`]), [`room`]s bring what is to be seen, [`asks`] carry requests, and
//! [`notices`] what services have to say.
//!
//! The socket is taken over from actix-http when it is upgraded. Measured, and why: the HTTP dispatcher keeps two buffers
//! of 8 KiB a connection for as long as it lives, besides its own state and a channel that a response body needs; a
//! socket that is taken over has none of that, and a buffer only while half a message lies in it.

mod admit;
mod asks;
mod conn;
mod cursor;
mod frame;
mod history;
mod http;
mod hub;
mod inbound;
mod local;
mod notices;
mod page;
mod places;
mod post;
mod queue;
mod recent;
mod room;
mod rooms;
mod serve;
mod session;
pub mod start;
pub mod tally;
mod viewers;
mod wire;

/// What `twolane run` calls the gateway among its pipelines.
pub const NAME: &str = "gateway";
