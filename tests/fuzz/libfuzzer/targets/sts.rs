//! See `sealwire_fuzz::sts`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sealwire_fuzz::sts(octets));
