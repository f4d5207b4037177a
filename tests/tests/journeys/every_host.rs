//! Every kind of host under every demand, in one relay: what becomes of the message, what its report or the ledger says, and
//! that nothing but what may go in clear does. The table stands in [`hosts`].

mod hosts;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{FakePeer, Received, Script};
use sealwire_tests::nsd::Nsd;
use sealwire_tests::openssl::{self, OpenSsl, WEAK};
use sealwire_tests::signed::Zone;
use sealwire_tests::unbound::Unbound;
use sealwire_tests::web::{Site, Web};
use sealwire_tests::{certs, place, wait};
use serde_json::Value;

use super::scene::{Report, Scene, given, message, setting};
use hosts::{Authorities, Cell, Host, hosts};

/// What is demanded, which is the local part of sender and recipient: nothing; by a setting TLS, a CA's certificate besides,
/// the host's name besides; by a policy on arrival TLS; by the sender REQUIRETLS.
const COLUMNS: [&str; 6] = ["open", "tls", "ca", "name", "flagged", "requiretls"];
const FLAGGED: &str = "flagged";
const REQUIRETLS: &str = "requiretls";
/// The settings, by column.
const SETTINGS: [(&str, &str); 3] = [
    ("tls", ""),
    ("ca", "require-ca-signed-certificate = true"),
    ("name", "require-ca-signed-certificate = true\nvalidate-hostname = true"),
];
/// The marker that flag-subject looks for.
const MARK: &str = "[secure]";

#[test]
fn each_host_gets_what_it_may_and_nothing_else() {
    let authorities = Authorities::new();
    let leaf = certs::self_signed(&["mx.old.test"]);
    let old = [
        OpenSsl::start("-tls1", WEAK, &leaf),
        OpenSsl::start("-tls1_1", WEAK, &leaf),
        OpenSsl::start("-tls1_2", "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0", &leaf),
        OpenSsl::start_by_rsa("-tls1_2", "AES128-GCM-SHA256:@SECLEVEL=0", "mx.no-secrecy.test"),
    ];
    let hosts = hosts(&authorities, old.each_ref().map(|old| Script::tls_elsewhere(old.address())));
    let port = place::free_address().port();
    let zones: Vec<(&Host, String)> =
        hosts.iter().enumerate().map(|(number, host)| (host, records(host, at(number), port))).collect();
    let zones: Vec<Zone<'_>> =
        zones.iter().map(|(host, records)| Zone { name: host.zone, records, signing: host.signing }).collect();
    let nsd = Nsd::start_signed(&zones);
    let resolver = Unbound::start(&nsd);
    let sites = hosts.iter().filter_map(|host| {
        let name = format!("mta-sts.{}", host.zone);
        Some(Site::new(&name, &authorities.trusted.leaf(&[&name])).policy(host.policy.clone()?))
    });
    let web = Web::start(sites.collect());
    let peers: Vec<FakePeer> = hosts
        .iter()
        .enumerate()
        .map(|(number, host)| host.peer.clone().start_at(SocketAddr::new(IpAddr::V4(at(number)), port)))
        .collect();
    assert_old(&hosts, &peers);

    let given = given().believing(authorities.trusted).dns(resolver.address()).mx(port).sts(web.port());
    let given = SETTINGS.iter().fold(given, |given, (column, lines)| {
        let listed: Vec<String> = hosts.iter().map(|host| format!("{column}@{}", host.zone)).collect();
        let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
        given.settings(&setting(column, "outbound", &listed, lines))
    });
    let scene = given.schedule("inconclusive-repeats = 0\n").start_flagging(MARK);
    hand_in(&scene, &hosts);
    until_settled(&scene);

    let (rounds, queue) = (scene.log(&["--event", "attempted"]), whole_queue(&scene));
    let mut differing = String::new();
    for (host, peer) in hosts.iter().zip(&peers) {
        let received = peer.messages();
        for (column, cell) in COLUMNS.into_iter().zip(&host.cells) {
            let recipient = format!("{column}@{}", host.zone);
            let seen = Seen::of(&scene, &recipient, &received, &rounds, &queue);
            if !seen.is(cell, column) {
                let _ = write!(differing, "{recipient}\n  expected {cell:?}\n  found {}\n", seen.in_words());
            }
        }
        differing += &in_clear(host, peer);
    }
    assert!(differing.is_empty(), "\n{differing}");
}

