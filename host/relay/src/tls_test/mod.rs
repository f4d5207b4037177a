//! What a TLS test of a destination found ([`TlsTest`]) and what it comes to ([`State`]). Nothing is sent: each host is
//! connected as for a message, greeted, secured, judged, and left with QUIT. The test itself is `delivery`'s.

mod findings;

pub use findings::{Finding, State};

use schemars::JsonSchema;
use sealwire_core::floor::Demand;
use serde::{Deserialize, Serialize};

/// A destination, tested.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TlsTest {
    /// For mail to whom.
    pub recipient: String,
    /// Name of the route it would take.
    pub route: String,
    /// `mx`, `smart-host`, `alternate-secure`.
    pub route_kind: String,
    /// What the live policies demand, and by whom; empty: TLS where it works.
    pub demands: Vec<String>,
    /// Why they demand it, and why they could not decide.
    pub reasons: Vec<String>,
    /// Which settings the policies had.
    pub settings: SettingsTested,
    /// Whose MTA-STS policy counts, and what it says.
    pub mta_sts: Option<StsTested>,
    /// Whether DNSSEC proves which hosts there are; None where they are an operator's.
    pub hosts_proven: Option<bool>,
    /// Why no host was found.
    pub trouble: Option<String>,
    /// In the order in which they are asked.
    pub hosts: Vec<HostTested>,
    /// The worst of the findings.
    pub state: State,
    /// What is wrong, or will be, worst first.
    pub findings: Vec<Finding>,
}

/// The settings that policies decided by.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SettingsTested {
    /// 0: none have been applied.
    pub revision: u64,
    /// When they were applied; seconds since the Unix epoch.
    pub applied_at: Option<u64>,
}

/// A policy of MTA-STS.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StsTested {
    /// Whose.
    pub domain: String,
    /// `enforce`, `testing`, `none`, or why it is not to be had.
    pub mode: String,
    /// From the record.
    pub id: Option<String>,
    /// Hosts that it lists.
    pub mx: Vec<String>,
    /// Seconds since the Unix epoch.
    pub fetched_at: Option<u64>,
    /// Seconds since the Unix epoch.
    pub ends_at: Option<u64>,
}

/// A host, tested.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HostTested {
    /// Its name.
    pub host: String,
    /// The MTA-STS policy lists it; None where there is none.
    pub listed: Option<bool>,
    /// Its name is an operator's, or proven by DNSSEC or MTA-STS.
    pub proven: bool,
    /// Its TLSA records in use; empty: none. `unusable` where there are others only.
    pub tlsa: Vec<String>,
    /// Why it, or some address of it, could not be asked.
    pub trouble: Option<String>,
    /// Each that was connected.
    pub addresses: Vec<AddressTested>,
}

/// An address, tested.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AddressTested {
    /// With its port.
    pub address: String,
    /// Why it could not be asked.
    pub trouble: Option<String>,
    /// `secured`, `not-offered`, `refused`, `failed`, `inconclusive`.
    pub channel: String,
    /// The peer's reply or the fault, in words.
    pub detail: String,
    /// What the handshake gave.
    pub tls: Option<TlsTested>,
    /// Versions it speaks, of those that this relay does.
    pub versions: Vec<String>,
    /// REQUIRETLS is offered inside TLS.
    pub requiretls: bool,
    /// EHLO keywords with their parameters, as offered last.
    pub extensions: Vec<String>,
    /// What is demanded now and not met, and by whom; a policy's objection among it. Empty: mail would leave.
    pub unmet: Vec<String>,
    /// What mail would come to that is asked for so, whatever is listed now.
    pub would: Vec<Would>,
    /// Milliseconds until the host was known.
    pub took_ms: u64,
}

/// A handshake, and the certificate shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TlsTested {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// IANA name.
    pub cipher_suite: String,
    /// IANA name of the key exchange group.
    pub key_exchange: String,
    /// `trusted`, or RFC 8460's word for what is wrong.
    pub chain: String,
    /// It names the host.
    pub name_matches: bool,
    /// Names in it.
    pub names: Vec<String>,
    /// Distinguished name.
    pub issuer: String,
    /// Seconds since the Unix epoch.
    pub not_after: u64,
    /// Of the certificate, hexadecimal: what a pin would be.
    pub sha256: String,
    /// The TLSA record that it meets.
    pub dane: Option<String>,
    /// What its issuer says of it: `good`, `revoked`, `stale` (our list is out of date), `unknown`.
    pub revocation: String,
}

/// What mail would come to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Would {
    /// A setting, in words.
    pub setting: String,
    /// It would leave.
    pub leaves: bool,
    /// By TLS, in clear, or what is missing.
    pub how: String,
}

/// The settings that an operator can choose among, with what each demands of a channel.
pub(crate) fn settings() -> Vec<(&'static str, Vec<Demand>)> {
    let tls = vec![Demand::Tls];
    let ca = vec![Demand::Tls, Demand::TrustedChain];
    let unrevoked = vec![Demand::Tls, Demand::TrustedChain, Demand::UnrevokedCertificate];
    let name = vec![Demand::Tls, Demand::TrustedChain, Demand::MatchingName];
    vec![
        ("not listed", Vec::new()),
        ("TLS required", tls),
        ("TLS required, CA-signed certificate", ca),
        ("TLS required, CA-signed certificate, hostname", name),
        ("TLS required, CA-signed certificate, not revoked", unrevoked),
        ("sent with REQUIRETLS", sealwire_core::decision::RequireTls::Passed.demands().to_vec()),
    ]
}
