//! No way around the policies: with a component that refuses everything in the chain, every journey is refused, at the door and
//! behind it: those in the table here, and the journey tests of all other files, run again with it.

use std::collections::BTreeMap;
use std::process::Command;

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::fake_peer::{FakePeer, Script, reply};
use sealwire_tests::guests;
use sealwire_tests::nsd::Nsd;
use sealwire_tests::wait;

use super::scene::{ALICE, BUILTIN, REFUSING_VARIABLE, Scene, given, setting};

/// A journey that ends in a delivery: sender, recipient, over TLS at the door or not, and by what it arrives.
struct Journey {
    name: &'static str,
    from: &'static str,
    to: &'static str,
    tls: bool,
    arrives: &'static str,
}

const fn journey(
    name: &'static str,
    from: &'static str,
    to: &'static str,
    tls: bool,
    arrives: &'static str,
) -> Journey {
    Journey { name, from, to, tls, arrives }
}

/// Every kind of journey that the other files show to deliver.
const JOURNEYS: [Journey; 12] = [
    journey("unlisted, host in clear", ALICE, "a@clear.test", false, "in clear"),
    journey("unlisted, host with any certificate", ALICE, "b@lax.test", false, "by TLS"),
    journey("unlisted, host with a good certificate", ALICE, "c@good.test", false, "by TLS"),
    journey("unlisted, in over TLS", ALICE, "d@clear.test", true, "in clear"),
    journey("listed From, in over TLS", "carol@partner.test", "e@lax.test", true, "by TLS"),
    journey("listed recipient, TLS alone", ALICE, "f@listed-lax.test", false, "by TLS"),
    journey("listed recipient, CA and name", ALICE, "g@listed-good.test", false, "by TLS"),
    journey("listed recipient, alternate route", ALICE, "h@listed-vault.test", false, "by TLS"),
    journey("smart host whose route demands TLS", ALICE, "i@demanding.test", false, "by TLS"),
    journey("exempt: postmaster", "carol@partner.test", "postmaster@clear.test", false, "in clear"),
    journey("the null sender", "", "j@lax.test", true, "by TLS"),
    journey("unlisted, by MX", ALICE, "k@by-mx.test", false, "in clear"),
];

/// The scene of all of them, with these policies behind or instead of the built-in one; the name server lives as long.
fn scene(chain: &[(&str, &str)]) -> (Scene, Vec<FakePeer>, Nsd) {
    let nsd = Nsd::start(&[("by-mx.test", "@ MX 10 mx\nmx A 127.0.0.1")]);
    let by_mx = Script::clear().start();
    let authority = Authority::new("Test Authority");
    let clear = Script::clear().start();
    let lax = Script::tls(&certs::self_signed(&["127.0.0.1"])).start();
    let good = Script::tls(&authority.leaf(&["127.0.0.1"])).start();
    let strict = "require-ca-signed-certificate = true\nvalidate-hostname = true";
    let mut given = given()
        .believing(authority)
        .dns(nsd.address())
        .mx(by_mx.address().port())
        .route("clear", &["clear.test", "listed-vault.test"], clear.address(), "")
        .route("lax", &["lax.test", "listed-lax.test"], lax.address(), "")
        .route("good", &["good.test", "listed-good.test"], good.address(), "")
        .route("demanding", &["demanding.test"], good.address(), strict)
        .route("vault", &[], good.address(), "tls = \"required\"\nalternate-secure = true");
    for (name, component) in chain {
        given = given.policy(name, component);
    }
    if chain.iter().any(|(name, _)| *name == "secure-transport") {
        given = given
            .settings(&setting("partners", "inbound", &["partner.test"], ""))
            .settings(&setting("lax", "outbound", &["listed-lax.test"], ""))
            .settings(&setting("good", "outbound", &["listed-good.test"], strict))
            .settings(&setting("vault", "outbound", &["listed-vault.test"], "alternate-secure-route = \"vault\""));
    }
    (given.start(), vec![clear, lax, good, by_mx], nsd)
}

