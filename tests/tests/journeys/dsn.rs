//! What a sender asks to be told (RFC 3461) and in which letters (RFC 6531): passed to a next hop that offers it, answered by
//! the relay where the next hop does not, kept where nobody wants to hear of it.

use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{Script, reply};
use sealwire_tests::postfix::Postfix;
use sealwire_tests::{place, wait};

use super::scene::{ALICE, Scene, given, message};

/// Hands a message in; parameters stand behind the addresses.
#[track_caller]
fn hand_in(scene: &Scene, mail: &str, rcpt: &[&str], content: &str) {
    let mut dialogue = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    let offered = dialogue.command("EHLO desk.sender.test").expect("an answer");
    for keyword in ["DSN", "SMTPUTF8"] {
        assert!(offered.lines().any(|line| line.ends_with(keyword)), "{offered}");
    }
    let mut commands = vec![format!("MAIL FROM:{mail}")];
    commands.extend(rcpt.iter().map(|rcpt| format!("RCPT TO:{rcpt}")));
    commands.push("DATA".to_owned());
    commands.push(format!("{}\r\n.", content.trim_end().replace('\n', "\r\n")));
    for command in commands {
        let reply = dialogue.command(&command).expect("an answer");
        assert!(reply.starts_with(['2', '3']), "{command}: {reply}");
    }
}

