//! R9: mail to an unlisted recipient takes TLS where that works, whatever the certificate, and clear text where it does not;
//! after a handshake that failed on a new connection only (parity point 4).

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::{FakePeer, Script, bad_certificates, without_tls};

use super::scene::{ALICE, given, setting};

#[test]
fn an_unlisted_recipient_gets_the_message_by_whatever_works() {
    let authority = Authority::new("Test Authority");
    let secured = bad_certificates(&authority, "127.0.0.1").into_iter();
    let secured = secured.chain([("good", Script::tls(&authority.leaf(&["127.0.0.1"])))]);
    let mut scripts: Vec<_> = secured.map(|(name, script)| (name, script, "by TLS")).collect();
    // Who does not get as far as EHLO has not said anything about TLS: that mail waits (see one_attempt).
    let silent = ["closes at the connection", "4xx greeting"];
    let clear = without_tls(&certs::self_signed(&["127.0.0.1"])).into_iter();
    scripts.extend(clear.filter(|(name, _)| !silent.contains(name)).map(|(name, script)| (name, script, "in clear")));

    let (mut given, mut cases) = (given().believing(authority), Vec::new());
    for (number, (name, script, expected)) in scripts.into_iter().enumerate() {
        let (domain, peer) = (format!("case-{number}.test"), script.start());
        given = given.route(&format!("case-{number}"), &[&domain], peer.address(), "");
        cases.push((name, domain, peer, expected));
    }
    let scene = given.settings(&setting("partners", "outbound", &["somebody-else.test"], "")).start();
    for (name, domain, ..) in &cases {
        scene.submit(ALICE, &[&format!("bob@{domain}")], name);
    }
    for (name, domain, peer, expected) in &cases {
        let fate = scene.fate(&[peer], &format!("bob@{domain}"));
        assert_eq!(fate.word(), *expected, "{name}");
        assert_clear_text_only_on_a_new_connection(name, peer);
    }
    scene.until_queue_is_empty();
}

/// A session that has answered 220 to STARTTLS never carries clear text again.
#[track_caller]
fn assert_clear_text_only_on_a_new_connection(name: &str, peer: &FakePeer) {
    let sessions = peer.sessions();
    for session in sessions.iter().filter(|session| session.tls_from.is_some()) {
        assert!(!session.mail_in_clear(), "{name}: {session}");
    }
    let tls_was_begun = sessions.iter().any(|session| session.tls_from.is_some());
    let tls_came_about = sessions.iter().any(|session| session.tls.is_some() && !session.messages.is_empty());
    if tls_was_begun && !tls_came_about {
        assert!(sessions.len() >= 2, "{name}: a new connection was needed");
        assert!(sessions.last().is_some_and(|session| session.mail_in_clear()), "{name}: {sessions:#?}");
    }
}
