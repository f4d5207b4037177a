//! Lines that any mail server takes: folding, wrapping, quoted-printable, and the original's header cut to size.

use crate::entry::Entry;
use crate::visible::speaks;

/// Where lines end, but for words that are longer (RFC 5322 §2.1.1).
const LINE: usize = 76;
/// Longest line that may travel as it is, CR LF apart (RFC 5322 §2.1.1).
const LINE_MAX: usize = 998;
/// Longest Message-ID that is referred to.
const MESSAGE_ID_MAX: usize = 250;

/// One part of the report, ready to be sent: ASCII, CR LF line ends.
pub(super) struct Part {
    content_type: String,
    quoted_printable: bool,
    /// Its content.
    pub(super) text: String,
}

impl Part {
    /// Words for a person, lines ended by `\n`.
    pub(super) fn of_text(content_type: &str, text: &str) -> Part {
        let charset = if text.is_ascii() { "us-ascii" } else { "utf-8" };
        let octets = text.replace('\n', "\r\n");
        Part { content_type: format!("{content_type}; charset={charset}"), ..Part::of_octets("", octets.as_bytes()) }
    }

    /// Octets, encoded only if they have to be.
    pub(super) fn of_octets(content_type: &str, octets: &[u8]) -> Part {
        let plain = std::str::from_utf8(octets).ok().filter(|text| is_seven_bit(text));
        let text = plain.map_or_else(|| quoted_printable(octets), str::to_owned);
        Part { content_type: content_type.to_owned(), quoted_printable: plain.is_none(), text }
    }

    /// Several in one, which its boundary keeps apart.
    pub(super) fn of_parts(kind: &str, boundary: &str, parts: &[Part]) -> Part {
        let content_type = format!("multipart/{kind}; boundary=\"{boundary}\"");
        Part { content_type, quoted_printable: false, text: assemble(parts, boundary) }
    }

    /// Its own header.
    pub(super) fn header(&self) -> String {
        let encoding = if self.quoted_printable { "quoted-printable" } else { "7bit" };
        format!("Content-Type: {}\r\nContent-Transfer-Encoding: {encoding}\r\n", self.content_type)
    }
}

/// The body of a multipart (RFC 2046 §5.1.1).
pub(super) fn assemble(parts: &[Part], boundary: &str) -> String {
    let mut body = String::new();
    for part in parts {
        body.push_str(&format!("--{boundary}\r\n{}\r\n", part.header()));
        body.push_str(&part.text);
        body.push_str("\r\n");
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    body
}

/// May travel unencoded (RFC 2045 §2.7), and speaks to no terminal that shows it so.
fn is_seven_bit(text: &str) -> bool {
    let plain = |line: &str| line.len() <= LINE_MAX && line.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'));
    text.split("\r\n").all(plain)
}

/// RFC 2045 §6.7. Line ends of the text stay line ends; a bare CR or LF is an octet like any other.
fn quoted_printable(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len() * 2);
    let (mut column, mut at) = (0, 0);
    while at < octets.len() {
        if octets[at..].starts_with(b"\r\n") {
            out.push_str("\r\n");
            (column, at) = (0, at + 2);
            continue;
        }
        let octet = octets[at];
        let ends_line = octets[at + 1..].is_empty() || octets[at + 1..].starts_with(b"\r\n");
        let plain = (b'!'..=b'~').contains(&octet) && octet != b'=' || matches!(octet, b' ' | b'\t') && !ends_line;
        let written = if plain { char::from(octet).to_string() } else { format!("={octet:02X}") };
        if column + written.len() >= LINE {
            out.push_str("=\r\n");
            column = 0;
        }
        column += written.len();
        out.push_str(&written);
        at += 1;
    }
    out
}

/// A stranger's words without line ends and other control characters, at most `max` characters.
pub(super) fn tame(text: &str, max: usize) -> String {
    // What turns the direction of writing could make one address look like another.
    text.chars().take(max).map(|c| if speaks(c) { ' ' } else { c }).collect()
}

