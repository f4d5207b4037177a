//! The machine's clock is set while the relay runs: nothing is lost, nothing expires before its time, and a message that is under
//! way is not taken up a second time because its lease seems to have run out.

use sealwire_tests::fake_peer::{Action, END_OF_DATA, FakePeer, Script, reply};
use sealwire_tests::{place, wait};

use super::scene::{ALICE, Scene, given};

/// Runs what follows with the system's clock as the file `clock` beside the configuration says, in hours from the true one; what measures spans
/// (CLOCK_MONOTONIC) goes on as it does when a clock is set.
pub(super) const SET_CLOCK: [&str; 3] = [
    "sh",
    "-c",
    "library=$(ls /usr/lib/*/faketime/libfaketimeMT.so.1) || exit 1; export LD_PRELOAD=$library FAKETIME_TIMESTAMP_FILE=clock \
     FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1; exec \"$0\" \"$@\"",
];

fn scene(peer: &FakePeer) -> Scene {
    given()
        .schedule("first-retry = \"1s\"\nmax-interval = \"1s\"\nexpire-after = \"1d\"\n")
        .route("partner", &["partner.test"], peer.address(), "")
        .under(&SET_CLOCK)
        .start()
}

/// Sets the relay's clock so many hours from the true one.
pub(super) fn set(scene: &Scene, hours: i32) {
    // In one step: a file that is half written would be half an order.
    let (new, clock) = (scene.relay.ground().path("clock.new"), scene.relay.ground().path("clock"));
    place::write(&new, format!("{hours:+}h\n"));
    std::fs::rename(new, clock).expect("a folder of our own");
}

/// How often the relay has noticed.
fn times_set(scene: &Scene) -> usize {
    scene.relay.log().matches("the clock was set").count()
}

#[test]
fn a_clock_that_is_set_on_takes_up_no_message_twice() {
    let peer = Script::clear().answer(END_OF_DATA, Action::Wait).start();
    let scene = scene(&peer);
    scene.submit(ALICE, &["slow@partner.test"], "under way");
    wait::until(wait::PATIENCE, "the end of its data", || {
        peer.sessions().iter().any(|session| session.clear().contains("\r\n.\r\n")).then_some(())
    });
    set(&scene, 3);
    scene.submit(ALICE, &["fast@partner.test"], "comes later");
    wait::until(wait::PATIENCE, "a second session", || (peer.sessions().len() >= 2).then_some(()));
    // This makes the relay look for what is due, and for leases that ran out.
    assert!(scene.relay.run(&["queue", "retry", "--all"]).status.success());
    wait::until(wait::PATIENCE, "a look at the clock", || (times_set(&scene) > 0).then_some(()));
    peer.become_(Script::clear());
    scene.until_queue_is_empty();
    let arrived: Vec<String> = peer.messages().into_iter().flat_map(|message| message.recipients).collect();
    assert_eq!(arrived.len(), 2, "each once: {arrived:?}");
    assert_eq!(times_set(&scene), 1, "the operator is told: {}", scene.relay.log());
}

#[test]
fn what_waits_survives_a_clock_that_is_set_back_and_on() {
    let peer = Script::clear().answer("MAIL", reply("450 4.2.0 later")).start();
    let scene = scene(&peer);
    scene.submit(ALICE, &["before@partner.test"], "before");
    scene.rounds("before@partner.test", 1);
    set(&scene, -5);
    scene.submit(ALICE, &["after@partner.test"], "after");
    scene.rounds("after@partner.test", 1);
    assert_eq!(times_set(&scene), 1, "the relay's clock was set back: {}", scene.relay.log());
    peer.become_(Script::clear());
    assert_eq!(scene.fate(&[&peer], "after@partner.test").word(), "in clear", "what comes now is not held up");
    set(&scene, 5);
    assert!(scene.relay.run(&["queue", "retry", "--all"]).status.success());
    assert_eq!(scene.fate(&[&peer], "before@partner.test").word(), "in clear");
    scene.until_queue_is_empty();
    assert_eq!(times_set(&scene), 2, "and on: {}", scene.relay.log());
    assert!(scene.home.sessions().is_empty(), "nothing has expired");
}
