//! The clock and the dice of the relay: everything behind this crate's door takes both as arguments.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch.
pub(crate) fn now() -> u64 {
    since_epoch().as_secs()
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

fn since_epoch() -> Duration {
    // A clock before 1970 is as good as none: schedules then start at zero and go on.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// 0.0 to 1.0, for back-off.
pub(crate) fn jitter() -> f64 {
    rand::random()
}

/// Letters and digits that nobody confuses (Crockford's base 32, lower case).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A new id: ten characters of time, ten of chance. Ids made later sort later, and 50 random bits within one
/// millisecond do not meet.
pub(crate) fn new_id() -> String {
    let digits = |mut value: u64| {
        let mut text = [b'0'; 10];
        for digit in text.iter_mut().rev() {
            *digit = ALPHABET[usize::try_from(value % 32).unwrap_or(0)];
            value /= 32;
        }
        text
    };
    let octets = [digits(now_ms()), digits(rand::random())].concat();
    octets.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_do_not_repeat() {
        let ids: Vec<String> = (0..1000).map(|_| new_id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0][..10] <= pair[1][..10]));
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
        assert!(ids.iter().all(|id| id.len() == 20));
    }
}
