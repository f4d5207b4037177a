//! What the host reads of settings: which unit one stands in, and what units below may do with it.
//!
//! A policy's table may hold `settings`, an array of tables. In each of them the keys of [`HOST_KEYS`] are the host's; the
//! policy is given the others, of the settings that are in force in a unit. An array of anything else is the policy's alone.

use std::collections::{BTreeMap, BTreeSet};

use sealwire_core::units::{SettingScope, UnitPath};
use serde_json::{Map, Value};

use super::places::{Places, step};
use crate::config::Problem;

/// Keys that a policy is not given.
pub(super) const HOST_KEYS: [&str; 8] =
    ["id", "unit", "overrides", "may-be-disabled", "may-be-overridden", "exempt-internal-mail", "owner", "note"];
/// The array's key in a policy's table.
const SETTINGS: &str = "settings";
/// Keys by which a policy lets a setting count for a time only.
const DATES: [&str; 2] = ["valid-from", "valid-until"];
const OVERRIDE_WITH_DATES: &str = "a setting that stands in another's place cannot have dates: before and after them neither of \
                                   the two would be in force; take out `overrides`, and both are in force together, or the date";
/// Longest id: it stands in log lines and addresses of the API.
const ID_MAX: usize = 64;

/// One setting of the document.
#[derive(Clone, Debug)]
pub struct Scoped {
    /// Of which policy.
    pub policy: String,
    /// Its place among that policy's settings, from 0.
    pub index: usize,
    /// Where it is in force.
    pub scope: SettingScope,
}

/// The settings of a policy's table, where they are an array of tables.
pub(super) fn array(table: &Value) -> Option<&Vec<Value>> {
    let array = table.get(SETTINGS)?.as_array()?;
    array.iter().all(Value::is_object).then_some(array)
}

/// A policy's table with these of its settings, without what is the host's.
pub(super) fn table_with(table: &Value, indexes: &[usize]) -> Value {
    let (Some(all), Some(object)) = (array(table), table.as_object()) else { return table.clone() };
    let policys = |setting: &Value| {
        let keys = setting.as_object().into_iter().flatten().filter(|(key, _)| !HOST_KEYS.contains(&key.as_str()));
        Value::Object(keys.map(|(key, value)| (key.clone(), value.clone())).collect())
    };
    let chosen = || Value::Array(indexes.iter().filter_map(|index| all.get(*index)).map(policys).collect());
    // The other settings are left where they are: a thousand units would copy a thousand settings each.
    let kept = object.iter().map(|(key, value)| (key.clone(), if key == SETTINGS { chosen() } else { value.clone() }));
    Value::Object(kept.collect())
}

/// The pointer of a setting in the whole table, of one in a table of these.
pub(super) fn whole_pointer(pointer: &str, indexes: &[usize]) -> String {
    let whole = || {
        let (index, rest) = match pointer.strip_prefix("/settings/")?.split_once('/') {
            Some((index, rest)) => (index, format!("/{rest}")),
            None => (pointer.strip_prefix("/settings/")?, String::new()),
        };
        let index = indexes.get(index.parse::<usize>().ok()?)?;
        Some(format!("/settings/{index}{rest}"))
    };
    whole().unwrap_or_else(|| pointer.to_owned())
}

/// Reads all settings of all policies.
pub(super) fn read(policies: &BTreeMap<String, Value>, places: &Places) -> (Vec<Scoped>, Vec<Problem>) {
    let (mut scoped, mut problems) = (Vec::new(), Vec::new());
    let mut ids = BTreeSet::new();
    for (policy, table) in policies {
        for (index, setting) in array(table).into_iter().flatten().enumerate() {
            let Some(object) = setting.as_object() else { continue };
            let mut reading = Reading { object, pointer: format!("/{SETTINGS}/{index}"), found: Vec::new() };
            let scope = reading.scope(&mut ids);
            problems.extend(reading.found.into_iter().map(|(at, text)| places.locate(policy, Some(&at), text)));
            scoped.push(Scoped { policy: policy.clone(), index, scope });
        }
    }
    (scoped, problems)
}

struct Reading<'a> {
    object: &'a Map<String, Value>,
    pointer: String,
    found: Vec<(String, String)>,
}

impl Reading<'_> {
    fn scope(&mut self, ids: &mut BTreeSet<String>) -> SettingScope {
        let unit = self.text("unit").and_then(|unit| self.parsed("unit", unit.parse::<UnitPath>()));
        let id = match self.text("id") {
            Some(id) => self.parsed("id", named(&id)).unwrap_or_default(),
            None => free(self.object.get("description").and_then(Value::as_str).unwrap_or_default(), ids),
        };
        ids.insert(id.clone());
        if self.object.contains_key("overrides") {
            for key in DATES.into_iter().filter(|key| self.object.contains_key(*key)) {
                self.note(key, OVERRIDE_WITH_DATES.to_owned());
            }
        }
        // For people alone; they are read where settings are shown.
        let (_, _) = (self.text("owner"), self.text("note"));
        SettingScope {
            id,
            id_is_written: self.object.contains_key("id"),
            unit: unit.unwrap_or_else(UnitPath::root),
            // What else it may be is the policy's to say.
            enabled: self.object.get("enabled").and_then(Value::as_bool).unwrap_or(true),
            overrides: self.text("overrides"),
            may_be_disabled: self.flag("may-be-disabled"),
            may_be_overridden: self.flag("may-be-overridden"),
            exempt_internal_mail: self.flag("exempt-internal-mail"),
        }
    }

    fn note(&mut self, key: &str, text: String) {
        self.found.push((step(&self.pointer, key), text));
    }

    fn parsed<T>(&mut self, key: &str, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|why| self.note(key, why)).ok()
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let value = self.object.get(key)?;
        let text = value.as_str().map(str::to_owned);
        self.parsed(key, text.ok_or_else(|| format!("`{key}` must be a text")))
    }

    fn flag(&mut self, key: &str) -> bool {
        let Some(value) = self.object.get(key) else { return false };
        self.parsed(key, value.as_bool().ok_or_else(|| format!("`{key}` must be true or false"))).unwrap_or_default()
    }
}

fn named(id: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !id.is_empty() && id.len() <= ID_MAX && id.bytes().all(plain) {
        return Ok(id.to_owned());
    }
    Err(format!("{id:?} is no id; use 1 to {ID_MAX} of a-z, 0-9 and -"))
}

/// An id that nobody has, of a description's words.
fn free(description: &str, taken: &BTreeSet<String>) -> String {
    let mut id = String::new();
    for c in description.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => id.push(c),
            _ if !id.is_empty() && !id.ends_with('-') => id.push('-'),
            _ => {}
        }
    }
    id.truncate(ID_MAX - 8);
    let base = Some(id.trim_end_matches('-')).filter(|id| !id.is_empty()).unwrap_or("setting");
    let mut numbered = (2..).map(|number| format!("{base}-{number}"));
    if !taken.contains(base) { base.to_owned() } else { numbered.find(|id| !taken.contains(id)).unwrap_or_default() }
}
