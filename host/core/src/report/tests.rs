//! Reports as their recipients get them, compared with golden files; then what no report may do.

use std::sync::Arc;

use super::*;
use crate::address::Domain;
use crate::decision::{FailedDecision, FailureCause};
use crate::dsn::{Dsn, RecipientDsn, Ret};
use crate::facts::{ChainVerdict, ChannelFacts, ClientFacts, Handshake, TlsVersion};
use crate::floor::{Demand, Source};
use crate::outcome::{FloorUnmet, HostUnmet, Outcome};
use crate::reason::Reason;
use crate::reply::{Enhanced, Reply};
use crate::settle::{Ending, HeldBy, LastRound};

mod wanted;

const ARRIVED: u64 = 1_795_511_100;
const NOW: u64 = ARRIVED + 3;
const FIVE_DAYS: u64 = 5 * 86_400;

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a mailbox")
}

fn client(state: ChannelState) -> ClientFacts {
    let handshake = Handshake {
        version: TlsVersion::TLS13,
        cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
        key_exchange: "x25519".into(),
        server_name: None,
        implicit: false,
        resumed: false,
        chain: ChainVerdict::None,
        name_matches: false,
        certificates: Vec::new(),
        dane: None,
        revocation: Default::default(),
    };
    let handshake = (state == ChannelState::Secured).then(|| Arc::new(handshake));
    ClientFacts {
        address: "192.0.2.9".parse().expect("an address"),
        greeting_name: "desk.example".into(),
        authenticated_as: None,
        listener: "mx".into(),
        channel: ChannelFacts { state, detail: String::new(), handshake },
    }
}

fn original() -> Entry {
    let header = "From: Ann <ann@sender.example>\r\nTo: Bob <bob@strict.example>\r\nSubject: Quarterly figures\r\n\
                  Message-ID: <q3.1@sender.example>\r\nDate: Tue, 24 Nov 2026 09:04:58 +0000\r\n";
    Entry {
        id: "4XyZ".into(),
        arrived_at: ARRIVED,
        envelope_sender: Some(mailbox("ann@sender.example")),
        trace: "Received: from desk.example ([192.0.2.9])\r\n\tby relay.example with ESMTP id 4XyZ;\r\n\t\
                Tue, 24 Nov 2026 09:05:00 +0000\r\n"
            .into(),
        header: header.into(),
        eight_bit: false,
        declared_size: None,
        size: 5000,
        client: Some(client(ChannelState::NotOffered)),
        sender_is_ours: true,
        is_report: false,
        report_of_tls: false,
        require_tls: false,
        smtp_utf8: false,
        dsn: Dsn::default(),
        unit: vec!["root".into()],
        flagged_by: vec!["content".into()],
        generation: 3,
    }
}

fn reason(rule: &str, text: &str) -> Reason {
    Reason {
        policy: "secure-transport".into(),
        rule: rule.into(),
        text: text.into(),
        matched: Some("PRIVATE-MATCH".into()),
        detail: Some("PRIVATE-DETAIL".into()),
    }
}

fn reasons() -> Vec<Reason> {
    vec![
        reason("R2", "Mail to a listed recipient leaves only over TLS."),
        reason("R4", "The receiving server must present a certificate signed by a trusted CA."),
        reason("R5", "The receiving server's certificate must name it."),
    ]
}

fn rule(rule: &str) -> Source {
    Source::Rule { policy: "secure-transport".into(), rule: rule.into() }
}

fn host(name: &str, channel: ChannelState, unmet: &[(Demand, &str)], found: &str) -> HostUnmet {
    HostUnmet {
        host: name.into(),
        address: "198.51.100.7:25".into(),
        channel,
        unmet: unmet.iter().map(|(demand, id)| (demand.clone(), rule(id))).collect(),
        objection: None,
        withdrawn: false,
        found: found.into(),
        conclusive: channel != ChannelState::Inconclusive,
    }
}

fn no_starttls(name: &str) -> HostUnmet {
    host(name, ChannelState::NotOffered, &[(Demand::Tls, "R2")], "did not offer STARTTLS")
}

fn failure(ending: Ending, outcome: Outcome) -> Failure {
    Failure { ending, outcome, reasons: reasons(), rounds: 1, route: None, at: NOW }
}

