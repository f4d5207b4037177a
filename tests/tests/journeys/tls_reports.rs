//! TLS reports (RFC 8460): domains that ask for it are told how mail to them found their TLS, by mail and by HTTPS, whatever is
//! broken about their own TLS, and nobody is told of the telling. Real name server, web server and next hop; what is sent is read
//! by others' code.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sealwire_tests::certs::{Authority, Leaf};
use sealwire_tests::fake_peer::Script;
use sealwire_tests::nsd::Nsd;
use sealwire_tests::postfix::Postfix;
use sealwire_tests::tls_reports::{by_mail, dkim_key, posted, written};
use sealwire_tests::web::{Response, Site, Web};
use sealwire_tests::{place, wait};
use serde_json::{Value, json};

use super::clock::{SET_CLOCK, set};
use super::scene::{ALICE, Scene, given, setting};

const STS: &str = "_mta-sts TXT \"v=STSv1; id=1;\"";

fn policy(host: &str) -> Response {
    Response::Text(format!("version: STSv1\r\nmode: enforce\r\nmx: {host}\r\nmax_age: 86400\r\n"))
}

/// The lines of `[tls-reports]`, in front of all tables.
fn reports(more: &str) -> String {
    format!("[tls-reports]\nenabled = true\norganization-name = \"Sender Ltd\"\ncontact = \"tls@sender.test\"\n{more}")
}

/// What `tls-reports send` says, as (destination, taken).
fn send(scene: &Scene, domain: &str) -> Vec<(String, bool)> {
    let Value::Array(sent) = scene.relay.json(&["tls-reports", "send", domain]) else { panic!("a list") };
    let mut sent: Vec<_> = sent
        .iter()
        .map(|sent| (sent["to"].as_str().expect("a text").to_owned(), sent["taken"].as_bool().expect("a flag")))
        .collect();
    sent.sort();
    sent
}

/// The domains of which is counted, with good and bad sessions.
fn counted(scene: &Scene) -> Vec<(String, u64, u64)> {
    let Value::Array(counted) = scene.relay.json(&["tls-reports", "list"]) else { panic!("a list") };
    let count = |of: &Value, key: &str| of[key].as_u64().expect("a number");
    let row =
        |of: &Value| (of["about"].as_str().expect("a text").to_owned(), count(of, "successful"), count(of, "failed"));
    counted.iter().map(row).collect()
}

