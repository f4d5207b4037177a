//! What a route asks of its channels besides chain, name and version.

use sealwire_tests::certs;
use sealwire_tests::fake_peer::Script;

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
