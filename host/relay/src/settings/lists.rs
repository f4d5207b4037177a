//! The lists of a settings document: read once, shared by every setting, taken over unread where nothing changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwire_core::list::{AddressList, EntryProblem};

use super::gather::{Gathered, ListFile, list_name};
use super::pieces;
use crate::config::Problem;
use crate::config::reader::{At, Faults, Table};

/// Lists by name, each with the digest of the text it was read from.
#[derive(Clone, Default)]
pub(super) struct Lists {
    lists: BTreeMap<String, Arc<AddressList>>,
    sources: BTreeMap<String, [u8; 32]>,
}

impl Lists {
    pub(super) fn all(&self) -> &BTreeMap<String, Arc<AddressList>> {
        &self.lists
    }

    /// It has been read from this very text.
    pub(super) fn has_read(&self, name: &str, list: &ListFile) -> bool {
        self.sources.get(name) == Some(&pieces::source(list))
    }

    pub(super) fn read(table: &Table<'_>, gathered: &Gathered, previous: &Lists, faults: &Faults) -> Lists {
        let mut lists = Lists::default();
        let Some(tables) = table.table("lists") else { return lists };
        for name in tables.names() {
            let Some(table) = tables.table(&name) else { continue };
            if let Err(why) = list_name(&name) {
                faults.note_at(&table.here(), why);
                continue;
            }
            let (entries, file) = (table.list("entries", |text| Ok(text.to_owned())), table.text("file"));
            let unread = match (entries, file) {
                (Some(entries), None) => {
                    // What follows a line's comment would be taken for part of it, and list nobody.
                    let of_lines = entries.iter().filter(|at| at.value.contains(['\n', '\r']));
                    of_lines.for_each(|at| {
                        faults.note_at(at, "an entry is one line; write every one in quotes of its own")
                    });
                    Unread::Inline(entries)
                }
                (None, Some(at)) => match gathered.lists.get(&name) {
                    Some(file) => Unread::File(file),
                    None => {
                        faults.note_at(&at, "names a file that did not come along; use `sealwire settings apply FILE`");
                        continue;
                    }
                },
                (Some(_), Some(at)) => {
                    faults.note_at(&at, "a list has entries or a file, not both; keep one, or make two lists");
                    continue;
                }
                (None, None) => {
                    let empty = "needs entries = [\"example.com\"], or file = \"PATH\"; an empty list is entries = []";
                    faults.note_at(&table.here(), empty);
                    continue;
                }
            };
            lists.add(name, &unread, previous, faults);
        }
        lists
    }

    fn add(&mut self, name: String, unread: &Unread<'_>, previous: &Lists, faults: &Faults) {
        let source = unread.digest();
        let same = previous.sources.get(&name) == Some(&source);
        let kept = previous.lists.get(&name).filter(|_| same).cloned();
        match kept.map_or_else(|| unread.parse().map(Arc::new), Ok) {
            Ok(list) => {
                self.lists.insert(name.clone(), list);
                self.sources.insert(name, source);
            }
            Err(problems) => {
                unread.tell(&name, problems, faults);
                // The document will not do; that a setting names this list is no fault besides.
                self.lists.extend(AddressList::parse("").ok().map(|empty| (name, Arc::new(empty))));
            }
        }
    }
}

enum Unread<'a> {
    Inline(Vec<At<String>>),
    File(&'a ListFile),
}

impl Unread<'_> {
    fn digest(&self) -> [u8; 32] {
        match self {
            Unread::File(file) => pieces::source(file),
            Unread::Inline(entries) => pieces::source_of("entries", entries.iter().map(|at| at.value.as_str())),
        }
    }

    fn parse(&self) -> Result<AddressList, Vec<EntryProblem>> {
        match self {
            Unread::File(file) => AddressList::parse(&file.text),
            Unread::Inline(entries) => AddressList::from_lines(entries.iter().map(|at| at.value.as_str())),
        }
    }

    /// Each problem where its entry was written: in the list's file, or in the settings file.
    fn tell(&self, name: &str, problems: Vec<EntryProblem>, faults: &Faults) {
        for EntryProblem { line, text, why } in problems {
            let text = format!("{text:?}: {why}");
            match self {
                Unread::File(file) => {
                    faults.extend([Problem { file: file.file.clone(), line, key: format!("lists.{name}"), text }]);
                }
                Unread::Inline(entries) => match entries.get(line - 1) {
                    Some(at) => faults.note_at(at, text),
                    None => faults.note(0, &format!("lists.{name}"), text),
                },
            }
        }
    }
}
