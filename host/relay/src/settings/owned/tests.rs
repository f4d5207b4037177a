//! Edits by whoever has a role in `sales`, and which object of others each of them touches.

use std::path::Path;

use serde_json::json;

use super::super::edit::edit;
use super::*;
use crate::config::{Surroundings, parse};

const DOCUMENT: &str = r#"
[units.sales]
domains = ["sales.test"]
trusted-networks = ["192.0.2.0/25"]
[units."sales/emea"]
[units.it]
domains = ["it.test"]

[lists.ours]
entries = ["a.test"]
[lists.shared]
entries = ["b.test"]
[lists.unused]
entries = []
[lists.probed]
entries = []
[lists.of-policy]
entries = []

[policy.secure-transport]
tls-report-mailbox = "of-policy"
[[policy.secure-transport.settings]]
id = "all"
description = "ours"
scopes = ["inbound"]
lists = ["shared"]
may-be-disabled = true
[[policy.secure-transport.settings]]
id = "sales"
unit = "sales"
description = "shared by nobody"
scopes = ["inbound"]
lists = ["ours"]
exceptions = [{ lists = ["shared"], until = "2099-12-31", reason = "r" }]
[[policy.secure-transport.settings]]
id = "it"
unit = "it"
description = "it"
scopes = ["inbound"]
lists = ["shared"]

[[route]]
name = "out"
match = ["out.test"]
hosts = [{ host = "out.example" }]
"#;

fn config() -> Config {
    let text = "data-directory = \"d\"\n[[listener]]\nname = \"main\"\naddress = \"127.0.0.1:0\"\n\
                [probes]\nlists = [\"probed\"]\n[tls]\nroots = \"r.pem\"\n\
                [[policy]]\nname = \"secure-transport\"\ncomponent = \"builtin:secure-transport\"\n";
    parse(text, "test", Path::new(""), &Surroundings::of_this_process()).expect("well written")
}

fn within(units: &[&str]) -> Within {
    Within::new(units.iter().map(|unit| unit.parse::<UnitPath>().expect("a path").names().to_vec()).collect())
}

fn gathered(text: &str) -> Gathered {
    Gathered { text: text.to_owned(), ..Gathered::default() }
}

/// What an edit of the document touches outside `sales`, by its names and by what it does; both must say the same or more.
fn check(edits: Value) -> (Option<String>, Option<String>) {
    let edits: Vec<Edit> = serde_json::from_value(edits).expect("edits");
    let was = gathered(DOCUMENT);
    let is = edit(was.clone(), &edits).expect("it can be made");
    let read = |gathered: &Gathered| {
        SettingsDocument::of_gathered(&SettingsDocument::default(), gathered)
            .unwrap_or_else(|problems| panic!("{edits:?}: {problems:?}"))
    };
    let (before, after, config) = (read(&was), read(&is), config());
    let owned = |settings| Owned::of(settings, &config).unwrap_or_else(|problems| panic!("{edits:?}: {problems:?}"));
    let (before, after) = (owned(&before), owned(&after));
    let sales = within(&["sales"]);
    (named_outside(&sales, &edits, &before), outside(&sales, (&before, &was), (&after, &is)))
}

