//! Why a command could not do what it was asked.

use std::fmt;

use sealwire_admin::{ClientError, Refusal, ServerError};
use sealwire_relay::config::Problem;

/// One command's failure.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Things wrong with files, each with its place.
    Problems(Vec<Problem>),
    /// The running relay could not be asked, or said no.
    Client(ClientError),
    /// The admin socket could not be had.
    Socket(ServerError),
    /// Anything else, in a sentence.
    Text(String),
}

impl Failure {
    /// What `--json` lists.
    pub(crate) fn problems(&self) -> &[Problem] {
        match self {
            Failure::Problems(problems) => problems,
            Failure::Client(ClientError::Refused(refusal)) => &refusal.problems,
            Failure::Client(_) | Failure::Socket(_) | Failure::Text(_) => &[],
        }
    }

    /// Somebody else's change came first.
    pub(crate) fn conflict(&self) -> Option<&Refusal> {
        match self {
            Failure::Client(ClientError::Refused(refusal)) => Some(refusal).filter(|refusal| refusal.changed.is_some()),
            _ => None,
        }
    }
}

impl Failure {
    /// For people: each thing that is wrong, and each that somebody else has changed, on a line of its own.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Failure::Problems(problems) => problems.iter().map(ToString::to_string).collect(),
            Failure::Client(ClientError::Refused(refusal)) => {
                let problems = refusal.problems.iter().map(|problem| format!("  {problem}"));
                let changed = refusal.changed.iter().flat_map(|changed| changed.told());
                std::iter::once(refusal.error.clone()).chain(problems).chain(changed).collect()
            }
            other => vec![other.to_string()],
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Problems(problems) => {
                let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
            Failure::Client(error) => error.fmt(f),
            Failure::Socket(error) => error.fmt(f),
            Failure::Text(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Failure {
        Failure::Problems(problems)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Problems(vec![problem])
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure::Client(error)
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Failure {
        Failure::Socket(error)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure::Text(text)
    }
}
