//! MTA-STS (RFC 8461): what a domain's policy enforces holds for mail that nobody listed too; a policy that is not to be had is
//! none, unless one is in hand. Real name server, real web server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::{FakePeer, Script};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::signed::{Signing, Zone};
use sealwire_tests::unbound::Unbound;
use sealwire_tests::web::{Response, Site, Web};
use sealwire_tests::{place, wait};
use sha2::{Digest, Sha256};

use super::scene::{ALICE, given, setting};

/// A policy of this mode that lists this host.
fn policy(mode: &str, mx: &str) -> Response {
    Response::Text(format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n"))
}

const RECORD: &str = "_mta-sts TXT \"v=STSv1; id=1;\"";

/// A domain with its policy and its one host.
struct Row {
    zone: &'static str,
    /// Besides MX and addresses.
    records: String,
    policy: Response,
    peer: Script,
    /// "by TLS", "in clear", or a part of why it waits.
    expected: &'static str,
}

#[test]
fn what_a_policy_enforces_holds_and_what_is_no_policy_does_not() {
    let authority = Authority::new("The web's");
    let good = |zone: &str| Script::tls(&authority.leaf(&[&format!("mx.{zone}")]));
    let row = |zone: &'static str, records: &str, policy, peer, expected| {
        let records = records.to_owned();
        Row { zone, records, policy, peer, expected }
    };
    let enforce = |zone: &str| policy("enforce", &format!("mx.{zone}"));
    let text = |text: &str| Response::Text(text.to_owned());
    let clear = Script::clear;
    let of = |zone, policy, peer, expected| row(zone, RECORD, policy, peer, expected);
    let self_signed = Script::tls(&certs::self_signed(&["mx.untrusted.test"]));
    let long = format!("version: STSv1\nmode: enforce\nmx: mx.long.test\nmax_age: 1\n{}", "x: y\n".repeat(14_000));
    let rows = vec![
        of("ok.test", enforce("ok.test"), good("ok.test"), "by TLS"),
        of("pattern.test", policy("enforce", "*.pattern.test"), good("pattern.test"), "by TLS"),
        of("pattern-clear.test", policy("enforce", "*.pattern-clear.test"), clear(), "STARTTLS"),
        of("clear.test", enforce("clear.test"), clear(), "STARTTLS"),
        of("untrusted.test", enforce("untrusted.test"), self_signed, "trusted-chain"),
        of(
            "expired.test",
            enforce("expired.test"),
            Script::tls(&authority.expired(&["mx.expired.test"])),
            "trusted-chain",
        ),
        // RFC 8461 section 4.2: the name of the host, not the pattern's nor the domain's.
        of(
            "misnamed.test",
            enforce("misnamed.test"),
            Script::tls(&authority.leaf(&["misnamed.test"])),
            "matching-name",
        ),
        of(
            "unlisted.test",
            policy("enforce", "mx.other.test"),
            good("unlisted.test"),
            "is not listed in the MTA-STS policy",
        ),
        of("below.test", policy("enforce", "*.test"), good("below.test"), "is not listed in the MTA-STS policy"),
        of("testing.test", policy("testing", "mx.other.test"), clear(), "in clear"),
        of("none.test", policy("none", "mx.none.test"), clear(), "in clear"),
        // What is no policy, or none that can be had: as if there were none (section 3.3).
        of(
            "redirect.test",
            Response::Redirect(301, "https://mta-sts.ok.test/.well-known/mta-sts.txt".into()),
            clear(),
            "in clear",
        ),
        of("missing.test", Response::Status(404), clear(), "in clear"),
        of("broken.test", Response::Status(500), clear(), "in clear"),
        of(
            "html.test",
            Response::Typed("text/html".into(), "version: STSv1\nmode: enforce\nmx: mx.html.test\nmax_age: 1\n".into()),
            clear(),
            "in clear",
        ),
        of("long.test", text(&long), clear(), "in clear"),
        of("empty.test", text("version: STSv1\nmode: enforce\nmax_age: 86400\n"), clear(), "in clear"),
        of("forged.test", enforce("forged.test"), clear(), "in clear"),
        of("old.test", enforce("old.test"), clear(), "in clear"),
        row("unannounced.test", "", enforce("unannounced.test"), clear(), "in clear"),
        row("twice.test", &format!("{RECORD}\n{RECORD}2"), enforce("twice.test"), clear(), "in clear"),
        // A policy in chunks is a policy; so is one whose record comes in pieces.
        row(
            "pieces.test",
            "_mta-sts TXT \"v=STSv1; i\" \"d=1;\"",
            Response::Chunked("version: STSv1\nmode: enforce\nmx: mx.pieces.test\nmax_age: 86400".into()),
            clear(),
            "STARTTLS",
        ),
    ];
    let port = place::free_address().port();
    let at = |number: usize| Ipv4Addr::new(127, 0, 6, u8::try_from(number + 1).expect("few rows"));
    let zones: Vec<(&str, String)> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| {
            let records = row.records.replace("\"2", "\"\n_mta-sts TXT \"v=STSv1; id=2;\"");
            (row.zone, format!("@ MX 10 mx\nmx A {}\nmta-sts A 127.0.0.1\n{records}\n", at(number)))
        })
        .collect();
    let zones: Vec<(&str, &str)> = zones.iter().map(|(zone, records)| (*zone, records.as_str())).collect();
    let nsd = Nsd::start(&zones);
    let sites = rows.iter().map(|row| {
        let name = format!("mta-sts.{}", row.zone);
        let leaf = match row.zone {
            "forged.test" => certs::self_signed(&[&name]),
            "old.test" => authority.expired(&[&name]),
            _ => authority.leaf(&[&name]),
        };
        Site::new(&name, &leaf).policy(row.policy.clone())
    });
    let web = Web::start(sites.collect());
    let peers: Vec<FakePeer> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| row.peer.clone().start_at(SocketAddr::new(IpAddr::V4(at(number)), port)))
        .collect();
    let scene = given().believing(authority).dns(nsd.address()).mx(port).sts(web.port()).start();
    for row in &rows {
        scene.submit(ALICE, &[&format!("bob@{}", row.zone)], row.zone);
    }
    for (row, peer) in rows.iter().zip(&peers) {
        let (zone, recipient) = (row.zone, format!("bob@{}", row.zone));
        if ["by TLS", "in clear"].contains(&row.expected) {
            assert_eq!(scene.fate(&[peer], &recipient).word(), row.expected, "{zone}");
            continue;
        }
        let rounds = scene.rounds(&recipient, 1);
        assert!(rounds[0]["result"].to_string().contains(row.expected), "{zone}: {:#}", rounds[0]);
        assert_eq!(scene.queued_for(&recipient), 1, "{zone} waits");
        assert!(peer.messages().is_empty(), "{zone} sent something");
        peer.assert_no_mail_in_clear();
        let connected = !peer.sessions().is_empty();
        assert_eq!(connected, !row.expected.contains("not listed"), "{zone}: an unlisted host is not connected");
    }
    // RFC 8461 section 4.2: SNI is the name of the host.
    let seen = peers[0].sessions().into_iter().find_map(|session| session.tls).expect("TLS came about");
    assert_eq!(seen.server_name.as_deref(), Some("mx.ok.test"));
    let request = &web.requests("mta-sts.ok.test")[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/.well-known/mta-sts.txt"));
    assert_eq!(request.sni, "mta-sts.ok.test");
    assert!(web.requests("mta-sts.unannounced.test").is_empty(), "nobody announced it");
}

