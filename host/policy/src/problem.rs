//! What can be wrong before mail flows: a sandbox that does not start, a generation that cannot be built.
//!
//! Every sentence says what, where, and how to mend it. What goes wrong while mail flows is a
//! [`FailedDecision`](sealwire_core::decision::FailedDecision), not one of these.

use std::fmt;

use serde::Serialize;

use crate::generation::ChainId;
use crate::limits;

/// The sandbox could not be set up.
#[derive(Debug)]
pub enum SandboxError {
    /// The engine refused its configuration on this machine.
    Engine(String),
    /// The system gave no thread.
    Thread(std::io::Error),
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SandboxError::Engine(text) => write!(f, "the WebAssembly engine does not start on this machine: {text}"),
            SandboxError::Thread(error) => {
                write!(f, "no thread to run decisions on: {error}; raise the limit of threads")
            }
        }
    }
}

impl std::error::Error for SandboxError {}

/// One reason why a generation does not go live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BuildProblem {
    /// In which chain.
    #[serde(skip)]
    pub chain: ChainId,
    /// Name of the policy.
    pub policy: String,
    /// JSON Pointer into its settings (RFC 6901); None where they are not at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What is wrong, and how to mend it.
    pub text: String,
}

impl fmt::Display for BuildProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "policy {:?}, settings at {path:?}: {}", self.policy, self.text),
            None => write!(f, "policy {:?}: {}", self.policy, self.text),
        }
    }
}

impl std::error::Error for BuildProblem {}

/// A problem before the policy's name is put to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) path: Option<String>,
    pub(crate) text: String,
}

impl Flaw {
    /// On one line, whatever a stranger's component had the compiler say.
    pub(crate) fn new(text: impl Into<String>) -> Flaw {
        Flaw { path: None, text: limits::bounded(&text.into(), limits::PROBLEM_OCTETS) }
    }

    pub(crate) fn of(self, chain: ChainId, policy: &str) -> BuildProblem {
        BuildProblem { chain, policy: policy.to_owned(), path: self.path, text: self.text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_one_line_and_an_end() {
        let text = Flaw::new(format!("no such import: a\u{1b}[2J\nok{}", "x".repeat(1 << 20)))
            .of(ChainId::default(), "vendor")
            .text;
        assert!(text.starts_with("no such import: a [2J okxxx") && text.len() == limits::PROBLEM_OCTETS, "{text}");
    }
}
