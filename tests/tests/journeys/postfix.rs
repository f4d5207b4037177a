//! Parity points 1 to 5 between real Postfix instances: one sends, sealwire relays, another receives or would have. What a
//! person finds in the sender's mailbox is read there, Postfix's own NDR for R1 included.

use sealwire_tests::certs::{self, Authority, Leaf};
use sealwire_tests::place;
use sealwire_tests::postfix::{Delivered, Postfix};

use super::scene::{Given, Scene, given, says, setting};

const CAROL: &str = "carol@sender.test";
const HOST: &str = "127.0.0.1";

/// A relay and the Postfix that sends through it, into whose mailbox reports come back.
fn with_sender(given: Given, client_tls: &str) -> (Scene, Postfix) {
    let home = place::free_address();
    let scene = given.home(home).start();
    let leaf = certs::self_signed(&["out.sender.test"]);
    let sender = Postfix::sender(scene.relay.smtp()).listen(home).offer_tls(&leaf).client_tls(client_tls).start();
    (scene, sender)
}

fn submit(sender: &Postfix, to: &str, subject: &str) {
    sender.submit(CAROL, &[to], &format!("From: Carol <{CAROL}>\nTo: <{to}>\nSubject: {subject}\n\nthe content\n"));
}

/// The report of `recipient` in the sender's mailbox.
#[track_caller]
fn report(sender: &Postfix, recipient: &str) -> Delivered {
    let report = sender.wait_for(&format!("Final-Recipient: rfc822; {recipient}"));
    assert_eq!((report.sender(), report.recipient()), ("", CAROL));
    report
}

/// Postfix counts the commands of every session it ends: no MAIL is among these.
#[track_caller]
fn assert_no_mail_command(next_hop: &Postfix) {
    next_hop.wait_for_log("disconnect from");
    let log = next_hop.log();
    let sessions: Vec<&str> = log.lines().filter(|line| line.contains("disconnect from")).collect();
    let with_ehlo: Vec<&&str> = sessions.iter().filter(|line| line.contains("ehlo=")).collect();
    assert_eq!(with_ehlo.len(), 1, "one attempt: {log}");
    assert!(!with_ehlo[0].contains("mail="), "{log}");
    assert!(next_hop.messages().is_empty());
}

#[test]
fn point_1_a_listed_recipient_behind_a_postfix_without_tls() {
    let next_hop = Postfix::next_hop().start();
    let given = given().route("partner", &["partner.test"], next_hop.address(), "").settings(&setting(
        "partners",
        "outbound",
        &["partner.test"],
        "",
    ));
    let (scene, sender) = with_sender(given, "may");
    submit(&sender, "bob@partner.test", "point 1");
    let report = report(&sender, "bob@partner.test");
    assert!(says(&report.text, "did not offer a secure (TLS) connection"), "{}", report.text);
    assert!(says(&report.text, "Rule R2: Mail to this recipient is sent over TLS only."), "{}", report.text);
    assert!(!says(&report.text, "the content"), "{}", report.text);
    scene.until_queue_is_empty();
    assert_no_mail_command(&next_hop);
}

#[test]
fn point_2_a_listed_recipient_behind_a_postfix_whose_handshake_fails() {
    // STARTTLS is offered, and no version that anybody should speak (RFC 8996).
    let leaf = certs::self_signed(&[HOST]);
    let next_hop = Postfix::next_hop().offer_tls(&leaf).tls_versions("<=TLSv1.1").start();
    let given = given().route("partner", &["partner.test"], next_hop.address(), "").settings(&setting(
        "partners",
        "outbound",
        &["partner.test"],
        "",
    ));
    let (scene, sender) = with_sender(given, "may");
    submit(&sender, "bob@partner.test", "point 2");
    let report = report(&sender, "bob@partner.test");
    assert!(says(&report.text, "failed to set up a secure (TLS) connection"), "{}", report.text);
    scene.until_queue_is_empty();
    assert_no_mail_command(&next_hop);
}