/// Kept over a restart, whatever becomes of record and web server; a new id has it fetched anew.
#[test]
fn a_policy_in_hand_counts_until_a_new_one_is_announced() {
    let authority = Authority::new("The web's");
    let (port, at) = (place::free_address().port(), Ipv4Addr::new(127, 0, 6, 200));
    let zone = |record: &str| format!("@ MX 10 mx\nmx A {at}\nmta-sts A 127.0.0.1\n{record}");
    let mut nsd = Nsd::start(&[("held.test", &zone(RECORD))]);
    let name = "mta-sts.held.test";
    let site = |response| Site::new(name, &authority.leaf(&[name])).policy(response);
    let mut web = Web::start(vec![site(policy("enforce", "mx.held.test"))]);
    let leaf = authority.leaf(&["mx.held.test"]);
    let peer = Script::tls(&leaf).start_at(SocketAddr::new(IpAddr::V4(at), port));
    let next = site(policy("none", "mx.held.test"));
    let mut scene = given().believing(authority).dns(nsd.address()).mx(port).sts(web.port()).start();
    scene.submit(ALICE, &["ann@held.test"], "the first");
    assert_eq!(scene.fate(&[&peer], "ann@held.test").word(), "by TLS");
    let rounds = scene.rounds("ann@held.test", 1);
    let result = &rounds[0]["result"];
    assert_eq!(result["published"], serde_json::json!([["mta-sts", "valid"]]), "{result:#}");
    assert!(result["demanded"].to_string().contains("\"domain\":\"held.test\""), "the demand's source: {result:#}");

    assert_eq!(web.requests(name).len(), 1);

    // Record and web server are gone; so is the host's TLS.
    nsd.set("held.test", &zone(""));
    web.stop();
    peer.become_(Script::clear());
    scene.relay.stop();
    scene.relay.start();
    scene.submit(ALICE, &["bob@held.test"], "the second");
    let rounds = scene.rounds("bob@held.test", 1);
    assert!(rounds[0]["result"].to_string().contains("STARTTLS"), "{:#}", rounds[0]);
    peer.assert_no_mail_in_clear();

    // Announced under a new id, and not to be had: the old one holds on.
    nsd.set("held.test", &zone("_mta-sts TXT \"v=STSv1; id=2;\""));
    scene.relay.stop();
    scene.relay.start();
    scene.submit(ALICE, &["carol@held.test"], "the third");
    let rounds = scene.rounds("carol@held.test", 1);
    assert!(rounds[0]["result"].to_string().contains("STARTTLS"), "{:#}", rounds[0]);
    peer.assert_no_mail_in_clear();

    web.start_again();
    web.set(next);
    scene.relay.stop();
    scene.relay.start();
    scene.submit(ALICE, &["dora@held.test"], "the fourth");
    assert_eq!(scene.fate(&[&peer], "dora@held.test").word(), "in clear", "the domain took its policy back");
    // Nothing that waited came back before that was known (section 5).
    scene.relay.run(&["queue", "retry", "--all"]);
    for recipient in ["bob@held.test", "carol@held.test"] {
        assert_eq!(scene.fate(&[&peer], recipient).word(), "in clear", "{recipient}");
    }
    assert!(scene.home.sessions().is_empty(), "no report");
}

