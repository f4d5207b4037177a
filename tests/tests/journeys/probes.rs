//! Listed domains are tested ahead of mail: the operator hears of it before anything comes back.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::Script;
use sealwire_tests::nsd::Nsd;
use sealwire_tests::web::{Response, Site, Web};
use sealwire_tests::{place, wait};

use super::scene::{Scene, given, setting};

#[track_caller]
fn until_alert(scene: &Scene, words: &str) -> String {
    wait::until(wait::PATIENCE, &format!("an alert that says {words}"), || {
        let alerts = scene.log(&["--event", "alert"]).into_iter();
        let mut texts = alerts.filter_map(|alert| alert["text"].as_str().map(str::to_owned));
        texts.find(|text| text.contains(words))
    })
}

#[test]
fn a_partner_whose_tls_will_not_do_is_told_of_before_mail_comes_back() {
    let authority = Authority::new("Test Authority");
    let good = Script::tls(&authority.leaf(&["127.0.0.1"]));
    let now = SystemTime::now();
    let soon =
        authority.leaf_valid(&["127.0.0.1"], now - Duration::from_secs(86_400), now + Duration::from_secs(5 * 86_400));
    let well = good.start();
    let partner = Script::tls(&soon).start();
    let scene = given()
        .route("partner", &["partner.test"], partner.address(), "")
        .route("well", &["well.test"], well.address(), "")
        .believing(authority)
        .config("[probes]\nlists = [\"partners\"]\nevery = \"2s\"\n")
        .settings(&setting(
            "partners",
            "outbound",
            &["partner.test", "bob@well.test", "*.wild.test"],
            "require-ca-signed-certificate = true",
        ))
        .start();
    let alert = until_alert(&scene, "the probe of partner.test says warning");
    assert!(alert.contains("ends"), "{alert}");
    partner.become_(Script::clear());
    let alert = until_alert(&scene, "the probe of partner.test says critical");
    assert!(alert.contains("mail does not leave"), "{alert}");
    let status = scene.relay.json(&["status"]);
    assert_eq!(
        (status["probes"]["probed"].as_u64(), status["probes"]["well"].as_u64()),
        (Some(2), Some(1)),
        "{status:#}"
    );
    let shown = scene.relay.run(&["status"]).out;
    assert!(shown.contains("1 of 2 domains well") && shown.contains("probe of partner.test: critical"), "{shown}");
    // Nothing was sent, and none of it is mail.
    assert!(partner.messages().is_empty() && well.messages().is_empty() && scene.queue().is_empty());
}

/// What is demanded of mail to a listed address is not what is demanded of mail to its postmaster.
#[test]
fn a_listed_address_is_asked_for_what_it_is_held_to() {
    let own = Script::tls(&certs::self_signed(&["127.0.0.1"])).start();
    let (strict, lax) = ("require-ca-signed-certificate = true", "");
    let scene = given()
        .route("own", &["x.test", "y.test", "z.test"], own.address(), "")
        .config("[probes]\nlists = [\"strict\", \"lax\"]\nevery = \"2s\"\n")
        .settings(&setting("strict", "outbound", &["bob@x.test", "bob@z.test"], strict))
        .settings(&setting("lax", "outbound", &["ann@x.test", "ann@y.test", "z.test", "eve@z.test"], lax))
        .start();
    let alert = until_alert(&scene, "the probe of x.test says critical");
    assert!(alert.contains("mail to bob@x.test: no host gives what is demanded now: mail does not leave"), "{alert}");
    let alert = until_alert(&scene, "the probe of z.test says critical");
    assert!(alert.contains("mail to bob@z.test: ") && !alert.contains("eve@z.test"), "{alert}");
    let status = scene.relay.json(&["status"]);
    assert!(status["probes"]["addresses-left-out"] == 0, "{status:#}");
    wait::until(wait::PATIENCE, "three probed domains", || {
        let status = scene.relay.json(&["status"]);
        (status["probes"]["probed"] == 3 && status["probes"]["well"] == 1).then_some(())
    });
}

/// RFC 8461 section 4.1: a policy that lists another host is heard of before mail waits for it.
#[test]
fn a_policy_that_lists_another_host_is_told_of() {
    let authority = Authority::new("The web's");
    let port = place::free_address().port();
    let at = SocketAddr::from(([127, 0, 9, 31], port));
    let peer = Script::tls(&authority.leaf(&["mx.moving.test"])).start_at(at);
    let zone =
        |id: u32| format!("@ MX 10 mx\nmx A 127.0.9.31\nmta-sts A 127.0.0.1\n_mta-sts TXT \"v=STSv1; id={id};\"\n");
    let mut nsd = Nsd::start(&[("moving.test", &zone(1))]);
    let site = |mx: &str| {
        let name = "mta-sts.moving.test";
        let policy = format!("version: STSv1\nmode: enforce\nmx: {mx}\nmax_age: 86400\n");
        Site::new(name, &authority.leaf(&[name])).policy(Response::Text(policy))
    };
    let mut web = Web::start(vec![site("mx.moving.test")]);
    let mut scene = given()
        .believing(Authority::new("nobody's").beside(&authority))
        .dns(nsd.address())
        .mx(port)
        .sts(web.port())
        .config("[probes]\nlists = [\"partners\"]\nevery = \"2s\"\n")
        .settings(&setting("partners", "outbound", &["moving.test"], ""))
        .start();
    wait::until(wait::PATIENCE, "a probe that finds nothing wrong", || {
        (scene.relay.json(&["status"])["probes"]["well"] == 1).then_some(())
    });
    web.set(site("mx.elsewhere.test"));
    nsd.set("moving.test", &zone(2));
    // The record is looked up once a minute; after a start at once.
    scene.relay.stop();
    scene.relay.start();
    let alert = until_alert(&scene, "mx.moving.test is not listed in the MTA-STS policy");
    assert!(alert.contains("the probe of moving.test says critical"), "{alert}");
    assert!(peer.messages().is_empty());
}
