//! The targets as a library, so that each of `fuzz_targets/` is one line.

// The same code is a part of the format tests, which use more of it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

#[path = "../decode_formats/lane.rs"]
mod lane;
mod targets;

pub use targets::run;
