//! Commands.
pub mod demo;