fn send(scene: &Scene, journey: &Journey) -> sealwire_tests::swaks::Transcript {
    scene.swaks(
        if journey.from.is_empty() { "<>" } else { journey.from },
        journey.to,
        if journey.tls { &["--tls"] } else { &[] },
    )
}

#[test]
fn with_the_built_in_policy_every_journey_delivers() {
    let (scene, peers, _nsd) = scene(&[BUILTIN]);
    let peers: Vec<&FakePeer> = peers.iter().collect();
    for journey in &JOURNEYS {
        let sent = send(&scene, journey);
        assert!(sent.accepted(), "{}: {}", journey.name, sent.text);
        assert_eq!(scene.fate(&peers, journey.to).word(), journey.arrives, "{}", journey.name);
    }
    scene.until_queue_is_empty();
}

#[test]
fn with_a_component_that_refuses_everything_every_journey_is_refused() {
    let refusing = guests::refuse_everything().display().to_string();
    let chains: [&[(&str, &str)]; 3] =
        [&[("refusing", &refusing)], &[BUILTIN, ("refusing", &refusing)], &[("refusing", &refusing), BUILTIN]];
    for chain in chains {
        let (scene, peers, _nsd) = scene(chain);
        for journey in &JOURNEYS {
            let sent = send(&scene, journey);
            assert!(!sent.accepted(), "{}: {}", journey.name, sent.text);
            let reply = sent.reply("550 5.7.1");
            assert!(reply.contains("This relay refuses all mail."), "{}: {reply}", journey.name);
        }
        assert!(scene.queue().is_empty());
        assert!(peers.iter().all(|peer| peer.sessions().is_empty()), "no host was even asked");
    }
}

/// Mail that was accepted before the swap meets the objections to every host.
#[test]
fn what_was_accepted_before_the_swap_reaches_no_host() {
    let (mut scene, peers, _nsd) = scene(&[BUILTIN]);
    let greylisting = |script: Script| script.answer("MAIL", reply("450 4.2.0 later"));
    let leaf = certs::self_signed(&["127.0.0.1"]);
    peers[0].become_(greylisting(Script::clear()));
    peers[1].become_(greylisting(Script::tls(&leaf)));
    let waiting: Vec<&Journey> =
        JOURNEYS.iter().filter(|journey| ["a", "b", "f"].contains(&&journey.to[..1])).collect();
    for journey in &waiting {
        assert!(send(&scene, journey).accepted(), "{}", journey.name);
        scene.rounds(journey.to, 1);
    }
    let mails_before = mails(&peers);

    let refusing = guests::refuse_everything().display().to_string();
    scene.configure_chain(&[BUILTIN, ("refusing", &refusing)]);
    let said = scene.relay.run(&["reload"]);
    assert!(said.status.success(), "{}", said.err);
    peers[0].become_(Script::clear());
    peers[1].become_(Script::tls(&leaf));
    assert!(scene.relay.run(&["queue", "retry", "--all"]).status.success());
    for journey in &waiting {
        let rounds = scene.rounds(journey.to, 2);
        assert!(rounds[1]["result"].to_string().contains("This relay refuses all mail."), "{rounds:#?}");
    }
    assert_eq!(mails(&peers), mails_before, "not one more MAIL");
    assert!(peers.iter().all(|peer| peer.messages().is_empty()));
}

/// MAIL commands heard by all peers, in clear or by TLS.
fn mails(peers: &[FakePeer]) -> usize {
    let sessions = peers.iter().flat_map(FakePeer::sessions);
    sessions
        .map(|session| session.clear().matches("MAIL FROM").count() + session.secured().matches("MAIL FROM").count())
        .sum()
}

