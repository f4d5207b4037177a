//! R4 and R5: a certificate that no trusted authority has signed, that is out of date or names another host will do for TLS
//! alone; the CA option asks for chain and dates, the hostname option for the name, each without the other (parity point 3).

use sealwire_tests::certs::Authority;
use sealwire_tests::fake_peer::{FakePeer, Script, bad_certificates};
use sealwire_tests::nsd::Nsd;

use super::scene::{ALICE, Fate, given, setting};

/// The host whose certificate is asked for.
const HOST: &str = "mx.peers.test";

/// What a setting asks for, by the name of its list.
const OPTIONS: [(&str, &str); 4] = [
    ("tls", ""),
    ("ca", "require-ca-signed-certificate = true"),
    ("name", "validate-hostname = true"),
    ("both", "require-ca-signed-certificate = true\nvalidate-hostname = true"),
];

/// Certificate, and whether mail passes with TLS alone, with the CA option, with the hostname option, with both.
const TABLE: [(&str, [bool; 4]); 5] = [
    ("good", [true, true, true, true]),
    ("self-signed", [true, false, true, false]),
    ("expired", [true, false, true, false]),
    ("for another name", [true, true, false, false]),
    ("by an unknown authority", [true, false, true, false]),
];

#[test]
fn each_certificate_meets_what_it_meets_and_nothing_else() {
    let authority = Authority::new("Test Authority");
    let nsd = Nsd::start(&[("peers.test", "mx A 127.0.0.1")]);
    let mut scripts = bad_certificates(&authority, HOST);
    scripts.push(("good", Script::tls(&authority.leaf(&[HOST]))));
    let peers: Vec<(&str, FakePeer)> = scripts.into_iter().map(|(name, script)| (name, script.start())).collect();

    let domain = |option: &str, certificate: &str| format!("{option}-{}.test", certificate.replace(' ', "-"));
    let mut given = given().dns(nsd.address()).believing(authority);
    for (certificate, peer) in &peers {
        let domains = OPTIONS.map(|(option, _)| domain(option, certificate));
        let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
        given = given.named_host(&certificate.replace(' ', "-"), &domains, HOST, peer.address().port(), "");
    }
    for (option, lines) in OPTIONS {
        let domains = TABLE.map(|(certificate, _)| domain(option, certificate));
        let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
        given = given.settings(&setting(option, "outbound", &domains, lines));
    }
    let scene = given.start();

    let everybody: Vec<&FakePeer> = peers.iter().map(|(_, peer)| peer).collect();
    let cases: Vec<(String, bool)> = TABLE
        .iter()
        .flat_map(|(certificate, row)| {
            OPTIONS.iter().zip(row).map(move |((option, _), passes)| (domain(option, certificate), *passes))
        })
        .collect();
    for (domain, _) in &cases {
        scene.submit(ALICE, &[&format!("bob@{domain}")], domain);
    }
    for (domain, passes) in &cases {
        let fate = scene.fate(&everybody, &format!("bob@{domain}"));
        assert_eq!(fate.word(), if *passes { "by TLS" } else { "reported" }, "{domain}");
        if let Fate::Reported(report) = fate {
            report.assert_says("Status: 5.7.5");
        }
    }
    everybody.iter().for_each(|peer| peer.assert_no_mail_in_clear());

    let why = |domain: &str, sentence: &str| scene.report(&format!("bob@{domain}")).assert_says(sentence);
    why("ca-self-signed.test", "but its certificate is not signed by a trusted authority (CA)");
    why("ca-expired.test", "certificate-expired");
    why("ca-expired.test", "Rule R4: The receiving mail server must present a certificate signed by a trusted");
    why("name-for-another-name.test", "but its certificate names another server");
    why("name-for-another-name.test", "naming elsewhere.test and not the host");
    why("name-for-another-name.test", "Rule R5: The receiving mail server must present a certificate that carries its");
    scene.until_queue_is_empty();
}

