//! How much one caller may ask: buckets of tokens that fill with time, one for each caller and each unknown address.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::access::STRANGER;

/// Callers remembered; beyond, those whose bucket is full again are forgotten, which changes nothing for them.
const CALLERS_MAX: usize = 10_000;

/// The buckets of callers who are known, and of strangers, who can be as many as they like and take no room of the others.
#[derive(Default)]
pub(crate) struct Rates {
    known: Mutex<HashMap<String, Bucket>>,
    strangers: Mutex<HashMap<String, Bucket>>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    /// As full as it has become by now.
    fn filled(&self, per_minute: f64, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + since * per_minute / 60.0).min(per_minute)
    }
}

impl Rates {
    /// Takes one; the error says how long until there is one. A bucket holds a minute's worth.
    pub(crate) fn take(&self, caller: &str, per_minute: u32, now: Instant) -> Result<(), Duration> {
        let buckets = if caller.starts_with(STRANGER) { &self.strangers } else { &self.known };
        let Ok(mut buckets) = buckets.lock() else { return Ok(()) };
        let per_minute = f64::from(per_minute.max(1));
        if buckets.len() >= CALLERS_MAX && !buckets.contains_key(caller) {
            buckets.retain(|_, bucket| bucket.filled(per_minute, now) < per_minute);
            if buckets.len() >= CALLERS_MAX {
                // So many at once is an attack; strangers wait until some have had a minute.
                return Err(Duration::from_secs(60));
            }
        }
        let bucket = buckets.entry(caller.to_owned()).or_insert(Bucket { left: per_minute, at: now });
        let left = bucket.filled(per_minute, now);
        if left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - left) * 60.0 / per_minute));
        }
        *bucket = Bucket { left: left - 1.0, at: now };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let (rates, began) = (Rates::default(), Instant::now());
        let at = |secs: u64| began + Duration::from_secs(secs);
        // Caller, second, whether it is let through at 2 a minute.
        let rows = [
            ("a", 0, true),
            ("a", 0, true),
            ("a", 0, false),
            ("b", 0, true),
            ("a", 29, false),
            ("a", 30, true),
            ("a", 31, false),
            ("a", 1000, true),
            ("a", 1000, true),
            ("a", 1000, false),
        ];
        for (caller, secs, expected) in rows {
            assert_eq!(rates.take(caller, 2, at(secs)).is_ok(), expected, "{caller} at {secs}");
        }
        let wait = rates.take("a", 2, at(1010)).expect_err("ten seconds are too few");
        assert_eq!(wait.as_secs_f64().round(), 20.0);
    }

    #[test]
    fn there_is_a_bound_on_callers() {
        let (rates, now) = (Rates::default(), Instant::now());
        for number in 0..CALLERS_MAX {
            assert!(rates.take(&format!("{STRANGER}{number}"), 2, now).is_ok());
        }
        let one_more = format!("{STRANGER}one more");
        assert!(rates.take(&one_more, 2, now).is_err());
        assert!(rates.take(&format!("{STRANGER}0"), 2, now).is_ok(), "who was there is served");
        assert!(rates.take("token 7", 2, now).is_ok(), "strangers take no room of who is known");
        assert!(rates.take(&one_more, 2, now + Duration::from_secs(60)).is_ok());
    }
}
