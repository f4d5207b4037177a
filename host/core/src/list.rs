//! Address lists and their matcher (R8): an address, a domain (exact), or `*.domain` (its subdomains only).
//!
//! An entry and what is looked up are brought to one form: lower case, the local part too, and A-labels (RFC 5890
//! §2.3.2.1), so that `Bücher.example` and `xn--bcher-kva.example` are one name. A list is read once, never changed,
//! and shared by every setting that names it. A look-up costs the same in ten entries and in a million.
//!
//! As written: entries stand apart by commas, white space or line ends; `#` where an entry could begin starts a
//! comment to the end of the line; a quoted local part may hold any of these. Behind an entry, on its line, may stand
//! what holds for it: `until=2026-12-31`, `sender=authenticated` ([`Attributes`]).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::address::{Domain, Mailbox};

mod attributes;
mod edit;
mod index;
mod tokens;

pub use attributes::Attributes;
pub use edit::{NewEntry, WrittenEntry, add, remove, written};

use index::Index;

/// Longest entry as written, in octets: a quoted local part, an at sign and a name in U-labels fit well.
const ENTRY_OCTETS_MAX: usize = 1_024;
/// Problems told at once; a wrong file must not fill a terminal or the memory.
const PROBLEMS_MAX: usize = 1_000;

/// A list of addresses, domains and subdomain patterns.
pub struct AddressList {
    index: Index,
    /// Of the few entries that have some, by place.
    attributes: BTreeMap<u32, Attributes>,
    digest: String,
}

/// The entry that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListEntry<'a> {
    /// As the operator wrote it.
    pub text: &'a str,
    /// Counts only for an authenticated sender.
    pub authenticated_sender_only: bool,
}

/// What is wrong with one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryProblem {
    /// Counted from 1.
    pub line: usize,
    /// The entry as written, cut short if it is long.
    pub text: String,
    /// What is wrong and how to mend it.
    pub why: &'static str,
}

impl AddressList {
    /// Reads a list from its text. All problems are told at once. Of equal entries the first is kept.
    pub fn parse(text: &str) -> Result<AddressList, Vec<EntryProblem>> {
        AddressList::from_lines(tokens::lines(text))
    }

    /// Reads a list line by line; problems carry the line's place, counted from 1.
    pub fn from_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<AddressList, Vec<EntryProblem>> {
        let mut list = AddressList { index: Index::default(), attributes: BTreeMap::new(), digest: String::new() };
        let mut problems = Vec::new();
        for (at, line) in lines.into_iter().enumerate() {
            let mut tokens = tokens::entries(line).peekable();
            while let Some(text) = tokens.next() {
                let attributes = Attributes::behind(&mut tokens);
                let Err((text, why)) = attributes.and_then(|attributes| list.insert(text, attributes)) else {
                    continue;
                };
                if problems.len() == PROBLEMS_MAX {
                    let why = "more entries are wrong, this one among them; mend the ones above first";
                    problems.push(EntryProblem { line: at + 1, text: cut(text), why });
                    return Err(problems);
                }
                problems.push(EntryProblem { line: at + 1, text: cut(text), why });
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        list.index.shrink();
        list.digest = list.digest_of();
        Ok(list)
    }

    /// Of equal entries the wider one stands: a list protects whom any of its lines protects.
    fn insert<'a>(&mut self, text: &'a str, attributes: Attributes) -> Result<(), (&'a str, &'static str)> {
        if attributes::is_attribute(text) {
            return Err((text, "it stands behind no entry; write it on the line of the entry it is for"));
        }
        let normal = normal_form(text).map_err(|why| (text, why))?;
        let (place, is_new) = self.index.insert(&normal, text).map_err(|why| (text, why))?;
        let before = if is_new { attributes } else { self.attributes_of(place) };
        match before.wider(attributes) {
            Attributes::NONE => drop(self.attributes.remove(&place)),
            some => drop(self.attributes.insert(place, some)),
        }
        Ok(())
    }

    fn attributes_of(&self, place: u32) -> Attributes {
        self.attributes.get(&place).copied().unwrap_or(Attributes::NONE)
    }

    /// The entry that lists this mailbox at `now`: its address first, then its domain, then `*.` over the domain's parents,
    /// nearest first. Entries whose time is over list nobody.
    pub fn find(&self, mailbox: &Mailbox, now: u64) -> Option<ListEntry<'_>> {
        let domain = mailbox.domain.as_str();
        let listed = |normal: &str| {
            let (place, text) = self.index.find(normal)?;
            let Attributes { until, authenticated_sender_only } = self.attributes_of(place);
            until.is_none_or(|until| now < until).then_some(ListEntry { text, authenticated_sender_only })
        };
        let by_address = || listed(&address_form(mailbox));
        let by_domain = || listed(domain);
        let by_parent = || dotted_parents(domain).find_map(listed);
        by_address().or_else(by_domain).or_else(by_parent)
    }

