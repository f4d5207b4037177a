//! Names: MX through the real resolver against a real name server. Order by preference, null MX, names that do not exist; and
//! a name server that fails is never an answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use sealwire_tests::certs::Authority;
use sealwire_tests::fake_peer::{FakePeer, Script, reply};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::place;
use sealwire_tests::signed::{Signing, Zone};
use sealwire_tests::unbound::Unbound;
use sealwire_tests::web::{Response, Site, Web};

use super::scene::{ALICE, Scene, given, setting};

/// Peers at 127.0.4.1, 127.0.4.2 ... on one port, as MX hosts are.
fn start(scripts: Vec<Script>) -> (Vec<FakePeer>, u16) {
    let port = place::free_address().port();
    let at = |host: u8| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 4, host)), port);
    (scripts.into_iter().zip(1..).map(|(script, host)| script.start_at(at(host))).collect(), port)
}

#[test]
fn hosts_are_asked_by_preference_until_one_takes_the_message() {
    let greylisting = || Script::clear().answer("RCPT", reply("450 4.7.1 later"));
    let (peers, port) = start(vec![greylisting(), greylisting(), Script::clear(), Script::clear()]);
    // The zone has them in another order; the last has a host nobody needs to ask.
    let records = "@ MX 30 c\n@ MX 10 a\n@ MX 40 d\n@ MX 20 b\n\
                   a A 127.0.4.1\nb A 127.0.4.2\nc A 127.0.4.3\nd A 127.0.4.4";
    let nsd = Nsd::start(&[("ordered.test", records)]);
    let scene = given().dns(nsd.address()).mx(port).start();
    scene.submit(ALICE, &["bob@ordered.test"], "by preference");
    let everybody: Vec<&FakePeer> = peers.iter().collect();
    scene.fate(&everybody, "bob@ordered.test");
    let sessions: Vec<usize> = peers.iter().map(|peer| peer.sessions().len()).collect();
    assert_eq!(sessions, [1, 1, 1, 0]);
    assert_eq!(peers[2].messages().len(), 1);
    scene.until_queue_is_empty();
}

#[test]
fn names_that_end_a_message_and_names_that_do_not() {
    let (peers, port) = start(vec![Script::clear()]);
    let nsd = Nsd::start(&[
        ("null.test", "@ MX 0 ."),
        ("exists.test", "mail A 127.0.4.1"),
        ("implicit.test", "@ A 127.0.4.1"),
        ("dangling.test", "@ MX 10 nowhere"),
    ]);
    let scene = given().dns(nsd.address()).mx(port).start();
    let rows = [
        // RFC 7505: the domain says that it takes no mail.
        ("bob@null.test", "reported", "Status: 5.1.10"),
        // NXDOMAIN, with authority.
        ("bob@gone.exists.test", "reported", "Status: 5.1.2"),
        // RFC 5321 section 5.1: without MX, the domain's own address.
        ("bob@implicit.test", "in clear", ""),
    ];
    for (recipient, ..) in rows {
        scene.submit(ALICE, &[recipient], recipient);
    }
    for (recipient, expected, status) in rows {
        assert_eq!(scene.fate(&[&peers[0]], recipient).word(), expected, "{recipient}");
        if !status.is_empty() {
            scene.report(recipient).assert_says(status);
        }
    }
    scene.until_queue_is_empty();

    // An MX that names a host without an address may be mended tomorrow.
    scene.submit(ALICE, &["bob@dangling.test"], "dangling");
    assert_waits(&scene, "bob@dangling.test");
}

/// Nothing is concluded from a name server that does not answer, or answers that it cannot; a listed recipient's mail waits
/// like any other.
#[test]
fn a_name_server_that_fails_is_no_answer() {
    let served = [("served.test", "@ A 127.0.4.1")];
    let (refusing, broken) =
        (Nsd::start(&served), Nsd::start_with_broken(&served, &["listed.example", "unlisted.example"]));
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let rows = [
        ("timed out", silent.local_addr().expect("a bound socket")),
        ("Refused", refusing.address()),
        ("Server Failure", broken.address()),
        ("Connection refused", place::free_address()),
    ];
    for (words, server) in rows {
        let scene =
            given().dns(server).mx(25).settings(&setting("partners", "outbound", &["listed.example"], "")).start();
        for recipient in ["bob@listed.example", "bob@unlisted.example"] {
            scene.submit(ALICE, &[recipient], words);
            let why = assert_waits(&scene, recipient);
            assert!(why.contains(words), "{words}: {why}");
        }
    }
}

