//! Settle: what follows from an outcome, and when. Nothing else decides that.

use serde::{Deserialize, Serialize};

use crate::decision::FallbackStep;

/// What earlier rounds left for the next, per recipient; written in the entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Rounds that took place.
    pub rounds: u32,
    /// Ordinary retries so far; the back-off counts them.
    pub retries: u32,
    /// H9: rounds whose floor was unmet and some host inconclusive, since when.
    pub unmet: Option<UnmetWindow>,
    /// The first plan's fallback once it was entered, and how many of its steps are taken.
    pub cascade: Option<Cascade>,
    /// Since when failed decisions alone have kept it waiting; seconds since the Unix epoch.
    pub failing_since: Option<u64>,
    /// The last round in words, for `queue list`.
    pub last: String,
}

/// Inconclusive rounds of an unmet floor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnmetWindow {
    /// Seconds since the Unix epoch.
    pub since: u64,
    /// Rounds so far, the first included.
    pub rounds: u32,
}

/// A fallback that was entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cascade {
    /// As the first plan named them.
    pub steps: Vec<FallbackStep>,
    /// Steps taken so far.
    pub taken: usize,
}
