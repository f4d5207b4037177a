//! Whose an object of the settings is: of which organizational units, and so who may change it.
//!
//! - A setting is of its unit.
//! - A list is of the units whose settings name it. One that no setting names, or that the configuration or the rest of a policy's
//!   table names, is the root's.
//! - A unit is of itself, in its description and what it switches off; it comes and goes with the unit above.
//! - Who belongs where (domains, addresses, trusted networks) may move between one's own units. What comes to the relay, or leaves
//!   it, is the root's: it says whose mail is taken.
//! - Everything else is the root's: routes, and what else policies' tables hold.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_core::units::{Unit, UnitPath, Units, Within};
use serde_json::Value;

use super::gather::Gathered;
use super::pieces;
use super::scopes::{HOST_KEYS, array};
use super::view::rest;
use super::{Difference, Edit, Model, SettingsDocument};
use crate::config::{Config, Problem};

/// Settings at one moment, and whose they are.
pub(crate) struct Owned<'a> {
    settings: &'a SettingsDocument,
    units: Units,
    /// Lists that the configuration names.
    probed: BTreeSet<String>,
}

impl<'a> Owned<'a> {
    /// Of a document over a configuration.
    pub(crate) fn of(settings: &'a SettingsDocument, config: &Config) -> Result<Owned<'a>, Vec<Problem>> {
        let (config, units) = settings.meant(config)?;
        Ok(Owned { settings, units, probed: config.probes.lists.iter().cloned().collect() })
    }

    /// Whether a setting is of these units; None: there is none of this id.
    pub(crate) fn setting(&self, id: &str, within: &Within) -> Option<bool> {
        let found = self.settings.scoped().iter().find(|scoped| scoped.scope.id == id)?;
        Some(within.holds(found.scope.unit.names()))
    }

    /// Whether a list is of these units alone; None: there is no such list.
    pub(crate) fn list(&self, name: &str, within: &Within) -> Option<bool> {
        self.settings.lists().get(name)?;
        let of_root = self.probed.contains(name)
            || self.settings.policies.values().any(|table| mentions(&without_settings(table), name));
        let mut users = self.settings.scoped().iter().filter(|scoped| {
            let table = self.settings.policies.get(&scoped.policy);
            let setting = table.and_then(|table| table["settings"].get(scoped.index)).and_then(Value::as_object);
            let told = |key: &str| !HOST_KEYS.contains(&key) && !["description", "scopes"].contains(&key);
            setting.is_some_and(|setting| setting.iter().any(|(key, value)| told(key) && mentions(value, name)))
        });
        let is_used = users.clone().next().is_some();
        Some(!of_root && is_used && users.all(|user| within.holds(user.scope.unit.names())))
    }

    /// Whether what a difference is about is of these units; None: it is not there.
    fn told(&self, what: &str, within: &Within) -> Option<bool> {
        match what.split_once(' ') {
            Some(("setting", id)) => self.setting(id, within),
            Some(("list", name)) => self.list(name, within),
            Some(("unit", path)) => {
                let path: UnitPath = path.parse().ok()?;
                self.units.get(&path).map(|_| within.holds(path.names()))
            }
            _ => Some(false),
        }
    }
}

impl Model {
    /// What is of these units.
    pub(crate) fn of_units(mut self, within: &Within, owned: &Owned<'_>) -> Model {
        self.units.retain(|unit| within.holds(unit.unit.names()));
        self.settings.retain(|setting| within.holds(setting.unit.names()));
        self.lists.retain(|list| owned.list(&list.name, within) == Some(true));
        Model { routes: Vec::new(), policies: BTreeMap::new(), ..self }
    }
}

/// The first object that an edit names and that is not of these units; what it does besides [`outside`] tells.
pub(crate) fn named_outside(within: &Within, edits: &[Edit], owned: &Owned<'_>) -> Option<String> {
    let is_others = |edit: &&Edit| match edit {
        Edit::PutUnit { unit, .. } | Edit::SetUnit { unit, .. } | Edit::RemoveUnit { unit } => {
            !within.holds(unit.names())
        }
        Edit::PutSetting { id, .. } | Edit::SetSetting { id, .. } | Edit::RemoveSetting { id } => {
            owned.setting(id, within) == Some(false)
        }
        Edit::SetPolicy { .. } | Edit::PutRoute { .. } | Edit::RemoveRoute { .. } => true,
        Edit::PutList { list, .. }
        | Edit::PutListText { list, .. }
        | Edit::RemoveList { list }
        | Edit::AddEntries { list, .. }
        | Edit::RemoveEntries { list, .. } => owned.list(list, within) == Some(false),
    };
    edits.iter().find(is_others).map(Edit::object)
}

/// Leaves what is of these units, before and after; what it concerns elsewhere is not told either.
pub(crate) fn only_within(changes: &mut Vec<Difference>, within: &Within, before: &Owned<'_>, after: &Owned<'_>) {
    changes.retain(|change| both(before.told(&change.what, within), after.told(&change.what, within)));
    for change in changes {
        change.affects.retain(|what| both(before.told(what, within), after.told(what, within)));
    }
}

/// It is there at one time at least, and of the units whenever it is there.
fn both(before: Option<bool>, after: Option<bool>) -> bool {
    (before.is_some() || after.is_some()) && before.unwrap_or(true) && after.unwrap_or(true)
}

/// The first object that a change touches and that is not of these units, in words; None: all that it touches is.
pub(crate) fn outside(
    within: &Within,
    (before, was): (&Owned<'_>, &Gathered),
    (after, is): (&Owned<'_>, &Gathered),
) -> Option<String> {
    units(within, before, after)
        .or_else(|| belonging(within, &before.units, &after.units))
        .or_else(|| policies(within, before, after))
        .or_else(|| others(within, (before, was), (after, is)))
}

fn units(within: &Within, before: &Owned<'_>, after: &Owned<'_>) -> Option<String> {
    let (old, new) = (&before.settings.units.units, &after.settings.units.units);
    let may = |path: &UnitPath, was: Option<&Unit>, is: Option<&Unit>| match (was, is) {
        (Some(_), Some(_)) => within.holds(path.names()),
        _ => path.parent().is_some_and(|above| within.holds(above.names())),
    };
    let paths: BTreeSet<&UnitPath> = old.keys().chain(new.keys()).collect();
    let differ = paths.into_iter().filter(|path| old.get(path) != new.get(path));
    let mut refused = differ.filter(|path| !may(path, old.get(path), new.get(path)));
    refused.next().map(|path| format!("unit {path}"))
}

/// Who belongs where.
fn belonging(within: &Within, before: &Units, after: &Units) -> Option<String> {
    let moves = |was: Option<&UnitPath>, is: Option<&UnitPath>| {
        let of = |unit: Option<&UnitPath>| unit.is_some_and(|unit| within.holds(unit.names()));
        was == is || (of(was) && of(is))
    };
    let domains: BTreeSet<_> = before.domains().keys().chain(after.domains().keys()).collect();
    for domain in domains {
        if !moves(before.domains().get(domain), after.domains().get(domain)) {
            return Some(format!("domain {domain}"));
        }
    }
    let addresses: BTreeSet<_> = before.addresses().keys().chain(after.addresses().keys()).collect();
    for address in addresses {
        if !moves(before.of_recipient(address), after.of_recipient(address)) {
            return Some(format!("address {address}"));
        }
    }
    let of = |units: &Units| -> BTreeMap<_, _> { units.networks().iter().cloned().collect() };
    let (old, new) = (of(before), of(after));
    let networks: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let mut refused = networks.into_iter().filter(|network| !moves(old.get(network), new.get(network)));
    refused.next().map(|network| format!("trusted network {network}"))
}

fn policies(within: &Within, before: &Owned<'_>, after: &Owned<'_>) -> Option<String> {
    let (old, new) = (&before.settings.policies, &after.settings.policies);
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let other = |of: &BTreeMap<String, Value>, name: &str| of.get(name).map(without_settings).filter(is_something);
    if let Some(policy) = names.into_iter().find(|name| other(old, name) != other(new, name)) {
        return Some(format!("policy {policy}"));
    }
    let (old, new) = (settings(before.settings), settings(after.settings));
    let ids: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differ = ids.into_iter().filter(|id| old.get(*id) != new.get(*id));
    let mut refused = differ.filter(|id| !both(before.setting(id, within), after.setting(id, within)));
    refused.next().map(|id| format!("setting {id}"))
}

/// Every setting by its id: its policy, and as written.
fn settings(document: &SettingsDocument) -> BTreeMap<String, (&String, &Value)> {
    let all = document.scoped().iter().filter_map(|scoped| {
        let value = document.policies.get(&scoped.policy)?["settings"].get(scoped.index)?;
        Some((scoped.scope.id.clone(), (&scoped.policy, value)))
    });
    all.collect()
}

/// Lists, and whatever else the document's text says.
fn others(
    within: &Within,
    (before, was): (&Owned<'_>, &Gathered),
    (after, is): (&Owned<'_>, &Gathered),
) -> Option<String> {
    // What cannot be read may say anything.
    let (Some(mut old), Some(mut new)) = (read(was), read(is)) else { return Some("the settings".to_owned()) };
    for told in ["units", "policy"] {
        old.remove(told);
        new.remove(told);
    }
    let lists = |table: &mut toml::Table| match table.remove("lists") {
        Some(toml::Value::Table(lists)) => lists,
        _ => toml::Table::new(),
    };
    let (old_lists, new_lists) = (lists(&mut old), lists(&mut new));
    if was.file != is.file {
        return Some("the settings file".to_owned());
    }
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    if let Some(key) = keys.into_iter().find(|key| old.get(*key) != new.get(*key)) {
        return Some(if key == "route" { "the routes".to_owned() } else { key.clone() });
    }
    let source =
        |of: &Gathered, name: &String| of.lists.get(name).map(|list| (list.file.clone(), pieces::source(list)));
    let names: BTreeSet<&String> = old_lists.keys().chain(new_lists.keys()).collect();
    let differs = |name: &String| old_lists.get(name) != new_lists.get(name) || source(was, name) != source(is, name);
    let differ = names.into_iter().filter(|name| differs(name));
    let mut refused = differ.filter(|name| !both(before.list(name, within), after.list(name, within)));
    refused.next().map(|name| format!("list {name}"))
}

fn read(gathered: &Gathered) -> Option<toml::Table> {
    gathered.text.parse().ok()
}

/// A policy's table but for its settings; those that are no settings of units are part of it.
fn without_settings(table: &Value) -> Value {
    if array(table).is_some() { rest(table) } else { table.clone() }
}

/// A table that holds nothing is as good as none.
fn is_something(table: &Value) -> bool {
    table.as_object().is_none_or(|object| !object.is_empty())
}

/// Whether a text stands anywhere in it, as a value or as a key.
fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::String(word) => word == text,
        Value::Array(items) => items.iter().any(|item| mentions(item, text)),
        Value::Object(object) => object.iter().any(|(key, value)| key == text || mentions(value, text)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
