//! The model by commands alone: from nothing to a working partner setting, one revision for each step; two administrators at once;
//! undo, export and apply; a long list whose entries have an end.

use sealwire_tests::fake_peer::Script;
use serde_json::Value;

use super::scene::{ALICE, Scene, given, message};

const CAROL: &str = "carol@partner.test";

fn run(scene: &Scene, command: &str) -> String {
    // Words apart by blanks; a text in quotes is one word.
    let mut words = Vec::new();
    for (at, part) in command.split('\'').enumerate() {
        if at % 2 == 1 { words.push(part) } else { words.extend(part.split_whitespace()) }
    }
    let said = scene.relay.run(&words);
    assert!(said.status.success(), "{command}: {}", said.err);
    said.out
}

fn refused(scene: &Scene, command: &str, words: &str) {
    let said = scene.relay.run(&command.split_whitespace().collect::<Vec<_>>());
    assert!(!said.status.success() && said.err.contains(words), "{command}: {} {}", said.out, said.err);
}

/// Steps 3 to 10 of the help page: an organization, Configure, a description, inbound and outbound, a list, entries, the
/// certificate box, Add Setting, Save, and the audit log.
#[test]
fn from_nothing_to_a_partner_setting_by_commands_alone() {
    let peer = Script::clear().start();
    let scene = given().route("all", &["partner.test", "ours.test"], peer.address(), "").start();
    scene.submit(ALICE, &["one@partner.test"], "nothing is set");
    assert_eq!(scene.fate(&[&peer], "one@partner.test").word(), "in clear");

    run(&scene, "address-list create partners --why 'contract 17'");
    run(&scene, "address-list add partners 'partner.test, other.test' --note 'the bank'");
    let add = "setting add partners --scope inbound --scope outbound --list partners --ca-signed";
    refused(&scene, add, "description");
    run(&scene, &format!("{add} --description 'Partners'"));
    assert!(run(&scene, "unit list").contains("Locally applied"));

    let reply = scene.offer(CAROL, &["bob@ours.test"], &message(CAROL, "in clear"));
    assert!(reply.starts_with("550 5.7.10"), "{reply}");
    scene.submit(ALICE, &["two@partner.test"], "now it is set");
    assert_eq!(scene.fate(&[&peer], "two@partner.test").word(), "reported");

    run(&scene, "setting observe partners");
    scene.submit(ALICE, &["three@partner.test"], "observed only");
    assert_eq!(scene.fate(&[&peer], "three@partner.test").word(), "in clear");
    let decisions = run(&scene, "log --json");
    assert!(
        decisions.contains("R2-observed") && decisions.contains("it lacks TLS"),
        "what would have happened is recorded"
    );

    run(&scene, "setting enforce partners");
    refused(&scene, "address-list delete partners", "used by the settings partners");
    run(&scene, "address-list remove partners Partner.Test");
    scene.submit(ALICE, &["four@partner.test"], "not listed any more");
    assert_eq!(scene.fate(&[&peer], "four@partner.test").word(), "in clear");

    // Parity 10: every change stands in the audit log, with before and after; so does what was refused.
    let audit = run(&scene, "audit list --json");
    let expected = [
        "contract 17",
        "setting partners",
        "is used by the settings partners",
        "description = \\\"Partners\\\"",
        "observe-only = true",
    ];
    for words in expected {
        assert!(audit.contains(words), "no {words} in {audit}");
    }
    run(&scene, "audit verify");
}

#[test]
fn whoever_was_slower_changes_nothing_and_undo_is_a_new_revision() {
    let scene = given().start();
    run(&scene, "address-list create one");
    run(&scene, "address-list create two --if-revision 1");
    let slower = "address-list create three --if-revision 1";
    refused(&scene, slower, "revision 1 was expected, the newest is 2");
    refused(&scene, slower, "\nsince revision 1:\n  list two: added");
    refused(&scene, "settings undo --if-revision 0", "\n  list one: added\n  list two: added\n");
    let told = scene.relay.run(&["--json", "address-list", "create", "three", "--if-revision", "1"]).out;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["current"]["revision"], &told["changed"]["changes"][0]["what"]), (&2.into(), &"list two".into()));
    assert!(!run(&scene, "address-list list").contains("three"));
    run(&scene, "settings undo");
    let lists = run(&scene, "address-list list");
    assert!(lists.contains("one") && !lists.contains("two"), "{lists}");
    run(&scene, "settings undo --to 2");
    assert!(run(&scene, "address-list list").contains("two"));
    let revisions: Value = scene.relay.json(&["settings", "revisions"]);
    assert_eq!(revisions.as_array().expect("a list").len(), 4);
    run(&scene, "settings undo --to 0");
    assert_eq!(run(&scene, "address-list list").lines().count(), 1, "the headings");
    refused(&scene, "settings undo --to 99", "no revision 99");
}

