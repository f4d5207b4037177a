//! See `sealwire_fuzz::command`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sealwire_fuzz::command(octets));
