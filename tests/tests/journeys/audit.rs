//! Whoever changes the relay leaves an entry in the audit log, and so does whoever tries to (parity point 9). The log is one chain:
//! what is changed in it, or taken out, is found, in the store and in an export.

use sealwire_tests::fake_peer::{Script, reply};
use sealwire_tests::{place, wait};
use serde_json::Value;

use super::clock::{SET_CLOCK, set};
use super::scene::{ALICE, Scene, given, setting};

const BOB: &str = "bob@partner.test";

fn entries(scene: &Scene) -> Vec<Value> {
    let listed = scene.relay.json(&["audit", "list"]);
    listed.as_array().cloned().unwrap_or_else(|| panic!("no list: {listed:#}"))
}

/// Action, object and result of each, in order.
fn told(entries: &[Value]) -> Vec<(String, String, String)> {
    let words = |entry: &Value| {
        let of = |key: &str| entry["record"][key].as_str().unwrap_or_default().to_owned();
        (of("action"), of("object"), of("result"))
    };
    entries.iter().map(words).collect()
}

#[test]
fn every_change_and_every_refused_attempt_is_written_down() {
    let peer = Script::clear().answer("MAIL", reply("450 4.2.0 later")).start();
    let mut scene = given().route("partner", &["partner.test"], peer.address(), "").start();
    scene.submit(ALICE, &[BOB], "waits");
    scene.rounds(BOB, 1);
    let id = scene.relay.json(&["queue", "list"])[0]["entry"]["id"].as_str().expect("an id").to_owned();
    let good = setting("partners", "outbound", &["elsewhere.test"], "");
    let run = |args: &[&str]| scene.relay.run(args).status.success();
    assert!(scene.apply_and(&good, &["--note", "asked by legal\u{1b}[2J"]).status.success());
    assert!(!scene.apply(&good.replace("outbound", "sideways")).status.success());
    assert!(run(&["reload"]));
    assert!(run(&["queue", "hold", &id, "--reason", "their gateway is down"]));
    assert!(!run(&["queue", "hold", "none", "--reason", "why"]));
    assert!(run(&["queue", "release", "--all"]));
    assert!(run(&["queue", "retry", &id]));
    wait::until(wait::PATIENCE, "a removal", || run(&["queue", "remove", &id]).then_some(()));
    assert!(!run(&["downgrades", "accept", "partner.test"]));
    assert!(!run(&["tls-reports", "send", "partner.test"]));
    scene.configure_chain(&[("secure-transport", "absent.wasm")]);
    let before = told(&entries(&scene)).len();
    scene.relay.reload();
    let entries = wait::until(wait::PATIENCE, "the refusal", || {
        let entries = entries(&scene);
        (entries.len() > before).then_some(entries)
    });

    let file = scene.relay.config_file().display().to_string();
    let entry = format!("entry {id}");
    let expected = [
        ("start", file.as_str(), "done"),
        ("settings-apply", "settings", "done"),
        ("settings-apply", "settings", "refused"),
        ("reload", &file, "done"),
        ("queue-hold", &entry, "done"),
        ("queue-hold", "entry none", "refused"),
        ("queue-release", "all", "done"),
        ("queue-retry", &entry, "done"),
        ("queue-remove", &entry, "done"),
        ("downgrade-accept", "partner.test", "refused"),
        ("tls-reports-send", "partner.test", "refused"),
        ("reload", &file, "refused"),
    ];
    let told = told(&entries);
    let told: Vec<_> = told.iter().map(|(a, o, r)| (a.as_str(), o.as_str(), r.as_str())).collect();
    // A removal is refused while a round is under way, and that is told too.
    let mut found = told.clone();
    found.retain(|(action, _, result)| (*action, *result) != ("queue-remove", "refused"));
    assert_eq!(found, expected);

    let record = |at: usize| &entries[at]["record"];
    let apply = record(1);
    assert!(apply["by"].as_str().is_some_and(|by| by.contains("uid")), "{apply:#}");
    assert_eq!((&apply["from"], &apply["revision"], &apply["generation"]), (&"socket".into(), &1.into(), &2.into()));
    let revision = scene.relay.json(&["settings", "revisions"]);
    assert_eq!(revision[0]["note"], apply["note"], "revision and entry are of the same act");
    let refused = record(2)["reason"].as_str().unwrap_or_default();
    assert!(refused.contains("sideways"), "{refused}");
    assert_eq!((&record(2)["revision"], &record(2)["generation"]), (&Value::Null, &2.into()));
    assert_eq!(record(3)["before"]["generation"], 2);
    assert_eq!(record(3)["after"]["generation"], 3);
    assert_eq!(record(4)["after"]["recipients"], 1);
    let last = record(entries.len() - 1);
    assert!(last["reason"].as_str().is_some_and(|reason| reason.contains("absent.wasm")), "{last:#}");
    assert_eq!(last["from"], "signal");

    let said = scene.relay.run(&["audit", "list", "--action", "settings-apply"]).out;
    assert!(said.lines().count() == 2 && said.contains(r"legal\u{1b}[2J") && !said.contains('\u{1b}'), "{said}");
    let found = scene.relay.json(&["audit", "list", "--object", &id, "--by", "UID", "--since", "1h"]);
    assert!(found.as_array().is_some_and(|found| found.len() >= 3), "{found:#}");
    let shown = scene.relay.json(&["audit", "show", "2"]);
    assert_eq!(shown, entries[1]);
    assert!(!scene.relay.run(&["audit", "show", "99"]).status.success());
}

