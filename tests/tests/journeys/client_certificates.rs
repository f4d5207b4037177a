//! Client certificates: a host that asks for one gets the route's, no other host does, and a reload changes it.

use std::fs;

use sealwire_tests::certs::Authority;
use sealwire_tests::place;
use sealwire_tests::postfix::Postfix;

use super::scene::{ALICE, given};

const HOST: &str = "127.0.0.1";

#[test]
fn postfix_that_requires_a_certificate_gets_the_routes() {
    let authority = Authority::new("Test Authority");
    let host = authority.leaf(&[HOST]);
    let authorities = authority.file().display().to_string();
    let postfix = Postfix::next_hop()
        .offer_tls(&host)
        .set("smtpd_tls_security_level", "encrypt")
        .set("smtpd_tls_req_ccert", "yes")
        .set("smtpd_tls_CAfile", &authorities)
        .start();
    let (first, second) = (authority.leaf(&["first.relay.test"]), authority.leaf(&["second.relay.test"]));
    let folder = place::folder();
    let (certificate, key) = (folder.path().join("client.pem"), folder.path().join("client.key"));
    let put = |leaf: &sealwire_tests::certs::Leaf| {
        fs::copy(leaf.cert_file(), &certificate).expect("copied");
        fs::copy(leaf.key_file(), &key).expect("copied");
    };
    put(&first);
    let presenting = format!("tls = \"required\"\nclient-certificate = {certificate:?}\nclient-key = {key:?}");
    let scene = given()
        .believing(authority)
        .route("known", &["known.test"], postfix.address(), &presenting)
        .route("unknown", &["unknown.test"], postfix.address(), "tls = \"required\"")
        .start();
    scene.submit(ALICE, &["bob@known.test"], "as the first");
    let message = postfix.wait_for("as the first");
    assert!(message.text.contains("Client CN \"first.relay.test\""), "{}", message.text);

    // Another route's connections to the same host say nothing of it.
    scene.submit(ALICE, &["bob@unknown.test"], "as nobody");
    scene.rounds("bob@unknown.test", 1);
    assert_eq!(scene.queued_for("bob@unknown.test"), 1);
    assert!(!postfix.messages().iter().any(|message| message.text.contains("as nobody")));

    // The connection that waits is not the new one's.
    put(&second);
    let said = scene.relay.run(&["reload"]);
    assert!(said.status.success(), "{}{}", said.out, said.err);
    scene.submit(ALICE, &["bob@known.test"], "as the second");
    let message = postfix.wait_for("as the second");
    assert!(message.text.contains("Client CN \"second.relay.test\""), "{}", message.text);

    // What cannot be read is refused, and what was in force stays.
    fs::copy(first.key_file(), &key).expect("copied");
    let said = scene.relay.run(&["reload"]);
    assert!(!said.status.success() && said.err.contains("client-certificate"), "{}{}", said.out, said.err);
    let said = scene.relay.run(&["check"]);
    assert!(!said.status.success() && (said.out + &said.err).contains("client-certificate"), "another's key");
    scene.submit(ALICE, &["bob@known.test"], "as before");
    postfix.wait_for("as before");
}
