//! `tls-test`: what it says of a destination is what mail to it meets, its exit status is a monitor's, and on what both look at
//! it agrees with Postfix's `posttls-finger`. Nothing is sent (parity point 11).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::{Action, FakePeer, GREETING, Script};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::place;
use sealwire_tests::web::{Response, Site, Web};
use serde_json::Value;

use super::scene::{Scene, given, setting};

/// Exit status and answer of `tls-test`.
#[track_caller]
fn tls_test(scene: &Scene, asked: &[&str]) -> (i32, Value) {
    let said = scene.relay.run(&[&["tls-test", "--json"], asked].concat());
    let answer = serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("{why}: {}{}", said.out, said.err));
    (said.status.code().expect("it ended by itself"), answer)
}

/// The one word of posttls-finger for a host: `Verified` by chain and name, `Untrusted`, `Anonymous`; empty without TLS.
fn finger(address: SocketAddr, name: &str, authority: &Authority) -> String {
    let folder = place::folder();
    place::write(&folder.path().join("main.cf"), "compatibility_level = 3.6\n");
    let said = Command::new(place::program("posttls-finger"))
        .env("MAIL_CONFIG", folder.path())
        .args(["-c", "-l", "secure", "-L", "summary", "-F"])
        .arg(authority.file())
        .arg(format!("[{}]:{}", address.ip(), address.port()))
        .arg(name)
        .output()
        .expect("posttls-finger runs");
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    let words = ["Verified", "Untrusted", "Anonymous"];
    words.into_iter().find(|word| text.contains(&format!("{word} TLS connection established"))).unwrap_or("").to_owned()
}

#[test]
fn it_says_what_mail_meets_and_agrees_with_another() {
    let authority = Authority::new("The web's");
    let mx = |zone: &str| format!("mx.{zone}");
    let soon = std::time::SystemTime::now();
    let ends_soon = authority.leaf_valid(&[&mx("soon.test")], soon, soon + std::time::Duration::from_secs(5 * 86_400));
    // (zone, peer, exit status when not listed, when listed with CA and hostname, what posttls-finger says)
    let rows: Vec<(&str, Script, i32, i32, &str)> = vec![
        ("good.test", Script::tls(&authority.leaf(&[&mx("good.test")])).extension("REQUIRETLS"), 0, 0, "Verified"),
        ("soon.test", Script::tls(&ends_soon), 1, 1, "Verified"),
        ("misnamed.test", Script::tls(&authority.leaf(&["other.test"])), 0, 2, "Untrusted"),
        ("self-signed.test", Script::tls(&certs::self_signed(&[&mx("self-signed.test")])), 0, 2, "Untrusted"),
        ("clear.test", Script::clear(), 1, 2, ""),
        ("silent.test", Script::clear().answer(GREETING, Action::Drop), 3, 3, ""),
        ("unlisted.test", Script::tls(&authority.leaf(&[&mx("unlisted.test")])), 2, 2, "Verified"),
    ];
    let port = place::free_address().port();
    let at = |number: usize| Ipv4Addr::new(127, 0, 9, u8::try_from(number + 1).expect("few rows"));
    let records: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(number, _)| format!("@ MX 10 mx\nmx A {}\nmta-sts A 127.0.0.1\n", at(number)))
        .map(|records| records + "_mta-sts TXT \"v=STSv1; id=1;\"\n")
        .collect();
    // One domain alone has a policy; it lists another host.
    let zones: Vec<(&str, &str)> = rows
        .iter()
        .zip(&records)
        .map(|((zone, ..), records)| {
            let records =
                if *zone == "unlisted.test" { records } else { records.split("mta-sts").next().expect("a part") };
            (*zone, records)
        })
        .collect();
    let nsd = Nsd::start(&zones);
    let name = "mta-sts.unlisted.test";
    let policy = "version: STSv1\nmode: enforce\nmx: mx.other.test\nmax_age: 86400\n";
    let web = Web::start(vec![Site::new(name, &authority.leaf(&[name])).policy(Response::Text(policy.into()))]);
    let peers: Vec<FakePeer> = rows
        .iter()
        .enumerate()
        .map(|(number, (_, script, ..))| script.clone().start_at(SocketAddr::new(IpAddr::V4(at(number)), port)))
        .collect();
    let listed: Vec<String> = rows.iter().map(|(zone, ..)| format!("listed@{zone}")).collect();
    let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
    let strict = "require-ca-signed-certificate = true\nvalidate-hostname = true";
    let scene = given()
        .believing(authority)
        .dns(nsd.address())
        .mx(port)
        .sts(web.port())
        .settings(&setting("partners", "outbound", &listed, strict))
        .start();
    for ((number, (zone, _, open, strict, fingered)), peer) in rows.iter().enumerate().zip(&peers) {
        let (status, test) = tls_test(&scene, &[zone]);
        assert_eq!(status, *open, "{zone}, not listed: {test:#}");
        let (status, test) = tls_test(&scene, &[&format!("listed@{zone}")]);
        assert_eq!(status, *strict, "{zone}, listed: {test:#}");
        assert!(test["demands"].to_string().contains("rule R2"), "{zone}: {test:#}");
        let found = &test["hosts"][0]["addresses"][0];
        let word = match (found["tls"]["chain"].as_str(), found["tls"]["name-matches"].as_bool()) {
            (Some("trusted"), Some(true)) => "Verified",
            (Some(_), _) => "Untrusted",
            (None, _) => "",
        };
        let address = SocketAddr::new(IpAddr::V4(at(number)), port);
        assert_eq!(finger(address, &mx(zone), &scene.authority), *fingered, "{zone}: posttls-finger");
        assert_eq!(word, *fingered, "{zone}: {test:#}");
        assert!(peer.messages().is_empty(), "{zone}");
        let said = peer.sessions();
        assert!(said.iter().all(|session| !session.clear().contains("MAIL") && !session.secured().contains("MAIL")));
    }
    let (_, good) = tls_test(&scene, &["good.test"]);
    let address = &good["hosts"][0]["addresses"][0];
    assert_eq!(address["versions"], serde_json::json!(["TLSv1.2", "TLSv1.3"]), "{good:#}");
    assert_eq!(address["requiretls"], true);
    let leaves: Vec<bool> =
        address["would"].as_array().expect("settings").iter().map(|would| would["leaves"] == true).collect();
    // Not where a word on the certificate is asked for, which nobody gives; nor REQUIRETLS: nothing proves which hosts the domain
    // has.
    assert_eq!(leaves, [true, true, true, true, false, false], "{good:#}");
    let (_, unlisted) = tls_test(&scene, &["unlisted.test"]);
    assert_eq!(unlisted["mta-sts"]["mode"], "enforce");
    assert!(unlisted["findings"].to_string().contains("not listed in the MTA-STS policy"), "{unlisted:#}");

    let said = scene.relay.run(&["tls-test", "listed@misnamed.test"]);
    assert!(said.out.contains("critical  listed@misnamed.test, by route by-mx"), "{}", said.out);
    assert!(said.out.contains("does not name the host (other.test)"), "{}", said.out);
    let settings = said.out.lines().find(|line| line.starts_with("settings")).unwrap_or_default();
    assert!(settings.contains("revision 1, ") && settings.ends_with(" old"), "{}", said.out);
    let said = scene.relay.run(&["tls-test", "good.test", "--route", "nowhere"]);
    assert_eq!(said.status.code(), Some(3));
    assert!(said.err.contains("there is no route \"nowhere\""), "{}", said.err);
}
