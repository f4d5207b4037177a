//! Alerts: what an operator should look at. A log line of level error, a line in `status`, a metric; by mail and to a webhook where
//! the configuration says so ([`send`]).

mod refusals;
mod send;

pub(crate) use refusals::{Refusals, run as sum_refusals};
pub(crate) use send::run as send;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use sealwire_core::visible::visible;
use serde::Serialize;
use tokio::sync::Notify;

/// Alerts that `status` shows; older ones are in the log and the ledger.
const SHOWN: usize = 50;
/// The same alert is not given again within this time.
const AGAIN_AFTER_MS: u64 = 300_000;
/// Alerts that wait to be sent; of more, only their number is told.
const PENDING_MAX: usize = 200;

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Alert {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// In words.
    pub text: String,
    #[serde(skip)]
    key: String,
    /// It may go by mail: it is not about the mail of alerts.
    #[serde(skip)]
    by_mail: bool,
}

/// The latest alerts.
#[derive(Default)]
pub(crate) struct Alerts {
    latest: Mutex<VecDeque<Alert>>,
    pending: Mutex<Pending>,
    raised: Notify,
    pub(crate) refusals: Refusals,
}

/// What is to be sent.
#[derive(Default)]
pub(crate) struct Pending {
    alerts: Vec<Alert>,
    /// There was no room for so many.
    dropped: usize,
}

/// Where an alert may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Audience {
    /// Not by mail: it is about the mail of alerts.
    NotByMail,
    /// Wherever the configuration says.
    All,
}

impl Alerts {
    /// Gives an alert at this moment; false if one of this key was given a moment ago.
    ///
    /// It may quote strangers, and is one line wherever it is told.
    pub(crate) fn give(&self, key: &str, text: &str, at_ms: u64, audience: Audience) -> bool {
        let by_mail = audience == Audience::All;
        let text = visible(text);
        let alert = Alert { at_ms, text: text.clone(), key: key.to_owned(), by_mail };
        {
            let mut latest = lock(&self.latest);
            let lately = |a: &Alert| a.key == key && at_ms.saturating_sub(a.at_ms) < AGAIN_AFTER_MS;
            if latest.iter().any(lately) {
                return false;
            }
            if latest.len() >= SHOWN {
                latest.pop_front();
            }
            latest.push_back(alert.clone());
        }
        let mut pending = lock(&self.pending);
        match pending.alerts.len() < PENDING_MAX {
            true => pending.alerts.push(alert),
            false => pending.dropped += 1,
        }
        self.raised.notify_one();
        metrics::counter!("sealwire_alerts_total").increment(1);
        tracing::error!(alert = text);
        true
    }

    /// Oldest first.
    pub(crate) fn latest(&self) -> Vec<Alert> {
        lock(&self.latest).iter().cloned().collect()
    }

    /// Waits until there is something to send.
    async fn raised(&self) {
        self.raised.notified().await;
    }

    fn take_pending(&self) -> Pending {
        std::mem::take(&mut lock(&self.pending))
    }
}

/// No panic leaves half a change under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_alert_is_given_once_in_five_minutes() {
        const FIVE_MINUTES: u64 = 300_000;
        // (milliseconds, key, whether it is given)
        let course = [
            (0, "disk", true),
            (1, "disk", false),
            (2, "door", true),
            (FIVE_MINUTES - 1, "disk", false),
            (FIVE_MINUTES, "disk", true),
            (FIVE_MINUTES + 1, "disk", false),
            (2 * FIVE_MINUTES - 1, "disk", false),
            (2 * FIVE_MINUTES, "disk", true),
        ];
        let alerts = Alerts::default();
        for (after, key, given) in course {
            let at_ms = 1_000_000 + after;
            assert_eq!(alerts.give(key, &format!("{key} at {after}"), at_ms, Audience::All), given, "{key} at {after}");
        }
        assert_eq!(alerts.latest().len(), 4);
        assert_eq!(alerts.take_pending().alerts.len(), 4);
    }
}
