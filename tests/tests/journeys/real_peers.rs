//! Postfix, Exim and a Python server receive from us over TLS that DANE, or MTA-STS, has verified; real zones, signed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sealwire_tests::aiosmtpd::Aiosmtpd;
use sealwire_tests::certs::{self, Authority};
use sealwire_tests::exim::Exim;
use sealwire_tests::nsd::Nsd;
use sealwire_tests::place;
use sealwire_tests::postfix::Postfix;
use sealwire_tests::signed::{Signing, Zone};
use sealwire_tests::unbound::Unbound;
use sealwire_tests::web::{Response, Site, Web};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::scene::{ALICE, given};

#[test]
fn postfix_exim_and_a_python_server_receive_by_dane_and_by_mta_sts() {
    let authority = Authority::new("The web's");
    let port = place::free_address().port();
    let at = |number: u8| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 10, number)), port);
    // By DANE with certificates of nobody's, by MTA-STS with the web's authority.
    let own = certs::self_signed(&["elsewhere.test"]);
    let key: String = Sha256::digest(own.public_key()).iter().map(|octet| format!("{octet:02x}")).collect();
    let zones = ["postfix-dane", "exim-dane", "python-dane", "postfix-sts", "exim-sts", "python-sts"];
    let leaf = |number: usize| match zones[number].ends_with("-dane") {
        true => own.clone(),
        false => authority.leaf(&[&format!("mx.{}.test", zones[number])]),
    };
    let postfix = [0, 3].map(|n| Postfix::next_hop().listen(at(n as u8 + 1)).offer_tls(&leaf(n)).start());
    let exim = [1, 4].map(|n| Exim::next_hop().listen(at(n as u8 + 1)).offer_tls(&leaf(n)).start());
    let python = [2, 5].map(|n| Aiosmtpd::next_hop(&leaf(n)).listen(at(n as u8 + 1)).start());
    let named: Vec<(String, String, Signing<'_>)> = zones
        .iter()
        .enumerate()
        .map(|(number, zone)| {
            let host = format!("@ MX 10 mx\nmx A {}\n", at(number as u8 + 1).ip());
            match zone.ends_with("-dane") {
                true => (format!("{zone}.test"), format!("{host}_{port}._tcp.mx TLSA 3 1 1 {key}\n"), Signing::Sound),
                false => {
                    let sts = "mta-sts A 127.0.0.1\n_mta-sts TXT \"v=STSv1; id=1;\"\n";
                    (format!("{zone}.test"), host + sts, Signing::None)
                }
            }
        })
        .collect();
    let signed: Vec<Zone<'_>> =
        named.iter().map(|(name, records, signing)| Zone { name, records, signing: *signing }).collect();
    let nsd = Nsd::start_signed(&signed);
    let resolver = Unbound::start(&nsd);
    let sites = zones.iter().filter(|zone| zone.ends_with("-sts")).map(|zone| {
        let name = format!("mta-sts.{zone}.test");
        let policy = format!("version: STSv1\nmode: enforce\nmx: mx.{zone}.test\nmax_age: 86400\n");
        Site::new(&name, &authority.leaf(&[&name])).policy(Response::Text(policy))
    });
    let web = Web::start(sites.collect());
    let scene = given().believing(authority).dns(resolver.address()).mx(port).sts(web.port()).start();
    for zone in zones {
        scene.submit(ALICE, &[&format!("bob@{zone}.test")], &format!("over to {zone}"));
    }
    for (server, zone) in postfix.iter().zip(["postfix-dane", "postfix-sts"]) {
        let received = server.wait_for(&format!("over to {zone}"));
        assert!(received.text.contains("TLSv1.3"), "{zone}: {}", received.text);
    }
    for (server, zone) in exim.iter().zip(["exim-dane", "exim-sts"]) {
        let received = server.wait_for(&format!("over to {zone}")).received();
        assert!(received.contains("with esmtps (TLS1.3) tls TLS_"), "{zone}: {received}");
    }
    for (server, zone) in python.iter().zip(["python-dane", "python-sts"]) {
        let received = server.wait_for(&format!("over to {zone}"));
        assert!(received.tls.is_some(), "{zone}: {received:?}");
    }
    for zone in zones {
        let result = &scene.rounds(&format!("bob@{zone}.test"), 1)[0]["result"];
        let kind = if zone.ends_with("-dane") { "dane" } else { "mta-sts" };
        assert_eq!(result["published"], json!([[kind, "valid"]]), "{zone}: {result:#}");
    }
    scene.until_queue_is_empty();
}