#[test]
fn what_the_sender_asks_is_passed_on_or_answered() {
    let knows = Script::clear().extension("DSN").start();
    let postfix = Postfix::next_hop().start();
    let not = Script::clear().start();
    let refuses = Script::clear().answer("RCPT", reply("550 5.1.1 no such user")).start();
    let later = Script::clear().answer("RCPT", reply("451 4.7.1 come back later")).start();
    let mut scene = given()
        .route("knows", &["knows.test"], knows.address(), "")
        .route("postfix", &["postfix.test"], postfix.address(), "")
        .route("not", &["not.test"], not.address(), "")
        .route("refuses", &["refuses.test"], refuses.address(), "")
        .route("later", &["later.test"], later.address(), "")
        .schedule("first-retry = \"1s\"\nmax-interval = \"1s\"\ndelay-notice-after = \"1s\"")
        .start();
    let mail = format!("<{ALICE}> RET=HDRS ENVID=QQ+2B314");
    let all = "NOTIFY=SUCCESS,FAILURE,DELAY";
    let rcpt = [
        format!("<bob@knows.test> {all} ORCPT=rfc822;B+2Bob@Old.Test"),
        format!("<bob@postfix.test> {all} ORCPT=rfc822;bob@older.test"),
        format!("<bob@not.test> {all} ORCPT=rfc822;bob@oldest.test"),
        "<silent@not.test> NOTIFY=NEVER".to_owned(),
        "<bob@refuses.test>".to_owned(),
        "<silent@refuses.test> NOTIFY=NEVER".to_owned(),
        "<bob@later.test>".to_owned(),
        "<silent@later.test> NOTIFY=FAILURE".to_owned(),
    ];
    hand_in(&scene, &mail, &rcpt.each_ref().map(String::as_str), &message(ALICE, "who hears of what"));

    // Passed on as it was given; the relay says no more of it.
    let received = &knows.wait_for_messages(1)[0];
    assert_eq!(received.mail_from, format!("<{ALICE}> SIZE={} RET=HDRS ENVID=QQ+2B314", size_in(&received.mail_from)));
    assert_eq!(received.recipients, [format!("<bob@knows.test> {all} ORCPT=rfc822;B+2Bob@Old.Test")]);
    // RFC 1870 section 5: as long as it is with the relay's own trace above it.
    assert!(received.data.starts_with("Received: "), "{}", received.data);
    assert_eq!(size_in(&received.mail_from), received.data.len().to_string(), "{}", received.data);
    let of_postfix = postfix.wait_for("Action: delivered");
    for field in ["Original-Envelope-Id: QQ+314", "Original-Recipient: rfc822;bob@older.test"] {
        assert!(of_postfix.text.contains(field), "{field}:\n{}", of_postfix.text);
    }

    // A host that does not offer DSN is spoken to without it, and the relay answers.
    let received = &not.wait_for_messages(1)[0];
    assert!(!received.mail_from.contains("ENVID") && received.recipients.iter().all(|it| !it.contains("NOTIFY")));
    let relayed = scene.report("bob@not.test");
    for words in [
        "Subject: Handed on: your message to bob@not.test",
        "Original-Envelope-Id: QQ+314",
        "Original-Recipient: rfc822; bob@oldest.test",
        "Action: relayed",
        "Status: 2.1.9",
        "over a connection that was not secure",
    ] {
        relayed.assert_says(words);
    }
    let failed = scene.report("bob@refuses.test");
    failed.assert_says("Action: failed");
    let delayed = scene.report("bob@later.test");
    for words in
        ["Subject: Delayed: your message to bob@later.test", "Action: delayed", "Status: 4.7.1", "Will-Retry-Until:"]
    {
        delayed.assert_says(words);
    }

    // Three reports, each by MAIL FROM:<>, which ask for none themselves; nothing of those who want to hear nothing.
    let late = wait::until(wait::PATIENCE, "more rounds", || {
        let rounds = scene.ledger("attempted", "silent@later.test");
        (rounds.len() >= 4).then_some(rounds)
    });
    assert!(late.iter().all(|round| round["result"]["outcome"] == "inconclusive"), "{late:?}");
    let home: Vec<_> = scene.home.messages().into_iter().filter(|it| it.data.contains("multipart/report")).collect();
    assert_eq!(home.len(), 3, "{home:#?}");
    assert!(home.iter().all(|it| it.mail_from.starts_with("<>") && !it.data.contains("silent@")), "{home:#?}");
    let kept = scene.ledger("reported", "silent@refuses.test");
    assert_eq!(kept[0]["text"], "The sender asked not to be told of it (NOTIFY, RFC 3461).", "{kept:#?}");
    let notified = scene.ledger("notified", "bob@later.test");
    assert_eq!(notified.len(), 1, "told once: {notified:#?}");
    assert!(scene.ledger("notified", "bob@postfix.test").is_empty());

    // What was asked for outlives a restart, with its recipient (RFC 3461 section 5).
    scene.relay.stop();
    later.become_(Script::clear().extension("DSN"));
    scene.relay.start();
    let received = later.wait_for_messages(1);
    let mut recipients: Vec<String> = received.iter().flat_map(|message| message.recipients.clone()).collect();
    recipients.sort();
    assert_eq!(recipients, ["<bob@later.test>", "<silent@later.test> NOTIFY=FAILURE"], "{received:#?}");
    assert!(received.iter().all(|message| message.mail_from.ends_with(" RET=HDRS ENVID=QQ+2B314")), "{received:#?}");
}

fn size_in(mail: &str) -> &str {
    let behind = mail.split_once(" SIZE=").map_or("", |(_, behind)| behind);
    behind.split(' ').next().unwrap_or_default()
}

