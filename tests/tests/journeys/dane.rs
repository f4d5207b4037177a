//! DANE (RFC 7672): what a host's TLSA records demand holds for mail that nobody listed too, and nothing an attacker can do to
//! the DNS brings that mail into clear text. Real zones, signed, in a real name server.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::{FakePeer, Handshake, Script, reply};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::place;
use sealwire_tests::signed::{Signing, Zone};
use sealwire_tests::unbound::Unbound;
use sealwire_tests::wait;
use sha2::{Digest, Sha256, Sha512};

use super::scene::{ALICE, given};

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// A zone whose one host has this record; `{port}` is the peers'.
struct Row<'a> {
    zone: &'a str,
    records: String,
    signing: Signing<'a>,
    peer: Script,
    /// "by TLS", "in clear", or a part of why it waits.
    expected: &'a str,
}

#[test]
fn what_a_host_publishes_holds_and_nothing_is_let_down() {
    let authority = Authority::new("An authority of nobody's");
    // Neither names, nor dates, nor a trusted root: DANE-EE asks for none of these.
    let leaf = certs::self_signed(&["elsewhere.test"]);
    let other = certs::self_signed(&["elsewhere.test"]);
    let [cert, key, strong, wrong] = [
        format!("3 0 1 {}", hex(&Sha256::digest(leaf.certificate()))),
        format!("3 1 1 {}", hex(&Sha256::digest(leaf.public_key()))),
        format!("3 1 2 {}", hex(&Sha512::digest(leaf.public_key()))),
        format!("3 1 1 {}", hex(&Sha256::digest(other.public_key()))),
    ];
    let under = format!("2 0 0 {}", hex(authority.certificate()));
    let unusable = format!("1 1 1 {}", hex(&Sha256::digest(other.public_key())));
    let (secured, clear) = (|| Script::tls(&leaf), Script::clear);
    let refused = || Script::tls(&leaf).answer("STARTTLS", reply("454 4.7.0 not now"));
    let host = |tlsa: &str| format!("@ MX 10 mx\nmx A {{address}}\n_{{port}}._tcp.mx TLSA {tlsa}");
    let row = |zone, records: String, signing, peer, expected| Row { zone, records, signing, peer, expected };
    let sound = Signing::Sound;
    // The resolver finds it forged or broken, and answers no more than that.
    let dns = "Server Failure";
    let rows = vec![
        row("key.test", host(&key), sound, secured(), "by TLS"),
        row("cert.test", host(&cert), sound, secured(), "by TLS"),
        row("nsec3.test", host(&key), Signing::Nsec3, secured(), "by TLS"),
        row("strong.test", format!("{}\n_{{port}}._tcp.mx TLSA {wrong}", host(&strong)), sound, secured(), "by TLS"),
        row("one-of-two.test", format!("{}\n_{{port}}._tcp.mx TLSA {wrong}", host(&key)), sound, secured(), "by TLS"),
        row("under.test", host(&under), sound, Script::tls(&authority.leaf(&["mx.under.test"])), "by TLS"),
        row("domain.test", host(&under), sound, Script::tls(&authority.leaf(&["domain.test"])), "by TLS"),
        row("misnamed.test", host(&under), sound, Script::tls(&authority.leaf(&["mx.other.test"])), "\"dane\""),
        row("late.test", host(&under), sound, Script::tls(&authority.expired(&["mx.late.test"])), "\"dane\""),
        row("implicit.test", "@ A {address}\n_{port}._tcp TLSA ".to_owned() + &key, sound, secured(), "by TLS"),
        // An alias is followed; where nothing stands at its end, the name itself counts, as it does where the end is unsigned.
        row(
            "alias.test",
            format!("@ MX 10 mx\nmx CNAME real\nreal A {{address}}\n_{{port}}._tcp.real TLSA {key}"),
            sound,
            secured(),
            "by TLS",
        ),
        row(
            "alias-own.test",
            format!("@ MX 10 mx\nmx CNAME real\nreal A {{address}}\n_{{port}}._tcp.mx TLSA {wrong}"),
            sound,
            secured(),
            "\"dane\"",
        ),
        row(
            "alias-out.test",
            format!("@ MX 10 mx\nmx CNAME out.unsigned-end.test.\n_{{port}}._tcp.mx TLSA {wrong}"),
            sound,
            secured(),
            "\"dane\"",
        ),
        row(
            "unsigned-end.test",
            "@ MX 10 mx\nmx A {address}\nout A {address-before}".to_owned(),
            Signing::None,
            secured(),
            "by TLS",
        ),
        // RFC 7672 section 2.2.1: what names the host is not proven, what the host asks is, and holds.
        row("hosted.test", host(&wrong), sound, secured(), "\"dane\""),
        row("unproven.test", "@ MX 10 mx.hosted.test.".to_owned(), Signing::None, secured(), "\"dane\""),
        // Section 2.1.1: of a host whose addresses nobody proves nothing is asked, whoever names it.
        row("proven.test", "@ MX 10 out.unproven-host.test.".to_owned(), sound, clear(), "in clear"),
        row(
            "unproven-host.test",
            format!("@ MX 10 mx\nmx A {{address}}\nout A {{address-before}}\n_{{port}}._tcp.out TLSA {wrong}"),
            Signing::None,
            clear(),
            "in clear",
        ),
        // Records of a wildcard are records (RFC 7672 section 1.3.2), and what it denies is denied.
        row("wild.test", format!("@ MX 10 mx\nmx A {{address}}\n*._tcp.mx TLSA {key}"), sound, secured(), "by TLS"),
        row(
            "wild-wrong.test",
            format!("@ MX 10 mx\nmx A {{address}}\n*._tcp.mx TLSA {wrong}"),
            sound,
            secured(),
            "\"dane\"",
        ),
        row(
            "wild-forged.test",
            format!("@ MX 10 mx\nmx A {{address}}\n*._tcp.mx TLSA {key}"),
            Signing::Without("\tTLSA\t"),
            clear(),
            dns,
        ),
        row("mismatch.test", host(&wrong), sound, secured(), "\"dane\""),
        row("stripped.test", host(&key), sound, clear(), "STARTTLS"),
        row("not-now.test", host(&key), sound, refused(), "454"),
        row("broken.test", host(&key), sound, secured().handshake(Handshake::Abort), "TLS"),
        // RFC 7672 section 2.2: none of them usable, so TLS, with any certificate.
        row("unusable.test", host(&unusable), sound, secured(), "by TLS"),
        row("unusable-clear.test", host(&unusable), sound, clear(), "STARTTLS"),
        // Nothing is published, and that is proven.
        row("none.test", "@ MX 10 mx\nmx A {address}".to_owned(), sound, clear(), "in clear"),
        row("none3.test", "@ MX 10 mx\nmx A {address}".to_owned(), Signing::Nsec3, clear(), "in clear"),
        // A zone that is not signed says nothing that counts.
        row("unsigned.test", host(&wrong), Signing::None, secured(), "by TLS"),
        row("unsigned-clear.test", host(&wrong), Signing::None, clear(), "in clear"),
        // What an attacker, or neglect, makes of a signed zone.
        row("expired.test", host(&key), Signing::Expired, secured(), dns),
        row("forged.test", host(&key), Signing::Changed("{address}", "127.0.4.250"), clear(), dns),
        row("no-tlsa.test", host(&key), Signing::Without("\tTLSA\t"), clear(), dns),
        row("no-signature.test", host(&key), Signing::Without("TLSA"), clear(), dns),
        row("no-name.test", host(&key), Signing::Without("_tcp.mx"), clear(), dns),
        row("no-host.test", host(&key), Signing::Without("mx.no-host.test.\t60\tIN\tA"), clear(), dns),
        row("no-mx.test", "@ A 127.0.4.250\n".to_owned() + &host(&key), Signing::Without("\tMX\t"), clear(), dns),
    ];

    let port = place::free_address().port();
    let at = |number: usize| Ipv4Addr::new(127, 0, 5, u8::try_from(number + 1).expect("few rows"));
    let filled: Vec<(String, String)> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| {
            let fill = |text: &str| {
                let text = text.replace("{address-before}", &at(number.saturating_sub(1)).to_string());
                text.replace("{address}", &at(number).to_string()).replace("{port}", &port.to_string())
            };
            let changed = if let Signing::Changed(word, _) = row.signing { fill(word) } else { String::new() };
            (fill(&row.records), changed)
        })
        .collect();
    let zones: Vec<Zone<'_>> = rows
        .iter()
        .zip(&filled)
        .map(|(row, (records, changed))| {
            let signing =
                if let Signing::Changed(_, to) = row.signing { Signing::Changed(changed, to) } else { row.signing };
            Zone { name: row.zone, records, signing }
        })
        .collect();
    let nsd = Nsd::start_signed(&zones);
    let peers: Vec<FakePeer> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| row.peer.clone().start_at(SocketAddr::new(IpAddr::V4(at(number)), port)))
        .collect();
    let resolver = Unbound::start(&nsd);
    let scene = given().dns(resolver.address()).mx(port).start();
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
        assert!(scene.report_now(&recipient).is_none(), "{zone}");
    }
    let seen = peers[0].sessions().into_iter().find_map(|session| session.tls).expect("TLS came about");
    assert_eq!(seen.server_name.as_deref(), Some("mx.key.test"), "SNI is the name the records stand at");
    let evidence = &scene.rounds("bob@key.test", 1)[0]["result"]["tls"];
    assert_eq!(evidence["dane"], key, "the ledger has the record that was met");
}

