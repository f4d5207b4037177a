//! Alerts go where the operator wants them: to a mailbox through the relay itself, and to a webhook, together and once; and an
//! alert about the mail of alerts begets no mail.

use sealwire_tests::certs::Authority;
use sealwire_tests::fake_peer::{Script, reply};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::web::{Response, Site, Web};
use sealwire_tests::{guests, place, wait};
use serde_json::Value;

use super::scene::{ALICE, given, message, says, setting};

#[test]
fn an_operator_is_told_by_mail_and_by_a_webhook() {
    let authority = Authority::new("The web's");
    let nsd = Nsd::start(&[("hooks.test", "take A 127.0.0.1\n")]);
    let https = place::free_address();
    let take = Site::new("take.hooks.test", &authority.leaf(&["take.hooks.test"]));
    let mut web = Web::start_at(https, vec![take.answer("/x", Response::Collect(204))]);
    let partner = Script::tls(&authority.leaf(&["127.0.0.1"])).start();
    let operator = Script::clear().start();
    let lines =
        format!("[alerts]\nto = [\"mailto:ops@operator.test\", \"https://take.hooks.test:{}/x\"]\n", https.port());
    let mut scene = given()
        .believing(authority)
        .dns(nsd.address())
        .route("partner", &["one.test", "two.test"], partner.address(), "")
        .route("operator", &["operator.test"], operator.address(), "")
        .config(&lines)
        .start();
    scene.submit(ALICE, &["bob@one.test"], "with a good certificate");
    scene.until_queue_is_empty();

    // The partner loses its TLS, and the relay's own mail of alerts is refused.
    scene.relay.stop();
    partner.become_(Script::clear());
    operator.become_(Script::clear().answer("RCPT", reply("550 5.1.1 nobody here")));
    scene.relay.start();
    scene.submit(ALICE, &["bob@one.test"], "in clear");
    let told = web.wait_for_requests("take.hooks.test", 1);
    let body: Value = serde_json::from_slice(&told[0].body().expect("a body")).expect("JSON");
    assert_eq!(body["alerts"].as_array().map(Vec::len), Some(1), "{body:#}");
    let text = body["text"].as_str().unwrap_or_default();
    assert!(text.contains("route partner has lost protection: 127.0.0.1 gives no TLS"), "{text}");

    // The mail could not be delivered, which is an alert of its own and no mail of its own.
    let refused = wait::until(wait::PATIENCE, "an alert about the mail of alerts", || {
        let alerts = scene.log(&["--event", "alert"]);
        let text = |alert: &Value| alert["text"].as_str().unwrap_or_default().to_owned();
        alerts.iter().map(text).find(|text| text.contains("to ops@operator.test could not be delivered"))
    });
    assert!(refused.contains("nobody here"), "{refused}");
    assert!(scene.queue().is_empty(), "nothing more is queued");

    // After a restart, at a mailbox that takes it.
    scene.relay.stop();
    operator.become_(Script::clear());
    partner.become_(Script::tls(&sealwire_tests::certs::self_signed(&["127.0.0.1"])));
    scene.relay.start();
    assert!(scene.relay.run(&["downgrades", "accept", "route partner"]).status.success());
    scene.relay.stop();
    scene.relay.start();
    scene.submit(ALICE, &["bob@two.test"], "by TLS");
    scene.until_queue_is_empty();
    scene.relay.stop();
    partner.become_(Script::clear());
    scene.relay.start();
    scene.submit(ALICE, &["bob@two.test"], "in clear");
    let mail = &operator.wait_for_messages(1)[0];
    assert_eq!(
        (mail.mail_from.starts_with("<>"), mail.recipients.as_slice()),
        (true, &["<ops@operator.test>".to_owned()][..])
    );
    for words in
        ["Subject: sealwire on relay.test: route partner has lost protection", "Auto-Submitted: auto-generated"]
    {
        assert!(says(&mail.data, words), "{}", mail.data);
    }
    web.stop();
}

/// The relay's time goes twenty times as fast: spans too.
const FAST: [&str; 3] = [
    "sh",
    "-c",
    "library=$(ls /usr/lib/*/faketime/libfaketimeMT.so.1) || exit 1; export LD_PRELOAD=$library FAKETIME='+0 x20'; \
     exec \"$0\" \"$@\"",
];

/// What lasts is raised again and again, and sent again when `repeat-after` is over, not before and not never.
#[test]
fn the_same_loss_is_sent_once_in_repeat_after() {
    let authority = Authority::new("The web's");
    let nsd = Nsd::start(&[("hooks.test", "take A 127.0.0.1\n")]);
    let https = place::free_address();
    let take = Site::new("take.hooks.test", &authority.leaf(&["take.hooks.test"]));
    let mut web = Web::start_at(https, vec![take.answer("/x", Response::Collect(204))]);
    let peer = Script::clear().start();
    let failing = guests::fail_by_subject().display().to_string();
    let scene = given()
        .believing(authority)
        .dns(nsd.address())
        .route("other", &["other.test"], peer.address(), "")
        .builtin()
        .policy("failing", &failing)
        .config(&format!("[alerts]\nto = [\"https://take.hooks.test:{}/x\"]\nrepeat-after = \"8m\"\n", https.port()))
        .under(&FAST)
        .start();
    // Raised as often as it is offered, given once in five minutes.
    let given = || {
        let reply = scene.offer(ALICE, &["bob@other.test"], &message(ALICE, "err in receive"));
        assert!(reply.starts_with("451 4.3.0"), "{reply}");
        scene.log(&["--event", "alert"]).iter().filter(|alert| alert["text"].to_string().contains("failing")).count()
    };
    wait::until(2 * wait::PATIENCE, "the third of the same alerts", || (given() >= 3).then_some(()));
    let posts = web.wait_for_requests("take.hooks.test", 2);
    let sent: Vec<String> = posts
        .iter()
        .map(|post| {
            let body: Value = serde_json::from_slice(&post.body().expect("a body")).expect("JSON");
            assert_eq!(body["alerts"].as_array().map(Vec::len), Some(1), "{body:#}");
            body["alerts"][0].to_string()
        })
        .collect();
    assert_eq!(sent.len(), 2, "the second of three was not sent: {sent:?}");
    web.stop();
}

/// What a policy refuses because of a list is told where the configuration asks for it, and once however much it is.
#[test]
fn refusals_are_told_where_that_is_asked_for() {
    for asked in [false, true] {
        let peer = Script::clear().start();
        let scene = given()
            .route("ours", &["ours.test"], peer.address(), "")
            .config(&format!("[alerts]\nrefusals = {asked}\n"))
            .settings(&setting("partners", "inbound", &["partner.test"], ""))
            .start();
        for number in 0..5 {
            let carol = format!("carol{number}@partner.test");
            let reply = scene.offer(&carol, &["bob@ours.test"], &message(&carol, "in clear"));
            assert!(reply.starts_with("550 5.7.10"), "{reply}");
        }
        scene.submit(ALICE, &["bob@ours.test"], "of nobody who is listed");
        scene.until_queue_is_empty();
        assert_eq!(scene.total("refused"), 5);
        let alerts: Vec<Value> = scene.relay.json(&["status"])["alerts"].as_array().cloned().unwrap_or_default();
        assert_eq!(alerts.len(), usize::from(asked), "{alerts:#?}");
        for alert in alerts {
            let text = alert["text"].as_str().unwrap_or_default();
            assert!(text.starts_with("mail from partner.test is refused: ") && text.contains("rule R1"), "{text}");
        }
    }
}
