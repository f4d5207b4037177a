//! R2, R6, H2: mail to a listed recipient leaves over TLS or comes back, after one attempt, and not one octet of MAIL goes
//! out in clear: that is read from the next hop's raw capture (parity points 1 and 2).

use std::time::{Duration, Instant};

use sealwire_tests::certs;
use sealwire_tests::fake_peer::{Action, FakePeer, Script, without_tls};
use serde_json::Value;

use super::scene::{ALICE, Report, Scene, given, setting};

/// Of the peers without TLS, those that say so, once and for all. What the others do may be different next time: H9.
fn conclusive() -> Vec<(String, String, Script)> {
    let inconclusive = [
        "454 to STARTTLS",
        "closes at STARTTLS",
        "closes in the handshake",
        "closes at the connection",
        "4xx greeting",
    ];
    let peers = without_tls(&certs::self_signed(&["127.0.0.1"]));
    let peers = peers.into_iter().filter(|(name, _)| !inconclusive.contains(name)).enumerate();
    peers.map(|(number, (name, script))| (name.to_owned(), format!("case-{number}.test"), script)).collect()
}

/// Asserts that the message went nowhere and came back: one session, no MAIL in clear, one round, nothing queued.
#[track_caller]
fn assert_came_back(scene: &Scene, name: &str, recipient: &str, peers: &[FakePeer]) -> Report {
    let report = scene.report(recipient);
    for peer in peers {
        let sessions = peer.wait_for_ended(1);
        assert_eq!(sessions.len(), 1, "{name}: one attempt is one session with each host");
        peer.assert_no_mail_in_clear();
        let session = &sessions[0];
        for said in [session.clear(), session.secured()] {
            assert!(!said.contains("MAIL") && !said.contains("RCPT") && !said.contains("DATA"), "{name}: {session}");
        }
    }
    let rounds = scene.rounds(recipient, 1);
    assert_eq!(rounds.len(), 1, "{name}: {rounds:#?}");
    assert_eq!(rounds[0]["result"]["outcome"], Value::from("floor-unmet"), "{name}: {rounds:#?}");
    report
}

#[test]
fn a_listed_recipient_whose_host_does_no_tls_gets_nothing_and_the_sender_a_report() {
    let (mut given, mut cases) = (given(), Vec::new());
    for (name, domain, script) in conclusive() {
        let peer = script.start();
        given = given.route(&domain.replace('.', "-"), &[&domain], peer.address(), "");
        cases.push((name, domain, [peer]));
    }
    let domains: Vec<&str> = cases.iter().map(|(_, domain, _)| domain.as_str()).collect();
    let scene = given.settings(&setting("partners", "outbound", &domains, "")).start();

    let began = Instant::now();
    for (name, domain, _) in &cases {
        scene.submit(ALICE, &[&format!("bob@{domain}")], name);
    }
    for (name, domain, peer) in &cases {
        let report = assert_came_back(&scene, name, &format!("bob@{domain}"), peer);
        report.assert_says("Rule R2: Mail to this recipient is sent over TLS only.");
        report.assert_says("One attempt was made; the message will not be tried again.");
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?} until the last report", began.elapsed());
    scene.until_queue_is_empty();
}

#[test]
fn one_attempt_asks_every_host_once() {
    let peers: Vec<FakePeer> = (0..3).map(|_| Script::clear().start()).collect();
    let addresses: Vec<_> = peers.iter().map(FakePeer::address).collect();
    let scene = given()
        .hosts("partner", &["partner.test"], &addresses, "")
        .settings(&setting("partners", "outbound", &["partner.test"], ""))
        .start();
    scene.submit(ALICE, &["bob@partner.test"], "three hosts");
    let report = assert_came_back(&scene, "three hosts", "bob@partner.test", &peers);
    for address in addresses {
        report.assert_says(&format!("({address}) did not offer a secure (TLS) connection"));
    }
    scene.until_queue_is_empty();
}

