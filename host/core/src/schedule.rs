//! When a deferred message is tried again, and when it is given up (RFC 5321 §4.5.4.1).
//!
//! Numbers only: what counts as a retry is `settle`'s business. The jitter is an argument, so that the schedule can be
//! run in virtual time; it only ever lengthens a wait.

use serde::{Deserialize, Serialize};

/// A wait is lengthened by at most this part of itself, so that what was deferred together does not return together.
const JITTER_MAX: f64 = 0.2;

/// The queue's times, all in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// Wait before the first ordinary retry; each later wait is twice the one before.
    pub first_retry_secs: u64,
    /// No wait is longer (jitter apart).
    pub max_interval_secs: u64,
    /// A message that is not delivered this long after its arrival is reported to its sender.
    pub expire_after_secs: u64,
    /// The sender of a message that still waits after so long is told once (RFC 3461 §4.1); 0: never.
    pub delay_notice_after_secs: u64,
    /// How often a round is repeated whose floor was unmet while some host could not be asked (H9); 0: never.
    pub inconclusive_repeats: u32,
    /// How long such repeats go on.
    pub inconclusive_window_secs: u64,
    /// Wait after a policy could not decide; not an ordinary retry.
    pub failed_decision_retry_secs: u64,
    /// An operator is told when policies have kept a message waiting this long.
    pub failed_decision_alert_after_secs: u64,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule {
            // RFC 5321 §4.5.4.1: a few tries soon, then at least 30 minutes apart: 5, 10, 20, 40, 60, 60, ... minutes.
            first_retry_secs: 5 * 60,
            max_interval_secs: 60 * 60,
            // RFC 5321 §4.5.4.1: "the give-up time generally needs to be at least 4-5 days".
            expire_after_secs: 5 * 24 * 60 * 60,
            delay_notice_after_secs: 4 * 60 * 60,
            inconclusive_repeats: 3,
            inconclusive_window_secs: 60 * 60,
            failed_decision_retry_secs: 60,
            failed_decision_alert_after_secs: 5 * 60,
        }
    }
}

impl Schedule {
    /// The wait before retry number `retry`, counted from 1, lengthened by `jitter` (0.0 to 1.0). At least a second:
    /// a schedule of zeros must not spin.
    pub fn wait_secs(&self, retry: u32, jitter: f64) -> u64 {
        let doublings = retry.saturating_sub(1).min(32);
        let wait = self.first_retry_secs.saturating_mul(1 << doublings).min(self.max_interval_secs).max(1);
        lengthened(wait, jitter)
    }

    /// The wait after a failed decision.
    pub fn failed_decision_wait_secs(&self, jitter: f64) -> u64 {
        lengthened(self.failed_decision_retry_secs.max(1), jitter)
    }

    /// When a message that arrived at `arrived_at` is given up.
    pub fn expires_at(&self, arrived_at: u64) -> u64 {
        arrived_at.saturating_add(self.expire_after_secs)
    }

    /// The last moment at which a repeat counts as within the window that opened at `since` (H9).
    pub fn window_ends_at(&self, since: u64) -> u64 {
        since.saturating_add(self.inconclusive_window_secs)
    }
}

fn lengthened(wait: u64, jitter: f64) -> u64 {
    wait.saturating_add((wait as f64 * JITTER_MAX * jitter.clamp(0.0, 1.0)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let schedule = Schedule::default();
        // (retry, minutes without jitter, minutes with all of it)
        let rows = [(1, 5, 6), (2, 10, 12), (3, 20, 24), (4, 40, 48), (5, 60, 72), (6, 60, 72), (u32::MAX, 60, 72)];
        for (retry, least, most) in rows {
            assert_eq!(schedule.wait_secs(retry, 0.0), least * 60, "retry {retry}");
            assert_eq!(schedule.wait_secs(retry, 1.0), most * 60, "retry {retry} with jitter");
            let between = schedule.wait_secs(retry, 0.5);
            assert!((least * 60..=most * 60).contains(&between), "retry {retry}: {between}");
        }
    }

    #[test]
    fn odd_settings_neither_spin_nor_overflow() {
        let zeros = Schedule { first_retry_secs: 0, failed_decision_retry_secs: 0, ..Schedule::default() };
        assert_eq!(zeros.wait_secs(1, 0.0), 1);
        assert_eq!(zeros.failed_decision_wait_secs(0.0), 1);
        let huge = Schedule {
            first_retry_secs: u64::MAX,
            max_interval_secs: u64::MAX,
            expire_after_secs: u64::MAX,
            ..Schedule::default()
        };
        assert!(huge.wait_secs(9, f64::NAN) > 0);
        assert_eq!(huge.wait_secs(9, 1.0), u64::MAX);
        assert_eq!(huge.expires_at(7), u64::MAX);
    }

    #[test]
    fn settings_may_name_some_and_not_others_but_nothing_unknown() {
        let some: Schedule = serde_json::from_str(r#"{"inconclusive_repeats": 0}"#).expect("a partial schedule");
        assert_eq!(some, Schedule { inconclusive_repeats: 0, ..Schedule::default() });
        assert!(serde_json::from_str::<Schedule>(r#"{"first_retry": 1}"#).is_err());
    }
}
