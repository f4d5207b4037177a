//! The data of a message: what follows DATA, up to CR LF . CR LF (RFC 5321 §4.1.1.4, §4.5.2), or the chunks that follow BDAT,
//! each of so many octets (RFC 3030 §2).
//!
//! Takes the stuffed dots out and finds the end; a chunk has neither. H11: CR LF . CR LF alone ends the data, and a bare CR, a bare LF or
//! a NUL makes the message faulty, because hops disagree on what these are: one of them taking `LF . CR LF` for an end
//! reads the rest of the message as commands (SMTP smuggling). Nothing is repaired, since a repair would have
//! to guess what the sender's hop meant. A faulty message is read to its true end, so that the session stays in step.

use memchr::memchr3;

/// Longest line of a message, CR LF included. RFC 5321 §4.5.3.1.6 promises 1,000 octets; longer lines are common and
/// cutting them would break signatures, so they pass. Past this length it is not text.
pub const TEXT_LINE_MAX: u64 = 64 * 1_024;

/// Reads the data of one message. The outcome does not depend on how the octets were cut into pieces.
#[derive(Debug)]
pub struct DataReceiver {
    position: Position,
    size: u64,
    size_max: u64,
    /// Octets of the present line so far.
    line: u64,
    eight_bit: bool,
    fault: Option<Fault>,
    ended: bool,
    /// Comes in chunks.
    chunk: Option<Chunk>,
}

/// One of the chunks that a message comes in.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    /// Octets still to come.
    left: u64,
    /// It ends the message.
    last: bool,
}

/// Where in a line the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Behind CR LF, or at the very start: a dot is special here.
    LineStart,
    /// Behind a dot at the start of a line. The dot is never part of the message.
    Dot,
    /// Behind such a dot and a CR: LF ends the data.
    DotCr,
    /// Anywhere else.
    Inside,
    /// Behind a CR that was kept: LF ends the line.
    Cr,
}

/// Why a message cannot be taken, whatever its policies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A CR that no LF follows.
    BareCr,
    /// An LF that no CR precedes.
    BareLf,
    /// RFC 2045 §2.7 and §2.8: neither 7bit nor 8bit data may hold one; some hops drop it, as in `CR LF NUL . CR LF`.
    Nul,
    /// A line longer than [`TEXT_LINE_MAX`].
    LineTooLong,
    /// More octets than allowed (RFC 1870 §6.3).
    TooLarge,
}

impl DataReceiver {
    /// For a message of at most `size_max` octets.
    pub fn new(size_max: u64) -> DataReceiver {
        DataReceiver {
            position: Position::LineStart,
            size: 0,
            size_max,
            line: 0,
            eight_bit: false,
            fault: None,
            ended: false,
            chunk: None,
        }
    }

    /// A chunk of so many octets follows, which are the message's as they are (RFC 3030 §2).
    pub fn begin_chunk(&mut self, octets: u64, last: bool) {
        self.chunk = Some(Chunk { left: octets, last });
        if octets == 0 {
            self.end_chunk();
        }
    }

    /// All octets of the chunk have come, and another one is to follow.
    pub fn awaits_chunk(&self) -> bool {
        !self.ended && self.chunk.is_some_and(|chunk| chunk.left == 0)
    }

    /// Octets of the message so far: without stuffed dots and the end mark, with every CR LF (RFC 1870 §5). Goes on
    /// counting behind a fault.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The message holds an octet above 127.
    pub fn eight_bit(&self) -> bool {
        self.eight_bit
    }

    /// The first fault, if there was one.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The end mark was read. Nothing behind it is ever touched.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Reads from `input`, appends to `kept` what belongs to the message and says how much of `input` was used. Stops
    /// at the end of the data and at the first fault; called again it goes on, and behind a fault keeps nothing.
    pub fn receive(&mut self, input: &[u8], kept: &mut Vec<u8>) -> usize {
        let Some(Chunk { left, .. }) = self.chunk else { return self.receive_data(input, kept) };
        let input = &input[..usize::try_from(left).unwrap_or(usize::MAX).min(input.len())];
        let used = self.receive_data(input, kept);
        if let Some(chunk) = &mut self.chunk {
            chunk.left -= used as u64;
            if used > 0 && chunk.left == 0 {
                self.end_chunk();
            }
        }
        used
    }

    fn end_chunk(&mut self) {
        if self.chunk.is_some_and(|chunk| chunk.last) {
            if self.position == Position::Cr {
                self.find_fault(Fault::BareCr);
            }
            self.ended = true;
        }
    }

