//! Lines and the data of a message (`core::smtp::line`, `core::smtp::data`), each against a reading by hand.
//!
//! However the octets are cut, the same lines come out and the same message; only CR LF ends a line and only CR LF . CR LF
//! ends the data (H11); no line is longer than its limit, and what waits for its end is bounded.

use sealwire_core::smtp::data::{DataReceiver, TEXT_LINE_MAX};
use sealwire_core::smtp::line::{LINE_DISCARD_MAX, LINE_MAX, Line, LineBuffer};

use crate::input::{find, has_bare_line_end, one_flight, pieces};

/// Small, so that it is met.
const MESSAGE_MAX: u64 = 90 * 1_024;

/// Lines and data are read as they were sent.
pub fn line(octets: &[u8]) {
    let (seed, octets) = one_flight(octets);
    let expected = lines_by_hand(&octets);
    assert_eq!(lines(&[&octets]), expected, "whole");
    assert_eq!(lines(&pieces(seed, &octets)), expected, "in pieces of seed {seed}");

    let whole = message(&[&octets]);
    assert!(whole == message(&pieces(seed, &octets)), "a message depends on how it was cut (seed {seed})");
    check_message(&whole, &octets);
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Complete(Vec<u8>),
    TooLong,
    Endless,
}

fn lines(pieces: &[&[u8]]) -> Vec<Seen> {
    let mut buffer = LineBuffer::default();
    let mut seen = Vec::new();
    for piece in pieces {
        buffer.push(piece);
        while let Some(line) = buffer.next_line() {
            seen.push(match line {
                Line::Complete(line) => Seen::Complete(line.to_vec()),
                Line::TooLong => Seen::TooLong,
                Line::Endless => Seen::Endless,
            });
            // The caller closes.
            if seen.last() == Some(&Seen::Endless) {
                return seen;
            }
        }
        assert!(buffer.rest().len() < LINE_MAX, "{} octets wait for a CR LF", buffer.rest().len());
        buffer.give_back();
        assert!(!buffer.is_empty() || buffer.capacity() <= 1_024, "an empty buffer holds {}", buffer.capacity());
    }
    seen
}

fn lines_by_hand(octets: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut rest = octets;
    while let Some(end) = find(rest, b"\r\n") {
        seen.push(match end {
            _ if end + 2 <= LINE_MAX => Seen::Complete(rest[..end].to_vec()),
            _ if end <= LINE_DISCARD_MAX => Seen::TooLong,
            _ => Seen::Endless,
        });
        if seen.last() == Some(&Seen::Endless) {
            return seen;
        }
        rest = &rest[end + 2..];
    }
    // A CR at the end may yet belong to the line's end.
    if rest.strip_suffix(b"\r").unwrap_or(rest).len() > LINE_DISCARD_MAX {
        seen.push(Seen::Endless);
    }
    seen
}

#[derive(PartialEq, Eq)]
struct Message {
    kept: Vec<u8>,
    /// Octets used, the end mark included.
    used: usize,
    size: u64,
    ended: bool,
    faulty: bool,
    eight_bit: bool,
}

fn message(pieces: &[&[u8]]) -> Message {
    let mut receiver = DataReceiver::new(MESSAGE_MAX);
    let (mut kept, mut used) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() && !receiver.ended() {
            let fault = receiver.fault();
            let (before, taken) = (kept.len(), receiver.receive(rest, &mut kept));
            assert!(taken > 0 || fault != receiver.fault(), "it neither reads nor says why");
            assert!(fault.is_none() || kept.len() == before, "something is kept behind a fault");
            assert!(fault.is_none() || fault == receiver.fault(), "the first fault is replaced");
            used += taken;
            rest = &rest[taken..];
        }
    }
    assert!(kept.len() as u64 <= MESSAGE_MAX, "more is kept than a message may have: {}", kept.len());
    Message {
        used,
        size: receiver.size(),
        ended: receiver.ended(),
        faulty: receiver.fault().is_some(),
        eight_bit: receiver.eight_bit(),
        kept,
    }
}

/// By hand: where it ends, whether it may be taken, and what it says.
fn check_message(message: &Message, octets: &[u8]) {
    // The CR LF of the DATA command counts.
    let with_command = [b"\r\n", octets].concat();
    let end = find(&with_command, b"\r\n.\r\n");
    assert_eq!(message.ended, end.is_some(), "the end of the data");
    assert_eq!(message.used, end.map_or(octets.len(), |end| end + 3), "octets used");
    let Some(end) = end else { return };
    let sent = &octets[..end];
    let lines: Vec<&[u8]> = split(sent);
    let unstuffed: Vec<&[u8]> = lines.iter().map(|line| line.strip_prefix(b".").unwrap_or(line)).collect();
    let text = unstuffed.concat();
    let lawful = !has_bare_line_end(sent)
        && !sent.contains(&0)
        && unstuffed.iter().all(|line| line.len() as u64 <= TEXT_LINE_MAX)
        && text.len() as u64 <= MESSAGE_MAX;
    assert_eq!(message.faulty, !lawful, "a fault, where a bare CR, a bare LF, a NUL or a limit is one");
    if lawful {
        assert!(message.kept == text, "the message is not what was sent");
        assert_eq!((message.size, message.eight_bit), (text.len() as u64, !text.is_ascii()));
    }
}

/// Lines with their CR LF.
fn split(octets: &[u8]) -> Vec<&[u8]> {
    let mut rest = octets;
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(find(rest, b"\r\n").map_or(rest.len(), |end| end + 2));
        lines.push(line);
        rest = behind;
    }
    lines
}
