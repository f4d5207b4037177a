//! What the host knows and a policy may read: the plain values behind `wit/facts.wit`.
//!
//! A round fills these once; every policy of the chain reads the same values. Nothing here decides anything.

use std::net::IpAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Mailbox;
use crate::dane::Tlsa;

/// A TLS protocol version by its number on the wire: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Debug, JsonSchema)]
pub struct TlsVersion(pub u16);

impl TlsVersion {
    /// TLS 1.2, the least this relay speaks (RFC 8997).
    pub const TLS12: TlsVersion = TlsVersion(0x0303);
    /// TLS 1.3.
    pub const TLS13: TlsVersion = TlsVersion(0x0304);

    /// As the Received field writes it (RFC 8314 §4.3): `TLSv1.3`.
    pub fn name(self) -> String {
        match self.0 {
            0x0303 => "TLSv1.2".into(),
            0x0304 => "TLSv1.3".into(),
            other => format!("TLS-0x{other:04x}"),
        }
    }
}

/// One header field as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// As written, without the colon.
    pub name: String,
    /// Everything behind the colon, folds kept, without the final CR LF.
    pub value: Vec<u8>,
}

/// The message, from the moment its header is complete.
#[derive(Clone, Debug)]
pub struct MessageFacts {
    /// Stable from arrival to the last report.
    pub id: String,
    /// Every mailbox of every From field, groups expanded.
    pub header_from: Vec<Mailbox>,
    /// No From field, more than one, or octets in one that the address grammar did not consume.
    pub header_from_doubtful: bool,
    /// None: the null reverse-path.
    pub envelope_sender: Option<Mailbox>,
    /// Of this decision: all of the transaction on arrival, the entry's later.
    pub recipients: Vec<Mailbox>,
    /// The header, field by field.
    pub fields: Arc<[Field]>,
    /// From MAIL FROM SIZE=, octets.
    pub declared_size: Option<u64>,
    /// Octets, once the data has ended.
    pub size: Option<u64>,
    /// The client is on a trusted network or authenticated.
    pub sender_is_ours: bool,
    /// A report that this relay made.
    pub is_report: bool,
    /// Root first.
    pub organizational_unit: Vec<String>,
    /// Names of policies, or `requiretls`.
    pub secure_transport_required_by: Vec<String>,
    /// `TLS-Required: No` (RFC 8689 §5).
    pub tls_not_required: bool,
    /// Seconds since the Unix epoch.
    pub arrived_at: u64,
    /// None for a report of our own.
    pub client: Option<ClientFacts>,
}

/// The connection a message came by. Kept in the entry: later rounds read it too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientFacts {
    /// The client's address.
    pub address: IpAddr,
    /// What it called itself in EHLO or HELO.
    pub greeting_name: String,
    /// Identity, if it authenticated.
    pub authenticated_as: Option<String>,
    /// Name of the listener in the configuration.
    pub listener: String,
    /// Clear or secured.
    pub channel: ChannelFacts,
}

/// What became of a channel's protection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelFacts {
    /// The one word policies see.
    pub state: ChannelState,
    /// The peer's reply or the fault, in words.
    pub detail: String,
    /// None unless secured.
    pub handshake: Option<Arc<Handshake>>,
}

/// The states of a channel (`wit/facts.wit`, `channel.state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelState {
    /// A handshake was completed.
    Secured,
    /// STARTTLS was not offered.
    NotOffered,
    /// 5xx to STARTTLS.
    Refused,
    /// Alert or protocol error in the handshake.
    Failed,
    /// Time-out, reset or 4xx: the peer never let us find out.
    Inconclusive,
}

impl ChannelState {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            ChannelState::Secured => "secured",
            ChannelState::NotOffered => "not-offered",
            ChannelState::Refused => "refused",
            ChannelState::Failed => "failed",
            ChannelState::Inconclusive => "inconclusive",
        }
    }
}

/// A completed handshake, as the host verified it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Handshake {
    /// Negotiated version.
    pub version: TlsVersion,
    /// IANA name, such as `TLS13_AES_128_GCM_SHA256` written `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: String,
    /// IANA name of the key exchange group.
    pub key_exchange: String,
    /// The name sent or received in SNI.
    pub server_name: Option<String>,
    /// TLS from the first octet.
    pub implicit: bool,
    /// An earlier session was taken up again.
    pub resumed: bool,
    /// Verdict on the certificate chain.
    pub chain: ChainVerdict,
    /// The certificate names the host that was connected to (RFC 9525).
    pub name_matches: bool,
    /// End-entity first; empty where none was presented.
    pub certificates: Vec<Certificate>,
    /// The TLSA record that the certificate met, where the host has some (RFC 7672).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dane: Option<Tlsa>,
    /// What the certificate's issuer says of it. A chain that it has withdrawn is not trusted.
    #[serde(default)]
    pub revocation: RevocationStatus,
}

