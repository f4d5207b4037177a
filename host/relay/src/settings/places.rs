//! From a JSON Pointer (RFC 6901) back to the operator's line and key.

use std::collections::BTreeMap;

use crate::config::Problem;

/// Line of every value of every policy's table, by policy and JSON Pointer.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    file: String,
    lines: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Places {
    pub(super) fn of_file(file: &str) -> Places {
        Places { file: file.to_owned(), lines: BTreeMap::new() }
    }

    pub(super) fn put(&mut self, policy: &str, pointer: &str, line: usize) {
        self.lines.entry(policy.to_owned()).or_default().insert(pointer.to_owned(), line);
    }

    /// A key that is missing has no line; what should hold it has.
    fn line(&self, policy: &str, pointer: &str) -> usize {
        let Some(lines) = self.lines.get(policy) else { return 0 };
        let mut pointer = pointer;
        loop {
            match (lines.get(pointer), pointer.rfind('/')) {
                (Some(line), _) => return *line,
                (None, Some(parent)) => pointer = &pointer[..parent],
                (None, None) => return 0,
            }
        }
    }

    /// Dotted as in the file, lists counted from 1.
    pub(super) fn key(&self, policy: &str, pointer: &str) -> String {
        let mut key = format!("policy.{policy}");
        for step in pointer.split('/').skip(1) {
            match step.parse::<usize>() {
                Ok(index) => key.push_str(&format!("[{}]", index + 1)),
                Err(_) => key.push_str(&format!(".{}", step.replace("~1", "/").replace("~0", "~"))),
            }
        }
        key
    }

    pub(super) fn locate(&self, policy: &str, pointer: Option<&str>, text: String) -> Problem {
        match pointer {
            Some(pointer) => Problem {
                file: self.file.clone(),
                line: self.line(policy, pointer),
                key: self.key(policy, pointer),
                text,
            },
            None => Problem { file: String::new(), line: 0, key: format!("policy {policy}"), text },
        }
    }
}

/// The pointer of a child.
pub(super) fn step(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}
