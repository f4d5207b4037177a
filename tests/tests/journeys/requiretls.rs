//! REQUIRETLS (RFC 8689): what came with it leaves only to a proven, verified host that passes it on, and its report goes the
//! same way where it can; `TLS-Required: No` asks the recipient's side for nothing, and lets no rule of ours down.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{FakePeer, Script, reply};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::place;
use sealwire_tests::signed::{Signing, Zone};
use sealwire_tests::unbound::Unbound;
use sealwire_tests::web::{Response, Site, Web};
use sha2::{Digest, Sha256};

use super::scene::{ALICE, Scene, given, message, setting};

/// Hands a message in over TLS with REQUIRETLS.
#[track_caller]
fn require(scene: &Scene, from: &str, to: &[&str], words: &str) {
    let mut dialogue = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    let offered = dialogue.start_tls(&scene.authority, "relay.test").expect("TLS comes about");
    assert!(offered.lines().any(|line| line.ends_with("REQUIRETLS")), "{offered}");
    let content = message(if from.is_empty() { ALICE } else { from }, words);
    let answer = dialogue.submit_with(from, " REQUIRETLS", to, &content).expect("the relay answers");
    assert!(answer.starts_with("250 2.0.0"), "{answer}");
}

/// A domain, how it is proven, its host, and what becomes of a message with REQUIRETLS.
struct Row {
    zone: &'static str,
    tlsa: Option<String>,
    signing: Signing<'static>,
    sts: Option<&'static str>,
    peer: Script,
    /// "by TLS", or the status of the report and a part of it.
    expected: Result<(), (&'static str, &'static str)>,
}

