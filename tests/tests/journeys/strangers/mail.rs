//! What mail fills: the client's words, the message's header, the next hop's words and certificate, what a domain publishes, a
//! TLS report.

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{GREETING, Script, reply};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::tls_reports::{dkim_key, written};
use sealwire_tests::web::{Response, Site, Web};
use sealwire_tests::{guests, place, wait};
use serde_json::{Value, json};

use super::super::scene::{Scene, given, setting};
use super::outlets::{self, Kind, Outlet};
use super::{BY_MAIL, HOSTILE_LINE, assert_harmless, filled, refusal_of};

fn of(field: &str) -> String {
    filled(&BY_MAIL, field, HOSTILE_LINE)
}

/// A local part: quoted, without what no address may hold (RFC 5321 section 4.1.2, RFC 6531 section 3.3).
fn local(field: &str) -> String {
    filled(&BY_MAIL, field, " =cmd|' <script>alert(1)</script>\u{202e}\u{2066}'")
}

#[test]
fn nothing_that_mail_fills_breaks_out_anywhere() {
    let certificates = Authority::new(&of("a next hop's certificate: issuer"));
    let san = format!("{}.test", filled(&BY_MAIL, "a next hop's certificate: names", "\u{1b}[2J\r\nFORGED<script>"));
    let folder = place::folder();
    let (key, record) = dkim_key(folder.path());
    let (first, second) = record.split_at(200);
    let hosts = Authority::new("The web's");
    let nsd = Nsd::start(&[
        ("mx.test", "@ MX 10 w-mxhost\\027\\091\\050J\\013\\010FORGED\\060script\\062\\155"),
        ("sts.test", "@ MX 10 mx\nmx A 127.0.0.1\nmta-sts A 127.0.0.1\n_mta-sts TXT \"v=STSv1; id=1;\""),
        ("big.test", &format!("s1._domainkey TXT \"{first}\" \"{second}\"\n")),
        ("hooks.test", "take A 127.0.0.1\n"),
    ]);
    let policy = format!("version: STSv1\nmode: {}\nmx: mx.sts.test\nmax_age: 86400\n", of("an MTA-STS policy"));
    let take = Site::new("take.hooks.test", &hosts.leaf(&["take.hooks.test"])).answer("/x", Response::Collect(204));
    let sts = Site::new("mta-sts.sts.test", &hosts.leaf(&["mta-sts.sts.test"])).policy(Response::Text(policy));
    let web = Web::start_at(place::free_address(), vec![take, sts]);

    let several = format!("550-5.1.1 {HOSTILE_LINE}\r\n550 5.1.1 {}", of("a next hop's reply of several lines"));
    let greeting = format!("421 4.3.2 {}", of("a next hop's greeting"));
    let refusing = Script::clear()
        .extension("SMTPUTF8")
        .extension(&of("a next hop's EHLO keywords"))
        .answer("RCPT", reply(&several))
        .start();
    let deferring = Script::clear()
        .extension("SMTPUTF8")
        .answer("MAIL", reply(&format!("450 4.2.0 {}", of("a next hop's 4xx"))))
        .start();
    let away = Script::clear().extension("SMTPUTF8").answer(GREETING, reply(&greeting)).start();
    let named = Script::tls(&certificates.leaf(&[&san])).start();
    let operator = Script::clear().start();
    let api = place::free_address();
    let steering = guests::steer_by_subject().display().to_string();
    let scene = given()
        .believing(hosts)
        .dns(nsd.address())
        .sts(web.port())
        .mx(deferring.address().port())
        .config(&format!(
            "[api]\naddress = \"{api}\"\n[alerts]\nto = [\"mailto:ops@operator.test\", \"https://take.hooks.test:{}/x\"]\n\
             [tls-reports]\nreceive = [\"tls@partner.test\"]\n",
            web.port()
        ))
        .route("partner", &["partner.test"], refusing.address(), "")
        .route("deferring", &["deferring.test"], deferring.address(), "")
        .route("away", &["away.test"], away.address(), "")
        .route("named", &["named.test"], named.address(), "")
        .route("operator", &["operator.test"], operator.address(), "")
        .builtin()
        .policy("steer-by-subject", &steering)
        .settings(&setting("listed", "inbound", &["listed.test"], ""))
        .settings(&setting("partners", "outbound", &["named.test"], "validate-hostname = true"))
        .start();

    let home = || Script::tls(&certs::self_signed(&["home.sender.test"])).extension("SMTPUTF8");
    scene.home.become_(home());
    let mut said = at_the_door(&scene);
    let subjects: String = said.iter().map(|outlet| outlet.text.clone()).collect();
    let id = subjects.rsplit("Queued as ").next().and_then(|rest| rest.split_whitespace().next()).expect("an id");
    by_reports(&scene, &written(&key, "reports@big.test", "tls@partner.test", &tls_report(), true));
    until_told(&scene, &home().answer("RCPT", reply(&format!("550 5.1.1 {HOSTILE_LINE}"))));
    operator.wait_for_messages(1);
    web.wait_for_requests("take.hooks.test", 1);
    let owner = scene.relay.json(&["token", "create", "--name", "owner", "--role", "owner", "--expires", "1d"]);
    let authorization = format!("Authorization: Bearer {}", owner["secret"].as_str().expect("a token"));
    said.extend(outlets::of(&scene, &format!("http://{api}"), &authorization, id, "partners"));
    let alerts = operator.messages().into_iter().map(|mail| Outlet::new("an alert's mail", Kind::Mail, mail.data));
    said.extend(alerts);
    for request in web.requests("take.hooks.test") {
        let body = String::from_utf8(request.body().expect("a body")).expect("UTF-8");
        let text: Value = serde_json::from_str(&body).expect("JSON");
        said.push(Outlet::new("a webhook's text", Kind::Lines, text["text"].as_str().unwrap_or_default()));
        said.push(Outlet::new("a webhook", Kind::Json, body));
    }
    assert_harmless(&BY_MAIL, &said);
}

