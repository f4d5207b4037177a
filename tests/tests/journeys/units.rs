//! Organizational units: whose settings a message goes by, and that what the settings add of domains, networks and routes
//! counts at once.

use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::Script;
use sealwire_tests::guests;

use super::scene::{ALICE, given, message};

/// 127.0.0.1 is a stranger.
const NARROW: &str = "trusted-networks = [\"127.0.0.2/32\"]\nhosted-domains = [\"hosted.test\"]\n";
const CAROL: &str = "carol@partner.test";

/// The root has no setting; the unit `strict` has one, and below it `free` has switched it off.
const UNITS: &str = r#"
[units.strict]
domains = ["strict.test"]
trusted-networks = ["127.0.0.3/32"]
[units."strict/free"]
domains = ["free.test"]
disables = ["strict"]
[lists.partners]
entries = ["partner.test"]
[[policy.secure-transport.settings]]
id = "strict"
description = "Strict"
unit = "strict"
scopes = ["inbound", "outbound"]
lists = ["partners"]
may-be-disabled = true
"#;

#[test]
fn a_message_goes_by_the_settings_of_its_client_and_its_recipient() {
    let peer = Script::clear().start();
    let domains = ["hosted.test", "strict.test", "free.test", "partner.test"];
    let scene = given().config(NARROW).route("all", &domains, peer.address(), "").settings(UNITS).start();
    let refused = "550 5.7.10";
    // In clear, From carol@partner.test: client, recipients; the last reply.
    let rows = [
        ("127.0.0.1", "bob@hosted.test", "250 2.0.0"),
        ("127.0.0.1", "eve@strict.test", refused),
        ("127.0.0.1", "eve@free.test", "250 2.0.0"),
        // One verdict for each message: a stranger comes again for who has other settings, and equal ones are not split.
        ("127.0.0.1", "bob@hosted.test,eve@strict.test", "452 4.5.3"),
        ("127.0.0.1", "bob@hosted.test,eve@free.test", "250 2.0.0"),
        // A client of ours does not; the strictest verdict answers, and names the recipient.
        ("127.0.0.2", "bob@hosted.test,eve@strict.test", refused),
        ("127.0.0.2", "bob@hosted.test", "250 2.0.0"),
        // It brings its own unit's settings.
        ("127.0.0.3", "bob@hosted.test", refused),
    ];
    for (client, recipients, reply) in rows {
        let said = scene.swaks(CAROL, recipients, &["--local-interface", client]);
        let found = said.reply(reply).to_owned();
        if recipients.contains(',') && reply == refused {
            assert!(found.ends_with("(rule R1) (for eve@strict.test)"), "{found}");
        }
        if reply == "452 4.5.3" {
            assert!(said.accepted(), "the first recipient's copy goes on: {}", said.text);
        }
    }
    // On the way out it is the same: the client's unit demands TLS, the root does not.
    for (client, recipient, fate) in
        [("127.0.0.2", "one@partner.test", "in clear"), ("127.0.0.3", "two@partner.test", "reported")]
    {
        scene.swaks(ALICE, recipient, &["--local-interface", client]).assert_accepted();
        assert_eq!(scene.fate(&[&peer], recipient).word(), fate, "{client}");
    }
}

