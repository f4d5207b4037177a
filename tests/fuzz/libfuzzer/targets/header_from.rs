//! See `sealwire_fuzz::header_from`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sealwire_fuzz::header_from(octets));