/// It waits, for the reason that comes back.
#[track_caller]
fn assert_waits(scene: &Scene, recipient: &str) -> String {
    let rounds = scene.rounds(recipient, 1);
    assert_eq!(rounds[0]["result"]["outcome"], "inconclusive", "{recipient}: {rounds:#?}");
    assert_eq!(scene.queued_for(recipient), 1, "{recipient} is queued");
    assert!(scene.report_now(recipient).is_none());
    rounds[0]["result"]["why"].to_string()
}

/// RFC 5321 section 5.1: that a host gives no TLS is known when each of its addresses has said so. A listed recipient's mail comes
/// back then and not before: not where an address did not answer, and not where addresses of one family could not be looked up.
#[test]
fn each_address_of_a_host_is_asked() {
    let authority = Authority::new("Test Authority");
    let good = || Script::tls(&authority.leaf(&["mx.any.test"]));
    let port = place::free_address().port();
    let four = |last: u8| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 9, last)), port);
    let clear: Vec<FakePeer> = (1..=5).map(|last| Script::clear().start_at(four(last))).collect();
    let secured: Vec<FakePeer> = (11..=12).map(|last| good().start_at(four(last))).collect();
    let six = Script::clear().start_at(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port));
    // (zone, the host's addresses, what becomes of it)
    let rows = [
        ("two.test", "mx A 127.0.9.1\nmx A 127.0.9.2", "reported"),
        ("one-of-two.test", "mx A 127.0.9.3\nmx A 127.0.9.11", "by TLS"),
        ("both.test", "mx AAAA ::1\nmx A 127.0.9.12", "by TLS"),
        ("six.test", "mx AAAA ::1", "reported"),
        ("silent.test", "mx A 127.0.9.4\nmx A 127.0.9.99", "waits"),
        // A forged A: the resolver answers with no more than SERVFAIL.
        ("half.test", "mx AAAA ::1\nmx A 127.0.9.5", "waits"),
    ];
    let records = rows.map(|(_, hosts, _)| format!("@ MX 10 mx\n{hosts}"));
    let zones = rows.iter().zip(&records).map(|((zone, ..), records)| {
        let signing = if *zone == "half.test" { Signing::Changed("127.0.9.5", "127.0.9.6") } else { Signing::Sound };
        Zone { name: zone, records, signing }
    });
    let nsd = Nsd::start_signed(&zones.collect::<Vec<_>>());
    let resolver = Unbound::start(&nsd);
    let scene = given()
        .dns(resolver.address())
        .mx(port)
        .settings(&setting("partners", "outbound", &rows.map(|(zone, ..)| zone), ""))
        .start();
    let peers: Vec<&FakePeer> = clear.iter().chain(&secured).chain([&six]).collect();
    for (zone, ..) in rows {
        scene.submit(ALICE, &[&format!("bob@{zone}")], zone);
    }
    for (zone, _, expected) in rows {
        let recipient = format!("bob@{zone}");
        if expected != "waits" {
            assert_eq!(scene.fate(&peers, &recipient).word(), expected, "{zone}");
            continue;
        }
        let rounds = scene.rounds(&recipient, 1);
        assert_eq!(rounds[0]["result"]["outcome"], "floor-unmet", "{zone}: {:#}", rounds[0]);
        assert_eq!(rounds[0]["result"]["not_asked"].as_array().map(Vec::len), Some(1), "{zone}: {:#}", rounds[0]);
        assert_eq!(scene.queued_for(&recipient), 1, "{zone} waits");
        assert!(scene.report_now(&recipient).is_none(), "{zone}");
    }
    assert!(clear[..2].iter().all(|peer| peer.sessions().len() == 1), "each of the two was asked");
    peers.iter().for_each(|peer| peer.assert_no_mail_in_clear());
}

