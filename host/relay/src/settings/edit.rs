//! Edits of the settings document: what nobody asked to change stays as its operator wrote it, comments and all.
//!
//! An edit changes the text; whether the result makes sense is judged as it is of any document.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sealwire_core::list::{self, NewEntry};
use sealwire_core::units::UnitPath;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::SettingsDocument;
use super::gather::{Gathered, ListFile};
use super::values::{item_of, merge, table_of};

/// Entries of a list that stand in the settings file itself; a longer one gets a file of its own.
const INLINE_MAX: usize = 200;

#[allow(missing_docs, reason = "each variant's sentence names its fields")]
/// One change. A `value` holds the keys of `docs/settings.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "edit", deny_unknown_fields)]
pub enum Edit {
    /// A unit with these keys, in the place of what it had.
    PutUnit { unit: UnitPath, value: Map<String, Value> },
    /// These keys of a unit; null takes one out.
    SetUnit { unit: UnitPath, value: Map<String, Value> },
    /// No unit of this path any more.
    RemoveUnit { unit: UnitPath },
    /// A setting of this id with these keys, in the place of what it had, or behind the others of the policy.
    PutSetting { policy: String, id: String, value: Map<String, Value> },
    /// These keys of a setting; null takes one out.
    SetSetting { id: String, value: Map<String, Value> },
    /// No setting of this id any more.
    RemoveSetting { id: String },
    /// These keys of a policy's table, `settings` not among them; null takes one out.
    SetPolicy { policy: String, value: Map<String, Value> },
    /// A route with these keys, in the place of what it had.
    PutRoute { name: String, value: Map<String, Value> },
    /// No route of this name any more.
    RemoveRoute { name: String },
    /// A list of these entries and no others.
    PutList { list: String, entries: Vec<NewEntry> },
    /// A list of this text, as a list file is written.
    PutListText { list: String, text: String },
    /// No list of this name any more.
    RemoveList { list: String },
    /// These entries in a list besides.
    AddEntries { list: String, entries: Vec<NewEntry> },
    /// These entries out of a list, each as it is written or in any other form of the same.
    RemoveEntries { list: String, entries: Vec<String> },
}

impl Edit {
    /// The list whose text it needs.
    pub(crate) fn list(&self) -> Option<&str> {
        match self {
            Edit::AddEntries { list, .. } | Edit::RemoveEntries { list, .. } => Some(list),
            _ => None,
        }
    }

    /// In a few words, for the audit log.
    pub fn object(&self) -> String {
        match self {
            Edit::PutUnit { unit, .. } | Edit::SetUnit { unit, .. } | Edit::RemoveUnit { unit } => {
                format!("unit {unit}")
            }
            Edit::PutSetting { id, .. } | Edit::SetSetting { id, .. } | Edit::RemoveSetting { id } => {
                format!("setting {id}")
            }
            Edit::SetPolicy { policy, .. } => format!("policy {policy}"),
            Edit::PutRoute { name, .. } | Edit::RemoveRoute { name } => format!("route {name}"),
            Edit::PutList { list, .. }
            | Edit::PutListText { list, .. }
            | Edit::RemoveList { list }
            | Edit::AddEntries { list, .. }
            | Edit::RemoveEntries { list, .. } => format!("list {list}"),
        }
    }
}

/// Why an edit cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// There is no such unit, setting, route or list.
    NotFound(String),
    /// It says what cannot be done, and what would be right.
    Wrong(String),
}

/// Makes the edits, one after the other; all or none.
pub(crate) fn edit(mut gathered: Gathered, edits: &[Edit]) -> Result<Gathered, EditError> {
    for edit in edits {
        one(&mut gathered, edit)?;
    }
    Ok(gathered)
}