#[test]
fn tampering_is_found_in_the_store_and_in_an_export() {
    let mut scene = given().start();
    for _ in 0..3 {
        assert!(scene.relay.run(&["reload"]).status.success());
    }
    let verified = scene.relay.json(&["audit", "verify"]);
    let status = scene.relay.json(&["status"]);
    let head = status["audit-head"].as_str().expect("a head").to_owned();
    assert_eq!((&verified["entries"], &verified["head"]), (&4.into(), &head.as_str().into()), "{verified:#}");
    let export = scene.relay.ground().path("audit.jsonl");
    let path = export.display().to_string();
    assert!(scene.relay.run(&["audit", "export", "--output", &path]).status.success());
    assert!(!scene.relay.run(&["audit", "export", "--output", &path]).status.success(), "it is there");
    let whole = std::fs::read_to_string(&export).expect("an export");
    assert_eq!(scene.relay.run(&["audit", "export"]).out, whole);
    assert_eq!(scene.relay.run(&["audit", "export", "--since", "1d"]).out, whole);

    scene.relay.stop();
    let verify = |text: &str, head: &str| {
        place::write(&export, text);
        let said = scene.relay.run(&["audit", "verify", "--file", &path, "--head", head]);
        (said.status.success(), said.out)
    };
    let lines: Vec<&str> = whole.lines().collect();
    let cases = [
        (lines.join("\n"), ""),
        (whole.replacen("\"generation\":2", "\"generation\":9", 1), "entry 2 does not follow"),
        ([&lines[..2], &lines[3..]].concat().join("\n"), "entry 2 is missing"),
        (lines[..4].join("\n"), "entry 4 is missing"),
    ];
    for (text, fault) in cases {
        let (whole, out) = verify(&text, &head);
        assert_eq!(whole, fault.is_empty(), "{out}");
        assert!(out.contains(fault), "{fault}: {out}");
    }
    let sqlite = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit()";
    let database = scene.relay.ground().path("data/sealwire.db");
    let cases = [
        ("UPDATE audit SET record = replace(record, 'done', 'gone') WHERE number = 2", "entry 2 does not follow"),
        ("DELETE FROM audit WHERE number = 3", "entry 3 is missing"),
    ];
    for (tamper, fault) in cases {
        let status = std::process::Command::new(place::program("python3"))
            .args(["-c", sqlite])
            .arg(&database)
            .arg(tamper)
            .status()
            .expect("python runs");
        assert!(status.success(), "{tamper}");
        scene.relay.start();
        let said = scene.relay.run(&["audit", "verify", "--head", &head]);
        assert!(!said.status.success() && said.out.contains(fault), "{tamper}: {}", said.out);
        scene.relay.stop();
    }
}

#[test]
fn what_is_kept_no_longer_is_removed_and_that_is_written_down() {
    let peer = Script::clear().start();
    let mut scene = given()
        .route("partner", &["partner.test"], peer.address(), "")
        .config("[ledger]\nkeep = \"1d\"\n[audit]\nkeep = \"2d\"\n")
        .under(&SET_CLOCK)
        .start();
    scene.submit(ALICE, &[BOB], "three days ago");
    scene.rounds(BOB, 1);
    let restart_in = |scene: &mut Scene, hours: i32| {
        set(scene, hours);
        scene.relay.stop();
        scene.relay.start();
    };
    restart_in(&mut scene, 36);
    wait::until(wait::PATIENCE, "an empty ledger", || scene.ledger("attempted", BOB).is_empty().then_some(()));
    let pruned = |scene: &Scene, action: &str| {
        wait::until(wait::PATIENCE, action, || {
            entries(scene).into_iter().find(|entry| entry["record"]["action"] == action)
        })
    };
    let entry = pruned(&scene, "ledger-prune");
    assert!(entry["record"]["after"]["removed"].as_u64() >= Some(2), "{entry:#}");
    assert_eq!(entries(&scene)[0]["number"], 1, "two days are not over");
    let head = scene.relay.json(&["status"])["audit-head"].as_str().expect("a head").to_owned();
    restart_in(&mut scene, 72);
    let entry = pruned(&scene, "audit-prune");
    assert_eq!(entry["record"]["by"], "relay");
    assert!(entries(&scene)[0]["number"].as_u64() > Some(1));
    let said = scene.relay.run(&["audit", "verify", "--head", &head]);
    assert!(said.status.success() && said.out.contains("one whole chain"), "{}{}", said.out, said.err);
}
