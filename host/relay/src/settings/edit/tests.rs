//! Documents, edits, and what is written afterwards.

use serde_json::json;

use super::*;

const DOCUMENT: &str = "\
# Ours.
[lists.partners]
entries = [
  \"bank.example\", # the bank
]

[policy.secure-transport]
tls-report-mailbox = \"tls@ours.example\"

# Both ways.
[[policy.secure-transport.settings]]
description = \"Partners\" # our partners
scopes = [\"inbound\"]
lists = [\"partners\"]
";

fn gathered(text: &str) -> Gathered {
    Gathered { file: "settings.toml".into(), text: text.into(), ..Gathered::default() }
}

fn edits(edits: serde_json::Value) -> Vec<Edit> {
    serde_json::from_value(edits).unwrap_or_else(|error| panic!("{error}"))
}

/// The text afterwards.
fn edited(text: &str, changes: serde_json::Value) -> Result<String, EditError> {
    edit(gathered(text), &edits(changes)).map(|gathered| gathered.text)
}

#[test]
fn what_nobody_asked_to_change_stays_as_it_was_written() {
    let rows = [
        (
            json!([{"edit": "set-setting", "id": "partners", "value": {"scopes": ["inbound", "outbound"], "lists": null}}]),
            DOCUMENT
                .replace("[\"inbound\"]", "[\"inbound\", \"outbound\"]")
                .replace("lists = [\"partners\"]\n", "id = \"partners\"\n"),
        ),
        (
            json!([{"edit": "set-policy", "policy": "secure-transport", "value": {"tls-report-mailbox": null}}]),
            DOCUMENT.replace("tls-report-mailbox = \"tls@ours.example\"\n", ""),
        ),
        (
            json!([{"edit": "remove-setting", "id": "partners"}]),
            DOCUMENT[..DOCUMENT.find("\n# Both").expect("there")].to_owned(),
        ),
        (
            json!([{"edit": "put-setting", "policy": "secure-transport", "id": "out", "value": {
                "description": "Out \"there\"\n", "scopes": ["outbound"], "lists": ["partners"], "enabled": false,
                "exceptions": [{"lists": ["partners"], "until": "2026-12-31", "reason": "r"}]}}]),
            format!(
                "{DOCUMENT}\n[[policy.secure-transport.settings]]\ndescription = \"\"\"\nOut \"there\"\n\"\"\"\nenabled = false\n\
                 lists = [\"partners\"]\nscopes = [\"outbound\"]\nid = \"out\"\n\n\
                 [[policy.secure-transport.settings.exceptions]]\nlists = [\"partners\"]\nreason = \"r\"\nuntil = \"2026-12-31\"\n"
            ),
        ),
        (
            json!([{"edit": "put-unit", "unit": "sales/emea", "value": {"domains": ["sales.example"]}}]),
            format!("{DOCUMENT}\n[units.\"sales/emea\"]\ndomains = [\"sales.example\"]\n"),
        ),
        (
            json!([{"edit": "put-route", "name": "vault", "value": {"hosts": [{"host": "gw.example", "port": 465}]}}]),
            format!("{DOCUMENT}\n[[route]]\nname = \"vault\"\n\n[[route.hosts]]\nhost = \"gw.example\"\nport = 465\n"),
        ),
        (
            json!([{"edit": "add-entries", "list": "partners", "entries": [{"text": "a.example", "note": "x"}]}]),
            DOCUMENT.replace("\n  \"bank.example\", # the bank\n]", "\n  \"bank.example\",\n  \"a.example # x\",\n]"),
        ),
        (
            json!([{"edit": "remove-entries", "list": "partners", "entries": ["Bank.Example"]}]),
            DOCUMENT.replace("[\n  \"bank.example\", # the bank\n]", "[]"),
        ),
    ];
    for (changes, expected) in rows {
        let found = edited(DOCUMENT, changes.clone()).unwrap_or_else(|error| panic!("{changes}: {error:?}"));
        let same = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect();
            lines.dedup();
            lines
        };
        let (mut found, mut expected) = (same(&found), same(&expected));
        if changes[0]["edit"] == "put-route" {
            (found, expected) = (sorted(found), sorted(expected));
        }
        assert_eq!(found, expected, "{changes}");
    }
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn what_cannot_be_done_is_told() {
    let rows = [
        (json!([{"edit": "set-setting", "id": "gone", "value": {}}]), "no setting \"gone\""),
        (json!([{"edit": "remove-setting", "id": "gone"}]), "no setting \"gone\""),
        (json!([{"edit": "remove-unit", "unit": "sales"}]), "no unit \"root/sales\""),
        (json!([{"edit": "remove-route", "name": "vault"}]), "no route \"vault\""),
        (json!([{"edit": "remove-list", "list": "gone"}]), "no list \"gone\""),
        (json!([{"edit": "remove-list", "list": "partners"}]), "used by the settings partners"),
        (json!([{"edit": "add-entries", "list": "gone", "entries": []}]), "no list \"gone\""),
        (json!([{"edit": "remove-entries", "list": "partners", "entries": ["a.example"]}]), "none of these"),
        (json!([{"edit": "add-entries", "list": "partners", "entries": [{"text": "@"}]}]), "\"@\""),
        (
            json!([{"edit": "put-setting", "policy": "other", "id": "partners", "value": {}}]),
            "setting of policy secure",
        ),
        (json!([{"edit": "set-policy", "policy": "secure-transport", "value": {"settings": []}}]), "one by one"),
        (json!([{"edit": "set-policy", "policy": "x", "value": {"a": [null]}}]), "null"),
    ];
    for (changes, words) in rows {
        let error = edited(DOCUMENT, changes.clone()).expect_err(words);
        let (EditError::NotFound(text) | EditError::Wrong(text)) = error;
        assert!(text.contains(words), "{changes}: {text}");
    }
    assert!(serde_json::from_value::<Edit>(json!({"edit": "put-unit", "unit": "A B", "value": {}})).is_err());
    assert!(serde_json::from_value::<Edit>(json!({"edit": "remove-list", "list": "x", "force": true})).is_err());
}

#[test]
fn a_list_that_grows_gets_a_file_and_keeps_it() {
    let entry = |n: usize| json!({"text": format!("user{n}@bank.example")});
    let many: Vec<_> = (0..300).map(entry).collect();
    let grown = edit(gathered(DOCUMENT), &edits(json!([{"edit": "add-entries", "list": "partners", "entries": many}])));
    let grown = grown.expect("edited");
    assert!(grown.text.contains("[lists.partners]\nfile = \"partners.txt\"\n"), "{}", grown.text);
    let file = &grown.lists["partners"];
    assert_eq!(file.text.lines().count(), 301);
    let taken: Vec<String> = (0..299).map(|n| format!("USER{n}@bank.example")).collect();
    let shrunk = edit(grown.clone(), &edits(json!([{"edit": "remove-entries", "list": "partners", "entries": taken}])));
    assert_eq!(shrunk.expect("edited").lists["partners"].text, "bank.example\nuser299@bank.example\n");
    let again = SettingsDocument::of_gathered(&SettingsDocument::default(), &grown).expect("a good document");
    assert_eq!(again.lists()["partners"].len(), 301);
}

#[test]
fn any_text_of_an_administrator_comes_back_as_it_was() {
    let texts = ["\"", "\\", "a\nb", "'''\"\"\"", "\u{0}\u{1b}[2J", "# [x]\n[[policy]]", "\u{2028}\u{feff}", "=1+1"];
    for text in texts {
        let change =
            json!([{"edit": "put-setting", "policy": "secure-transport", "id": "x", "value": {"description": text}}]);
        let document = edited("", change).expect("edited");
        let parsed = SettingsDocument::parse(&document).unwrap_or_else(|problems| panic!("{text:?}: {problems:?}"));
        let of_policy: serde_json::Value =
            serde_json::from_str(&parsed.of_policy("secure-transport", &[0])).expect("JSON");
        assert_eq!(of_policy["settings"][0]["description"], text, "{document}");
    }
}