    fn receive_data(&mut self, input: &[u8], kept: &mut Vec<u8>) -> usize {
        let faulty = self.fault.is_some();
        let mut at = 0;
        while at < input.len() && !self.ended && (faulty || self.fault.is_none()) {
            at += match (self.position, input[at]) {
                (Position::LineStart, b'.') if self.chunk.is_none() => self.step(Position::Dot),
                (Position::Dot, b'\r') => self.step(Position::DotCr),
                (Position::DotCr, b'\n') => {
                    self.ended = true;
                    1
                }
                (Position::Cr, b'\n') => {
                    self.keep(b"\n", kept);
                    self.end_line();
                    1
                }
                // The octet behind the bare CR is looked at again, as any other inside a line.
                (Position::DotCr | Position::Cr, _) => {
                    self.find_fault(Fault::BareCr);
                    self.position = Position::Inside;
                    0
                }
                (Position::LineStart | Position::Dot | Position::Inside, _) => self.text(&input[at..], kept),
            };
        }
        at
    }

    /// Text up to the end of the line or of the input.
    fn text(&mut self, input: &[u8], kept: &mut Vec<u8>) -> usize {
        self.position = Position::Inside;
        let run = memchr3(b'\r', b'\n', 0, input).unwrap_or(input.len());
        match input[run..] {
            [b'\r', b'\n', ..] => {
                self.keep(&input[..run + 2], kept);
                self.end_line();
                run + 2
            }
            [b'\r', ..] => {
                self.keep(&input[..=run], kept);
                self.position = Position::Cr;
                run + 1
            }
            [octet, ..] => {
                self.keep(&input[..run], kept);
                self.find_fault(if octet == b'\n' { Fault::BareLf } else { Fault::Nul });
                // Counted though never kept, so that nobody can go on for ever without growing.
                self.size += 1;
                run + 1
            }
            [] => {
                self.keep(input, kept);
                run
            }
        }
    }

    fn step(&mut self, position: Position) -> usize {
        self.position = position;
        1
    }

    fn end_line(&mut self) {
        self.position = Position::LineStart;
        self.line = 0;
    }