#[test]
fn a_host_with_tls_behind_one_without_gets_the_message() {
    let (without, with) = (Script::clear().start(), Script::tls(&certs::self_signed(&["127.0.0.1"])).start());
    let scene = given()
        .hosts("partner", &["partner.test"], &[without.address(), with.address()], "")
        .settings(&setting("partners", "outbound", &["partner.test"], ""))
        .start();
    scene.submit(ALICE, &["bob@partner.test"], "the second host");
    assert_eq!(scene.fate(&[&without, &with], "bob@partner.test").word(), "by TLS");
    without.assert_no_mail_in_clear();
    with.assert_no_mail_in_clear();
    scene.until_queue_is_empty();
}

/// One message, two recipients: the listed one's protection does not depend on who else gets the message.
#[test]
fn a_listed_and_an_unlisted_recipient_of_one_message_go_their_own_ways() {
    let (strict, lax) = (Script::clear().start(), Script::clear().start());
    let scene = given()
        // A hosted domain's way out is a way out (R11).
        .config("hosted-domains = [\"strict.test\"]\n")
        .route("strict", &["strict.test"], strict.address(), "")
        .route("lax", &["lax.test"], lax.address(), "")
        .settings(&setting("partners", "outbound", &["strict.test", "eve@lax.test"], ""))
        .start();
    scene.submit(ALICE, &["bob@strict.test", "bob@lax.test", "eve@lax.test"], "to three");
    assert_eq!(scene.fate(&[&lax], "bob@lax.test").word(), "in clear");
    for listed in ["bob@strict.test", "eve@lax.test"] {
        assert_eq!(scene.fate(&[&strict, &lax], listed).word(), "reported", "{listed}");
    }
    strict.assert_no_mail_in_clear();
    let received: Vec<_> = lax.messages().into_iter().flat_map(|message| message.recipients).collect();
    assert_eq!(received, ["<bob@lax.test>"], "and nobody else");
    scene.until_queue_is_empty();
}

/// The next hop loses its TLS between two messages: the connection that served one is no proof for the other.
#[test]
fn a_host_that_loses_its_tls_gets_nothing_more() {
    let peer = Script::tls(&certs::self_signed(&["127.0.0.1"])).start();
    let scene = given()
        .route("partner", &["partner.test"], peer.address(), "")
        .settings(&setting("partners", "outbound", &["partner.test"], ""))
        .start();
    scene.submit(ALICE, &["bob@partner.test"], "with TLS");
    assert_eq!(scene.fate(&[&peer], "bob@partner.test").word(), "by TLS");

    // A connection that was kept breaks at MAIL; the new one offers no TLS.
    peer.become_(Script::clear().answer("MAIL", Action::Drop));
    scene.submit(ALICE, &["carol@partner.test"], "without TLS");
    assert_eq!(scene.fate(&[&peer], "carol@partner.test").word(), "reported");
    peer.assert_no_mail_in_clear();
}

/// TLS from the first octet, as on port 465: not a word is said in clear, and a host without it gets nothing.
#[test]
fn a_route_with_implicit_tls_says_nothing_in_clear() {
    let leaf = certs::self_signed(&["127.0.0.1"]);
    let (implicit, clear) = (Script::tls(&leaf).implicit().start(), Script::clear().start());
    let more = "implicit-tls = true\ntls = \"required\"";
    let scene = given()
        .schedule("inconclusive-repeats = 0\n")
        .route("implicit", &["implicit.test"], implicit.address(), more)
        .route("clear", &["clear.test"], clear.address(), more)
        .start();
    scene.submit(ALICE, &["bob@implicit.test"], "TLS from the first octet");
    assert_eq!(scene.fate(&[&implicit], "bob@implicit.test").word(), "by TLS");
    scene.submit(ALICE, &["bob@clear.test"], "no TLS there");
    let round = scene.rounds("bob@clear.test", 1)[0].clone();
    assert_eq!(round["result"]["outcome"], "floor-unmet", "{round:#}");
    assert!(implicit.sessions().iter().all(|session| session.clear().is_empty() && session.tls.is_some()));
    for peer in [&implicit, &clear] {
        peer.assert_no_mail_in_clear();
    }
}
