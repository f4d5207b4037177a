//! Reports as their recipients read them: which message, to whom, what happened, which rule, what to do. And what a report
//! must not do: carry the content, cause another report, or go home with less protection than the message came with.

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::{Script, reply};

use super::scene::{ALICE, given, setting};

const BOB: &str = "bob@partner.test";

#[test]
fn a_report_tells_what_happened_why_and_what_to_do() {
    let authority = Authority::new("Test Authority");
    let peer = Script::tls(&certs::self_signed(&["127.0.0.1"])).start();
    let host = peer.address();
    let scene = given()
        .believing(authority)
        .route("partner", &["partner.test"], host, "")
        .settings(&setting("Partners", "outbound", &["partner.test"], "require-ca-signed-certificate = true"))
        .start();
    scene.submit(ALICE, &[BOB], "Quarterly figures");
    let report = scene.report(BOB);
    for sentence in [
        // For a person.
        "Your message was not delivered to this recipient: bob@partner.test",
        "Subject: Quarterly figures",
        "What happened: Nothing of the message was sent. One attempt was made; the message will not be tried again.",
        &format!(
            "The mail server 127.0.0.1 ({host}) offered a secure (TLS) connection, but its certificate is not signed by \
             a trusted authority (CA)"
        ),
        "Why: The organization that runs this relay requires that this message to partner.test travels only over a secure \
         (TLS) connection, with a certificate signed by a trusted authority (CA).",
        "Rule R4: The receiving mail server must present a certificate signed by a trusted certificate authority.",
        "What you can do: Ask the recipient for an address on a mail server that meets this requirement",
        "If you think that the requirement is wrong, ask postmaster@relay.test.",
        "What the administrators of 127.0.0.1 can do: Install on 127.0.0.1 a certificate that a public certification \
         authority has signed",
        // For a program.
        "Reporting-MTA: dns; relay.test",
        "Final-Recipient: rfc822; bob@partner.test Action: failed Status: 5.7.5",
        "From: Mail Delivery System <MAILER-DAEMON@relay.test> To: alice@sender.test",
        "Auto-Submitted: auto-replied",
        "Content-Type: multipart/report; report-type=delivery-status;",
    ] {
        report.assert_says(sentence);
    }
    // What matched and which setting it was are the operator's; a local decision quotes no peer.
    for private in ["setting \"Partners\"", "Diagnostic-Code", "X-"] {
        assert!(!report.says(private), "{private}: {}", report.data);
    }
    let log = scene.relay.run(&["log"]);
    assert!(log.status.success() && log.out.contains("R4"), "{}{}", log.out, log.err);
}

#[test]
fn a_report_quotes_the_next_hop_that_refused() {
    let peer = Script::clear().answer("RCPT", reply("550 5.1.1 no such user here")).start();
    let scene = given().route("partner", &["partner.test"], peer.address(), "").start();
    scene.submit(ALICE, &[BOB], "a wrong address");
    let report = scene.report(BOB);
    report.assert_says("The mail server 127.0.0.1 answered: 550 5.1.1 no such user here");
    report.assert_says("Diagnostic-Code: smtp; 550 5.1.1 no such user here");
    report.assert_says("Status: 5.1.1");
}

/// One report for what failed together, and only the header of the message.
#[test]
fn a_report_carries_the_header_and_not_the_content() {
    let peer = Script::clear().start();
    let scene = given()
        .route("partner", &["partner.test"], peer.address(), "")
        .settings(&setting("partners", "outbound", &["partner.test"], ""))
        .start();
    let content = "From: <alice@sender.test>\nSubject: a secret\nX-Mark: in the header\n\nthe content itself\n";
    scene.hand_in(ALICE, &[BOB, "carol@partner.test"], content);
    let report = scene.report(BOB);
    report.assert_says("Your message was not delivered to these recipients:");
    report.assert_says("Final-Recipient: rfc822; carol@partner.test");
    report.assert_says("X-Mark: in the header");
    assert!(!report.says("the content itself"), "{}", report.data);
    scene.until_queue_is_empty();
    assert_eq!(scene.home.messages().len(), 1);
    assert!(scene.home.messages()[0].mail_from.starts_with("<>"), "from the null sender");
}

/// H6: what came by TLS is not told of in clear. H5: a report that cannot go out is the operator's, and nobody else's.
#[test]
fn a_report_of_a_message_that_came_by_tls_goes_by_tls_or_not_at_all() {
    let partner = Script::clear().start();
    let settings = setting("partners", "outbound", &["partner.test"], "");
    let scene = given().route("partner", &["partner.test"], partner.address(), "").settings(&settings).start();
    scene.swaks(ALICE, BOB, &["--tls"]).assert_accepted();
    scene.report(BOB);
    assert!(scene.home.messages()[0].by_tls);

    let home = Script::clear().start();
    let scene = given()
        .home(home.address())
        .route("partner", &["partner.test"], partner.address(), "")
        .schedule("first-retry = \"1s\"\nmax-interval = \"1s\"\nexpire-after = \"2s\"\n")
        .settings(&settings)
        .start();
    scene.swaks(ALICE, BOB, &["--tls"]).assert_accepted();
    scene.rounds("alice@sender.test", 1);
    scene.until_queue_is_empty();
    home.assert_no_mail_in_clear();
    let alerts = scene.relay.json(&["status"])["alerts"].to_string();
    assert!(alerts.contains("could not be delivered"), "{alerts}");

    // The same message in clear may be told of in clear.
    scene.submit(ALICE, &["carol@partner.test"], "in clear");
    home.wait_for_messages(1);
}

#[test]
fn nobody_is_told_of_a_message_from_the_null_sender() {
    let peer = Script::clear().start();
    let scene = given()
        .route("partner", &["partner.test"], peer.address(), "")
        .settings(&setting("partners", "outbound", &["partner.test"], ""))
        .start();
    scene.hand_in("", &[BOB], "From: <MAILER-DAEMON@sender.test>\nSubject: a report\n\ntext\n");
    scene.rounds(BOB, 1);
    scene.until_queue_is_empty();
    assert!(scene.home.sessions().is_empty());
    let alerts = scene.relay.json(&["status"])["alerts"].to_string();
    assert!(alerts.contains(BOB), "the operator is told: {alerts}");
}
