//! What a document would change of what is in force, in words that need no document beside them.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use sealwire_core::list::AddressList;
use sealwire_core::visible::visible;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SettingsDocument;
use super::view::Model;

/// Entries told by name of each list.
const EXAMPLES: usize = 5;

/// One thing that would be otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// What: `setting partners`, `list banks`, `unit root/sales`.
    pub what: String,
    /// `added`, `removed` or `changed`.
    pub how: String,
    /// Key by key, as it is and as it would be; of a list, how many entries and which, for example.
    pub lines: Vec<String>,
    /// Settings and units that it concerns besides.
    pub affects: Vec<String>,
}

impl Difference {
    /// For people, line by line; further lines are indented.
    pub fn told(&self) -> Vec<String> {
        let first = format!("{}: {}", visible(&self.what), self.how);
        let lines = self.lines.iter().map(|line| format!("  {}", visible(line)));
        let concerned = (!self.affects.is_empty()).then(|| format!("  concerns {}", visible(&self.affects.join(", "))));
        std::iter::once(first).chain(lines).chain(concerned).collect()
    }
}

/// From what is in force to what would be.
pub(crate) fn differences(
    before: &Model,
    after: &Model,
    documents: (&SettingsDocument, &SettingsDocument),
) -> Vec<Difference> {
    let mut found = Vec::new();
    let units = |model: &Model| -> BTreeMap<String, Value> {
        let view = |unit: &super::view::UnitView| {
            let mut value = serde_json::to_value(unit).unwrap_or_default();
            for told_elsewhere in ["settings", "configured", "unit"] {
                value.as_object_mut().map(|unit| unit.remove(told_elsewhere));
            }
            (unit.unit.to_string(), value)
        };
        model.units.iter().map(view).collect()
    };
    compare("unit", &units(before), &units(after), &mut found);
    let settings = |model: &Model| -> BTreeMap<String, Value> {
        model.settings.iter().map(|setting| (setting.id.clone(), setting.value.clone())).collect()
    };
    compare("setting", &settings(before), &settings(after), &mut found);
    compare("policy", &before.policies, &after.policies, &mut found);
    let routes = |model: &Model| -> BTreeMap<String, Value> {
        model.routes.iter().map(|route| (route.name.clone(), route.whole.clone())).collect()
    };
    compare("route", &routes(before), &routes(after), &mut found);
    lists(documents.0, documents.1, after, &mut found);
    for difference in &mut found {
        if let Some(id) = difference.what.strip_prefix("setting ") {
            difference.affects = of_setting(before, after, id);
        }
    }
    found
}

/// Units in which it is in force, before or after.
fn of_setting(before: &Model, after: &Model, id: &str) -> Vec<String> {
    use sealwire_core::units::Standing::{Inherited, LocallyApplied};
    let in_force = |model: &Model| -> Vec<String> {
        let holds = |unit: &&super::view::UnitView| {
            unit.settings.iter().any(|(of, stands)| of == id && matches!(stands, Inherited | LocallyApplied))
        };
        model.units.iter().filter(holds).map(|unit| format!("unit {}", unit.unit)).collect()
    };
    let units: BTreeSet<String> = in_force(before).into_iter().chain(in_force(after)).collect();
    units.into_iter().collect()
}

fn compare(what: &str, before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>, found: &mut Vec<Difference>) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (how, lines) = match (before.get(name), after.get(name)) {
            (None, Some(new)) => ("added", keys(&Value::Null, new)),
            (Some(old), None) => ("removed", keys(old, &Value::Null)),
            (Some(old), Some(new)) if old != new => ("changed", keys(old, new)),
            _ => continue,
        };
        found.push(Difference { what: format!("{what} {name}"), how: how.to_owned(), lines, affects: Vec::new() });
    }
}

