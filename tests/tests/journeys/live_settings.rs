//! A change counts for every decision after it, with mail flowing; one that is wrong is refused with its reasons and changes
//! nothing (parity point 10). And the counters by which an operator sees what was protected (point 12).

use sealwire_tests::certs;
use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::Script;
use sealwire_tests::{guests, place, wait};

use super::scene::{ALICE, given, message, setting};

const CAROL: &str = "carol@partner.test";

#[test]
fn a_new_setting_and_an_edited_list_count_at_once() {
    let peer = Script::clear().start();
    let scene = given().route("all", &["partner.test", "ours.test"], peer.address(), "").start();
    let mut open_session = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    let mut send =
        |words: &str| open_session.submit(CAROL, &["bob@ours.test"], &message(CAROL, words)).expect("a reply");

    let reply = send("no settings yet");
    assert!(reply.starts_with("250"), "{reply}");
    scene.submit(ALICE, &["one@partner.test"], "no settings yet");
    assert_eq!(scene.fate(&[&peer], "one@partner.test").word(), "in clear");

    let steps = [
        ("a new setting", setting("partners", "inbound outbound", &["partner.test"], ""), true),
        ("the list without it", setting("partners", "inbound outbound", &["another.test"], ""), false),
        ("the list with it", setting("partners", "inbound outbound", &["another.test", "partner.test"], ""), true),
        ("disabled", setting("partners", "inbound outbound", &["partner.test"], "enabled = false"), false),
    ];
    for (number, (what, settings, listed)) in steps.into_iter().enumerate() {
        let said = scene.apply(&settings);
        assert!(said.status.success(), "{what}: {}", said.err);
        // The session was opened before all of them.
        let reply = send(what);
        assert_eq!(reply.starts_with("550 5.7.10"), listed, "{what}: {reply}");
        let recipient = format!("step{number}@partner.test");
        scene.submit(ALICE, &[&recipient], what);
        let expected = if listed { "reported" } else { "in clear" };
        assert_eq!(scene.fate(&[&peer], &recipient).word(), expected, "{what}");
    }
    assert_eq!(scene.generation(), 5);
}

/// Who may write where a component lies changes no policy: it is read with the configuration, and an audit entry says which.
#[test]
fn an_edit_of_the_settings_reads_no_component_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("policy.wasm");
    let install = |component: &std::path::Path| std::fs::copy(component, &file).expect("copied");
    install(guests::steer_by_subject());
    let peer = Script::clear().start();
    let scene = given()
        .builtin()
        .policy("vendor", &file.display().to_string())
        .route("ours", &["ours.test"], peer.address(), "")
        .start();
    scene.swaks(CAROL, "bob@ours.test", &[]).assert_accepted();
    install(guests::refuse_everything());
    assert!(scene.apply(&setting("partners", "outbound", &["partner.test"], "")).status.success());
    scene.swaks(CAROL, "bob@ours.test", &[]).assert_accepted();
    assert!(scene.relay.run(&["reload"]).status.success());
    scene.swaks(CAROL, "bob@ours.test", &[]).reply("550 5.7.1");
    let entries = scene.relay.json(&["audit", "list", "--action", "reload"]);
    let of = |when: &str| entries[0]["record"][when]["components-sha-256"]["vendor"].as_str().map(str::to_owned);
    assert!(of("before").is_some() && of("after").is_some() && of("before") != of("after"), "{entries:#}");
}

/// Mail that waits is judged by the settings of its next round.
#[test]
fn mail_that_waits_is_planned_by_the_settings_of_the_day() {
    use sealwire_tests::fake_peer::reply;
    let peer = Script::clear().answer("MAIL", reply("450 4.2.0 later")).start();
    let scene = given().route("partner", &["partner.test"], peer.address(), "").start();
    scene.submit(ALICE, &[CAROL], "not listed yet");
    scene.rounds(CAROL, 1);
    assert!(scene.apply(&setting("partners", "outbound", &["partner.test"], "")).status.success());
    peer.become_(Script::clear());
    assert!(scene.relay.run(&["queue", "retry", "--all"]).status.success());
    assert_eq!(scene.fate(&[&peer], CAROL).word(), "reported");
    assert!(peer.messages().is_empty());
}

#[test]
fn wrong_settings_are_refused_with_their_reasons_and_change_nothing() {
    let peer = Script::clear().start();
    let good = setting("partners", "inbound", &["partner.test"], "");
    let scene = given().route("ours", &["ours.test"], peer.address(), "").settings(&good).start();
    let before = scene.generation();
    let rows = [
        ("not TOML", "[lists".to_owned(), vec!["settings.toml:1"]),
        ("an unknown scope", good.replace("inbound", "sideways"), vec!["settings.toml:5", "scopes", "sideways"]),
        ("no list (R10)", good.replace("[\"partners\"]\n", "[]\n"), vec!["settings.toml:6", "lists"]),
        ("a list that is not there", good.replace("[\"partners\"]", "[\"gone\"]"), vec!["lists[1]", "gone"]),
        ("an unknown key", format!("{good}requires-tls = true\n"), vec!["requires-tls", "unknown"]),
        ("an entry that is no address", good.replace("partner.test", "@@"), vec!["settings.toml:2", "lists.partners"]),
        ("an unknown policy", format!("{good}[policy.greylist]\n"), vec!["policy.greylist", "secure-transport"]),
        (
            "two at once",
            good.replace("inbound", "sideways").replace("partner.test", "@@"),
            vec!["settings.toml:2", "lists.partners"],
        ),
    ];
    for (what, settings, expected) in rows {
        let said = scene.apply(&settings);
        assert!(!said.status.success(), "{what}");
        for words in expected {
            assert!(said.err.contains(words), "{what}: no `{words}` in:\n{}", said.err);
        }
        assert_eq!(scene.generation(), before, "{what}");
    }
    let reply = scene.offer(CAROL, &["bob@ours.test"], &message(CAROL, "still listed"));
    assert!(reply.starts_with("550 5.7.10"), "{reply}");
    scene.submit(ALICE, &["bob@ours.test"], "still not listed");
}

