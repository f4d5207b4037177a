//! What administrators fill: by the command, by a document, by the API. A formula is hostile in an exported list alone, and stands
//! in its own entries.

use sealwire_tests::curl;
use sealwire_tests::fake_peer::{Script, reply};
use sealwire_tests::place;
use serde_json::json;

use super::super::scene::{Scene, given};
use super::outlets::{self, Kind, Outlet};
use super::{BY_ADMINISTRATORS, HOSTILE, HOSTILE_LINE, HOSTILE_WORDS, assert_harmless, filled, refusal_of};

fn of(field: &str) -> String {
    filled(&BY_ADMINISTRATORS, field, HOSTILE)
}

fn on_a_line(field: &str) -> String {
    filled(&BY_ADMINISTRATORS, field, HOSTILE_LINE)
}

/// What begins a formula in a spreadsheet, or a command by DDE, and what a cell's own quotes make of it.
const FORMULAS: [&str; 8] = [
    "=cmd|'/C calc'!A0",
    "+cmd|'/C calc'!A0",
    "-cmd|'/C calc'!A0",
    "@SUM(1+1)*cmd|'/C calc'!A0",
    "\u{ff1d}cmd|'/C calc'!A0",
    "a,=1+1",
    "a\";=1+1",
    "'=1+1",
];

/// What a command said, and the same for programs; it must have been refused, in these words, or done.
fn run(scene: &Scene, said: &mut Vec<Outlet>, words: &[&str], refused: Option<&str>) {
    let told = scene.relay.run(words);
    match refused {
        None => assert!(told.status.success(), "{words:?}: {}", told.err),
        Some(why) => assert!(!told.status.success() && told.err.contains(why), "{words:?}: {} {}", told.out, told.err),
    }
    said.push(Outlet::new(format!("{words:?}"), Kind::Lines, told.out));
    said.push(Outlet::new(format!("{words:?}, standard error"), Kind::Lines, told.err));
    if refused.is_some() {
        let told = scene.relay.run(&[words, &["--json"]].concat());
        said.push(Outlet::new(format!("{words:?} --json"), Kind::Json, told.out));
    }
}

#[test]
fn nothing_that_administrators_fill_breaks_out_anywhere() {
    let peer = Script::clear().answer("MAIL", reply("450 4.2.0 later")).start();
    let api = place::free_address();
    let scene = given()
        .route("partner", &["partner.test", "named.test"], peer.address(), "")
        .config(&format!("[api]\naddress = \"{api}\"\n"))
        .start();
    let mut said = Vec::new();
    let list = filled(&BY_ADMINISTRATORS, "list name", " of B\u{fc}cher.test");
    lists(&scene, &mut said, &list);
    settings(&scene, &mut said, &list);
    scene.submit("ann@sender.test", &["bob@partner.test"], "waits");
    scene.rounds("bob@partner.test", 1);
    let id = scene.queue()[0]["entry"]["id"].as_str().expect("an id").to_owned();
    let several = refusal_of(&BY_ADMINISTRATORS, "hold reason of several lines");
    run(&scene, &mut said, &["queue", "hold", &id, "--reason", HOSTILE], Some(several));
    let reason = filled(&BY_ADMINISTRATORS, "hold reason", HOSTILE_WORDS);
    run(&scene, &mut said, &["queue", "hold", &id, "--reason", &reason], None);
    run(&scene, &mut said, &["queue", "show", HOSTILE], Some("message"));
    let owner = scene.relay.json(&["token", "create", "--name", "owner", "--role", "owner", "--expires", "1d"]);
    let authorization = format!("Authorization: Bearer {}", owner["secret"].as_str().expect("a token"));
    let url = format!("http://{api}");
    requests(&scene, &mut said, &url, &authorization);
    said.extend(outlets::of(&scene, &url, &authorization, &id, &list));
    assert_harmless(&BY_ADMINISTRATORS, &said);
}

fn lists(scene: &Scene, said: &mut Vec<Outlet>, list: &str) {
    let refused = |field: &str| Some(refusal_of(&BY_ADMINISTRATORS, field));
    run(scene, said, &["address-list", "create", HOSTILE], refused("list name of several lines"));
    run(scene, said, &["address-list", "create", "../../etc/cron.d/x"], refused("list name that is a path"));
    run(scene, said, &["address-list", "create", list, "--why", &of("revision note")], None);
    let entry = format!("\"{}\"@partner.test", filled(&BY_ADMINISTRATORS, "list entry", "=<script>'\u{202e}\u{2066}"));
    run(scene, said, &["address-list", "add", list, &entry], None);
    let entry = "\"a\u{1b}[2J\"@partner.test";
    run(scene, said, &["address-list", "add", list, entry], refused("list entry with a control character"));
    let several = refused("entry note of several lines");
    run(scene, said, &["address-list", "add", list, "a.test", "--note", HOSTILE], several);
    let note = filled(&BY_ADMINISTRATORS, "entry note", HOSTILE_WORDS);
    run(scene, said, &["address-list", "add", list, "a.test", "--note", &note], None);
    for (number, formula) in FORMULAS.iter().enumerate() {
        run(
            scene,
            said,
            &["address-list", "add", list, &format!("f{number}.test"), &format!("--note={formula}")],
            None,
        );
    }
    // What is exported comes back as it was.
    let shown = scene.relay.json(&["address-list", "show", list]);
    let csv = scene.relay.run(&["address-list", "export", list, "--csv"]).out;
    let file = scene.relay.ground().path("again.csv");
    place::write(&file, csv);
    run(scene, said, &["address-list", "import", "again", &file.display().to_string()], None);
    assert_eq!(scene.relay.json(&["address-list", "show", "again"])["entries"], shown["entries"]);
}

