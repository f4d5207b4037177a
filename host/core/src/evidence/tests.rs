//! What is counted of which record, and that no stranger's word becomes part of the page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::*;
use crate::address::Mailbox;
use crate::facts::ChannelState;
use crate::floor::{Demand, Source};
use crate::ledger::{ArrivalRecord, LedgerEvent};
use crate::outcome::{Delivery, FloorUnmet, HostUnmet, Outcome, TlsEvidence};
use crate::reason::Reason;
use crate::reply::Reply;
use crate::time::rfc3339;

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).expect("a mailbox")
}

fn partner() -> Domain {
    Domain::parse("partner.example").expect("a domain")
}

fn reason(rule: &str) -> Reason {
    Reason { policy: "secure-transport".into(), rule: rule.into(), text: "said".into(), matched: None, detail: None }
}

fn arrival(from: &[&str], envelope: &str, tls: Option<&str>) -> ArrivalRecord {
    ArrivalRecord {
        unit: vec!["root".to_owned()],
        client: Some("192.0.2.1".into()),
        tls: tls.map(ToOwned::to_owned),
        envelope_sender: (!envelope.is_empty()).then(|| mailbox(envelope)),
        recipients: vec![mailbox("bob@ours.example")],
        header_from: from.iter().map(|text| mailbox(text)).collect(),
        generation: 1,
        flagged_by: vec!["content".into()],
        size: None,
        noted: Vec::new(),
    }
}

fn turned_away(arrival: ArrivalRecord, code: u16, rules: &[&str]) -> LedgerEvent {
    let reasons = rules.iter().map(|rule| reason(rule)).collect();
    LedgerEvent::TurnedAway { arrival, reply: Reply::new(code, (7, 10), "no"), reasons }
}

const TLS: Option<&str> = Some("TLSv1.3 TLS_AES_256_GCM_SHA384");
const ANN: &str = "ann@partner.example";

#[test]
fn messages_of_the_domain_are_counted_at_the_door() {
    let rows = [
        (LedgerEvent::Accepted(arrival(&[ANN], "x@elsewhere.example", TLS)), true),
        (
            LedgerEvent::Accepted(ArrivalRecord {
                noted: vec![reason("exception"), reason("R1-observed")],
                ..arrival(&["x@elsewhere.example", "Ann@PARTNER.example"], "", None)
            }),
            true,
        ),
        (LedgerEvent::Accepted(arrival(&["x@elsewhere.example"], ANN, TLS)), false),
        (LedgerEvent::Accepted(arrival(&["ann@sub.partner.example"], "", TLS)), false),
        (LedgerEvent::Accepted(ArrivalRecord { client: None, ..arrival(&[ANN], "", None) }), false),
        (turned_away(arrival(&[ANN], "", None), 550, &["R1", "R6"]), true),
        (turned_away(arrival(&[], ANN, TLS), 550, &[]), true),
        (turned_away(arrival(&[ANN], "", TLS), 451, &[]), true),
        (LedgerEvent::Alert { text: ANN.into() }, false),
    ];
    let mut inbound = Inbound::default();
    for (event, counted) in rows {
        assert_eq!(inbound.count(&partner(), &event), counted, "{event:?}");
    }
    let of = |counts: &Counts| counts.counts.iter().map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>();
    assert_eq!((inbound.accepted, inbound.accepted_in_clear), (2, 1));
    let noted = ["rule R1-observed of policy secure-transport 1", "rule exception of policy secure-transport 1"];
    assert_eq!(of(&inbound.accepted_with), noted);
    assert_eq!((inbound.refused, inbound.refused_in_clear, inbound.deferred), (2, 1, 1));
    assert_eq!(of(&inbound.tls_versions), ["TLSv1.3 1"]);
    assert_eq!(of(&inbound.cipher_suites), ["TLS_AES_256_GCM_SHA384 1"]);
    let by = [
        "451 4.7.10 1",
        "550 5.7.10 1",
        "rule R1 of policy secure-transport 1",
        "rule R6 of policy secure-transport 1",
    ];
    assert_eq!(of(&inbound.turned_away_by), by);
    assert_eq!(
        (of(&inbound.clients), of(&inbound.flagged_by)),
        (vec!["192.0.2.1 5".to_owned()], vec!["content 5".to_owned()])
    );
}