    /// SHA-256, in hex, over the sorted entries in their one form and what holds for them: equal content, equal digest.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Number of different entries.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Every entry in its one form, with what holds for it; in order of their octets.
    pub fn entries(&self) -> impl Iterator<Item = String> {
        let mut entries: Vec<String> = self
            .index
            .sorted()
            .map(|(place, entry)| {
                let star = if entry.starts_with('.') { "*" } else { "" };
                format!("{star}{entry}{}", self.attributes_of(place))
            })
            .collect();
        // A star sorts elsewhere than a dot.
        entries.sort_unstable();
        entries.into_iter()
    }

    /// Addresses and domains that are listed by name, in their one form and in order; not the subdomains that `*.domain` means.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.index.sorted().map(|(_, entry)| entry).filter(|entry| !entry.starts_with('.'))
    }

    fn digest_of(&self) -> String {
        let mut sha = Sha256::new();
        for (place, entry) in self.index.sorted() {
            sha.update(entry.as_bytes());
            if let Some(attributes) = self.attributes.get(&place) {
                sha.update(attributes.to_string().as_bytes());
            }
            sha.update(b"\n");
        }
        sha.finalize().iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// A list without entries; it lists nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The one form of an entry. A subdomain pattern is held as `.parent`: no address and no domain begins so.
pub fn normal_form(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if is_normal(text) { Ok(Cow::Borrowed(text)) } else { brought_to_normal(text).map(Cow::Owned) }
}

/// An address or domain that needs no change. Long lists hold little else, and this look at it is all they cost; what
/// is merely not obvious here takes the long way.
fn is_normal(text: &str) -> bool {
    let (mut label_len, mut at_signs, mut last) = (0, 0, b'.');
    for octet in text.bytes() {
        match octet {
            b'.' | b'@' if label_len == 0 => return false,
            b'-' if last == b'-' => return false, // perhaps an A-label
            b'@' => at_signs += 1,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {}
            _ => return false,
        }
        label_len = if matches!(octet, b'.' | b'@') { 0 } else { label_len + 1 };
        if label_len > 63 {
            return false;
        }
        last = octet;
    }
    label_len > 0 && at_signs <= 1 && text.len() <= 255
}

fn brought_to_normal(text: &str) -> Result<String, &'static str> {
    if text.len() > ENTRY_OCTETS_MAX {
        return Err("it is longer than any address can be; separate entries by commas, white space or new lines");
    }
    if text.contains('@') {
        return normal_address(text);
    }
    if let Some(parent) = text.strip_prefix("*.") {
        let domain = Domain::parse(parent).map_err(|_| "what follows `*.` is not a domain; write `*.example.com`")?;
        if domain.is_literal() {
            return Err("an address literal has no subdomains; write it without `*.`");
        }
        return Ok(format!(".{domain}"));
    }
    if text.starts_with('.') {
        return Err("a domain does not begin with a dot; for its subdomains write `*.example.com`");
    }
    if text.contains('*') {
        return Err("a star stands only in `*.example.com`, for all subdomains of example.com");
    }
    let domain = Domain::parse(text).map_err(
        |_| "it is neither an address (`ann@example.com`), a domain (`example.com`) nor subdomains (`*.example.com`)",
    )?;
    Ok(domain.as_str().to_owned())
}

fn normal_address(text: &str) -> Result<String, &'static str> {
    if text.starts_with('@') {
        return Err("the local part is missing; for every address of a domain write the domain alone");
    }
    let mailbox = Mailbox::parse(text).map_err(
        |_| "it is not an address; write `ann@example.com`, with quotes around an unusual local part, without < >",
    )?;
    // `*@example.com` is an address by RFC 5321, but who writes it means the domain: saying so beats listing nobody.
    if mailbox.local.contains('*') && !text.starts_with('"') {
        return Err("a star in an address is no pattern; for every address of a domain write the domain alone, \
                    or put the local part in quotes if it really holds a star");
    }
    Ok(address_form(&mailbox))
}

/// `local@domain` in lower case, quoted where SMTP would quote it.
fn address_form(mailbox: &Mailbox) -> String {
    let text = mailbox.to_string();
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Letter by letter: `str::to_lowercase` would fold a final sigma by its surroundings.
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Of `a.b.example` these are `.b.example` and `.example`; of a literal, none.
fn dotted_parents(domain: &str) -> impl Iterator<Item = &str> {
    let name = if domain.starts_with('[') { "" } else { domain };
    name.match_indices('.').map(move |(at, _)| &name[at..])
}

fn cut(text: &str) -> String {
    const SHOWN_CHARS: usize = 80;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

impl fmt::Display for EntryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {:?}: {}", self.line, self.text, self.why)
    }
}

impl std::error::Error for EntryProblem {}

impl fmt::Debug for AddressList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddressList({} entries, {})", self.len(), self.digest)
    }
}

#[cfg(test)]
mod tests;
