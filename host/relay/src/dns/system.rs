//! The resolver in service: hickory, asking the system's servers or those the configuration names, and proving what they say
//! by DNSSEC where they pass the proofs on.
//!
//! Whether they do is tried, before anything else is asked, with the root's own records. Servers that leave proofs out make
//! every signed name look forged; mail must not wait for such a resolver to be mended unless its operator says so
//! (`dns.dnssec = "required"`). Once proofs came they are insisted on: taking them away later forges every signed name.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as HickoryDnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use sealwire_core::address::Domain;
use sealwire_core::dane::Tlsa;
use tokio::time::Instant;

use super::{Addresses, Answer, DnsError, Lookup, Resolver};

/// Between two tries whether proofs come.
const TRY_AGAIN: Duration = Duration::from_secs(60);
/// The same where nobody answered. Meanwhile look-ups fail at once: each would wait in vain as long.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Whom to ask, and what to make of DNSSEC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Empty: as the system says.
    pub servers: Vec<SocketAddr>,
    /// Whether answers are to be proven.
    pub dnssec: Dnssec,
    /// A zone file with the root's DNSKEY or other keys; None: the root's own, as IANA publishes it.
    pub trust_anchor: Option<PathBuf>,
}

/// Whether answers are to be proven by DNSSEC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dnssec {
    /// Where the servers pass proofs on.
    #[default]
    Auto,
    /// Always: where they do not, mail waits.
    Required,
    /// Never: no DANE.
    Off,
}

/// Hickory.
pub struct SystemResolver {
    plain: TokioResolver,
    /// Proves what it answers; None: no DNSSEC is wanted.
    proving: Option<TokioResolver>,
    dnssec: Dnssec,
    proofs: Mutex<Proofs>,
    /// One try at a time.
    trying: tokio::sync::Mutex<()>,
}

/// Whether proofs come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Proofs {
    Untried,
    Come,
    /// Why not, and when that was found.
    DoNot(String, Instant),
    /// Nobody answered, so nothing is known; why, and when.
    Silence(String, Instant),
}

impl SystemResolver {
    /// Asks these servers, or, if there are none, those of `/etc/resolv.conf`.
    pub fn new(dns: &Dns) -> Result<SystemResolver, String> {
        let builder = || {
            if dns.servers.is_empty() {
                return TokioResolver::builder_tokio().map_err(|e| format!("/etc/resolv.conf cannot be used: {e}"));
            }
            let config = ResolverConfig::from_parts(None, Vec::new(), dns.servers.iter().map(name_server).collect());
            Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        };
        let unusable = |e: NetError| format!("the resolver cannot be built: {e}");
        let plain = builder()?.build().map_err(unusable)?;
        let proving = if dns.dnssec == Dnssec::Off {
            None
        } else {
            let mut builder = builder()?;
            builder.options_mut().validate = true;
            if let Some(path) = &dns.trust_anchor {
                builder = builder.with_trust_anchor(Arc::new(trust_anchors(path)?));
            }
            Some(builder.build().map_err(unusable)?)
        };
        let (proofs, trying) = (Mutex::new(Proofs::Untried), tokio::sync::Mutex::new(()));
        Ok(SystemResolver { plain, proving, dnssec: dns.dnssec, proofs, trying })
    }

    /// Whoever is to be asked now.
    async fn resolver(&self) -> Result<&TokioResolver, DnsError> {
        let Some(proving) = &self.proving else { return Ok(&self.plain) };
        match self.tried(proving).await {
            Proofs::DoNot(why, _) if self.dnssec == Dnssec::Required => {
                Err(DnsError::Inconclusive(format!("answers cannot be proven (dns.dnssec is \"required\"): {why}")))
            }
            Proofs::DoNot(..) => Ok(&self.plain),
            Proofs::Silence(why, _) => Err(DnsError::Inconclusive(why)),
            Proofs::Come | Proofs::Untried => Ok(proving),
        }
    }

    /// Tries, where that is due.
    async fn tried(&self, proving: &TokioResolver) -> Proofs {
        let is_due = |known: &Proofs| match known {
            Proofs::Untried => true,
            Proofs::Come => false,
            Proofs::DoNot(_, since) => since.elapsed() >= TRY_AGAIN,
            Proofs::Silence(_, since) => since.elapsed() >= ASK_AGAIN,
        };
        if !is_due(&self.known()) {
            return self.known();
        }
        let _one_at_a_time = self.trying.lock().await;
        if !is_due(&self.known()) {
            return self.known();
        }
        let found = match proving.lookup(".", RecordType::NS).await {
            Ok(lookup) if is_secure(lookup.answers()) => Proofs::Come,
            Ok(_) => Proofs::DoNot("the name servers answer for the root without a proof".into(), Instant::now()),
            Err(NetError::Timeout) => Proofs::Silence("the name servers' answer timed out".into(), Instant::now()),
            Err(error) => Proofs::DoNot(format!("of the root's own records they say: {error}"), Instant::now()),
        };
        if let Proofs::DoNot(why, _) = &found {
            tracing::warn!(%why, "the DNS gives no proofs (DNSSEC), so TLSA records count for nothing");
        }
        *self.proofs.lock().unwrap_or_else(PoisonError::into_inner) = found.clone();
        found
    }