fn attempted(to: &str, result: Outcome) -> LedgerEvent {
    LedgerEvent::Attempted {
        unit: vec!["root".to_owned()],
        recipient: mailbox(to),
        generation: 1,
        round: 1,
        route: "mx".into(),
        floor: vec![(Demand::Tls, Source::Rule { policy: "secure-transport".into(), rule: "R2".into() })],
        fallback: Vec::new(),
        reasons: vec![reason("R2")],
        result,
        settlement: String::new(),
        took_ms: 1,
    }
}

fn delivered(tls: Option<TlsEvidence>) -> Outcome {
    let source = |fetched_at| Source::MtaSts { domain: "partner.example".into(), id: "7".into(), fetched_at };
    Outcome::Delivered(Delivery {
        host: "mx.partner.example".into(),
        address: "192.0.2.2:25".into(),
        reply: Reply::new(250, (0, 0), "ok"),
        tls: tls.map(Box::new),
        in_clear: None,
        dsn: false,
        demanded: vec![(Demand::MatchingName, source(1)), (Demand::MatchingName, source(2))],
        published: Vec::new(),
    })
}

fn evidence(chain: &str, name_matches: bool, dane: bool) -> TlsEvidence {
    TlsEvidence {
        version: "TLSv1.2".into(),
        revocation: String::new(),
        cipher_suite: "TLS_X".into(),
        key_exchange: "X25519".into(),
        chain: chain.into(),
        name_matches,
        names: ["a", "b", "c", "d"].map(ToOwned::to_owned).to_vec(),
        sha256: "ab".into(),
        resumed: false,
        requiretls: false,
        dane: dane.then(|| crate::dane::Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] }),
    }
}

#[test]
fn rounds_for_recipients_of_the_domain_are_counted() {
    let unmet = FloorUnmet {
        hosts: vec![HostUnmet {
            withdrawn: false,
            host: "mx".into(),
            address: String::new(),
            channel: ChannelState::NotOffered,
            unmet: vec![(Demand::Tls, Source::Route("mx".into()))],
            objection: Some((Reply::new(550, (7, 1), "no"), vec![reason("R9")])),
            found: String::new(),
            conclusive: true,
        }],
        not_asked: Vec::new(),
    };
    let reply = Reply::bare(550, "no");
    let results = [
        delivered(Some(evidence("trusted", true, true))),
        delivered(Some(evidence("trusted", false, false))),
        delivered(Some(evidence("self-signed", false, true))),
        delivered(None),
        Outcome::FloorUnmet(unmet),
        Outcome::Refused { host: None, reply, by_peer: true },
        Outcome::Inconclusive { host: None, why: String::new(), reply: None },
    ];
    let rounds = results.len() as u64;
    let mut outbound = Outbound::default();
    for result in results {
        assert!(outbound.count(&partner(), &attempted("bob@Partner.Example", result)));
    }
    assert!(!outbound.count(&partner(), &attempted("bob@sub.partner.example", delivered(None))));
    let reported = |recipients: &[&str]| LedgerEvent::Reported {
        unit: vec!["root".to_owned()],
        report: None,
        recipients: recipients.iter().map(|text| mailbox(text)).collect(),
        text: String::new(),
    };
    assert!(outbound.count(&partner(), &reported(&["a@partner.example", "b@partner.example", "c@x.example"])));
    assert!(!outbound.count(&partner(), &reported(&["c@x.example"])));

    let of = |counts: &Counts| counts.counts.iter().map(|(word, count)| format!("{word}: {count}")).collect::<Vec<_>>();
    assert_eq!((outbound.delivered, outbound.delivered_in_clear), (4, 1));
    assert_eq!(
        (outbound.floor_unmet, outbound.inconclusive, outbound.failed_decisions, outbound.reported),
        (1, 1, 0, 2)
    );
    assert_eq!(of(&outbound.verified), ["ca-and-name: 1", "dane: 1", "not-verified: 1"]);
    assert_eq!(of(&outbound.certificates), ["ab a, b, c: 3"]);
    assert_eq!(of(&outbound.refused), ["550: 1"]);
    let demanded = [
        format!("TLS, by rule R2 of policy secure-transport: {rounds}"),
        "a certificate that names the host, by MTA-STS policy 7 of partner.example: 8".to_owned(),
    ];
    assert_eq!(of(&outbound.demanded), demanded);
    assert_eq!(of(&outbound.unmet), ["TLS, by route mx: 1", "objection, by rule R9 of policy secure-transport: 1"]);
}

