//! Tables: channels and what they fail of, sessions and what is counted.

use std::sync::Arc;

use super::*;
use crate::facts::{Handshake, TlsVersion};

fn about() -> Domain {
    Domain::parse("d.test").expect("a domain")
}

fn policy(text: &str) -> Policy {
    Policy { kind: PolicyType::Sts, text: vec![text.into()], domain: "d.test".into(), mx_host: Vec::new() }
}

fn failed(result: ResultType, reason: &str) -> Result<(), SessionFailure> {
    Err(SessionFailure { result, reason: reason.into() })
}

fn session(text: &str, host: &str, result: Result<(), SessionFailure>) -> Session {
    Session { policy: policy(text), result, host: host.into(), address: None, from: None }
}

fn handshake(chain: ChainVerdict, name_matches: bool, dane: Option<&str>) -> ChannelFacts {
    let handshake = Handshake {
        version: TlsVersion::TLS13,
        cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
        key_exchange: "x25519".into(),
        server_name: None,
        implicit: false,
        resumed: false,
        chain,
        name_matches,
        certificates: Vec::new(),
        dane: dane.map(|record| record.parse().expect("a TLSA record")),
        revocation: Default::default(),
    };
    ChannelFacts { state: ChannelState::Secured, detail: String::new(), handshake: Some(Arc::new(handshake)) }
}

fn unsecured(state: ChannelState) -> ChannelFacts {
    ChannelFacts { state, detail: "454 later".into(), handshake: None }
}

/// Each row: a channel, and what it comes to where nothing is published, under MTA-STS, under DANE.
#[test]
fn a_channel_fails_of_what_its_policy_asks() {
    use ResultType as R;
    let rows: [(ChannelFacts, [Option<R>; 3]); 11] = [
        (handshake(ChainVerdict::Trusted, true, None), [None, None, Some(R::ValidationFailure)]),
        (handshake(ChainVerdict::Trusted, true, Some("3 1 1 00")), [None, None, None]),
        (
            handshake(ChainVerdict::Trusted, false, None),
            [None, Some(R::CertificateHostMismatch), Some(R::ValidationFailure)],
        ),
        (
            handshake(ChainVerdict::CertificateNotTrusted, false, Some("3 1 1 00")),
            [None, Some(R::CertificateNotTrusted), None],
        ),
        (
            handshake(ChainVerdict::CertificateExpired, true, Some("3 1 1 00")),
            [None, Some(R::CertificateExpired), None],
        ),
        (handshake(ChainVerdict::ValidationFailure, true, Some("3 1 1 00")), [None, Some(R::ValidationFailure), None]),
        (handshake(ChainVerdict::None, true, Some("3 1 1 00")), [None, Some(R::ValidationFailure), None]),
        (unsecured(ChannelState::NotOffered), [Some(R::StarttlsNotSupported); 3]),
        (unsecured(ChannelState::Refused), [Some(R::StarttlsNotSupported); 3]),
        (unsecured(ChannelState::Failed), [Some(R::ValidationFailure); 3]),
        (unsecured(ChannelState::Inconclusive), [Some(R::ValidationFailure); 3]),
    ];
    for (channel, expected) in rows {
        let found = [
            SessionFailure::of_no_tls(&channel),
            SessionFailure::of_chain(&channel),
            SessionFailure::of_dane(&channel),
        ];
        let found = found.map(|result| result.err().map(|failure| failure.result));
        assert_eq!(found, expected, "{channel:?}");
    }
    let failure = SessionFailure::of_no_tls(&unsecured(ChannelState::Refused)).expect_err("it is not secured");
    assert_eq!(failure.reason, "454 later");
}

