#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| twolane_fuzz::run("debezium_avro", data));