/// The client's words and the message's own; what was answered.
fn at_the_door(scene: &Scene) -> Vec<Outlet> {
    let mut client = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    let mut said = Vec::new();
    let mut said_to = |line: &[u8], expected: &str| {
        let answer = client.say([line, b"\r\n"].concat()).and_then(|()| client.reply());
        let line = String::from_utf8_lossy(line);
        let answer = answer.unwrap_or_else(|why| panic!("{line:?}: {why}"));
        assert!(answer.starts_with(expected), "{line:?}: {answer}");
        said.push(Outlet::new("an SMTP reply", Kind::Lines, answer));
    };
    let mut command = |line: &str, expected: &str| said_to(line.as_bytes(), expected);
    let refused = |field: &str| refusal_of(&BY_MAIL, field);
    let control = refused("MAIL FROM with a control character");
    command("MAIL FROM:<\"a\u{1b}[2J\"@sender.test>", control);
    command("MAIL FROM:<a\rMAIL FROM:<b@sender.test>", control);
    command("RCPT TO:<\"a\nFORGED\"@sender.test>", refused("RCPT TO with a control character"));
    command("EHLO a\0b", refused("EHLO name with a control character"));
    command("FORGED<script>\u{202e}", refused("an unknown command"));
    command(&format!("AUTH PLAIN {}", filled(&BY_MAIL, "AUTH identity", "")), "502");
    command(&format!("EHLO {}", filled(&BY_MAIL, "EHLO name", "=cmd|'!A1'")), "250");
    command("MAIL FROM:<a@sender.test> ENVID=a+0D+0AFORGED", refused("ENVID of a line end"));
    let envid = filled(&BY_MAIL, "ENVID", "<script>+22'=cmd".replace('=', "+3D").as_str());
    let from = format!("MAIL FROM:<\"{}\"@sender.test> SMTPUTF8 ENVID={envid}", local("MAIL FROM"));
    command(&from, "250");
    command("RCPT TO:<a@partner.test> ORCPT=rfc822;a+0D+0AFORGED", refused("ORCPT of a line end"));
    let orcpt = filled(&BY_MAIL, "ORCPT", "<script>+22'");
    for domain in ["partner.test", "deferring.test", "away.test", "named.test", "mx.test", "sts.test"] {
        let to = format!("RCPT TO:<\"{}\"@{domain}> ORCPT=rfc822;{orcpt}", local("RCPT TO"));
        command(&to, "250");
    }
    command("DATA", "354");
    let header = |from: &str, subject: &str| {
        format!(
            "From: \"\u{202e}<script>'\" <{from}>\r\nSubject: {subject}\r\n{}: {HOSTILE_LINE}\r\nX-Value: {}\r\n\r\ntext\r\n.",
            filled(&BY_MAIL, "a header field's name", "<script>\u{1b}[2J"),
            of("a header field's value"),
        )
    };
    command(&header("ann@sender.test", &of("header Subject")), "250 2.0.0");

    // Refused by R1; a plan that no policy can make.
    command("MAIL FROM:<\"a\"@sender.test> SMTPUTF8", "250");
    command("RCPT TO:<bob@deferring.test>", "250");
    command("DATA", "354");
    let listed = format!("\"{}\"@listed.test", local("header From, its mailbox"));
    command(&header(&listed, "w"), "550 5.7.10");
    let steering = filled(&BY_MAIL, "what a policy says of a message", "\u{1b}[2J\u{202e}<script>");
    command("MAIL FROM:<\"a\"@sender.test> SMTPUTF8", "250");
    command("RCPT TO:<bob@deferring.test>", "250");
    command("DATA", "354");
    let octets =
        [b"X-Octets: w-octets\xff\xfe\x9b31m\x80\xe2\x80\r\nX-Long: w-long".as_slice(), &[b'x'; 60_000], b"\r\n"]
            .concat();
    let text = header("ann@sender.test", &format!("take:{steering}"));
    said_to(&[&octets, text.as_bytes()].concat(), "250 2.0.0");
    said
}