/// A report on its way home is judged like any mail: it goes to no host either, and ends in the ledger with an alert (H5).
#[test]
fn a_report_on_its_way_home_is_refused_too() {
    let peer = Script::clear().answer("RCPT", reply("550 5.1.1 nobody of that name")).start();
    let mut scene = given()
        .schedule("first-retry = \"1s\"\nmax-interval = \"1s\"\nexpire-after = \"4s\"\n")
        .route("clear", &["clear.test"], peer.address(), "")
        .start();
    scene.home.become_(Script::clear().answer("MAIL", reply("450 4.2.0 later")));
    scene.submit(ALICE, &["a@clear.test"], "comes back");
    scene.rounds(ALICE, 1);
    let refusing = guests::refuse_everything().display().to_string();
    scene.configure_chain(&[BUILTIN, ("refusing", &refusing)]);
    let said = scene.relay.run(&["reload"]);
    assert!(said.status.success(), "{}", said.err);
    scene.home.become_(Script::clear());
    let alert = wait::until(wait::PATIENCE, "the alert", || {
        let alerts = scene.relay.json(&["status"])["alerts"].to_string();
        alerts.contains("could not be delivered").then_some(alerts)
    });
    assert!(alert.contains(ALICE) && scene.home.messages().is_empty(), "{alert}");
    scene.until_queue_is_empty();
}

/// Journey tests that send nothing a policy is asked about, each with what it is about.
const WITHOUT_MAIL: [(&str, &str); 18] = [
    ("alternate_route::a_route_that_does_not_demand_tls_is_no_alternate_secure_route", "settings that are refused"),
    ("api::it_does_not_start_in_clear_where_others_reach_it", "a relay that is not started"),
    ("api::nothing_a_client_writes_breaks_out", "requests alone"),
    ("api::of_two_who_change_the_settings_one_is_told", "settings alone"),
    ("api::over_tls_with_a_certificate_that_a_reload_renews", "requests alone"),
    ("api::schemathesis_finds_nothing", "requests alone"),
    ("api::the_first_administrator_is_made_once_and_logs_in", "requests alone"),
    ("audit::tampering_is_found_in_the_store_and_in_an_export", "reloads, and a relay that is not started"),
    ("check::a_certificate_that_will_not_do_is_told_with_its_place", "a relay that is not started"),
    ("documented::each_way_keeps_to_itself", "a document alone"),
    ("documented::every_step_of_the_help_page_has_its_row", "a document and what commands say of themselves"),
    ("model::whoever_was_slower_changes_nothing_and_undo_is_a_new_revision", "settings alone"),
    ("units::what_a_unit_may_not_do_is_refused_where_it_is_written", "settings that are refused"),
    ("door::a_client_that_is_not_trusted_has_so_many_connections", "sessions that end before MAIL"),
    ("door::no_client_gets_an_old_version_or_a_weak_suite", "sessions that end before MAIL"),
    ("hostile::every_hostile_guest_has_met_a_relay", "a list of files"),
    ("tls_reports::a_key_that_does_not_sign_is_told_at_start_and_by_check", "a relay that is not started"),
    ("injection::h10_octets_behind_starttls_end_the_session", "sessions that end before MAIL"),
];

#[test]
fn every_journey_test_is_refused_with_such_a_component_in_its_chain() {
    let this = std::env::current_exe().expect("a test knows its own path");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&this);
        command.args(["journeys::", "--skip", "journeys::refuse_everything"]).args(arguments);
        let output = command.env(REFUSING_VARIABLE, "1").output().expect("a test can be run again");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let listed = run(&["--list"]);
    let tests: Vec<&str> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    assert!(tests.len() > 60, "{listed}");
    let said = run(&["--test-threads", "6"]);
    let mut told: BTreeMap<&str, String> = BTreeMap::new();
    let mut of = None;
    for line in said.lines() {
        of = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")).or(of);
        if let Some(test) = of {
            told.entry(test).or_default().push_str(line);
        }
    }
    let mut wrong = Vec::new();
    for test in tests {
        let about = WITHOUT_MAIL.iter().find(|(name, _)| test == format!("journeys::{name}"));
        let ended = said.lines().find_map(|line| line.strip_prefix(&format!("test {test} ... ")));
        let refused = told.get(test).is_some_and(|text| text.contains("This relay refuses all mail."));
        match (about, ended) {
            (None, Some("FAILED")) if refused => {}
            (Some(_), Some("ok")) => {}
            _ => wrong.push(format!("{test}: {ended:?}, refused: {refused}")),
        }
    }
    // Indented, lest whoever counts results counts these; the verdict last, where a long text is read first.
    assert!(wrong.is_empty(), "  | {}\n{wrong:#?}", said.replace('\n', "\n  | "));
}
