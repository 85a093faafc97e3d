#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| twolane_fuzz::run("column_type", data));