fn unmet(hosts: Vec<HostUnmet>) -> Failure {
    let unmet = FloorUnmet { hosts, not_asked: Vec::new() };
    failure(Ending::FloorUnmet { rounds: 1 }, Outcome::FloorUnmet(unmet))
}

fn refused() -> Failure {
    let reply = Reply { code: 550, enhanced: Some(Enhanced(5, 1, 1)), text: "No such user\nTry another".into() };
    failure(Ending::Refused, Outcome::Refused { host: Some("mx.strict.example".into()), reply, by_peer: true })
}

fn expired(outcome: Outcome) -> Failure {
    let ending = Ending::Expired { after_secs: FIVE_DAYS, held: HeldBy::Nobody };
    Failure { rounds: 121, at: ARRIVED + FIVE_DAYS, ..failure(ending, outcome) }
}

fn greylisted() -> Outcome {
    Outcome::Inconclusive {
        host: Some("mx.strict.example".into()),
        why: "it put the recipient off".into(),
        reply: Some(Reply::new(451, (7, 1), "Greylisted, come back later")),
    }
}

fn failed_decision() -> Outcome {
    Outcome::FailedDecision(FailedDecision {
        policy: "secure-transport".into(),
        cause: FailureCause::Trap,
        detail: "PRIVATE-DETAIL".into(),
    })
}

fn to(recipient: &str, failure: Failure) -> Recipient {
    Recipient { index: 0, mailbox: mailbox(recipient), action: Action::Failed(failure) }
}

fn report_of(entry: &Entry, recipients: &[Recipient]) -> Option<ReportMessage> {
    let postmaster = mailbox("postmaster@relay.example");
    let at = |recipient: &Recipient| match &recipient.action {
        Action::Failed(failure) => failure.at,
        Action::Delayed(delay) => delay.last.at,
        Action::Relayed(_) => NOW,
    };
    let now = recipients.iter().map(at).max().unwrap_or(NOW);
    report(&ReportRequest {
        reporting_host: "relay.example",
        postmaster: &postmaster,
        entry,
        recipients,
        id: "4XyZ-r",
        generation: 7,
        now,
        boundary: "K7Qm2v",
    })
}

/// The whole message with plain line ends.
fn whole(message: &ReportMessage) -> String {
    let octets = [message.entry.header.as_slice(), b"\r\n", message.body.as_slice()].concat();
    let text = String::from_utf8(octets).expect("ASCII");
    assert!(text.is_ascii() && text.matches('\n').count() == text.matches("\r\n").count(), "{text:?}");
    text.replace("\r\n", "\n")
}

macro_rules! golden {
    ($name:literal, $recipients:expr) => {
        golden!($name, $recipients, original());
    };
    ($name:literal, $recipients:expr, $entry:expr) => {
        let message = report_of(&$entry, &$recipients).expect("somebody to tell");
        let got = whole(&message);
        assert!(!got.contains("PRIVATE"), "{got}");
        assert!(got.lines().all(|line| line.len() <= 78), "{got}");
        assert!(got == include_str!(concat!("golden/", $name)), "golden/{} differs; it is now:\n{got}=====", $name);
    };
}

#[test]
fn no_starttls_by_r2() {
    golden!("no-starttls.eml", [to("bob@strict.example", unmet(vec![no_starttls("mx.strict.example")]))]);
}

#[test]
fn self_signed_by_r4() {
    let demands = [(Demand::TrustedChain, "R4")];
    let host = host("mx.strict.example", ChannelState::Secured, &demands, "certificate-not-trusted: self-signed");
    golden!("self-signed.eml", [to("bob@strict.example", unmet(vec![host]))]);
}

#[test]
fn another_name_by_r5() {
    let demands = [(Demand::MatchingName, "R5")];
    let found = "the certificate is for mail.other.example";
    let host = host("mx.strict.example", ChannelState::Secured, &demands, found);
    golden!("another-name.eml", [to("bob@strict.example", unmet(vec![host]))]);
}

#[test]
fn refused_by_the_peer() {
    golden!("refused.eml", [to("bob@strict.example", refused())]);
}

#[test]
fn expired_after_greylisting() {
    golden!("expired.eml", [to("bob@strict.example", expired(greylisted()))]);
}

#[test]
fn expired_by_a_failed_decision() {
    golden!("failed-decision.eml", [to("bob@strict.example", expired(failed_decision()))]);
}

