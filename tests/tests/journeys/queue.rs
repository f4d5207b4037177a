//! What an operator does by hand: look at one message, free it, take it out, read in the log that it was done, follow the log.

use sealwire_tests::fake_peer::{Script, reply};
use sealwire_tests::wait;

use super::scene::{ALICE, given};

const BOB: &str = "bob@partner.test";

#[test]
fn an_operator_shows_frees_and_removes_one_message() {
    let peer = Script::clear().answer("MAIL", reply("450 4.2.0 later")).start();
    let scene = given().route("partner", &["partner.test"], peer.address(), "").start();
    scene.submit(ALICE, &[BOB], "waits");
    scene.submit(ALICE, &["carol@partner.test"], "waits too");
    scene.rounds(BOB, 1);
    scene.rounds("carol@partner.test", 1);
    let listed = scene.relay.json(&["queue", "list", "--recipient", BOB]);
    let id = listed[0]["entry"]["id"].as_str().unwrap_or_else(|| panic!("no id: {listed:#}")).to_owned();

    let shown = scene.relay.json(&["queue", "show", &id]);
    assert!(shown["header"].to_string().contains("Subject: waits"), "{shown:#}");
    let said = scene.relay.run(&["queue", "show", &id]);
    for words in [&id, BOB, ALICE, "450 4.2.0 later", "Subject: waits"] {
        assert!(said.out.contains(words), "no `{words}` in:\n{}{}", said.out, said.err);
    }

    assert_eq!(scene.relay.json(&["queue", "retry", &id])["recipients"], 1);
    scene.rounds(BOB, 2);
    assert_eq!(scene.rounds("carol@partner.test", 1).len(), 1, "the other one was left alone");

    // Not while it is in delivery.
    wait::until(wait::PATIENCE, "a removal", || {
        scene.relay.run(&["queue", "remove", &id]).status.success().then_some(())
    });
    assert_eq!((scene.queued_for(BOB), scene.queue().len()), (0, 1));
    for command in [["queue", "show", &id], ["queue", "remove", &id]] {
        assert!(!scene.relay.run(&command).status.success(), "it is gone");
    }
    assert!(scene.home.sessions().is_empty(), "its sender is not told");

    let events: Vec<_> = scene.log(&["--message", &id]).iter().map(|record| record["event"].to_string()).collect();
    for (event, at_least) in [("\"accepted\"", 1), ("\"attempted\"", 2), ("\"operator\"", 2)] {
        assert!(events.iter().filter(|other| *other == event).count() >= at_least, "{event}: {events:?}");
    }
    let said = scene.relay.run(&["log", "--message", &id]).out;
    assert!(said.contains("retry") && said.contains("remove") && !said.contains("carol"), "{said}");
}

/// `log --follow` tells what was, then what happens, and each record once.
#[test]
fn the_log_can_be_followed() {
    let peer = Script::clear().start();
    let scene = given().route("partner", &["partner.test"], peer.address(), "").start();
    scene.submit(ALICE, &["earlier@partner.test"], "before it is followed");
    scene.rounds("earlier@partner.test", 1);
    let following = scene.relay.spawn(&["log", "--follow", "--event", "accepted,attempted"]);
    wait::until(wait::PATIENCE, "what was", || {
        following.log().contains("attempted  earlier@partner.test").then_some(())
    });
    for recipient in ["later@partner.test", "last@partner.test"] {
        scene.submit(ALICE, &[recipient], "while it is followed");
        let told = wait::until(wait::PATIENCE, "what happens", || {
            let told = following.log();
            told.contains(&format!("attempted  {recipient}")).then_some(told)
        });
        assert_eq!(told.matches(&format!("to {recipient}, by")).count(), 1, "{told}");
        assert_eq!(told.matches("earlier@partner.test by").count(), 1, "{told}");
    }
}