/// The text of a TOML basic string (TOML 1.0): everything but the quote, the backslash and what [`HOSTILE`] has of controls.
fn toml(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

fn settings(scene: &Scene, said: &mut Vec<Outlet>, list: &str) {
    let refused = |field: &str| Some(refusal_of(&BY_ADMINISTRATORS, field));
    run(scene, said, &["unit", "add", HOSTILE], refused("unit name"));
    run(scene, said, &["unit", "add", "sales", "--description", &of("unit description")], None);
    let scope = ["--scope", "outbound", "--list", list, "--description", &of("setting description")];
    run(scene, said, &[&["setting", "add", HOSTILE][..], &scope].concat(), refused("setting id"));
    let (owner, note) = (of("setting owner"), filled(&BY_ADMINISTRATORS, "setting note", &HOSTILE.repeat(200)));
    let people = ["--owner", &owner, "--note", &note, "--why", &of("revision note")];
    run(scene, said, &[&["setting", "add", "partners"][..], &scope, &people].concat(), None);
    // What the command wrote into the operator's text is TOML still, and says the same.
    let setting = scene.relay.json(&["setting", "show", "partners"]).to_string();
    for text in [&owner, &note] {
        assert!(setting.contains(&json!(text).to_string()), "{text:?} in {setting}");
    }
    let folder = scene.relay.ground().path("exported");
    run(scene, said, &["settings", "export", &folder.display().to_string()], None);
    let file = folder.join("settings.toml");
    let text = std::fs::read_to_string(&file).expect("exported");
    run(scene, said, &["settings", "diff", &file.display().to_string()], None);
    place::write(&folder.join("noted.txt"), format!("noted.test # {}\n", on_a_line("entry note in a list file")));
    let more = format!(
        "[[policy.secure-transport.settings.exceptions]]\nlists = [\"noted\"]\nuntil = \"2099-12-31\"\nreason = {}\n\
         [lists.noted]\nfile = \"noted.txt\"\n",
        toml(&of("exception reason"))
    );
    place::write(&file, format!("{text}\n{more}"));
    run(scene, said, &["settings", "diff", &file.display().to_string()], None);
    run(scene, said, &["settings", "apply", &file.display().to_string(), "--note", &of("revision note")], None);
    run(scene, said, &["address-list", "show", "noted"], None);
    for (field, table) in
        [("route name", "name = NAME\nmx = true"), ("route host", "name = \"r\"\nhosts = [{ host = NAME }]")]
    {
        place::write(&file, format!("{text}\n[[route]]\n{}\n", table.replace("NAME", &toml(HOSTILE))));
        run(scene, said, &["settings", "apply", &file.display().to_string()], refused(field));
    }
    for broken in [HOSTILE.to_owned(), format!("x = \"{HOSTILE_LINE}"), format!("[{}]", toml(HOSTILE))] {
        place::write(&file, broken);
        run(scene, said, &["settings", "apply", &file.display().to_string()], Some("settings.toml"));
    }
}

fn requests(scene: &Scene, said: &mut Vec<Outlet>, url: &str, authorization: &str) {
    let refused = |field: &str| refusal_of(&BY_ADMINISTRATORS, field);
    let token = ["token", "create", "--name", HOSTILE, "--role", "queue", "--expires", "1d"];
    run(scene, said, &token, Some(refused("token name")));
    run(scene, said, &["admin", "create", HOSTILE, "--role", "queue"], Some(refused("administrator name")));
    let json = ["-H", "Content-Type: application/json", "-H", authorization, "-d"];
    let login = json!({ "name": of("login name"), "password": HOSTILE }).to_string();
    let edits = json!([{ "edit": "put-route", "name": HOSTILE, "value": { HOSTILE: HOSTILE } }]).to_string();
    let hold = json!({ "which": { "matching": { "domain": HOSTILE } }, "reason": HOSTILE }).to_string();
    let asked: [(&str, Vec<&str>, &str); 7] = [
        ("session", [&json[..2], &["-d", &login]].concat(), "401"),
        ("settings/edits", [&json[..], &[&edits, "-H", "If-Match: *"]].concat(), "4"),
        ("queue/hold", [&json[..], &[&hold]].concat(), "4"),
        ("tokens/%0d%0aFORGED:%20x%1b", vec!["-H", authorization], refused("token that is asked for")),
        (
            "queue?limit=1",
            vec!["-H", authorization, "-H", "If-None-Match: \u{202e}\u{9b}<script>"],
            refused("header of a request"),
        ),
        ("queue", vec!["-H", "Authorization: Bearer \u{202e}\u{9b}<script>"], "401"),
        (
            "settings",
            vec![
                "-X",
                "PUT",
                "-H",
                authorization,
                "-H",
                "Content-Type: application/toml",
                "-H",
                "If-Match: *",
                "--data-binary",
                HOSTILE,
            ],
            "422",
        ),
    ];
    for (path, arguments, status) in asked {
        let answer = curl::ask(&[&arguments[..], &["--path-as-is", &format!("{url}/api/v1/{path}")]].concat());
        assert!(answer.status.to_string().starts_with(status), "{path}: {answer:?}");
        said.push(Outlet::new(format!("the head of {path}"), Kind::Protocol, answer.head));
        said.push(Outlet::new(path, Kind::Json, answer.body));
    }
}
