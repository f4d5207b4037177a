//! Alerts go where the operator wants them: to a mailbox through the relay itself, and to a webhook, together and once; and an
//! alert about the mail of alerts begets no mail.

use sealwire_tests::certs::Authority;
use sealwire_tests::fake_peer::{Script, reply};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::web::{Response, Site, Web};
use sealwire_tests::{place, wait};
use serde_json::Value;

use super::scene::{ALICE, given, says};

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