/// What is known of a certificate's revocation (RFC 5280 §5, RFC 6960): of two words on one certificate the greater counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationStatus {
    /// Nobody whose word counts has said anything that holds now, or nobody was asked.
    #[default]
    Unknown,
    /// The issuer's list that the operator keeps is out of date, and nobody else has said anything.
    Stale,
    /// Its issuer says that it is in force.
    Good,
    /// Its issuer, or that of a certificate above it, has withdrawn it.
    Revoked,
}

impl RevocationStatus {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            RevocationStatus::Unknown => "unknown",
            RevocationStatus::Stale => "stale",
            RevocationStatus::Good => "good",
            RevocationStatus::Revoked => "revoked",
        }
    }
}

/// The verdict on a chain, in the words of RFC 8460 §4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChainVerdict {
    /// Leads to a trusted root and is in date.
    Trusted,
    /// No certificate was asked for.
    None,
    /// `certificate-expired`: out of date, or not yet valid.
    CertificateExpired,
    /// `certificate-not-trusted`: no path to a trusted root.
    CertificateNotTrusted,
    /// `validation-failure`: anything else.
    ValidationFailure,
}

impl ChainVerdict {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            ChainVerdict::Trusted => "trusted",
            ChainVerdict::None => "none",
            ChainVerdict::CertificateExpired => "certificate-expired",
            ChainVerdict::CertificateNotTrusted => "certificate-not-trusted",
            ChainVerdict::ValidationFailure => "validation-failure",
        }
    }
}

/// One certificate of a presented chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// Distinguished name.
    pub subject: String,
    /// Distinguished name.
    pub issuer: String,
    /// dNSName entries of the subject alternative name.
    pub dns_names: Vec<String>,
    /// Seconds since the Unix epoch.
    pub not_before: u64,
    /// Seconds since the Unix epoch.
    pub not_after: u64,
    /// Of the whole certificate.
    pub sha256: [u8; 32],
    /// Of the subject public key info.
    pub spki_sha256: [u8; 32],
    /// The certificate; not kept in the ledger, where the digests stand for it.
    #[serde(skip)]
    pub der: Vec<u8>,
}

/// What kind of way out a route is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RouteKind {
    /// Hosts found by MX look-up of the recipient's domain.
    Mx,
    /// Hosts an operator named.
    SmartHost,
    /// A route that may serve as alternate secure route; it demands TLS.
    AlternateSecure,
}

impl RouteKind {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            RouteKind::Mx => "mx",
            RouteKind::SmartHost => "smart-host",
            RouteKind::AlternateSecure => "alternate-secure",
        }
    }
}

/// Where one recipient's copy would go, before any name is looked up.
#[derive(Clone, Debug)]
pub struct DestinationFacts {
    /// Whose copy.
    pub recipient: Mailbox,
    /// The domain is hosted here.
    pub recipient_is_ours: bool,
    /// Kind of the route.
    pub route_kind: RouteKind,
    /// Name of the route in the configuration.
    pub route_name: String,
    /// What the route itself demands, in the contract's words: `tls`, `trusted-chain`, `matching-name`.
    pub route_demands: Vec<String>,
    /// 1 for the first round.
    pub round: u32,
}

/// One host that could take the message further, and what became of its channel.
#[derive(Clone, Debug)]
pub struct HopFacts {
    /// Of this attempt.
    pub recipients: Vec<Mailbox>,
    /// Kind of the route.
    pub route_kind: RouteKind,
    /// Name of the route in the configuration.
    pub route_name: String,
    /// Host name, A-labels.
    pub host: String,
    /// The address connected to.
    pub address: IpAddr,
    /// EHLO keywords with their parameters, as offered last.
    pub extensions: Vec<String>,
    /// What became of its channel.
    pub channel: ChannelFacts,
    /// Published policies that apply to this host, as (kind, verdict).
    pub published: Vec<(String, String)>,
}
