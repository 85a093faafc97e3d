#![no_main]
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

#[path = "../../decode_formats/lane.rs"]
mod lane;
#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::run("key_template", data));
