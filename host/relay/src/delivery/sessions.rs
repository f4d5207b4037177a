//! What one connection came to under each policy of its host, for TLS reports (RFC 8460).
//!
//! A host that did not get as far as answering EHLO is no session; one that was not connected, because its policy does not list it
//! or its TLSA records are not to be had, is a failed one. Of two connections to a host of opportunistic mail, by TLS and then in
//! clear, the first counts.

use std::net::IpAddr;

use sealwire_core::address::Domain;
use sealwire_core::facts::ChannelFacts;
use sealwire_core::plan::HostName;
use sealwire_core::sts::{Mode, StsPolicy};
use sealwire_core::tlsrpt::{Policy, PolicyType, ResultType, Session, SessionFailure, is_tls_report};

use super::Delivering;
use super::connection::{Connection, OpenError};
use super::dane::Dane;
use super::hosts::HostToAsk;
use super::published::{OfPolicy, Published};

type Result = std::result::Result<(), SessionFailure>;

impl Delivering<'_> {
    /// Counts what `sessions` tells of a host of the domain that is reported to: the recipient's, or the smart host's.
    pub(super) fn count(&self, host: &HostToAsk, sessions: impl FnOnce(&Domain) -> Vec<Session>) {
        let Some(about) = &host.policy_domain else { return };
        // RFC 8460 §3: what carries reports is not counted, or two that report to each other never end. And mail that needs no
        // TLS asks for no policy (RFC 8689 §4.1).
        let is_counted = self.live.config.tls_reports.is_some()
            && !self.message.tls_not_required
            && !is_tls_report(&self.message.fields);
        if is_counted && !self.relay.tls_reports.count(self.relay.world.now(), about, sessions(about)) {
            let text = "TLS reports count no further domains today: there are too many".to_owned();
            self.relay.alert_once("tls-reports", text);
        }
    }
}

/// The two ends of a connection.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    /// Ours.
    pub(super) from: Option<IpAddr>,
    /// The host's.
    pub(super) to: IpAddr,
}

/// What became of the channel of a host that got as far as answering EHLO, and our own address.
pub(super) fn channel_of(
    opened: &std::result::Result<Connection, OpenError>,
) -> Option<(ChannelFacts, Option<IpAddr>)> {
    match opened {
        Ok(connection) => Some((connection.channel.clone(), connection.from)),
        Err(OpenError::Handshake { state, detail, from }) => {
            Some((ChannelFacts { state: *state, detail: detail.clone(), handshake: None }, *from))
        }
        Err(OpenError::NotAnswered(..) | OpenError::NoWay(_)) => None,
    }
}

impl Published {
    /// What a connection that gave this channel came to, one for each policy that was applied.
    pub(super) fn sessions(&self, about: &Domain, channel: &ChannelFacts, host: &HostName, ends: Ends) -> Vec<Session> {
        let dane = self.dane.iter().map(|dane| (of_dane(dane), under_dane(dane, channel)));
        let sts = self.sts.iter().filter(|_| !self.authenticated);
        let sts = sts.map(|sts| (of_policy(sts, about), under_policy(sts, channel)));
        let mut results: Vec<(Policy, Result)> = dane.chain(sts).collect();
        if results.is_empty() {
            results.push((policy(PolicyType::NoPolicyFound, about.to_string()), SessionFailure::of_no_tls(channel)));
        }
        let Ends { from, to } = ends;
        let session = |(policy, result)| Session { policy, result, host: host.to_string(), address: Some(to), from };
        results.into_iter().map(session).collect()
    }

    /// The policy does not list the host, which therefore was not connected.
    pub(super) fn unlisted(&self, host: &HostName) -> Option<Session> {
        match &self.sts {
            Some(sts @ OfPolicy::Held { domain, listed: false, .. }) => Some(Session {
                policy: of_policy(sts, domain),
                result: not_listed(),
                host: host.to_string(),
                address: None,
                from: None,
            }),
            _ => None,
        }
    }
}

/// The TLSA records of this name are not to be had: a host that was not connected.
pub(super) fn without_tlsa(base: String, host: &HostName, why: &str) -> Session {
    let failure = SessionFailure { result: ResultType::DnssecInvalid, reason: why.to_owned() };
    let (policy, host) = (policy(PolicyType::Tlsa, base), host.to_string());
    Session { policy, result: Err(failure), host, address: None, from: None }
}

