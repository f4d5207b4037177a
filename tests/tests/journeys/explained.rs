//! Which rules were tried in vain, and why, is told of messages that were sent and of such that were not; and however a policy
//! misbehaves when it is asked, it is told of, and mail flows on.

use sealwire_tests::fake_peer::Script;
use sealwire_tests::guests;
use serde_json::{Value, json};

use super::scene::{ALICE, Scene, given, setting};

/// The message that went to this recipient.
fn id_of(scene: &Scene, recipient: &str) -> String {
    scene.until_queue_is_empty();
    scene.ledger("attempted", recipient)[0]["message"].as_str().expect("an id").to_owned()
}

/// The rules behind one decision, of what `explain --json` says.
fn rules(explained: &Value, hook: &str) -> Vec<Value> {
    let records = explained.as_array().expect("records");
    let record = records.iter().find(|record| record["hook"] == hook).expect("such a decision");
    record["tried"]["rules"].as_array().expect("rules").clone()
}

#[test]
fn rules_that_were_tried_in_vain_are_told_with_their_reasons() {
    let peer = Script::clear().start();
    let settings = |partners: &[&str]| {
        [
            setting("partners", "inbound outbound", partners, ""),
            setting("via", "outbound-via-another-setting", &["free.test"], ""),
            setting("old", "outbound", &["free.test"], "valid-until = \"2020-01-01\""),
        ]
        .concat()
    };
    let scene = given()
        .route("all", &["free.test", "bank.test"], peer.address(), "")
        .settings(&settings(&["bank.test"]))
        .start();
    scene.submit(ALICE, &["carol@free.test"], "free");
    let id = id_of(&scene, "carol@free.test");
    let explain = |more: &[&str]| scene.relay.run(&[&["explain", &id], more].concat()).out;
    let said = explain(&[]);
    for line in [
        "  in vain: rule R1 of setting \"partners\": alice@sender.test is on none of its lists: partners.\n",
        "  in vain: rule R1 of setting \"via\": Its scopes do not name inbound.\n",
        "  in vain: rule R2 of setting \"partners\": carol@free.test is on none of its lists: partners.\n",
        "  in vain: rule R3 of setting \"via\": Nobody asks for secure transport: no policy flagged the message, it came without \
         REQUIRETLS, and its route (smart-host) demands no TLS.\n",
        "  in vain: rule R2 of setting \"old\": It was in force until 2020-01-01.\n",
    ] {
        assert!(said.contains(line), "no `{line}` in\n{said}");
    }
    let listed = json!({ "setting": "setting \"partners\"", "rule": "R2", "holds": false,
                         "why": "carol@free.test is on none of its lists: partners." });
    assert!(rules(&scene.relay.json(&["explain", &id]), "plan").contains(&listed));
    let decisions = scene.log(&["--event", "decision"]).len();

    // The same of a message that nobody has sent.
    let by_hand = ["decide", "--stage", "plan", "--from", ALICE, "--to", "x@bank.test"];
    let said = scene.relay.run(&by_hand).out;
    for line in [
        "    holds: rule R2 of setting \"partners\": Mail to this recipient is sent over TLS only. Matched: bank.test\n",
        "    in vain: rule R4 of setting \"partners\": The setting does not ask for it.\n",
        "    in vain: rule R3 of setting \"via\": x@bank.test is on none of its lists: via.\n",
    ] {
        assert!(said.contains(line), "no `{line}` in\n{said}");
    }
    let holds = |rule: &&Value| rule["holds"] == true;
    let answer = scene.relay.json(&by_hand);
    let result = &answer["results"][0];
    let rules_that_hold = result["tried"][0]["rules"].as_array().expect("rules").iter().filter(holds);
    assert!(rules_that_hold.map(|rule| &rule["rule"]).eq(["R2", "R6"].iter()), "{result:#}");
    let over_tls = ["decide", "--from", "x@bank.test", "--to", "bob@ours.test", "--client-tls"];
    let said = scene.relay.run(&over_tls).out;
    assert!(said.contains("in vain: rule R1 of setting \"partners\": The message did not come in clear.\n"), "{said}");
    assert_eq!(scene.log(&["--event", "decision"]).len(), decisions, "whoever asks leaves no decision");

    // What was found then is not found now; and settings that are others are not asked what they did not decide.
    assert!(scene.apply(&settings(&["bank.test", "carol@free.test"])).status.success());
    let said = explain(&[]);
    assert!(said.contains("not told, find(partners, carol@free.test) is not what it was"), "{said}");
    assert!(said.contains("in vain: rule R1 of setting \"partners\": alice@sender.test is on none"), "{said}");
    assert!(scene.apply(&setting("partners", "inbound outbound", &["bank.test"], "")).status.success());
    let said = explain(&["--recipient", "carol@free.test"]);
    assert!(said.contains("  rules tried: not told, its settings have changed since\n"), "{said}");
    assert!(said.contains("to carol@free.test: plan by policy secure-transport: it demands nothing"), "{said}");
}

#[test]
fn a_policy_that_misbehaves_when_it_is_asked_is_told_of_and_mail_flows_on() {
    let peer = Script::clear().start();
    let (failing, silent) = (guests::fail_by_subject(), guests::steer_by_subject());
    let scene = given()
        .route("other", &["other.test"], peer.address(), "")
        .policy("failing", &failing.display().to_string())
        .policy("silent", &silent.display().to_string())
        .start();
    let rows = [
        ("plain", "in vain: rule F1 of setting \"X\": as asked\n"),
        ("trap in explanation", "rules tried: not told, it trapped ("),
        ("err in explanation", "rules tried: not told, it returned an error (as asked)\n"),
        ("endless in explanation", "rules tried: not told, it ran out of time\n"),
        ("huge in explanation", "rules tried: not told, it went over a limit ("),
        ("many in explanation", "rules tried: not told, 700 more\n"),
        ("crooked in explanation", "in vain: rule F1 of setting \"X\": one\\r\\nholds: rule R2\\u{1b}[2J\n"),
    ];
    for (number, (subject, expected)) in rows.into_iter().enumerate() {
        let recipient = format!("b{number}@other.test");
        scene.submit(ALICE, &[&recipient], subject);
        assert_eq!(scene.fate(&[&peer], &recipient).word(), "in clear", "{subject}");
        let said = scene.relay.run(&["explain", &id_of(&scene, &recipient)]).out;
        assert!(said.contains(expected), "{subject}: no `{expected}` in\n{said}");
        assert!(said.contains("rules tried: not told, this policy does not tell\n"), "{subject}: {said}");
        assert!(said.len() < 100_000, "{subject}: {} octets", said.len());
    }
    assert_eq!(scene.total("failed-decisions"), 0, "no decision has failed for it");
}
