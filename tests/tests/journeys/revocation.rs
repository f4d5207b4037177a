//! Certificates that their issuer has withdrawn: where a setting asks for its word, a list (CRL) or a response that the host
//! staples (OCSP) must give it (RFC 9325 section 7.5). Nobody's word is not enough, and an old list of ours is no fault of the host.

use std::time::{Duration, SystemTime};

use sealwire_tests::certs::Authority;
use sealwire_tests::fake_peer::{FakePeer, Script};
use sealwire_tests::{openssl, place, wait};

use super::scene::{ALICE, given, setting};

const HOST: &str = "127.0.0.1";
const STRICT: &str = "require-ca-signed-certificate = true\nrequire-revocation-check = true";
const DAY: Duration = Duration::from_secs(86_400);

/// Host, what becomes of mail where the setting asks, and where nobody does.
const TABLE: [(&str, &str, &str); 6] = [
    ("listed", "reported", "by TLS"),
    ("unlisted", "by TLS", "by TLS"),
    ("stapling-good", "by TLS", "by TLS"),
    ("stapling-withdrawn", "reported", "by TLS"),
    ("listed-stapling-good", "reported", "by TLS"),
    ("silent", "reported", "by TLS"),
];

#[test]
fn an_issuers_word_counts_where_a_setting_asks_for_it() {
    let authority = Authority::new("Test Authority");
    let leaf = || authority.leaf(&[HOST]);
    let (listed, unlisted, both) = (leaf(), leaf(), leaf());
    let (good, withdrawn) = (leaf(), leaf());
    let stapling = |leaf, is_withdrawn| Script::stapling(leaf, openssl::ocsp_response(&authority, leaf, is_withdrawn));
    let peers: Vec<FakePeer> = [
        Script::tls(&listed),
        Script::tls(&unlisted),
        stapling(&good, false),
        stapling(&withdrawn, true),
        stapling(&both, false),
        Script::tls(&leaf()),
    ]
    .into_iter()
    .map(Script::start)
    .collect();
    let (folder, now) = (place::folder(), SystemTime::now());
    let list = folder.path().join("list.pem");
    place::write(&list, authority.list_of_withdrawn(&[&listed, &both], now - DAY, now + 30 * DAY));

    let mut given = given();
    for ((name, ..), peer) in TABLE.iter().zip(&peers) {
        let crl = format!("crl = \"{}\"", list.display());
        let more = if name.contains("listed") { crl.as_str() } else { "" };
        given = given.route(name, &[&format!("{name}.test"), &format!("open-{name}.test")], peer.address(), more);
    }
    let domains = TABLE.map(|(name, ..)| format!("{name}.test"));
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let scene = given.believing(authority).settings(&setting("strict", "outbound", &domains, STRICT)).start();

    let everybody: Vec<&FakePeer> = peers.iter().collect();
    for (name, asked, unasked) in TABLE {
        for (recipient, expected) in [(format!("bob@{name}.test"), asked), (format!("bob@open-{name}.test"), unasked)] {
            scene.submit(ALICE, &[&recipient], name);
            assert_eq!(scene.fate(&everybody, &recipient).word(), expected, "{recipient}");
        }
    }
    for name in ["listed", "stapling-withdrawn", "listed-stapling-good"] {
        let report = scene.report(&format!("bob@{name}.test"));
        report.assert_says("its certificate was withdrawn by its issuer");
        assert!(!report.says("is not signed by a trusted authority"), "{}", report.data);
    }
    let report = scene.report("bob@silent.test");
    report.assert_says("it could not be shown that its certificate was not withdrawn");
    report.assert_says("OCSP stapling");
    for (name, expected) in [("listed", "revoked"), ("stapling-good", "good"), ("silent", "unknown")] {
        let test = scene.relay.run(&["--json", "tls-test", &format!("{name}.test")]);
        let expected = format!("\"revocation\":\"{expected}\"");
        assert!(test.out.replace(": ", ":").contains(&expected), "{name}: {}", test.out);
    }
    scene.until_queue_is_empty();
}

#[test]
fn a_list_of_ours_that_is_out_of_date_defers() {
    let authority = Authority::new("Test Authority");
    let leaf = authority.leaf(&[HOST]);
    let peer = Script::tls(&leaf).start();
    let (folder, now) = (place::folder(), SystemTime::now());
    let list = folder.path().join("list.pem");
    place::write(&list, authority.list_of_withdrawn(&[], now - 30 * DAY, now - DAY));
    let renewed = authority.list_of_withdrawn(&[], now - DAY, now + 30 * DAY);
    let more = format!("{}\ncrl = \"{}\"", STRICT, list.display());
    let scene = given().believing(authority).route("partner", &["partner.test"], peer.address(), &more).start();
    scene.submit(ALICE, &["bob@partner.test"], "words");
    let round = scene.rounds("bob@partner.test", 1)[0].to_string();
    assert!(round.contains("\"outcome\":\"inconclusive\"") && round.contains("is out of date here"), "{round}");
    assert_eq!(scene.queued_for("bob@partner.test"), 1, "it waits");
    let status = wait::until(wait::PATIENCE, "an alert", || {
        let status = scene.relay.json(&["status"]);
        status["alerts"].to_string().contains("bring the file up to date and reload").then_some(status)
    });
    assert!(status["revocation-lists"].to_string().contains("is out of date since"), "{status:#}");
    assert!(peer.messages().is_empty() && scene.home.messages().is_empty());

    place::write(&list, renewed);
    let reloaded = scene.relay.run(&["reload"]);
    assert!(reloaded.status.success(), "{}", reloaded.err);
    scene.relay.run(&["queue", "retry", "--all"]);
    assert_eq!(scene.fate(&[&peer], "bob@partner.test").word(), "by TLS");
    scene.until_queue_is_empty();
    assert_eq!(scene.relay.json(&["status"])["revocation-lists"].to_string(), "[]");
}
