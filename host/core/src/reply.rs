//! SMTP replies and enhanced status codes (RFC 5321 §4.2, RFC 3463, RFC 5248).
//!
//! A reply always carries an enhanced code whose class equals the basic code's, on every line (RFC 2034 §4).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::visible::speaks;

/// Longest text of a reply a policy may give, in octets.
pub const POLICY_TEXT_MAX: usize = 400;
/// Longest reply line in octets, CR LF included (RFC 5321 §4.5.3.1.5).
pub const REPLY_LINE_MAX: usize = 512;

/// An enhanced status code such as 5.7.10 (RFC 3463 §2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Enhanced(pub u8, pub u16, pub u16);

impl Enhanced {
    /// Reads `class.subject.detail`.
    pub fn parse(text: &str) -> Option<Enhanced> {
        let mut parts = text.split('.');
        let number = |part: Option<&str>| -> Option<u16> {
            let part = part?;
            let canonical = part.len() <= 3 && (part == "0" || !part.starts_with('0'));
            if canonical && part.bytes().all(|b| b.is_ascii_digit()) { part.parse().ok() } else { None }
        };
        let (class, subject, detail) = (number(parts.next())?, number(parts.next())?, number(parts.next())?);
        let class = u8::try_from(class).ok().filter(|c| matches!(c, 2 | 4 | 5))?;
        parts.next().is_none().then_some(Enhanced(class, subject, detail))
    }
}

/// A reply of one or more lines; lines are separated by `\n` in `text`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// Basic code, 200 to 599.
    pub code: u16,
    /// None on greetings, EHLO, 3xx, and on a peer's reply without one.
    pub enhanced: Option<Enhanced>,
    /// Without codes. A peer's lines are joined with `\n`.
    pub text: String,
}

impl Reply {
    /// A reply of our own. The class of the enhanced code is the basic code's first digit.
    pub fn new(code: u16, enhanced: (u16, u16), text: impl Into<String>) -> Reply {
        let class = u8::try_from(code / 100).unwrap_or(5);
        Reply { code, enhanced: Some(Enhanced(class, enhanced.0, enhanced.1)), text: text.into() }
    }

    /// A reply without an enhanced code: greeting, EHLO, 354.
    pub fn bare(code: u16, text: impl Into<String>) -> Reply {
        Reply { code, enhanced: None, text: text.into() }
    }

    /// A reply a policy asks for: 4xx or 5xx agreeing with its enhanced code, never 421; printable ASCII, at most
    /// [`POLICY_TEXT_MAX`] octets (wit/policy.wit, `reply`).
    pub fn from_policy(code: u16, enhanced: &str, text: &str) -> Result<Reply, ReplyError> {
        let class = u8::try_from(code / 100).ok().filter(|c| matches!(c, 4 | 5)).ok_or(ReplyError::Code(code))?;
        if code == 421 {
            return Err(ReplyError::Code(code));
        }
        let parsed = Enhanced::parse(enhanced).filter(|e| e.0 == class);
        let parsed = parsed.ok_or_else(|| ReplyError::Enhanced(code, enhanced.chars().take(20).collect()))?;
        if text.is_empty() || text.len() > POLICY_TEXT_MAX || !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(ReplyError::Text);
        }
        Ok(Reply { code, enhanced: Some(parsed), text: text.to_owned() })
    }

    /// 2xx.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4xx.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5xx.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// Appends the wire form, wrapping long text over continuation lines, the enhanced code on each (RFC 2034 §4). A character
    /// that would end a line or speak to a terminal is written `?`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let prefix = self.enhanced.map(|e| format!("{e} ")).unwrap_or_default();
        let room = REPLY_LINE_MAX - 2 - 4 - prefix.len();
        let lines: Vec<&str> = self.text.split('\n').flat_map(|line| wrap(line, room)).collect();
        for (i, line) in lines.iter().enumerate() {
            let mark = if i + 1 == lines.len() { ' ' } else { '-' };
            let line = line.replace(speaks, "?");
            out.extend_from_slice(format!("{}{mark}{prefix}{line}\r\n", self.code).as_bytes());
        }
    }
}

