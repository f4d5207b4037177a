//! See `sealwire_fuzz::settings`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sealwire_fuzz::settings(octets));
