//! The harness against itself: its peers are real and its records true. When these fail, no journey means anything.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use sealwire_tests::aiosmtpd::Aiosmtpd;
use sealwire_tests::certs::{self, Authority};
use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::exim::Exim;
use sealwire_tests::fake_peer::{self, Action, GREETING, Handshake, Script, reply};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::place;
use sealwire_tests::postfix::Postfix;
use sealwire_tests::swaks;
use sealwire_tests::web::{POLICY, Response, Site, Web};

const FROM: &str = "alice@sender.test";
const TO: &str = "bob@next-hop.test";

#[test]
fn postfix_keeps_what_swaks_sends_in_clear_and_by_tls() {
    let authority = Authority::new("Test Authority");
    let leaf = authority.leaf(&["mx.next-hop.test"]);
    let postfix = Postfix::next_hop().offer_tls(&leaf).start();

    let clear = swaks::send(postfix.address(), FROM, TO, &["--h-Subject", "in clear"]);
    assert!(clear.accepted(), "{}", clear.text);
    assert!(clear.replies_in_tls().is_empty(), "{}", clear.text);
    let delivered = postfix.wait_for("Subject: in clear");
    assert_eq!((delivered.sender(), delivered.recipient()), (FROM, TO));
    assert!(!delivered.text.contains("using TLS"), "{}", delivered.text);

    let authority = authority.file().display().to_string();
    let verified = ["--tls", "--tls-verify", "--tls-ca-path", &authority, "--h-Subject", "by TLS"];
    let secured = swaks::send(postfix.address(), FROM, TO, &verified);
    assert!(secured.accepted(), "{}", secured.text);
    assert!(secured.replies_in_tls().iter().any(|line| line.starts_with("250")), "{}", secured.text);
    assert!(postfix.wait_for("Subject: by TLS").text.contains("using TLSv1.3"));
}

#[test]
fn exim_keeps_what_swaks_sends_in_clear_and_by_tls() {
    let authority = Authority::new("Test Authority");
    let leaf = authority.leaf(&["mx.next-hop.test"]);
    let exim = Exim::next_hop().hostname("mx.next-hop.test").mailboxes_for(&["next-hop.test"]).offer_tls(&leaf).start();
    assert!(swaks::send(exim.address(), FROM, TO, &["--h-Subject", "in clear"]).accepted(), "{}", exim.log());
    let delivered = exim.wait_for("Subject: in clear");
    assert_eq!((delivered.sender(), delivered.recipient()), (FROM.to_owned(), TO.to_owned()));
    assert!(delivered.received().contains("by mx.next-hop.test with esmtp (Exim"), "{}", delivered.text());

    let authority = authority.file().display().to_string();
    let verified = ["--tls", "--tls-verify", "--tls-ca-path", &authority, "--body", ".a dot", "--h-Subject", "by TLS"];
    assert!(swaks::send(exim.address(), "<>", TO, &verified).accepted(), "{}", exim.log());
    let delivered = exim.wait_for("Subject: by TLS");
    assert!(delivered.received().contains("by mx.next-hop.test with esmtps (TLS1.3) tls TLS_"), "{}", delivered.text());
    assert!(delivered.sender().is_empty() && delivered.text().contains("\n.a dot\n"), "{}", delivered.text());
    swaks::send(exim.address(), FROM, "bob@elsewhere.test", &["--tls"]).reply("550 relay not permitted");
    assert_eq!(exim.messages().len(), 2);

    let old = "NORMAL:-VERS-ALL:+VERS-TLS1.2";
    let exim = Exim::next_hop().offer_tls(&leaf).set("tls_require_ciphers", old).start();
    assert!(swaks::send(exim.address(), FROM, TO, &["--tls"]).accepted(), "{}", exim.log());
    assert!(exim.wait_for(TO).received().contains("with esmtps (TLS1.2) tls TLS_"));
}