/// Without proofs there is no DANE, and the status says why; who demands proofs has mail wait for them.
#[test]
fn names_without_proofs_are_told_and_may_be_refused() {
    let leaf = certs::self_signed(&["mx.plain.test"]);
    let wrong = format!("3 1 1 {}", "00".repeat(32));
    let port = place::free_address().port();
    let at = Ipv4Addr::new(127, 0, 5, 250);
    let peer = Script::tls(&leaf).start_at(SocketAddr::new(IpAddr::V4(at), port));
    let records = format!("@ MX 10 mx\nmx A {at}\n_{port}._tcp.mx TLSA {wrong}");
    let nsd = Nsd::start(&[("plain.test", &records)]);

    let scene = given().dns(nsd.address()).mx(port).start();
    scene.submit(ALICE, &["bob@plain.test"], "no proofs");
    assert_eq!(scene.fate(&[&peer], "bob@plain.test").word(), "by TLS");
    let told = scene.dnssec();
    assert!(told.starts_with("off: the name servers do not validate"), "{told}");

    let scene = given().dns(nsd.address()).dnssec("dnssec = \"required\"").mx(port).start();
    scene.submit(ALICE, &["ann@plain.test"], "proofs");
    let rounds = scene.rounds("ann@plain.test", 1);
    assert!(rounds[0]["result"]["why"].to_string().contains("cannot be proven"), "{:#}", rounds[0]);
    assert_eq!(scene.queued_for("ann@plain.test"), 1);

    let scene = given().dns(nsd.address()).dnssec("dnssec = \"off\"").mx(port).start();
    assert_eq!(scene.dnssec(), "off, as configured");

    let signed = Nsd::start_signed(&[Zone { name: "proven.test", records: &records, signing: Signing::Sound }]);
    let resolver = Unbound::start(&signed);
    let scene = given().dns(resolver.address()).mx(port).start();
    scene.submit(ALICE, &["bob@proven.test"], "proofs");
    scene.rounds("bob@proven.test", 1);
    assert_eq!((scene.dnssec().as_str(), scene.queued_for("bob@proven.test")), ("on", 1));
}