/// Two domains of one host: the policy that one has, and that keeps its mail waiting, is none of the other's.
#[test]
fn a_policy_is_none_of_its_neighbours() {
    let authority = Authority::new("The web's");
    let (port, at) = (place::free_address().port(), Ipv4Addr::new(127, 0, 6, 203));
    let shared = "@ MX 10 mx.host.test.\nmta-sts A 127.0.0.1\n";
    let nsd = Nsd::start(&[
        ("host.test", &format!("mx A {at}")),
        ("broken.test", &format!("{shared}{RECORD}")),
        ("listed.test", &format!("{shared}{RECORD}")),
        ("plain.test", shared),
    ]);
    let site = |zone: &str, mx: &str| {
        let name = format!("mta-sts.{zone}");
        Site::new(&name, &authority.leaf(&[&name])).policy(policy("enforce", mx))
    };
    let web = Web::start(vec![site("broken.test", "mx.old-host.test"), site("listed.test", "mx.host.test")]);
    let peer = Script::tls(&authority.leaf(&["mx.host.test"])).start_at(SocketAddr::new(IpAddr::V4(at), port));
    let scene = given().believing(authority).dns(nsd.address()).mx(port).sts(web.port()).start();
    // Before and after the others, on a warm connection too.
    for recipient in ["ann@broken.test", "bob@listed.test", "bob@plain.test", "eve@broken.test"] {
        scene.submit(ALICE, &[recipient], recipient);
        if recipient.ends_with("@broken.test") {
            let rounds = scene.rounds(recipient, 1);
            assert!(rounds[0]["result"].to_string().contains("is not listed in the MTA-STS policy"), "{:#}", rounds[0]);
        } else {
            assert_eq!(scene.fate(&[&peer], recipient).word(), "by TLS", "{recipient}");
        }
    }
    assert_eq!((peer.messages().len(), scene.queue().len()), (2, 2));
}