fn one(gathered: &mut Gathered, edit: &Edit) -> Result<(), EditError> {
    let mut document: DocumentMut =
        gathered.text.parse().map_err(|error| wrong(format!("the settings in force are not TOML: {error}")))?;
    match edit {
        Edit::PutUnit { unit, value } => {
            let units = table_at(&mut document, "units")?;
            units.insert(&unit_key(units, unit).unwrap_or_else(|| below_root(unit)), Item::Table(table_of(value)?));
        }
        Edit::SetUnit { unit, value } => {
            let units = table_at(&mut document, "units")?;
            let key = unit_key(units, unit).ok_or_else(|| no("unit", unit))?;
            merge(units.get_mut(&key).and_then(Item::as_table_like_mut), value)?;
        }
        Edit::RemoveUnit { unit } => {
            let units = table_at(&mut document, "units")?;
            let key = unit_key(units, unit).ok_or_else(|| no("unit", unit))?;
            units.remove(&key);
        }
        Edit::PutSetting { policy, id, value } => {
            let mut table = table_of(value)?;
            table.insert("id", value_of(id));
            match find(gathered, id) {
                Some((of, at)) if of == *policy => {
                    *settings(&mut document, &of)?.get_mut(at).ok_or_else(|| no("setting", id))? = table;
                }
                Some((of, _)) => return Err(wrong(format!("{id:?} is a setting of policy {of}; choose another id"))),
                None => settings(&mut document, policy)?.push(table),
            }
        }
        Edit::SetSetting { id, value } => {
            let (policy, at) = find(gathered, id).ok_or_else(|| no("setting", id))?;
            let table = settings(&mut document, &policy)?.get_mut(at).ok_or_else(|| no("setting", id))?;
            merge(Some(table), value)?;
            // An id that was made of a description must not change with it.
            if table.get("id").is_none() {
                table.insert("id", value_of(id));
            }
        }
        Edit::RemoveSetting { id } => {
            let (policy, at) = find(gathered, id).ok_or_else(|| no("setting", id))?;
            settings(&mut document, &policy)?.remove(at);
        }
        Edit::SetPolicy { policy, value } => {
            if value.contains_key("settings") {
                return Err(wrong("settings are edited one by one".to_owned()));
            }
            let policies = table_at(&mut document, "policy")?;
            let table = policies.entry(policy).or_insert_with(|| Item::Table(Table::new()));
            merge(table.as_table_like_mut(), value)?;
        }
        Edit::PutRoute { name, value } => {
            let mut table = table_of(value)?;
            table.insert("name", value_of(name));
            let routes = tables_at(document.as_table_mut(), "route")?;
            match named(routes, name) {
                Some(at) => *routes.get_mut(at).ok_or_else(|| no("route", name))? = table,
                None => routes.push(table),
            }
        }
        Edit::RemoveRoute { name } => {
            let routes = tables_at(document.as_table_mut(), "route")?;
            let at = named(routes, name).ok_or_else(|| no("route", name))?;
            routes.remove(at);
        }
        Edit::PutList { list, entries } => {
            let text = list::add("", entries).map_err(wrong)?;
            put_list(&mut document, &mut gathered.lists, list, text)?;
        }
        Edit::PutListText { list, text } => put_list(&mut document, &mut gathered.lists, list, text.clone())?,
        Edit::RemoveList { list } => {
            let (settings, _) = SettingsDocument::read_gathered(&SettingsDocument::default(), gathered);
            let users = settings.users_of(list);
            if !users.is_empty() {
                let users = users.join(", ");
                return Err(wrong(format!("list {list:?} is used by the settings {users}; take it out of them first")));
            }
            table_at(&mut document, "lists")?.remove(list).ok_or_else(|| no("list", list))?;
            gathered.lists.remove(list);
        }
        Edit::AddEntries { list, entries } => {
            let text = text_of(&mut document, &gathered.lists, list)?;
            let text = list::add(&text, entries).map_err(wrong)?;
            put_list(&mut document, &mut gathered.lists, list, text)?;
        }
        Edit::RemoveEntries { list, entries } => {
            let text = text_of(&mut document, &gathered.lists, list)?;
            let (text, count) = list::remove(&text, entries).map_err(wrong)?;
            if count == 0 {
                return Err(EditError::NotFound(format!("none of these entries is on the list {list:?}")));
            }
            put_list(&mut document, &mut gathered.lists, list, text)?;
        }
    }
    gathered.text = document.to_string();
    Ok(())
}

/// The text of a list, wherever it stands.
fn text_of(document: &mut DocumentMut, files: &BTreeMap<String, ListFile>, list: &str) -> Result<String, EditError> {
    let lists = table_at(document, "lists")?;
    let table = lists.get(list).and_then(Item::as_table_like).ok_or_else(|| no("list", list))?;
    match (files.get(list), table.get("entries").and_then(Item::as_array)) {
        (Some(file), _) => Ok(file.text.clone()),
        (None, Some(entries)) => {
            let lines = entries.iter().filter_map(|entry| entry.as_str()).map(|entry| format!("{entry}\n"));
            Ok(lines.collect())
        }
        (None, None) => Err(no("list", list)),
    }
}