#[test]
fn what_is_exported_is_applied_without_a_difference_and_a_difference_is_told_first() {
    let scene = given().start();
    let entries: Vec<String> = (0..6000).map(|n| format!("user{n}@partner{}.test", n % 7)).collect();
    let file = scene.relay.ground().path("many.csv");
    let lines: Vec<String> = entries.iter().map(|entry| format!("{entry},\"note, of {entry}\"")).collect();
    sealwire_tests::place::write(&file, format!("entry,note\n{}\n", lines.join("\n")));
    run(&scene, &format!("address-list import many {}", file.display()));
    run(&scene, "address-list add many late.test --until 1970-01-02");
    run(&scene, "setting add many --description 'Many' --scope inbound --list many");
    let found: Value = scene.relay.json(&["address-list", "show", "many", "--search", "user5999@"]);
    assert_eq!((&found["total"], &found["entries"][0]["note"]), (&1.into(), &"note, of user5999@partner0.test".into()));

    // Pages are of one text, whoever edits the list meanwhile; all of them together are the list.
    let exported = run(&scene, "address-list export many --csv");
    let first: Value = scene.relay.json(&["address-list", "show", "many", "--limit", "5000"]);
    assert_eq!((first["total"].as_u64(), first["entries"].as_array().map(Vec::len)), (Some(6001), Some(5000)));
    run(&scene, "address-list remove many user5500@partner5.test");
    let next = first["next"].as_str().expect("there is more");
    let second: Value = scene.relay.json(&["address-list", "show", "many", "--limit", "5000", "--after", next]);
    assert_eq!((&second["total"], &second["next"]), (&Value::Null, &Value::Null));
    let pages = [&first, &second].into_iter().flat_map(|page| page["entries"].as_array().expect("entries"));
    let texts: Vec<&str> = pages.map(|entry| entry["text"].as_str().expect("a text")).collect();
    let lines: Vec<&str> = exported.lines().skip(1).collect();
    assert!(texts.len() == 6001 && lines.len() == 6001, "{} {}", texts.len(), lines.len());
    assert!(lines.iter().zip(&texts).all(|(line, text)| line.starts_with(&format!("{text},"))), "{:?}", lines[0]);
    run(&scene, "settings undo");

    let folder = scene.relay.ground().path("exported");
    run(&scene, &format!("settings export {}", folder.display()));
    let settings = folder.join("settings.toml");
    assert_eq!(run(&scene, &format!("settings diff {}", settings.display())).trim(), "nothing would change");
    let list = folder.join("many.txt");
    let text = std::fs::read_to_string(&list).expect("exported");
    sealwire_tests::place::write(
        &list,
        text.replace("user17@partner3.test # note, of user17@partner3.test\n", "new.test\n"),
    );
    let told = run(&scene, &format!("settings apply {}", settings.display()));
    let expected = [
        "list many: changed",
        "entries added: 1 (new.test)",
        "entries removed: 1 (user17@partner3.test)",
        "concerns setting many",
    ];
    for words in expected {
        assert!(told.contains(words), "no {words} in {told}");
    }
    // What is listed is refused in clear; an entry whose time is over lists nobody.
    for (from, reply) in [
        ("x@new.test", "550 5.7.10"),
        ("user17@partner3.test", "250"),
        ("x@late.test", "250"),
        ("user18@partner4.test", "550"),
    ] {
        let said = scene.offer(from, &["bob@sender.test"], &message(from, "in clear"));
        assert!(said.starts_with(reply), "{from}: {said}");
    }
    // It is there after a restart too, put together from its pieces.
    let mut scene = scene;
    scene.relay.stop();
    scene.relay.start();
    let said = scene.offer("user18@partner4.test", &["bob@sender.test"], &message("user18@partner4.test", "again"));
    assert!(said.starts_with("550"), "{said}");
}