fn policy(kind: PolicyType, domain: String) -> Policy {
    Policy { kind, text: Vec::new(), domain, mx_host: Vec::new() }
}

fn of_dane(dane: &Dane) -> Policy {
    let text = dane.check.records.iter().map(ToString::to_string).collect();
    Policy { text, ..policy(PolicyType::Tlsa, dane.check.base.clone()) }
}

fn under_dane(dane: &Dane, channel: &ChannelFacts) -> Result {
    if dane.authenticates() {
        return SessionFailure::of_dane(channel);
    }
    SessionFailure::of_no_tls(channel)?;
    Err(SessionFailure { result: ResultType::TlsaInvalid, reason: "no TLSA record can be used".to_owned() })
}

fn of_policy(sts: &OfPolicy, about: &Domain) -> Policy {
    match sts {
        OfPolicy::Fault(_) => policy(PolicyType::Sts, about.to_string()),
        OfPolicy::Held { domain, held, .. } => {
            let mx_host: Vec<String> = held.policy.mx.iter().map(ToString::to_string).collect();
            Policy { text: lines(&held.policy), mx_host, ..policy(PolicyType::Sts, domain.to_string()) }
        }
    }
}

fn under_policy(sts: &OfPolicy, channel: &ChannelFacts) -> Result {
    match sts {
        OfPolicy::Fault(fault) => {
            let result = ResultType::of_word(fault.word()).unwrap_or(ResultType::StsPolicyFetchError);
            Err(SessionFailure { result, reason: fault.to_string() })
        }
        OfPolicy::Held { listed, .. } => {
            SessionFailure::of_chain(channel)?;
            if *listed { Ok(()) } else { not_listed() }
        }
    }
}

fn not_listed() -> Result {
    let reason = "the policy does not list the host".to_owned();
    Err(SessionFailure { result: ResultType::ValidationFailure, reason })
}

