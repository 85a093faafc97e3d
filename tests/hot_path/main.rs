//! What one event costs on its way from a record to a request's body, in allocations and in instructions. Wall time
//! on a shared machine says little, and comes too late; these two are the same in every run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod allocations;
mod instructions;
mod work;