/// A policy is fetched anew before it ends, though its id is the old one; a smart host's own policy counts for it, not the
/// recipient's (section 3.4), and a domain below another has none of that one's.
#[test]
fn policies_are_refreshed_and_found_at_the_right_domain() {
    let authority = Authority::new("The web's");
    let (port, at) = (place::free_address().port(), Ipv4Addr::new(127, 0, 6, 201));
    let parent = format!(
        "@ MX 10 mx\nmx A {at}\nmta-sts A 127.0.0.1\n{RECORD}\nsub MX 10 mx.sub\nmx.sub A {at}\n\
         gw A {at}\nmta-sts.gw A 127.0.0.1\n_mta-sts.gw TXT \"v=STSv1; id=7\"\n"
    );
    let nsd = Nsd::start(&[("parent.test", &parent), ("elsewhere.test", "@ MX 10 nowhere")]);
    let site = |name: &str, response| Site::new(name, &authority.leaf(&[name])).policy(response);
    let brief = "version: STSv1\nmode: enforce\nmx: *.parent.test\nmax_age: 6\n";
    let web = Web::start(vec![
        site("mta-sts.parent.test", Response::Text(brief.into())),
        site("mta-sts.gw.parent.test", policy("enforce", "gw.parent.test")),
    ]);
    let peer = Script::clear().start_at(SocketAddr::new(IpAddr::V4(at), port));
    let scene = given()
        .believing(authority)
        .dns(nsd.address())
        .mx(port)
        .sts(web.port())
        .named_host("gateway", &["elsewhere.test"], "gw.parent.test", port, "")
        .config("[tls-reports]\nenabled = true\norganization-name = \"Sender Ltd\"\ncontact = \"tls@sender.test\"\n")
        .start();
    scene.submit(ALICE, &["bob@parent.test"], "the parent");
    let rounds = scene.rounds("bob@parent.test", 1);
    assert!(rounds[0]["result"].to_string().contains("STARTTLS"), "{:#}", rounds[0]);
    scene.submit(ALICE, &["bob@sub.parent.test"], "below it");
    assert_eq!(scene.fate(&[&peer], "bob@sub.parent.test").word(), "in clear");
    scene.submit(ALICE, &["bob@elsewhere.test"], "by the smart host");
    let rounds = scene.rounds("bob@elsewhere.test", 1);
    assert!(rounds[0]["result"].to_string().contains("STARTTLS"), "{:#}", rounds[0]);
    // RFC 8460 section 4.4: so the smart host is told how its TLS does, and nobody at the recipient's.
    let counted = scene.relay.json(&["tls-reports", "list"]);
    let counted: Vec<_> = counted.as_array().expect("a list").iter().map(|of| of["about"].clone()).collect();
    assert_eq!(counted, ["gw.parent.test", "parent.test", "sub.parent.test"]);
    wait::until(wait::PATIENCE, "a second fetch of the policy", || {
        (web.requests("mta-sts.parent.test").len() >= 2).then_some(())
    });
}

/// RFC 8461 section 2: MTA-STS never overrides DANE, neither where that fails nor where it does without an authority.
#[test]
fn where_dane_speaks_the_policy_is_silent() {
    let authority = Authority::new("The web's");
    let own = certs::self_signed(&["elsewhere.test"]);
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let key = format!("3 1 1 {}", hex(&Sha256::digest(own.public_key())));
    let unusable = key.replacen("3 1 1", "1 1 1", 1);
    let wrong = format!("3 1 1 {}", "00".repeat(32));
    let good = |zone: &str| Script::tls(&authority.leaf(&[&format!("mx.{zone}")]));
    let rows = [
        ("both.test", key.as_str(), Script::tls(&own), "by TLS"),
        ("dane-fails.test", &wrong, good("dane-fails.test"), "\"dane\""),
        // Nothing in DANE says which certificate it should be: the policy does.
        ("unusable.test", &unusable, Script::tls(&own), "trusted-chain"),
        ("unusable-good.test", &unusable, good("unusable-good.test"), "by TLS"),
    ];
    let port = place::free_address().port();
    let at = |number: usize| Ipv4Addr::new(127, 0, 6, u8::try_from(number + 210).expect("few rows"));
    let records: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(number, (_, tlsa, _, _))| {
            format!("@ MX 10 mx\nmx A {}\n_{port}._tcp.mx TLSA {tlsa}\nmta-sts A 127.0.0.1\n{RECORD}\n", at(number))
        })
        .collect();
    let zones: Vec<Zone<'_>> = rows
        .iter()
        .zip(&records)
        .map(|((name, ..), records)| Zone { name, records, signing: Signing::Sound })
        .collect();
    let nsd = Nsd::start_signed(&zones);
    let resolver = Unbound::start(&nsd);
    let sites = rows.iter().map(|(zone, ..)| {
        let name = format!("mta-sts.{zone}");
        Site::new(&name, &authority.leaf(&[&name])).policy(policy("enforce", &format!("mx.{zone}")))
    });
    let web = Web::start(sites.collect());
    let peers: Vec<FakePeer> = rows
        .iter()
        .enumerate()
        .map(|(number, (_, _, script, _))| script.clone().start_at(SocketAddr::new(IpAddr::V4(at(number)), port)))
        .collect();
    let scene = given().believing(authority).dns(resolver.address()).mx(port).sts(web.port()).start();
    for ((zone, _, _, expected), peer) in rows.iter().zip(&peers) {
        let recipient = format!("bob@{zone}");
        scene.submit(ALICE, &[&recipient], zone);
        if *expected == "by TLS" {
            assert_eq!(scene.fate(&[peer], &recipient).word(), *expected, "{zone}");
            continue;
        }
        let rounds = scene.rounds(&recipient, 1);
        assert!(rounds[0]["result"].to_string().contains(expected), "{zone}: {:#}", rounds[0]);
        assert_eq!(scene.queued_for(&recipient), 1, "{zone} waits");
    }
}

