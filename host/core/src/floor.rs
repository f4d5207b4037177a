//! Floor, proof, permit: the policy demands, the host proves, and only both together let MAIL FROM out (H2).
//!
//! A [`TlsFloor`] is a set of (demand, source). It has no default and no public constructor: only a finished plan of
//! the whole chain makes one ([`crate::decision::join_plans`]), the empty floor of opportunistic mail included. It can be raised,
//! never lowered. A [`TlsProof`] is what one connection's handshake yields. [`TlsFloor::permit`] is the only maker of
//! a [`Permit`], and it asks for [`Cleared`], which only a finished judge of the whole chain leaves.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dane::Tlsa;
use crate::facts::{ChainVerdict, Handshake, RevocationStatus, TlsVersion};
use crate::time::rfc3339;

/// One thing a channel must give.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// TLS, with any certificate.
    Tls,
    /// At least this version.
    MinimumVersion(TlsVersion),
    /// A chain to a trusted root, in date.
    TrustedChain,
    /// A certificate that names the host.
    MatchingName,
    /// One of these digests is the end-entity certificate's.
    Pin(PinKind, BTreeSet<[u8; 32]>),
    /// One of these cipher suites, by IANA name.
    CipherSuite(BTreeSet<String>),
    /// A certificate that one of these TLSA records names (RFC 7672 §3.1).
    Dane(BTreeSet<Tlsa>),
    /// A host that the domain's MTA-STS policy lists (RFC 8461 §4.1). It is looked at before the host is connected, and joins
    /// the floor of hosts that are not listed alone: no channel meets it.
    ListedHost,
    /// A host that offers REQUIRETLS inside TLS (RFC 8689 §4.2.1): it passes the demand on.
    RequireTls,
    /// A certificate with a chain to a trusted root and the host's name, or one that a TLSA record names.
    VerifiedServer,
    /// A host whose name is an operator's, or proven by DNSSEC or MTA-STS. It is looked at before the host is connected, and
    /// joins the floor of hosts that are not proven alone: no channel meets it.
    ProvenHost,
    /// A certificate that its issuer, whose chain leads to a trusted root, says is in force (RFC 9325 §7.5). That nobody says
    /// anything does not meet it.
    UnrevokedCertificate,
}

impl Demand {
    /// No channel meets it: the host itself will not do, and is not connected.
    pub fn is_of_host(&self) -> bool {
        matches!(self, Demand::ListedHost | Demand::ProvenHost)
    }

    /// A certificate that its issuer has withdrawn does not meet it.
    pub fn is_of_issuer(&self) -> bool {
        matches!(self, Demand::TrustedChain | Demand::VerifiedServer | Demand::UnrevokedCertificate)
    }
}

/// What a pin is the digest of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PinKind {
    /// The whole certificate.
    CertificateSha256,
    /// The subject public key info.
    SpkiSha256,
}

/// Who demands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A rule of a policy in the chain.
    Rule {
        /// Name of the policy.
        policy: String,
        /// Id of the rule; empty where the policy gave no reason.
        rule: String,
    },
    /// A policy that asked for secure transport at arrival; written in the entry.
    Flag(String),
    /// The route's own demand.
    Route(String),
    /// H6: the report of a message that came by TLS.
    Report,
    /// The TLSA records of a name, under DNSSEC (RFC 7672): the host's own demand, known once it was looked up.
    Dane {
        /// Whose records they are, such as `_25._tcp.mx.partner.example`.
        name: String,
        /// When, seconds since the Unix epoch.
        looked_up_at: u64,
    },
    /// The message came with REQUIRETLS (RFC 8689).
    RequireTls,
    /// The MTA-STS policy of a domain (RFC 8461), known once it was fetched.
    MtaSts {
        /// Whose policy it is.
        domain: String,
        /// Of the policy, from its record.
        id: String,
        /// When it was fetched, seconds since the Unix epoch.
        fetched_at: u64,
    },
}

/// A demand with its source.
pub type Sourced = (Demand, Source);

/// Everything a channel must give before a message may use it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TlsFloor(BTreeSet<Sourced>);

impl TlsFloor {
    /// For [`crate::decision`] alone: the floor of a chain that has finished.
    pub(crate) fn of_finished_chain(demands: impl IntoIterator<Item = Sourced>) -> TlsFloor {
        TlsFloor(demands.into_iter().collect())
    }

    /// This floor with one demand more.
    #[must_use]
    pub fn raised(mut self, demand: Demand, source: Source) -> TlsFloor {
        self.0.insert((demand, source));
        self
    }

    /// Both floors.
    #[must_use]
    pub fn joined(mut self, other: &TlsFloor) -> TlsFloor {
        self.0.extend(other.0.iter().cloned());
        self
    }

    /// Any demand at all implies TLS; without one, transport is opportunistic (R9).
    pub fn requires_tls(&self) -> bool {
        !self.0.is_empty()
    }

    /// The demands with their sources, in a stable order.
    pub fn demands(&self) -> impl Iterator<Item = &Sourced> {
        self.0.iter()
    }

    /// The demands this proof does not meet, each with its source.
    pub fn unmet(&self, proof: &TlsProof) -> Vec<Sourced> {
        self.0.iter().filter(|(demand, _)| !proof.meets(demand)).cloned().collect()
    }

    /// The only maker of a [`Permit`].
    pub fn permit(&self, proof: &TlsProof, cleared: Cleared) -> Result<Permit, Vec<Sourced>> {
        let Cleared(()) = cleared;
        let unmet = self.unmet(proof);
        if unmet.is_empty() { Ok(Permit { connection: proof.connection }) } else { Err(unmet) }
    }
}

