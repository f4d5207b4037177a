//! What settings would have done is said before they do it: the decisions of the last days are made again, by what the ledger has
//! of them. And what was done is explained.

use sealwire_tests::certs;
use sealwire_tests::fake_peer::Script;
use sealwire_tests::place;
use serde_json::{Value, json};

use super::scene::{ALICE, Scene, given, setting};

/// Runs `sealwire settings preview` with this text, as JSON.
fn preview(scene: &Scene, settings: &str) -> Value {
    scene.relay.json(&["settings", "preview", &file(scene, settings)])
}

fn file(scene: &Scene, settings: &str) -> String {
    let file = scene.relay.ground().path("preview.toml");
    place::write(&file, settings);
    file.display().to_string()
}

#[test]
fn a_change_is_foreseen_to_the_message() {
    use rustls::version::{TLS12, TLS13};
    let leaf = certs::self_signed(&["127.0.0.1"]);
    let old = Script::tls_versions(&leaf, &[&TLS12]).start();
    let new = Script::tls_versions(&leaf, &[&TLS13]).start();
    let clear = Script::clear().start();
    let in_force = setting("partners", "inbound outbound", &["listed.test", "old.test", "new.test"], "");
    let scene = given()
        .route("ours", &["ours.test", "free.test"], clear.address(), "")
        .route("old", &["old.test"], old.address(), "")
        .route("new", &["new.test"], new.address(), "")
        .settings(&in_force)
        .start();
    for from in ["carol@partner.test", "dave@partner.test", "x@second.test"] {
        scene.swaks(from, "bob@ours.test", &[]).assert_accepted();
    }
    scene.swaks("carol@partner.test", "bob@ours.test", &["--tls"]).assert_accepted();
    scene.swaks("y@listed.test", "bob@ours.test", &[]).reply("550 5.7.10");
    scene.submit(ALICE, &["one@new.test", "two@new.test", "three@free.test"], "several");
    scene.submit(ALICE, &["four@old.test"], "one");
    scene.until_queue_is_empty();
    let (generation, decisions) = (scene.generation(), scene.log(&["--event", "decision"]).len());

    // The settings in force would have done what they did.
    let same = preview(&scene, &in_force);
    assert_eq!(same["differences"], json!([]), "{same:#}");
    assert_eq!((&same["replayed"], &same["not-replayable"]), (&decisions.into(), &0.into()), "{same:#}");
    assert_eq!((&same["state"], &same["done"]), (&"done".into(), &same["total"]), "{same:#}");
    let said = scene.relay.run(&["settings", "preview", &file(&scene, &in_force)]);
    assert!(said.out.starts_with("nothing would have been another\nall "), "{}", said.out);

    let entries = ["partner.test", "second.test", "old.test", "new.test"];
    let changed = setting("partners", "inbound outbound", &entries, "minimum-tls-version = \"1.3\"");
    let found = preview(&scene, &changed);
    let row = |row: &Value| {
        let of = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        (of("hook"), of("change"), of("domain"), row["count"].as_u64(), row["had"].clone())
    };
    let rows: Vec<_> = found["differences"].as_array().expect("rows").iter().map(row).collect();
    let expected = |hook: &str, change: &str, domain: &str, count: u64, had: Value| {
        (hook.to_owned(), change.to_owned(), domain.to_owned(), Some(count), had)
    };
    let thirteen = "+ TLSv1.3 or newer";
    assert_eq!(
        rows,
        [
            expected("receive", "accepted -> refused (R1)", "partner.test", 2, Value::Null),
            expected("receive", "accepted -> refused (R1)", "second.test", 1, Value::Null),
            expected("receive", "refused (R1) -> accepted", "listed.test", 1, Value::Null),
            expected("plan", thirteen, "new.test", 2, json!({ "yes": 2, "no": 0, "unknown": 0 })),
            expected("plan", thirteen, "old.test", 1, json!({ "yes": 0, "no": 1, "unknown": 0 })),
        ],
        "{found:#}"
    );
    assert_eq!(found["not-replayable"], 0, "{found:#}");
    let said = scene.relay.run(&["settings", "preview", &file(&scene, &changed)]);
    let sentences = "\
        3 messages of 2 domains would have been refused (R1) instead of accepted\n\
        1 message from listed.test would have been accepted instead of refused (R1)\n\
        3 recipients of 2 domains would have needed TLSv1.3 or newer; of these 2 had it, 1 had not\n";
    assert!(said.out.starts_with(sentences), "{}", said.out);

    // It says how far it came, what is wrong with a document, and what it cannot be asked.
    let nothing_read = ["settings", "preview", &file(&scene, &changed), "--within", "0s"];
    let said = scene.relay.run(&nothing_read);
    assert!(said.out.contains("ended by its time: 0 of "), "{}", said.out);
    let said = scene.relay.run(&["settings", "preview", &file(&scene, &changed.replace("inbound", "sideways"))]);
    assert!(!said.status.success() && said.err.contains("preview.toml:5"), "{}", said.err);
    let said = scene.relay.run(&["settings", "preview", &file(&scene, &changed), "--days", "0"]);
    assert!(!said.status.success() && said.err.contains("days are 1 to"), "{}", said.err);
    // Nothing of it came into force.
    assert_eq!((scene.generation(), scene.log(&["--event", "decision"]).len()), (generation, decisions));
    scene.swaks("carol@partner.test", "bob@ours.test", &[]).assert_accepted();
}

