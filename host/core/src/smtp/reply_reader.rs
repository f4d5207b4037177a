//! Replies as a peer sends them (RFC 5321 §4.2), read as the octets come.
//!
//! Everything is bounded: lines by [`super::line`], a reply by [`REPLY_LINES_MAX`]. What is no reply is a fault of the
//! peer, and after a fault nothing more is read: a peer that cannot be understood cannot be trusted to agree on where
//! the next reply begins. Lines end with CR LF alone; a bare CR or LF is a fault.

use std::fmt;

use super::line::{Line, LineBuffer};
use crate::reply::{Enhanced, Reply};

/// Most lines of one reply; EHLO replies have some twenty.
pub const REPLY_LINES_MAX: usize = 100;

/// Reads replies out of octets.
#[derive(Debug, Default)]
pub struct ReplyReader {
    input: LineBuffer,
    /// Lines of a reply whose last line has not come yet.
    code: Option<u16>,
    lines: Vec<String>,
    fault: Option<ReplyFault>,
}

/// How a peer's octets fail to be a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyFault {
    /// A line longer than [`super::line::LINE_MAX`].
    LineTooLong,
    /// More than [`REPLY_LINES_MAX`] lines.
    TooManyLines,
    /// A CR or LF that is not part of CR LF.
    BareLineEnd,
    /// A line does not begin with a code from 200 to 599 and a space or hyphen.
    NoCode,
    /// The lines of one reply carry different codes.
    CodeChanged,
}

impl ReplyReader {
    /// Takes octets from the peer.
    pub fn push(&mut self, octets: &[u8]) {
        if self.fault.is_none() {
            self.input.push(octets);
        }
    }

    /// Nothing is held: no reply, no part of one.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.code.is_none() && self.fault.is_none()
    }

    /// The next whole reply, once it is there.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ReplyFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let read = self.read();
        if let Err(fault) = read {
            self.fault = Some(fault);
            self.input.clear();
        }
        read.map(|whole| whole.then(|| self.take_reply()))
    }

    /// True: the last line of a reply has been read.
    fn read(&mut self) -> Result<bool, ReplyFault> {
        while let Some(line) = self.input.next_line() {
            let Line::Complete(line) = line else { return Err(ReplyFault::LineTooLong) };
            let (code, last, text) = split(line)?;
            if self.code.is_some_and(|first| first != code) {
                return Err(ReplyFault::CodeChanged);
            }
            if self.lines.len() == REPLY_LINES_MAX {
                return Err(ReplyFault::TooManyLines);
            }
            self.code = Some(code);
            self.lines.push(text);
            if last {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn take_reply(&mut self) -> Reply {
        self.input.give_back();
        let code = self.code.take().unwrap_or_default();
        let lines = std::mem::take(&mut self.lines);
        let enhanced = lines.first().and_then(|line| enhanced_of(code, line)).map(|(enhanced, _)| enhanced);
        let without_code = |line: &String| match enhanced_of(code, line) {
            Some((of_line, rest)) if Some(of_line) == enhanced => rest.to_owned(),
            _ => line.clone(),
        };
        let text = lines.iter().map(without_code).collect::<Vec<_>>().join("\n");
        Reply { code, enhanced, text }
    }
}

/// Code, whether this is the last line, text (RFC 5321 §4.2: `Reply-line`).
fn split(line: &[u8]) -> Result<(u16, bool, String), ReplyFault> {
    if line.iter().any(|&b| matches!(b, b'\r' | b'\n')) {
        return Err(ReplyFault::BareLineEnd);
    }
    let (digits, rest) = line.split_at_checked(3).ok_or(ReplyFault::NoCode)?;
    if !matches!(digits, [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']) {
        return Err(ReplyFault::NoCode);
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    let (last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return Err(ReplyFault::NoCode),
    };
    Ok((code, last, printable(text)))
}

/// Replies are shown to people and quoted in reports: no octet of theirs may move a cursor or end a line there.
fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// An enhanced code counts only where its class is the basic code's (RFC 2034 §4); 3xx has none.
fn enhanced_of(code: u16, line: &str) -> Option<(Enhanced, &str)> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let enhanced = Enhanced::parse(word)?;
    (u16::from(enhanced.0) == code / 100).then_some((enhanced, rest))
}

impl fmt::Display for ReplyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReplyFault::LineTooLong => "a reply line is too long",
            ReplyFault::TooManyLines => "a reply has too many lines",
            ReplyFault::BareLineEnd => "a reply has a bare CR or LF",
            ReplyFault::NoCode => "what came is not a reply",
            ReplyFault::CodeChanged => "the lines of one reply carry different codes",
        })
    }
}

