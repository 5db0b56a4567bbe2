#![no_main]

#[path = "../../tests/it/plain.rs"]
#[allow(dead_code, reason = "the other target's")]
mod plain;
#[path = "../../tests/it/targets.rs"]
#[allow(dead_code, reason = "the other target's")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::engine(data));
