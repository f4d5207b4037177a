//! Evidence for a partner: what the ledger has of the mail with a domain in a month, as JSON that the relay has signed, and as a page
//! of the same. Whoever holds the file and the key verifies it without the relay; whatever is changed in it is found.

use std::os::unix::fs::PermissionsExt;

use sealwire_core::time::rfc3339;
use sealwire_tests::fake_peer::Script;
use sealwire_tests::{certs, place};
use serde_json::Value;

use super::scene::{ALICE, given, setting};

const PARTNER: &str = "partner.test";
const CAROL: &str = "carol@partner.test";

#[test]
fn a_month_with_a_partner_is_counted_signed_and_verified() {
    let secured = Script::tls(&certs::self_signed(&["127.0.0.1"])).start();
    let clear = Script::clear().start();
    let scene = given()
        .route("ours", &["ours.test"], clear.address(), "")
        .route("partner", &["partner.test", "elsewhere.test"], secured.address(), "")
        .start();
    // In clear and over TLS, both ways; a setting then demands TLS of both.
    scene.swaks(CAROL, "bob@ours.test", &[]).assert_accepted();
    scene.swaks(CAROL, "bob@ours.test", &["--tls"]).assert_accepted();
    scene.swaks("x@elsewhere.test", "bob@ours.test", &[]).assert_accepted();
    scene.submit(ALICE, &[CAROL, "dave@partner.test", "eve@elsewhere.test"], "over TLS, without a demand");
    scene.until_queue_is_empty();
    let settings = setting("partners", "inbound outbound", &[PARTNER], "");
    assert!(scene.apply_and(&settings, &["--note", "<b>asked</b>"]).status.success());
    assert!(!scene.swaks(CAROL, "bob@ours.test", &[]).accepted());
    secured.become_(Script::clear());
    scene.submit(ALICE, &["frank@partner.test"], "in clear, with a demand");
    scene.report("frank@partner.test");

    // The month that the ledger's own records are of; a run over its end tells of two.
    let at_ms = scene.log(&["--event", "accepted"])[0]["at_ms"].as_u64().expect("a time");
    let month = rfc3339(at_ms / 1000)[..7].to_owned();
    let file = scene.relay.ground().path("partner.json").display().to_string();
    let made = ["evidence", PARTNER, "--month", &month, "--output", &file];
    let said = scene.relay.run(&made);
    assert!(said.status.success(), "{}", said.err);
    assert!(!scene.relay.run(&made).status.success(), "it is there");
    let text = std::fs::read_to_string(&file).expect("a document");
    let signed: Value = serde_json::from_str(&text).expect("JSON");
    let evidence = &signed["evidence"];

    let inbound = &evidence["inbound"];
    let counted = |table: &Value, word: &str| table["counts"][word].as_u64().unwrap_or(0);
    assert_eq!((&inbound["accepted"], &inbound["accepted-in-clear"]), (&2.into(), &1.into()), "{inbound:#}");
    assert_eq!((&inbound["refused"], &inbound["refused-in-clear"]), (&1.into(), &1.into()), "{inbound:#}");
    assert_eq!(counted(&inbound["tls-versions"], "TLSv1.3"), 1);
    assert!(inbound["turned-away-by"].to_string().contains("R1"), "{inbound:#}");
    assert_eq!(counted(&inbound["clients"], "127.0.0.1"), 3);
    let outbound = &evidence["outbound"];
    assert_eq!((&outbound["delivered"], &outbound["delivered-in-clear"]), (&2.into(), &0.into()), "{outbound:#}");
    assert_eq!(counted(&outbound["verified"], "not-verified"), 2, "{outbound:#}");
    assert_eq!((&outbound["floor-unmet"], &outbound["reported"]), (&1.into(), &1.into()), "{outbound:#}");
    assert!(outbound["unmet"].to_string().contains("TLS, by rule R2 of policy secure-transport"), "{outbound:#}");
    assert_eq!(evidence["covers"]["whole"], true);
    assert_eq!(evidence["covers"]["month-is-over"], false);
    assert_eq!(evidence["settings"][0]["revision"], 1);
    assert_eq!(evidence["settings"][0]["note"], "<b>asked</b>");
    let digest =
        scene.relay.json(&["audit", "list", "--action", "settings-apply"])[0]["record"]["after"]["sha-256"].clone();
    assert_eq!(evidence["settings"][0]["sha-256"], digest, "the audit log tells of the same document");

    let key = scene.relay.run(&["evidence", "key"]).out.trim().to_owned();
    assert_eq!(signed["key"], key.as_str());
    let rights = std::fs::metadata(scene.relay.ground().path("data/evidence.key")).expect("the key").permissions();
    assert_eq!(rights.mode() & 0o777, 0o600);
    let acts = scene.relay.json(&["audit", "list", "--action", "evidence-key-make"]);
    assert_eq!(acts[0]["record"]["after"]["public-key"], key.as_str(), "made once, and written down");
    assert_eq!(acts.as_array().map(Vec::len), Some(1));

    let page = scene.relay.run(&["evidence", PARTNER, "--month", &month, "--html"]).out;
    assert!(page.contains("&lt;b&gt;asked&lt;/b&gt;") && !page.contains("<b>"), "{page}");
    let other_month = scene.relay.json(&["evidence", PARTNER, "--month", "2020-02"]);
    assert_eq!(other_month["evidence"]["covers"]["records"], 0);
    assert_eq!(other_month["evidence"]["settings"], Value::Array(Vec::new()));
    for wrong in [["evidence", "@@", "--month", "2026-11"], ["evidence", PARTNER, "--month", "2026-13"]] {
        assert!(!scene.relay.run(&wrong).status.success(), "{wrong:?}");
    }
    assert!(!scene.relay.run(&["evidence", PARTNER]).status.success(), "a month is wanted");

    // Without the relay.
    let mut scene = scene;
    scene.relay.stop();
    let verify = |text: &str, key: &str| {
        place::write(file.as_ref(), text);
        scene.relay.run(&["evidence", "verify", &file, "--key", key])
    };
    let said = verify(&text, &key);
    assert!(
        said.status.success() && said.out.contains("2 accepted, 1 in clear; 1 refused"),
        "{}{}",
        said.out,
        said.err
    );
    let pretty = serde_json::to_string_pretty(&signed).expect("JSON");
    assert!(verify(&pretty, &key).status.success(), "spaces are nothing");
    let cases = [
        text.replace("\"accepted-in-clear\":1", "\"accepted-in-clear\":0"),
        text.replace("asked", "asket"),
        text.replace("\"delivered\":2", "\"delivered\":2,\"more\":1"),
    ];
    for changed in cases {
        assert_ne!(changed, text);
        let said = verify(&changed, &key);
        assert!(!said.status.success() && said.err.contains("signature is not good"), "{}{}", said.out, said.err);
    }
    let said = verify(&text, "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    assert!(!said.status.success() && said.err.contains("and not by"), "{}", said.err);
}

#[test]
fn an_exception_stands_in_what_it_touched() {
    let clear = Script::clear().start();
    let exception = "exceptions = [{ lists = [\"partners\"], until = \"2099-12-31\", reason = \"a new server\" }]";
    let scene = given()
        .route("clear", &["ours.test", PARTNER], clear.address(), "")
        .settings(&setting("partners", "inbound outbound", &[PARTNER], exception))
        .start();
    scene.swaks(CAROL, "bob@ours.test", &[]).assert_accepted();
    scene.submit(ALICE, &[CAROL], "in clear, by an exception");
    scene.until_queue_is_empty();
    let said = scene.relay.run(&["log", "--event", "accepted"]).out;
    assert!(said.contains("; exception: "), "{said}");
    let month =
        rfc3339(scene.log(&["--event", "accepted"])[0]["at_ms"].as_u64().expect("a time") / 1000)[..7].to_owned();
    let evidence = scene.relay.json(&["evidence", PARTNER, "--month", &month])["evidence"].clone();
    let by_exception = "rule exception of policy secure-transport";
    assert_eq!(evidence["inbound"]["accepted-with"]["counts"][by_exception], 1, "{evidence:#}");
    assert_eq!(evidence["outbound"]["reasons"]["counts"][by_exception], 1, "{evidence:#}");
    assert_eq!(evidence["outbound"]["delivered-in-clear"], 1, "{evidence:#}");
}
