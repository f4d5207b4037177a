//! What is counted of one domain on one day: sessions by policy, and those that failed by what failed (§4.2, §4.3).
//!
//! Everything is bounded: beyond the bounds a session is still counted, with less detail.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Domain;
use crate::facts::{ChainVerdict, ChannelFacts, ChannelState};
use crate::report::tame_ascii;

/// Policies told apart in one report: a domain that changes its policy all day is told the rest together.
const POLICIES_MAX: usize = 32;
/// Failures told apart under one policy.
const FAILURES_MAX: usize = 100;
/// Characters of a failure's reason: it may quote a peer.
const REASON_MAX: usize = 200;

/// The kind of a policy (§4.4, `policy-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyType {
    /// TLSA records (RFC 7672).
    Tlsa,
    /// MTA-STS (RFC 8461).
    Sts,
    /// Neither.
    NoPolicyFound,
}

/// The policy that a session was held to, as the report names it (§4.4, `policy`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// Its kind.
    #[serde(rename = "policy-type")]
    pub kind: PolicyType,
    /// TLSA records, or the lines of an MTA-STS policy.
    #[serde(rename = "policy-string", default, skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// Of DANE the name that the TLSA records are found at (RFC 7672 §2.2.3), of others the recipient's domain.
    #[serde(rename = "policy-domain")]
    pub domain: String,
    /// Of MTA-STS: the patterns of hosts.
    #[serde(rename = "mx-host", default, skip_serializing_if = "Vec::is_empty")]
    pub mx_host: Vec<String>,
}

/// What failed (§4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResultType {
    /// The host did not offer STARTTLS, or refused it.
    StarttlsNotSupported,
    /// The certificate does not name the host.
    CertificateHostMismatch,
    /// It is out of date.
    CertificateExpired,
    /// It leads to no trusted root.
    CertificateNotTrusted,
    /// Anything else.
    ValidationFailure,
    /// No TLSA record can be used.
    TlsaInvalid,
    /// The TLSA records could not be had under DNSSEC.
    DnssecInvalid,
    /// DANE was demanded here, and there are no TLSA records.
    DaneRequired,
    /// The policy could not be fetched.
    StsPolicyFetchError,
    /// The policy cannot be read.
    StsPolicyInvalid,
    /// The certificate of the policy's web server does not do.
    StsWebpkiInvalid,
}

/// One session that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFailure {
    /// What failed.
    pub result: ResultType,
    /// In words, for `failure-reason-code`; may quote a peer.
    pub reason: String,
}

/// One connection, or the one that would have been, under one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What it was held to.
    pub policy: Policy,
    /// What came of it.
    pub result: Result<(), SessionFailure>,
    /// The host's name.
    pub host: String,
    /// Its address, where it was connected.
    pub address: Option<IpAddr>,
    /// Ours on that connection.
    pub from: Option<IpAddr>,
}

/// Sessions of one kind of failure (§4.4, `failure-details`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FailureDetails {
    /// What failed.
    pub result_type: ResultType,
    /// Our address on those connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_mta_ip: Option<IpAddr>,
    /// The host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_hostname: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_ip: Option<IpAddr>,
    /// How many.
    pub failed_session_count: u64,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason_code: Option<String>,
}

/// How many sessions (§4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// That were secured as the policy asks.
    pub total_successful_session_count: u64,
    /// That were not.
    pub total_failure_session_count: u64,
}

/// One policy with what was counted under it (§4.4, `policies`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyResult {
    /// The policy.
    pub policy: Policy,
    /// The sessions.
    pub summary: Summary,
    /// Those that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_details: Vec<FailureDetails>,
}

/// The sessions of one domain on one day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts(Vec<PolicyResult>);

impl Counts {
    /// Counts one session of a report about this domain.
    pub fn add(&mut self, session: Session, about: &Domain) {
        let Session { mut policy, result, host, address, from } = session;
        let known = self.0.iter().position(|counted| counted.policy == policy);
        if known.is_none() && self.0.len() >= POLICIES_MAX {
            policy = Policy { text: Vec::new(), domain: about.to_string(), mx_host: Vec::new(), ..policy };
        }
        let at = self.0.iter().position(|counted| counted.policy == policy).unwrap_or_else(|| {
            self.0.push(PolicyResult { policy, summary: Summary::default(), failure_details: Vec::new() });
            self.0.len() - 1
        });
        self.0[at].add(result, host, address, from);
    }

    /// By policy, in the order in which they were met.
    pub fn policies(&self) -> &[PolicyResult] {
        &self.0
    }

