//! R9: mail to an unlisted recipient takes TLS where that works, whatever the certificate, and clear text where it does not;
//! after a handshake that failed on a new connection only (parity point 4).

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::{FakePeer, Script, bad_certificates, reply, without_tls};

use super::scene::{ALICE, Scene, given, setting};

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
        assert_says_why(&scene, name, &format!("bob@{domain}"), *expected == "in clear");
    }
    scene.until_queue_is_empty();
}

/// RFC 5321 section 3.8: 421 inside TLS says nothing of TLS. The mail waits, and clear text is no answer to it.
#[test]
fn a_host_that_takes_leave_inside_tls_gets_nothing_in_clear() {
    let tls = || Script::tls(&certs::self_signed(&["127.0.0.1"]));
    for said in ["421 4.3.2 too busy", "550 5.7.1 not from there"] {
        let peer = tls().answer_in_tls("EHLO", reply(said)).start();
        let scene = given().route("partner", &["partner.test"], peer.address(), "").start();
        scene.submit(ALICE, &["bob@partner.test"], said);
        let rounds = scene.rounds("bob@partner.test", 1);
        assert_eq!(rounds[0]["result"]["outcome"], "inconclusive", "{rounds:#?}");
        assert!(rounds[0]["result"].to_string().contains(said), "{rounds:#?}");
        assert_eq!((peer.wait_for_ended(1).len(), scene.queued_for("bob@partner.test")), (1, 1), "{said}");
        peer.become_(tls());
        scene.relay.run(&["queue", "retry", "--all"]);
        assert_eq!(scene.fate(&[&peer], "bob@partner.test").word(), "by TLS", "{said}");
        peer.assert_no_mail_in_clear();
    }
}

/// The ledger, `log` and `explain` say why a message went in clear.
#[track_caller]
fn assert_says_why(scene: &Scene, name: &str, recipient: &str, in_clear: bool) {
    let words = match name {
        _ if !in_clear => None,
        "does not offer STARTTLS" => Some("did not offer STARTTLS"),
        "454 to STARTTLS" => Some("could not be asked for a secure (TLS) connection: 454 4.7.0"),
        "501 to STARTTLS" => Some("refused to start a secure (TLS) connection: 501 5.5.4"),
        "502 to STARTTLS" => Some("refused to start a secure (TLS) connection: 502 5.5.1"),
        "garbage in the handshake" => Some("failed to set up a secure (TLS) connection: the TLS handshake failed"),
        _ => Some("(TLS) connection: "),
    };
    let round = &scene.rounds(recipient, 1)[0];
    let why = round["result"]["in_clear"].as_str();
    assert_eq!(why.is_some(), in_clear, "{name}: {round:#}");
    let (Some(why), Some(words)) = (why, words) else { return };
    assert!(why.contains(words), "{name}: {why}");
    let same_connection = ["does not offer STARTTLS", "454 to STARTTLS", "501 to STARTTLS", "502 to STARTTLS"];
    assert_eq!(why.ends_with("; it was connected anew"), !same_connection.contains(&name), "{name}: {why}");
    let message = round["message"].as_str().unwrap_or_default();
    for command in [["log", "--message", message].as_slice(), &["explain", message]] {
        let shown = scene.relay.run(command).out;
        assert!(shown.contains(&format!("(in clear, as it {why})")), "{name}: {command:?}: {shown}");
    }
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