/// R5 by MX: the name that counts is the MX host's, not the domain's.
#[test]
fn the_certificate_must_name_the_mx_host() {
    let authority = Authority::new("Test Authority");
    let (peers, port) =
        start(vec![Script::tls(&authority.leaf(&["mx.right.test"])), Script::tls(&authority.leaf(&["wrong.test"]))]);
    let nsd = Nsd::start(&[("right.test", "@ MX 10 mx\nmx A 127.0.4.1"), ("wrong.test", "@ MX 10 mx\nmx A 127.0.4.2")]);
    let scene = given()
        .believing(authority)
        .dns(nsd.address())
        .mx(port)
        .settings(&setting("named", "outbound", &["right.test", "wrong.test"], "validate-hostname = true"))
        .start();
    for (recipient, expected) in [("bob@right.test", "by TLS"), ("bob@wrong.test", "reported")] {
        scene.submit(ALICE, &[recipient], recipient);
        assert_eq!(scene.fate(&[&peers[0], &peers[1]], recipient).word(), expected, "{recipient}");
    }
    scene.report("bob@wrong.test").assert_says("The mail server mx.wrong.test");
    let seen = peers[0].sessions().into_iter().find_map(|session| session.tls).expect("TLS came about");
    assert_eq!(seen.server_name.as_deref(), Some("mx.right.test"), "and SNI asks for it");
}

/// RFC 6531 section 3.7.1, RFC 5890: one domain however it is written, in lists, MX, SNI, certificates and MTA-STS policies.
#[test]
fn an_international_domain_is_one_name_in_either_form() {
    let authority = Authority::new("Test Authority");
    let (peers, port) = start(vec![
        Script::tls(&authority.leaf(&["mx.xn--bcher-kva.test"])),
        Script::tls(&authority.leaf(&["mx.xn--kse-qla.test"])),
    ]);
    let sts = "mta-sts A 127.0.0.1\n_mta-sts TXT \"v=STSv1; id=1;\"\n";
    let nsd = Nsd::start(&[
        ("xn--bcher-kva.test", &format!("@ MX 10 mx\nmx A 127.0.4.1\n{sts}")),
        ("xn--kse-qla.test", "@ MX 10 mx\nmx A 127.0.4.2"),
    ]);
    let name = "mta-sts.xn--bcher-kva.test";
    let policy = Response::Text("version: STSv1\nmode: enforce\nmx: *.b\u{fc}cher.test\nmax_age: 86400\n".into());
    let web = Web::start(vec![Site::new(name, &authority.leaf(&[name])).policy(policy)]);
    let strict = "require-ca-signed-certificate = true\nvalidate-hostname = true";
    let mut scene = given()
        .believing(authority)
        .dns(nsd.address())
        .mx(port)
        .sts(web.port())
        .settings(&setting("books", "outbound", &["b\u{fc}cher.test"], strict))
        .settings(&setting("cheese", "outbound", &["xn--kse-qla.test"], strict))
        .start();
    let rows = [("ann@xn--bcher-kva.test", 0), ("ann@XN--KSE-QLA.test", 1)];
    for (recipient, peer) in rows {
        scene.submit(ALICE, &[recipient], recipient);
        let received = &peers[peer].wait_for_messages(1)[0];
        assert!(received.by_tls, "{recipient}: {received:?}");
        assert!(!received.mail_from.contains("SMTPUTF8"), "no more than ASCII is asked of the host: {received:?}");
    }
    scene.until_queue_is_empty();
    for (peer, name) in peers.iter().zip(["mx.xn--bcher-kva.test", "mx.xn--kse-qla.test"]) {
        let seen = peer.sessions().into_iter().find_map(|session| session.tls).expect("TLS came about");
        assert_eq!(seen.server_name.as_deref(), Some(name));
    }
    let rounds = scene.rounds("ann@xn--bcher-kva.test", 1);
    let demanded = rounds[0]["result"]["demanded"].to_string();
    assert!(demanded.contains("\"domain\":\"xn--bcher-kva.test\""), "the policy holds: {:#}", rounds[0]);
    // Both are listed: a host that has lost its TLS gets nothing.
    for peer in &peers {
        peer.become_(Script::clear());
    }
    scene.relay.stop();
    scene.relay.start();
    for recipient in ["eve@xn--bcher-kva.test", "eve@xn--kse-qla.test"] {
        scene.submit(ALICE, &[recipient], recipient);
        scene.report(recipient).assert_says("Rule R2");
    }
    peers.iter().for_each(FakePeer::assert_no_mail_in_clear);
}