impl std::error::Error for ReplyFault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(octets: &[u8], piece: usize) -> (Vec<String>, Option<ReplyFault>) {
        let (mut reader, mut replies) = (ReplyReader::default(), Vec::new());
        for piece in octets.chunks(piece) {
            reader.push(piece);
            loop {
                match reader.next_reply() {
                    Ok(Some(reply)) => replies.push(format!("{reply:?}")),
                    Ok(None) => break,
                    Err(fault) => return (replies, Some(fault)),
                }
            }
        }
        (replies, None)
    }

    #[test]
    fn replies_are_read_however_they_are_cut() {
        let endless = b"250-x\r\n".repeat(101);
        let hundred = [b"250-x\r\n".repeat(99), b"250 x\r\n".to_vec()].concat();
        let all_x = format!("`250 {}`", ["x"; 100].join(" "));
        let long = [b"250 ".to_vec(), vec![b'x'; 3_000], b"\r\n".to_vec()].concat();
        let unended = [b"250 ".to_vec(), vec![b'x'; 100_000]].concat();
        let rows: [(&[u8], &[&str], Option<ReplyFault>); 22] = [
            (b"220 mx.example ESMTP\r\n", &["`220 mx.example ESMTP`"], None),
            (b"250\r\n", &["`250 `"], None),
            (b"250 2.1.0 ok\r\n250 2.1.5 fine\r\n", &["`250 2.1.0 ok`", "`250 2.1.5 fine`"], None),
            (b"550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1\r\n", &["`550 5.7.1 one two `"], None),
            (b"550-5.7.1 one\r\n550 no code\r\n", &["`550 5.7.1 one no code`"], None),
            (b"550 4.7.1 class differs\r\n", &["`550 4.7.1 class differs`"], None),
            (b"354 3.0.0 go\r\n", &["`354 3.0.0 go`"], None),
            (b"250 a\x07b\xff\r\n", &["`250 a?b\u{fffd}`"], None),
            (b"250-never ends\r\n", &[], None),
            (b"250 unended", &[], None),
            (b"250-a\r\n251 b\r\n", &[], Some(ReplyFault::CodeChanged)),
            (b"250 ok\n", &[], None),
            (b"250 ok\n250 ok\r\n", &[], Some(ReplyFault::BareLineEnd)),
            (b"250 ok\r\r\n", &[], Some(ReplyFault::BareLineEnd)),
            (b"\r\n", &[], Some(ReplyFault::NoCode)),
            (b"25\r\n", &[], Some(ReplyFault::NoCode)),
            (b"150 hm\r\n", &[], Some(ReplyFault::NoCode)),
            (b"2500 hm\r\n", &[], Some(ReplyFault::NoCode)),
            (&endless, &[], Some(ReplyFault::TooManyLines)),
            (&hundred, &[&all_x], None),
            (&long, &[], Some(ReplyFault::LineTooLong)),
            (&unended, &[], Some(ReplyFault::LineTooLong)),
        ];
        for (octets, expected, fault) in rows {
            for piece in [1, 2, 7, octets.len()] {
                let (got, got_fault) = replies(octets, piece);
                let shown = String::from_utf8_lossy(&octets[..octets.len().min(60)]);
                assert_eq!((got.as_slice(), got_fault), (strings(expected).as_slice(), fault), "{shown:?} by {piece}");
            }
        }
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }
}
