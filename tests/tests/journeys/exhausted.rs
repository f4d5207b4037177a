//! No file descriptors are left: sessions that are open are served, what is accepted waits, and all is well afterwards. And a next
//! hop that never gives its final reply holds up its own message alone.

use std::time::Duration;

use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{Action, END_OF_DATA, Script};
use sealwire_tests::{place, wait};

use super::scene::{ALICE, given, message};

const BOB: &str = "bob@partner.test";
/// Enough to start with and to serve a few sessions.
const FEW: [&str; 2] = ["prlimit", "--nofile=64"];
/// Who is not greeted within this time found no descriptor.
const GREETED: Duration = Duration::from_secs(2);

#[test]
fn a_relay_without_descriptors_serves_whom_it_has_and_recovers() {
    let peer = Script::clear().start();
    let scene = given()
        .schedule("first-retry = \"1s\"\nmax-interval = \"1s\"\n")
        .route("partner", &["partner.test"], peer.address(), "")
        .under(&FEW)
        .start();
    let mut early = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    let mut crowd = Vec::new();
    // Who is not greeted may be slow to be greeted; that there is no descriptor the relay says itself.
    wait::until(wait::PATIENCE, "a relay without descriptors", || {
        crowd.extend(Dialogue::open_within(scene.relay.smtp(), GREETED));
        assert!(crowd.len() < 64, "descriptors have no end");
        scene.relay.log().contains("accept failed").then_some(())
    });
    assert!(crowd.len() > 5, "some were served: {}", crowd.len());
    let reply = early.submit(ALICE, &[BOB], &message(ALICE, "in a crowd")).expect("an answer");
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    for session in crowd.iter_mut().take(3) {
        assert!(session.command("NOOP").expect("an answer").starts_with("250"));
    }
    drop(crowd);
    wait::until(wait::PATIENCE, "a greeting again", || place::greeting(scene.relay.smtp()));
    assert_eq!(scene.fate(&[&peer], BOB).word(), "in clear");
    scene.until_queue_is_empty();
    assert_eq!(peer.messages().len(), 1);
}

#[test]
fn a_final_reply_that_never_comes_holds_up_one_message() {
    let peer = Script::clear().answer_times(1, END_OF_DATA, Action::Hold).start();
    let scene = given().route("partner", &["partner.test"], peer.address(), "").start();
    scene.submit(ALICE, &[BOB], "held");
    wait::until(wait::PATIENCE, "the end of its data", || {
        peer.sessions().iter().any(|session| session.clear().contains("\r\n.\r\n")).then_some(())
    });
    for number in 0..5 {
        let other = format!("other-{number}@partner.test");
        scene.submit(ALICE, &[&other], &other);
        assert_eq!(scene.fate(&[&peer], &other).word(), "in clear");
    }
    assert_eq!(scene.queued_for(BOB), 1, "nobody knows yet what became of it");
    assert!(scene.report_now(BOB).is_none());
}
