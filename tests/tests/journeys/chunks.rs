//! CHUNKING (RFC 3030): a message that comes in chunks is a message like any other, and leaves in one where that is taken.

use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::Script;
use sealwire_tests::postfix::Postfix;

use super::scene::{ALICE, Scene, given, message, setting};

/// The session up to the recipients.
#[track_caller]
fn begin(scene: &Scene, to: &str) -> Dialogue {
    let mut dialogue = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    let offered = dialogue.command("EHLO desk.sender.test").expect("an answer");
    assert!(offered.lines().any(|line| line.ends_with("CHUNKING")), "{offered}");
    for command in [format!("MAIL FROM:<{ALICE}>"), format!("RCPT TO:<{to}>")] {
        assert!(dialogue.command(&command).expect("an answer").starts_with("250"), "{command}");
    }
    dialogue
}

#[track_caller]
fn chunk(dialogue: &mut Dialogue, octets: &str, last: &str) -> String {
    dialogue.say(format!("BDAT {}{last}\r\n{octets}", octets.len())).expect("said");
    dialogue.reply().expect("an answer")
}

#[test]
fn chunks_come_in_and_leave_whole() {
    let postfix = Postfix::next_hop().start();
    let dots = Script::clear().start();
    let scene = given()
        .route("postfix", &["postfix.test"], postfix.address(), "")
        .route("dots", &["dots.test"], dots.address(), "")
        .settings(&setting("secret", "inbound", &["secret.test"], ""))
        .start();
    for (to, words) in [("bob@postfix.test", "to chunks"), ("bob@dots.test", "to dots")] {
        let mut dialogue = begin(&scene, to);
        let content = message(ALICE, words).replace('\n', "\r\n") + ".\r\n..\r\n.a line with a dot\r\n";
        let (first, rest) = content.split_at(20);
        assert!(chunk(&mut dialogue, first, "").starts_with("250 2.0.0 chunk taken"));
        let reply = chunk(&mut dialogue, rest, " LAST");
        assert!(reply.starts_with("250 2.0.0 Queued as"), "{reply}");
    }
    let received = postfix.wait_for("to chunks");
    assert!(received.text.ends_with(".\n..\n.a line with a dot\n"), "{}", received.text);
    let log = postfix.wait_for_log("bdat=1");
    assert!(!log.contains(" data="), "{log}");
    let received = &dots.wait_for_messages(1)[0];
    assert!(received.data.ends_with("..\r\n...\r\n..a line with a dot\r\n"), "{}", received.data);

    // Refused by a policy (R1), by its line ends (H11), and given up: none of it is queued.
    let refused = "From: <eve@secret.test>\r\n\r\nx\r\n";
    let reply = chunk(&mut begin(&scene, "bob@dots.test"), refused, " LAST");
    assert!(reply.starts_with("550 5.7.10"), "{reply}");
    let mut dialogue = begin(&scene, "bob@dots.test");
    assert!(chunk(&mut dialogue, "From: <a@b.test>\r\n\r\nc\n", "").starts_with("554 5.6.0 bare LF"));
    assert!(chunk(&mut dialogue, "QUIT\r\n", " LAST").starts_with("503 5.5.1"));
    let mut dialogue = begin(&scene, "bob@dots.test");
    assert!(chunk(&mut dialogue, "From: <a@b.test>\r\n\r\nc\r\n", "").starts_with("250"));
    assert!(dialogue.command("RSET").expect("an answer").starts_with("250"));
    assert_eq!(dots.messages().len(), 1);
    assert!(scene.queue().is_empty());
}
