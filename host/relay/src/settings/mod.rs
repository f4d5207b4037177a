//! The settings document: organizational units, address lists, routes, and one free-form table for each policy.
//! `docs/settings.md` describes it.
//!
//! 1. [`gather`] reads the operator's TOML file and the list files it names into one text. That text is what travels to
//!    the relay and what the store keeps as a revision; nothing outside it is ever read again.
//! 2. [`SettingsDocument::parse`] reads that text: every fault with file, line and key, all of them at once.
//! 3. A policy judges its own table; what it finds comes back by [`SettingsDocument::locate`] to file, line and key.
//!
//! What a policy's table means is that policy's business, but for where its settings are in force (`scopes`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sealwire_core::list::AddressList;
use sealwire_core::plan::RouteProblem;
use sealwire_core::units::{Place, UnitPath, UnitProblem, Units};

use crate::config::reader::{At, Faults, read};
use crate::config::routes::{self, Routes};
use crate::config::written::{WrittenRoute, route};
use crate::config::{Config, Problem};

pub(crate) mod diff;
pub(crate) mod edit;
mod gather;
mod json;
mod lists;
pub(crate) mod owned;
pub(crate) mod pieces;
mod places;
mod scopes;
mod units;
mod values;
mod view;

pub use diff::Difference;
pub use edit::{Edit, EditError};
pub use gather::{Gathered, ListFile, gather};
pub use scopes::Scoped;
pub use view::{Configured, ListView, Model, RouteView, SettingView, UnitView};

pub use crate::entries::{Entries, EntriesWanted, EntryView, Position};

use lists::Lists;
use places::Places;
use units::WrittenUnits;

/// Units, lists, routes and policies' settings of one revision.
#[derive(Clone, Default)]
pub struct SettingsDocument {
    lists: Lists,
    policies: BTreeMap<String, serde_json::Value>,
    scoped: Vec<Scoped>,
    units: WrittenUnits,
    routes: Routes,
    route_places: BTreeMap<String, Problem>,
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

    /// The same of a document that is gathered already.
    pub(crate) fn of_gathered(
        previous: &SettingsDocument,
        gathered: &Gathered,
    ) -> Result<SettingsDocument, Vec<Problem>> {
        let (settings, problems) = SettingsDocument::read_gathered(previous, gathered);
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    fn read_after(previous: &SettingsDocument, document: &str) -> (SettingsDocument, Vec<Problem>) {
        match Gathered::read(document) {
            Ok(gathered) => SettingsDocument::read_gathered(previous, &gathered),
            Err(problems) => (SettingsDocument::default(), problems),
        }
    }

    fn read_gathered(previous: &SettingsDocument, gathered: &Gathered) -> (SettingsDocument, Vec<Problem>) {
        let faults = Faults::of(&gathered.file, &gathered.text);
        let settings = read(&gathered.text, &faults, |table| {
            let lists = Lists::read(table, gathered, &previous.lists, &faults);
            let mut places = Places::of_file(&gathered.file);
            let policies = json::policies(table, &mut places, &faults);
            let (scoped, found) = scopes::read(&policies, &places);
            faults.extend(found);
            let units = WrittenUnits::read(table, &gathered.file, &faults);
            let written: Vec<WrittenRoute> = table.tables("route").iter().map(|r| route(r, Path::new(""))).collect();
            let place = |at: &At<String>| (at.value.clone(), faults.problem(at.line, &at.key, ""));
            let route_places = written.iter().filter_map(|route| route.name.as_ref()).map(place).collect();
            let routes = routes::without_files(written, &faults);
            SettingsDocument { lists, policies, scoped, units, routes, route_places, places }
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

    /// This list was read from this very text.
    pub(crate) fn has_read(&self, name: &str, list: &ListFile) -> bool {
        self.lists.has_read(name, list)
    }

    /// The lists by name.
    pub fn lists(&self) -> &BTreeMap<String, Arc<AddressList>> {
        self.lists.all()
    }

    /// A policy's settings as its `configure` is given them: a JSON document, `{}` where it has none, with these of its
    /// `settings` and without what is the host's in them.
    pub fn of_policy(&self, name: &str, settings: &[usize]) -> String {
        let table = self.policies.get(name).map(|table| scopes::table_with(table, settings));
        table.map_or_else(|| "{}".to_owned(), |table| table.to_string())
    }

    /// Every setting of every policy, and where it is in force.
    pub fn scoped(&self) -> &[Scoped] {
        &self.scoped
    }

    /// The configuration with what these settings add, and the tree of units.
    pub fn meant(&self, config: &Config) -> Result<(Config, Units), Vec<Problem>> {
        let units = self.units(config)?;
        Ok((self.over(config, &units)?, units))
    }

    /// The tree of units, the configuration's networks and domains at its root.
    fn units(&self, config: &Config) -> Result<Units, Vec<Problem>> {
        let mut units = self.units.units.clone();
        let mut problems = Vec::new();
        let root = units.entry(UnitPath::root()).or_default();
        for network in &config.trusted_networks {
            root.networks.insert(*network);
        }
        root.domains.extend(config.hosted_domains.iter().cloned());
        let units = Units::new(units)
            .map_err(|found| found.into_iter().map(|problem| self.units.locate(problem)).collect::<Vec<Problem>>())?;
        let scopes: Vec<_> = self.scoped.iter().map(|scoped| scoped.scope.clone()).collect();
        for problem in sealwire_core::units::problems(&scopes, &units) {
            problems.push(match problem.place {
                Place::Setting(index, key) => {
                    let Scoped { policy, index, .. } = &self.scoped[index];
                    self.locate(policy, Some(&format!("/settings/{index}/{key}")), problem.text)
                }
                Place::Disables(unit, id) => self.units.locate(UnitProblem {
                    unit: unit.clone(),
                    key: "disables",
                    value: id.to_owned(),
                    text: problem.text,
                }),
            });
        }
        if problems.is_empty() { Ok(units) } else { Err(problems) }
    }

    fn over(&self, config: &Config, units: &Units) -> Result<Config, Vec<Problem>> {
        let place = |problem: RouteProblem| {
            let named = |name: &str| self.route_places.get(name).cloned();
            let at = match &problem {
                RouteProblem::DefinedTwice(name) | RouteProblem::SecondDefault(name) => named(name),
                _ => None,
            };
            Problem { text: problem.to_string(), ..at.unwrap_or_else(|| Problem::new("route", "")) }
        };
        config.with(units, &self.routes).map_err(|found| found.into_iter().map(place).collect())
    }

    /// Where in the file a problem stands that a policy found at a JSON Pointer of a document of [`Self::of_policy`].
    pub fn locate_in(&self, policy: &str, settings: &[usize], pointer: &str, text: impl Into<String>) -> Problem {
        self.locate(policy, Some(&scopes::whole_pointer(pointer, settings)), text)
    }

    /// Where in the file a JSON Pointer (RFC 6901) of a policy's whole table stands.
    pub fn locate(&self, policy: &str, pointer: Option<&str>, text: impl Into<String>) -> Problem {
        self.places.locate(policy, pointer, text.into())
    }
}

#[cfg(test)]
mod tests;
