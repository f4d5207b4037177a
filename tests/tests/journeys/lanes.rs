//! Lanes: a next hop that only a policy's `take-route` leads to is held back by what it says itself, and others are not.

use sealwire_tests::fake_peer::{Action, GREETING, Script, reply};
use sealwire_tests::{guests, wait};

use super::scene::{ALICE, Given, given};

/// A chain whose only policy plans what the Subject says.
fn steered() -> Given {
    given().policy("steering", &guests::steer_by_subject().display().to_string())
}

/// Half of two sessions is one, and one that asks for less than that rests: what comes then goes back into the queue, which is
/// no round (H9).
#[test]
fn a_hop_that_a_policy_chose_rests_once_it_asks_for_less() {
    let own = Script::clear().start();
    let vault = Script::clear().answer(GREETING, reply("421 4.3.2 not now")).start();
    let scene =
        steered().route("own", &["partner.test"], own.address(), "").route("vault", &[], vault.address(), "").start();
    for number in 0..2 {
        let recipient = format!("bob{number}@partner.test");
        scene.submit(ALICE, &[&recipient], "take:vault");
        scene.rounds(&recipient, 1);
    }
    vault.wait_for_ended(2);
    // Mail of the same recipients that goes by their own route is not held back.
    scene.submit(ALICE, &["late@partner.test"], "take:vault");
    scene.submit(ALICE, &["other@partner.test"], "plain");
    assert_eq!(scene.fate(&[&own], "other@partner.test").word(), "in clear");
    // It was planned, and then put back for as long as the hop rests.
    wait::until(wait::PATIENCE, "a message that waits", || {
        let queued = scene.relay.json(&["queue", "list", "--recipient", "late@partner.test"]);
        let (due, now) = (queued[0]["recipients"][0]["due_at"].as_u64()?, queued[0]["entry"]["arrived_at"].as_u64()?);
        (due >= now + 60).then_some(())
    });
    assert_eq!(vault.sessions().len(), 2, "it was left alone");
    assert!(scene.ledger("attempted", "late@partner.test").is_empty(), "no round took place");
    vault.become_(Script::clear());
    scene.relay.run(&["queue", "retry", "--all"]);
    for recipient in ["bob0@partner.test", "bob1@partner.test", "late@partner.test"] {
        assert_eq!(scene.fate(&[&vault], recipient).word(), "in clear", "{recipient}");
    }
    scene.until_queue_is_empty();
}

/// The width of a lane is that of the hop that mail really goes to.
#[test]
fn a_hop_that_a_policy_chose_sees_no_more_sessions_than_its_lane_is_wide() {
    let own = Script::clear().start();
    let vault = Script::clear().answer(GREETING, Action::Wait).start();
    let scene = steered()
        .config("[limits]\ndeliveries-per-destination = 1\n")
        .route("own", &["partner.test"], own.address(), "")
        .route("vault", &[], vault.address(), "")
        .start();
    for number in 0..3 {
        scene.submit(ALICE, &[&format!("bob{number}@partner.test")], "take:vault");
    }
    vault.wait_for("a session", |sessions| !sessions.is_empty());
    // Recipients of one message whose ways part: one of them waits for the lane, and keeps nobody else from a place.
    scene.submit(ALICE, &["carol@partner.test"], "plain");
    assert_eq!(scene.fate(&[&own], "carol@partner.test").word(), "in clear");
    assert_eq!(vault.sessions().len(), 1);
    vault.become_(Script::clear());
    wait::until(wait::PATIENCE, "an empty queue", || {
        scene.relay.run(&["queue", "retry", "--all"]);
        scene.queue().is_empty().then_some(())
    });
    assert_eq!(vault.messages().len(), 3);
}

/// Messages that go to two hops, the one first to the one and the other first to the other: with one place in each lane none
/// waits for the other for ever.
#[test]
fn ways_that_cross_end() {
    let (left, right) = (Script::clear().start(), Script::clear().start());
    let scene = given()
        .config("[limits]\ndeliveries = 2\ndeliveries-per-destination = 1\n")
        .route("left", &["left.test"], left.address(), "")
        .route("right", &["right.test"], right.address(), "")
        .start();
    for _ in 0..5 {
        scene.submit(ALICE, &["bob@left.test", "bob@right.test"], "left first");
        scene.submit(ALICE, &["bob@right.test", "bob@left.test"], "right first");
    }
    wait::until(wait::PATIENCE, "an empty queue", || {
        scene.relay.run(&["queue", "retry", "--all"]);
        scene.queue().is_empty().then_some(())
    });
    assert_eq!((left.messages().len(), right.messages().len()), (10, 10), "each once");
}