/// Units with equal settings share a chain. A policy that asks whose settings it goes by is asked for each of them.
#[test]
fn a_policy_that_reads_the_unit_is_asked_for_each() {
    let peer = Script::clear().start();
    let steering = guests::steer_by_subject().display().to_string();
    let units = "[units.a]\ndomains = [\"a.test\"]\n[units.b]\ndomains = [\"b.test\"]\n";
    let scene = given()
        .config(NARROW)
        .route("all", &["a.test", "b.test"], peer.address(), "")
        .builtin()
        .policy("steering", &steering)
        .settings(units)
        .start();
    let offer = |to: &[&str]| scene.offer(ALICE, to, &message(ALICE, "refuse-in:b"));
    let rows: [(&[&str], &str); 4] = [
        (&["x@a.test"], "250 2.0.0"),
        (&["y@b.test"], "550 5.7.1 Not in this unit"),
        (&["x@a.test", "y@b.test"], "550 5.7.1 Not in this unit (for y@b.test)"),
        (&["y@b.test", "x@a.test"], "550 5.7.1 Not in this unit (for y@b.test)"),
    ];
    for (to, expected) in rows {
        let reply = offer(to);
        assert!(reply.starts_with(expected), "{to:?}: {reply}");
        assert_eq!(reply.contains("(for "), expected.contains("(for "), "{to:?}: {reply}");
    }
    // One record for each unit it was asked for; who does not ask is asked once.
    let records = scene.log(&["--event", "decision"]);
    let last = records.last().expect("decisions")["message"].clone();
    let units = |policy: &str| -> Vec<String> {
        let of_policy = records.iter().filter(|record| record["message"] == last && record["policy"] == policy);
        of_policy.map(|record| format!("{} {}", record["unit"], record["also_for"])).collect()
    };
    assert_eq!(units("steering"), [r#"["root","b"] null"#, r#"["root","a"] null"#]);
    assert_eq!(units("secure-transport"), [r#"["root","b"] [{"internal":false,"unit":["root","a"]}]"#]);
}

#[test]
fn what_the_settings_add_counts_at_once_and_no_longer_than_they_say_so() {
    let peer = Script::clear().start();
    let scene = given().config(NARROW).start();
    let refused = scene.swaks(ALICE, "bob@new.test", &[]);
    refused.reply("550 5.7.1 ");
    let (host, port) = (peer.address().ip(), peer.address().port());
    let added = format!(
        "[units.sales]\ndomains = [\"new.test\"]\n\
         [[route]]\nname = \"new\"\nmatch = [\"new.test\"]\nhosts = [{{ host = \"{host}\", port = {port} }}]\n"
    );
    assert!(scene.apply(&added).status.success());
    scene.swaks(ALICE, "bob@new.test", &[]).assert_accepted();
    assert_eq!(scene.fate(&[&peer], "bob@new.test").word(), "in clear");
    assert!(scene.relay.run(&["reload"]).status.success(), "a reload keeps what the settings add");
    scene.swaks(ALICE, "eve@new.test", &[]).assert_accepted();
    assert!(scene.apply("").status.success());
    scene.swaks(ALICE, "bob@new.test", &[]).reply("550 5.7.1 ");
}

#[test]
fn what_a_unit_may_not_do_is_refused_where_it_is_written() {
    let scene = given().config(NARROW).start();
    let rows = [
        ("domains = [\"strict.test\"]", "domains = [\"hosted.test\"]", "settings.toml:3: units.strict.domains"),
        ("may-be-disabled = true", "", "settings.toml:7: units.strict/free.disables"),
        ("unit = \"strict\"", "unit = \"lost\"", "settings.toml:13: policy.secure-transport.settings[1].unit"),
        ("[units.\"strict/free\"]", "[units.\"gone/free\"]", "settings.toml:5: units.gone/free"),
        ("scopes = [\"inbound\", \"outbound\"]", "scopes = [\"up\"]", "settings.toml:14: policy.secure-transport"),
        (
            "[lists.partners]",
            "[[route]]\nname = \"all\"\nmx = true\nroots = \"ca.pem\"\n[lists.partners]",
            "roots: names a file",
        ),
    ];
    assert!(scene.apply(UNITS).status.success(), "{}", scene.apply(UNITS).err);
    for (from, to, place) in rows {
        let said = scene.apply(&UNITS.replace(from, to));
        assert!(!said.status.success() && said.err.contains(place), "{to}: no `{place}` in\n{}", said.err);
    }
}

/// A session may be open for days: each of its transactions goes by the units and networks of its own time.
#[test]
fn a_session_that_stays_open_goes_by_the_networks_of_the_day() {
    let peer = Script::clear().start();
    let scene = given().config(NARROW).route("all", &["hosted.test", "out.test"], peer.address(), "").start();
    let mut session = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    let submit = |session: &mut Dialogue, from: &str, to: &str| session.submit(from, &[to], &message(from, "x"));
    let stranger = |session: &mut Dialogue| {
        let say = |session: &mut Dialogue, command: &str| session.command(command).expect("a reply");
        assert!(say(session, &format!("MAIL FROM:<{ALICE}>")).starts_with("250"));
        let reply = say(session, "RCPT TO:<x@out.test>");
        assert!(reply.starts_with("550 5.7.1") && say(session, "RSET").starts_with("250"), "{reply}");
    };
    stranger(&mut session);
    let reply = submit(&mut session, CAROL, "bob@hosted.test").expect("a reply");
    assert!(reply.starts_with("250"), "{reply}");

    // Its network comes into a unit that has a setting.
    let ours = UNITS.replace("127.0.0.3/32", "127.0.0.1/32");
    assert!(scene.apply(&ours).status.success());
    assert!(submit(&mut session, ALICE, "x@out.test").expect("a reply").starts_with("250"), "trusted now");
    let reply = submit(&mut session, CAROL, "bob@hosted.test").expect("a reply");
    assert!(reply.starts_with("550 5.7.10"), "by its unit's setting: {reply}");

    // It leaves in the middle of a transaction, whose recipients were a trusted client's.
    for command in [format!("MAIL FROM:<{ALICE}>"), "RCPT TO:<y@out.test>".to_owned()] {
        let reply = session.command(&command).expect("a reply");
        assert!(reply.starts_with("250"), "{command}: {reply}");
    }
    assert!(scene.apply(UNITS).status.success());
    assert!(session.command("DATA").expect("a reply").starts_with("354"));
    let reply = session.command("From: alice@sender.test\r\n\r\nx\r\n.").expect("a reply");
    assert!(reply.starts_with("451 4.7.1"), "{reply}");
    stranger(&mut session);
    assert!(submit(&mut session, CAROL, "bob@hosted.test").expect("a reply").starts_with("250"));
}