#[test]
fn aiosmtpd_keeps_what_swaks_sends_in_clear_and_by_tls() {
    let authority = Authority::new("Test Authority");
    let server = Aiosmtpd::next_hop(&authority.leaf(&["mx.next-hop.test"])).hostname("mx.next-hop.test").start();
    assert!(swaks::send(server.address(), FROM, TO, &["--h-Subject", "in clear"]).accepted(), "{}", server.log());
    let received = server.wait_for("Subject: in clear\r\n");
    assert_eq!((received.from.as_str(), received.to, received.tls), (FROM, vec![TO.to_owned()], None));

    let authority = authority.file().display().to_string();
    let verified = ["--tls", "--tls-verify", "--tls-ca-path", &authority, "--body", ".a dot", "--h-Subject", "by TLS"];
    assert!(swaks::send(server.address(), "<>", TO, &verified).accepted(), "{}", server.log());
    let received = server.wait_for("Subject: by TLS\r\n");
    let tls = received.tls.as_ref().expect("it came by TLS");
    assert_eq!((tls.version.as_str(), received.from.as_str(), received.ehlo.as_str()), ("TLSv1.3", "", "swaks.test"));
    assert!(tls.cipher.starts_with("TLS_") && received.text().contains("\r\n.a dot\r\n"), "{received:?}");
}

#[test]
fn aiosmtpd_takes_requiretls_in_tls_alone_and_where_told() -> std::io::Result<()> {
    let authority = Authority::new("Test Authority");
    let leaf = authority.leaf(&["mx.next-hop.test"]);
    let (with, without) = (Aiosmtpd::next_hop(&leaf).requiretls().start(), Aiosmtpd::next_hop(&leaf).start());
    let demanding = format!("MAIL FROM:<{FROM}> BODY=8BITMIME REQUIRETLS");
    for (server, offered) in [(&with, true), (&without, false)] {
        let mut client = Dialogue::open(server.address())?;
        assert!(client.command("EHLO client.test")?.contains("STARTTLS"));
        assert!(client.command(&demanding)?.starts_with("555 "), "in clear");
        assert_eq!(client.start_tls(&authority, "mx.next-hop.test")?.contains("\n250-REQUIRETLS\n"), offered);
        assert_eq!(client.command(&demanding)?.starts_with("250 "), offered);
        client.command("RSET")?;
        client.submit_with(FROM, if offered { " SIZE=9 requiretls" } else { "" }, &[TO], "Subject: one\n\ntext\n")?;
        client.submit(FROM, &[TO], "Subject: two\n\ntext\n")?;
    }
    assert_eq!(with.wait_for("Subject: one").parameters, ["SIZE=9", "REQUIRETLS"]);
    assert!(without.wait_for("Subject: one").parameters.is_empty());
    assert!(with.messages()[1].parameters.is_empty());
    Ok(())
}

#[test]
fn postfix_serves_only_the_tls_versions_asked_for() {
    let leaf = certs::self_signed(&["mx.next-hop.test"]);
    let postfix = Postfix::next_hop().offer_tls(&leaf).tls_versions("<=TLSv1.2").start();
    assert!(swaks::send(postfix.address(), FROM, TO, &["--tls"]).accepted());
    assert!(postfix.wait_for(TO).text.contains("using TLSv1.2"));
    let refused = swaks::send(postfix.address(), FROM, TO, &["--tls", "--tls-protocol", "tlsv1_3"]);
    assert!(!refused.accepted(), "{}", refused.text);
}

#[test]
fn postfix_sends_through_its_relay_and_tells_its_sender_of_a_refusal() {
    let leaf = certs::self_signed(&["relay.test"]);
    let refusal = "550 5.7.1 Refused on purpose";
    let relay = Script::tls(&leaf).answer("RCPT TO:<refused@", reply(refusal)).start();
    let sender = Postfix::sender(relay.address()).start();

    sender.submit(FROM, &[TO], "Subject: goes on\n\ntext\n");
    let received = relay.wait_for_messages(1).remove(0);
    assert!(received.by_tls);
    assert!(received.mail_from.contains(FROM), "{}", received.mail_from);
    assert!(received.data.contains("Subject: goes on\r\n"), "{}", received.data);

    sender.submit(FROM, &["refused@elsewhere.test"], "Subject: comes back\n\ntext\n");
    let report = sender.wait_for("Refused on purpose");
    assert_eq!((report.sender(), report.recipient()), ("", FROM));
    assert!(report.header("Content-Type").starts_with("multipart/report"), "{}", report.text);
}

#[test]
fn postfix_retries_a_greylisting_relay_within_seconds() {
    let relay = Script::clear().answer_times(1, "RCPT", reply("450 4.7.1 later")).start();
    let sender = Postfix::sender(relay.address()).start();
    sender.submit(FROM, &[TO], "Subject: again\n\ntext\n");
    assert_eq!(relay.wait_for_messages(1).len(), 1);
    assert!(relay.sessions()[0].clear().contains("RCPT TO"));
}

