//! The entries of a list as its operator wrote them, a page at a time.
//!
//! A list is read as it is kept, piece by piece, and a page begins where the one before ended: all pages of a list together are
//! one reading of it, and never is more of it in memory than a piece and a line. A position names the revision it was given for,
//! so that pages stay those of one text, whoever edits the list meanwhile.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use sealwire_core::audit::Hash;
use sealwire_core::list::written;
use sealwire_core::time::rfc3339;
use sealwire_store::Store;
use serde::{Deserialize, Serialize};

use crate::apply::ChangeError;
use crate::relay::Relay;
use crate::settings::{EditError, Gathered, pieces};
use crate::start::one;

/// Entries of one answer, at most.
const ENTRIES_MAX: usize = 10_000;

/// Which entries of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct EntriesWanted {
    /// Part of an entry or its note, any case.
    pub search: Option<String>,
    /// From there on: the `next` of the page before.
    pub after: Option<Position>,
    /// At most so many.
    pub limit: usize,
}

impl Default for EntriesWanted {
    fn default() -> EntriesWanted {
        EntriesWanted { search: None, after: None, limit: 1000 }
    }
}

/// A place in the text of a list, `REVISION.PIECE.OCTET`: in which revision, and how many octets behind the beginning of which
/// piece of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Position {
    revision: u64,
    piece: usize,
    octet: usize,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Entries {
    /// How many there are that match, on all pages. The first page says so; the others read nothing but themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<usize>,
    /// In the order of the list.
    pub entries: Vec<EntryView>,
    /// Where the next page begins, `REVISION.PIECE.OCTET`; absent behind the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub next: Option<Position>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct EntryView {
    /// As written.
    pub text: String,
    /// The comment on its line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// From then on it lists nobody (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Only an authenticated sender counts, where a policy loosens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub authenticated_sender_only: bool,
}

impl Relay {
    /// A page of a list, of the newest revision or of that of the page before; None: there is no such list.
    pub async fn entries(&self, list: &str, wanted: EntriesWanted) -> Result<Option<Entries>, ChangeError> {
        let of = wanted.after.map(|after| after.revision);
        let Some(revision) = self.store.settings(of).await? else {
            return of.map_or(Ok(None), |of| Err(ChangeError::NoRevision(of)));
        };
        let gathered = Gathered::read(&revision.document)?;
        let start = wanted.after.unwrap_or(Position { revision: revision.revision, piece: 0, octet: 0 });
        let Some(mut lines) = Lines::of(&*self.store, &gathered, list, start).await? else { return Ok(None) };
        let mut page = Page::of(&wanted);
        while let Some((at, text)) = lines.next().await? {
            let read = move || {
                let more = page.read(at, &text);
                (page, more)
            };
            let more;
            (page, more) =
                tokio::task::spawn_blocking(read).await.map_err(|error| one("settings", error.to_string()))?;
            if !more {
                break;
            }
        }
        Ok(Some(page.into_entries()))
    }
}

/// The text of a list from a position on, whole lines at a time.
struct Lines<'a> {
    store: &'a dyn Store,
    pieces: Vec<Hash>,
    /// How many of the pieces have been read.
    read: usize,
    /// Where what is read and not yet given begins.
    at: Position,
    text: String,
}