/// Demands join: of two settings with a list each, and of two settings with one list. The least that either asks is not enough.
#[test]
fn what_several_settings_ask_of_one_recipient_is_asked_together() {
    let authority = Authority::new("Test Authority");
    let mut scripts = bad_certificates(&authority, "127.0.0.1");
    scripts.push(("good", Script::tls(&authority.leaf(&["127.0.0.1"]))));
    let peers: Vec<(&str, FakePeer)> = scripts.into_iter().map(|(name, script)| (name, script.start())).collect();
    let (ca, name) = (OPTIONS[1].1, OPTIONS[2].1);

    let domain = |way: &str, certificate: &str| format!("{way}-{}.test", certificate.replace(' ', "-"));
    let all = |way: &str| peers.iter().map(|(certificate, _)| domain(way, certificate)).collect::<Vec<_>>();
    let mut given = given().believing(authority);
    for (certificate, peer) in &peers {
        let domains = ["two-lists", "one-list"].map(|way| domain(way, certificate));
        given =
            given.route(&certificate.replace(' ', "-"), &domains.each_ref().map(String::as_str), peer.address(), "");
    }
    let (two_lists, one_list) = (all("two-lists"), all("one-list"));
    let (two_lists, one_list): (Vec<&str>, Vec<&str>) =
        (two_lists.iter().map(String::as_str).collect(), one_list.iter().map(String::as_str).collect());
    let again = format!(
        "{ca}\n[[policy.secure-transport.settings]]\ndescription = \"again\"\nscopes = [\"outbound\"]\n\
         lists = [\"shared\"]\n{name}"
    );
    let scene = given
        .settings(&setting("signed", "outbound", &two_lists, ca))
        .settings(&setting("named", "outbound", &two_lists, name))
        .settings(&setting("shared", "outbound", &one_list, &again))
        .start();

    let everybody: Vec<&FakePeer> = peers.iter().map(|(_, peer)| peer).collect();
    for (certificate, _) in &peers {
        for way in ["two-lists", "one-list"] {
            let recipient = format!("bob@{}", domain(way, certificate));
            scene.submit(ALICE, &[&recipient], &recipient);
            let expected = if *certificate == "good" { "by TLS" } else { "reported" };
            assert_eq!(scene.fate(&everybody, &recipient).word(), expected, "{recipient}");
            let floor = scene.rounds(&recipient, 1)[0]["floor"].to_string();
            for demand in ["trusted-chain", "matching-name"] {
                assert!(floor.contains(demand), "{recipient}: {demand} is not in {floor}");
            }
        }
    }
    everybody.iter().for_each(|peer| peer.assert_no_mail_in_clear());
}

/// R4's neighbour: the minimum version of a setting.
#[test]
fn a_version_below_the_minimum_will_not_do() {
    use rustls::version::{TLS12, TLS13};
    let leaf = sealwire_tests::certs::self_signed(&["127.0.0.1"]);
    let old = Script::tls_versions(&leaf, &[&TLS12]).start();
    let new = Script::tls_versions(&leaf, &[&TLS13]).start();
    let scene = given()
        .route("old", &["old.test", "old-12.test"], old.address(), "")
        .route("new", &["new.test"], new.address(), "")
        .settings(&setting("modern", "outbound", &["old.test", "new.test"], "minimum-tls-version = \"1.3\""))
        .settings(&setting("elder", "outbound", &["old-12.test"], "minimum-tls-version = \"1.2\""))
        .start();
    let rows = [("bob@old.test", "reported"), ("bob@old-12.test", "by TLS"), ("bob@new.test", "by TLS")];
    for (recipient, _) in rows {
        scene.submit(ALICE, &[recipient], recipient);
    }
    for (recipient, expected) in rows {
        assert_eq!(scene.fate(&[&old, &new], recipient).word(), expected, "{recipient}");
    }
    scene.report("bob@old.test").assert_says("Enable TLS 1.3 on");
}
