//! Why the settings stay as they are.

use std::fmt;

use sealwire_core::time::rfc3339;
use sealwire_core::units::Within;
use sealwire_store::{Revision, StoreError};

use super::ChangedSince;
use crate::audit;
use crate::config::Problem;
use crate::settings::EditError;

/// Why the settings stay as they are.
#[derive(Debug)]
pub enum ChangeError {
    /// They would not do.
    Refused(Vec<Problem>),
    /// The edit cannot be made.
    Edit(EditError),
    /// Somebody was faster: the newest revision is another.
    Conflict {
        /// Which it was thought to be; None: one that is none.
        expected: Option<u64>,
        /// The newest, without its document; None: there is none.
        newest: Option<Box<Revision>>,
        /// What has changed from the one to the other; None: of one that is none nothing can be told.
        changed: Option<Box<ChangedSince>>,
    },
    /// It touches what is of other units.
    NotTheirs {
        /// The first such object, in words.
        object: String,
        /// The units that whoever asks may change settings of.
        within: Within,
    },
    /// There is no such revision.
    NoRevision(u64),
    /// The store failed.
    Store(StoreError),
}

impl ChangeError {
    /// For the audit log.
    pub(super) fn reason(&self) -> String {
        match self {
            ChangeError::Refused(problems) => audit::reason(problems),
            error => error.to_string(),
        }
    }
}

impl From<Vec<Problem>> for ChangeError {
    fn from(problems: Vec<Problem>) -> ChangeError {
        ChangeError::Refused(problems)
    }
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> ChangeError {
        ChangeError::Store(error)
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::Refused(problems) => write!(f, "{} problems", problems.len()),
            ChangeError::Edit(EditError::NotFound(text) | EditError::Wrong(text)) => f.write_str(text),
            ChangeError::Conflict { expected, newest, .. } => {
                f.write_str("the settings have changed meanwhile: ")?;
                if let Some(expected) = expected {
                    write!(f, "revision {expected} was expected, ")?;
                }
                match newest {
                    Some(newest) => {
                        let Revision { revision, by, at, .. } = &**newest;
                        let at = rfc3339(*at);
                        write!(f, "the newest is {revision}, by {by}, of {at}; read it, and make the change in that")
                    }
                    None => f.write_str("there is none"),
                }
            }
            ChangeError::NotTheirs { object, within } => {
                write!(f, "{object} is not of the units that you may change settings of: {within}")?;
                match object.starts_with("list ") {
                    true => f.write_str("; a list is of the units whose settings alone name it"),
                    false => Ok(()),
                }
            }
            ChangeError::NoRevision(revision) => write!(f, "there is no revision {revision} of the settings"),
            ChangeError::Store(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ChangeError {}