#[test]
fn two_recipients_in_one_report() {
    let route = Failure { route: Some("gateway".into()), ..unmet(vec![no_starttls("gw.relay.example")]) };
    golden!("two-recipients.eml", [to("bob@strict.example", refused()), to("carol@plain.example", route)]);
}

#[test]
fn hosts_that_could_not_be_asked() {
    let demands = [(Demand::Tls, "R2"), (Demand::TrustedChain, "R4")];
    let found = "could not be asked for a secure (TLS) connection: 454 4.7.0 TLS not available";
    let deferred = host("mx2.strict.example", ChannelState::Inconclusive, &demands, found);
    let unmet = FloorUnmet {
        hosts: vec![deferred, no_starttls("mx1.strict.example")],
        not_asked: vec![("mx3.strict.example".into(), "the connection timed out".into())],
    };
    let failure = failure(Ending::FloorUnmet { rounds: 4 }, Outcome::FloorUnmet(unmet));
    golden!("not-asked.eml", [to("bob@strict.example", Failure { rounds: 4, ..failure })]);
}

#[test]
fn held_until_it_expired() {
    let held = Ending::Expired { after_secs: FIVE_DAYS, held: HeldBy::Policy };
    let failure = Failure { ending: held, ..unmet(vec![no_starttls("mx.strict.example")]) };
    golden!("held.eml", [to("bob@strict.example", failure)]);
}

/// The operator's reason is not the sender's to read.
#[test]
fn held_by_an_operator_until_it_expired() {
    let never_tried = Outcome::Inconclusive { host: None, why: "it was never tried".into(), reply: None };
    let held = Ending::Expired { after_secs: FIVE_DAYS, held: HeldBy::Operator };
    let failure = Failure { rounds: 0, ..failure(held, never_tried) };
    golden!("held-by-operator.eml", [to("bob@strict.example", failure)]);
}

#[test]
fn an_objection_speaks_with_its_own_words() {
    let objection =
        Some((Reply::new(450, (7, 8), "not this host"), vec![reason("X1", "This host is on our stop list.")]));
    let host = HostUnmet { unmet: Vec::new(), objection, ..no_starttls("mx.strict.example") };
    golden!("objection.eml", [to("bob@strict.example", unmet(vec![host]))]);
}

#[test]
fn a_report_never_causes_a_report() {
    let failures = [to("bob@strict.example", refused())];
    let null_sender = Entry { envelope_sender: None, ..original() };
    let own_report = Entry { is_report: true, ..original() };
    for entry in [&null_sender, &own_report] {
        assert_eq!(report_of(entry, &failures), None, "H5");
    }
    assert_eq!(report_of(&original(), &[]), None);
    let message = report_of(&original(), &failures).expect("somebody to tell");
    assert_eq!(report_of(&message.entry, &failures), None, "H5");
}

#[test]
fn the_reports_entry_is_its_own() {
    let failures = [to("bob@strict.example", refused())];
    for (state, by_tls) in [(ChannelState::Secured, true), (ChannelState::NotOffered, false)] {
        let entry = Entry { client: Some(client(state)), ..original() };
        let message = report_of(&entry, &failures).expect("somebody to tell");
        assert_eq!(message.entry.report_of_tls, by_tls, "H6");
        assert_eq!(message.recipient, mailbox("ann@sender.example"));
        assert!(message.entry.is_report && message.entry.envelope_sender.is_none() && message.entry.client.is_none());
        assert!(message.entry.flagged_by.is_empty());
        assert_eq!((message.entry.id.as_str(), message.entry.generation), ("4XyZ-r", 7));
        assert_eq!(message.entry.size as usize, message.entry.header.len() + 2 + message.body.len());
    }
}

