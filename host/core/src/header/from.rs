//! The recogniser of the header From (RFC 5322 §3.4, §4.4; RFC 6854 groups; RFC 6532 UTF-8).
//!
//! It finds every mailbox, and it says when it is in doubt: no From field, more than one, or octets that the grammar
//! did not consume. A doubtful From is judged as if it were listed, so being strict is safe and being lenient is not.
//! Beside it mail-parser reads the same octets as a lenient mail reader would; a mailbox that only mail-parser sees is
//! taken too, and leaves doubt. Work is linear in the octets; nothing here recurses.

use std::collections::HashSet;

use mail_parser::parsers::MessageStream;
use mail_parser::{Addr, Address, HeaderValue};

use crate::address::Mailbox;
use crate::facts::Field;

mod grammar;
mod tokens;

/// Longer values are in doubt and are not shown to mail-parser; RFC 5322 §2.1.1 lines make this some 16 full lines.
const LENIENT_OCTETS_MAX: usize = 16 * 1024;

/// What the From says, and whether that is all it could say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FromFacts {
    /// Every mailbox of every From field, groups expanded, each once, in order.
    pub mailboxes: Vec<Mailbox>,
    /// No From field, more than one, none with a mailbox, or octets that the grammar did not consume.
    pub doubtful: bool,
}

/// Recognises the From of a header that [`super::split`] made.
pub fn from_of(fields: &[Field]) -> FromFacts {
    let mut found = Found::default();
    let (mut from_fields, mut doubtful) = (0, false);
    for field in fields {
        if field.name.eq_ignore_ascii_case("From") {
            from_fields += 1;
            doubtful |= !read_value(&field.value, &mut found);
        }
        // Another reader may end a line at a bare CR or LF, or skip an odd octet, and see a From there.
        doubtful |= field.name.contains(['\r', '\n']) || has_bare_line_end(&field.value) || is_odd_from(&field.name);
    }
    doubtful |= from_fields != 1 || found.mailboxes.is_empty();
    FromFacts { mailboxes: found.mailboxes, doubtful }
}

/// Mailboxes in order, each once.
#[derive(Default)]
struct Found {
    mailboxes: Vec<Mailbox>,
    seen: HashSet<Mailbox>,
}

impl Found {
    /// True: it was not known yet.
    fn add(&mut self, mailbox: Mailbox) -> bool {
        let new = self.seen.insert(mailbox.clone());
        if new {
            self.mailboxes.push(mailbox);
        }
        new
    }
}

/// True: our grammar consumed every octet, and mail-parser saw nothing else.
fn read_value(value: &[u8], found: &mut Found) -> bool {
    let strict = grammar::mailboxes(value);
    let mut certain = strict.consumed;
    for mailbox in strict.mailboxes {
        found.add(mailbox);
    }
    if value.len() > LENIENT_OCTETS_MAX {
        return false;
    }
    for mailbox in lenient(value) {
        certain &= !found.add(mailbox);
    }
    certain
}

/// The mailboxes mail-parser sees in a value. Much of what it returns for odd values is no mailbox; that says nothing
/// which our grammar does not say better.
fn lenient(value: &[u8]) -> Vec<Mailbox> {
    let mut line = value.to_vec();
    line.push(b'\n');
    let addresses: Vec<Addr<'_>> = match MessageStream::new(&line).parse_address() {
        HeaderValue::Address(Address::List(list)) => list,
        HeaderValue::Address(Address::Group(groups)) => groups.into_iter().flat_map(|g| g.addresses).collect(),
        _ => Vec::new(),
    };
    addresses.into_iter().filter_map(|addr| Mailbox::parse(addr.address?.trim()).ok()).collect()
}

/// CR or LF that is not part of CR LF with white space behind it.
fn has_bare_line_end(value: &[u8]) -> bool {
    value.iter().enumerate().any(|(at, &octet)| match octet {
        b'\r' => value.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || value[at - 1] != b'\r' || !matches!(value.get(at + 1), Some(b' ' | b'\t')),
        _ => false,
    })
}

/// A name that is no field name (RFC 5322 §2.2), yet one whose letters begin with From: `Fr\0om`, ` From`,
/// `>From x`, `From` without a colon. No name at all is odd too: some readers skip a colon at the start of a line, and
/// take `:From: x` for a From.
fn is_odd_from(name: &str) -> bool {
    let lawful = name.bytes().all(|b| b.is_ascii_graphic());
    let mut letters = name.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase());
    name.is_empty() || !lawful && "from".chars().all(|c| letters.next() == Some(c))
}

#[cfg(test)]
mod tests;