    /// Of all policies together.
    pub fn summary(&self) -> Summary {
        self.0.iter().fold(Summary::default(), |sum, counted| Summary {
            total_successful_session_count: sum
                .total_successful_session_count
                .saturating_add(counted.summary.total_successful_session_count),
            total_failure_session_count: sum
                .total_failure_session_count
                .saturating_add(counted.summary.total_failure_session_count),
        })
    }
}

impl PolicyResult {
    fn add(&mut self, result: Result<(), SessionFailure>, host: String, address: Option<IpAddr>, from: Option<IpAddr>) {
        let Err(SessionFailure { result: result_type, reason }) = result else {
            self.summary.total_successful_session_count += 1;
            return;
        };
        self.summary.total_failure_session_count += 1;
        let reason = Some(tame_ascii(&reason, REASON_MAX)).filter(|reason| !reason.is_empty());
        let mut details = FailureDetails {
            result_type,
            sending_mta_ip: from,
            receiving_mx_hostname: Some(host),
            receiving_ip: address,
            failed_session_count: 0,
            failure_reason_code: reason,
        };
        if self.place_of(&details).is_none() && self.failure_details.len() >= FAILURES_MAX {
            details = FailureDetails {
                sending_mta_ip: None,
                receiving_mx_hostname: None,
                receiving_ip: None,
                failure_reason_code: None,
                ..details
            };
        }
        let at = self.place_of(&details).unwrap_or_else(|| {
            self.failure_details.push(details);
            self.failure_details.len() - 1
        });
        self.failure_details[at].failed_session_count += 1;
    }

    fn place_of(&self, details: &FailureDetails) -> Option<usize> {
        self.failure_details.iter().position(|known| known.is_of_kind(details))
    }
}

impl FailureDetails {
    /// The same but for their number.
    fn is_of_kind(&self, other: &FailureDetails) -> bool {
        (self.result_type, self.sending_mta_ip, self.receiving_ip)
            == (other.result_type, other.sending_mta_ip, other.receiving_ip)
            && self.receiving_mx_hostname == other.receiving_mx_hostname
            && self.failure_reason_code == other.failure_reason_code
    }
}

impl SessionFailure {
    /// What a channel lacks of what MTA-STS asks (RFC 8461 §4): TLS, a trusted chain, the host's name.
    pub fn of_chain(channel: &ChannelFacts) -> Result<(), SessionFailure> {
        SessionFailure::of_no_tls(channel)?;
        let Some(handshake) = &channel.handshake else { return Ok(()) };
        let failure = |result, reason: &str| Err(SessionFailure { result, reason: reason.to_owned() });
        match handshake.chain {
            ChainVerdict::Trusted if handshake.name_matches => Ok(()),
            ChainVerdict::Trusted => {
                let names = handshake.certificates.first().map(|leaf| leaf.dns_names.join(", ")).unwrap_or_default();
                failure(ResultType::CertificateHostMismatch, &format!("the certificate names {names}"))
            }
            ChainVerdict::CertificateExpired => failure(ResultType::CertificateExpired, ""),
            ChainVerdict::CertificateNotTrusted => failure(ResultType::CertificateNotTrusted, ""),
            ChainVerdict::ValidationFailure => failure(ResultType::ValidationFailure, ""),
            ChainVerdict::None => failure(ResultType::ValidationFailure, "the host has no certificate"),
        }
    }

    /// What a channel lacks of what TLSA records ask (RFC 7672): TLS, and a certificate that one of them names.
    pub fn of_dane(channel: &ChannelFacts) -> Result<(), SessionFailure> {
        SessionFailure::of_no_tls(channel)?;
        match &channel.handshake {
            Some(handshake) if handshake.dane.is_none() => Err(SessionFailure {
                result: ResultType::ValidationFailure,
                reason: "no TLSA record names the certificate".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// That a channel is not secured at all.
    pub fn of_no_tls(channel: &ChannelFacts) -> Result<(), SessionFailure> {
        let result = match channel.state {
            ChannelState::Secured => return Ok(()),
            ChannelState::NotOffered | ChannelState::Refused => ResultType::StarttlsNotSupported,
            ChannelState::Failed | ChannelState::Inconclusive => ResultType::ValidationFailure,
        };
        Err(SessionFailure { result, reason: channel.detail.clone() })
    }
}

impl ResultType {
    /// Of the word of §4.3.
    pub fn of_word(word: &str) -> Option<ResultType> {
        serde_json::from_value(serde_json::Value::from(word)).ok()
    }
}

#[cfg(test)]
mod tests;