/// Names one connection, so that a permit cannot be used on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What one connection's handshake yielded; of a clear channel, a proof of nothing.
#[derive(Clone, Debug)]
pub struct TlsProof {
    connection: ConnectionId,
    handshake: Option<Arc<Handshake>>,
    requiretls: bool,
}

impl TlsProof {
    /// Of a channel in clear.
    pub fn of_nothing(connection: ConnectionId) -> TlsProof {
        TlsProof { connection, handshake: None, requiretls: false }
    }

    /// Of a completed handshake on this connection.
    pub fn of_handshake(connection: ConnectionId, handshake: Arc<Handshake>) -> TlsProof {
        TlsProof { connection, handshake: Some(handshake), requiretls: false }
    }

    /// The same of a host that offers REQUIRETLS, or does not, on this channel.
    #[must_use]
    pub fn offering_requiretls(self, requiretls: bool) -> TlsProof {
        TlsProof { requiretls, ..self }
    }

    /// The connection it is of.
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Of these demands, those that it does not meet.
    pub fn lacks<'a>(&self, demands: &'a [Demand]) -> impl Iterator<Item = &'a Demand> {
        demands.iter().filter(|demand| !self.meets(demand))
    }

    /// The host passes the demand for TLS on.
    pub fn offers_requiretls(&self) -> bool {
        self.requiretls
    }

    /// None: the channel is in clear.
    pub fn handshake(&self) -> Option<&Arc<Handshake>> {
        self.handshake.as_ref()
    }

    fn meets(&self, demand: &Demand) -> bool {
        let Some(handshake) = &self.handshake else { return false };
        match demand {
            Demand::Tls => true,
            Demand::MinimumVersion(version) => handshake.version >= *version,
            Demand::TrustedChain => handshake.chain == ChainVerdict::Trusted,
            Demand::MatchingName => handshake.name_matches,
            // The end-entity's alone: the handshake proves that the peer holds its key, and of no other certificate
            // that it presents anything at all.
            Demand::Pin(kind, digests) => handshake.certificates.first().is_some_and(|certificate| match kind {
                PinKind::CertificateSha256 => digests.contains(&certificate.sha256),
                PinKind::SpkiSha256 => digests.contains(&certificate.spki_sha256),
            }),
            Demand::CipherSuite(names) => names.contains(&handshake.cipher_suite),
            Demand::Dane(records) => handshake.dane.as_ref().is_some_and(|met| records.contains(met)),
            Demand::ListedHost | Demand::ProvenHost => false,
            Demand::UnrevokedCertificate => handshake.revocation == RevocationStatus::Good,
            Demand::RequireTls => self.requiretls,
            Demand::VerifiedServer => {
                handshake.dane.is_some() || (handshake.chain == ChainVerdict::Trusted && handshake.name_matches)
            }
        }
    }
}

/// What a finished judge of the whole chain without an objection leaves. Good for one message.
#[derive(Debug)]
pub struct Cleared(());

impl Cleared {
    /// For [`crate::decision`] alone.
    pub(crate) fn by_the_whole_chain() -> Cleared {
        Cleared(())
    }
}

/// Floor and proof agree, and no policy objects: one message may be sent on one connection. Neither copied nor made
/// anywhere but in [`TlsFloor::permit`].
#[derive(Debug)]
pub struct Permit {
    connection: ConnectionId,
}

impl Permit {
    /// The connection it is good for.
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Demand::Tls => f.write_str("TLS"),
            Demand::MinimumVersion(version) => write!(f, "{} or newer", version.name()),
            Demand::TrustedChain => f.write_str("a certificate signed by a trusted CA"),
            Demand::MatchingName => f.write_str("a certificate that names the host"),
            Demand::Pin(..) => f.write_str("a pinned certificate"),
            Demand::CipherSuite(names) => {
                write!(f, "one of the cipher suites {}", names.iter().cloned().collect::<Vec<_>>().join(", "))
            }
            Demand::Dane(_) => f.write_str("a certificate that the host's TLSA records name (DANE)"),
            Demand::ListedHost => f.write_str("a host that the domain's MTA-STS policy lists"),
            Demand::RequireTls => f.write_str("a host that passes the demand for TLS on (REQUIRETLS)"),
            Demand::VerifiedServer => {
                f.write_str("a certificate that a trusted CA has signed and that names the host, or DANE")
            }
            Demand::ProvenHost => f.write_str("a host whose name is proven by DNSSEC or MTA-STS"),
            Demand::UnrevokedCertificate => f.write_str("a certificate that its issuer says is not revoked"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Rule { policy, rule } if rule.is_empty() => write!(f, "policy {policy}"),
            Source::Rule { policy, rule } => write!(f, "rule {rule} of policy {policy}"),
            Source::Flag(policy) => write!(f, "policy {policy}, which asked for secure transport on arrival"),
            Source::Route(name) => write!(f, "route {name}"),
            Source::Report => f.write_str("the original message, which came by TLS"),
            Source::Dane { name, looked_up_at } => {
                write!(f, "DANE, by the TLSA records of {name} looked up {}", rfc3339(*looked_up_at))
            }
            Source::RequireTls => f.write_str("whoever sent the message (REQUIRETLS)"),
            Source::MtaSts { domain, id, fetched_at } => {
                write!(f, "MTA-STS, by the policy {id} of {domain} fetched {}", rfc3339(*fetched_at))
            }
        }
    }
}

#[cfg(test)]
mod tests;