#[test]
fn statuses_follow_what_was_missing() {
    let of = |channel, demand| unmet(vec![host("mx.example", channel, &[(demand, "R2")], "")]);
    let by_sender = |channel, demand| {
        unmet(vec![HostUnmet { unmet: vec![(demand, Source::RequireTls)], ..host("mx.example", channel, &[], "") }])
    };
    let rows = [
        (of(ChannelState::NotOffered, Demand::Tls), "5.7.10"),
        (of(ChannelState::NotOffered, Demand::TrustedChain), "5.7.10"),
        (of(ChannelState::Refused, Demand::Tls), "5.7.10"),
        (of(ChannelState::Inconclusive, Demand::Tls), "5.7.10"),
        (of(ChannelState::Failed, Demand::Tls), "5.7.5"),
        (of(ChannelState::Secured, Demand::TrustedChain), "5.7.5"),
        (of(ChannelState::Secured, Demand::MatchingName), "5.7.5"),
        (of(ChannelState::Secured, Demand::MinimumVersion(TlsVersion::TLS13)), "5.7.5"),
        (by_sender(ChannelState::Secured, Demand::RequireTls), "5.7.30"),
        (by_sender(ChannelState::Secured, Demand::VerifiedServer), "5.7.10"),
        (by_sender(ChannelState::Inconclusive, Demand::ProvenHost), "5.7.10"),
        (by_sender(ChannelState::NotOffered, Demand::RequireTls), "5.7.10"),
        (refused(), "5.1.1"),
        (expired(greylisted()), "5.4.7"),
        (expired(failed_decision()), "5.3.0"),
    ];
    for (failure, expected) in rows {
        assert_eq!(status_of(&Action::Failed(failure.clone())).to_string(), expected, "{failure:?}");
    }
}

#[test]
fn hostile_content_stays_in_its_place() {
    let mut entry = original();
    entry.envelope_sender = Some(Mailbox::new("\u{e4}nn", Domain::parse("sender.example").expect("a domain")));
    entry.header = b"Subject: gr\xc3\xbcn\nX: --report-K7Qm2v\r\nMessage-ID: <a b>\r\n".to_vec();
    entry.header.extend_from_slice(b"X-Long: --report-K7Qm2vx\r\n".repeat(9000).as_slice());
    let mut failure = refused();
    let text = "no\r\n\r\n--report-K7Qm2v\r\nX: \u{202e}y".to_owned();
    failure.outcome =
        Outcome::Refused { host: Some("mx\r\n.example".into()), reply: Reply::bare(550, text), by_peer: true };
    let message = report_of(&entry, &[to("\"b \\\" c\"@strict.example", failure)]).expect("somebody to tell");
    let whole = whole(&message);
    assert!(whole.len() < 3 * ORIGINAL_HEADER_MAX, "bounded: {}", whole.len());
    let boundary = whole.split_once("boundary=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a boundary").0;
    let marks = whole.lines().filter(|line| line.starts_with(&format!("--{boundary}"))).count();
    assert_eq!(marks, 4, "three parts and the end");
    assert!(whole.contains("alternative; boundary=\"words-"), "two ways to read the first of them");
    assert!(whole.contains("To: undisclosed-recipients:;\n") && !whole.contains("In-Reply-To"));
    assert!(message.text.replace('\n', " ").contains("too long to be attached whole"));
    assert_eq!(whole.matches("Action:").count(), 1);
}

fn delayed() -> Action {
    let last = LastRound { at: NOW + 14_000, outcome: greylisted(), reasons: Vec::new() };
    Action::Delayed(Delay { waited_secs: 4 * 3600, last, until: ARRIVED + FIVE_DAYS })
}

fn relayed() -> Action {
    Action::Relayed(Box::new(Delivery {
        host: "mx.plain.example".into(),
        address: "198.51.100.9:25".into(),
        reply: Reply::new(250, (0, 0), "queued as 7"),
        tls: None,
        in_clear: None,
        dsn: false,
        demanded: Vec::new(),
        published: Vec::new(),
    }))
}

/// RFC 3461: the sender's own names, and each recipient's action.
#[test]
fn a_delay_a_relaying_and_a_failure_in_one_report() {
    let orcpt = |text: &str| RecipientDsn { notify: "SUCCESS,FAILURE,DELAY".parse().ok(), orcpt: text.parse().ok() };
    let recipients = [(0, orcpt("rfc822;b+2Bob@old.example")), (1, orcpt("utf-8;j\u{fc}rgen@old.example"))].into();
    let dsn = Dsn { envid: Some("QQ 314".into()), ret: Some(Ret::Full), recipients };
    let at = |index, address: &str, action| Recipient { index, mailbox: mailbox(address), action };
    let recipients = [
        at(0, "bob@strict.example", delayed()),
        at(1, "juergen@plain.example", relayed()),
        at(2, "carol@strict.example", Action::Failed(refused())),
    ];
    golden!("delayed-relayed.eml", recipients, Entry { dsn, ..original() });
}
