//! The settings document: address lists, and one free-form table for each policy. `docs/settings.md` describes it.
//!
//! 1. [`gather`] reads the operator's TOML file and the list files it names into one text. That text is what travels to
//!    the relay and what the store keeps as a revision; nothing outside it is ever read again.
//! 2. [`SettingsDocument::parse`] reads that text: every fault with file, line and key, all of them at once.
//! 3. A policy judges its own table; what it finds comes back by [`SettingsDocument::locate`] to file, line and key.
//!
//! What a policy's table means is that policy's business alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwire_core::list::AddressList;

use crate::config::Problem;
use crate::config::reader::{Faults, read};

mod gather;
mod json;
mod lists;
mod places;

pub use gather::{Gathered, ListFile, gather};

use lists::Lists;
use places::Places;

/// Lists and policies' settings of one revision.
#[derive(Clone, Default)]
pub struct SettingsDocument {
    lists: Lists,
    policies: BTreeMap<String, serde_json::Value>,
    places: Places,
}

impl SettingsDocument {
    /// Before the first revision: no lists, and policies left to their defaults.
    pub fn empty() -> SettingsDocument {
        SettingsDocument::default()
    }

    /// Reads a gathered document, or bare TOML that names no list files.
    pub fn parse(document: &str) -> Result<SettingsDocument, Vec<Problem>> {
        SettingsDocument::parse_after(&SettingsDocument::default(), document)
    }

    /// The same, taking unchanged lists over from the revision before: the edit of one setting beside a million entries
    /// reads none of them again.
    pub fn parse_after(previous: &SettingsDocument, document: &str) -> Result<SettingsDocument, Vec<Problem>> {
        let (settings, problems) = SettingsDocument::read_after(previous, document);
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// What could be read, and everything wrong with it. With a problem the document is good for finding further ones,
    /// and for nothing else.
    pub fn examine(document: &str) -> (SettingsDocument, Vec<Problem>) {
        SettingsDocument::read_after(&SettingsDocument::default(), document)
    }

    fn read_after(previous: &SettingsDocument, document: &str) -> (SettingsDocument, Vec<Problem>) {
        let gathered = match Gathered::read(document) {
            Ok(gathered) => gathered,
            Err(problems) => return (SettingsDocument::default(), problems),
        };
        let faults = Faults::of(&gathered.file, &gathered.text);
        let settings = read(&gathered.text, &faults, |table| {
            let lists = Lists::read(table, &gathered, &previous.lists, &faults);
            let mut places = Places::of_file(&gathered.file);
            let policies = json::policies(table, &mut places, &faults);
            SettingsDocument { lists, policies, places }
        });
        (settings, faults.into_problems())
    }

    /// Without the tables of all other policies.
    #[must_use]
    pub fn of_these_policies(mut self, chain: &[&str]) -> SettingsDocument {
        self.policies.retain(|name, _| chain.contains(&name.as_str()));
        self
    }

    /// Settings for policies that are not in the chain: they would protect nobody.
    pub fn without_policy(&self, chain: &[&str]) -> Vec<Problem> {
        let strangers = self.policies.keys().filter(|name| !chain.contains(&name.as_str()));
        let known = chain.join(", ");
        let text = format!("no policy of the configuration has this name; there are: {known}");
        strangers.map(|name| self.places.locate(name, Some(""), text.clone())).collect()
    }

    /// The lists by name.
    pub fn lists(&self) -> &BTreeMap<String, Arc<AddressList>> {
        self.lists.all()
    }

    /// A policy's settings as its `configure` is given them: a JSON document; `{}` where it has none.
    pub fn of_policy(&self, name: &str) -> String {
        self.policies.get(name).map_or_else(|| "{}".to_owned(), ToString::to_string)
    }

    /// Where in the file a problem stands that a policy found at a JSON Pointer (RFC 6901) of its settings.
    pub fn locate(&self, policy: &str, pointer: Option<&str>, text: impl Into<String>) -> Problem {
        self.places.locate(policy, pointer, text.into())
    }
}

#[cfg(test)]
mod tests;
