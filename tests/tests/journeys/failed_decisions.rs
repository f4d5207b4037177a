//! H3: a policy that cannot decide defers; it never accepts and never sends. 451 at the door, a deferral behind it that
//! uses nothing up, and `queue retry --failed-decisions` after the repair.

use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{FakePeer, Script};
use sealwire_tests::{guests, wait};

use super::scene::{ALICE, BUILTIN, Scene, given, message};

const BOB: &str = "bob@other.test";
const WAYS: [&str; 4] = ["trap", "err", "no conclude", "endless"];

/// A relay whose second policy fails when the Subject says so.
fn scene() -> (Scene, FakePeer) {
    let peer = Script::clear().start();
    let failing = guests::fail_by_subject().display().to_string();
    let scene =
        given().route("other", &["other.test"], peer.address(), "").builtin().policy("failing", &failing).start();
    (scene, peer)
}

#[test]
fn at_the_door_the_client_is_told_to_come_again() {
    let (scene, peer) = scene();
    for way in WAYS {
        let subject = format!("{way} in receive");
        let reply = scene.offer(ALICE, &[BOB], &message(ALICE, &subject));
        assert!(reply.starts_with("451 4.3.0"), "{subject}: {reply}");
        assert!(!reply.contains("as asked"), "the fault's words are the operator's: {reply}");
    }
    assert!(scene.queue().is_empty());
    // Nothing has been broken for the next one.
    scene.submit(ALICE, &[BOB], "plain");
    assert_eq!(scene.fate(&[&peer], BOB).word(), "in clear");
    assert_eq!(peer.messages().len(), 1);
    assert!(scene.total("failed-decisions") >= 4);
    let alerts = scene.relay.json(&["status"])["alerts"].to_string();
    assert!(alerts.contains("failing"), "the operator is told: {alerts}");
}

/// Decisions have threads of their own, and no more run at once than there are of these: while endless guests burn, many
/// more than cores, a session that needs no decision is answered as if nothing were.
#[test]
fn endless_guests_hold_up_decisions_and_nothing_else() {
    // Several for each core, so that they take a while whatever the machine.
    let burning = 8 * std::thread::available_parallelism().map_or(2, usize::from);
    let (scene, _peer) = scene();
    let server = scene.relay.smtp();
    let mut sessions: Vec<Dialogue> = (0..burning).map(|_| Dialogue::open(server).expect("a session")).collect();
    for session in &mut sessions {
        session.begin(ALICE, &[BOB]).expect("an envelope");
        let content = message(ALICE, "endless in receive").replace('\n', "\r\n");
        session.say(format!("{content}\r\n.\r\n")).expect("the content");
    }
    let mut other = Dialogue::open(server).expect("a session");
    for _ in 0..burning {
        assert!(other.command("NOOP").expect("an answer").starts_with("250"));
    }
    let failed = |scene: &Scene| usize::try_from(scene.total("failed-decisions")).expect("few");
    assert!(failed(&scene) < burning, "all that burned had ended before a NOOP was answered");
    for session in &mut sessions {
        let reply = session.reply().expect("an answer");
        assert!(reply.starts_with("451 4.3.0"), "{reply}");
    }
    assert_eq!(failed(&scene), burning);
}

#[test]
fn behind_the_door_mail_waits_until_the_policy_is_mended() {
    let (mut scene, peer) = scene();
    let mut recipients = Vec::new();
    for stage in ["plan", "judge"] {
        for (number, way) in WAYS.into_iter().enumerate() {
            let recipient = format!("{stage}{number}@other.test");
            scene.submit(ALICE, &[&recipient], &format!("{way} in {stage}"));
            recipients.push(recipient);
        }
    }
    for recipient in &recipients {
        let rounds = scene.rounds(recipient, 1);
        assert_eq!(rounds[0]["result"]["outcome"], "failed-decision", "{rounds:#?}");
    }
    let sent = |peer: &FakePeer| peer.sessions().iter().any(|session| session.clear().contains("MAIL"));
    assert!(!sent(&peer), "nothing is sent without a decision");
    let counts = scene.relay.json(&["status"])["queue"].clone();
    assert_eq!(counts["failed-decisions"], recipients.len(), "{counts:#}");

    // Freed too early it fails again; after the repair it goes.
    let retry = ["queue", "retry", "--failed-decisions"];
    assert!(scene.relay.run(&retry).status.success());
    for recipient in &recipients {
        scene.rounds(recipient, 2);
    }
    assert!(!sent(&peer));
    scene.configure_chain(&[BUILTIN]);
    let said = scene.relay.run(&["reload"]);
    assert!(said.status.success(), "{}", said.err);
    assert!(scene.relay.run(&retry).status.success());
    for recipient in &recipients {
        assert_eq!(scene.fate(&[&peer], recipient).word(), "in clear", "{recipient}");
    }
    scene.until_queue_is_empty();
    assert!(scene.home.sessions().is_empty(), "nobody was told of a failure");
}

/// Expiry ends even this wait, with a report that names the policy and not its words.
#[test]
fn a_policy_that_is_not_mended_ends_in_a_report() {
    let peer = Script::clear().start();
    let failing = guests::fail_by_subject().display().to_string();
    let scene = given()
        .route("other", &["other.test"], peer.address(), "")
        .schedule("failed-decision-retry = \"1s\"\nexpire-after = \"1s\"\n")
        .policy("failing", &failing)
        .start();
    scene.submit(ALICE, &[BOB], "err in plan");
    let report = scene.report(BOB);
    report.assert_says("The policy \"failing\" could not decide");
    report.assert_says("That is a fault of this relay, not yours and not the recipient's.");
    report.assert_says("Status: 5.3.0");
    assert!(!report.says("as asked"));
    assert!(peer.messages().is_empty());
}

/// Nobody else would notice: the sender waits, the log is long. The alert is a log line, a line in status and a metric.
#[test]
fn mail_that_waits_for_a_policy_too_long_raises_an_alert() {
    let failing = guests::fail_by_subject().display().to_string();
    let scene = given()
        .schedule("failed-decision-retry = \"1s\"\nfailed-decision-alert-after = \"1s\"\n")
        .policy("failing", &failing)
        .start();
    scene.submit(ALICE, &[BOB], "trap in plan");
    let alert = wait::until(wait::PATIENCE, "an alert", || {
        let alerts = scene.relay.json(&["status"])["alerts"].to_string();
        (alerts.contains("waits") && alerts.contains(BOB)).then_some(alerts)
    });
    assert!(alert.contains("failing"), "it names the policy: {alert}");
    assert!(scene.relay.log().contains("ERROR"), "{}", scene.relay.log());
    let counted = scene.metrics();
    assert!(counted.lines().any(|line| line.starts_with("sealwire_alerts_total ")), "{counted}");
    assert_eq!(scene.queue().len(), 1, "the message still waits");
}