#[test]
fn a_bad_configuration_is_refused_on_reload_and_the_old_one_stays() {
    let peer = Script::clear().start();
    let good = setting("partners", "inbound", &["partner.test"], "");
    let mut scene = given().route("ours", &["ours.test"], peer.address(), "").settings(&good).start();
    let before = scene.generation();
    let garbage = scene.relay.ground().path("garbage.wasm");
    place::write(&garbage, "not a component");

    let rows = [(garbage.display().to_string(), "not a WebAssembly component"), ("absent.wasm".into(), "absent.wasm")];
    for (component, words) in rows {
        scene.configure_chain(&[("secure-transport", &component)]);
        let said = scene.relay.run(&["reload"]);
        assert!(!said.status.success());
        assert!(said.err.contains("policy[1].component") && said.err.contains(words), "{}", said.err);
        assert_eq!(scene.generation(), before);
    }
    // The same by signal: what it says is in the log.
    let logged = scene.relay.log().len();
    scene.relay.reload();
    wait::until(wait::PATIENCE, "the refusal in the log", || {
        scene.relay.log()[logged..].contains("absent.wasm").then_some(())
    });
    assert_eq!(scene.generation(), before);
    let reply = scene.offer(CAROL, &["bob@ours.test"], &message(CAROL, "still listed"));
    assert!(reply.starts_with("550 5.7.10"), "{reply}");
    scene.submit(ALICE, &["bob@ours.test"], "still not listed");

    // A good one is taken, by signal too.
    scene.configure_chain(&[]);
    scene.relay.reload();
    wait::until(wait::PATIENCE, "a new generation", || (scene.generation() > before).then_some(()));
}

#[test]
fn counters_tell_what_was_protected_and_what_could_not_be() {
    let (clear, secured) = (Script::clear().start(), Script::tls(&certs::self_signed(&["127.0.0.1"])).start());
    let scene = given()
        .route("clear", &["clear.test", "partner.test"], clear.address(), "")
        .route("secured", &["secured.test"], secured.address(), "")
        .settings(&setting("partners", "inbound outbound", &["partner.test"], ""))
        .start();
    scene.submit(ALICE, &["bob@clear.test"], "clear in, clear out");
    scene.submit(ALICE, &["bob@secured.test"], "clear in, TLS out");
    scene.swaks("x@y.test", "eve@secured.test", &["--tls"]).assert_accepted();
    assert!(!scene.swaks(CAROL, "eve@secured.test", &[]).accepted());
    scene.submit(ALICE, &[CAROL], "TLS required, but unavailable");
    for recipient in ["bob@clear.test", "bob@secured.test", "eve@secured.test", CAROL] {
        scene.fate(&[&clear, &secured], recipient);
    }
    scene.until_queue_is_empty();
    let expected = [
        ("received-clear", 3),
        ("received-tls", 1),
        ("refused", 1),
        ("deferred", 0),
        ("delivered-clear", 1),
        // The report goes home by TLS.
        ("delivered-tls", 3),
        ("tls-required-but-unavailable", 1),
        ("reported", 1),
        ("failed-decisions", 0),
    ];
    for (name, count) in expected {
        assert_eq!(scene.total(name), count, "{name}");
    }
    let by_domain = [
        ("inbound", "sender.test", "received-clear", 3),
        ("inbound", "y.test", "received-tls", 1),
        ("inbound", "partner.test", "refused", 1),
        ("inbound", "partner.test", "tls-required-but-unavailable", 1),
        ("outbound", "clear.test", "delivered-clear", 1),
        ("outbound", "secured.test", "delivered-tls", 2),
        ("outbound", "partner.test", "tls-required-but-unavailable", 1),
    ];
    let domains = scene.relay.json(&["status"])["totals"]["domains"].clone();
    for (direction, domain, name, count) in by_domain {
        assert_eq!(domains[direction][domain][name], count, "{direction} {domain} {name}: {domains:#}");
    }
    let said = scene.relay.run(&["status"]);
    assert!(said.out.contains("partner.test (1 in, 1 out)"), "{}", said.out);
    let metrics = scene.metrics();
    let lines = [
        "sealwire_arrivals_total{channel=\"clear\",answer=\"accepted\"} 3",
        "sealwire_arrivals_total{channel=\"tls\",answer=\"accepted\"} 1",
        "sealwire_arrivals_total{channel=\"clear\",answer=\"refused\"} 1",
        "sealwire_delivered_total{channel=\"clear\"} 1",
        "sealwire_delivered_total{channel=\"tls\"} 3",
        "sealwire_reported_total 1",
    ];
    for line in lines {
        assert!(metrics.lines().any(|other| other == line), "no `{line}` in:\n{metrics}");
    }
}
