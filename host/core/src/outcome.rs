//! What became of one attempt for one recipient: delivered, refused, floor unmet, inconclusive, or a failed decision.
//!
//! `deliver` produces it, `settle` alone decides what follows.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dane::Tlsa;
use crate::decision::FailedDecision;
use crate::facts::{ChainVerdict, ChannelState, RevocationStatus};
use crate::floor::{Demand, PinKind, Sourced};
use crate::reason::Reason;
use crate::reply::Reply;

/// What became of one attempt for one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// The next hop answered 250 to the end of the data.
    Delivered(Delivery),
    /// The next hop refused for good (5xx), or its name does not exist, or it takes no mail (RFC 7505).
    Refused {
        /// Whose reply; None where no host was reached.
        host: Option<String>,
        /// The peer's reply, or ours where no peer spoke.
        reply: Reply,
        /// The reply is a peer's: the report may quote it as `smtp;`.
        by_peer: bool,
    },
    /// No host met the floor, or a policy objected to each.
    FloorUnmet(FloorUnmet),
    /// Nothing was settled: 4xx, time-out, reset, DNS failure.
    Inconclusive {
        /// The last host that spoke or should have.
        host: Option<String>,
        /// What happened, in words.
        why: String,
        /// The peer's reply, if it gave one.
        reply: Option<Reply>,
    },
    /// A policy could not decide: defers, uses up no round (H3).
    FailedDecision(FailedDecision),
}

/// A delivery with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// Host name, A-labels.
    pub host: String,
    /// Address and port connected to.
    pub address: String,
    /// The final reply.
    pub reply: Reply,
    /// None: in clear.
    pub tls: Option<Box<TlsEvidence>>,
    /// Why it went in clear, in words that go on behind the host's name: "did not offer STARTTLS". None: by TLS, or not yet kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_clear: Option<String>,
    /// The host offered DSN: what the sender asked to be told is its business now (RFC 3461 §5.2.1).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dsn: bool,
    /// What the host's own side demanded besides the plan's floor: DANE, MTA-STS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub demanded: Vec<Sourced>,
    /// What is published about the host, and what it came to: as policies are told, (kind, verdict).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<(String, String)>,
}

/// The part of a proof worth keeping for years.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TlsEvidence {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// IANA name.
    pub cipher_suite: String,
    /// IANA name of the key exchange group.
    pub key_exchange: String,
    /// Verdict on the chain, in RFC 8460's words.
    pub chain: String,
    /// The certificate names the host.
    pub name_matches: bool,
    /// Names in it, the first of many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// SHA-256 of the certificate, hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// An earlier session was resumed: the certificate is the one it was made with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
    /// The message went with REQUIRETLS offered (RFC 8689).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requiretls: bool,
    /// The TLSA record that it met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dane: Option<Tlsa>,
    /// What the certificate's issuer says of it, in the contract's words; empty where that was not yet kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revocation: String,
}

impl Outcome {
    /// Whether the attempt had what this asks; None: there was no channel to tell it by.
    pub fn had(&self, demand: &Demand) -> Option<bool> {
        match self {
            Outcome::Delivered(delivery) => match &delivery.tls {
                None => Some(false),
                Some(tls) => tls.meets(demand),
            },
            Outcome::FloorUnmet(unmet) if !unmet.hosts.is_empty() => {
                // Any demand at all implies TLS.
                let lacks = |host: &HostUnmet| {
                    host.channel != ChannelState::Secured || host.unmet.iter().any(|(other, _)| other == demand)
                };
                unmet.hosts.iter().all(lacks).then_some(false)
            }
            _ => None,
        }
    }
}

impl TlsEvidence {
    /// None: the evidence does not tell.
    fn meets(&self, demand: &Demand) -> Option<bool> {
        Some(match demand {
            Demand::Tls => true,
            Demand::MinimumVersion(least) => self.version.as_str() >= least.name().as_str(),
            Demand::TrustedChain => self.chain == ChainVerdict::Trusted.as_str(),
            Demand::UnrevokedCertificate if !self.revocation.is_empty() => {
                self.revocation == RevocationStatus::Good.as_str()
            }
            Demand::MatchingName => self.name_matches,
            Demand::CipherSuite(names) => names.contains(&self.cipher_suite),
            Demand::Pin(PinKind::CertificateSha256, digests) => {
                let hex = |digest: &[u8; 32]| digest.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
                digests.iter().any(|digest| hex(digest) == self.sha256)
            }
            _ => return None,
        })
    }
}

/// A floor that no host met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FloorUnmet {
    /// One for each host that was asked and did not do, in the order asked.
    pub hosts: Vec<HostUnmet>,
    /// Hosts that could not be asked: time-out, reset, 4xx greeting, DNS failure; with what happened.
    pub not_asked: Vec<(String, String)>,
}

/// Why one host will not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostUnmet {
    /// Host name, A-labels.
    pub host: String,
    /// Address and port connected to; empty where it was not.
    pub address: String,
    /// What became of its channel; the report tells "no TLS" from "the wrong TLS" by it.
    pub channel: ChannelState,
    /// Demands its channel did not meet, each with its source; empty where a policy objected instead.
    pub unmet: Vec<Sourced>,
    /// A policy's objection with its reasons.
    pub objection: Option<(Reply, Vec<Reason>)>,
    /// Its certificate was withdrawn by its issuer: no other fault of the certificate needs telling.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// What the channel gave, in words that go on behind the host's name: "did not offer STARTTLS".
    pub found: String,
    /// False for 454 to STARTTLS, a handshake cut short, a 4xx objection: asking again may tell more.
    pub conclusive: bool,
}

impl HostUnmet {
    /// The demand that no channel of this host could meet, where there is one: it was not connected.
    pub fn barred_by(&self) -> Option<&Demand> {
        self.unmet.iter().map(|(demand, _)| demand).find(|demand| demand.is_of_host())
    }
}

impl FloorUnmet {
    /// Every host was asked and gave a final answer (H9).
    pub fn is_conclusive(&self) -> bool {
        self.not_asked.is_empty() && self.hosts.iter().all(|host| host.conclusive)
    }
}

/// In words, for `queue list`, log and ledger; a report has words of its own.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Delivered(delivery) => {
                write!(f, "delivered to {} (", delivery.host)?;
                match (&delivery.tls, &delivery.in_clear) {
                    (Some(tls), _) => f.write_str(&tls.version)?,
                    (None, Some(why)) => write!(f, "in clear, as it {why}")?,
                    (None, None) => f.write_str("in clear")?,
                }
                write!(f, "): {}", delivery.reply)
            }
            Outcome::Refused { host: Some(host), reply, .. } => write!(f, "{host} refused: {reply}"),
            Outcome::Refused { host: None, reply, .. } => write!(f, "refused: {reply}"),
            Outcome::FloorUnmet(unmet) => unmet.fmt(f),
            Outcome::Inconclusive { host, why, reply } => {
                if let Some(host) = host {
                    write!(f, "{host}: ")?;
                }
                f.write_str(why)?;
                reply.as_ref().map_or(Ok(()), |reply| write!(f, ": {reply}"))
            }
            Outcome::FailedDecision(failed) => failed.fmt(f),
        }
    }
}

impl fmt::Display for FloorUnmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("floor unmet")?;
        for host in &self.hosts {
            write!(f, "; {} {}", host.host, host.found)?;
        }
        for (host, why) in &self.not_asked {
            write!(f, "; {host} could not be asked: {why}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
