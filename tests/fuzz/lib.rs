//! The targets as a library, so that each of `fuzz_targets/` is one line.

#[path = "../decode_formats/lane.rs"]
pub mod lane;
pub mod targets;

pub use targets::run;
