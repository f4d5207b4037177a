//! R7: where the required protection cannot be had, the message takes the alternate secure route, which must give it, and
//! comes back only if that fails too (parity point 8).

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::{FakePeer, Script, bad_certificates};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::place;
use sealwire_tests::signed::{Signing, Zone};
use sealwire_tests::unbound::Unbound;
use sha2::{Digest, Sha256};

use super::scene::{ALICE, given, setting};

const ALTERNATE: &str = "tls = \"required\"\nalternate-secure = true";
const VERIFIED: &str = "require-ca-signed-certificate = true\nvalidate-hostname = true\nalternate-secure = true";
const HOST: &str = "127.0.0.1";

#[test]
fn the_message_takes_the_alternate_route_and_comes_back_only_if_that_fails_too() {
    let authority = Authority::new("Test Authority");
    let ordinary = Script::clear().start();
    let mut vaults = bad_certificates(&authority, HOST);
    vaults.push(("good", Script::tls(&authority.leaf(&[HOST]))));
    vaults.push(("no TLS", Script::clear()));
    let vaults: Vec<(&str, FakePeer)> = vaults.into_iter().map(|(name, script)| (name, script.start())).collect();

    // Each vault is the alternate route of two settings: one of a route that wants TLS, one of a route that verifies.
    let mut given = given().believing(authority);
    let mut cases = Vec::new();
    for (number, (name, vault)) in vaults.iter().enumerate() {
        for (kind, demands) in [("plain", ALTERNATE), ("verified", VERIFIED)] {
            let (route, domain) = (format!("{kind}-vault-{number}"), format!("{kind}-{number}.test"));
            given = given
                .route(&route, &[], vault.address(), demands)
                .route(&format!("{kind}-{number}"), &[&domain], ordinary.address(), "")
                .settings(&setting(
                    &format!("{kind}-{number}"),
                    "outbound",
                    &[&domain],
                    &format!("alternate-secure-route = \"{route}\""),
                ));
            let passes = *name == "good" || (kind == "plain" && *name != "no TLS");
            cases.push((*name, kind, format!("bob@{domain}"), vault, passes));
        }
    }
    let scene = given.start();
    for (name, kind, recipient, ..) in &cases {
        scene.submit(ALICE, &[recipient], &format!("{kind} {name}"));
    }
    for (name, kind, recipient, vault, passes) in &cases {
        let expected = if *passes { "by TLS" } else { "reported" };
        assert_eq!(scene.fate(&[&ordinary, vault], recipient).word(), expected, "{kind} {name}");
        vault.assert_no_mail_in_clear();
        if !passes {
            scene.report(recipient).assert_says("the message took the alternate route");
        }
    }
    ordinary.assert_no_mail_in_clear();
    assert_eq!(ordinary.sessions().len(), cases.len(), "the ordinary way is tried once for each");
    scene.until_queue_is_empty();
}

/// Chosen for all who are not listed, the route is taken at once, and never left for clear text.
#[test]
fn mail_to_who_is_not_listed_takes_the_alternate_route() {
    let authority = Authority::new("Test Authority");
    let (ordinary, named) = (Script::tls(&authority.leaf(&[HOST])).start(), Script::clear().start());
    let vault = Script::tls(&authority.leaf(&[HOST])).start();
    let listed = setting("partners", "outbound", &["partner.test"], "");
    let chosen = "[policy.secure-transport]\nalternate-secure-route-for-unlisted = \"vault\"\n";
    let scene = given()
        .believing(authority)
        .route("ordinary", &["partner.test"], ordinary.address(), "")
        .route("named", &["named.test"], named.address(), "")
        .route("vault", &[], vault.address(), VERIFIED)
        .settings(&format!("{chosen}{listed}"))
        .start();
    let rows = [
        ("bob@partner.test", &ordinary, "by TLS"),
        ("bob@named.test", &named, "in clear"),
        ("bob@anywhere.test", &vault, "by TLS"),
        ("bob@else.where.test", &vault, "by TLS"),
    ];
    for (recipient, peer, expected) in rows {
        scene.submit(ALICE, &[recipient], recipient);
        assert_eq!(scene.fate(&[peer], recipient).word(), expected, "{recipient}");
    }
    assert_eq!(vault.messages().len(), 2);
    let round = scene.rounds("bob@anywhere.test", 1)[0].to_string();
    assert!(round.contains("that are on no list takes the alternate secure route"), "{round}");
    // Nothing else will do once the route gives no TLS: the mail waits for it.
    vault.become_(Script::clear());
    // Connections that wait are of the generation before.
    assert!(scene.relay.run(&["reload"]).status.success());
    scene.submit(ALICE, &["carol@anywhere.test"], "waits");
    let round = scene.rounds("carol@anywhere.test", 1)[0].to_string();
    assert!(round.contains("again at"), "{round}");
    assert_eq!(scene.queued_for("carol@anywhere.test"), 1);
    vault.assert_no_mail_in_clear();
}