#[test]
fn whoever_has_a_unit_edits_what_is_of_it_and_nothing_else() {
    let entry = json!([{ "text": "new.test" }]);
    let setting =
        |unit: &str, lists: Value| json!({ "unit": unit, "description": "new", "scopes": ["inbound"], "lists": lists });
    let put = |id: &str, unit: &str, lists: Value| json!({ "edit": "put-setting", "policy": "secure-transport", "id": id, "value": setting(unit, lists) });
    let may = [
        json!([{ "edit": "set-setting", "id": "sales", "value": { "enabled": false } }]),
        json!([{ "edit": "set-setting", "id": "sales", "value": { "unit": "sales/emea" } }]),
        json!([{ "edit": "set-setting", "id": "sales", "value": { "exceptions": null } }]),
        json!([{ "edit": "remove-setting", "id": "sales" }]),
        json!([{ "edit": "remove-setting", "id": "sales" }, { "edit": "remove-list", "list": "ours" }]),
        json!([put("new", "sales/emea", json!(["shared"]))]),
        json!([{ "edit": "put-list", "list": "new", "entries": entry }, put("new", "sales", json!(["new"]))]),
        json!([{ "edit": "add-entries", "list": "ours", "entries": entry }]),
        json!([{ "edit": "put-list-text", "list": "ours", "text": "c.test # noted" }]),
        json!([{ "edit": "set-unit", "unit": "sales", "value": { "description": "d", "disables": ["all"] } }]),
        json!([{ "edit": "put-unit", "unit": "sales/apac", "value": {} }]),
        json!([{ "edit": "remove-unit", "unit": "sales/emea" }]),
        json!([{ "edit": "set-unit", "unit": "sales", "value": { "domains": null } },
               { "edit": "set-unit", "unit": "sales/emea", "value": { "domains": ["sales.test"] } }]),
        json!([{ "edit": "set-unit", "unit": "sales/emea", "value": { "addresses": ["ann@sales.test"] } }]),
    ];
    for edits in may {
        assert_eq!(check(edits.clone()), (None, None), "{edits}");
    }
    // Edits, what they touch, whether that is told by what they name already.
    let may_not = [
        (json!([{ "edit": "set-setting", "id": "all", "value": { "enabled": false } }]), "setting all", true),
        (json!([{ "edit": "set-setting", "id": "it", "value": { "unit": "sales" } }]), "setting it", true),
        (json!([{ "edit": "remove-setting", "id": "it" }]), "setting it", true),
        (json!([{ "edit": "set-setting", "id": "sales", "value": { "unit": "root" } }]), "setting sales", false),
        (json!([{ "edit": "set-setting", "id": "sales", "value": { "unit": null } }]), "setting sales", false),
        (json!([put("new", "it", json!(["shared"]))]), "setting new", false),
        (json!([{ "edit": "add-entries", "list": "shared", "entries": entry }]), "list shared", true),
        (json!([{ "edit": "add-entries", "list": "unused", "entries": entry }]), "list unused", true),
        (json!([{ "edit": "remove-list", "list": "unused" }]), "list unused", true),
        (json!([{ "edit": "add-entries", "list": "probed", "entries": entry }]), "list probed", true),
        (json!([{ "edit": "add-entries", "list": "of-policy", "entries": entry }]), "list of-policy", true),
        (json!([{ "edit": "put-list", "list": "new", "entries": entry }]), "list new", false),
        (
            json!([{ "edit": "put-list", "list": "new", "entries": entry }, put("new", "it", json!(["new"]))]),
            "setting new",
            false,
        ),
        (
            json!([put("new", "sales", json!(["unused"])), { "edit": "add-entries", "list": "unused", "entries": entry }]),
            "list unused",
            true,
        ),
        (
            json!([{ "edit": "set-policy", "policy": "secure-transport", "value": { "tls-report-mailbox": null } }]),
            "policy secure-transport",
            true,
        ),
        (json!([{ "edit": "remove-route", "name": "out" }]), "route out", true),
        (
            json!([{ "edit": "put-route", "name": "new", "value": {
            "match": ["new.test"], "hosts": [{ "host": "new.example" }] } }]),
            "route new",
            true,
        ),
        (json!([{ "edit": "set-unit", "unit": "it", "value": { "description": "d" } }]), "unit root/it", true),
        (json!([{ "edit": "put-unit", "unit": "new", "value": {} }]), "unit root/new", true),
        (
            json!([{ "edit": "set-unit", "unit": "sales", "value": { "domains": ["sales.test", "new.test"] } }]),
            "domain new.test",
            false,
        ),
        (json!([{ "edit": "set-unit", "unit": "sales", "value": { "domains": null } }]), "domain sales.test", false),
        (
            json!([{ "edit": "set-unit", "unit": "sales", "value": { "addresses": ["eve@it.test"] } }]),
            "address eve@it.test",
            false,
        ),
        (
            json!([{ "edit": "set-unit", "unit": "sales/emea", "value": { "trusted-networks": ["198.51.100.0/24"] } }]),
            "trusted network 198.51.100.0/24",
            false,
        ),
    ];
    for (edits, object, is_named) in may_not {
        let (named, done) = check(edits.clone());
        assert_eq!(named.as_deref(), is_named.then_some(object), "{edits}");
        let done = done.unwrap_or_else(|| panic!("{edits}: nothing of others"));
        let routes = object.starts_with("route ") && done == "the routes";
        let by_use = object == "list unused" && named.is_some() && done.starts_with("list ");
        assert!(done == object || routes || by_use, "{edits}: {done}");
    }
}

