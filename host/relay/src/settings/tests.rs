//! Documents, the problems they must have, and the places policies' problems come back to.

use std::fmt::Write as _;

use super::*;
use sealwire_core::address::Mailbox;

const DOCUMENT: &str = r#"[lists.partners]
entries = [
  "example.com",
  "*.example.org",
]

[lists.many]
file = "many.txt"

[policy.secure-transport]
tls-report-mailbox = "tls@ours.example"

[[policy.secure-transport.settings]]
description = "Partners"
scopes = ["inbound", "outbound"]
lists = ["partners"]
"#;

fn document(text: &str, many: &str) -> String {
    let lists =
        [("many".to_owned(), ListFile { file: "lists/many.txt".into(), text: many.into(), ..ListFile::default() })];
    let gathered = Gathered { file: "settings.toml".into(), text: text.into(), lists: lists.into() };
    serde_json::to_string(&gathered).expect("texts are JSON")
}

fn parse(document: &str) -> Result<SettingsDocument, Vec<Problem>> {
    SettingsDocument::parse(document)
}

#[test]
fn lists_and_policies_are_read() {
    let settings = parse(&document(DOCUMENT, "# ours\nann@a.example, bob@a.example\n")).expect("no problem");
    let sizes: Vec<_> = settings.lists().iter().map(|(name, list)| (name.as_str(), list.len())).collect();
    assert_eq!(sizes, [("many", 2), ("partners", 2)]);
    let expected = r#"{"settings":[{"description":"Partners","lists":["partners"],"scopes":["inbound","outbound"]}],"tls-report-mailbox":"tls@ours.example"}"#;
    assert_eq!(settings.of_policy("secure-transport", &[0]), expected);
    assert_eq!(settings.of_policy("another", &[]), "{}");
    assert!(settings.without_policy(&["secure-transport"]).is_empty());
    let stranger = settings.without_policy(&["greylist"])[0].to_string();
    assert!(stranger.starts_with("settings.toml:10: policy.secure-transport: no policy"), "{stranger}");
    assert!(parse("").expect("an empty document is one").lists().is_empty());
}

#[test]
fn problems_come_back_to_file_line_and_key() {
    let settings = parse(&document(DOCUMENT, "")).expect("no problem");
    let rows = [
        (Some("/settings/0/lists/0"), "settings.toml:16: policy.secure-transport.settings[1].lists[1]: x"),
        (Some("/settings/0/scopes"), "settings.toml:15: policy.secure-transport.settings[1].scopes: x"),
        (Some("/settings/0/unit"), "settings.toml:13: policy.secure-transport.settings[1].unit: x"),
        (Some("/tls-report-mailbox"), "settings.toml:11: policy.secure-transport.tls-report-mailbox: x"),
        (Some(""), "settings.toml:10: policy.secure-transport: x"),
        (None, "policy secure-transport: x"),
    ];
    for (pointer, expected) in rows {
        assert_eq!(settings.locate("secure-transport", pointer, "x").to_string(), expected, "{pointer:?}");
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let text = "\
[lists.partners]
entries = [
  \"example.com\",
  \"@example.com\",
]
[lists.many]
file = \"many.txt\"
[lists.both]
entries = []
file = \"x\"
[lists.none]
[lists.absent]
file = \"absent.txt\"
[policy.secure-transport]
weight = inf
[polcy]
";
    let problems = parse(&document(text, "ok.example\na b@c@d\n")).err().expect("there are some");
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        ("lists/many.txt:2: lists.many:", "it is not an address"),
        ("settings.toml:4: lists.partners.entries: \"@example.com\"", "local part"),
        ("settings.toml:10: lists.both.file:", "not both"),
        ("settings.toml:11: lists.none:", "needs entries"),
        ("settings.toml:13: lists.absent.file:", "settings apply"),
        ("settings.toml:15: policy.secure-transport.weight:", "JSON"),
        ("settings.toml:16: polcy:", "known are: lists, policy"),
    ];
    for (place, part) in expected {
        assert!(told.iter().any(|line| line.starts_with(place) && line.contains(part)), "{place} {part}: {told:#?}");
    }
}

#[test]
fn an_unchanged_list_is_taken_over_unread() {
    let first = parse(&document(DOCUMENT, "a.example")).expect("no problem");
    let changed = DOCUMENT.replace("\"example.com\"", "\"example.net\"");
    let second = SettingsDocument::parse_after(&first, &document(&changed, "a.example"));
    let second = second.expect("no problem");
    assert!(Arc::ptr_eq(&first.lists()["many"], &second.lists()["many"]));
    assert!(!Arc::ptr_eq(&first.lists()["partners"], &second.lists()["partners"]));
}