#[test]
fn domains_are_told_by_mail_and_by_https_and_nobody_of_the_telling() {
    let authority = Authority::new("The web's");
    let port = place::free_address().port();
    let at = |last: u8| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 7, last)), port);
    let folder = place::folder();
    let (key, record) = dkim_key(folder.path());
    let https = place::free_address();
    let rua = |to: &str| format!("_smtp._tls TXT \"v=TLSRPTv1; rua={to}\"");
    let both = rua(&format!("mailto:reports@collector.test,https://take.told.test:{}/v1", https.port()));
    let zone = |last: u8, more: &str| format!("@ MX 10 mx\nmx A 127.0.7.{last}\nmta-sts A 127.0.0.1\n{more}\n");
    let told = zone(1, &format!("{STS}\n{both}\ntake A 127.0.0.1"));
    // The reports' own receiver promises TLS and has none: mail would wait for it, reports do not.
    let collector = zone(2, &format!("{STS}\n{}", rua("mailto:reports@collector.test")));
    let nsd = Nsd::start(&[("told.test", &told), ("collector.test", &collector), ("untold.test", &zone(3, ""))]);
    let sts = |zone: &str| {
        let name = format!("mta-sts.{zone}");
        Site::new(&name, &authority.leaf(&[&name])).policy(policy(&format!("mx.{zone}")))
    };
    let take = Site::new("take.told.test", &authority.leaf(&["take.told.test"]));
    let web =
        Web::start_at(https, vec![sts("told.test"), sts("collector.test"), take.answer("/v1", Response::Collect(201))]);
    let peers = [Script::tls(&authority.leaf(&["mx.told.test"])).start_at(at(1)), Script::clear().start_at(at(3))];
    let postfix = Postfix::next_hop().listen(at(2)).hostname("mx.collector.test").start();
    let by = format!("from = \"tls-reports@sender.test\"\ndkim-selector = \"s1\"\ndkim-key = \"{}\"\n", key.display());
    let given = given().believing(authority).dns(nsd.address()).mx(port).sts(web.port()).config(&reports(&by));
    let mut scene = given.settings(&setting("partners", "outbound", &["eve@told.test"], "")).start();

    // Two domains that get their mail, by TLS and in clear, and one host that has lost its TLS.
    scene.submit(ALICE, &["ann@told.test"], "the first");
    assert_eq!(scene.fate(&[&peers[0]], "ann@told.test").word(), "by TLS");
    scene.submit(ALICE, &["cat@untold.test"], "the second");
    assert_eq!(scene.fate(&[&peers[1]], "cat@untold.test").word(), "in clear");
    // One status for a connection: another message over it is none, and a session that was resumed is one.
    scene.until_queue_is_empty();
    scene.submit(ALICE, &["amy@told.test"], "over the same connection");
    assert_eq!(scene.fate(&[&peers[0]], "amy@told.test").word(), "by TLS");
    scene.until_queue_is_empty();
    scene.submit(ALICE, &["eve@told.test"], "with a floor of its own");
    assert_eq!(scene.fate(&[&peers[0]], "eve@told.test").word(), "by TLS");
    let sessions = peers[0].sessions();
    let resumed: Vec<bool> =
        sessions.iter().filter_map(|session| session.tls.as_ref()).map(|tls| tls.resumed).collect();
    let connections = resumed.len() as u64;
    assert!(connections < 3 && resumed.ends_with(&[true]), "{resumed:?}");
    peers[0].become_(Script::clear());
    scene.relay.stop();
    scene.relay.start();
    scene.submit(ALICE, &["bob@told.test"], "the third");
    scene.rounds("bob@told.test", 1);
    let expected = [("told.test".into(), connections, 1), ("untold.test".into(), 0, 1)];
    assert_eq!(counted(&scene), expected, "kept over a restart");

    let shown = scene.relay.json(&["tls-reports", "show", "told.test"]);
    assert_eq!(shown["organization-name"], "Sender Ltd");
    let to_https = format!("https://take.told.test:{}/v1", https.port());
    let sent = send(&scene, "told.test");
    assert_eq!(sent, [(to_https.clone(), true), ("mailto:reports@collector.test".into(), true)]);

    let message = postfix.wait_for("TLS-Report-Domain: told.test");
    assert_eq!((message.sender(), message.recipient()), ("", "reports@collector.test"));
    let read = by_mail(message.text.as_bytes(), &record);
    assert!(read.verified, "dkimpy verifies:\n{}", message.text);
    let changed = message.text.replace("Submitter: sender.test", "Submitter: other.test");
    assert!(!by_mail(changed.as_bytes(), &record).verified, "a changed header");
    assert!(!by_mail(message.text.as_bytes(), &record.replace("s=tlsrpt", "s=email")).verified, "a key for other mail");
    assert_eq!((read.content_type.as_str(), read.report_type.as_str()), ("multipart/report", "tlsrpt"));
    assert_eq!(read.parts, ["text/plain", "application/tlsrpt+gzip"]);
    let id = read.report["report-id"].as_str().expect("a text");
    assert_eq!(read.header["subject"], format!("Report Domain: told.test Submitter: sender.test Report-ID: <{id}>"));
    assert_eq!(read.header["tls-required"], "No");
    assert!(read.file.starts_with("sender.test!told.test!") && read.file.ends_with(".json.gz"), "{}", read.file);
    let expected = json!([{
        "policy": {
            "policy-type": "sts",
            "policy-string": ["version: STSv1", "mode: enforce", "mx: mx.told.test", "max_age: 86400"],
            "policy-domain": "told.test",
            "mx-host": ["mx.told.test"]
        },
        "summary": { "total-successful-session-count": connections, "total-failure-session-count": 1 },
        "failure-details": [{
            "result-type": "starttls-not-supported",
            "sending-mta-ip": "127.0.0.1",
            "receiving-mx-hostname": "mx.told.test",
            "receiving-ip": "127.0.7.1",
            "failed-session-count": 1,
            "failure-reason-code": "STARTTLS was not offered"
        }]
    }]);
    assert_eq!(read.report["policies"], expected);
    let [request] = &web.wait_for_requests("take.told.test", 1)[..] else { panic!("one request") };
    assert_eq!((request.method.as_str(), request.content_type.as_str()), ("POST", "application/tlsrpt+gzip"));
    assert_eq!(posted(&request.body().expect("a body")), read.report, "by either way the same");

    // Nothing of what carried the report is counted, and nobody who did not ask is told.
    scene.rounds("reports@collector.test", 1);
    assert_eq!(counted(&scene), [("untold.test".into(), 0, 1)]);
    assert_eq!(send(&scene, "untold.test"), [(String::new(), false)]);
    assert_eq!(scene.relay.json(&["tls-reports", "send"]), json!([]));
    let logged = scene.log(&["--event", "tls-report"]);
    assert_eq!(logged.len(), 2, "{logged:#?}");
    let status = scene.relay.json(&["status"]);
    assert_eq!(status["tls-reports"]["taken"], 2, "{status:#}");
    let said = scene.relay.run(&["status"]).out;
    assert!(said.contains("2 taken, 0 given up; last"), "{said}");

    // What mail in general would meet there, to show that the reports' receiver was one that mail does not reach.
    scene.submit(ALICE, &["dan@collector.test"], "the fourth");
    let rounds = scene.rounds("dan@collector.test", 1);
    assert!(rounds[0]["result"].to_string().contains("STARTTLS"), "{:#}", rounds[0]);
    assert_eq!(counted(&scene), [("collector.test".into(), 0, 1)]);
}

