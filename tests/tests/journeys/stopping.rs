//! SIGTERM: who is in a transaction may end it, who is not is told to come again, nobody new is let in, and what got its 250 is
//! delivered after the next start at the latest.

use std::net::TcpStream;

use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{Script, reply};
use sealwire_tests::wait;

use super::scene::{ALICE, given, message};

#[test]
fn a_relay_that_is_told_to_stop_ends_what_it_has_begun() {
    let peer = Script::clear().answer_times(1, "MAIL", reply("450 4.2.0 later")).start();
    let mut scene =
        given().schedule("first-retry = \"1s\"\n").route("partner", &["partner.test"], peer.address(), "").start();
    scene.submit(ALICE, &["waits@partner.test"], "waits for its next round");
    let mut sending = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    let mut idle = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    sending.begin(ALICE, &["bob@partner.test"]).expect("an envelope");
    let content = message(ALICE, "half said").replace('\n', "\r\n");
    let (half, rest) = content.split_at(content.len() / 2);
    sending.say(half).expect("half of it");

    scene.relay.ask_to_stop();
    let told = idle.reply().expect("a word");
    assert!(told.starts_with("421 4.3.2"), "{told}");
    let smtp = scene.relay.smtp();
    wait::until(wait::PATIENCE, "no new connection", || TcpStream::connect(smtp).is_err().then_some(()));
    sending.say(format!("{rest}\r\n.\r\n")).expect("the rest of it");
    let reply = sending.reply().expect("an answer");
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    let told = sending.reply().expect("a word");
    assert!(told.starts_with("421 4.3.2"), "{told}");
    let status = scene.relay.ended();
    assert!(status.success(), "{status}");

    scene.relay.start();
    for recipient in ["waits@partner.test", "bob@partner.test"] {
        assert_eq!(scene.fate(&[&peer], recipient).word(), "in clear", "{recipient}");
    }
    scene.until_queue_is_empty();
    assert_eq!(peer.messages().len(), 2, "each once");
}