#[test]
fn strangers_words_are_bounded_and_none_is_left_out() {
    let mut inbound = Inbound::default();
    for client in 0..1000 {
        let arrival =
            ArrivalRecord { client: Some(format!("{client}{}", "é".repeat(1000))), ..arrival(&[ANN], "", TLS) };
        inbound.count(&partner(), &LedgerEvent::Accepted(arrival));
    }
    let clients = &inbound.clients;
    assert_eq!((clients.counts.len(), clients.others, clients.total()), (200, 800, 1000));
    assert!(clients.counts.keys().all(|word| word.len() <= 500));
}

const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{202e}\u{1b}[2J\r\n<!--";

#[test]
fn no_strangers_word_becomes_part_of_the_page() {
    let counts = Counts { counts: [(HOSTILE.to_owned(), 7)].into(), others: 3 };
    let c = || counts.clone();
    let inbound = Inbound {
        tls_versions: c(),
        cipher_suites: c(),
        turned_away_by: c(),
        accepted_with: c(),
        flagged_by: c(),
        clients: c(),
        ..Inbound::default()
    };
    let outbound = Outbound {
        tls_versions: c(),
        cipher_suites: c(),
        verified: c(),
        hosts: c(),
        certificates: c(),
        routes: c(),
        demanded: c(),
        reasons: c(),
        unmet: c(),
        refused: c(),
        ..Outbound::default()
    };
    let evidence = Evidence {
        format: FORMAT.into(),
        relay: HOSTILE.into(),
        domain: partner(),
        month: "2026-11".parse().expect("a month"),
        made_at: HOSTILE.into(),
        covers: Covers::default(),
        inbound,
        outbound,
        settings: vec![InForce::of(1, 0, HOSTILE.into(), HOSTILE.into(), HOSTILE.into())],
        audit_head: Head::default(),
    };
    let evidence = serde_json::to_value(&evidence).expect("JSON");
    let signed = Signed { evidence, key: HOSTILE.into(), signature: HOSTILE.into() };
    let page = signed.html().expect("a page");
    for word in ["<script", "alert(1)</", "\u{202e}", "\u{1b}", "\r", "<!--", "\"'&"] {
        assert!(!page.contains(word), "{word:?} in\n{page}");
    }
    let escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\\u{202e}\\u{1b}[2J\\r\\n&lt;!--";
    // 16 tables, relay, time, three cells, key and signature.
    assert_eq!(page.matches(escaped).count(), 23, "{page}");
    assert!(page.contains("kept no longer") && page.contains("not over"), "{page}");
    // The policy names the page's style, and no other would do.
    let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).expect("a style").0;
    let digest = STANDARD.encode(Sha256::digest(style));
    assert_eq!(style_hash(), format!("sha256-{digest}"));
    assert!(page.contains(&format!("style-src 'sha256-{digest}'\"")), "{page}");
    // The signed text has one form, and no line end within.
    let octets = String::from_utf8(Signed::signed_octets(&signed.evidence)).expect("text");
    assert_eq!(octets.lines().count(), 2);
    assert!(octets.starts_with("sealwire-evidence-1\n{\"audit-head\":\"0:000"), "{octets}");
}

#[test]
fn months_are_of_utc() {
    let rows = [
        ("2026-11", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
    ];
    for (text, begins, ends) in rows {
        let month: Month = text.parse().expect(text);
        assert_eq!((rfc3339(month.begins()).as_str(), rfc3339(month.ends()).as_str()), (begins, ends));
    }
    for wrong in ["", "2026", "2026-0", "2026-13", "2026-1", "26-11", "2026-11-01", "1969-12", "9999-12", "+026-11"] {
        assert!(wrong.parse::<Month>().is_err(), "{wrong}");
    }
}
