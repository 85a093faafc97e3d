#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| twolane_fuzz::run("maxwell_json", data));
