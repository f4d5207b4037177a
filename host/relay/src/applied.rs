//! What stands in the way of settings that were to be applied.

use sealwire_store::StoreError;

use crate::audit;
use crate::config::Problem;

/// Why settings are not in force.
#[derive(Debug)]
pub enum NotApplied {
    /// They will not do.
    Problems(Vec<Problem>),
    /// Another revision than the expected is the newest.
    Stale {
        /// As asked for.
        expected: u64,
        /// The newest.
        found: u64,
    },
}

impl NotApplied {
    /// For the audit log.
    pub(crate) fn reason(&self) -> String {
        match self {
            NotApplied::Problems(problems) => audit::reason(problems),
            NotApplied::Stale { expected, found } => {
                StoreError::Conflict { expected: *expected, found: *found }.to_string()
            }
        }
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        match self {
            NotApplied::Problems(problems) => problems,
            NotApplied::Stale { expected, found } => {
                vec![Problem::of_file("settings", StoreError::Conflict { expected, found }.to_string())]
            }
        }
    }
}

impl From<Vec<Problem>> for NotApplied {
    fn from(problems: Vec<Problem>) -> NotApplied {
        NotApplied::Problems(problems)
    }
}
