//! H1: 250 only after the entry is durable. The relay is killed again and again under load; nothing that got its 250 is lost.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sealwire_tests::certs;
use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{FakePeer, Script};
use sealwire_tests::wait;

use super::scene::{ALICE, given, setting};

const MESSAGES: usize = 300;
const KILLS: usize = 10;
const SENDERS: usize = 4;
/// Another seed, other moments: this one, unless the environment names another (a number in decimal).
const SEED: u64 = 0x5ea1_0001;
const SEED_VARIABLE: &str = "SEALWIRE_SEED";

/// After which attempts to send the relay is killed: ten different numbers below [`MESSAGES`], in order.
fn moments() -> BTreeSet<usize> {
    let mut state = seed();
    let mut moments = BTreeSet::new();
    while moments.len() < KILLS {
        // Knuth's MMIX generator: good enough to choose moments.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        moments.insert(usize::try_from(state >> 33).expect("31 bits") % MESSAGES);
    }
    moments
}

/// Printed, so that a failure can be had again.
fn seed() -> u64 {
    let seed = match std::env::var(SEED_VARIABLE) {
        Ok(text) => {
            text.parse().unwrap_or_else(|why| panic!("{SEED_VARIABLE}={text}: {why}; give a number, or nothing"))
        }
        Err(_) => SEED,
    };
    eprintln!("{SEED_VARIABLE}={seed}");
    seed
}

fn received(peer: &FakePeer) -> BTreeSet<String> {
    let subjects = peer
        .messages()
        .into_iter()
        .filter_map(|message| message.data.lines().find_map(|line| line.strip_prefix("Subject: ")).map(str::to_owned));
    subjects.collect()
}

#[test]
fn nothing_that_got_its_250_is_lost_when_the_relay_is_killed() {
    let moments = moments();
    let peer = Script::tls(&certs::self_signed(&["127.0.0.1"])).start();
    let mut scene = given()
        .route("partner", &["partner.test"], peer.address(), "")
        .schedule("first-retry = \"1s\"\nmax-interval = \"1s\"\n")
        .settings(&setting("partners", "outbound", &["partner.test"], ""))
        .start();
    let relay = scene.relay.smtp();
    let (begun, accepted) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    let refused = AtomicBool::new(false);

    // One message until it has its 250, whatever happens meanwhile.
    let send = |number: usize| {
        let subject = format!("message-{number}");
        let content = format!("From: <{ALICE}>\nSubject: {subject}\n\n{}\n", "text\n".repeat(200));
        wait::until(wait::PATIENCE * 2, &format!("a 250 for {subject}"), || {
            let mut session = Dialogue::open(relay).ok()?;
            begun.fetch_add(1, Ordering::SeqCst);
            let reply = session.submit(ALICE, &["bob@partner.test"], &content).ok()?;
            if reply.starts_with('5') {
                refused.store(true, Ordering::SeqCst);
                panic!("{subject}: {reply}");
            }
            reply.starts_with("250").then_some(())
        });
        accepted.lock().expect("no sender panics here").insert(subject);
    };
    std::thread::scope(|threads| {
        for sender in 0..SENDERS {
            let send = &send;
            threads.spawn(move || (sender..MESSAGES).step_by(SENDERS).for_each(send));
        }
        for moment in moments {
            let reached = || refused.load(Ordering::SeqCst) || begun.load(Ordering::SeqCst) >= moment;
            wait::until(wait::PATIENCE * 2, &format!("attempt {moment}"), || reached().then_some(()));
            scene.relay.kill();
            scene.relay.start();
        }
    });

    let accepted = accepted.into_inner().expect("no sender has panicked");
    assert_eq!(accepted.len(), MESSAGES);
    wait::until(wait::PATIENCE, "every accepted message at the next hop", || {
        accepted.is_subset(&received(&peer)).then_some(())
    });
    scene.until_queue_is_empty();
    peer.assert_no_mail_in_clear();
    assert!(scene.home.messages().is_empty(), "and nobody was told otherwise");
}
