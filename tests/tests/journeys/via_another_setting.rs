//! R3, "outbound - messages requiring secure transport via another setting": the rows of its table, each against a next hop in clear, one with a self-signed and one with a CA-signed certificate (parity point 7).
//! Who flags is the example policy `flag-subject`, first in the chain.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{FakePeer, Script};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::signed::{Signing, Zone};
use sealwire_tests::unbound::Unbound;
use sealwire_tests::{guests, place};
use sha2::{Digest, Sha256};

use super::scene::{ALICE, BUILTIN, Given, Scene, given, message, setting};

/// The marker that flag-subject looks for.
const MARK: &str = "[secure]";

/// What a next hop gives, and the last part of its domains' names.
const HOSTS: [&str; 3] = ["clear", "selfsigned", "good"];

const CLEAR: &str = "in clear";
const TLS: &str = "by TLS";
const BACK: &str = "reported";

/// Row, how the mail goes, whether the message is flagged; and its fate where the last hop is in clear, self-signed, good.
const TABLE: [(&str, &str, bool, [&str; 3]); 6] = [
    ("MX, nobody", "mx", false, [CLEAR, TLS, TLS]),
    ("MX, a content policy: TLS, any certificate", "mx", true, [BACK, TLS, TLS]),
    ("smart host whose route demands TLS: CA", "demanding", false, [BACK, BACK, TLS]),
    ("alternate secure route: CA", "alternate", true, [BACK, BACK, TLS]),
    ("smart host, nobody", "smart", false, [CLEAR, TLS, TLS]),
    ("smart host, a content policy: CA", "smart", true, [BACK, BACK, TLS]),
];

/// Three next hops on one port, so that MX finds them too.
struct Hops {
    peers: Vec<FakePeer>,
    nsd: Nsd,
    port: u16,
}

impl Hops {
    fn start(authority: &Authority) -> Hops {
        let port = place::free_address().port();
        let at = |host: u8| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 3, host)), port);
        let scripts = [
            Script::clear(),
            Script::tls(&certs::self_signed(&["mx.selfsigned.test"])),
            Script::tls(&authority.leaf(&["mx.good.test"])),
        ];
        let peers = scripts.into_iter().zip(1..).map(|(script, host)| script.start_at(at(host))).collect();
        let zones = HOSTS.iter().zip(1..).map(|(name, host)| {
            (format!("{name}.test"), format!("mx-{name} MX 10 mx\nmx A 127.0.3.{host}\nmx-{name} TXT x\n"))
        });
        let zones: Vec<(String, String)> = zones.collect();
        let zones: Vec<(&str, &str)> = zones.iter().map(|(name, records)| (&**name, &**records)).collect();
        Hops { peers, nsd: Nsd::start(&zones), port }
    }

    /// The routes of every row; the setting of each alternate route has a list of its own.
    fn describe(&self) -> Given {
        let mut given = given().dns(self.nsd.address()).mx(self.port);
        let clear = self.peers[0].address();
        for (name, peer) in HOSTS.iter().zip(&self.peers) {
            let (demanding, smart, alternate) =
                (format!("demanding-{name}"), format!("smart-{name}"), format!("alternate-{name}"));
            given = given
                .route(&demanding, &[&domain("demanding", name)], peer.address(), "tls = \"required\"")
                .route(&smart, &[&domain("smart", name)], peer.address(), "")
                .route(&alternate, &[], peer.address(), "tls = \"required\"\nalternate-secure = true")
                .route(&format!("ordinary-{name}"), &[&domain("alternate", name)], clear, "");
        }
        given
    }
}

fn domain(way: &str, host: &str) -> String {
    format!("{way}-{host}.{host}.test")
}

const WITH_CA: &str = "require-ca-signed-certificate = true\n";

#[test]
fn the_table_row_by_row() {
    let authority = Authority::new("Test Authority");
    let hops = Hops::start(&authority);
    let mut given = hops.describe().believing(authority);
    let scope = "outbound-via-another-setting";
    for host in HOSTS {
        let listed = ["mx", "demanding", "smart"].map(|way| domain(way, host));
        let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
        let with_route = format!("{WITH_CA}alternate-secure-route = \"alternate-{host}\"");
        given = given.settings(&setting(&format!("via-{host}"), scope, &listed, WITH_CA)).settings(&setting(
            &format!("alternate-{host}"),
            scope,
            &[&domain("alternate", host)],
            &with_route,
        ));
    }
    let scene = given.start_flagging(MARK);

    let recipient = |number: usize, way: &str, host: &str| format!("row{number}@{}", domain(way, host));
    for (number, (name, way, flagged, _)) in TABLE.iter().enumerate() {
        for host in HOSTS {
            let subject = if *flagged { format!("{MARK} {name}") } else { (*name).to_owned() };
            scene.submit(ALICE, &[&recipient(number, way, host)], &subject);
        }
    }
    let everybody: Vec<&FakePeer> = hops.peers.iter().collect();
    for (number, (name, way, _, expected)) in TABLE.iter().enumerate() {
        for (host, expected) in HOSTS.iter().zip(expected) {
            let fate = scene.fate(&everybody, &recipient(number, way, host));
            assert_eq!(fate.word(), *expected, "{name}, {host}");
        }
    }
    scene.until_queue_is_empty();
    assert_rows_say_why(&scene);
}

