//! The recogniser of the header From (`core::header::from`) against two other readers: mail-parser on the whole header,
//! as a mail program would read it, and a reading by hand of what is plain.
//!
//! Where the recogniser is certain, the others see one From field too and no mailbox that it does not list, and in plain
//! values all three list the same. Where it is in doubt, it still lists everything mail-parser sees in the values.

use std::collections::BTreeSet;

use mail_parser::parsers::MessageStream;
use mail_parser::{Address, HeaderName, HeaderValue, MessageParser};
use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::facts::Field;
use sealwire_core::header::{FromFacts, from_of, named, split};

use crate::input::one_flight;

/// mail-parser is slow on longer ones; the recogniser calls those doubtful.
const READ_BY_OTHERS_MAX: usize = 16 * 1_024;

/// Who wrote this message?
pub fn header_from(octets: &[u8]) {
    let (_, header) = one_flight(octets);
    let fields = split(&header);
    let facts = from_of(&fields);
    let listed: BTreeSet<&Mailbox> = facts.mailboxes.iter().collect();
    assert_eq!(listed.len(), facts.mailboxes.len(), "a mailbox is listed twice");
    for domain in facts.mailboxes.iter().map(|mailbox| &mailbox.domain) {
        assert_eq!(Domain::parse(domain.as_str()).as_ref(), Ok(domain), "the ledger cannot be read back");
    }
    let from: Vec<&Field> = named(&fields, "From").collect();
    if !facts.doubtful {
        assert!(from.len() == 1 && !facts.mailboxes.is_empty(), "certain of nothing: {facts:?}");
    }
    if header.len() > READ_BY_OTHERS_MAX {
        return;
    }
    for field in from {
        assert_listed(&facts, &by_mail_parser(&field.value), &field.value);
        if !facts.doubtful {
            check_plain(&facts, &field.value);
        }
    }
    if !facts.doubtful {
        check_whole(&facts, &header);
    }
}

/// mail-parser reads the header by itself: where it ends, what is a field, which one is the From.
fn check_whole(facts: &FromFacts, header: &[u8]) {
    let message = [header, b"\r\n\r\n"].concat();
    let read = MessageParser::default().parse_headers(&message);
    let headers = read.as_ref().map(mail_parser::Message::headers).unwrap_or_default();
    let seen: Vec<_> = headers.iter().filter(|field| field.name == HeaderName::From).collect();
    assert_eq!(seen.len(), 1, "mail-parser sees {} From fields in {}", seen.len(), header.escape_ascii());
    for field in seen {
        assert_listed(facts, &mailboxes(&field.value), header);
    }
}

fn by_mail_parser(value: &[u8]) -> BTreeSet<Mailbox> {
    let line = [value, b"\n"].concat();
    mailboxes(&MessageStream::new(&line).parse_address())
}

/// What mail-parser makes of odd values is often no mailbox.
fn mailboxes(value: &HeaderValue<'_>) -> BTreeSet<Mailbox> {
    let addresses = match value {
        HeaderValue::Address(Address::List(list)) => list.iter().collect(),
        HeaderValue::Address(Address::Group(groups)) => groups.iter().flat_map(|group| &group.addresses).collect(),
        _ => Vec::new(),
    };
    addresses.into_iter().filter_map(|addr| Mailbox::parse(addr.address.as_deref()?.trim()).ok()).collect()
}

fn assert_listed(facts: &FromFacts, seen: &BTreeSet<Mailbox>, octets: &[u8]) {
    for mailbox in seen {
        assert!(facts.mailboxes.contains(mailbox), "{mailbox} is missed in {}: {facts:?}", octets.escape_ascii());
    }
}

/// A certain reading of a plain value: every word with an `@` is a mailbox, nothing else is, and mail-parser agrees.
fn check_plain(facts: &FromFacts, value: &[u8]) {
    let Ok(text) = std::str::from_utf8(value) else { return };
    // No quotes, comments, literals, folds; no blank around dots and `@`; no source route.
    let plain = |c: char| c.is_ascii_alphanumeric() || " .@,<>:;-".contains(c);
    let odd = [" .", ". ", " @", "@ ", "<@", "< @", "@,"].iter().any(|odd| text.contains(odd)) || text.contains("xn--");
    if odd || !text.chars().all(plain) || is_route(text) {
        return;
    }
    // Nobody else takes a local part this long for one.
    if facts.mailboxes.iter().any(|mailbox| mailbox.local.len() > 256) {
        return;
    }
    let words = text.split([' ', ',', '<', '>', ':', ';']).filter(|word| word.contains('@'));
    let by_hand: BTreeSet<Mailbox> = words.map(|word| Mailbox::parse(word).expect("certain of no mailbox")).collect();
    let listed: BTreeSet<Mailbox> = facts.mailboxes.iter().cloned().collect();
    assert_eq!(listed, by_hand, "by hand, {text:?}");
    assert_eq!(listed, by_mail_parser(value), "by mail-parser, {text:?}");
}

/// `<,@a:` and the like.
fn is_route(text: &str) -> bool {
    text.split('<').skip(1).any(|angle| angle.trim_start_matches([' ', ',']).starts_with('@'))
}