/// Certificates of the next hops, and whether mail passes with TLS alone, the CA option, the hostname option.
fn certificates(authority: &Authority) -> [(&'static str, Leaf, [bool; 3]); 4] {
    [
        ("good", authority.leaf(&[HOST]), [true, true, true]),
        ("self-signed", certs::self_signed(&[HOST]), [true, false, true]),
        ("expired", authority.expired(&[HOST]), [true, false, true]),
        ("other-name", authority.leaf(&["elsewhere.test"]), [true, true, false]),
    ]
}

const OPTIONS: [(&str, &str); 3] =
    [("tls", ""), ("ca", "require-ca-signed-certificate = true"), ("name", "validate-hostname = true")];

#[test]
fn point_3_postfix_next_hops_with_bad_certificates() {
    let authority = Authority::new("Test Authority");
    let hops =
        certificates(&authority).map(|(name, leaf, row)| (name, Postfix::next_hop().offer_tls(&leaf).start(), row));
    let domain = |option: &str, name: &str| format!("{option}-{name}.test");
    let mut given = given().believing(authority);
    for (name, hop, _) in &hops {
        let domains = OPTIONS.map(|(option, _)| domain(option, name));
        let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
        given = given.route(name, &domains, hop.address(), "");
    }
    for (option, lines) in OPTIONS {
        let domains: Vec<String> = hops.iter().map(|(name, ..)| domain(option, name)).collect();
        let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
        given = given.settings(&setting(option, "outbound", &domains, lines));
    }
    let (scene, sender) = with_sender(given, "may");
    for (name, ..) in &hops {
        for (option, _) in OPTIONS {
            submit(&sender, &format!("bob@{}", domain(option, name)), &format!("{option} {name}"));
        }
    }
    for (name, hop, row) in &hops {
        for ((option, _), passes) in OPTIONS.iter().zip(row) {
            let recipient = format!("bob@{}", domain(option, name));
            if *passes {
                let delivered = hop.wait_for(&format!("Subject: {option} {name}"));
                assert_eq!(delivered.recipient(), recipient);
                assert!(delivered.text.contains("using TLSv1.3"), "{}", delivered.text);
            } else {
                report(&sender, &recipient);
            }
        }
    }
    scene.until_queue_is_empty();
    for (name, hop, row) in &hops {
        let passing = row.iter().filter(|passes| **passes).count();
        assert_eq!(hop.messages().len(), passing, "{name}: nothing else has come");
    }
}

#[test]
fn point_4_an_unlisted_recipient_behind_postfix_in_clear_with_any_certificate_and_with_a_failing_handshake() {
    let leaf = certs::self_signed(&["elsewhere.test"]);
    let (clear, secured) = (Postfix::next_hop().start(), Postfix::next_hop().offer_tls(&leaf).start());
    let failing = Postfix::next_hop().offer_tls(&leaf).tls_versions("<=TLSv1.1").start();
    let given = given()
        .route("clear", &["clear.test"], clear.address(), "")
        .route("secured", &["secured.test"], secured.address(), "")
        .route("failing", &["failing.test"], failing.address(), "");
    let (scene, sender) = with_sender(given, "may");
    for (domain, hop, by_tls) in
        [("clear.test", &clear, false), ("secured.test", &secured, true), ("failing.test", &failing, false)]
    {
        submit(&sender, &format!("bob@{domain}"), domain);
        let delivered = hop.wait_for(&format!("Subject: {domain}"));
        let last_hop = delivered.header("Received");
        assert!(last_hop.contains("relay.test"), "{}", delivered.text);
        assert_eq!(top_received(&delivered).contains("using TLS"), by_tls, "{}", delivered.text);
    }
    scene.until_queue_is_empty();
}

/// The uppermost Received field, its folded lines included: the one the next hop wrote.
fn top_received(delivered: &Delivered) -> String {
    let mut lines = delivered.text.lines().skip_while(|line| !line.starts_with("Received:"));
    let first = lines.next().unwrap_or_default().to_owned();
    lines.take_while(|line| line.starts_with([' ', '\t'])).fold(first, |field, line| field + line)
}

#[test]
fn point_5_a_listed_sender_whose_postfix_sends_in_clear_reads_rule_reason_and_remedy_in_its_own_ndr() {
    let next_hop = Postfix::next_hop().start();
    let listed = || {
        given().route("ours", &["ours.test"], next_hop.address(), "").settings(&setting(
            "partners",
            "inbound",
            &["sender.test"],
            "",
        ))
    };
    let (scene, sender) = with_sender(listed(), "none");
    submit(&sender, "bob@ours.test", "point 5 in clear");
    // Postfix writes this one, from our reply.
    let ndr = report(&sender, "bob@ours.test");
    assert!(ndr.text.contains("MAILER-DAEMON@out.sender.test"), "{}", ndr.text);
    for words in [
        "550 5.7.10 Encryption needed: mail from sender.test is accepted here over TLS only.",
        "Turn on STARTTLS in the sending mail server, then send again.",
        "(rule R1)",
        "(in reply to end of DATA command)",
    ] {
        assert!(says(&ndr.text, words), "`{words}` is not in the NDR:\n{}", ndr.text);
    }
    assert!(scene.queue().is_empty() && !scene.is_spooled("the content"), "nothing is stored here");
    assert!(next_hop.messages().is_empty());

    let (scene, sender) = with_sender(listed(), "encrypt");
    submit(&sender, "bob@ours.test", "point 5 by TLS");
    let delivered = next_hop.wait_for("Subject: point 5 by TLS");
    assert_eq!(delivered.sender(), CAROL);
    // Our own Received, the second: Postfix has put its own above it.
    for words in ["by relay.test with ESMTPS id", "tls TLS_AES_128_GCM_SHA256 (TLSv1.3)"] {
        assert!(says(&delivered.text, words), "no `{words}` in our Received: {}", delivered.text);
    }
    scene.until_queue_is_empty();
    assert_eq!(next_hop.messages().len(), 1);
}