#[test]
fn scripted_peer_records_clear_and_secured_apart() {
    let authority = Authority::new("Test Authority");
    let peer = Script::tls(&authority.leaf(&["mx.next-hop.test"])).start();
    assert!(swaks::send(peer.address(), FROM, TO, &["--tls"]).accepted());
    let session = peer.wait_for_ended(1).remove(0);
    assert!(session.clear().ends_with("STARTTLS\r\n"), "{session}");
    assert!(session.secured().contains("MAIL FROM:<alice@sender.test>\r\n"), "{session}");
    assert_eq!(session.tls.as_ref().map(|tls| tls.version.as_str()), Some("TLSv1_3"));
    assert_eq!(session.messages[0].recipients, ["<bob@next-hop.test>"]);
    peer.assert_no_mail_in_clear();

    assert!(swaks::send(peer.address(), FROM, TO, &[]).accepted());
    let sessions = peer.wait_for_ended(2);
    assert!(sessions[1].mail_in_clear() && !sessions[1].messages[0].by_tls, "{}", sessions[1]);
}

#[test]
fn peers_without_tls_let_no_tls_come_about() {
    let leaf = certs::self_signed(&["mx.next-hop.test"]);
    for (name, script) in fake_peer::without_tls(&leaf) {
        let peer = script.start();
        let sent = swaks::send(peer.address(), FROM, TO, &["--tls"]);
        // swaks drops what is behind the 220 and goes on with TLS: that peer is told from its record, not from swaks.
        if name != "plaintext behind the 220" {
            assert!(!sent.accepted(), "{name}: {}", sent.text);
        }
        let session = peer.wait_for_ended(1).remove(0);
        assert!(!session.mail_in_clear(), "{name}: {session}");
    }
}

#[test]
fn peers_with_bad_certificates_are_not_believed() {
    let authority = Authority::new("Test Authority");
    let file = authority.file().display().to_string();
    let verified = ["--tls", "--tls-verify", "--tls-ca-path", &file];
    for (name, script) in fake_peer::bad_certificates(&authority, "mx.next-hop.test") {
        let peer = script.start();
        let sent = swaks::send(peer.address(), FROM, TO, &verified);
        // swaks checks the chain and not the name.
        assert_eq!(sent.accepted(), name == "for another name", "{name}: {}", sent.text);
    }
}

#[test]
fn scripted_peer_holds_until_the_other_side_gives_up_and_stops_at_once() {
    for script in [Script::clear().answer(GREETING, Action::Hold), Script::clear().answer("EHLO", Action::Hold)] {
        let peer = script.start();
        let mut client = TcpStream::connect(peer.address()).expect("the peer listens");
        client.write_all(b"EHLO client.test\r\n").expect("the peer reads");
        peer.wait_for("EHLO", |sessions| sessions.iter().any(|session| session.clear().contains("EHLO")));
        assert!(!peer.sessions()[0].ended);
        drop(peer);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).expect("the peer has closed");
        assert!(!String::from_utf8_lossy(&rest).contains("250"));
    }
}

#[test]
fn scripted_peer_injects_behind_its_220() {
    let leaf = certs::self_signed(&["mx.next-hop.test"]);
    let peer = Script::tls(&leaf).handshake(Handshake::PlaintextBehind("250 injected\r\n".to_owned())).start();
    let mut client = TcpStream::connect(peer.address()).expect("the peer listens");
    client.write_all(b"STARTTLS\r\n").expect("the peer reads");
    let mut heard = String::new();
    while !heard.ends_with("injected\r\n") {
        let mut octets = [0; 512];
        let length = client.read(&mut octets).expect("the peer speaks");
        assert_ne!(length, 0, "the peer closed after: {heard}");
        heard.push_str(&String::from_utf8_lossy(&octets[..length]));
    }
    assert!(heard.contains("220 2.0.0 Ready to start TLS\r\n250 injected\r\n"), "{heard}");
}

#[test]
fn nsd_answers_for_its_zones() {
    // The start itself waits for an answer with authority for each zone.
    let nsd = Nsd::start(&[("next-hop.test", "@ MX 10 mx\nmx A 127.0.0.2"), ("other.test", "@ MX 0 .")]);
    assert!(nsd.address().ip().is_loopback());
}