/// The unit that somebody has goes by whoever has the one above.
#[test]
fn nobody_takes_away_the_unit_he_has() {
    let edits: Vec<Edit> =
        serde_json::from_value(json!([{ "edit": "remove-unit", "unit": "sales/emea" }])).expect("edits");
    let (was, config) = (gathered(DOCUMENT), config());
    let is = edit(was.clone(), &edits).expect("made");
    let read =
        |gathered: &Gathered| SettingsDocument::of_gathered(&SettingsDocument::default(), gathered).expect("read");
    let (before, after) = (read(&was), read(&is));
    let (before, after) = (Owned::of(&before, &config).expect("owned"), Owned::of(&after, &config).expect("owned"));
    let rows = [
        (vec!["sales/emea"], Some("unit root/sales/emea")),
        (vec!["sales"], None),
        (vec!["it"], Some("unit root/sales/emea")),
    ];
    for (units, expected) in rows {
        let found = outside(&within(&units), (&before, &was), (&after, &is));
        assert_eq!(found.as_deref(), expected, "{units:?}");
    }
    assert_eq!(outside(&within(&[]), (&before, &was), (&after, &is)).as_deref(), Some("unit root/sales/emea"));
}

#[test]
fn what_is_told_is_of_one_s_units_too() {
    let config = config();
    let settings = SettingsDocument::of_gathered(&SettingsDocument::default(), &gathered(DOCUMENT)).expect("read");
    let owned = Owned::of(&settings, &config).expect("owned");
    let model = Model::of(&settings, &config, 1).expect("a model").of_units(&within(&["sales"]), &owned);
    let ids: Vec<&str> = model.settings.iter().map(|setting| setting.id.as_str()).collect();
    let lists: Vec<&str> = model.lists.iter().map(|list| list.name.as_str()).collect();
    let units: Vec<String> = model.units.iter().map(|unit| unit.unit.to_string()).collect();
    assert_eq!((ids, lists), (vec!["sales"], vec!["ours"]));
    assert_eq!(units, ["root/sales", "root/sales/emea"]);
    assert!(model.routes.is_empty() && model.policies.is_empty());

    let change = |what: &str, affects: &[&str]| Difference {
        what: what.to_owned(),
        how: "changed".to_owned(),
        lines: Vec::new(),
        affects: affects.iter().map(|what| (*what).to_owned()).collect(),
    };
    let mut changes = vec![
        change("setting sales", &["unit root/sales", "unit root/it"]),
        change("setting it", &[]),
        change("list ours", &["setting sales"]),
        change("list shared", &["setting sales"]),
        change("unit root/it", &[]),
        change("policy secure-transport", &[]),
        change("route out", &[]),
        change("setting gone", &[]),
    ];
    only_within(&mut changes, &within(&["sales"]), &owned, &owned);
    assert_eq!(changes, [change("setting sales", &["unit root/sales"]), change("list ours", &["setting sales"])]);
}