#[test]
fn the_words_are_the_standards() {
    let rows = [
        ("starttls-not-supported", ResultType::StarttlsNotSupported),
        ("certificate-host-mismatch", ResultType::CertificateHostMismatch),
        ("certificate-expired", ResultType::CertificateExpired),
        ("certificate-not-trusted", ResultType::CertificateNotTrusted),
        ("validation-failure", ResultType::ValidationFailure),
        ("tlsa-invalid", ResultType::TlsaInvalid),
        ("dnssec-invalid", ResultType::DnssecInvalid),
        ("dane-required", ResultType::DaneRequired),
        ("sts-policy-fetch-error", ResultType::StsPolicyFetchError),
        ("sts-policy-invalid", ResultType::StsPolicyInvalid),
        ("sts-webpki-invalid", ResultType::StsWebpkiInvalid),
    ];
    for (word, result) in rows {
        assert_eq!(ResultType::of_word(word), Some(result));
        assert_eq!(serde_json::to_value(result).expect("a word"), word);
    }
    assert_eq!(ResultType::of_word("trusted"), None);
    let kinds = [PolicyType::Tlsa, PolicyType::Sts, PolicyType::NoPolicyFound];
    assert_eq!(serde_json::to_string(&kinds).expect("words"), r#"["tlsa","sts","no-policy-found"]"#);
}

#[test]
fn sessions_are_told_apart_by_policy_and_failure() {
    let mut counts = Counts::default();
    let refused = || failed(ResultType::StarttlsNotSupported, "a\r\nb");
    for (text, host, result) in [
        ("1", "mx1", Ok(())),
        ("1", "mx2", Ok(())),
        ("1", "mx1", refused()),
        ("2", "mx1", refused()),
        ("1", "mx1", refused()),
        ("1", "mx2", refused()),
    ] {
        counts.add(session(text, host, result), &about());
    }
    // From another address of ours.
    let from = Some([192, 0, 2, 9].into());
    counts.add(Session { from, ..session("2", "mx1", refused()) }, &about());
    let [first, second] = counts.policies() else { panic!("{counts:?}") };
    let sending: Vec<_> = second.failure_details.iter().map(|d| (d.sending_mta_ip, d.failed_session_count)).collect();
    assert_eq!(sending, [(None, 1), (from, 1)]);
    let of = |result: &PolicyResult| {
        (result.summary.total_successful_session_count, result.summary.total_failure_session_count)
    };
    assert_eq!((of(first), of(second)), ((2, 3), (0, 2)));
    let details: Vec<_> = first
        .failure_details
        .iter()
        .map(|d| (d.receiving_mx_hostname.as_deref(), d.failed_session_count, d.failure_reason_code.as_deref()))
        .collect();
    assert_eq!(details, [(Some("mx1"), 2, Some("a  b")), (Some("mx2"), 1, Some("a  b"))]);
    let sum = counts.summary();
    assert_eq!((sum.total_successful_session_count, sum.total_failure_session_count), (2, 5));
    // What is kept is what is told.
    let kept = serde_json::to_string(&counts).expect("JSON");
    assert_eq!(serde_json::from_str::<Counts>(&kept).expect("counts"), counts);
}

#[test]
fn beyond_its_bounds_a_session_is_counted_with_less_detail() {
    let mut counts = Counts::default();
    for n in 0..200 {
        counts.add(session(&n.to_string(), "mx", Ok(())), &about());
    }
    assert_eq!(counts.policies().len(), POLICIES_MAX + 1);
    assert_eq!(counts.policies()[POLICIES_MAX].policy.text, Vec::<String>::new());
    for n in 0..1000 {
        let reason = format!("reason {n}");
        let from = Some([192, 0, 2, 9].into());
        counts.add(Session { from, ..session("0", "mx", failed(ResultType::ValidationFailure, &reason)) }, &about());
    }
    let first = &counts.policies()[0];
    assert_eq!(first.failure_details.len(), FAILURES_MAX + 1);
    assert_eq!(first.failure_details[FAILURES_MAX].failed_session_count, 900);
    let sum = counts.summary();
    assert_eq!((sum.total_successful_session_count, sum.total_failure_session_count), (200, 1000));
}
