//! Alerts: what an operator should look at. A log line of level error, a line in `status`, a metric.

use std::collections::VecDeque;
use std::sync::Mutex;

use serde::Serialize;

/// Alerts that `status` shows; older ones are in the log and the ledger.
const SHOWN: usize = 50;
/// The same alert is not given again within this time.
const AGAIN_AFTER_MS: u64 = 300_000;

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Alert {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// In words.
    pub text: String,
    #[serde(skip)]
    key: String,
}

/// The latest alerts.
#[derive(Default)]
pub(crate) struct Alerts(Mutex<VecDeque<Alert>>);

impl Alerts {
    /// Gives an alert at this moment; false if one of this key was given a moment ago.
    pub(crate) fn give(&self, key: &str, text: &str, at_ms: u64) -> bool {
        if let Ok(mut alerts) = self.0.lock() {
            let lately = |a: &Alert| a.key == key && at_ms.saturating_sub(a.at_ms) < AGAIN_AFTER_MS;
            if alerts.iter().any(lately) {
                return false;
            }
            if alerts.len() >= SHOWN {
                alerts.pop_front();
            }
            alerts.push_back(Alert { at_ms, text: text.to_owned(), key: key.to_owned() });
        }
        metrics::counter!("sealwire_alerts_total").increment(1);
        tracing::error!(alert = text);
        true
    }

    /// Oldest first.
    pub(crate) fn latest(&self) -> Vec<Alert> {
        self.0.lock().map(|alerts| alerts.iter().cloned().collect()).unwrap_or_default()
    }
}