/// A web server that does not take it is asked again, over a restart too; what has been taken is not sent twice.
#[test]
fn a_report_that_is_not_taken_is_kept_and_sent_again() {
    let authority = Authority::new("The web's");
    let (port, https) = (place::free_address().port(), place::free_address());
    let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 7, 10)), port);
    let to = |name: &str| format!("https://{name}.told.test:{}/", https.port());
    // Without a key nothing goes by mail, and nothing waits for that.
    let mail = "mailto:reports@told.test";
    let rua = format!("_smtp._tls TXT \"v=TLSRPTv1; rua={mail},{},{},{}\"", to("good"), to("bad"), to("forged"));
    let zone = format!("@ MX 10 mx\nmx A {}\ngood A 127.0.0.1\nbad A 127.0.0.1\nforged A 127.0.0.1\n{rua}\n", at.ip());
    let nsd = Nsd::start(&[("told.test", &zone)]);
    let site = |name: &str, leaf: &Leaf| Site::new(&format!("{name}.told.test"), leaf);
    let leaf = |name: &str| authority.leaf(&[&format!("{name}.told.test")]);
    let good = site("good", &leaf("good")).answer("/", Response::Collect(200));
    let forged = site("forged", &leaf("other")).answer("/", Response::Collect(200));
    let bad = |answer| site("bad", &leaf("bad")).answer("/", answer);
    let mended = bad(Response::Collect(202));
    let mut web = Web::start_at(https, vec![good, bad(Response::Status(500)), forged]);
    let peer = Script::tls(&leaf("mx")).start_at(at);
    let mut scene = given().believing(authority).dns(nsd.address()).mx(port).config(&reports("")).start();
    scene.submit(ALICE, &["ann@told.test"], "the first");
    assert_eq!(scene.fate(&[&peer], "ann@told.test").word(), "by TLS");
    let sent = send(&scene, "told.test");
    assert_eq!(sent, [(to("bad"), false), (to("forged"), false), (to("good"), true)]);
    scene.relay.stop();
    scene.relay.start();
    let waiting = |scene: &Scene| scene.relay.json(&["status"])["tls-reports"]["waiting"].clone();
    assert_eq!(waiting(&scene), 1);
    web.set(mended);
    assert_eq!(send(&scene, "told.test"), [(to("bad"), true), (to("forged"), false)]);
    assert_eq!(waiting(&scene), 1, "a certificate of another's is no destination");
    let bodies: Vec<Value> = ["good", "bad"]
        .map(|name| {
            let name = format!("{name}.told.test");
            let requests = web.wait_for_requests(&name, 1);
            let taken = requests.iter().find(|request| request.status.starts_with('2')).expect("one that was taken");
            posted(&taken.body().expect("a body"))
        })
        .into();
    assert_eq!(bodies[0], bodies[1], "the second time the same report, with the same id");
    assert_eq!(bodies[0]["policies"][0]["policy"]["policy-type"], "no-policy-found");
    assert_eq!(web.requests("good.told.test").len(), 1, "nothing is sent twice");
    assert_eq!(web.requests("forged.told.test").len(), 0, "nothing is sent to a stranger");
}

