//! H7: a connection serves another message to the same next hop with the same floor, and no other; every message is judged,
//! on a warm connection too.

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::{FakePeer, Script};

use super::scene::{ALICE, Scene, given, setting};

#[test]
fn a_warm_connection_serves_the_same_floor_and_judges_every_message() {
    let peer = Script::tls(&certs::self_signed(&["127.0.0.1"])).start();
    let scene = given()
        .route("partner", &["partner.test"], peer.address(), "")
        .settings(&setting("partners", "outbound", &["dave@partner.test"], ""))
        .start();
    // Recipient, sessions that the peer has seen after it: dave's floor is another one, and carol's is still warm then.
    let rows = [("bob@partner.test", 1), ("carol@partner.test", 1), ("dave@partner.test", 2), ("erin@partner.test", 2)];
    for (number, (recipient, sessions)) in rows.into_iter().enumerate() {
        deliver(&scene, &peer, recipient);
        assert_eq!(peer.sessions().len(), sessions, "{recipient}");
        assert_eq!(judged(&scene).len(), number + 1, "{recipient} was judged by itself: {:?}", judged(&scene));
    }
    let counts: Vec<usize> = peer.sessions().iter().map(|session| session.messages.len()).collect();
    assert_eq!(counts, [3, 1]);
    peer.assert_no_mail_in_clear();

    // Other settings are another generation, and nothing of the old one serves it.
    assert!(scene.apply(&setting("partners", "outbound", &["frank@partner.test"], "")).status.success());
    deliver(&scene, &peer, "bob@partner.test");
    assert_eq!(peer.sessions().len(), 3);
}

/// An empty queue means that the connection waits again.
#[track_caller]
fn deliver(scene: &Scene, peer: &FakePeer, recipient: &str) {
    scene.submit(ALICE, &[recipient], recipient);
    assert_eq!(scene.fate(&[peer], recipient).word(), "by TLS", "{recipient}");
    scene.until_queue_is_empty();
}

/// The messages about which the built-in policy was asked to judge, in order, each as often as it was.
fn judged(scene: &Scene) -> Vec<String> {
    let decisions = scene.log(&["--event", "decision"]);
    let judged = decisions.iter().filter(|decision| decision["hook"] == "judge");
    let mut messages: Vec<String> = judged.map(|decision| decision["message"].to_string()).collect();
    let asked = messages.len();
    messages.dedup();
    assert_eq!(messages.len(), asked, "each message once for its one host");
    messages
}

/// A resumed session is judged by the chain it was made with, as of today; a host whose resumed session will not do is asked for
/// its chain before it is found wanting.
#[test]
fn a_resumed_session_is_judged_and_is_never_the_last_word() {
    let authority = Authority::new("Test Authority");
    let good = Script::tls(&authority.leaf(&["127.0.0.1"]));
    let own = Script::tls(&certs::self_signed(&["127.0.0.1"]));
    let peer = own.start();
    let scene = given()
        .route("partner", &["partner.test", "tls.test", "strict.test"], peer.address(), "")
        .settings(&setting("tls", "outbound", &["tls.test"], ""))
        .settings(&setting("strict", "outbound", &["strict.test"], "require-ca-signed-certificate = true"))
        .believing(authority)
        .start();
    let resumed = || -> Vec<bool> {
        peer.sessions().iter().filter_map(|session| session.tls.as_ref()).map(|tls| tls.resumed).collect()
    };
    // Another floor is another connection (H7).
    deliver(&scene, &peer, "bob@partner.test");
    deliver(&scene, &peer, "carol@tls.test");
    assert_eq!(resumed(), [false, true]);
    let evidence = scene.ledger("attempted", "carol@tls.test");
    assert_eq!(evidence[0]["result"]["tls"]["resumed"], true, "{evidence:#?}");
    assert_eq!(evidence[0]["result"]["tls"]["chain"], "certificate-not-trusted", "{evidence:#?}");

    // The chain of the resumed session is not trusted; asked again the host says the same, and that stands.
    scene.submit(ALICE, &["dave@strict.test"], "strict");
    scene.report("dave@strict.test").assert_says("is not signed by a trusted authority");
    assert_eq!(resumed(), [false, true, true, false]);

    // With a good certificate, which a resumed session does not show, the mail goes.
    peer.become_(good);
    deliver(&scene, &peer, "erin@strict.test");
    peer.assert_no_mail_in_clear();
}