fn keys(before: &Value, after: &Value) -> Vec<String> {
    let of = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (before, after) = (of(before), of(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let line = |name: &String| match (before.get(name), after.get(name)) {
        (Some(old), Some(new)) if old != new => Some(format!("{name}: {old} -> {new}")),
        (Some(old), None) => Some(format!("{name}: {old} -> nothing")),
        (None, Some(new)) => Some(format!("{name}: {new}")),
        _ => None,
    };
    names.into_iter().filter_map(line).collect()
}

fn lists(before: &SettingsDocument, after: &SettingsDocument, model: &Model, found: &mut Vec<Difference>) {
    let names: BTreeSet<&String> = before.lists().keys().chain(after.lists().keys()).collect();
    for name in names {
        let (old, new) = (before.lists().get(name), after.lists().get(name));
        if old.map(|list| list.digest()) == new.map(|list| list.digest()) {
            continue;
        }
        let how = match (old, new) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        let (added, removed) = entries(old.map(|list| &**list), new.map(|list| &**list));
        let used_by = model.lists.iter().find(|list| list.name == *name).map(|list| list.used_by.clone());
        found.push(Difference {
            what: format!("list {name}"),
            how: how.to_owned(),
            lines: [told("entries added", &added), told("entries removed", &removed)].into_iter().flatten().collect(),
            affects: used_by.unwrap_or_default().into_iter().map(|id| format!("setting {id}")).collect(),
        });
    }
}

fn told(what: &str, entries: &[String]) -> Option<String> {
    if entries.is_empty() {
        return None;
    }
    let examples = entries[..entries.len().min(EXAMPLES)].join(", ");
    let more = if entries.len() > EXAMPLES { ", ..." } else { "" };
    Some(format!("{what}: {} ({examples}{more})", entries.len()))
}

/// Entries that one has and the other has not, both being in order.
fn entries(before: Option<&AddressList>, after: Option<&AddressList>) -> (Vec<String>, Vec<String>) {
    let all = |list: Option<&AddressList>| -> Vec<String> { list.into_iter().flat_map(AddressList::entries).collect() };
    let (before, after) = (all(before), all(after));
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    let (mut old, mut new) = (before.into_iter().peekable(), after.into_iter().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (None, None) => return (added, removed),
            (Some(_), None) => removed.extend(old.next()),
            (None, Some(_)) => added.extend(new.next()),
            (Some(a), Some(b)) if a == b => drop((old.next(), new.next())),
            (Some(a), Some(b)) if a < b => removed.extend(old.next()),
            (Some(_), Some(_)) => added.extend(new.next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Surroundings, parse};

    const ROUTE: &str = "[[route]]\nname = \"vault\"\nmatch = [\"a.test\"]\ntls = \"required\"\n\
                         hosts = [{ host = \"gw.test\", port = 465 }]\nimplicit-tls = true\n";

    /// Of a route all is told that is no secret.
    #[test]
    fn what_of_a_route_would_be_otherwise() {
        let base = "[[policy]]\nname = \"secure-transport\"\ncomponent = \"builtin:secure-transport\"\n";
        let config = parse(base, "test", std::path::Path::new(""), &Surroundings::of_this_process()).expect("a config");
        let told = |before: &str, after: &str| {
            let [before, after] = [before, after].map(|text| {
                let settings = SettingsDocument::parse(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
                (Model::of(&settings, &config, 1).unwrap_or_else(|problems| panic!("{text}: {problems:?}")), settings)
            });
            let found = differences(&before.0, &after.0, (&before.1, &after.1));
            found.iter().flat_map(Difference::told).collect::<Vec<_>>()
        };
        let changed = |from: &str, to: &str| told(ROUTE, &ROUTE.replace(from, to));
        let rows: [(&str, &str, &[&str]); 6] = [
            ("465", "587", &[r#"hosts: ["10 gw.test:465"] -> ["10 gw.test:587"]"#]),
            (
                "port = 465 }",
                "port = 465, weight = 3 }, { host = \"2001:db8::1\", port = 25, preference = 20 }",
                &[r#"hosts: ["10 gw.test:465"] -> ["10 gw.test:465 weight 3","20 [2001:db8::1]:25"]"#],
            ),
            ("\"a.test\"]", "\"a.test\", \"*.b.test\"]", &[r#"match: ["a.test"] -> ["a.test","*.b.test"]"#]),
            ("implicit-tls = true", "implicit-tls = false", &["implicit-tls: true -> nothing"]),
            ("implicit-tls = true", "implicit-tls = true\nvalidate-hostname = true", &["demands"]),
            ("match = [\"a.test\"]\n", "", &[r#"match: ["a.test"] -> nothing"#]),
        ];
        for (from, to, expected) in rows {
            let told = changed(from, to);
            assert_eq!(told.len(), 1 + expected.len(), "{to}: {told:#?}");
            assert_eq!(told[0], "route vault: changed");
            for (line, expected) in told[1..].iter().zip(expected) {
                assert!(line.trim_start().starts_with(expected), "{to}: {told:#?}");
            }
        }
        assert_eq!(told(ROUTE, ROUTE), Vec::<String>::new());
        assert!(told("", ROUTE).iter().any(|line| line == r#"  hosts: ["10 gw.test:465"]"#));
    }
}