#[test]
fn only_a_proven_verified_host_that_passes_it_on_gets_the_message() {
    let authority = Authority::new("The web's");
    let own = certs::self_signed(&["elsewhere.test"]);
    let key =
        format!("3 1 1 {}", Sha256::digest(own.public_key()).iter().map(|o| format!("{o:02x}")).collect::<String>());
    let good = |zone: &str| Script::tls(&authority.leaf(&[&format!("mx.{zone}")])).extension("REQUIRETLS");
    let row = |zone, sts, signing, peer, expected| Row { zone, tlsa: None, signing, sts, peer, expected };
    let unsigned = Signing::None;
    let rows = [
        row("signed.test", None, Signing::Sound, good("signed.test"), Ok(())),
        row("sts.test", Some("enforce"), unsigned, good("sts.test"), Ok(())),
        row("testing.test", Some("testing"), unsigned, good("testing.test"), Ok(())),
        Row {
            tlsa: Some(key),
            ..row("dane.test", None, Signing::Sound, Script::tls(&own).extension("REQUIRETLS"), Ok(()))
        },
        // Anybody between us and the DNS could have named that host.
        row(
            "unproven.test",
            None,
            unsigned,
            good("unproven.test"),
            Err(("5.7.10", "neither DNSSEC nor MTA-STS proves")),
        ),
        row(
            "no-more.test",
            Some("none"),
            unsigned,
            good("no-more.test"),
            Err(("5.7.10", "neither DNSSEC nor MTA-STS proves")),
        ),
        row(
            "deaf.test",
            None,
            Signing::Sound,
            Script::tls(&authority.leaf(&["mx.deaf.test"])),
            Err(("5.7.30", "it does not pass the demand for TLS on (REQUIRETLS)")),
        ),
        row(
            "self-signed.test",
            None,
            Signing::Sound,
            Script::tls(&certs::self_signed(&["mx.self-signed.test"])).extension("REQUIRETLS"),
            Err(("5.7.10", "its certificate does not prove which server it is")),
        ),
        row(
            "misnamed.test",
            None,
            Signing::Sound,
            Script::tls(&authority.leaf(&["mx.other.test"])).extension("REQUIRETLS"),
            Err(("5.7.10", "its certificate does not prove which server it is")),
        ),
        // Offered in clear it means nothing.
        row(
            "clear.test",
            None,
            Signing::Sound,
            Script::clear().extension("REQUIRETLS"),
            Err(("5.7.10", "did not offer a secure (TLS) connection")),
        ),
    ];
    let port = place::free_address().port();
    let at = |number: usize| Ipv4Addr::new(127, 0, 7, u8::try_from(number + 1).expect("few rows"));
    let records: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| {
            let tlsa = row.tlsa.as_ref().map_or_else(String::new, |tlsa| format!("_{port}._tcp.mx TLSA {tlsa}\n"));
            let record = row.sts.map_or("", |_| "_mta-sts TXT \"v=STSv1; id=1;\"\n");
            format!("@ MX 10 mx\nmx A {}\nmta-sts A 127.0.0.1\n{tlsa}{record}", at(number))
        })
        .collect();
    let zones: Vec<Zone<'_>> = rows
        .iter()
        .zip(&records)
        .map(|(row, records)| Zone { name: row.zone, records, signing: row.signing })
        .collect();
    let nsd = Nsd::start_signed(&zones);
    let resolver = Unbound::start(&nsd);
    let sites = rows.iter().filter_map(|row| {
        let name = format!("mta-sts.{}", row.zone);
        let policy = format!("version: STSv1\nmode: {}\nmx: mx.{}\nmax_age: 86400\n", row.sts?, row.zone);
        Some(Site::new(&name, &authority.leaf(&[&name])).policy(Response::Text(policy)))
    });
    let web = Web::start(sites.collect());
    let peers: Vec<FakePeer> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| row.peer.clone().start_at(SocketAddr::new(IpAddr::V4(at(number)), port)))
        .collect();
    let home = Script::tls(&certs::self_signed(&["home.sender.test"])).extension("REQUIRETLS").start();
    let scene =
        given().believing(authority).home(home.address()).dns(resolver.address()).mx(port).sts(web.port()).start();
    for (row, peer) in rows.iter().zip(&peers) {
        let recipient = format!("bob@{}", row.zone);
        require(&scene, ALICE, &[&recipient], row.zone);
        let Err((status, says)) = row.expected else {
            let received = peer.wait_for_messages(1);
            assert!(received[0].by_tls && received[0].mail_from.ends_with(" REQUIRETLS"), "{}: {received:?}", row.zone);
            continue;
        };
        let of_recipient = format!("Final-Recipient: rfc822; {recipient}");
        let sessions = home.wait_for(&format!("a report of {recipient}"), |sessions| {
            sessions.iter().flat_map(|session| &session.messages).any(|message| message.data.contains(&of_recipient))
        });
        let mut received = sessions.into_iter().flat_map(|session| session.messages);
        let report = received.find(|message| message.data.contains(&of_recipient)).expect("waited for");
        let joined = report.data.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains(&format!("Status: {status}")), "{}: {}", row.zone, report.data);
        assert!(joined.contains(says), "{}: {}", row.zone, report.data);
        assert!(joined.contains("Whoever sent this message requires"), "{}: {}", row.zone, report.data);
        // RFC 8689 section 5: the report goes the same way, with headers only.
        assert!(report.by_tls && report.mail_from.ends_with(" REQUIRETLS"), "{}: {report:?}", row.zone);
        assert!(report.data.contains("text/rfc822-headers"), "{}", report.data);
        assert!(peer.messages().is_empty(), "{} got something", row.zone);
        peer.assert_no_mail_in_clear();
        // RFC 8689 section 4.2.1: a host that will not do is taken leave of; one that nothing proves is not connected.
        let connected = !says.contains("neither DNSSEC nor MTA-STS");
        assert_eq!(peer.sessions().is_empty(), !connected, "{}", row.zone);
        for session in peer.wait_for_ended(usize::from(connected)) {
            let last = if session.tls.is_some() { session.secured() } else { session.clear() };
            assert!(last.ends_with("QUIT\r\n") && !last.contains("MAIL"), "{}: {session}", row.zone);
        }
    }
    scene.until_queue_is_empty();
}