/// What a resolver proved it proves no longer: that is nobody's word that nothing is signed. Mail waits, the operator hears of it,
/// and a reload is his word that it may go on without.
#[test]
fn a_resolver_that_validates_no_longer_has_mail_wait() {
    let leaf = certs::self_signed(&["mx.proven.test"]);
    let port = place::free_address().port();
    let at = |last| Ipv4Addr::new(127, 0, 5, last);
    let start = |script: Script, last| script.start_at(SocketAddr::new(IpAddr::V4(at(last)), port));
    let key = format!("3 1 1 {}", hex(&Sha256::digest(leaf.public_key())));
    let host = |last| format!("@ MX 10 mx\nmx A {}\n_{port}._tcp.mx TLSA {key}", at(last));
    let (well, peer) = (start(Script::tls(&leaf), 251), start(Script::clear(), 252));
    let (records_of_well, records) = (host(251), host(252));
    let signed = Nsd::start_signed(&[
        Zone { name: "well.test", records: &records_of_well, signing: Signing::Sound },
        Zone { name: "proven.test", records: &records, signing: Signing::Sound },
        Zone { name: "unsigned.test", records: &records, signing: Signing::None },
    ]);
    let mut resolver = Unbound::start(&signed);
    let scene = given().dns(resolver.address()).mx(port).start();
    let until_told = |begin: &str| {
        wait::until(wait::PATIENCE, &format!("DNSSEC {begin}"), || scene.dnssec().starts_with(begin).then_some(()));
    };
    // Before anything was sent.
    until_told("on");
    scene.submit(ALICE, &["ann@well.test"], "proven");
    assert_eq!(scene.fate(&[&well], "ann@well.test").word(), "by TLS");

    // A host that has lost its TLS, or somebody in between says so.
    resolver.restart(false);
    for recipient in ["bob@proven.test", "bob@unsigned.test", "bob@well.test"] {
        scene.submit(ALICE, &[recipient], "unproven");
        let rounds = scene.rounds(recipient, 1);
        assert_eq!(rounds[0]["result"]["outcome"], "inconclusive", "{:#}", rounds[0]);
        assert!(rounds[0]["result"]["why"].to_string().contains("no longer proves"), "{:#}", rounds[0]);
        assert_eq!(scene.queued_for(recipient), 1);
    }
    until_told("lost");
    wait::until(wait::PATIENCE, "an alert", || {
        let alerts = scene.log(&["--event", "alert"]);
        alerts.iter().any(|alert| alert["text"].to_string().contains("the DNS no longer proves")).then_some(())
    });

    // As soon as it proves again what was proven holds, and what nobody signed goes.
    resolver.restart(true);
    until_told("on");
    scene.relay.run(&["queue", "retry", "--all"]);
    assert_eq!(scene.fate(&[&peer], "bob@unsigned.test").word(), "in clear");
    assert_eq!(scene.fate(&[&well], "bob@well.test").word(), "by TLS");
    let rounds = scene.rounds("bob@proven.test", 2);
    assert!(rounds.iter().any(|round| round["result"].to_string().contains("\"dane\"")), "{rounds:#?}");
    assert_eq!(scene.queued_for("bob@proven.test"), 1);

    resolver.restart(false);
    scene.submit(ALICE, &["eve@proven.test"], "without proofs");
    scene.rounds("eve@proven.test", 1);
    until_told("lost");
    assert!(scene.relay.run(&["reload"]).status.success());
    until_told("off: the name servers do not validate");
    scene.relay.run(&["queue", "retry", "--all"]);
    assert_eq!(scene.fate(&[&peer], "eve@proven.test").word(), "in clear");
}