/// Splits a line at spaces so that no piece is longer than `room` octets.
fn wrap(mut line: &str, room: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    while line.len() > room {
        let mut cut = room;
        while !line.is_char_boundary(cut) {
            cut -= 1;
        }
        let cut = line[..cut].rfind(' ').filter(|&at| at > 0).unwrap_or(cut);
        pieces.push(&line[..cut]);
        line = line[cut..].trim_start_matches(' ');
    }
    pieces.push(line);
    pieces
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        write!(f, " {}", self.text.replace('\n', " "))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl fmt::Debug for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Enhanced {
    type Error = String;
    fn try_from(text: String) -> Result<Enhanced, String> {
        Enhanced::parse(&text).ok_or_else(|| format!("{text:?} is no enhanced status code"))
    }
}

impl From<Enhanced> for String {
    fn from(code: Enhanced) -> String {
        code.to_string()
    }
}

/// Why a policy's reply is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// Not 4xx or 5xx, or 421.
    Code(u16),
    /// Not an enhanced code of the same class.
    Enhanced(u16, String),
    /// Empty, too long, or not printable ASCII.
    Text,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplyError::Code(code) => write!(f, "reply code {code} is not 4xx or 5xx, or is 421"),
            ReplyError::Enhanced(code, text) => {
                write!(f, "enhanced code {text:?} does not agree with reply code {code}")
            }
            ReplyError::Text => write!(f, "reply text must be printable ASCII of 1 to {POLICY_TEXT_MAX} octets"),
        }
    }
}

impl std::error::Error for ReplyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_may_give_only_agreeing_replies() {
        let rows = [
            (550, "5.7.10", "no", true),
            (451, "4.7.0", "later", true),
            (421, "4.7.0", "later", false),
            (250, "2.0.0", "fine", false),
            (354, "3.0.0", "go", false),
            (550, "4.7.10", "class differs", false),
            (550, "5.7", "short code", false),
            (550, "5.7.10.1", "long code", false),
            (550, "5.07.10", "leading zero", false),
            (550, "5.7.1000", "too big", false),
            (550, "5.7.10", "two\r\nlines", false),
            (550, "5.7.10", "b\u{fc}cher", false),
            (550, "5.7.10", "", false),
            (600, "5.7.10", "no", false),
        ];
        for (code, enhanced, text, fine) in rows {
            assert_eq!(Reply::from_policy(code, enhanced, text).is_ok(), fine, "{code} {enhanced} {text:?}");
        }
        assert!(Reply::from_policy(550, "5.7.10", &"x".repeat(400)).is_ok());
        assert!(Reply::from_policy(550, "5.7.10", &"x".repeat(401)).is_err());
    }

    #[test]
    fn no_text_ends_a_line_or_speaks_to_a_terminal() {
        let mut out = Vec::new();
        Reply::new(451, (3, 0), "a\r250 2.0.0 forged\u{1b}[2J\0\u{202e}\nb").write(&mut out);
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text, "451-4.3.0 a?250 2.0.0 forged?[2J??\r\n451 4.3.0 b\r\n");
    }

    #[test]
    fn long_text_is_wrapped_with_the_code_on_every_line() {
        let mut out = Vec::new();
        Reply::new(550, (7, 10), "word ".repeat(200).trim()).write(&mut out);
        let text = String::from_utf8(out).expect("ASCII");
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 3, "1,000 octets in lines of 512: {lines:?}");
        assert!(lines.iter().all(|l| l.len() + 2 <= REPLY_LINE_MAX));
        assert!(lines[0].starts_with("550-5.7.10 ") && lines[2].starts_with("550 5.7.10 "));
    }
}
