//! See `sealwire_fuzz::configuration`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sealwire_fuzz::configuration(octets));