fn at(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 8, u8::try_from(number + 1).expect("few hosts"))
}

fn records(host: &Host, address: Ipv4Addr, port: u16) -> String {
    let tlsa = host.tlsa.as_ref().map_or_else(String::new, |tlsa| format!("_{port}._tcp.mx TLSA {tlsa}\n"));
    let announced = host.policy.as_ref().map_or("", |_| "_mta-sts TXT \"v=STSv1; id=1;\"\n");
    format!("@ MX 10 mx\nmx A {address}\nmta-sts A 127.0.0.1\n{tlsa}{announced}")
}

/// The hosts that are to speak what rustls does not do, and nothing else.
#[track_caller]
fn assert_old(hosts: &[Host], peers: &[FakePeer]) {
    let rows = [
        ("older.test", "-tls1", "TLSv1", "ECDHE-ECDSA-AES256-SHA"),
        ("old.test", "-tls1_1", "TLSv1.1", "ECDHE-ECDSA-AES256-SHA"),
        ("cbc.test", "-tls1_2", "TLSv1.2", "ECDHE-ECDSA-AES128-SHA256"),
        ("no-secrecy.test", "-tls1_2", "TLSv1.2", "AES128-GCM-SHA256"),
    ];
    for (zone, version, named, cipher) in rows {
        let number = hosts.iter().position(|host| host.zone == zone).expect("it is among them");
        let address = peers[number].address();
        let said = openssl::client(address, version).unwrap_or_else(|| panic!("{zone} does not speak {named}"));
        let line = |key: &str, value: &str| said.lines().any(|line| line.trim() == format!("{key}: {value}"));
        assert!(line("Protocol  ", named) && line("Cipher    ", cipher), "{zone}: {said}");
        for other in ["-tls1", "-tls1_1", "-tls1_2", "-tls1_3"].into_iter().filter(|other| *other != version) {
            assert!(openssl::client(address, other).is_none(), "{zone}: {other}");
        }
    }
}

/// Hands in one message a cell, in two sessions: in clear, and over TLS with REQUIRETLS.
#[track_caller]
fn hand_in(scene: &Scene, hosts: &[Host]) {
    let mut clear = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    let mut secured = Dialogue::open(scene.relay.smtp()).expect("the relay greets");
    secured.start_tls(&scene.authority, "relay.test").expect("TLS comes about");
    for host in hosts {
        for column in COLUMNS {
            let (from, to) = (format!("{column}@sender.test"), format!("{column}@{}", host.zone));
            let words = if column == FLAGGED { format!("{MARK} {}", host.zone) } else { host.zone.to_owned() };
            let content = message(&from, &words);
            let answer = match column {
                REQUIRETLS => secured.submit_with(&from, " REQUIRETLS", &[&to], &content),
                _ => clear.submit(&from, &[&to], &content),
            };
            let answer = answer.expect("the relay answers");
            assert!(answer.starts_with("250 2.0.0"), "{to}: {answer}");
        }
    }
}

#[track_caller]
fn whole_queue(scene: &Scene) -> Vec<Value> {
    let queue = scene.relay.json(&["queue", "list", "--limit", "1000"]);
    queue.as_array().expect("a list").clone()
}

/// Waits until whatever is queued, reports among it, has had its first round.
#[track_caller]
fn until_settled(scene: &Scene) {
    wait::until(2 * wait::PATIENCE, "a first round of every message", || {
        let had_one = |recipient: &Value| recipient["progress"]["rounds"] != 0;
        let settled = |item: &Value| item["recipients"].as_array().is_some_and(|all| all.iter().all(had_one));
        whole_queue(scene).iter().all(settled).then_some(())
    });
}