/// RFC 8689 section 4.2.1: every host of the domain is asked before the message comes back.
#[test]
fn one_host_of_several_that_passes_it_on_is_enough() {
    let authority = Authority::new("Test Authority");
    let port = place::free_address().port();
    let at = |last| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 7, last)), port);
    let good = |name: &str| Script::tls(&authority.leaf(&[name])).extension("REQUIRETLS");
    let peers = [
        Script::clear().start_at(at(221)),
        Script::tls(&authority.leaf(&["b.several.test"])).start_at(at(222)),
        good("elsewhere.test").start_at(at(223)),
        good("d.several.test").start_at(at(224)),
    ];
    let hosts = "@ MX 10 a\n@ MX 20 b\n@ MX 30 c\n@ MX 40 d\n\
                 a A 127.0.7.221\nb A 127.0.7.222\nc A 127.0.7.223\nd A 127.0.7.224\n";
    let nsd = Nsd::start_signed(&[Zone { name: "several.test", records: hosts, signing: Signing::Sound }]);
    let resolver = Unbound::start(&nsd);
    let scene = given().believing(authority).dns(resolver.address()).mx(port).start();
    require(&scene, ALICE, &["bob@several.test"], "to the last of four");
    let received = peers[3].wait_for_messages(1);
    assert!(received[0].by_tls && received[0].mail_from.ends_with(" REQUIRETLS"), "{received:?}");
    scene.until_queue_is_empty();
    for peer in &peers[..3] {
        let sessions = peer.wait_for_ended(1);
        let said: String = sessions.iter().map(|session| session.clear() + &session.secured()).collect();
        assert!(said.ends_with("QUIT\r\n") && !said.contains("MAIL"), "{said}");
    }
}

/// It outlives the queue and a restart, holds for every recipient and for a route of ours, and a report is not dropped where
/// its next hop knows nothing of it.
#[test]
fn it_is_kept_through_queue_splits_reports_and_routes() {
    let authority = Authority::new("The gateways'");
    let at = |last| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 7, last)), place::free_address().port());
    let (one, two) = (at(201), at(202));
    let leaf = authority.leaf(&["gw.test"]);
    let nsd = Nsd::start(&[("test", &format!("gw A {}\ngw2 A {}\n", one.ip(), two.ip()))]);
    let busy = Script::tls(&leaf).extension("REQUIRETLS").answer("RCPT", reply("450 4.2.1 later"));
    let (first, second) = (busy.start_at(one), Script::tls(&authority.leaf(&["gw2.test"])).start_at(two));
    let mut scene = given()
        .believing(authority)
        .dns(nsd.address())
        .named_host("gw", &["one.test"], "gw.test", one.port(), "")
        .named_host("gw2", &["two.test"], "gw2.test", two.port(), "")
        .start();
    require(&scene, ALICE, &["bob@one.test", "carol@one.test", "dora@two.test"], "to three");
    // The second gateway passes nothing on. The sender's own knows nothing of it either, and gets the report all the same.
    let report = scene.report("dora@two.test");
    report.assert_says("Status: 5.7.30");
    report.assert_says("The message was sent with the option REQUIRETLS (RFC 8689).");
    scene.rounds("bob@one.test", 1);
    scene.relay.stop();
    scene.relay.start();
    first.become_(Script::tls(&leaf).extension("REQUIRETLS"));
    scene.relay.run(&["queue", "retry", "--all"]);
    let received = first.wait_for_messages(1);
    assert!(received.iter().all(|message| message.mail_from.ends_with(" REQUIRETLS")), "{received:?}");
    let recipients: usize = received.iter().map(|message| message.recipients.len()).sum();
    assert_eq!(recipients, 2, "{received:?}");
    assert!(second.messages().is_empty());
    second.assert_no_mail_in_clear();

    // Mail of the null sender is not given up for want of it, and does not go in clear either.
    first.become_(Script::tls(&leaf));
    require(&scene, "", &["erin@one.test"], "a report of somebody's");
    let received = first.wait_for_messages(received.len() + 1);
    let last = received.last().expect("waited for");
    assert!(last.by_tls && last.mail_from.starts_with("<>") && !last.mail_from.contains("REQUIRETLS"), "{last:?}");
}

