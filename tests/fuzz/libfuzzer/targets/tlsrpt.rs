//! See `sealwire_fuzz::tlsrpt`.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| sealwire_fuzz::tlsrpt(octets));