/// RFC 8461 section 10.1: the answer that names a domain's hosts may be forged, and the host it names have TLSA records that are
/// good for itself. Only a host that is proven to be the domain's is spared the policy.
#[test]
fn a_forged_host_with_dane_of_its_own_is_no_way_around_the_policy() {
    let authority = Authority::new("The web's");
    let own = certs::self_signed(&["mx.thief.test"]);
    let key: String = Sha256::digest(own.public_key()).iter().map(|octet| format!("{octet:02x}")).collect();
    let (port, at) = (place::free_address().port(), Ipv4Addr::new(127, 0, 6, 220));
    let thief = format!("mx A {at}\n_{port}._tcp.mx TLSA 3 1 1 {key}\n");
    let victim = format!("@ MX 10 mx.thief.test.\nmta-sts A 127.0.0.1\n{RECORD}\n");
    let nsd = Nsd::start_signed(&[
        Zone { name: "thief.test", records: &thief, signing: Signing::Sound },
        Zone { name: "victim.test", records: &victim, signing: Signing::None },
    ]);
    let resolver = Unbound::start(&nsd);
    let name = "mta-sts.victim.test";
    let web = Web::start(vec![Site::new(name, &authority.leaf(&[name])).policy(policy("enforce", "mx.victim.test"))]);
    let peer = Script::tls(&own).start_at(SocketAddr::new(IpAddr::V4(at), port));
    let scene = given().believing(authority).dns(resolver.address()).mx(port).sts(web.port()).start();
    scene.submit(ALICE, &["bob@victim.test"], "not for thieves");
    let rounds = scene.rounds("bob@victim.test", 1);
    assert!(rounds[0]["result"].to_string().contains("is not listed in the MTA-STS policy"), "{:#}", rounds[0]);
    assert!(peer.sessions().is_empty() && scene.queued_for("bob@victim.test") == 1, "{:?}", peer.sessions());
}

/// A policy of the recipient's defers; a rule of ours decides at once, whatever else defers.
#[test]
fn a_listed_domain_comes_back_though_its_policy_would_wait() {
    let authority = Authority::new("The web's");
    let (port, at) = (place::free_address().port(), Ipv4Addr::new(127, 0, 6, 202));
    let nsd = Nsd::start(&[("both.test", &format!("@ MX 10 mx\nmx A {at}\nmta-sts A 127.0.0.1\n{RECORD}"))]);
    let name = "mta-sts.both.test";
    let web = Web::start(vec![Site::new(name, &authority.leaf(&[name])).policy(policy("enforce", "mx.both.test"))]);
    let peer = Script::clear().start_at(SocketAddr::new(IpAddr::V4(at), port));
    let scene = given()
        .believing(authority)
        .dns(nsd.address())
        .mx(port)
        .sts(web.port())
        .settings(&setting("partners", "outbound", &["both.test"], ""))
        .start();
    scene.submit(ALICE, &["bob@both.test"], "both");
    let report = scene.report("bob@both.test");
    report.assert_says("Rule R2: Mail to this recipient is sent over TLS only.");
    report.assert_says("see the policy at https://mta-sts.both.test/.well-known/mta-sts.txt");
    peer.assert_no_mail_in_clear();
}
