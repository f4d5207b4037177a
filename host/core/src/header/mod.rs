//! The header as fields (RFC 5322 §2.2), and what the relay itself reads in it.
//!
//! [`split`] loses nothing: a line that is no field is kept as one without a value. Values keep their folds; [`unfold`]
//! takes them out. Nothing here decodes encoded words, and nothing here decides. [`from::from_of`] recognises the
//! From field (RFC 5322 §3.4 and §4.4) and says when it is in doubt.

use crate::facts::Field;

pub mod from;

pub use from::{FromFacts, from_of};

/// Splits a header at CR LF. The empty line that ends a header ends the reading too. Only a field is continued by a line
/// that begins with white space: `From`, without a colon, and a mailbox on the next line are no From.
pub fn split(header: &[u8]) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    let mut in_field = false;
    for line in lines(header) {
        if line.is_empty() {
            break;
        }
        match fields.last_mut() {
            Some(field) if in_field && is_space(line[0]) => {
                field.value.extend_from_slice(b"\r\n");
                field.value.extend_from_slice(line);
            }
            _ => {
                in_field = line.contains(&b':');
                fields.push(field_of(line));
            }
        }
    }
    fields
}

/// The fields of this name, whose case does not count, in order.
pub fn named<'a>(fields: &'a [Field], name: &'a str) -> impl Iterator<Item = &'a Field> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name))
}

/// A value on one line, without the white space around it. Octets that are not UTF-8 become U+FFFD.
pub fn unfold(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value).replace("\r\n", "");
    text.trim_matches([' ', '\t']).to_owned()
}

/// How many hops the message has made: too many is a loop (RFC 5321 §6.3).
pub fn received_count(fields: &[Field]) -> usize {
    named(fields, "Received").count()
}

/// `TLS-Required: No` (RFC 8689 §5). Any other value, and a second such field, means nothing.
pub fn tls_required_no(fields: &[Field]) -> bool {
    let mut values = named(fields, "TLS-Required").map(|field| unfold(&field.value));
    values.next().is_some_and(|value| value.eq_ignore_ascii_case("no")) && values.next().is_none()
}

/// The first Message-ID as written, angle brackets included.
pub fn message_id(fields: &[Field]) -> Option<String> {
    named(fields, "Message-ID").map(|field| unfold(&field.value)).find(|value| !value.is_empty())
}

/// What stands between CR LF and CR LF; a bare CR or LF ends no line.
fn lines(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(header).filter(|octets| !octets.is_empty());
    std::iter::from_fn(move || {
        let octets = rest?;
        let end = octets.windows(2).position(|pair| pair == b"\r\n");
        rest = end.map(|at| &octets[at + 2..]).filter(|octets| !octets.is_empty());
        Some(&octets[..end.unwrap_or(octets.len())])
    })
}

/// White space before the colon is obsolete and to be read (RFC 5322 §4.5).
fn field_of(line: &[u8]) -> Field {
    let colon = line.iter().position(|&b| b == b':');
    let (name, value) = match colon {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &line[line.len()..]),
    };
    let name = String::from_utf8_lossy(name).trim_end_matches([' ', '\t']).to_owned();
    Field { name, value: value.to_vec() }
}

fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_splits_into_its_fields() {
        type Row = (&'static [u8], &'static [(&'static str, &'static [u8])]);
        let rows: [Row; 9] = [
            (b"A: 1\r\nb:2\r\n\r\nbody: no\r\n", &[("A", b" 1"), ("b", b"2")]),
            (b"A: 1\r\n 2\r\n\t3\r\nB: 4", &[("A", b" 1\r\n 2\r\n\t3"), ("B", b" 4")]),
            (b"From \t: x\r\n", &[("From", b" x")]),
            (b"no colon\r\nA: 1\r\n", &[("no colon", b""), ("A", b" 1")]),
            (b"From\r\n a@b\r\n\tc: d\r\n e\r\n", &[("From", b""), (" a@b", b""), ("\tc", b" d\r\n e")]),
            (b" starts folded: x\r\n", &[(" starts folded", b" x")]),
            (b"A: 1\nFrom: x\r\n", &[("A", b" 1\nFrom: x")]),
            (b"A: 1\r\r\nB: 2\r\n", &[("A", b" 1\r"), ("B", b" 2")]),
            (b"", &[]),
        ];
        for (header, expected) in rows {
            let fields = split(header);
            let got: Vec<(&str, &[u8])> = fields.iter().map(|f| (f.name.as_str(), f.value.as_slice())).collect();
            assert_eq!(got, expected, "{:?}", String::from_utf8_lossy(header));
        }
    }

    #[test]
    fn the_small_readings() {
        // (header, hops, TLS-Required: No, Message-ID)
        let rows: [(&str, usize, bool, Option<&str>); 6] = [
            ("received: a\r\nRECEIVED: b\r\nMessage-Id:\r\n <1@x>\r\n", 2, false, Some("<1@x>")),
            ("TLS-Required: No\r\n", 0, true, None),
            ("tls-required:\r\n no \r\n", 0, true, None),
            ("TLS-Required: No, really\r\n", 0, false, None),
            ("TLS-Required: No\r\nTLS-Required: No\r\n", 0, false, None),
            ("Message-ID: \r\n", 0, false, None),
        ];
        for (header, hops, no, id) in rows {
            let fields = split(header.as_bytes());
            let got = (received_count(&fields), tls_required_no(&fields), message_id(&fields));
            assert_eq!(got, (hops, no, id.map(str::to_owned)), "{header:?}");
        }
        assert_eq!(unfold(b" a\r\n b\xff \r\n"), "a b\u{fffd}");
    }
}
