//! See `sealwire_fuzz::line`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sealwire_fuzz::line(octets));