fn tls_report() -> String {
    json!({
        "organization-name": filled(&BY_MAIL, "another's TLS report", super::HOSTILE),
        "date-range": { "start-datetime": "2026-11-24T00:00:00Z", "end-datetime": "2026-11-24T23:59:59Z" },
        "contact-info": super::HOSTILE,
        "report-id": super::HOSTILE,
        "policies": [{
            "policy": { "policy-type": "no-policy-found", "policy-domain": "partner.test" },
            "summary": { "total-successful-session-count": 1, "total-failure-session-count": 2 },
            "failure-details": [{ "result-type": super::HOSTILE, "failed-session-count": 2 }]
        }]
    })
    .to_string()
}

fn by_reports(scene: &Scene, message: &str) {
    scene.hand_in("reports@big.test", &["tls@partner.test"], message);
    wait::until(wait::PATIENCE, "a TLS report in the ledger", || {
        (!scene.log(&["--event", "tls-report-received"]).is_empty()).then_some(())
    });
}

/// Waits for a round to each destination, for a report, and for an alert that quotes a next hop: the home that a report finds closed.
fn until_told(scene: &Scene, home: &Script) {
    for domain in ["partner.test", "deferring.test", "away.test", "named.test", "mx.test", "sts.test"] {
        scene.rounds(&format!("@{domain}"), 1);
    }
    scene.home.wait_for("a report", |sessions| sessions.iter().any(|session| !session.messages.is_empty()));
    scene.home.become_(home.clone());
    scene.submit("eve@sender.test", &["x@partner.test"], "its report comes to nobody");
    wait::until(wait::PATIENCE, "an alert", || {
        let alerts = scene.relay.json(&["status"])["alerts"].to_string();
        alerts.contains("could not be delivered").then_some(())
    });
}