#[test]
fn nsd_changes_a_zone_under_way() {
    let mut nsd = Nsd::start(&[("next-hop.test", "@ MX 10 old"), ("other.test", "@ MX 10 old")]);
    let (server, port) = (format!("@{}", nsd.address().ip()), nsd.address().port().to_string());
    let mx = |name| said(Command::new(place::program("drill")).args([&server, "-p", &port, name, "MX"])).1;
    for new in ["first", "second", "third"] {
        nsd.set("next-hop.test", &format!("@ MX 10 {new}"));
        for _ in 0..10 {
            let said = mx("next-hop.test");
            assert!(said.contains(&format!("MX\t10 {new}.next-hop.test.")), "{said}");
        }
    }
    assert!(mx("other.test").contains("MX\t10 old.other.test."));
}

#[test]
fn nsd_publishes_texts_as_they_are_written() {
    let records = "_mta-sts TXT \"v=STSv1; id=1;\"\nmta-sts A 127.0.0.1\n\
                   _smtp._tls TXT \"v=TLSRPTv1; \" \"rua=https://reports.test/\"";
    let nsd = Nsd::start(&[("next-hop.test", records)]);
    let (server, port) = (format!("@{}", nsd.address().ip()), nsd.address().port().to_string());
    let rows = [
        ("_mta-sts.next-hop.test", "TXT", "TXT\t\"v=STSv1; id=1;\""),
        ("mta-sts.next-hop.test", "A", "A\t127.0.0.1"),
        ("_smtp._tls.next-hop.test", "TXT", "TXT\t\"v=TLSRPTv1; \" \"rua=https://reports.test/\""),
    ];
    for (name, kind, expected) in rows {
        let said = said(Command::new(place::program("drill")).args([&server, "-p", &port, name, kind]));
        assert!(said.1.contains(expected), "{name}: {}", said.1);
    }
}

#[test]
fn nginx_answers_by_name_and_well_or_badly_as_told() {
    let authority = Authority::new("Test Authority");
    let good = authority.leaf(&["good.test", "bad.test"]);
    let policy = "version: STSv1\r\nmode: enforce\r\nmx: *.${next}-hop.test\r\nmax_age: 86400\r\n";
    let text = || policy.to_owned();
    let bad = [
        ("/typed", Response::Typed("text/html".to_owned(), text()), "\n200 text/html "),
        ("/untyped", Response::Typed(String::new(), text()), "\n200  "),
        ("/chunked", Response::Chunked(text()), "\n200 text/plain "),
        ("/until-closed", Response::UntilClosed(text()), "\n200 text/plain "),
        ("/status", Response::Status(500), "\n500 text/html "),
        ("/redirect", Response::Redirect(301, "https://good.test/".to_owned()), "\n301 text/html https://good.test/"),
        ("/large", Response::Text("x".repeat(70 * 1024)), "xxx\n200 text/plain "),
        ("/elsewhere", Response::Status(404), "\n404 text/html "),
    ];
    let mut site =
        Site::new("bad.test", &good).answer("/hang", Response::Hang).answer("/trickle", Response::Trickle(text()));
    for (path, response, _) in bad.iter().filter(|(path, ..)| *path != "/elsewhere") {
        site = site.answer(path, response.clone());
    }
    let mut web = Web::start(vec![Site::new("good.test", &good).policy(Response::Text(text())), site]);

    let (status, said) = curl(&web, &authority, "good.test", POLICY, &["--user-agent", "a client"]);
    assert_eq!((status, said), (0, format!("{policy}\n200 text/plain ")));
    for (path, _, expected) in &bad {
        let (status, said) = curl(&web, &authority, "bad.test", path, &[]);
        assert!(status == 0 && said.ends_with(expected), "{path}: {status}, {said}");
        assert!(!expected.starts_with("\n200") || said.starts_with(policy), "{path}: {said}");
    }
    for (path, header) in [("/chunked", "Transfer-Encoding: chunked"), ("/until-closed", "Connection: close")] {
        let (_, said) = curl(&web, &authority, "bad.test", path, &["--include"]);
        assert!(said.contains(header) && !said.contains("Content-Length"), "{said}");
    }
    for path in ["/hang", "/trickle"] {
        let (status, said) = curl(&web, &authority, "bad.test", path, &["--max-time", "1"]);
        assert_eq!(status, 28, "{path}: {said}");
    }

    let seen = web.wait_for_requests("good.test", 1).remove(0);
    assert_eq!((seen.sni.as_str(), &seen.host), ("good.test", &format!("good.test:{}", web.port())));
    assert_eq!((seen.method.as_str(), seen.path.as_str(), seen.status.as_str()), ("GET", POLICY, "200"));
    assert_eq!((seen.agent.as_str(), seen.body()), ("a client", None));
    assert_eq!(web.wait_for_requests("bad.test", bad.len() + 4).len(), bad.len() + 4);

    web.set(Site::new("good.test", &good).policy(Response::Text("another".to_owned())));
    assert_eq!(curl(&web, &authority, "good.test", POLICY, &[]), (0, "another\n200 text/plain ".to_owned()));
    web.stop();
    assert_eq!(curl(&web, &authority, "good.test", POLICY, &[]).0, 7, "connection refused");
    web.start_again();
    assert_eq!(curl(&web, &authority, "good.test", POLICY, &[]).0, 0);
    assert_eq!(web.wait_for_requests("good.test", 3).len(), 3);
}

