//! `cargo demo`: the whole lane on this machine, from a database that changes to a verdict.
//!
//! It promises that what it calls equal was compared: every row of the table by SELECT with its document and
//! its hash, column by column, by rules of its own ([`expected`]), and everything live in the sinks with the
//! table. It relies on the local stack (`deploy/local/stack`), on `topics/app.app.user_profile.toml` and on
//! `pipelines/user_profile.toml`. It never deletes data: a second run goes on with the table, the topic and
//! the sinks as they are. The tests use the same parts.

pub mod capture;
pub mod changes;
pub mod compare;
pub mod expected;
pub mod flow;
pub mod guest;
pub mod http;
pub mod kafka;
pub mod lane;
pub mod live;
pub mod load;
pub mod notices;
pub mod people;
pub mod probe;
pub mod rng;
pub mod run;
pub mod scene;
pub mod screen;
pub mod settle;
pub mod stack;
pub mod stores;
pub mod survey;
pub mod table;
pub mod verdict;