/// Nobody asks for it: the clock goes on by a day, and by some hours more. Each start of the relay looks for what is due.
#[test]
fn a_day_that_has_ended_is_reported_within_hours() {
    let authority = Authority::new("The web's");
    let (port, https) = (place::free_address().port(), place::free_address());
    let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 7, 20)), port);
    let rua = format!("_smtp._tls TXT \"v=TLSRPTv1; rua=https://take.told.test:{}/\"", https.port());
    let nsd = Nsd::start(&[("told.test", &format!("@ MX 10 mx\nmx A {}\ntake A 127.0.0.1\n{rua}\n", at.ip()))]);
    let take = Site::new("take.told.test", &authority.leaf(&["take.told.test"])).answer("/", Response::Collect(201));
    let web = Web::start_at(https, vec![take]);
    let peer = Script::tls(&authority.leaf(&["mx.told.test"])).start_at(at);
    let given = given().believing(authority).dns(nsd.address()).mx(port).config(&reports(""));
    let mut scene = given.under(&SET_CLOCK).start();
    scene.submit(ALICE, &["ann@told.test"], "the first");
    assert_eq!(scene.fate(&[&peer], "ann@told.test").word(), "by TLS");
    scene.relay.stop();
    set(&scene, 24);
    scene.relay.start();
    wait::until(wait::PATIENCE, "the end of the day", || counted(&scene).is_empty().then_some(()));
    assert_eq!(scene.relay.json(&["status"])["tls-reports"]["waiting"], 1);
    assert!(web.requests("take.told.test").is_empty(), "not all senders at midnight");
    scene.relay.stop();
    set(&scene, 29);
    scene.relay.start();
    let [request] = &web.wait_for_requests("take.told.test", 1)[..] else { panic!("one request") };
    let report = posted(&request.body().expect("a body"));
    let range = |key: &str| report["date-range"][key].as_str().expect("a text").to_owned();
    let (start, end) = (range("start-datetime"), range("end-datetime"));
    assert!(start.ends_with("T00:00:00Z") && end.ends_with("T23:59:59Z") && start[..10] == end[..10], "{report:#}");
    assert_eq!(report["policies"][0]["summary"]["total-successful-session-count"], 1);
    let waits = || scene.relay.json(&["status"])["tls-reports"]["waiting"].as_u64();
    wait::until(wait::PATIENCE, "nothing left", || (waits() == Some(0)).then_some(()));
}