impl<'a> Lines<'a> {
    /// None: there is no such list.
    async fn of(
        store: &'a dyn Store,
        gathered: &Gathered,
        list: &str,
        start: Position,
    ) -> Result<Option<Lines<'a>>, ChangeError> {
        let file = gathered.lists.get(list).filter(|file| !file.pieces.is_empty());
        let pieces = file.map(pieces::digests).transpose()?.unwrap_or_default();
        // A list that is kept whole is one piece, and read already.
        let Some(text) = (if pieces.is_empty() { gathered.text_of(list) } else { Some(String::new()) }) else {
            return Ok(None);
        };
        let mut lines = Lines { store, pieces, read: start.piece, at: start, text };
        while lines.text.len() < start.octet && lines.fetch().await? {}
        if !lines.text.is_char_boundary(start.octet) || (lines.pieces.is_empty() && start.piece > 0) {
            let text = format!("{start} is no place in this list; begin with its first page");
            return Err(ChangeError::Edit(EditError::Wrong(text)));
        }
        lines.text.drain(..start.octet);
        Ok(Some(lines))
    }

    /// What comes next, and where it stands; None: the list is at its end.
    async fn next(&mut self) -> Result<Option<(Position, String)>, ChangeError> {
        loop {
            let is_all = self.read >= self.pieces.len();
            let end = if is_all { self.text.len() } else { self.text.rfind('\n').map_or(0, |at| at + 1) };
            if end > 0 {
                let rest = self.text.split_off(end);
                let lines = std::mem::replace(&mut self.text, rest);
                let at = self.at;
                self.at.octet += end;
                return Ok(Some((at, lines)));
            }
            if self.text.is_empty() {
                self.at = Position { piece: self.read, octet: 0, ..self.at };
            }
            if !self.fetch().await? {
                return Ok(None);
            }
        }
    }

    /// False: there is no further piece.
    async fn fetch(&mut self) -> Result<bool, ChangeError> {
        let Some(digest) = self.pieces.get(self.read) else { return Ok(false) };
        let pieces = self.store.pieces(vec![*digest]).await?;
        self.text.extend(pieces.into_iter().map(|piece| piece.text));
        self.read += 1;
        Ok(true)
    }
}

/// A page that fills.
struct Page {
    search: Option<String>,
    limit: usize,
    /// The first page goes on to the end, to count.
    is_first: bool,
    total: usize,
    entries: Vec<EntryView>,
    next: Option<Position>,
}

impl Page {
    fn of(wanted: &EntriesWanted) -> Page {
        Page {
            search: wanted.search.as_ref().map(|search| search.to_lowercase()),
            limit: wanted.limit.min(ENTRIES_MAX),
            is_first: wanted.after.is_none(),
            total: 0,
            entries: Vec::new(),
            next: None,
        }
    }

    /// Takes what it wants of whole lines that stand at `at`. False: it needs no more of them.
    fn read(&mut self, at: Position, text: &str) -> bool {
        let search = self.search.clone();
        let holds = |text: &str| search.as_ref().is_none_or(|search| text.to_lowercase().contains(search));
        for entry in written(text).filter(|entry| holds(entry.text) || (search.is_some() && holds(entry.note))) {
            self.total += 1;
            if self.entries.len() < self.limit {
                self.entries.push(EntryView {
                    text: entry.text.to_owned(),
                    note: entry.note.to_owned(),
                    until: entry.attributes.until.map(rfc3339),
                    authenticated_sender_only: entry.attributes.authenticated_sender_only,
                });
                continue;
            }
            let octet = at.octet + (entry.text.as_ptr() as usize - text.as_ptr() as usize);
            self.next.get_or_insert(Position { octet, ..at });
            if !self.is_first {
                return false;
            }
        }
        true
    }

    fn into_entries(self) -> Entries {
        Entries { total: self.is_first.then_some(self.total), entries: self.entries, next: self.next }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.revision, self.piece, self.octet)
    }
}

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Position, String> {
        let read = || {
            let mut numbers = text.split('.');
            let position = Position {
                revision: numbers.next()?.parse().ok()?,
                piece: numbers.next()?.parse().ok()?,
                octet: numbers.next()?.parse().ok()?,
            };
            numbers.next().is_none().then_some(position)
        };
        read().ok_or_else(|| format!("{text:?} is no place in a list; take the `next` of the page before"))
    }
}

impl TryFrom<String> for Position {
    type Error = String;

    fn try_from(text: String) -> Result<Position, String> {
        text.parse()
    }
}

impl From<Position> for String {
    fn from(position: Position) -> String {
        position.to_string()
    }
}

#[cfg(test)]
mod tests;