/// Puts a list's text where lists of its length stand; one that has a file keeps it.
fn put_list(
    document: &mut DocumentMut,
    files: &mut BTreeMap<String, ListFile>,
    list: &str,
    text: String,
) -> Result<(), EditError> {
    let lists = table_at(document, "lists")?;
    let table = lists.entry(list).or_insert_with(|| Item::Table(Table::new()));
    let table = table.as_table_like_mut().ok_or_else(|| wrong(format!("lists.{list} is no table")))?;
    // Whether there are more is enough to know of a million.
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.take(INLINE_MAX + 1).collect();
    if !files.contains_key(list) && lines.len() <= INLINE_MAX {
        let mut entries: toml_edit::Array = lines.into_iter().collect();
        entries.iter_mut().for_each(|entry| entry.decor_mut().set_prefix("\n  "));
        entries.set_trailing(if entries.is_empty() { "" } else { "\n" });
        entries.set_trailing_comma(!entries.is_empty());
        table.insert("entries", value(entries));
        return Ok(());
    }
    table.remove("entries");
    let name = files.get(list).map_or_else(|| format!("{list}.txt"), |file| file.file.clone());
    if table.get("file").is_none() {
        table.insert("file", value_of(&name));
    }
    files.insert(list.to_owned(), ListFile { file: name, text, ..ListFile::default() });
    Ok(())
}

/// Policy and place of a setting.
fn find(gathered: &Gathered, id: &str) -> Option<(String, usize)> {
    let (settings, _) = SettingsDocument::read_gathered(&SettingsDocument::default(), gathered);
    let found = settings.scoped().iter().find(|scoped| scoped.scope.id == id)?;
    Some((found.policy.clone(), found.index))
}

fn settings<'a>(document: &'a mut DocumentMut, policy: &str) -> Result<&'a mut ArrayOfTables, EditError> {
    let policies = table_at(document, "policy")?;
    let table = policies.entry(policy).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let table = table.as_table_mut().ok_or_else(|| wrong(format!("policy.{policy} is no table")))?;
    tables_at(table, "settings")
}

fn table_at<'a>(document: &'a mut DocumentMut, key: &str) -> Result<&'a mut Table, EditError> {
    let table = document.entry(key).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    table.as_table_mut().ok_or_else(|| wrong(format!("`{key}` is written on one line; write it as [{key}.NAME] first")))
}

/// An array of tables, an inline one made such.
fn tables_at<'a>(table: &'a mut Table, key: &str) -> Result<&'a mut ArrayOfTables, EditError> {
    let item = table.entry(key).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    if !item.is_array_of_tables() {
        let tables = std::mem::take(item).into_array_of_tables();
        *item = Item::ArrayOfTables(tables.map_err(|_| wrong(format!("`{key}` is no array of tables")))?);
    }
    item.as_array_of_tables_mut().ok_or_else(|| wrong(format!("`{key}` is no array of tables")))
}

fn named(routes: &ArrayOfTables, name: &str) -> Option<usize> {
    routes.iter().position(|route| route.get("name").and_then(Item::as_str) == Some(name))
}

/// As it is written: with the root before it, or without.
fn unit_key(units: &Table, unit: &UnitPath) -> Option<String> {
    let mut keys = units.iter().map(|(key, _)| key.to_owned());
    keys.find(|key| key.parse::<UnitPath>().is_ok_and(|path| path == *unit))
}

fn below_root(unit: &UnitPath) -> String {
    let names = unit.names();
    if names.len() > 1 { names[1..].join("/") } else { names.join("/") }
}

fn value_of(text: &str) -> Item {
    item_of(&Value::String(text.to_owned())).unwrap_or_default()
}

fn no(what: &str, name: impl std::fmt::Display) -> EditError {
    let command = if what == "list" { "address-list" } else { what };
    let name = name.to_string();
    EditError::NotFound(format!("the settings have no {what} {name:?}; `sealwire {command} list` has those there are"))
}

fn wrong(text: String) -> EditError {
    EditError::Wrong(text)
}

#[cfg(test)]
mod tests;
