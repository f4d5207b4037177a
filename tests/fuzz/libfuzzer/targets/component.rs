//! See `sealwire_fuzz::component`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sealwire_fuzz::component(octets));
