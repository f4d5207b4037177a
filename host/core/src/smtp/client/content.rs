//! The content on its way out: dots stuffed, ended by CR LF . CR LF (RFC 5321 §4.5.2), every other octet as it is.
//!
//! H11: a CR or LF that is not part of CR LF is refused, never sent and never mended: what one server takes for a line
//! end and another does not, is how a second message is smuggled behind the first.

use memchr::memchr2;

/// The state between two pieces of content.
#[derive(Debug)]
pub(super) struct Stuffing {
    /// A chunk has no dots stuffed and no end mark, but a number of octets (RFC 3030 §2).
    dots: bool,
    line_start: bool,
    /// A CR ended the last piece; it is sent with its LF.
    after_cr: bool,
}

/// The content has a CR or LF that is not part of CR LF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BareLineEnd;

impl Stuffing {
    pub(super) fn new() -> Stuffing {
        Stuffing { dots: true, line_start: true, after_cr: false }
    }

    /// Of the one chunk of a message.
    pub(super) fn of_chunk() -> Stuffing {
        Stuffing { dots: false, ..Stuffing::new() }
    }

    pub(super) fn piece(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<(), BareLineEnd> {
        out.reserve(octets.len());
        let mut rest = octets;
        while let Some(&first) = rest.first() {
            if self.after_cr {
                if first != b'\n' {
                    return Err(BareLineEnd);
                }
                out.extend_from_slice(b"\r\n");
                *self = Stuffing { dots: self.dots, ..Stuffing::new() };
                rest = &rest[1..];
                continue;
            }
            if self.dots && self.line_start && first == b'.' {
                out.push(b'.');
            }
            self.line_start = false;
            let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            out.extend_from_slice(&rest[..end]);
            match rest.get(end) {
                None => break,
                Some(b'\r') => self.after_cr = true,
                Some(_) => return Err(BareLineEnd),
            }
            rest = &rest[end + 1..];
        }
        Ok(())
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), BareLineEnd> {
        if self.after_cr {
            return Err(BareLineEnd);
        }
        if self.dots {
            out.extend_from_slice(if self.line_start { b".\r\n" } else { b"\r\n.\r\n" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuffed(content: &str, piece: usize) -> Result<String, BareLineEnd> {
        let (mut stuffing, mut out) = (Stuffing::new(), Vec::new());
        for piece in content.as_bytes().chunks(piece) {
            stuffing.piece(piece, &mut out)?;
        }
        stuffing.end(&mut out)?;
        Ok(String::from_utf8(out).expect("ASCII"))
    }

    #[test]
    fn dots_are_stuffed_and_bare_line_ends_refused_however_cut() {
        let rows = [
            ("", Ok(".\r\n")),
            ("a", Ok("a\r\n.\r\n")),
            ("a\r\n", Ok("a\r\n.\r\n")),
            (".", Ok("..\r\n.\r\n")),
            (".\r\n", Ok("..\r\n.\r\n")),
            ("a\r\n.\r\nb.\r\n..c", Ok("a\r\n..\r\nb.\r\n...c\r\n.\r\n")),
            ("\r\n\r\n.", Ok("\r\n\r\n..\r\n.\r\n")),
            ("a\n.\nb", Err(BareLineEnd)),
            ("a\n", Err(BareLineEnd)),
            ("\n", Err(BareLineEnd)),
            ("a\r.\r\n", Err(BareLineEnd)),
            ("a\r\r\n", Err(BareLineEnd)),
            ("a\r\n\n", Err(BareLineEnd)),
            ("a\r", Err(BareLineEnd)),
        ];
        for (content, expected) in rows {
            for piece in [1, 2, 3, 100] {
                assert_eq!(stuffed(content, piece).as_deref(), expected.as_deref(), "{content:?} by {piece}");
            }
        }
    }
}
