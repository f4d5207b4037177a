//! A destination that had TLS with a good certificate and lost it is told of, for mail that demands nothing too, over restarts.

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::Script;
use serde_json::Value;

use super::scene::{ALICE, Scene, given};

/// One message, and what the operator is told of its destination afterwards: (host, gave, gives).
#[track_caller]
fn after_a_message(scene: &Scene, number: u32) -> Vec<(String, String, String)> {
    scene.submit(ALICE, &[&format!("bob{number}@partner.test")], "hello");
    scene.until_queue_is_empty();
    let Value::Array(list) = scene.relay.json(&["downgrades", "list"]) else { panic!("no list") };
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    list.iter().map(|row| (text(row, "host"), text(row, "gave"), text(row, "gives"))).collect()
}

/// The relay stops and starts: no connection is warm then.
fn again(scene: &mut Scene) {
    scene.relay.stop();
    scene.relay.start();
}

fn alerts(scene: &Scene) -> Vec<String> {
    let alerts = scene.log(&["--event", "alert"]).into_iter();
    alerts.filter_map(|alert| alert["text"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_destination_that_loses_its_protection_is_told_of() {
    let authority = Authority::new("Test Authority");
    let good = Script::tls(&authority.leaf(&["127.0.0.1"]));
    let own = Script::tls(&certs::self_signed(&["127.0.0.1"]));
    let peer = good.clone().start();
    let mut scene = given().route("partner", &["partner.test"], peer.address(), "").believing(authority).start();
    let host = "127.0.0.1".to_owned();
    let row = |gives: &str| vec![(host.clone(), "verified".to_owned(), gives.to_owned())];
    assert_eq!(after_a_message(&scene, 1), []);

    // Each new connection is looked at; over the restart it is remembered.
    again(&mut scene);
    peer.become_(own);
    assert_eq!(after_a_message(&scene, 2), row("tls"));
    again(&mut scene);
    peer.become_(Script::clear());
    assert_eq!(after_a_message(&scene, 3), row("clear"));
    let told = alerts(&scene);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(
        told[1].contains("route partner has lost protection: 127.0.0.1 gives no TLS; it gave TLS with a good"),
        "{told:#?}"
    );
    let shown = scene.relay.run(&["status"]).out;
    assert!(shown.contains("lost protection: route partner at 127.0.0.1"), "{shown}");

    // Mail went all the same: nothing here demands TLS.
    assert_eq!(peer.messages().len(), 3);

    // Accepted, clear text is what is expected; more than that is always welcome.
    let said = scene.relay.run(&["downgrades", "accept", "route partner"]);
    assert!(said.status.success() && said.out.contains("no TLS is expected of 127.0.0.1"), "{said:?}");
    assert!(!scene.relay.run(&["downgrades", "accept", "route partner"]).status.success(), "there is nothing more");
    again(&mut scene);
    assert_eq!(after_a_message(&scene, 4), []);
    again(&mut scene);
    peer.become_(good);
    assert_eq!(after_a_message(&scene, 5), []);
    assert_eq!(alerts(&scene).len(), 2);
}
