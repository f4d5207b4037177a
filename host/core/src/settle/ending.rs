//! How a recipient's journey ended without a delivery; what the report is written from.

use std::fmt;

use crate::outcome::Outcome;
use crate::reason::Reason;
use crate::settle::{LastRound, Progress};

/// Why there will be no further round, with the last one's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What ended it.
    pub ending: Ending,
    /// Of the last round.
    pub outcome: Outcome,
    /// Of the last plan; a report tells rule and text, never what matched nor the detail.
    pub reasons: Vec<Reason>,
    /// Rounds that took place in all.
    pub rounds: u32,
    /// The fallback's route that was tried last; None: the recipient's own.
    pub route: Option<String>,
    /// When the last round ended; seconds since the Unix epoch.
    pub at: u64,
}

/// Why it is late; there will be further rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delay {
    /// Since it arrived.
    pub waited_secs: u64,
    /// The last round.
    pub last: LastRound,
    /// It is tried until then; seconds since the Unix epoch.
    pub until: u64,
}

/// What ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The next hop refused for good.
    Refused,
    /// One attempt, and no host met the floor (H9).
    FloorUnmet {
        /// Rounds it took, repeats for hosts that could not be asked included.
        rounds: u32,
    },
    /// It waited as long as it may.
    Expired {
        /// How long that is.
        after_secs: u64,
        /// Whether it was held meanwhile.
        held: HeldBy,
    },
}

/// Who had it held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// It waited for its rounds.
    Nobody,
    /// A policy's fallback.
    Policy,
    /// An operator.
    Operator,
}

impl Failure {
    /// Of a message that expired while it waited.
    pub(super) fn of_waiting(progress: &Progress, after_secs: u64, held: HeldBy) -> Failure {
        let never_tried = || Outcome::Inconclusive { host: None, why: "it was never tried".into(), reply: None };
        let last = progress.last_round.as_ref();
        Failure {
            ending: Ending::Expired { after_secs, held },
            outcome: last.map_or_else(never_tried, |round| round.outcome.clone()),
            reasons: last.map(|round| round.reasons.clone()).unwrap_or_default(),
            rounds: progress.rounds,
            route: progress.route().map(str::to_owned),
            at: last.map_or(0, |round| round.at),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Refused => f.write_str("refused for good"),
            Ending::FloorUnmet { rounds: 1 } => f.write_str("floor unmet, one attempt"),
            Ending::FloorUnmet { rounds } => write!(f, "floor unmet in {rounds} rounds"),
            Ending::Expired { held: HeldBy::Policy, .. } => f.write_str("expired while held"),
            Ending::Expired { held: HeldBy::Operator, .. } => f.write_str("expired while an operator held it"),
            Ending::Expired { held: HeldBy::Nobody, .. } => f.write_str("expired"),
        }
    }
}
