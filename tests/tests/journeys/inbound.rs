//! R1: mail of a listed From that arrives in clear is refused before anything of it is stored, and nobody here is told; over
//! TLS it is taken. The header From counts, never MAIL FROM (parity points 5 and 6).

use sealwire_tests::certs;
use sealwire_tests::fake_peer::{FakePeer, Script};

use super::scene::{ALICE, Scene, given, setting};

const BOB: &str = "bob@ours.test";
const REFUSAL: &str = "550 5.7.10";

/// A relay that wants TLS of partner.test, *.wild.test and one.person@single.test, and the next hop behind it.
fn scene() -> (Scene, FakePeer) {
    let peer = Script::tls(&certs::self_signed(&["127.0.0.1"])).start();
    let entries = ["partner.test", "*.wild.test", "one.person@single.test", "b\u{fc}cher.test"];
    let scene = given()
        .config("hosted-domains = [\"ours.test\"]\n")
        .route("ours", &["ours.test"], peer.address(), "")
        .settings("[policy.secure-transport]\ntls-report-mailbox = \"tlsrpt@ours.test\"\n")
        .settings(&setting("partners", "inbound", &entries, ""))
        .start();
    (scene, peer)
}

#[test]
fn clear_text_is_refused_and_the_same_over_tls_is_accepted() {
    let (scene, peer) = scene();
    let carol = "carol@partner.test";

    let clear = scene.swaks(carol, BOB, &["--body", "the-body-in-clear"]);
    let reply = clear.reply(REFUSAL);
    let expected = "Encryption needed: mail from partner.test is accepted here over TLS only. Turn on STARTTLS in the \
                    sending mail server, then send again. (rule R1)";
    assert!(reply.contains(expected), "{reply}");
    assert!(!clear.accepted() && !clear.text.contains("250 2.0.0 Queued"), "{}", clear.text);
    assert!(clear.sent().contains(&"."), "refused at the end of the data: {}", clear.text);
    assert!(scene.queue().is_empty());

    let secured = scene.swaks(carol, BOB, &["--tls", "--body", "the-body-by-TLS"]);
    assert!(secured.accepted(), "{}", secured.text);
    assert_eq!(scene.fate(&[&peer], BOB).word(), "by TLS");

    // The second message is through; had the first left anything, it would be there by now.
    scene.until_queue_is_empty();
    assert_eq!(peer.messages().len(), 1);
    assert!(peer.messages()[0].data.contains("the-body-by-TLS"));
    assert!(scene.home.sessions().is_empty(), "nobody is told");
    assert!(!scene.is_spooled("the-body-in-clear"), "nothing is stored");
}

/// That nothing is found in the store says something only if what is queued is found there.
#[test]
fn what_is_queued_is_found_in_the_store() {
    let peer = Script::clear().answer("MAIL", sealwire_tests::fake_peer::reply("450 4.2.0 later")).start();
    let scene = given().route("ours", &["ours.test"], peer.address(), "").start();
    scene.submit(ALICE, &[BOB], "the-body-that-waits");
    assert!(scene.is_spooled("the-body-that-waits"));
    assert!(!scene.is_spooled("the-body-of-another"));
}

#[test]
fn the_header_from_counts_and_nothing_else() {
    let (scene, _peer) = scene();
    let refused: [(&str, &str, &[&str], &str); 16] = [
        ("listed domain", "x@y.test", &[BOB], "From: carol@partner.test\n"),
        ("in other letters", "x@y.test", &[BOB], "FROM: Carol <CAROL@Partner.TEST>\n"),
        ("from the null sender", "", &[BOB], "From: carol@partner.test\n"),
        ("below a listed domain", "x@y.test", &[BOB], "From: carol@deep.below.wild.test\n"),
        ("a listed address", "x@y.test", &[BOB], "From: One.Person@single.test\n"),
        ("an A-label", "x@y.test", &[BOB], "From: a@xn--bcher-kva.test\n"),
        (
            "second of two mailboxes",
            "x@y.test",
            &[BOB],
            "From: a@other.test, carol@partner.test\nSender: a@other.test\n",
        ),
        ("in a group", "x@y.test", &[BOB], "From: Team: a@other.test, carol@partner.test;\n"),
        ("second From field", "x@y.test", &[BOB], "From: a@other.test\nFrom: carol@partner.test\n"),
        ("folded", "x@y.test", &[BOB], "From: Carol\n <carol@partner.test>\n"),
        ("with a comment", "x@y.test", &[BOB], "From: carol@(why?)partner.test\n"),
        ("no From", "x@y.test", &[BOB], "Subject: nobody\n"),
        ("empty From", "x@y.test", &[BOB], "From:\n"),
        ("From that is no mailbox", "x@y.test", &[BOB], "From: Carol\n"),
        ("From with a rest", "x@y.test", &[BOB], "From: <a@other.test> carol@partner.test\n"),
        ("postmaster and another", "x@y.test", &["postmaster@ours.test", BOB], "From: carol@partner.test\n"),
    ];
    for (name, sender, recipients, header) in refused {
        let reply = scene.offer(sender, recipients, &format!("{header}\ntext\n"));
        assert!(reply.starts_with(REFUSAL), "{name}: {reply}");
        assert!(reply.contains("(rule R1)"), "{name}: {reply}");
    }
    assert!(scene.queue().is_empty());

    let accepted: [(&str, &str, &[&str], &str); 9] = [
        ("listed MAIL FROM, another From", "carol@partner.test", &[BOB], "From: a@other.test\n"),
        ("listed Sender, another From", "x@y.test", &[BOB], "From: a@other.test\nSender: carol@partner.test\n"),
        ("listed Reply-To, another From", "x@y.test", &[BOB], "From: a@other.test\nReply-To: carol@partner.test\n"),
        ("listed name, another From", "x@y.test", &[BOB], "From: \"carol@partner.test\" <a@other.test>\n"),
        ("below a domain that is listed exactly", "x@y.test", &[BOB], "From: carol@sub.partner.test\n"),
        ("the domain of *.domain itself", "x@y.test", &[BOB], "From: carol@wild.test\n"),
        ("another person", "x@y.test", &[BOB], "From: another.person@single.test\n"),
        ("to postmaster alone", "x@y.test", &["postmaster@ours.test"], "From: carol@partner.test\n"),
        ("to the TLS report mailbox alone", "x@y.test", &["TLSRPT@ours.test"], "From: carol@partner.test\n"),
    ];
    for (name, sender, recipients, header) in accepted {
        let reply = scene.offer(sender, recipients, &format!("{header}\ntext\n"));
        assert!(reply.starts_with("250 2.0.0"), "{name}: {reply}");
    }
}

/// Outbound settings do not concern arrivals, nor inbound ones deliveries.
#[test]
fn scopes_are_kept_apart() {
    let (ours, theirs) = (Script::clear().start(), Script::clear().start());
    let scene = given()
        .route("ours", &["ours.test"], ours.address(), "")
        .route("theirs", &["inbound.test", "outbound.test"], theirs.address(), "")
        .settings(&setting("arriving", "inbound", &["inbound.test"], ""))
        .settings(&setting("leaving", "outbound", &["outbound.test"], ""))
        .start();
    scene.submit("a@outbound.test", &[BOB], "outbound only");
    assert_eq!(scene.fate(&[&ours], BOB).word(), "in clear");
    scene.submit(ALICE, &["a@inbound.test"], "inbound only");
    assert_eq!(scene.fate(&[&theirs], "a@inbound.test").word(), "in clear");
}
