#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_targets::libfuzzer::hub_store(input));