/// The same in ASCII, for fields.
pub(crate) fn tame_ascii(text: &str, max: usize) -> String {
    tame(text, max).chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// A paragraph in lines, each behind `indent`, ended by `\n`.
pub(crate) fn wrap(text: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut line = indent.to_owned();
    for word in text.split_whitespace() {
        if line.len() > indent.len() && line.chars().count() + 1 + word.chars().count() > LINE {
            lines.push_str(&line);
            lines.push('\n');
            line = indent.to_owned();
        }
        if line.len() > indent.len() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push_str(&line);
    lines.push('\n');
    lines
}

/// A header field, folded at its spaces, with its CR LF (RFC 5322 §2.2.3).
pub(crate) fn fold(name: &str, value: &str) -> String {
    let mut field = format!("{name}:");
    let mut column = field.len();
    // Not at every white space: a quoted local part keeps the spaces it has.
    for word in value.split(' ') {
        if column + 1 + word.len() > LINE && column > name.len() + 1 && !word.is_empty() {
            field.push_str("\r\n");
            column = 0;
        }
        field.push(' ');
        field.push_str(word);
        column += 1 + word.len();
    }
    field.push_str("\r\n");
    field
}

/// The original's header as the report carries it.
pub(super) struct OriginalHeader {
    /// Whole fields.
    pub(super) octets: Vec<u8>,
    /// Fields were left out.
    pub(super) cut: bool,
}

/// Our Received field and the header as it came, as many whole fields as fit.
pub(super) fn original_header(entry: &Entry, max: usize) -> OriginalHeader {
    let mut octets = entry.trace.clone().into_bytes();
    octets.extend_from_slice(&entry.header);
    if octets.len() <= max {
        return OriginalHeader { octets, cut: false };
    }
    let starts_field = |at: &usize| octets[..*at].ends_with(b"\r\n") && !matches!(octets[*at], b' ' | b'\t');
    let end = (1..=max).rev().find(starts_field).unwrap_or(0);
    octets.truncate(end);
    OriginalHeader { octets, cut: true }
}

/// The Message-ID, if it is one that may be quoted (RFC 5322 §3.6.4).
pub(super) fn message_id(header: &[u8]) -> Option<String> {
    let id = field(header, "message-id")?;
    let inner = id.strip_prefix('<')?.strip_suffix('>')?;
    let fine = |b: u8| b.is_ascii_graphic() && !matches!(b, b'<' | b'>');
    let well_formed = id.len() <= MESSAGE_ID_MAX && inner.contains('@') && inner.bytes().all(fine);
    well_formed.then_some(id)
}

/// The subject, if it is plain words.
pub(super) fn subject(header: &[u8]) -> Option<String> {
    let subject = field(header, "subject")?;
    let plain = !subject.is_empty() && subject.bytes().all(|b| (b' '..=b'~').contains(&b)) && !subject.contains("=?");
    plain.then(|| tame(&subject, 200))
}

/// The first field of this name (lower case), unfolded and trimmed.
fn field(header: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(header);
    let unfolded = text.replace("\r\n ", " ").replace("\r\n\t", " ");
    let mut fields = unfolded.split("\r\n").filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(field, _)| field.trim_end().eq_ignore_ascii_case(name))?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_encoded_only_if_they_have_to_be() {
        let long = "x".repeat(999);
        let rows: [(&[u8], bool, &str); 7] = [
            (b"Subject: a\r\n\tb\r\nTo: b\r\n", false, "Subject: a\r\n\tb\r\nTo: b\r\n"),
            (b"Subject: \x1b[2J\x7f\r\n", true, "Subject: =1B[2J=7F\r\n"),
            (b"a\nb\r\n", true, "a=0Ab\r\n"),
            (b"a\rb\r\n", true, "a=0Db\r\n"),
            ("gr\u{fc}n = \r\n".as_bytes(), true, "gr=C3=BCn =3D=20\r\n"),
            (b"\xff\0", true, "=FF=00"),
            (long.as_bytes(), true, ""),
        ];
        for (octets, encoded, expected) in rows {
            let part = Part::of_octets("text/plain", octets);
            assert_eq!(part.quoted_printable, encoded, "{octets:?}");
            assert!(part.text.is_ascii() && part.text.split("\r\n").all(|line| line.len() <= 998));
            if !expected.is_empty() {
                assert_eq!(part.text, expected);
            } else {
                assert!(part.text.split("\r\n").all(|line| line.len() <= 76), "{}", part.text);
            }
        }
    }

    #[test]
    fn only_a_well_formed_message_id_is_referred_to() {
        let rows = [
            ("Message-ID: <a@b.example>\r\n", Some("<a@b.example>")),
            ("X: y\r\nmessage-id:\r\n <a@b.example>\r\n", Some("<a@b.example>")),
            ("Message-ID: a@b.example\r\n", None),
            ("Message-ID: <a>\r\n", None),
            ("Message-ID: <a@b> <c@d>\r\n", None),
            ("Message-ID: <a@b\u{fc}>\r\n", None),
            ("Subject: Message-ID: <a@b>\r\n", None),
            ("", None),
        ];
        for (header, expected) in rows {
            assert_eq!(message_id(header.as_bytes()).as_deref(), expected, "{header:?}");
        }
    }

    #[test]
    fn fields_and_paragraphs_have_short_lines() {
        let words = "word ".repeat(60);
        assert!(fold("Subject", &words).split("\r\n").all(|line| line.len() <= 76));
        assert!(fold("Subject", &words).split_terminator("\r\n").skip(1).all(|line| line.starts_with(' ')));
        assert!(wrap(&words, "  ").lines().all(|line| line.len() <= 76 && line.starts_with("  w")));
        assert_eq!(wrap("one\r\ntwo", ""), "one two\n");
        assert_eq!(tame("a\r\nb\u{0}\u{fc}\u{202e}\u{200f}", 9), "a  b \u{fc}  ");
        assert_eq!(tame_ascii("\u{fc}bcdef", 3), "?bc");
    }
}
