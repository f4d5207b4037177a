//! Octets from the socket, and the lines in them.
//!
//! A line ends with CR LF and with nothing else (RFC 5321 §2.3.8, H11): a bare CR or LF stays inside its line, where
//! the command parser refuses it. A line that is too long is thrown away as it comes and reported once, at its end.
//! Nothing here knows a command; what is not taken as a line can be taken as plain octets (the data of a message).

use memchr::memmem;

/// Longest command line in octets, CR LF included. RFC 5321 §4.5.3.1.4 asks for 512 and every extension adds to it
/// (SIZE 26, BODY 16, SMTPUTF8 10, DSN 500); 2,048 has room for all of them but AUTH.
pub const LINE_MAX: usize = 2_048;

/// Most octets without a CR LF that are read and thrown away before the line is given up.
pub const LINE_DISCARD_MAX: usize = 64 * 1_024;

/// A buffer larger than this is given back as soon as it is empty, so that an idle session costs next to nothing.
const CAPACITY_KEPT: usize = 1_024;

/// Octets that were received and not yet used.
#[derive(Debug, Default)]
pub struct LineBuffer {
    octets: Vec<u8>,
    /// Everything before it has been used.
    start: usize,
    /// From `start`: known to hold no CR LF.
    scanned: usize,
    /// Octets already thrown away of a line that is too long, and whether the last of them was a CR.
    discarded: Option<(usize, bool)>,
}

/// What the buffer holds next.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its CR LF.
    Complete(&'a [u8]),
    /// A line longer than [`LINE_MAX`] has ended; its octets are gone.
    TooLong,
    /// More than [`LINE_DISCARD_MAX`] octets came without a CR LF: this is not a peer that speaks in lines.
    Endless,
}

impl LineBuffer {
    /// Appends what the socket gave.
    pub fn push(&mut self, octets: &[u8]) {
        self.octets.drain(..self.start);
        self.start = 0;
        self.octets.extend_from_slice(octets);
    }

    /// Everything not yet used.
    pub fn rest(&self) -> &[u8] {
        &self.octets[self.start..]
    }

    /// Marks the first `count` octets of [`rest`](Self::rest) as used.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.octets.len());
        self.scanned = 0;
    }

    /// True if everything was used.
    pub fn is_empty(&self) -> bool {
        self.start == self.octets.len()
    }

    /// Throws everything away, the memory too.
    pub fn clear(&mut self) {
        *self = LineBuffer::default();
    }

    /// Gives memory back if nothing is waiting in it. Call before waiting for the peer.
    pub fn give_back(&mut self) {
        if self.is_empty() {
            self.start = 0;
            self.octets.clear();
            if self.octets.capacity() > CAPACITY_KEPT {
                self.octets = Vec::new();
            }
        }
    }

    /// Octets of memory behind this buffer.
    pub fn capacity(&self) -> usize {
        self.octets.capacity()
    }

    /// Takes the next line, or `None` until its CR LF has come.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        if let Some((count, after_cr)) = self.discarded {
            return self.discard(count, after_cr);
        }
        // A CR may be the last octet seen so far: step back over it.
        let from = self.start + self.scanned.saturating_sub(1);
        let Some(found) = memmem::find(&self.octets[from..], b"\r\n") else {
            self.scanned = self.octets.len() - self.start;
            // What lacks its LF and is this long already can no longer become a line that fits.
            if self.scanned >= LINE_MAX {
                return self.discard(0, false);
            }
            return None;
        };
        let (start, end) = (self.start, from + found);
        self.consume(end + 2 - start);
        Some(match end - start {
            length if length + 2 <= LINE_MAX => Line::Complete(&self.octets[start..end]),
            length if length <= LINE_DISCARD_MAX => Line::TooLong,
            _ => Line::Endless,
        })
    }

    /// Throws away what there is of a line whose first `count` octets are gone already.
    fn discard(&mut self, count: usize, after_cr: bool) -> Option<Line<'_>> {
        let rest = self.rest();
        let end = if after_cr && rest.first() == Some(&b'\n') {
            Some((count - 1, 1))
        } else {
            memmem::find(rest, b"\r\n").map(|at| (count + at, at + 2))
        };
        let (length, used) = end.unwrap_or_else(|| (count + rest.len(), rest.len()));
        let after_cr = rest.last().map_or(after_cr, |&octet| octet == b'\r');
        self.consume(used);
        // A CR at the end may yet turn out to belong to the line's end.
        let sure = if end.is_none() && after_cr { length - 1 } else { length };
        self.discarded = if end.is_some() { None } else { Some((length, after_cr)) };
        if sure > LINE_DISCARD_MAX {
            return Some(Line::Endless);
        }
        end.map(|_| Line::TooLong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the octets in pieces of `size` and tells what came out.
    fn lines(octets: &[u8], size: usize) -> Vec<String> {
        let (mut buffer, mut seen) = (LineBuffer::default(), Vec::new());
        for piece in octets.chunks(size) {
            buffer.push(piece);
            while let Some(line) = buffer.next_line() {
                let endless = line == Line::Endless;
                seen.push(match line {
                    Line::Complete(line) if line.len() > 40 => format!("{} octets", line.len()),
                    Line::Complete(line) => String::from_utf8_lossy(line).into_owned(),
                    other => format!("{other:?}"),
                });
                if endless {
                    return seen;
                }
            }
            buffer.give_back();
        }
        seen
    }

    fn long(octets: usize) -> Vec<u8> {
        let mut line = vec![b'x'; octets];
        line.extend_from_slice(b"\r\nNOOP\r\n");
        line
    }

    #[test]
    fn only_cr_lf_ends_a_line_however_it_arrives() {
        let cr_inside = [vec![b'x'; 3_000], b"\r".to_vec(), long(20)].concat();
        let fits = LINE_DISCARD_MAX;
        let rows: [(Vec<u8>, &[&str]); 12] = [
            (b"NOOP\r\nRSET\r\nQU".to_vec(), &["NOOP", "RSET"]),
            (b"a\nb\r\n".to_vec(), &["a\nb"]),
            (b"a\rb\r\n".to_vec(), &["a\rb"]),
            (b"a\r\r\n\n\r\n".to_vec(), &["a\r", "\n"]),
            (b"\r\n".to_vec(), &[""]),
            (long(LINE_MAX - 2), &["2046 octets", "NOOP"]),
            (long(LINE_MAX - 1), &["TooLong", "NOOP"]),
            (long(LINE_MAX), &["TooLong", "NOOP"]),
            (cr_inside, &["TooLong", "NOOP"]),
            (long(fits), &["TooLong", "NOOP"]),
            (long(fits + 1), &["Endless"]),
            (vec![b'\r'; fits + 2], &["Endless"]),
        ];
        for (octets, expected) in rows {
            for size in [1, 2, 3, 7, 100, 2_047, 2_048, 2_049, usize::MAX] {
                let seen = lines(&octets, size);
                let shown = String::from_utf8_lossy(&octets[..octets.len().min(30)]).into_owned();
                // Endless may be followed by whatever the rest looks like; the caller closes.
                assert_eq!(seen, expected, "{shown:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn an_idle_buffer_holds_no_memory() {
        let mut buffer = LineBuffer::default();
        buffer.push(&long(20_000));
        while buffer.next_line().is_some() {}
        buffer.give_back();
        assert!(buffer.is_empty() && buffer.capacity() <= CAPACITY_KEPT);
    }
}
