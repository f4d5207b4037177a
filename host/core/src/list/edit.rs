//! A list's text, read entry by entry and edited in place: what nobody asked to change stays as its operator wrote it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attributes::{Attributes, is_attribute};
use super::{AddressList, normal_form, tokens};

/// Octets of a note.
const NOTE_MAX: usize = 500;

/// One entry of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenEntry<'a> {
    /// From 1.
    pub line: usize,
    /// As written.
    pub text: &'a str,
    /// What stands behind it; what is wrong there counts as absent.
    pub attributes: Attributes,
    /// The comment at the end of its line.
    pub note: &'a str,
}

/// An entry to add.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct NewEntry {
    /// An address, a domain, or `*.domain`.
    pub text: String,
    /// Of a domain: its subdomains too, which makes two entries.
    pub with_subdomains: bool,
    /// For people, on one line.
    pub note: String,
    /// To the end of a day (UTC), `2026-12-31`, or a time in UTC, `2026-12-31T18:00:00Z`; None: for ever.
    pub until: Option<String>,
    /// For policies that loosen: only an authenticated sender counts.
    pub authenticated_sender_only: bool,
}

/// Every entry of a text, in its order.
pub fn written(text: &str) -> impl Iterator<Item = WrittenEntry<'_>> {
    tokens::lines(text).enumerate().flat_map(|(at, content)| {
        let note = tokens::comment(content);
        let mut tokens = tokens::entries(content).peekable();
        std::iter::from_fn(move || {
            let text = tokens.next()?;
            let attributes = Attributes::behind(&mut tokens).unwrap_or(Attributes::NONE);
            Some(WrittenEntry { line: at + 1, text, attributes, note })
        })
    })
}

/// The text with these behind its end, each on a line of its own. What is wrong: which entry, and how to mend it.
pub fn add(text: &str, entries: &[NewEntry]) -> Result<String, String> {
    let mut added = text.to_owned();
    if !added.is_empty() && !added.ends_with('\n') {
        added.push('\n');
    }
    for entry in entries {
        let told = |why: &str| format!("{:?}: {why}", entry.text);
        let is_one = tokens::entries(&entry.text).eq([entry.text.as_str()]) && !is_attribute(&entry.text);
        if !is_one {
            return Err(told("is not one entry; write an address, a domain or *.domain"));
        }
        if entry.note.chars().any(char::is_control) || entry.note.len() > NOTE_MAX {
            return Err(told(&format!("its note must be one line of at most {NOTE_MAX} octets")));
        }
        let is_domain = !entry.text.contains('@') && !entry.text.starts_with(['*', '[']);
        if entry.with_subdomains && !is_domain {
            return Err(told("only a domain has subdomains"));
        }
        let until = entry.until.iter().map(|until| format!(" until={until}"));
        let sender = entry.authenticated_sender_only.then(|| " sender=authenticated".to_owned());
        let note = Some(entry.note.trim()).filter(|note| !note.is_empty()).map(|note| format!(" # {note}"));
        let behind: String = until.chain(sender).chain(note).collect();
        let mut line = format!("{}{behind}\n", entry.text);
        if entry.with_subdomains {
            line.push_str(&format!("*.{}{behind}\n", entry.text));
        }
        AddressList::parse(&line).map_err(|problems| problems.first().map_or_else(String::new, |p| told(p.why)))?;
        added.push_str(&line);
    }
    Ok(added)
}

/// The text without these entries, and how many were taken out. What is wrong: which is no entry.
pub fn remove(text: &str, entries: &[String]) -> Result<(String, usize), String> {
    let mut unwanted = BTreeSet::new();
    for entry in entries {
        let normal = normal_form(entry).map_err(|why| format!("{entry:?}: {why}"))?;
        unwanted.insert(normal.into_owned());
    }
    let is_unwanted = |token: &str| normal_form(token).is_ok_and(|normal| unwanted.contains(&*normal));
    let (mut kept, mut count) = (String::with_capacity(text.len()), 0);
    for line in text.split_inclusive('\n') {
        let (content, end) = line.strip_suffix('\n').map_or((line, ""), |content| (content, "\n"));
        let taken = tokens::entries(content).filter(|token| is_unwanted(token)).count();
        if taken == 0 {
            kept.push_str(line);
            continue;
        }
        count += taken;
        let rest = without(content, &is_unwanted);
        if !rest.is_empty() {
            kept.push_str(&rest);
            kept.push_str(end);
        }
    }
    Ok((kept, count))
}

/// A line without these entries and what stands behind them.
fn without(line: &str, is_unwanted: &impl Fn(&str) -> bool) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut tokens = tokens::entries(line).peekable();
    while let Some(token) = tokens.next() {
        let mut part = token.to_owned();
        while let Some(attribute) = tokens.next_if(|token| is_attribute(token)) {
            part.push_str(&format!(" {attribute}"));
        }
        if !is_unwanted(token) {
            parts.push(part);
        }
    }
    let entries = parts.join(", ");
    match tokens::comment(line) {
        "" => entries,
        note if entries.is_empty() => format!("# {note}"),
        note => format!("{entries} # {note}"),
    }
}