#[track_caller]
fn assert_rows_say_why(scene: &Scene) {
    scene
        .report(&format!("row1@{}", domain("mx", "clear")))
        .assert_says("The policy \"flag-subject\" marked this message for secure transport when it arrived.");
    scene
        .report(&format!("row2@{}", domain("demanding", "clear")))
        .assert_says("The route \"demanding-clear\" that this message takes demands it.");
    scene
        .report(&format!("row5@{}", domain("smart", "selfsigned")))
        .assert_says("Rule R4: The receiving mail server must present a certificate signed by a trusted");
    let way = "the message took the alternate route \"alternate-selfsigned\"";
    scene.report(&format!("row3@{}", domain("alternate", "selfsigned"))).assert_says(way);
}

/// The flag needs no list: it holds for whoever is named nowhere, and outlives the policy that set it (H4).
#[test]
fn a_flag_holds_without_any_list_and_outlives_its_policy() {
    use sealwire_tests::fake_peer::reply;
    let peer = Script::tls(&certs::self_signed(&["127.0.0.1"])).answer("MAIL", reply("450 4.2.0 later")).start();
    let mut scene = given().route("other", &["other.test"], peer.address(), "").start_flagging(MARK);
    scene.submit(ALICE, &["bob@other.test"], &format!("{MARK} the offer"));
    scene.rounds("bob@other.test", 1);

    // The flagging policy gives way to one that flags nothing, and the next hop loses its TLS.
    let lax = guests::fail_by_subject().display().to_string();
    scene.configure_chain(&[("flag-subject", lax.as_str()), BUILTIN]);
    let said = scene.relay.run(&["reload"]);
    assert!(said.status.success(), "{}", said.err);
    peer.become_(Script::clear());
    assert!(scene.relay.run(&["queue", "retry", "--all"]).status.success());
    scene.rounds("bob@other.test", 2);
    peer.assert_no_mail_in_clear();
    assert!(peer.messages().is_empty());
}

/// "MX, REQUIRETLS": by RFC 8689 and not by R4. A certificate that only TLSA records name will do, though the setting asks for a
/// CA's; a host without REQUIRETLS will not, whoever signed its certificate.
#[test]
fn the_row_of_requiretls() {
    let authority = Authority::new("Test Authority");
    let own = certs::self_signed(&["elsewhere.test"]);
    let key = Sha256::digest(own.public_key()).iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let port = place::free_address().port();
    let signed = |mx: &str| Script::tls(&authority.leaf(&[&format!("{mx}.row.test")]));
    let rows = [
        ("clear", Script::clear(), "", BACK),
        ("selfsigned", Script::tls(&own).extension("REQUIRETLS"), "", BACK),
        ("deaf", signed("mx-deaf"), "", BACK),
        ("good", signed("mx-good").extension("REQUIRETLS"), "", TLS),
        ("dane", Script::tls(&own).extension("REQUIRETLS"), key.as_str(), TLS),
    ];
    let mut records = String::new();
    let mut peers = Vec::new();
    for ((name, script, key, _), host) in rows.iter().zip(1..) {
        let address = Ipv4Addr::new(127, 0, 8, host);
        records += &format!("{name} MX 10 mx-{name}\nmx-{name} A {address}\n");
        if !key.is_empty() {
            records += &format!("_{port}._tcp.mx-{name} TLSA 3 1 1 {key}\n");
        }
        peers.push(script.clone().start_at(SocketAddr::new(IpAddr::V4(address), port)));
    }
    let nsd = Nsd::start_signed(&[Zone { name: "row.test", records: &records, signing: Signing::Sound }]);
    let resolver = Unbound::start(&nsd);
    let listed: Vec<String> = rows.iter().map(|(name, ..)| format!("{name}.row.test")).collect();
    let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
    let scene = given()
        .believing(authority)
        .dns(resolver.address())
        .mx(port)
        .settings(&setting("via", "outbound-via-another-setting", &listed, WITH_CA))
        .start();
    let mut dialogue = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    dialogue.start_tls(&scene.authority, "relay.test").expect("TLS comes about");
    for domain in &listed {
        let to = format!("bob@{domain}");
        let answer = dialogue.submit_with(ALICE, " REQUIRETLS", &[&to], &message(ALICE, domain)).expect("an answer");
        assert!(answer.starts_with("250 2.0.0"), "{answer}");
    }
    let everybody: Vec<&FakePeer> = peers.iter().collect();
    for ((name, _, _, expected), domain) in rows.iter().zip(&listed) {
        assert_eq!(scene.fate(&everybody, &format!("bob@{domain}")).word(), *expected, "{name}");
    }
    scene.report("bob@deaf.row.test").assert_says("Status: 5.7.30");
}