/// A mailbox as it is written in JSON.
fn address(mailbox: &Value) -> Option<String> {
    Some(format!("{}@{}", mailbox["local"].as_str()?, mailbox["domain"].as_str()?))
}

/// What became of one message.
struct Seen {
    delivered: Vec<Received>,
    report: Option<Report>,
    waits: bool,
    rounds: Vec<Value>,
}

impl Seen {
    fn of(scene: &Scene, recipient: &str, received: &[Received], rounds: &[Value], queue: &[Value]) -> Seen {
        let to = format!("<{recipient}>");
        let is_for = |message: &&Received| message.recipients.iter().any(|other| other.starts_with(&to));
        let is_recipient = |mailbox: &Value| Some(recipient) == address(mailbox).as_deref();
        let queued = |item: &Value| {
            item["recipients"].as_array().is_some_and(|all| all.iter().any(|one| is_recipient(&one["mailbox"])))
        };
        Seen {
            delivered: received.iter().filter(is_for).cloned().collect(),
            report: scene.report_now(recipient),
            waits: queue.iter().any(queued),
            rounds: rounds.iter().filter(|round| is_recipient(&round["recipient"])).cloned().collect(),
        }
    }

    /// Whether it is what stands in the cell, and nothing besides.
    fn is(&self, cell: &Cell, column: &str) -> bool {
        let [round] = self.rounds.as_slice() else { return false };
        let passed_on = |message: &Received| message.mail_from.ends_with(" REQUIRETLS");
        match (cell, self.delivered.as_slice(), &self.report, self.waits) {
            (Cell::Tls, [message], None, false) => message.by_tls && passed_on(message) == (column == REQUIRETLS),
            (Cell::Clear, [message], None, false) => !message.by_tls && !passed_on(message),
            (Cell::Back { status, by, found }, [], Some(report), false) => {
                report.says(&format!("Status: {status}")) && report.says(by) && report.says(found)
            }
            (Cell::Waits(why), [], None, true) => round["result"].to_string().contains(why),
            _ => false,
        }
    }

    fn in_words(&self) -> String {
        let delivered =
            self.delivered.iter().map(|message| if message.by_tls { "delivered by TLS" } else { "delivered in clear" });
        let mut words: Vec<String> = delivered.map(str::to_owned).collect();
        words.extend(self.report.as_ref().map(in_brief));
        words.extend(self.waits.then(|| "waits".to_owned()));
        words.extend(self.rounds.iter().map(|round| format!("a round: {} {}", round["settlement"], round["result"])));
        words.join("\n  ")
    }
}

/// A report's status, what happened and why.
fn in_brief(report: &Report) -> String {
    let status = report.data.lines().find(|line| line.starts_with("Status: ")).unwrap_or("without a status");
    let (_, text) = report.data.split_once("What happened:").unwrap_or(("", &report.data));
    let (text, _) = text.split_once("What you can do:").unwrap_or((text, ""));
    format!("reported: {status}; {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Each MAIL that the host heard in clear, raw, but for those of cells that say so.
fn in_clear(host: &Host, peer: &FakePeer) -> String {
    let cells = COLUMNS.iter().zip(&host.cells);
    let may = cells.filter(|(_, cell)| matches!(cell, Cell::Clear));
    let may: Vec<String> =
        may.map(|(column, _)| format!("MAIL FROM:<{column}@sender.test>").to_ascii_uppercase()).collect();
    let mut found = String::new();
    for session in peer.sessions() {
        let wire = String::from_utf8_lossy(&session.wire).to_ascii_uppercase();
        for (begin, _) in wire.match_indices("MAIL FROM") {
            if !may.iter().any(|mail| wire[begin..].starts_with(mail)) {
                let _ = write!(found, "{} heard in clear:\n{session}\n", host.zone);
            }
        }
    }
    found
}