    fn find_fault(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// Counts the octets and keeps those before the first fault: to the octet, so that pieces do not matter.
    fn keep(&mut self, octets: &[u8], kept: &mut Vec<u8>) {
        let length = octets.len() as u64;
        if self.fault.is_none() {
            let (size_room, line_room) = (self.size_max - self.size, TEXT_LINE_MAX - self.line);
            let room = size_room.min(line_room).min(length);
            let octets = &octets[..room as usize];
            self.eight_bit |= !octets.is_ascii();
            kept.extend_from_slice(octets);
            if room < length {
                self.find_fault(if size_room <= line_room { Fault::TooLarge } else { Fault::LineTooLong });
            }
        }
        self.size += length;
        self.line += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was kept before the first fault, the fault, and what was left behind the end (`None`: no end).
    fn receive(octets: &[u8], size_max: u64, piece: usize) -> (Vec<u8>, Option<Fault>, Option<Vec<u8>>) {
        let (mut receiver, mut kept) = (DataReceiver::new(size_max), Vec::new());
        let mut at = 0;
        while at < octets.len() && !receiver.ended() {
            let end = octets.len().min(at.saturating_add(piece));
            at += receiver.receive(&octets[at..end], &mut kept);
        }
        (kept, receiver.fault(), receiver.ended().then(|| octets[at..].to_vec()))
    }

    #[test]
    fn only_cr_lf_dot_cr_lf_ends_the_data_however_it_arrives() {
        use Fault::{BareCr, BareLf, Nul, TooLarge};
        type Row<'a> = (&'a str, &'a str, Option<Fault>, Option<&'a str>);
        let rows: [Row<'_>; 24] = [
            (".\r\nQUIT\r\n", "", None, Some("QUIT\r\n")),
            ("a\r\n.\r\nQUIT\r\n", "a\r\n", None, Some("QUIT\r\n")),
            ("\r\n.\r\n", "\r\n", None, Some("")),
            ("..\r\n...\r\n.a\r\n.\r\n", ".\r\n..\r\na\r\n", None, Some("")),
            ("a.\r\n.b.\r\n.\r\n", "a.\r\nb.\r\n", None, Some("")),
            ("a\r\n..\r\n", "a\r\n.\r\n", None, None),
            ("a\r\n.\r", "a\r\n", None, None),
            ("12345678\r\n.\r\n", "12345678\r\n", None, Some("")),
            ("123456789\r\n.\r\nx", "123456789\r", Some(TooLarge), Some("x")),
            // Smuggling: none of these ends the data, all of them spoil the message.
            ("a\n.\n\r\n.\r\nx", "a", Some(BareLf), Some("x")),
            ("a\n.\r\nb\r\n.\r\nx", "a", Some(BareLf), Some("x")),
            ("a\r.\r\nb\r\n.\r\nx", "a\r", Some(BareCr), Some("x")),
            ("a\r.\r\r\n.\r\nx", "a\r", Some(BareCr), Some("x")),
            ("a\r\n.\nb\r\n.\r\nx", "a\r\n", Some(BareLf), Some("x")),
            ("a\r\n.\rb\r\n.\r\nx", "a\r\n", Some(BareCr), Some("x")),
            ("a\r\n.\r\r\n.\r\nx", "a\r\n", Some(BareCr), Some("x")),
            ("a\n\n.\n\nb\r\n.\r\nx", "a", Some(BareLf), Some("x")),
            ("a\n\r.\n\rb\r\n.\r\nx", "a", Some(BareLf), Some("x")),
            ("a\r\r\n.\r\nx", "a\r", Some(BareCr), Some("x")),
            ("a\r\n\0.\r\nb\r\n.\r\nx", "a\r\n", Some(Nul), Some("x")),
            ("a\r\n.\0\r\nb\r\n.\r\nx", "a\r\n", Some(Nul), Some("x")),
            ("\n.\r\n\r\n.\r\nx", "", Some(BareLf), Some("x")),
            ("a\r", "a\r", None, None),
            ("a\r\0\r\n.\r\n", "a\r", Some(BareCr), Some("")),
        ];
        for (octets, kept, fault, behind) in rows {
            for piece in [1, 2, 3, 4, 5, usize::MAX] {
                let seen = receive(octets.as_bytes(), 10, piece);
                let expected = (kept.as_bytes().to_vec(), fault, behind.map(|b| b.as_bytes().to_vec()));
                // The rows use a limit of 10 octets; those that would pass it are about something else.
                let seen = if kept.len() > 10 { receive(octets.as_bytes(), 1_000, piece) } else { seen };
                assert_eq!(seen, expected, "{octets:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn chunks_are_taken_as_they_are_but_for_bare_line_ends() {
        // Chunks of one message; what is kept, and the fault.
        let rows: [(&[&str], &str, Option<Fault>); 9] = [
            (&["a\r\n.\r\nb\r\n"], "a\r\n.\r\nb\r\n", None),
            (&[".\r\n", ""], ".\r\n", None),
            (&["a\r", "\n..b"], "a\r\n..b", None),
            (&[""], "", None),
            (&["a\r", ""], "a\r", Some(Fault::BareCr)),
            (&["a\r", "b"], "a\r", Some(Fault::BareCr)),
            (&["a\nb"], "a", Some(Fault::BareLf)),
            (&["a\0b\r\n"], "a", Some(Fault::Nul)),
            (&["123456789", "0123456789\r\n"], "1234567890123456", Some(Fault::TooLarge)),
        ];
        for (chunks, kept_is, fault) in rows {
            for piece in [1, 2, 3, usize::MAX] {
                let (mut receiver, mut kept) = (DataReceiver::new(16), Vec::new());
                for (number, chunk) in chunks.iter().enumerate() {
                    let last = number + 1 == chunks.len();
                    // What stands behind a chunk is none of its octets.
                    let octets = [chunk.as_bytes(), b"QUIT\r\n"].concat();
                    receiver.begin_chunk(chunk.len() as u64, last);
                    let mut at: usize = 0;
                    while !receiver.ended() && !receiver.awaits_chunk() {
                        let end = octets.len().min(at.saturating_add(piece));
                        at += receiver.receive(&octets[at..end], &mut kept);
                    }
                    assert_eq!((at, receiver.ended()), (chunk.len(), last), "{chunks:?} by {piece}");
                }
                assert_eq!((String::from_utf8_lossy(&kept).as_ref(), receiver.fault()), (kept_is, fault), "{chunks:?}");
            }
        }
    }

    #[test]
    fn lines_have_a_limit_and_high_octets_are_noticed() {
        let text = |length: u64| [vec![b'x'; length as usize - 2], b"\r\n.\r\n".to_vec()].concat();
        for piece in [1, 1_000, usize::MAX] {
            assert_eq!(receive(&text(TEXT_LINE_MAX), u64::MAX, piece).1, None);
            assert_eq!(receive(&text(TEXT_LINE_MAX + 1), u64::MAX, piece).1, Some(Fault::LineTooLong));
        }
        for (octets, expected) in [("abc\r\n", false), ("b\u{fc}cher\r\n", true)] {
            let mut receiver = DataReceiver::new(100);
            receiver.receive(octets.as_bytes(), &mut Vec::new());
            assert_eq!(receiver.eight_bit(), expected, "{octets:?}");
        }
    }
}
