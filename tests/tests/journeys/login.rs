//! Logging in at a smart host: the password goes to a host that has proven itself, and mail goes after a login alone.

use sealwire_tests::certs::Authority;
use sealwire_tests::exim::Exim;
use sealwire_tests::fake_peer::{Script, bad_certificates, reply};
use sealwire_tests::{place, wait};

use super::scene::{ALICE, Given, Scene, given};

const BOB: &str = "bob@partner.test";
const HOST: &str = "127.0.0.1";
const PASSWORD: &str = "s3cret words";

/// A route that logs in, with the password in this file.
fn logging_in(given: Given, host: std::net::SocketAddr, file: &std::path::Path) -> Given {
    let more = format!(
        "require-ca-signed-certificate = true\nvalidate-hostname = true\nauth-user = \"relay\"\nauth-password-file = {file:?}"
    );
    given.route("partner", &["partner.test"], host, &more)
}

/// What the relay has told people holds no password.
#[track_caller]
fn assert_discreet(scene: &Scene) {
    // In base64 as PLAIN and LOGIN send it, too.
    let forms = [PASSWORD, "czNjcmV0IHdvcmRz", "AHJlbGF5AHMzY3JldCB3b3Jkcw"];
    let check = scene.relay.run(&["check"]);
    let told = [scene.relay.log(), scene.relay.run(&["status", "--json"]).out, check.out, check.err];
    for form in forms {
        assert!(told.iter().all(|text| !text.contains(form)), "{told:#?}");
        assert!(!scene.is_spooled(form));
    }
}

#[test]
fn exim_takes_mail_after_a_login() {
    for mechanism in ["PLAIN", "LOGIN"] {
        let authority = Authority::new("Test Authority");
        let exim =
            Exim::next_hop().offer_tls(&authority.leaf(&[HOST])).require_login(mechanism, "relay", PASSWORD).start();
        let folder = place::folder();
        let file = folder.path().join("password");
        place::write(&file, format!("{PASSWORD}\n"));
        let scene = logging_in(given().believing(authority), exim.address(), &file).start();
        for words in ["first", "second"] {
            scene.submit(ALICE, &[BOB], words);
            let message = exim.wait_for(words);
            assert!(message.received().contains("with esmtpsa"), "{mechanism}: {}", message.text());
        }
        scene.until_queue_is_empty();
        assert_discreet(&scene);
    }
}

#[test]
fn a_login_that_is_refused_keeps_mail_and_tells_an_operator() {
    let authority = Authority::new("Test Authority");
    let exim = Exim::next_hop().offer_tls(&authority.leaf(&[HOST])).require_login("PLAIN", "relay", PASSWORD).start();
    let folder = place::folder();
    let file = folder.path().join("password");
    place::write(&file, "another\n");
    let scene = logging_in(given().believing(authority), exim.address(), &file).start();
    scene.submit(ALICE, &[BOB], "waits");
    let round = scene.rounds(BOB, 1)[0].to_string();
    assert!(round.contains("no login") && round.contains("535"), "{round}");
    let alerts = scene.relay.json(&["status"])["alerts"].to_string();
    assert!(alerts.contains("mail by route partner waits: no login as") && alerts.contains("535"), "{alerts}");
    assert_eq!(scene.queued_for(BOB), 1);
    assert!(exim.messages().is_empty() && scene.home.sessions().is_empty(), "neither sent nor reported");
    // The file is mended, and read again.
    place::write(&file, format!("{PASSWORD}\n"));
    assert!(scene.relay.run(&["reload"]).status.success());
    assert_eq!(scene.relay.json(&["queue", "retry", "--all"])["recipients"], 1);
    exim.wait_for("waits");
    scene.until_queue_is_empty();
    assert_discreet(&scene);
}

/// Neither a host that has not proven itself nor one that asks for nothing gets a password, or mail without one.
#[test]
fn no_password_and_no_mail_goes_where_a_login_cannot_be() {
    let scripts = |authority: &Authority| {
        let good = || Script::tls(&authority.leaf(&[HOST]));
        let mut scripts = bad_certificates(authority, HOST);
        scripts.push(("no TLS", Script::clear()));
        let offering = |(name, script): (&'static str, Script)| (name, script.extension("AUTH PLAIN"));
        let mut scripts: Vec<_> = scripts.into_iter().map(offering).collect();
        scripts.push(("no AUTH", good()));
        scripts.push(("another mechanism", good().extension("AUTH CRAM-MD5")));
        scripts.push(("454", good().extension("AUTH PLAIN").answer("AUTH", reply("454 4.7.0 later"))));
        scripts
    };
    let count = scripts(&Authority::new("Test Authority")).len();
    for number in 0..count {
        let authority = Authority::new("Test Authority");
        let (name, script) = scripts(&authority).swap_remove(number);
        let peer = script.start();
        let folder = place::folder();
        let file = folder.path().join("password");
        place::write(&file, PASSWORD);
        let scene = logging_in(given().believing(authority), peer.address(), &file).start();
        scene.submit(ALICE, &[BOB], name);
        scene.rounds(BOB, 1);
        for session in peer.sessions() {
            let said = session.clear() + &session.secured();
            assert!(!said.contains("MAIL"), "{name}: {said}");
            assert!(!said.contains("AUTH") || name == "454", "{name}: {said}");
        }
        let alerted = scene.relay.json(&["status"])["alerts"].to_string().contains("no login");
        assert_eq!(alerted, number >= count - 3, "{name}");
        assert_eq!(scene.queued_for(BOB), 1, "{name}");
        wait::until(wait::PATIENCE, "the end of the session", || peer.sessions().iter().all(|s| s.ended).then_some(()));
        assert_discreet(&scene);
    }
}
