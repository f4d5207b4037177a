//! See `sealwire_fuzz::reply`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sealwire_fuzz::reply(octets));
