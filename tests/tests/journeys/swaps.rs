//! Settings and components are swapped under load, broken ones among them: no session is dropped, every message is decided by
//! exactly one generation, and the relay does not grow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::Script;
use sealwire_tests::{certs, guests, hostile, wait};

use super::scene::{ALICE, BUILTIN, Scene, given, message, setting};

/// Swaps in an ordinary run; the environment may ask for more.
const SWAPS: usize = 40;
const SWAPS_VARIABLE: &str = "SEALWIRE_SWAPS";
const SENDERS: usize = 3;
/// Messages of one session.
const A_SESSION: usize = 50;

fn swaps() -> usize {
    match std::env::var(SWAPS_VARIABLE) {
        Ok(text) => text.parse().unwrap_or_else(|why| panic!("{SWAPS_VARIABLE}={text}: {why}; give a number")),
        Err(_) => SWAPS,
    }
}

/// Resident memory of the relay in KiB.
fn resident(scene: &Scene) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", scene.relay.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// One of the swaps, by its number: settings, broken settings, a broken component, a component that joins or leaves.
fn swap(scene: &mut Scene, number: usize) {
    let flagging = guests::flag_subject().display().to_string();
    let broken = scene.relay.ground().path("broken.wasm");
    // The flagging policy wants settings of its own while it is in the chain.
    let flags = (3..7).contains(&(number % 8));
    let marker = if flags { "[policy.flag-subject]\nmarker = \"[secure]\"\n" } else { "" };
    let listed = |entry: &str| setting("partners", "inbound outbound", &["partner.test", entry], "") + marker;
    let (said, taken) = match number % 4 {
        0 => (scene.apply(&listed(&format!("swap-{number}.test"))), true),
        1 => (scene.apply(&listed("@@")), false),
        2 => {
            let path = broken.display().to_string();
            std::fs::write(&broken, hostile::always("trap")).expect("a component can be written");
            scene.configure_chain(&[BUILTIN, ("broken", &path)]);
            (scene.relay.run(&["reload"]), false)
        }
        _ => {
            let chain = [BUILTIN, ("flag-subject", flagging.as_str())];
            scene.configure_chain(if flags { &chain } else { &chain[..1] });
            (scene.apply_and(&listed("other.test"), &["--reload"]), true)
        }
    };
    assert_eq!(said.status.success(), taken, "swap {number}: {}{}", said.out, said.err);
}

#[test]
fn swapping_under_load_drops_no_session_and_mixes_no_generations() {
    let peer = Script::tls(&certs::self_signed(&["127.0.0.1"])).start();
    let mut scene = given()
        .route("partner", &["partner.test"], peer.address(), "")
        .settings(&setting("partners", "inbound outbound", &["partner.test"], ""))
        .start();
    let smtp = scene.relay.smtp();
    let done = AtomicBool::new(false);
    let (sent, before): (usize, u64) = std::thread::scope(|threads| {
        let send = |sender: usize| {
            // A session is neither dropped nor refused, however many swaps it sees.
            let mut session = Dialogue::open(smtp).expect("the relay greets");
            let mut sent = 0;
            while !done.load(Ordering::SeqCst) || sent == 0 {
                let recipient = format!("to-{sender}@partner.test");
                let reply = session.submit(ALICE, &[&recipient], &message(ALICE, &format!("{sender}-{sent}")));
                let reply = reply.unwrap_or_else(|why| panic!("sender {sender} was dropped after {sent}: {why}"));
                assert!(reply.starts_with("250 2.0.0"), "{reply}");
                sent += 1;
                if sent % A_SESSION == 0 {
                    session = Dialogue::open(smtp).expect("the relay greets");
                }
            }
            sent
        };
        let senders: Vec<_> = (0..SENDERS).map(|sender| threads.spawn(move || send(sender))).collect();
        // Also when this panics: the scope waits for its senders.
        let end = End(&done);
        // By the middle everything a relay is made of has been touched; from there on it should not grow.
        let (first, second) = (0..swaps() / 2, swaps() / 2..swaps());
        first.for_each(|number| swap(&mut scene, number));
        let before = resident(&scene);
        second.for_each(|number| swap(&mut scene, number));
        drop(end);
        let sent = senders.into_iter().map(|sender| sender.join().expect("no sender panics"));
        (sent.sum(), before)
    });
    wait::until(wait::PATIENCE * 4, "an empty queue", || scene.queue().is_empty().then_some(()));
    let after = resident(&scene);
    assert_eq!(peer.messages().len(), sent, "each once");
    peer.assert_no_mail_in_clear();
    assert_one_generation_a_round(&scene);
    eprintln!("{} swaps, {sent} messages, {before} KiB in the middle, {after} KiB at the end", swaps());
    assert!(after <= before + before / 10, "{before} KiB in the middle, {after} KiB at the end");
}

/// Ends the senders when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Of each message the decisions of one arrival, and those of one round, name one generation.
#[track_caller]
fn assert_one_generation_a_round(scene: &Scene) {
    let mut generations: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let decisions = scene.relay.json(&["log", "--limit", "10000000", "--event", "decision"]);
    for decision in decisions.as_array().expect("a list") {
        let hook = if decision["hook"] == "receive" { "arrival" } else { "round" };
        let of = (decision["message"].to_string(), hook.to_owned());
        generations.entry(of).or_default().insert(decision["generation"].to_string());
    }
    assert!(generations.len() > SENDERS, "{generations:#?}");
    let mixed: Vec<_> = generations.iter().filter(|(_, numbers)| numbers.len() != 1).collect();
    assert!(mixed.is_empty(), "{mixed:#?}");
}
