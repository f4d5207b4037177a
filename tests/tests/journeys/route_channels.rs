//! What a route asks of its channels besides chain, name and version.

use std::fmt::Write as _;

use sealwire_tests::certs::{self, Leaf};
use sealwire_tests::fake_peer::Script;
use sha2::{Digest, Sha256};

use super::scene::{ALICE, given};

const HOST: &str = "127.0.0.1";

/// The suite is spoken or the mail waits; the peer, which knows all, is offered no other.
#[test]
fn a_routes_cipher_suites_are_offered_and_no_others() {
    let leaf = certs::self_signed(&[HOST]);
    let (v12, v13) = (&[&rustls::version::TLS12][..], &[&rustls::version::TLS13][..]);
    // (suites of the route, versions of the host, the one spoken; None: none)
    let rows = [
        ("TLS_AES_256_GCM_SHA384", v13, Some("TLS_AES_256_GCM_SHA384")),
        ("TLS_CHACHA20_POLY1305_SHA256", v13, Some("TLS_CHACHA20_POLY1305_SHA256")),
        ("TLS_AES_256_GCM_SHA384", v12, None),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", v12, Some("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", v13, None),
        // The host's key is of another kind.
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", v12, None),
    ];
    for (suite, versions, spoken) in rows {
        let peer = Script::tls_versions(&leaf, versions).start();
        let more = format!("cipher-suites = [{suite:?}]");
        let scene = given().route("partner", &["partner.test"], peer.address(), &more).start();
        scene.submit(ALICE, &["bob@partner.test"], suite);
        let round = scene.rounds("bob@partner.test", 1)[0].to_string();
        assert_eq!(peer.messages().len(), usize::from(spoken.is_some()), "{suite}: {round}");
        peer.assert_no_mail_in_clear();
        match spoken {
            Some(spoken) => assert!(round.contains(&format!("\"cipher_suite\":\"{spoken}\"")), "{suite}: {round}"),
            None => assert!(round.contains("no common TLS version or cipher"), "{suite}: {round}"),
        }
    }
}

fn pin(leaf: &Leaf) -> String {
    Sha256::digest(leaf.public_key()).iter().fold("sha256:".to_owned(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// The old key, both, the new one: mail goes on through all of it, and once the old pin is out the old key is nobody's.
#[test]
fn a_pinned_key_is_changed_while_mail_flows() {
    let (old, new) = (certs::self_signed(&[HOST]), certs::self_signed(&[HOST]));
    let pins = |leaves: &[&Leaf]| format!("pins = {:?}", leaves.iter().map(|leaf| pin(leaf)).collect::<Vec<_>>());
    // (pins, key of the host, mail goes)
    let rows = [
        ("old alone", pins(&[&old]), &old, true),
        ("both, old key", pins(&[&old, &new]), &old, true),
        ("both, new key", pins(&[&old, &new]), &new, true),
        ("new alone", pins(&[&new]), &new, true),
        ("new alone, old key", pins(&[&new]), &old, false),
        ("old alone, new key", pins(&[&old]), &new, false),
    ];
    for (name, pins, key, goes) in rows {
        let peer = Script::tls(key).start();
        let scene = given().route("partner", &["partner.test"], peer.address(), &pins).start();
        scene.submit(ALICE, &["bob@partner.test"], name);
        let round = scene.rounds("bob@partner.test", 1)[0].to_string();
        assert_eq!(peer.messages().len(), usize::from(goes), "{name}: {round}");
        peer.assert_no_mail_in_clear();
        assert_eq!(round.contains("floor-unmet"), !goes, "{name}: {round}");
    }
}
