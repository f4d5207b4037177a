//! What a plan may say besides demands: hold, and another route. Held mail waits for `queue retry` or its expiry; a route
//! that is taken adds its floor to the one that was there.

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::{FakePeer, Script, bad_certificates};
use sealwire_tests::{guests, wait};
use serde_json::Value;

use super::scene::{ALICE, Given, Scene, given};

const BOB: &str = "bob@partner.test";
const HOST: &str = "127.0.0.1";

/// A chain whose only policy plans what the Subject says.
fn steered() -> Given {
    given().policy("steering", &guests::steer_by_subject().display().to_string())
}

/// Waits until the one message in the queue is held after so many rounds.
#[track_caller]
fn until_held(scene: &Scene, rounds: usize) -> Value {
    scene.rounds(BOB, rounds);
    wait::until(wait::PATIENCE, "a held message", || {
        let held = scene.relay.json(&["queue", "list", "--held"]);
        (held[0]["recipients"][0]["status"] == "held").then_some(held)
    })
}

#[test]
fn held_mail_waits_for_an_operator_and_goes_once_the_host_has_tls() {
    let peer = Script::clear().start();
    let scene = steered().route("partner", &["partner.test"], peer.address(), "").start();
    scene.submit(ALICE, &[BOB], "tls hold");
    let held = until_held(&scene, 1);
    assert_eq!(held.as_array().map(Vec::len), Some(1), "{held:#}");
    assert!(scene.relay.run(&["queue", "list"]).out.contains("held"));
    assert_eq!(scene.relay.json(&["status"])["queue"]["held"], 1);

    // Freed too early it is tried, and held again.
    assert_eq!(scene.relay.json(&["queue", "retry", "--held"])["recipients"], 1);
    until_held(&scene, 2);
    peer.assert_no_mail_in_clear();
    peer.become_(Script::tls(&certs::self_signed(&[HOST])));
    assert_eq!(scene.relay.json(&["queue", "retry", "--held"])["recipients"], 1);
    assert_eq!(scene.fate(&[&peer], BOB).word(), "by TLS");
    scene.until_queue_is_empty();
    assert!(scene.home.messages().is_empty(), "nobody was told of a wait");
}

#[test]
fn a_hold_that_nobody_ends_ends_in_a_report() {
    let peer = Script::clear().start();
    let scene =
        steered().route("partner", &["partner.test"], peer.address(), "").schedule("expire-after = \"2s\"\n").start();
    scene.submit(ALICE, &[BOB], "tls hold");
    scene.report(BOB).assert_says("The message was held back by a policy of this relay, and nobody released it within");
    scene.until_queue_is_empty();
    assert_eq!(scene.rounds(BOB, 1).len(), 1, "a hold is no round");
    peer.assert_no_mail_in_clear();
}

/// The recipient's own route asks for the name, the one that is taken for the chain: only a host with both will do.
#[test]
fn a_route_that_is_taken_adds_its_floor_to_the_recipients_own() {
    let authority = Authority::new("Test Authority");
    let mut scripts = bad_certificates(&authority, HOST);
    scripts.push(("good", Script::tls(&authority.leaf(&[HOST]))));
    scripts.push(("no TLS", Script::clear()));
    let vaults: Vec<(&str, FakePeer)> = scripts.into_iter().map(|(name, script)| (name, script.start())).collect();
    let own = Script::tls(&authority.leaf(&[HOST])).start();
    let mut given = steered().believing(authority);
    given = given.route("own", &["partner.test"], own.address(), "validate-hostname = true");
    for (number, (_, vault)) in vaults.iter().enumerate() {
        given = given.route(&format!("vault-{number}"), &[], vault.address(), "require-ca-signed-certificate = true");
    }
    let scene = given.start();
    for (number, (name, vault)) in vaults.iter().enumerate() {
        let recipient = format!("bob{number}@partner.test");
        scene.submit(ALICE, &[&recipient], &format!("take:vault-{number} bounce"));
        let expected = if *name == "good" { "by TLS" } else { "reported" };
        assert_eq!(scene.fate(&[vault], &recipient).word(), expected, "{name}");
        vault.assert_no_mail_in_clear();
        let round = scene.rounds(&recipient, 1)[0].to_string();
        for source in ["own".to_owned(), format!("vault-{number}")] {
            assert!(round.contains(&format!("{{\"route\":\"{source}\"}}")), "{name}: no demand of {source}: {round}");
        }
    }
    assert!(own.sessions().is_empty());
    scene.until_queue_is_empty();
}

/// A cascade goes from step to step; clear text is none of them.
#[test]
fn a_fallback_goes_by_its_route_and_then_holds() {
    let (own, spare) = (Script::clear().start(), Script::clear().start());
    let scene =
        steered().route("own", &["partner.test"], own.address(), "").route("spare", &[], spare.address(), "").start();
    scene.submit(ALICE, &[BOB], "tls route:spare hold");
    until_held(&scene, 2);
    for peer in [&own, &spare] {
        assert_eq!(peer.sessions().len(), 1);
        peer.assert_no_mail_in_clear();
    }
}
