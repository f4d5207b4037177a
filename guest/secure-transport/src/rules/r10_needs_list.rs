//! R10: a setting without a list is refused.
//!
//! The mission: "You must create a domain or address list to enforce TLS compliance for any inbound or outbound messages."
//! A setting that lists nobody protects nobody while looking as if it did. The same goes for a list that does not exist.
//! An empty list is the operator's business: it may be filled while mail flows.

use sealwire_sdk::Host;
use sealwire_sdk::settings::{Object, Problems};

use super::Rule;

/// The rule as the public knows it.
pub const RULE: Rule = Rule { id: "R10", sentence: "A setting must name at least one list of addresses and domains." };

/// The lists of one setting, as places in `known`, which gains those that are new.
pub(crate) fn read(
    object: &mut Object<'_>,
    known: &mut Vec<String>,
    host: &impl Host,
    problems: &Problems,
) -> Vec<usize> {
    let names = object.texts("lists");
    if names.is_empty() {
        problems.add(object.path("lists"), RULE.sentence);
    }
    let mut lists = Vec::new();
    for (path, name) in names {
        if host.list(&name).is_none() {
            problems.add(path, format!("there is no list `{name}`; create it first: `sealwire address-list create {name}`, or [lists.{name}] in the document"));
        }
        let place = known.iter().position(|known| *known == name).unwrap_or_else(|| {
            known.push(name);
            known.len() - 1
        });
        lists.push(place);
    }
    lists
}

#[cfg(test)]
mod tests {
    use crate::testing::problems;

    #[test]
    fn r10_needs_list() {
        let setting =
            |lists: &str| format!(r#"{{"settings": [{{"description": "d", "scopes": ["inbound"]{lists}}}]}}"#);
        let none = "/settings/0/lists: A setting must name at least one list of addresses and domains.";
        let rows: &[(&str, &[&str])] = &[
            (r#", "lists": ["partners"]"#, &[]),
            (r#", "lists": ["partners", "banks"]"#, &[]),
            (r#", "lists": ["partners", "partners"]"#, &[]),
            ("", &[none]),
            (r#", "lists": []"#, &[none]),
            (r#", "lists": [], "enabled": false"#, &[none]),
            (
                r#", "lists": ["partners", "gone"]"#,
                &[
                    "/settings/0/lists/1: there is no list `gone`; create it first: `sealwire address-list create gone`, or [lists.gone] in the document",
                ],
            ),
        ];
        for (lists, expected) in rows {
            assert_eq!(problems(&setting(lists)), *expected, "{lists}");
        }
    }
}
