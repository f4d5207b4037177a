//! What an operator does by hand: look at one message, free it, take it out, read in the log that it was done, follow the log.

use sealwire_tests::fake_peer::{FakePeer, Script, reply};
use sealwire_tests::wait;

use super::scene::{ALICE, Scene, given};

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

/// Two messages that their host has put off once.
fn put_off(peer: &FakePeer, schedule: &str) -> Scene {
    let scene = given().route("partner", &["partner.test"], peer.address(), "").schedule(schedule).start();
    scene.submit(ALICE, &[BOB], "waits");
    scene.submit(ALICE, &["carol@partner.test"], "waits too");
    scene.rounds(BOB, 1);
    scene.rounds("carol@partner.test", 1);
    scene
}

#[test]
fn what_an_operator_holds_goes_on_when_he_says_so_or_the_time_is_over() {
    let peer = Script::clear().answer("MAIL", reply("450 4.2.0 later")).start();
    let scene = put_off(&peer, "");
    assert!(!scene.relay.run(&["queue", "hold", "--domain", "partner.test"]).status.success(), "a reason is wanted");
    for reason in ["", "two\nlines"] {
        assert!(!scene.relay.run(&["queue", "hold", "--all", "--reason", reason]).status.success(), "{reason:?}");
    }
    assert!(
        !scene.relay.run(&["queue", "hold", "none", "--reason", "why"]).status.success(),
        "there is no such message"
    );
    let hold = ["queue", "hold", "--domain", "partner.test", "--reason", "their gateway is down"];
    // A round may be on its last words in the store.
    assert_eq!(scene.relay.json(&hold)["recipients"], 2);
    peer.become_(Script::clear());
    assert_eq!(scene.relay.json(&["status"])["queue"]["on-hold"], 2);
    let retried = scene.relay.json(&["queue", "retry", "--all"]);
    assert_eq!((&retried["recipients"], &retried["on-hold"]), (&0.into(), &2.into()), "{retried:#}");
    let listed = scene.relay.json(&["queue", "list", "--on-hold"]);
    let found = &listed[0]["recipients"][0]["hold"];
    assert_eq!(found["reason"], "their gateway is down", "{listed:#}");
    assert!(found["by"].to_string().contains("uid") && found["until"].is_null(), "{listed:#}");
    let said = scene.relay.run(&["queue", "list"]).out;
    assert!(said.contains("on hold") && said.contains("until it expires: their gateway is down"), "{said}");

    let id = listed[0]["entry"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(scene.relay.json(&["queue", "release", &id])["recipients"], 1);
    assert_eq!(scene.fate(&[&peer], BOB).word(), "in clear");
    // The other is held anew, for a time, and goes on by itself.
    let hold = ["queue", "hold", "--sender", "sender.test", "--reason", "a moment", "--for", "2s"];
    assert_eq!(scene.relay.json(&hold)["recipients"], 1);
    assert_eq!(scene.fate(&[&peer], "carol@partner.test").word(), "in clear");
    scene.until_queue_is_empty();
    assert!(scene.home.sessions().is_empty(), "its sender is not told");
    let said = scene.relay.run(&["log", "--message", &id]).out;
    assert!(said.contains("operator  hold, by") && said.contains("their gateway is down"), "{said}");
    assert!(said.contains("operator  release, by"), "{said}");
}

#[test]
fn what_an_operator_holds_is_reported_at_its_expiry_and_not_tried() {
    let peer = Script::clear().answer("MAIL", reply("450 4.2.0 later")).start();
    let scene = put_off(&peer, "expire-after = \"5s\"\n");
    assert_eq!(scene.relay.json(&["queue", "hold", "--all", "--reason", "private words"])["recipients"], 2);
    peer.become_(Script::clear());
    let report = scene.report(BOB);
    report.assert_says("The message was held back by an operator of this relay, and was not released within 5 seconds");
    assert!(!report.says("private words"), "{}", report.data);
    scene.report("carol@partner.test");
    scene.until_queue_is_empty();
    assert!(peer.messages().is_empty());
    assert_eq!(scene.rounds(BOB, 1).len(), 1, "a hold is no round");
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
