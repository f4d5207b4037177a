//! The message of a bench: how it is written, and how the far end knows it again and sees that nothing of it has changed.
//!
//! Its header field carries a number and the checksum of the body, and the body ends with the same number: a body that
//! was cut, changed, or delivered under the header of another message does not match. One line of the body begins with a
//! dot, so that stuffing is put to the test as well. The octets are built once; a message of its own is made by writing
//! number and checksum into their places.

/// The field that carries number and checksum.
const FIELD: &str = "X-Sealwire-Bench";
/// Digits of a number, leading zeros included: its places must not move.
const NUMBER_DIGITS: usize = 10;
/// Hexadecimal digits of a checksum.
const SUM_DIGITS: usize = 16;
/// One line of the body.
const LINE: &[u8] = b"The quick brown fox jumps over the lazy dog, and over it again and again.\r\n";
/// What a line that begins with a dot is, and what it is on the wire (RFC 5321 §4.5.2).
const DOTTED: (&[u8], &[u8]) = (b".begins with a dot\r\n", b"..begins with a dot\r\n");

/// A message as it goes over the wire, the final dot included.
#[derive(Clone)]
pub(super) struct Letter {
    octets: Vec<u8>,
    number_at: [usize; 3],
    sum_at: usize,
    /// The sum of the body before its last line, which holds the number.
    begun: Checksum,
}

impl Letter {
    /// A message of about `size` octets, header included, never smaller than its header and two lines.
    pub(super) fn new(from: &str, to: &str, size: usize) -> Letter {
        let blank = "0".repeat(NUMBER_DIGITS);
        let mut header = format!(
            "From: <{from}>\r\nTo: <{to}>\r\nSubject: a message of sealwire bench-load\r\n\
             Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: <"
        );
        let id_at = header.len();
        header.push_str(&format!("{blank}@bench.invalid>\r\n{FIELD}: "));
        let field_at = header.len();
        header.push_str(&format!("{blank} {}\r\n\r\n", "0".repeat(SUM_DIGITS)));

        let mut octets = header.into_bytes();
        let mut begun = Checksum::default();
        octets.extend_from_slice(DOTTED.1);
        begun.add(DOTTED.0);
        while octets.len() + LINE.len() + NUMBER_DIGITS + 2 <= size {
            octets.extend_from_slice(LINE);
            begun.add(LINE);
        }
        let last_at = octets.len();
        octets.extend_from_slice(format!("{blank}\r\n.\r\n").as_bytes());
        Letter { octets, number_at: [id_at, field_at, last_at], sum_at: field_at + NUMBER_DIGITS + 1, begun }
    }

    /// The message of this number.
    pub(super) fn numbered(&mut self, number: u64) -> &[u8] {
        let digits = format!("{number:0NUMBER_DIGITS$}");
        for at in self.number_at {
            self.octets[at..at + NUMBER_DIGITS].copy_from_slice(digits.as_bytes());
        }
        let mut sum = self.begun;
        sum.add(digits.as_bytes());
        sum.add(b"\r\n");
        self.octets[self.sum_at..self.sum_at + SUM_DIGITS].copy_from_slice(sum.digits().as_bytes());
        &self.octets
    }
}

/// What a header says of the message it stands above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) number: u64,
    sum: String,
}

impl Claim {
    /// The claim of this header, if the message is one of ours.
    pub(super) fn read(header: &[u8]) -> Option<Claim> {
        let mut lines = header.split(|octet| *octet == b'\n');
        let line = lines.find(|line| line.starts_with(FIELD.as_bytes()))?;
        let value = std::str::from_utf8(&line[FIELD.len()..]).ok()?.strip_prefix(':')?;
        let (number, sum) = value.trim().split_once(' ')?;
        Some(Claim { number: number.parse().ok()?, sum: sum.to_owned() })
    }

    /// Whether the body that came with it is the one that was sent.
    pub(super) fn holds(&self, body: Checksum) -> bool {
        body.digits() == self.sum
    }
}

/// FNV-1a over 64 bits: against mistakes, not against malice, and cheap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checksum(u64);

impl Default for Checksum {
    fn default() -> Checksum {
        Checksum(0xcbf2_9ce4_8422_2325)
    }
}

impl Checksum {
    pub(super) fn add(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = (self.0 ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// As the header carries it.
    pub(super) fn digits(self) -> String {
        format!("{:0SUM_DIGITS$x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header and body as the far end has them: dots unstuffed, the end of the data gone.
    fn arrived(letter: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let text = std::str::from_utf8(letter).expect("a bench speaks ASCII");
        let (header, body) =
            text.strip_suffix(".\r\n").and_then(|text| text.split_once("\r\n\r\n")).expect("a message");
        (header.into(), body.replace("\r\n..", "\r\n.").replacen("..", ".", 1).into())
    }

    fn holds(header: &[u8], body: &[u8]) -> bool {
        let mut sum = Checksum::default();
        sum.add(body);
        Claim::read(header).is_some_and(|claim| claim.holds(sum))
    }

    #[test]
    fn a_message_is_known_again_and_no_change_goes_unseen() {
        let mut letter = Letter::new("ann@a.test", "bob@b.test", 4096);
        let (header, body) = arrived(letter.numbered(7));
        let (other_header, other_body) = arrived(letter.numbered(8));
        assert_eq!(Claim::read(&header).map(|claim| claim.number), Some(7));
        assert!(holds(&header, &body) && holds(&other_header, &other_body));
        assert!(!holds(&header, &other_body), "another message's body");
        assert!(!holds(&header, &body[..body.len() - 2]), "cut");
        assert!(!holds(&header, &[b".", &body[..]].concat()), "a dot more");
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert!(!holds(&header, &changed), "octet {at}");
        }
        assert_eq!(Claim::read(b"From: <ann@a.test>\r\nSubject: another\r\n"), None);
    }

    #[test]
    fn it_is_as_big_as_was_asked() {
        for size in [1024, 4096, 102_400] {
            let octets = Letter::new("ann@a.test", "bob@b.test", size).numbered(0).len();
            assert!(octets <= size + 3 && octets + LINE.len() > size, "{octets} for {size}");
        }
    }
}