/// Before the first setting a policy asks for nothing; what it would have asked is on record all the same.
#[test]
fn the_first_setting_is_foreseen_too() {
    let peer = Script::clear().start();
    let scene = given().route("all", &["ours.test", "partner.test"], peer.address(), "").start();
    scene.swaks("carol@partner.test", "bob@ours.test", &[]).assert_accepted();
    scene.submit(ALICE, &["carol@partner.test"], "in clear");
    scene.until_queue_is_empty();
    let said = scene.relay.run(&[
        "settings",
        "preview",
        &file(&scene, &setting("partners", "inbound outbound", &["partner.test"], "")),
    ]);
    let sentences = "\
        1 message from partner.test would have been refused (R1) instead of accepted\n\
        1 recipient at partner.test would have needed TLS; of these 0 had it, 1 had not\n\
        1 recipient at partner.test would have had another fallback: none -> bounce\n";
    assert!(said.out.starts_with(sentences) && said.out.contains("not replayable: 0\n"), "{}\n{}", said.out, said.err);
}

#[test]
fn what_was_done_is_explained() {
    let peer = Script::clear().start();
    let listed = setting("partners", "inbound outbound", &["*.partner.test"], "");
    let scene = given()
        .route("all", &["ours.test", "a.partner.test", "free.test"], peer.address(), "")
        .settings(&listed)
        .start();
    scene.submit(ALICE, &["carol@a.partner.test", "eve@free.test"], "one that comes back");
    scene.report("carol@a.partner.test");
    let id = scene.ledger("attempted", "carol@a.partner.test")[0]["message"].as_str().expect("an id").to_owned();
    let said = scene.relay.run(&["explain", &id, "--recipient", "carol@a.partner.test"]);
    for line in [
        "  receive by policy secure-transport: accepted\n",
        "  to carol@a.partner.test: plan by policy secure-transport: 1 demand\n",
        "  settings: revision 1 of 20",
        "Z, of unit root, in generation 2\n",
        "  listed: carol@a.partner.test, in list partners by entry *.partner.test\n",
        "  fact: destination.recipient = carol@a.partner.test\n",
        "  rule R2: Mail to this recipient is sent over TLS only.\n    matched: *.partner.test\n    detail: setting \"partners\"\n",
        "  demands: TLS, by rule R2\n  if no host does: bounce\n",
        "  floor: TLS, by rule R2 of policy secure-transport\n  outcome: ",
    ] {
        assert!(said.out.contains(line), "no `{line}` in\n{}", said.out);
    }
    assert!(!said.out.contains("to eve@free.test: plan"), "{}", said.out);
    let whole = scene.relay.run(&["explain", &id]).out;
    assert!(whole.contains("to eve@free.test: plan by policy secure-transport: it demands nothing"), "{whole}");
    assert!(whole.contains("  floor: none, TLS is used where it works (R9)\n"), "{whole}");
    // The same words of a message that nobody sent.
    let asked = ["decide", "--stage", "plan", "--from", ALICE, "--to", "x@a.partner.test"];
    let said = scene.relay.run(&asked).out;
    assert!(
        said.contains("  plan by policy secure-transport: 1 demand\n    settings: revision 1, of unit root"),
        "{said}"
    );
    assert!(said.contains("    demands: TLS, by rule R2\n"), "{said}");
    let said = scene.relay.run(&["explain", "nobody-knows"]);
    assert!(!said.status.success() && said.err.contains("the ledger has nothing of message"), "{}", said.err);
}
