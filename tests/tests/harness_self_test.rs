//! The harness against itself: its peers are real and its records true. When these fail, no journey means anything.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::{self, Action, GREETING, Handshake, Script, reply};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::place;
use sealwire_tests::postfix::Postfix;
use sealwire_tests::swaks;

const FROM: &str = "alice@sender.test";
const TO: &str = "bob@next-hop.test";

#[test]
fn postfix_keeps_what_swaks_sends_in_clear_and_by_tls() {
    let authority = Authority::new("Test Authority");
    let leaf = authority.leaf(&["mx.next-hop.test"]);
    let postfix = Postfix::next_hop().offer_tls(&leaf).start();

    let clear = swaks::send(postfix.address(), FROM, TO, &["--h-Subject", "in clear"]);
    assert!(clear.accepted(), "{}", clear.text);
    assert!(clear.replies_in_tls().is_empty(), "{}", clear.text);
    let delivered = postfix.wait_for("Subject: in clear");
    assert_eq!((delivered.sender(), delivered.recipient()), (FROM, TO));
    assert!(!delivered.text.contains("using TLS"), "{}", delivered.text);

    let authority = authority.file().display().to_string();
    let verified = ["--tls", "--tls-verify", "--tls-ca-path", &authority, "--h-Subject", "by TLS"];
    let secured = swaks::send(postfix.address(), FROM, TO, &verified);
    assert!(secured.accepted(), "{}", secured.text);
    assert!(secured.replies_in_tls().iter().any(|line| line.starts_with("250")), "{}", secured.text);
    assert!(postfix.wait_for("Subject: by TLS").text.contains("using TLSv1.3"));
}

#[test]
fn postfix_serves_only_the_tls_versions_asked_for() {
    let leaf = certs::self_signed(&["mx.next-hop.test"]);
    let postfix = Postfix::next_hop().offer_tls(&leaf).tls_versions("<=TLSv1.2").start();
    assert!(swaks::send(postfix.address(), FROM, TO, &["--tls"]).accepted());
    assert!(postfix.wait_for(TO).text.contains("using TLSv1.2"));
    let refused = swaks::send(postfix.address(), FROM, TO, &["--tls", "--tls-protocol", "tlsv1_3"]);
    assert!(!refused.accepted(), "{}", refused.text);
}

#[test]
fn postfix_sends_through_its_relay_and_tells_its_sender_of_a_refusal() {
    let leaf = certs::self_signed(&["relay.test"]);
    let refusal = "550 5.7.1 Refused on purpose";
    let relay = Script::tls(&leaf).answer("RCPT TO:<refused@", reply(refusal)).start();
    let sender = Postfix::sender(relay.address()).start();

    sender.submit(FROM, &[TO], "Subject: goes on\n\ntext\n");
    let received = relay.wait_for_messages(1).remove(0);
    assert!(received.by_tls);
    assert!(received.mail_from.contains(FROM), "{}", received.mail_from);
    assert!(received.data.contains("Subject: goes on\r\n"), "{}", received.data);

    sender.submit(FROM, &["refused@elsewhere.test"], "Subject: comes back\n\ntext\n");
    let report = sender.wait_for("Refused on purpose");
    assert_eq!((report.sender(), report.recipient()), ("", FROM));
    assert!(report.header("Content-Type").starts_with("multipart/report"), "{}", report.text);
}

#[test]
fn postfix_retries_a_greylisting_relay_within_seconds() {
    let relay = Script::clear().answer_times(1, "RCPT", reply("450 4.7.1 later")).start();
    let sender = Postfix::sender(relay.address()).start();
    sender.submit(FROM, &[TO], "Subject: again\n\ntext\n");
    assert_eq!(relay.wait_for_messages(1).len(), 1);
    assert!(relay.sessions()[0].clear().contains("RCPT TO"));
}

