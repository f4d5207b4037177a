//! The code that makes the first administrator: told at the start of a relay that has none, good once and for an hour.

use std::sync::Mutex;

use sealwire_store::StoreError;
use subtle::ConstantTimeEq;

use super::tokens::{digest, random};

/// How long it is good.
const GOOD_FOR_SECS: u64 = 3600;
/// Octets of its randomness.
const SECRET_OCTETS: usize = 32;

/// The code, as its digest, and when it ends.
#[derive(Default)]
pub(crate) struct First(Mutex<Option<(String, u64)>>);

impl First {
    /// A new one, in the place of any before it.
    pub(crate) fn begin(&self, now: u64) -> Result<String, StoreError> {
        let code = random(SECRET_OCTETS)?;
        if let Ok(mut first) = self.0.lock() {
            *first = Some((digest(&code), now + GOOD_FOR_SECS));
        }
        Ok(code)
    }

    /// Whether it is this, and still good.
    pub(crate) fn is_code(&self, code: &str, now: u64) -> bool {
        let Ok(first) = self.0.lock() else { return false };
        first
            .as_ref()
            .is_some_and(|(kept, ends_at)| bool::from(digest(code).as_bytes().ct_eq(kept.as_bytes())) && now < *ends_at)
    }

    /// It is no good any more.
    pub(crate) fn used(&self) {
        if let Ok(mut first) = self.0.lock() {
            *first = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_once_and_for_an_hour() {
        let first = First::default();
        assert!(!first.is_code("", 0), "there is none");
        let one = first.begin(0).expect("begun");
        assert!(first.is_code(&one, GOOD_FOR_SECS - 1) && !first.is_code(&one, GOOD_FOR_SECS));
        assert!(!first.is_code("", 0) && !first.is_code(&one[1..], 0));
        let other = first.begin(0).expect("begun");
        assert!(!first.is_code(&one, 0) && first.is_code(&other, 0), "a new one takes its place");
        first.used();
        assert!(!first.is_code(&other, 0));
    }
}
