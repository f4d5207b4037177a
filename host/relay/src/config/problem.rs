//! One thing wrong with a file: where it stands, what it is, how to mend it. All of them are told at once.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing wrong with a configuration, a settings document or a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// As the operator named it; empty where the text came without a file.
    pub file: String,
    /// From 1; 0 where the problem is no single line's.
    pub line: usize,
    /// Dotted, such as `route[2].minimum-tls-version`; empty where the problem is no single key's.
    pub key: String,
    /// What is wrong, and how to mend it.
    pub text: String,
}

impl Problem {
    /// A problem that no file has.
    pub fn new(key: impl Into<String>, text: impl Into<String>) -> Problem {
        Problem { file: String::new(), line: 0, key: key.into(), text: text.into() }
    }

    /// A problem that no single line has.
    pub fn of_file(file: impl Into<String>, text: impl Into<String>) -> Problem {
        Problem { file: file.into(), line: 0, key: String::new(), text: text.into() }
    }
}

/// `file:line: key: text`, the form editors jump to.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", 0) => {}
            ("", line) => write!(f, "line {line}: ")?,
            (file, 0) => write!(f, "{file}: ")?,
            (file, line) => write!(f, "{file}:{line}: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for Problem {}