/// RFC 5321 section 5.1: a domain without MX records is its own host. That there are none is proven or not like anything else.
#[test]
fn a_domain_that_is_its_own_host_is_proven_by_its_signed_zone() {
    let authority = Authority::new("Test Authority");
    let port = place::free_address().port();
    let at = |last| Ipv4Addr::new(127, 0, 7, last);
    let start = |name: &str, last| {
        let script = Script::tls(&authority.leaf(&[name])).extension("REQUIRETLS");
        script.start_at(SocketAddr::new(IpAddr::V4(at(last)), port))
    };
    let (signed, unsigned) = (start("own-host.test", 231), start("anybodys.test", 232));
    let (own, anybodys) = (format!("@ A {}", at(231)), format!("@ A {}", at(232)));
    let nsd = Nsd::start_signed(&[
        Zone { name: "own-host.test", records: &own, signing: Signing::Sound },
        Zone { name: "anybodys.test", records: &anybodys, signing: Signing::None },
    ]);
    let resolver = Unbound::start(&nsd);
    let scene = given().believing(authority).dns(resolver.address()).mx(port).start();
    for recipient in ["bob@own-host.test", "bob@anybodys.test"] {
        require(&scene, ALICE, &[recipient], recipient);
    }
    let received = signed.wait_for_messages(1);
    assert!(received[0].by_tls && received[0].mail_from.ends_with(" REQUIRETLS"), "{received:?}");
    let report = scene.report("bob@anybodys.test");
    report.assert_says("Status: 5.7.10");
    report.assert_says("neither DNSSEC nor MTA-STS proves");
    assert!(unsigned.sessions().is_empty());
}

/// RFC 8689 section 4.1: DANE and MTA-STS are the recipient's; a listed recipient is ours. Beside REQUIRETLS it means nothing.
#[test]
fn tls_required_no_asks_nothing_of_the_recipients_side_and_lets_no_rule_down() {
    let authority = Authority::new("The web's");
    let (port, at) = (place::free_address().port(), Ipv4Addr::new(127, 0, 7, 210));
    let zone = format!(
        "@ MX 10 mx\nmx A {at}\nmta-sts A 127.0.0.1\n_mta-sts TXT \"v=STSv1; id=1;\"\n_{port}._tcp.mx TLSA 3 1 1 {}\n",
        "00".repeat(32)
    );
    let nsd = Nsd::start_signed(&[
        Zone { name: "strict.test", records: &zone, signing: Signing::Sound },
        Zone { name: "listed.test", records: &zone, signing: Signing::Sound },
    ]);
    let resolver = Unbound::start(&nsd);
    let name = "mta-sts.strict.test";
    let policy = "version: STSv1\nmode: enforce\nmx: mx.strict.test\nmax_age: 86400\n";
    let web = Web::start(vec![Site::new(name, &authority.leaf(&[name])).policy(Response::Text(policy.into()))]);
    let peer = Script::clear().start_at(SocketAddr::new(IpAddr::V4(at), port));
    let scene = given()
        .believing(authority)
        .dns(resolver.address())
        .mx(port)
        .sts(web.port())
        .settings(&setting("partners", "outbound", &["listed.test"], ""))
        .start();
    let waved = |words: &str| format!("TLS-Required: No\n{}", message(ALICE, words));
    scene.hand_in(ALICE, &["bob@strict.test"], &waved("waved through"));
    assert_eq!(scene.fate(&[&peer], "bob@strict.test").word(), "in clear");
    scene.hand_in(ALICE, &["bob@listed.test"], &waved("listed"));
    assert_eq!(scene.fate(&[&peer], "bob@listed.test").word(), "reported");
    scene.submit(ALICE, &["carol@strict.test"], "without the field");
    scene.rounds("carol@strict.test", 1);
    assert_eq!(scene.queued_for("carol@strict.test"), 1, "DANE holds");

    let mut dialogue = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    dialogue.start_tls(&scene.authority, "relay.test").expect("TLS comes about");
    let answer = dialogue.submit_with(ALICE, " REQUIRETLS", &["dora@strict.test"], &waved("both"));
    assert!(answer.expect("an answer").starts_with("250"));
    assert_eq!(scene.fate(&[&peer], "dora@strict.test").word(), "reported");
    let in_clear = peer.messages().into_iter().flat_map(|message| message.recipients).collect::<Vec<_>>();
    assert_eq!(in_clear, ["<bob@strict.test>"]);
}
