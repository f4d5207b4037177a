//! curl, as an operator uses it against the API.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::place;

/// What an answer was.
#[derive(Debug)]
pub struct Answer {
    /// Of the last response.
    pub status: u16,
    /// Header fields of the last response, as they came.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The value of a header field, whatever its name's case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Runs `curl ARGUMENTS`; it must come to an answer.
#[track_caller]
pub fn ask(arguments: &[&str]) -> Answer {
    let said = try_asking(arguments);
    said.unwrap_or_else(|why| panic!("curl {}: {why}", arguments.join(" ")))
}

/// The same; the error is curl's.
pub fn try_asking(arguments: &[&str]) -> Result<Answer, String> {
    let program: PathBuf = place::program("curl");
    let mut command = Command::new(program);
    command.args(["--silent", "--show-error", "--include", "--max-time", "60", "--noproxy", "*"]).args(arguments);
    let output = command.output().map_err(|why| why.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no head")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