#[test]
fn a_route_that_works_is_never_left_for_the_alternate_one() {
    let authority = Authority::new("Test Authority");
    let (ordinary, vault) =
        (Script::tls(&authority.leaf(&[HOST])).start(), Script::tls(&authority.leaf(&[HOST])).start());
    let scene = given()
        .believing(authority)
        .route("ordinary", &["partner.test"], ordinary.address(), "")
        .route("vault", &[], vault.address(), ALTERNATE)
        .settings(&setting("partners", "outbound", &["partner.test"], "alternate-secure-route = \"vault\""))
        .start();
    scene.submit(ALICE, &["bob@partner.test"], "the ordinary way");
    assert_eq!(scene.fate(&[&ordinary], "bob@partner.test").word(), "by TLS");
    scene.until_queue_is_empty();
    assert!(vault.sessions().is_empty());
}

/// Not the ordinary host's TLS but the host itself is missing: that says nothing about TLS, and the mail waits (H9).
#[test]
fn a_host_that_is_away_is_no_reason_for_the_alternate_route() {
    let authority = Authority::new("Test Authority");
    let vault = Script::tls(&authority.leaf(&[HOST])).start();
    let scene = given()
        .believing(authority)
        .route("ordinary", &["partner.test"], place::free_address(), "")
        .route("vault", &[], vault.address(), ALTERNATE)
        .settings(&setting("partners", "outbound", &["partner.test"], "alternate-secure-route = \"vault\""))
        .start();
    scene.submit(ALICE, &["bob@partner.test"], "nobody at home");
    let rounds = scene.rounds("bob@partner.test", 1);
    assert_eq!(rounds[0]["result"]["outcome"], "inconclusive", "{rounds:#?}");
    assert_eq!(scene.queue().len(), 1);
    assert!(vault.sessions().is_empty());
}

#[test]
fn a_route_that_does_not_demand_tls_is_no_alternate_secure_route() {
    let peer = Script::clear().start();
    let scene = given().route("open", &["open.test"], peer.address(), "").start();
    for route in ["open", "nowhere"] {
        let more = format!("alternate-secure-route = \"{route}\"");
        let said = scene.apply(&setting("partners", "outbound", &["partner.test"], &more));
        assert!(!said.status.success());
        assert!(said.err.contains("alternate-secure-route"), "{}", said.err);
    }
    assert_eq!(scene.generation(), 1);
}

/// A fallback's host demands what its TLSA records say, as any host does (RFC 7672): met, the message goes; unmet, it waits.
#[test]
fn the_alternate_routes_host_has_tlsa_records_of_its_own() {
    let (own, other) = (certs::self_signed(&["elsewhere.test"]), certs::self_signed(&["elsewhere.test"]));
    let key = |leaf: &certs::Leaf| {
        Sha256::digest(leaf.public_key()).iter().map(|octet| format!("{octet:02x}")).collect::<String>()
    };
    let ordinary = Script::clear().start();
    let right = Script::tls(&own).start();
    let wrong = Script::tls(&own).start();
    let host = |name: &str, peer: &FakePeer, leaf: &certs::Leaf| {
        format!("{name} A 127.0.0.1\n_{}._tcp.{name} TLSA 3 1 1 {}\n", peer.address().port(), key(leaf))
    };
    let records = host("right", &right, &own) + &host("wrong", &wrong, &other);
    let nsd = Nsd::start_signed(&[Zone { name: "vault.test", records: &records, signing: Signing::Sound }]);
    let resolver = Unbound::start(&nsd);
    let mut given = given().dns(resolver.address());
    for (name, vault) in [("right", &right), ("wrong", &wrong)] {
        let (domain, host) = (format!("{name}.test"), format!("{name}.vault.test"));
        given = given
            .named_host(&format!("{name}-vault"), &[], &host, vault.address().port(), ALTERNATE)
            .route(name, &[&domain], ordinary.address(), "")
            .settings(&setting(name, "outbound", &[&domain], &format!("alternate-secure-route = \"{name}-vault\"")));
    }
    let scene = given.start();
    scene.submit(ALICE, &["bob@right.test"], "right");
    scene.submit(ALICE, &["bob@wrong.test"], "wrong");
    assert_eq!(scene.fate(&[&ordinary, &right], "bob@right.test").word(), "by TLS");
    let rounds = scene.rounds("bob@wrong.test", 2);
    let by_vault = rounds.iter().find(|round| round["route"] == "wrong-vault").expect("a round by the fallback");
    assert!(by_vault["result"].to_string().contains("\"dane\""), "{by_vault:#}");
    assert!(by_vault["settlement"].as_str().is_some_and(|text| text.contains("again") || text.contains("by route")));
    assert_eq!(scene.queued_for("bob@wrong.test"), 1, "it is looked up again");
    assert!(wrong.messages().is_empty() && scene.report_now("bob@wrong.test").is_none());
    ordinary.assert_no_mail_in_clear();
}
