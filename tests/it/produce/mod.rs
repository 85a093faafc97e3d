//! The producers' side: what comes in is there, once, where Java's producer would have put it, and nothing
//! that was acknowledged is missing; and the topics that it goes into are what their files say.

mod client;
mod desk;
mod drain;
mod fatal;
mod http;
mod load;
mod partition;
mod send;
mod topics;