/// What others report about a domain of ours, handed in by a real Postfix and signed by dkimpy: it is in `log` and `status`, and
/// goes on to its mailbox. Without a good signature it is told and does not count.
#[test]
fn what_others_report_about_us_is_told() {
    let folder = place::folder();
    let (key, record) = dkim_key(folder.path());
    let (first, second) = record.split_at(200);
    let nsd = Nsd::start(&[("big.test", &format!("s1._domainkey TXT \"{first}\" \"{second}\"\n"))]);
    let peer = Script::clear().start();
    let scene = given()
        .dns(nsd.address())
        .config("hosted-domains = [\"ours.test\"]\n[tls-reports]\nreceive = [\"tls@ours.test\"]\n")
        .route("ours", &["ours.test"], peer.address(), "")
        .start();
    let json = |id: &str, failed: u64| {
        json!({
            "organization-name": "Big Mail",
            "date-range": { "start-datetime": "2026-11-24T00:00:00Z", "end-datetime": "2026-11-24T23:59:59Z" },
            "contact-info": "x@big.test",
            "report-id": id,
            "policies": [{
                "policy": { "policy-type": "sts", "policy-domain": "ours.test", "mx-host": "mx.ours.test" },
                "summary": { "total-successful-session-count": 10, "total-failure-session-count": failed },
                "failure-details": [{ "result-type": "certificate-expired", "failed-session-count": failed }]
            }]
        })
        .to_string()
    };
    let by_big = |json: &str, to: &str| written(&key, "reports@big.test", to, json, true);
    let told = |at_least: usize| {
        wait::until(wait::PATIENCE, &format!("{at_least} report(s) in the ledger"), || {
            let records = scene.log(&["--event", "tls-report-received"]);
            (records.len() >= at_least).then_some(records)
        })
    };
    let status = || scene.relay.json(&["status"])["tls-reports-received"].clone();

    let postfix = Postfix::sender(scene.relay.smtp()).start();
    postfix.submit("reports@big.test", &["tls@ours.test"], &by_big(&json("1", 3), "tls@ours.test"));
    let records = told(1);
    assert_eq!(records[0]["signed_by"], "big.test", "{:#}", records[0]);
    assert_eq!(records[0]["report"]["organization"], "Big Mail");
    let expected = json!({ "successful": 10, "failed": 3, "results": { "certificate-expired": 3 } });
    assert_eq!(status(), json!({ "reports": 1, "domains": { "ours.test": expected } }));
    let said = scene.relay.run(&["status"]).out;
    assert!(said.contains("ours.test (10 sessions as asked, 3 not, most certificate-expired)"), "{said}");
    let said = scene.relay.run(&["log", "--event", "tls-report-received"]).out;
    assert!(said.contains("signed by big.test, from \"Big Mail\"") && said.contains("certificate-expired 3"), "{said}");
    assert_eq!(scene.fate(&[&peer], "tls@ours.test").word(), "in clear", "it goes on to its mailbox");

    // The same once more is one; what was changed on the way, or is no report, or bears another's signature, is none.
    let again = by_big(&json("1", 3), "tls@ours.test");
    let changed = by_big(&json("2", 5), "tls@ours.test").replace("Subject: Report", "Subject: A report");
    let forged = by_big(&json("3", 5), "tls@ours.test").replace("From: reports@big.test", "From: reports@small.test");
    let no_gzip = written(&key, "reports@big.test", "tls@ours.test", &json("4", 5), false);
    let rows = [
        (again, "\"signed_by\":\"big.test\""),
        (changed, "no good DKIM signature"),
        (forged, "no good DKIM signature"),
        (no_gzip, "it cannot be read: its part is no GZIP"),
    ];
    for (number, (message, part)) in rows.into_iter().enumerate() {
        scene.hand_in("reports@big.test", &["tls@ours.test"], &message);
        let records = told(number + 2);
        assert!(records[number + 1].to_string().contains(part), "{part}: {:#}", records[number + 1]);
    }
    scene.hand_in("reports@big.test", &["other@ours.test"], &by_big(&json("5", 5), "other@ours.test"));
    assert_eq!(scene.fate(&[&peer], "other@ours.test").word(), "in clear");
    assert_eq!(status(), json!({ "reports": 1, "domains": { "ours.test": expected } }));
    assert_eq!(told(5).len(), 5, "mail to another mailbox is not read");
}

/// A key that does not sign is told before anything depends on it, with the place where it is named.
#[test]
fn a_key_that_does_not_sign_is_told_at_start_and_by_check() {
    let folder = place::folder();
    let key = folder.path().join("absent.key");
    let by = format!("from = \"a@sender.test\"\ndkim-selector = \"s1\"\ndkim-key = \"{}\"\n", key.display());
    let mut scene = given().start();
    scene.relay.stop();
    let text = std::fs::read_to_string(scene.relay.config_file()).expect("its configuration");
    scene.relay.configure(|_| format!("{text}{}", reports(&by)));
    let said = scene.relay.run(&["check"]);
    let told = format!("{}{}", said.out, said.err);
    assert!(!said.status.success() && told.contains("tls-reports.dkim-key") && told.contains("absent.key"), "{told}");
    assert!(!scene.relay.start_in_vain().success());
    wait::until(wait::PATIENCE, "its log", || scene.relay.log().contains("tls-reports.dkim-key").then_some(()));
}
