//! Hostile guests in a running relay: one that goes live costs the decisions it was asked for and nothing else, one that cannot
//! be trusted to start is refused, and what was live stays.

use sealwire_tests::fake_peer::{FakePeer, Script};
use sealwire_tests::hostile::{self, FIELD};

use super::scene::{ALICE, Scene, given, message, setting};

/// Guests that go live, and misbehave on a message that provokes them.
const LIVE: [&str; 14] = [
    "accept-in-a-reject",
    "closing-reply",
    "conclude-twice",
    "deep-recursion",
    "endless-loop",
    "err",
    "fact-flood",
    "handle-hoard",
    "huge-reply",
    "line-break",
    "memory-bomb",
    "no-conclude",
    "ten-thousand-reasons",
    "trap",
];

/// Guests that never go live, and a word of the reason.
const REFUSED: [(&str, &str); 9] = [
    ("find-in-configure", "searched"),
    ("kept-handle", "still held"),
    ("loop-in-configure", "did not return"),
    ("memory-at-start", "of memory"),
    ("missing-hook", "does not fit the contract"),
    ("trap-at-start", "cannot be started"),
    ("unknown-import", "acme:db/query@1.0.0"),
    ("unknown-world", "sealwire:policy/filters"),
    ("wrong-version", "sealwire:policy/hooks@0.9.0"),
];

/// No enemies: the measure, and what all of them share.
const OTHERS: [&str; 2] = ["good", "prelude"];

/// A relay with the list `partners` that some guests ask for, and the next hop of `other.test`.
fn scene() -> (Scene, FakePeer) {
    let peer = Script::clear().start();
    let listed = setting("partners", "outbound", &["partner.test"], "");
    (given().route("other", &["other.test"], peer.address(), "").settings(&listed).start(), peer)
}

/// Reloads with this guest behind the built-in policy; what the command says, and whether it was taken.
fn swap_in(scene: &mut Scene, name: &str, component: &[u8], profile: &str) -> (bool, String) {
    let file = scene.relay.ground().path(&format!("{name}.wasm"));
    std::fs::write(&file, component).expect("a component can be written");
    scene.configure_policies(&format!(
        "[[policy]]\nname = \"secure-transport\"\ncomponent = \"builtin:secure-transport\"\n\
         [[policy]]\nname = \"hostile\"\ncomponent = \"{}\"\nprofile = \"{profile}\"\n",
        file.display()
    ));
    let said = scene.relay.run(&["reload"]);
    (said.status.success(), said.err)
}

/// Mail that provokes nobody goes through.
#[track_caller]
fn assert_mail_flows(scene: &Scene, peer: &FakePeer, behind: &str) {
    let recipient = format!("{behind}@other.test");
    scene.submit(ALICE, &[&recipient], behind);
    assert_eq!(scene.fate(&[peer], &recipient).word(), "in clear", "{behind}");
}

#[test]
fn a_guest_that_misbehaves_fails_its_own_decision_and_mail_flows_on() {
    let (mut scene, peer) = scene();
    for (name, count) in LIVE.into_iter().zip(1..) {
        let (taken, said) = swap_in(&mut scene, name, &hostile::guest(name), "native");
        assert!(taken, "{name}: {said}");
        let provoking = format!("{FIELD}: yes\n{}", message(ALICE, name));
        let reply = scene.offer(ALICE, &["provoked@other.test"], &provoking);
        assert!(reply.starts_with("451 4.3.0 Policy hostile could not decide"), "{name}: {reply}");
        assert_eq!(scene.total("failed-decisions"), count, "{name}");
        assert_mail_flows(&scene, &peer, name);
    }
    scene.until_queue_is_empty();
    assert!(!peer.messages().iter().any(|message| message.data.contains(FIELD)), "nothing of what provoked has left");
}

#[test]
fn a_guest_that_cannot_be_trusted_to_start_is_refused_and_what_was_live_stays() {
    let (mut scene, peer) = scene();
    let before = scene.generation();
    for (name, word) in REFUSED {
        let (taken, said) = swap_in(&mut scene, name, &hostile::guest(name), "native");
        assert!(!taken && said.contains("policy[2].component") && said.contains(word), "{name}: {said}");
        assert_eq!(scene.generation(), before, "{name}");
        assert_mail_flows(&scene, &peer, name);
    }
    // Whoever misbehaves on every message is found by the probe facts.
    let (taken, said) = swap_in(&mut scene, "always", &hostile::always("endless-loop"), "native");
    assert!(!taken && said.contains("could not decide on the probe facts"), "{said}");
    assert_eq!(scene.generation(), before);
    assert_mail_flows(&scene, &peer, "always");
}

/// An interpreter may have more: what is refused as a compiled policy is taken as a scripted one.
#[test]
fn a_profile_gives_its_own_limits() {
    let (mut scene, peer) = scene();
    let guest = hostile::guest("memory-at-start");
    let (taken, said) = swap_in(&mut scene, "native", &guest, "native");
    assert!(!taken && said.contains("it may have 32768"), "{said}");
    let (taken, said) = swap_in(&mut scene, "scripted", &guest, "scripted");
    assert!(taken, "{said}");
    assert_mail_flows(&scene, &peer, "scripted");
}

#[test]
fn every_hostile_guest_has_met_a_relay() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/hostile");
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .expect("the guests are there")
        .filter_map(|file| file.ok()?.file_name().to_str()?.strip_suffix(".wat").map(str::to_owned))
        .collect();
    there.sort();
    let mut met: Vec<&str> = LIVE.into_iter().chain(REFUSED.map(|(name, _)| name)).chain(OTHERS).collect();
    met.sort_unstable();
    assert_eq!(there, met);
}
