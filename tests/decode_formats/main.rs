//! Every change format through its decoder and the projection, as a worker has them: records that others made,
//! against what is written beside them by hand; and records of one row in all formats, against each other. No
//! server is needed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod any_bytes;
mod avro_record;
mod canal;
mod fuzz;
#[path = "../fuzz/targets.rs"]
mod fuzz_targets;
mod lane;
mod maxwell;
mod same_row;
mod value_table;