#[test]
fn scripted_peer_records_clear_and_secured_apart() {
    let authority = Authority::new("Test Authority");
    let peer = Script::tls(&authority.leaf(&["mx.next-hop.test"])).start();
    assert!(swaks::send(peer.address(), FROM, TO, &["--tls"]).accepted());
    let session = peer.wait_for_ended(1).remove(0);
    assert!(session.clear().ends_with("STARTTLS\r\n"), "{session}");
    assert!(session.secured().contains("MAIL FROM:<alice@sender.test>\r\n"), "{session}");
    assert_eq!(session.tls.as_ref().map(|tls| tls.version.as_str()), Some("TLSv1_3"));
    assert_eq!(session.messages[0].recipients, ["<bob@next-hop.test>"]);
    peer.assert_no_mail_in_clear();

    assert!(swaks::send(peer.address(), FROM, TO, &[]).accepted());
    let sessions = peer.wait_for_ended(2);
    assert!(sessions[1].mail_in_clear() && !sessions[1].messages[0].by_tls, "{}", sessions[1]);
}

#[test]
fn peers_without_tls_let_no_tls_come_about() {
    let leaf = certs::self_signed(&["mx.next-hop.test"]);
    for (name, script) in fake_peer::without_tls(&leaf) {
        let peer = script.start();
        let sent = swaks::send(peer.address(), FROM, TO, &["--tls"]);
        // swaks drops what is behind the 220 and goes on with TLS: that peer is told from its record, not from swaks.
        if name != "plaintext behind the 220" {
            assert!(!sent.accepted(), "{name}: {}", sent.text);
        }
        let session = peer.wait_for_ended(1).remove(0);
        assert!(!session.mail_in_clear(), "{name}: {session}");
    }
}

#[test]
fn peers_with_bad_certificates_are_not_believed() {
    let authority = Authority::new("Test Authority");
    let file = authority.file().display().to_string();
    let verified = ["--tls", "--tls-verify", "--tls-ca-path", &file];
    for (name, script) in fake_peer::bad_certificates(&authority, "mx.next-hop.test") {
        let peer = script.start();
        let sent = swaks::send(peer.address(), FROM, TO, &verified);
        // swaks checks the chain and not the name.
        assert_eq!(sent.accepted(), name == "for another name", "{name}: {}", sent.text);
    }
}

#[test]
fn scripted_peer_holds_until_the_other_side_gives_up_and_stops_at_once() {
    for script in [Script::clear().answer(GREETING, Action::Hold), Script::clear().answer("EHLO", Action::Hold)] {
        let peer = script.start();
        let mut client = TcpStream::connect(peer.address()).expect("the peer listens");
        client.write_all(b"EHLO client.test\r\n").expect("the peer reads");
        peer.wait_for("EHLO", |sessions| sessions.iter().any(|session| session.clear().contains("EHLO")));
        assert!(!peer.sessions()[0].ended);
        drop(peer);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).expect("the peer has closed");
        assert!(!String::from_utf8_lossy(&rest).contains("250"));
    }
}

#[test]
fn scripted_peer_injects_behind_its_220() {
    let leaf = certs::self_signed(&["mx.next-hop.test"]);
    let peer = Script::tls(&leaf).handshake(Handshake::PlaintextBehind("250 injected\r\n".to_owned())).start();
    let mut client = TcpStream::connect(peer.address()).expect("the peer listens");
    client.write_all(b"STARTTLS\r\n").expect("the peer reads");
    let mut heard = String::new();
    while !heard.ends_with("injected\r\n") {
        let mut octets = [0; 512];
        let length = client.read(&mut octets).expect("the peer speaks");
        assert_ne!(length, 0, "the peer closed after: {heard}");
        heard.push_str(&String::from_utf8_lossy(&octets[..length]));
    }
    assert!(heard.contains("220 2.0.0 Ready to start TLS\r\n250 injected\r\n"), "{heard}");
}

#[test]
fn nsd_answers_for_its_zones() {
    // The start itself waits for an answer with authority for each zone.
    let nsd = Nsd::start(&[("next-hop.test", "@ MX 10 mx\nmx A 127.0.0.2"), ("other.test", "@ MX 0 .")]);
    assert!(nsd.address().ip().is_loopback());
}

#[test]
fn addresses_are_never_given_out_twice() {
    let mut addresses: Vec<SocketAddr> = (0..50).map(|_| place::free_address()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 50);
}
