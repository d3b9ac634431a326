#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| burgee_evaluator_fuzz::versions(bytes));