#[test]
fn nginx_shows_bad_certificates_and_is_not_believed() {
    let authority = Authority::new("Test Authority");
    let rows = [
        ("good.test", authority.leaf(&["good.test"]), 0),
        ("expired.test", authority.expired(&["expired.test"]), 60),
        ("wrong.test", authority.leaf(&["good.test"]), 60),
        ("self-signed.test", certs::self_signed(&["self-signed.test"]), 60),
        ("stranger.test", Authority::new("Stranger").leaf(&["stranger.test"]), 60),
    ];
    let policy = || Response::Text("a policy".to_owned());
    let mut web = Web::start(rows.iter().map(|(name, leaf, _)| Site::new(name, leaf).policy(policy())).collect());
    for (name, _, expected) in &rows {
        let (status, said) = curl(&web, &authority, name, POLICY, &[]);
        assert_eq!(status, *expected, "{name}: {said}");
    }
    assert_eq!(curl(&web, &authority, "unknown.test", POLICY, &[]).0, 35, "no handshake for a name it has not");
    web.set(Site::new("wrong.test", &authority.leaf(&["wrong.test"])).policy(policy()));
    // The worker that saw them is gone: its logs are whole.
    for (name, _, expected) in &rows {
        assert_eq!(web.requests(name).len(), usize::from(*expected == 0), "{name}");
    }
    for alert in ["alert certificate expired", "alert unknown ca"] {
        assert!(web.log().contains(alert), "{alert}: {}", web.log());
    }
    assert_eq!(curl(&web, &authority, "wrong.test", POLICY, &[]).0, 0);
}

#[test]
fn nginx_keeps_what_is_posted() {
    let authority = Authority::new("Test Authority");
    let site = Site::new("reports.test", &authority.leaf(&["reports.test"]));
    let site = site.answer("/take", Response::Collect(201)).answer("/refuse", Response::Collect(503));
    let web = Web::start(vec![site]);
    let large = "x".repeat(100_000);
    let rows = [
        ("/take", "{}", "201", ""),
        ("/take", &large, "201", "Transfer-Encoding: chunked"),
        ("/refuse", "{}", "503", ""),
    ];
    for (path, body, status, header) in rows {
        let more = ["--data-binary", body, "--header", "Content-Type: application/tlsrpt+gzip", "--header", header];
        let (ended, said) = curl(&web, &authority, "reports.test", path, &more);
        assert!(ended == 0 && said.contains(&format!("\n{status} ")), "{path}: {ended}, {said}");
    }
    let seen = web.wait_for_requests("reports.test", rows.len());
    for (request, (path, body, status, _)) in seen.iter().zip(rows) {
        assert_eq!((request.method.as_str(), request.path.as_str(), request.status.as_str()), ("POST", path, status));
        assert_eq!(request.content_type, "application/tlsrpt+gzip");
        assert_eq!(request.body().as_deref(), Some(body.as_bytes()));
    }
}

/// How curl ends, and what it says: body, status, type, where it is sent.
fn curl(web: &Web, authority: &Authority, name: &str, path: &str, more: &[&str]) -> (i32, String) {
    let mut curl = Command::new(place::program("curl"));
    curl.args(["--disable", "--noproxy", "*", "--silent", "--show-error", "--cacert"]).arg(authority.file());
    curl.args(["--resolve", &format!("{name}:{}:{}", web.port(), web.address().ip())]);
    curl.args(["--write-out", "\n%{http_code} %{content_type} %{redirect_url}"]).args(more);
    said(curl.arg(format!("https://{name}:{}{path}", web.port())))
}

fn said(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn addresses_are_never_given_out_twice() {
    let mut addresses: Vec<SocketAddr> = (0..50).map(|_| place::free_address()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 50);
}
