//! H9: what "one attempt" means while some host cannot be asked. A host that is away or says "not now" is asked again;
//! a few times, then the last result stands, and the report names the hosts that could not be asked.

use sealwire_tests::certs;
use sealwire_tests::fake_peer::{Action, FakePeer, GREETING, Handshake, Script, reply};
use sealwire_tests::place;

use super::scene::{ALICE, Scene, given, setting};

const BOB: &str = "bob@partner.test";

fn tls() -> Script {
    Script::tls(&certs::self_signed(&["127.0.0.1"]))
}

/// A relay with one listed partner behind these hosts.
fn scene(hosts: &[&FakePeer], schedule: &str) -> Scene {
    let addresses: Vec<_> = hosts.iter().map(|peer| peer.address()).collect();
    given()
        .hosts("partner", &["partner.test"], &addresses, "")
        .schedule(schedule)
        .settings(&setting("partners", "outbound", &["partner.test"], ""))
        .start()
}

#[test]
fn what_says_nothing_about_tls_does_not_bring_the_message_back_at_once() {
    let rows = [
        ("closes at the connection", tls().answer(GREETING, Action::Drop), "inconclusive"),
        ("4xx greeting", tls().answer(GREETING, reply("421 4.3.2 not now")), "inconclusive"),
        ("4xx to EHLO", tls().answer("EHLO", reply("421 4.3.2 not now")), "inconclusive"),
        ("454 to STARTTLS", tls().answer("STARTTLS", reply("454 4.7.0 not now")), "floor-unmet"),
        ("closes in the handshake", tls().handshake(Handshake::Abort), "floor-unmet"),
        ("421 to EHLO, over TLS", tls().answer_in_tls("EHLO", reply("421 4.3.2 not now")), "inconclusive"),
        ("450 to MAIL, over TLS", tls().answer("MAIL", reply("450 4.2.0 greylisted")), "inconclusive"),
        ("450 to RCPT, over TLS", tls().answer("RCPT", reply("450 4.2.0 greylisted")), "inconclusive"),
    ];
    let (mut given, mut cases) = (given(), Vec::new());
    for (number, (name, script, outcome)) in rows.into_iter().enumerate() {
        let (peer, domain) = (script.start(), format!("case-{number}.test"));
        given = given.route(&format!("case-{number}"), &[&domain], peer.address(), "");
        cases.push((name, peer, format!("bob@{domain}"), domain, outcome));
    }
    let domains: Vec<&str> = cases.iter().map(|(_, _, _, domain, _)| domain.as_str()).collect();
    let scene = given.settings(&setting("partners", "outbound", &domains, "")).start();
    for (name, _, recipient, ..) in &cases {
        scene.submit(ALICE, &[recipient], name);
    }
    for (name, peer, recipient, _, outcome) in &cases {
        let rounds = scene.rounds(recipient, 1);
        assert_eq!(rounds[0]["result"]["outcome"], *outcome, "{name}: {rounds:#?}");
        assert!(
            rounds[0]["settlement"].as_str().is_some_and(|text| text.starts_with("again at")),
            "{name}: {rounds:#?}"
        );
        peer.assert_no_mail_in_clear();
    }
    assert_eq!(scene.queue().len(), cases.len());
    assert!(scene.home.sessions().is_empty());

    // Once the hosts do what they should, the mail goes out.
    cases.iter().for_each(|(_, peer, ..)| peer.become_(tls()));
    assert!(scene.relay.run(&["queue", "retry", "--all"]).status.success());
    for (name, peer, recipient, ..) in &cases {
        assert_eq!(scene.fate(&[peer], recipient).word(), "by TLS", "{name}");
    }
    scene.until_queue_is_empty();
}

#[test]
fn an_answer_that_stays_inconclusive_stands_after_the_repeats() {
    let peer = tls().answer("STARTTLS", reply("454 4.7.0 not now")).start();
    let scene = scene(&[&peer], "first-retry = \"1s\"\nmax-interval = \"1s\"\ninconclusive-repeats = 1\n");
    scene.submit(ALICE, &[BOB], "not now");
    let report = scene.report(BOB);
    report.assert_says("could not be asked for a secure (TLS) connection: 454 4.7.0 not now");
    report.assert_says("As not every mail server could be asked, 2 attempts were made");
    report.assert_says("Status: 5.7.10");
    assert_eq!(peer.sessions().len(), 2);
    peer.assert_no_mail_in_clear();
    scene.until_queue_is_empty();
}

#[test]
fn without_repeats_the_report_names_the_hosts_that_could_not_be_asked() {
    let (clear, away) = (Script::clear().start(), tls().answer(GREETING, reply("421 4.3.2 not now")).start());
    let scene = scene(&[&clear, &away], "inconclusive-repeats = 0\n");
    scene.submit(ALICE, &[BOB], "one of two");
    let report = scene.report(BOB);
    report.assert_says(&format!("({}) did not offer a secure (TLS) connection", clear.address()));
    report.assert_says("The mail server 127.0.0.1 could not be asked:");
    report.assert_says("421 4.3.2 not now");
    assert_eq!((clear.sessions().len(), away.sessions().len()), (1, 1));
    scene.until_queue_is_empty();
}

/// The one host that could do TLS was away in the first round only.
#[test]
fn a_repeat_finds_the_host_that_was_away() {
    let (clear, away) = (Script::clear().start(), tls().answer_times(1, GREETING, Action::Drop).start());
    let scene = scene(&[&clear, &away], "first-retry = \"1s\"\nmax-interval = \"1s\"\n");
    scene.submit(ALICE, &[BOB], "the second round");
    assert_eq!(scene.fate(&[&clear, &away], BOB).word(), "by TLS");
    clear.assert_no_mail_in_clear();
    assert_eq!(scene.rounds(BOB, 2).len(), 2);
    scene.until_queue_is_empty();
}

#[test]
fn a_host_where_nobody_listens_uses_nothing_up_and_expires() {
    let scene = given()
        .route("partner", &["partner.test"], place::free_address(), "")
        .schedule("first-retry = \"1s\"\nmax-interval = \"1s\"\nexpire-after = \"2s\"\ninconclusive-repeats = 0\n")
        .settings(&setting("partners", "outbound", &["partner.test"], ""))
        .start();
    scene.submit(ALICE, &[BOB], "nobody listens");
    let report = scene.report(BOB);
    report.assert_says("The message could not be delivered within 2 seconds");
    report.assert_says("Status: 5.4.7");
    scene.until_queue_is_empty();
}