    fn known(&self) -> Proofs {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<Record>, DnsError> {
        found(self.resolver().await?, name, kind).await
    }
}

/// Names are asked as fully qualified: search lists have no place in mail (RFC 5321 §5.1). The answer's records, aliases
/// among them.
async fn found(resolver: &TokioResolver, name: &str, kind: RecordType) -> Result<Vec<Record>, DnsError> {
    let absent = |code: ResponseCode| match code {
        ResponseCode::NoError => Ok(Vec::new()),
        ResponseCode::NXDomain => Err(DnsError::NoSuchName),
        code => Err(DnsError::Inconclusive(format!("{name} {kind}: {code}"))),
    };
    match resolver.lookup(format!("{}.", name.trim_end_matches('.')), kind).await {
        // A proof is read off each record, and never taken from the look-up having gone well.
        Ok(lookup) if lookup.answers().iter().any(|record| record.proof == Proof::Bogus) => {
            Err(DnsError::Inconclusive(format!("{name} {kind}: DNSSEC shows the answer to be forged or broken")))
        }
        Ok(lookup) => Ok(lookup.answers().iter().filter(|r| r.record_type() != RecordType::RRSIG).cloned().collect()),
        Err(NetError::Dns(HickoryDnsError::NoRecordsFound(none))) => absent(none.response_code),
        // Absent from a zone that is not signed, which was proven.
        Err(NetError::Dns(HickoryDnsError::Nsec { response, proof: Proof::Insecure, .. })) => {
            absent(response.response_code)
        }
        Err(NetError::Dns(HickoryDnsError::Nsec { proof, .. })) => {
            Err(DnsError::Inconclusive(format!("{name} {kind}: it is said not to exist, which DNSSEC calls {proof}")))
        }
        Err(error) => Err(DnsError::Inconclusive(format!("{name} {kind}: {error}"))),
    }
}

fn is_secure(records: &[Record]) -> bool {
    !records.is_empty() && records.iter().all(|record| record.proof == Proof::Secure)
}

/// Reads a file of DNSKEY records. Err: what is wrong with it.
pub(crate) fn trust_anchors(path: &Path) -> Result<TrustAnchors, String> {
    let anchors =
        TrustAnchors::from_file(path).map_err(|error| format!("{} cannot be used: {error}", path.display()))?;
    if anchors.is_empty() { Err(format!("{} holds no DNSKEY record", path.display())) } else { Ok(anchors) }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}

fn text_of(name: &hickory_resolver::proto::rr::Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

impl Resolver for SystemResolver {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, Answer<Vec<(u16, String)>>> {
        Box::pin(async move {
            let records = self.ask(domain.as_str(), RecordType::MX).await?;
            let exchange = |record: &Record| match &record.data {
                RData::MX(mx) => Some((mx.preference, text_of(&mx.exchange))),
                _ => None,
            };
            Ok(Answer { found: records.iter().filter_map(exchange).collect(), secure: is_secure(&records) })
        })
    }

    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Addresses> {
        Box::pin(async move {
            let (six, four) = tokio::join!(self.ask(host, RecordType::AAAA), self.ask(host, RecordType::A));
            let address = |record: &Record| match record.data {
                RData::A(a) => Some(IpAddr::V4(a.0)),
                RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                _ => None,
            };
            // One family that could not be asked does not hide what the other answered.
            let records: Vec<&Record> = six.iter().chain(&four).flatten().collect();
            let found: Vec<IpAddr> = records.iter().copied().filter_map(address).collect();
            let owner = records.iter().find(|record| address(record).is_some()).map(|record| text_of(&record.name));
            match (found.is_empty(), &six, &four) {
                (true, Err(DnsError::Inconclusive(why)), _) | (true, _, Err(DnsError::Inconclusive(why))) => {
                    Err(DnsError::Inconclusive(why.clone()))
                }
                (true, Err(DnsError::NoSuchName), _) | (true, _, Err(DnsError::NoSuchName)) => {
                    Err(DnsError::NoSuchName)
                }
                _ => {
                    let secure = !found.is_empty() && records.iter().all(|record| record.proof == Proof::Secure);
                    let alias_of = owner.filter(|owner| !owner.eq_ignore_ascii_case(host.trim_end_matches('.')));
                    Ok(Addresses { answer: Answer { found, secure }, alias_of })
                }
            }
        })
    }

    fn tlsa<'a>(&'a self, name: &'a str) -> Lookup<'a, Answer<Vec<Tlsa>>> {
        Box::pin(async move {
            let records = self.ask(name, RecordType::TLSA).await?;
            let tlsa = |record: &Record| match &record.data {
                RData::TLSA(tlsa) => Some(Tlsa {
                    usage: tlsa.cert_usage.into(),
                    selector: tlsa.selector.into(),
                    matching: tlsa.matching.into(),
                    data: tlsa.cert_data.clone(),
                }),
                _ => None,
            };
            Ok(Answer { found: records.iter().filter_map(tlsa).collect(), secure: is_secure(&records) })
        })
    }

    fn dnssec(&self) -> String {
        match self.known() {
            _ if self.proving.is_none() => "off, as configured".to_owned(),
            Proofs::Untried => "not tried yet".to_owned(),
            Proofs::Come => "on".to_owned(),
            Proofs::DoNot(why, _) | Proofs::Silence(why, _) => format!("off: {why}"),
        }
    }
}
