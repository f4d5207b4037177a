//! The disk is full, or the queue's folder takes nothing more: mail is deferred at the door at once, what was accepted is kept,
//! and mail flows again when the fault is gone.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{Action, END_OF_DATA, FakePeer, Script, reply};
use sealwire_tests::wait;

use super::scene::{ALICE, Scene, given};

const BOB: &str = "bob@partner.test";
/// A file system of its own below `data`, gone with the process; the admin's socket stays outside, or no command could
/// reach it.
const SMALL_DISK: [&str; 5] = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    "mkdir -p data && mount -t tmpfs -o size=12m,mode=700 tmpfs data && exec \"$0\" \"$@\"",
];
/// Not root, whom no rights stop, but an ordinary user who may read everything: the checkout may be anybody's. `data` is made
/// for it.
const AS_NOBODY: [&str; 3] = [
    "sh",
    "-c",
    "mkdir -p data admin && chown 65534:65534 data admin && exec setpriv --reuid=65534 --regid=65534 --clear-groups \
     --inh-caps=+dac_read_search --ambient-caps=+dac_read_search \"$0\" \"$@\"",
];
/// A reply takes no longer, whatever state the disk is in.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A relay that runs under this command and keeps so much space free; its next hop is busy until it is told otherwise.
fn scene(under: &[&'static str], free_space: &str) -> (Scene, FakePeer) {
    let peer = Script::clear().answer("MAIL", reply("450 4.2.0 later")).start();
    let scene = given()
        .config(&format!("admin-socket = \"admin/socket\"\n[limits]\nfree-space = {free_space}\n"))
        .schedule("first-retry = \"1s\"\nmax-interval = \"1s\"\n")
        .route("partner", &["partner.test"], peer.address(), "")
        .under(under)
        .start();
    (scene, peer)
}

/// A message that is found again by its Subject.
fn content(subject: &str, octets: usize) -> String {
    format!("From: <{ALICE}>\nSubject: {subject}\n\n{}", "0123456789abcde\n".repeat(octets / 16))
}

/// Offers it; whether it was taken. It is taken or deferred with one of these replies, and that at once.
#[track_caller]
fn is_taken(scene: &Scene, subject: &str, octets: usize, deferred: &[&str]) -> bool {
    let began = Instant::now();
    let mut session = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    let reply = session.submit(ALICE, &[BOB], &content(subject, octets)).expect("the relay answers");
    assert!(began.elapsed() < AT_ONCE, "{subject}: {reply} after {:?}", began.elapsed());
    let taken = reply.starts_with("250 2.0.0");
    assert!(taken || deferred.iter().any(|known| reply.starts_with(known)), "{subject}: {reply}");
    // The session is as good as before.
    assert!(session.command("NOOP").expect("the relay answers").starts_with("250"), "{subject}");
    taken
}

fn subjects(peer: &FakePeer) -> Vec<String> {
    let data = peer.messages().into_iter().map(|message| message.data);
    data.filter_map(|data| data.lines().find_map(|line| line.strip_prefix("Subject: ")).map(str::to_owned)).collect()
}

/// Everything that was accepted arrives, each once.
#[track_caller]
fn assert_all_arrive(scene: &Scene, peer: &FakePeer, accepted: &BTreeSet<String>) {
    assert!(scene.relay.run(&["queue", "retry", "--all"]).status.success());
    scene.until_queue_is_empty();
    let arrived = subjects(peer);
    assert_eq!(arrived.iter().cloned().collect::<BTreeSet<_>>(), *accepted);
    assert_eq!(arrived.len(), accepted.len(), "none twice: {arrived:?}");
    assert!(scene.home.messages().is_empty(), "nobody was told otherwise");
}

#[test]
fn a_full_disk_defers_at_the_door_and_loses_nothing() {
    let (scene, peer) = scene(&SMALL_DISK, "0");
    let mut accepted = BTreeSet::new();
    for number in 0..5 {
        let subject = format!("before-{number}");
        scene.hand_in(ALICE, &[BOB], &content(&subject, 2_000));
        accepted.insert(subject);
    }
    let filler = filler(&scene);
    let full = fill(&filler);
    assert!(full.contains("No space left"), "{full}");
    // What the database's log has room for may still be taken; what is taken is kept.
    let mut deferred = 0;
    for number in 0..60 {
        let subject = format!("full-{number}");
        let octets = if number % 3 == 0 { 600_000 } else { 60_000 };
        if is_taken(&scene, &subject, octets, &["452 4.3.1"]) {
            accepted.insert(subject);
        } else {
            deferred += 1;
        }
    }
    assert!(deferred > 40, "the disk was full: {deferred} deferred");
    let alerts = scene.relay.json(&["status"])["alerts"].to_string();
    assert!(alerts.contains("cannot be queued"), "the operator is told: {alerts}");
    std::fs::remove_file(&filler).expect("the filler is ours");
    let flows = wait::until(wait::PATIENCE, "mail that flows again", || {
        is_taken(&scene, "after", 2_000, &["452 4.3.1"]).then(|| "after".to_owned())
    });
    accepted.insert(flows);
    peer.become_(Script::clear());
    assert_all_arrive(&scene, &peer, &accepted);
}

/// The next hop has taken it and the outcome cannot be written: it is written when there is room again, and the message is
/// not sent twice for it.
#[test]
fn what_is_delivered_while_the_disk_is_full_is_not_delivered_twice() {
    let (scene, peer) = scene(&SMALL_DISK, "0");
    peer.become_(Script::clear().answer(END_OF_DATA, Action::Wait));
    scene.hand_in(ALICE, &[BOB], &content("under way", 2_000));
    wait::until(wait::PATIENCE, "the end of its data", || {
        peer.sessions().iter().any(|session| session.clear().contains("\r\n.\r\n")).then_some(())
    });
    let filler = filler(&scene);
    fill(&filler);
    // Uses up what the log has left.
    let mut accepted = BTreeSet::from(["under way".to_owned()]);
    while is_taken(&scene, &format!("fills-{}", accepted.len()), 200_000, &["452 4.3.1"]) {
        accepted.insert(format!("fills-{}", accepted.len()));
    }
    peer.become_(Script::clear());
    wait::until(wait::PATIENCE, "an alert", || {
        scene.relay.json(&["status"])["alerts"].to_string().contains("cannot be settled").then_some(())
    });
    assert_eq!(subjects(&peer), ["under way"]);
    std::fs::remove_file(&filler).expect("the filler is ours");
    assert_all_arrive(&scene, &peer, &accepted);
}

/// Before the disk is full the door closes, and what is queued still leaves: a full queue on a small disk empties by itself.
#[test]
fn a_disk_that_is_almost_full_takes_nothing_in_and_lets_everything_out() {
    let (scene, peer) = scene(&SMALL_DISK, "\"6MiB\"");
    let mut accepted = BTreeSet::new();
    let mut number = 0;
    // Mail itself fills it.
    while is_taken(&scene, &format!("fills-{number}"), 100_000, &["452 4.3.1"]) {
        accepted.insert(format!("fills-{number}"));
        number += 1;
    }
    assert!(accepted.len() > 5, "{accepted:?}");
    for octets in [2_000, 600_000] {
        assert!(!is_taken(&scene, "not now", octets, &["452 4.3.1"]), "{octets}");
    }
    peer.become_(Script::clear());
    assert_all_arrive(&scene, &peer, &accepted);
    // What has left makes room, though the database's file does not shrink.
    wait::until(wait::PATIENCE, "mail that flows again", || {
        is_taken(&scene, "after", 2_000, &["452 4.3.1"]).then_some(())
    });
}

/// A file beside the database, in the file system that only the relay sees.
fn filler(scene: &Scene) -> PathBuf {
    let beside = scene.relay.ground().path("data/filler");
    let root = PathBuf::from(format!("/proc/{}/root", scene.relay.id()));
    root.join(beside.strip_prefix("/").expect("an absolute path"))
}

/// Writes until there is no room; what the system said then.
fn fill(path: &Path) -> String {
    let mut file = File::create(path).expect("a file beside the database");
    for size in [64 * 1024, 4096, 1] {
        let piece = vec![0; size];
        while file.write_all(&piece).is_ok() {}
    }
    file.write_all(&[0]).expect_err("no room is left").to_string()
}

#[test]
fn a_folder_that_takes_nothing_more_defers_at_once_and_hangs_no_session() {
    let (scene, peer) = scene(&AS_NOBODY, "0");
    scene.hand_in(ALICE, &[BOB], &content("before", 2_000));
    let mut accepted = BTreeSet::from(["before".to_owned()]);
    let folders = ["data", "data/content"].map(|name| scene.relay.ground().path(name));
    let rights = |mode| {
        for folder in &folders {
            std::fs::set_permissions(folder, Permissions::from_mode(mode)).expect("root may");
        }
    };
    rights(0o500);
    let mut deferred = 0;
    for number in 0..10 {
        let subject = format!("unwritable-{number}");
        // A large content needs a file of its own; a small one goes into a log that is open.
        let octets = if number % 2 == 0 { 600_000 } else { 2_000 };
        if is_taken(&scene, &subject, octets, &["451 4.3.0"]) {
            accepted.insert(subject);
        } else {
            deferred += 1;
        }
    }
    assert!(deferred >= 5, "no file could be made: {deferred} deferred");
    rights(0o700);
    assert!(is_taken(&scene, "after", 600_000, &[]), "mail flows again");
    accepted.insert("after".to_owned());
    peer.become_(Script::clear());
    assert_all_arrive(&scene, &peer, &accepted);
}
