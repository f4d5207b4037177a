//! Whom the door lets in: a client that no trusted network holds sends to hosted domains only, and over so many connections.

use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::Script;
use sealwire_tests::{openssl, place, wait};

use super::scene::{ALICE, Scene, given};

/// The tests' own address, 127.0.0.1, is a stranger to it.
const NARROW: &str = "trusted-networks = [\"127.0.0.2/32\"]\nhosted-domains = [\"hosted.test\"]\n";

#[test]
fn a_client_that_is_not_trusted_sends_to_hosted_domains_only() {
    let peer = Script::clear().start();
    let scene = given().config(NARROW).route("all", &["hosted.test", "other.test"], peer.address(), "").start();
    // From, to, whether it is let in.
    let rows = [
        ("127.0.0.1", "bob@hosted.test", true),
        ("127.0.0.1", "bob@other.test", false),
        ("127.0.0.1", "bob@sub.hosted.test", false),
        ("127.0.0.1", "bob%other.test@relay.test", false),
        ("127.0.0.2", "bob@hosted.test", true),
        ("127.0.0.2", "bob@other.test", true),
    ];
    for (client, recipient, let_in) in rows {
        let said = scene.swaks(ALICE, recipient, &["--local-interface", client]);
        assert_eq!(said.accepted(), let_in, "{client} to {recipient}:\n{}", said.text);
        if !let_in {
            said.reply("550 5.7.1 ");
        }
    }
    let received = peer.wait_for_messages(3);
    assert!(received.len() == 3 && scene.home.sessions().is_empty(), "{received:#?}");
}

#[test]
fn a_client_that_is_not_trusted_has_so_many_connections() {
    let scene = given().config(&format!("{NARROW}[limits]\nconnections-per-address = 2\n")).start();
    let _one = until_greeted(&scene);
    let two = until_greeted(&scene);
    let refused = scene.swaks(ALICE, "bob@hosted.test", &[]);
    refused.reply("421 4.7.0 ");
    assert!(!refused.accepted());
    let trusted = scene.swaks(ALICE, "bob@hosted.test", &["--local-interface", "127.0.0.2", "--quit-after", "EHLO"]);
    assert!(trusted.accepted(), "{}", trusted.text);
    drop(two);
    wait::until(wait::PATIENCE, "a place again", || place::greeting(scene.relay.smtp()));
}

/// The connection that found the relay ready may hold its place for a moment.
#[track_caller]
fn until_greeted(scene: &Scene) -> Dialogue {
    wait::until(wait::PATIENCE, "a place", || Dialogue::open(scene.relay.smtp()).ok())
}

/// RFC 9325 sections 3.1 and 4.2: TLS 1.2 and 1.3, with forward secrecy and AEAD, whatever a client offers.
#[test]
fn no_client_gets_an_old_version_or_a_weak_suite() {
    let scene = given().start();
    for old in ["-tls1", "-tls1_1"] {
        assert!(openssl::client(scene.relay.smtp(), old).is_none(), "{old}");
    }
    for (version, suites) in [("-tls1_2", ["ECDHE-"].as_slice()), ("-tls1_3", &["TLS_AES_", "TLS_CHACHA20_"])] {
        let said = openssl::client(scene.relay.smtp(), version).expect("TLS comes about");
        let cipher = said.lines().find(|line| line.contains("Cipher is ")).unwrap_or_default();
        let is_aead = cipher.contains("GCM") || cipher.contains("CHACHA20");
        assert!(is_aead && suites.iter().any(|suite| cipher.contains(suite)), "{version}: {cipher}");
        assert!(said.contains("Compression: NONE"), "{said}");
    }
}