/// The policy as its domain would write it (RFC 8461 §3.2).
fn lines(policy: &StsPolicy) -> Vec<String> {
    let mode = match policy.mode {
        Mode::Enforce => "enforce",
        Mode::Testing => "testing",
        Mode::None => "none",
    };
    let head = ["version: STSv1".to_owned(), format!("mode: {mode}")].into_iter();
    let mx = policy.mx.iter().map(|pattern| format!("mx: {pattern}"));
    head.chain(mx).chain([format!("max_age: {}", policy.max_age)]).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use sealwire_core::dane::Tlsa;
    use sealwire_core::facts::{ChainVerdict, ChannelState, Handshake, TlsVersion};
    use sealwire_core::floor::{Demand, Source};

    use super::*;
    use crate::sts::{FetchFault, Held};
    use crate::tls::DaneCheck;

    fn domain() -> Domain {
        Domain::parse("d.test").expect("a domain")
    }

    fn dane(record: Option<&str>) -> Dane {
        let records = record.map(|record| record.parse::<Tlsa>().expect("a record")).into_iter().collect();
        let check = DaneCheck { records, base: "mx.d.test".into(), names: Vec::new() };
        Dane { demand: (Demand::Tls, Source::Dane { name: "_25._tcp.mx.d.test".into(), looked_up_at: 0 }), check }
    }

    fn held(mode: Mode, listed: bool) -> OfPolicy {
        let mx = vec!["*.d.test".parse().expect("a pattern"), "b.test".parse().expect("a pattern")];
        let policy = StsPolicy { mode, max_age: 7, mx };
        let held = Arc::new(Held { id: "1".into(), policy, fetched_at: 0, used_at: 0 });
        OfPolicy::Held { domain: domain(), held, listed }
    }

    fn secured(dane: Option<&str>) -> ChannelFacts {
        let handshake = Handshake {
            version: TlsVersion::TLS13,
            cipher_suite: String::new(),
            key_exchange: String::new(),
            server_name: None,
            implicit: false,
            resumed: false,
            chain: ChainVerdict::Trusted,
            name_matches: true,
            certificates: Vec::new(),
            dane: dane.map(|record| record.parse().expect("a record")),
            revocation: Default::default(),
        };
        ChannelFacts { state: ChannelState::Secured, detail: String::new(), handshake: Some(Arc::new(handshake)) }
    }

    const ENDS: Ends =
        Ends { from: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9))), to: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)) };
    const RECORD: Option<&str> = Some("3 1 1 00ff");

    /// Each row: what is published, the channel, and the sessions as (type, policy domain, policy, result).
    #[test]
    fn a_session_is_held_to_what_is_published() {
        use PolicyType::{NoPolicyFound, Sts, Tlsa};
        let clear = || ChannelFacts { state: ChannelState::NotOffered, detail: String::new(), handshake: None };
        let lines = |mode: &str| format!("version: STSv1|mode: {mode}|mx: *.d.test|mx: b.test|max_age: 7");
        let published = |dane, sts, authenticated| Published { dane, sts, authenticated, unproven: None };
        let unlisted = ResultType::ValidationFailure;
        type Row = (Published, ChannelFacts, Vec<(PolicyType, &'static str, String, Option<ResultType>)>);
        let none = String::new;
        let rows: Vec<Row> = vec![
            (published(None, None, false), secured(None), vec![(NoPolicyFound, "d.test", none(), None)]),
            (
                published(None, None, false),
                clear(),
                vec![(NoPolicyFound, "d.test", none(), Some(ResultType::StarttlsNotSupported))],
            ),
            (
                published(Some(dane(RECORD)), None, true),
                secured(RECORD),
                vec![(Tlsa, "mx.d.test", "3 1 1 00ff".into(), None)],
            ),
            (
                published(Some(dane(RECORD)), None, true),
                secured(None),
                vec![(Tlsa, "mx.d.test", "3 1 1 00ff".into(), Some(ResultType::ValidationFailure))],
            ),
            // Where DANE authenticates, MTA-STS is not applied (RFC 8461 section 2); where it does not, both are.
            (
                published(Some(dane(RECORD)), Some(held(Mode::Enforce, false)), true),
                secured(RECORD),
                vec![(Tlsa, "mx.d.test", "3 1 1 00ff".into(), None)],
            ),
            (
                published(Some(dane(None)), Some(held(Mode::Enforce, true)), false),
                secured(None),
                vec![
                    (Tlsa, "mx.d.test", none(), Some(ResultType::TlsaInvalid)),
                    (Sts, "d.test", lines("enforce"), None),
                ],
            ),
            (
                published(None, Some(held(Mode::Testing, false)), false),
                secured(None),
                vec![(Sts, "d.test", lines("testing"), Some(unlisted))],
            ),
            (
                published(None, Some(held(Mode::Testing, true)), false),
                clear(),
                vec![(Sts, "d.test", lines("testing"), Some(ResultType::StarttlsNotSupported))],
            ),
            (
                published(None, Some(OfPolicy::Fault(FetchFault::WebPki("why".into()))), false),
                secured(None),
                vec![(Sts, "d.test", none(), Some(ResultType::StsWebpkiInvalid))],
            ),
        ];
        let host: HostName = "mx.d.test".parse().expect("a host");
        for (number, (published, channel, expected)) in rows.into_iter().enumerate() {
            let sessions = published.sessions(&domain(), &channel, &host, ENDS);
            assert!(sessions.iter().all(|s| (s.from, s.address) == (ENDS.from, Some(ENDS.to))), "row {number}");
            let found: Vec<_> = sessions
                .iter()
                .map(|s| {
                    let result = s.result.as_ref().err().map(|failure| failure.result);
                    (s.policy.kind, s.policy.domain.as_str(), s.policy.text.join("|"), result)
                })
                .collect();
            assert_eq!(found, expected, "row {number}");
        }
    }

    #[test]
    fn a_host_that_is_not_connected_is_a_failed_session_where_its_policy_says_so() {
        let host: HostName = "mx.other.test".parse().expect("a host");
        let of = |sts| Published { dane: None, sts, authenticated: false, unproven: None }.unlisted(&host);
        let session = of(Some(held(Mode::Enforce, false))).expect("a session");
        assert_eq!(session.policy.mx_host, ["*.d.test", "b.test"]);
        assert_eq!(session.result, not_listed());
        assert_eq!(of(Some(held(Mode::Enforce, true))), None);
        assert_eq!(of(None), None);
        let session = without_tlsa("mx.other.test".into(), &host, "SERVFAIL");
        assert_eq!((session.policy.kind, session.policy.domain.as_str()), (PolicyType::Tlsa, "mx.other.test"));
        assert_eq!(session.result.expect_err("failed").result, ResultType::DnssecInvalid);
    }
}