/// What a list is read from is told apart by more than its octets.
#[test]
fn a_list_from_elsewhere_is_not_taken_for_the_one_before() {
    let inline = |entries: &str| format!("[lists.l]\nentries = {entries}\n");
    let of_file = |list: ListFile| {
        let text = "[lists.l]\nfile = \"l.txt\"\n".to_owned();
        let gathered = Gathered { file: "settings.toml".into(), text, lists: [("l".to_owned(), list)].into() };
        serde_json::to_string(&gathered).expect("JSON")
    };
    let text = |text: &str| of_file(ListFile { file: "l.txt".into(), text: text.into(), ..ListFile::default() });
    let digest = "ab".repeat(32);
    let pieces = of_file(ListFile { file: "l.txt".into(), pieces: vec![digest.clone()], ..ListFile::default() });
    let rows = [
        (inline("[\"a.example # x\"]"), text("a.example # x\nb.example\n")),
        (inline("[\"a.example\"]"), text("a.example\n")),
        (pieces, text(&digest)),
        (inline("[\"a.example\", \"b.example\"]"), inline("[\"a.example\\tb.example\"]")),
    ];
    for (before, after) in rows {
        let first = parse(&before).expect("no problem");
        let second = SettingsDocument::parse_after(&first, &after);
        let alone = parse(&after).map(|alone| alone.lists()["l"].len());
        let taken_over = second.as_ref().is_ok_and(|second| Arc::ptr_eq(&first.lists()["l"], &second.lists()["l"]));
        assert!(!taken_over, "{before} then {after}");
        assert_eq!(second.map(|second| second.lists()["l"].len()).ok(), alone.ok(), "{before} then {after}");
    }
    let told = parse(&inline("[\"a.example # x\\nb.example\"]")).err().expect("what follows is not seen");
    assert!(told[0].text.contains("an entry is one line"), "{}", told[0]);
    for name in ["/etc/x", "../x", ".x", "", "a\nb"] {
        let bad = format!("[lists.{name:?}]\nentries = []\n");
        assert!(parse(&bad).is_err(), "{name:?}");
        let lists = [(name.to_owned(), ListFile::default())].into();
        let gathered = Gathered { file: "settings.toml".into(), lists, ..Gathered::default() };
        let document = serde_json::to_string(&gathered).expect("JSON");
        assert!(Gathered::read(&document).is_err(), "{name:?}");
    }
}

#[test]
fn a_file_and_its_lists_travel_as_one_text() {
    let folder = std::env::temp_dir().join(format!("sealwire-gather-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("settings.toml");
    std::fs::write(&file, DOCUMENT).expect("written");
    let problems = gather(&file).expect_err("many.txt is absent");
    assert_eq!((problems[0].line, problems[0].key.as_str()), (8, "lists.many.file"));
    let mut many = String::new();
    for number in 0..1000 {
        writeln!(many, "user{number}@example.com").expect("a string grows");
    }
    std::fs::write(folder.join("many.txt"), &many).expect("written");
    let settings = parse(&gather(&file).expect("gathered")).expect("no problem");
    let listed = Mailbox::parse("User7@Example.com").expect("a mailbox");
    assert!(settings.lists()["many"].find(&listed, 0).is_some());
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn the_complete_example_is_free_of_problems() {
    let text = include_str!("../../../../docs/examples/settings.toml");
    let clinics = include_str!("../../../../docs/examples/clinics.txt");
    let file = ListFile { file: "clinics.txt".into(), text: clinics.into(), ..ListFile::default() };
    let gathered = Gathered { text: text.into(), lists: [("clinics".to_owned(), file)].into(), ..Gathered::default() };
    let settings = parse(&serde_json::to_string(&gathered).expect("JSON")).expect("the example");
    let sizes: Vec<_> = settings.lists().iter().map(|(name, list)| (name.as_str(), list.len())).collect();
    assert_eq!(sizes, [("clinics", 4), ("partners", 3)]);
    let documentation = include_str!("../../../../docs/settings.md");
    let policy: serde_json::Value = serde_json::from_str(&settings.of_policy("secure-transport", &[0])).expect("JSON");
    let setting = policy["settings"][0].as_object().expect("the first setting is complete");
    for key in policy.as_object().expect("a table").keys().chain(setting.keys()) {
        assert!(documentation.contains(&format!("| `{key}` |")), "{key} is not documented");
    }
}
