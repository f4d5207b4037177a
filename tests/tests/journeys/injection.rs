//! H10: nothing heard before STARTTLS survives it, on either side. H11: CR LF . CR LF alone ends the data, and a bare CR or LF
//! never reaches the next hop: read from its raw capture.

use std::io;

use sealwire_tests::certs;
use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{Handshake, Script};

use super::scene::{ALICE, Scene, given, setting};

const BOB: &str = "bob@other.test";

#[test]
fn h10_octets_behind_starttls_end_the_session() {
    let scene = given().start();
    let injected = ["NOOP\r\n", "\r\n", "x", "MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@other.test>\r\nDATA\r\n"];
    for behind in injected {
        let mut client = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
        client.say(format!("STARTTLS\r\n{behind}")).expect("the relay reads");
        let reply = client.reply().expect("a reply");
        assert!(reply.starts_with("523 5.7.10"), "{behind:?}: {reply}");
        // It may close with octets unread, which resets the connection; what counts is that nothing more is said.
        let rest = client.rest().unwrap_or_default();
        assert_eq!(rest, "", "{behind:?}");
    }
    assert!(scene.queue().is_empty());
}

/// The next hop's 220 comes with a forged "250" behind it in the same packet: whoever keeps that believes a reply that was
/// never given over TLS (CVE-2011-0411 seen from the client).
#[test]
fn h10_octets_behind_the_next_hops_220_end_its_session() {
    let injected = "250-injected.test\r\n250 AUTH PLAIN\r\n250 2.1.0 sender injected\r\n".to_owned();
    let script = || Script::tls(&certs::self_signed(&["127.0.0.1"]));
    let (listed, other) = (
        script().handshake(Handshake::PlaintextBehind(injected.clone())).start(),
        script().handshake(Handshake::PlaintextBehind(injected)).start(),
    );
    let scene = given()
        .route("listed", &["listed.test"], listed.address(), "")
        .route("other", &["other.test"], other.address(), "")
        .settings(&setting("partners", "outbound", &["listed.test"], ""))
        .start();
    scene.submit(ALICE, &["bob@listed.test"], "listed");
    scene.submit(ALICE, &[BOB], "not listed");
    assert_eq!(scene.fate(&[&listed], "bob@listed.test").word(), "reported");
    assert_eq!(scene.fate(&[&other], BOB).word(), "in clear", "on a new connection");
    for (peer, sessions) in [(listed, 1), (other, 2)] {
        let all = peer.wait_for_ended(sessions);
        assert_eq!(all.len(), sessions);
        assert!(all[0].tls.is_none() && all[0].secured().is_empty(), "no TLS is made of it: {}", all[0]);
        assert!(!all[0].mail_in_clear());
    }
}

/// Endings that some server somewhere takes for the end of the data.
const ENDINGS: [&str; 12] = [
    "\n.\n",
    "\n.\r\n",
    "\r.\r\n",
    "\r.\r",
    "\r\n.\n",
    "\r\n.\r",
    "\r\n.\r\r\n",
    "\n\n.\n\n",
    "\n\r.\r\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
    "\r\n.\r\n\n",
];

#[test]
fn h11_no_other_ending_lets_a_second_message_through() {
    let peer = Script::clear().start();
    let scene = given().route("other", &["other.test"], peer.address(), "").start();
    for ending in ENDINGS {
        let reply = smuggle(&scene, ending).unwrap_or_else(|why| panic!("{ending:?}: {why}"));
        // The last row ends its first message properly; what is behind is no command.
        let proper = ending.starts_with("\r\n.\r\n");
        assert_eq!(reply.starts_with("250"), proper, "{ending:?}: {reply}");
    }
    // A dot that is content, doubled on the wire, and lines that only look like an end.
    let content = "From: <a@sender.test>\nSubject: dots\n\n..\n...and so on\nlast";
    scene.hand_in(ALICE, &[BOB], content);
    scene.until_queue_is_empty();

    let wire: Vec<u8> = peer.sessions().into_iter().flat_map(|session| session.wire).collect();
    let text = String::from_utf8_lossy(&wire).into_owned();
    assert!(text.contains("Subject: dots"), "the proper message has come: {text}");
    assert!(!text.contains("smuggled"), "{text}");
    let bare = wire.iter().enumerate().any(|(at, octet)| match octet {
        b'\r' => wire.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || wire[at - 1] != b'\r',
        _ => false,
    });
    assert!(!bare, "a bare CR or LF reached the next hop: {text:?}");
    assert!(text.contains("\r\n..\r\n...and so on\r\nlast\r\n.\r\n"), "{text}");
}

/// A message whose text ends in `ending`, and behind it, as content, a second one. The reply to the first.
fn smuggle(scene: &Scene, ending: &str) -> io::Result<String> {
    let mut client = Dialogue::open(scene.relay.smtp())?;
    client.begin("a@sender.test", &[BOB])?;
    client.say(format!(
        "From: <a@sender.test>\r\nSubject: first\r\n\r\nfirst{ending}\
         MAIL FROM:<evil@sender.test>\r\nRCPT TO:<smuggled@other.test>\r\nDATA\r\n\
         From: <evil@sender.test>\r\nSubject: smuggled\r\n\r\nsmuggled\r\n.\r\nQUIT\r\n"
    ))?;
    client.reply()
}