#[test]
fn international_mail_goes_where_it_can_and_comes_back_where_it_cannot() {
    let postfix = Postfix::next_hop().set("smtputf8_enable", "yes").start();
    let old = Script::clear().start();
    let scene = given()
        .route("postfix", &["postfix.test"], postfix.address(), "")
        .route("old", &["old.test"], old.address(), "")
        .start();
    let content = "From: J\u{fc}rgen <j\u{fc}rgen@sender.test>\nSubject: Gr\u{fc}\u{df}e\n\nHallo\n";
    let rcpt = ["<b\u{f6}b@postfix.test>", "<bob@postfix.test>", "<b\u{f6}b@old.test>", "<bob@old.test>"];
    hand_in(&scene, &format!("<{ALICE}> SMTPUTF8 BODY=8BITMIME"), &rcpt, content);
    let received = postfix.wait_for("Gr\u{fc}\u{df}e");
    assert!(received.text.contains("with UTF8SMTP id"), "the relay's trace says so:\n{}", received.text);
    scene.until_queue_is_empty();
    assert!(old.messages().is_empty(), "neither the address nor the header can go there");
    let report = scene.report("bob@old.test");
    report.assert_says("Status: 5.6.7");
    report.assert_says("The header of the message is not ASCII");
    report.assert_says("Final-Recipient: utf-8; b\\x{F6}b@old.test");
    report.assert_says("Content-Type: message/global-headers");

    // RFC 6531 section 3.2, RFC 1870 section 6.1: what the first host cannot be told the next one is, and the one that could not
    // be asked may be the one that can.
    let small =
        Script::clear().answer("EHLO", reply("250-small.test\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 100")).start();
    let away = place::free_address();
    let scene = given()
        .hosts("either", &["either.test"], &[old.address(), small.address(), postfix.address()], "")
        .hosts("neither", &["neither.test"], &[old.address(), small.address()], "")
        .hosts("away", &["away.test"], &[old.address(), away], "")
        .start();
    let rcpt = ["<b\u{f6}b@either.test>", "<bob@neither.test>", "<bob@away.test>"];
    hand_in(&scene, &format!("<{ALICE}> SMTPUTF8 BODY=8BITMIME"), &rcpt, &content.replace("Hallo", "Hallo zusammen"));
    postfix.wait_for("Hallo zusammen");
    scene.report("bob@neither.test").assert_says("Status: 5.6.7");
    let rounds = scene.rounds("bob@away.test", 1);
    assert_eq!(rounds[0]["result"]["outcome"], "inconclusive", "{rounds:#?}");
    assert!(old.messages().is_empty() && small.messages().is_empty());

    // An ASCII header needs nothing of a host whose recipient is ASCII too.
    let scene = given().route("old", &["old.test"], old.address(), "").start();
    hand_in(&scene, &format!("<{ALICE}> SMTPUTF8"), &["<bob@old.test>"], &message(ALICE, "in ASCII"));
    assert!(!old.wait_for_messages(1)[0].mail_from.contains("SMTPUTF8"));
}

/// Nothing is converted: what no host takes comes back, with the reason's own status.
#[test]
fn what_no_host_takes_comes_back_with_its_status() {
    let offers = |lines: &str| Script::clear().answer("EHLO", reply(lines)).start();
    let (seven_bit, small) = (offers("250 seven.test"), offers("250-small.test\r\n250-8BITMIME\r\n250 SIZE 100"));
    let scene = given()
        .route("seven", &["seven.test"], seven_bit.address(), "")
        .route("small", &["small.test"], small.address(), "")
        .start();
    let content = format!("From: <{ALICE}>\nSubject: eight bits\n\nGr\u{fc}\u{df}e\n");
    let rcpt = ["<bob@seven.test>", "<bob@small.test>"];
    hand_in(&scene, &format!("<{ALICE}> BODY=8BITMIME"), &rcpt, &content);
    let rows = [
        ("bob@seven.test", "Status: 5.6.3", "The message has 8-bit content, which the host does not take"),
        ("bob@small.test", "Status: 5.3.4", "octets"),
    ];
    for (recipient, status, words) in rows {
        let report = scene.report(recipient);
        report.assert_says(status);
        report.assert_says(words);
        report.assert_says("Action: failed");
    }
    assert!(seven_bit.messages().is_empty() && small.messages().is_empty());
    // RFC 1870 section 6.1, RFC 6152: neither host was asked to take it.
    for peer in [&seven_bit, &small] {
        let said: String = peer.wait_for_ended(1).iter().map(|session| session.clear()).collect();
        assert!(!said.contains("MAIL"), "{said}");
    }
}
