//! The resolver in service.
//!
//! Where the name servers are on this machine and validate (DNSSEC), they are asked directly and their word is taken for what is
//! proven ([`super::validated`]); else hickory asks the system's servers or those the configuration names, and nothing counts
//! as proven. Which of both is tried, before anything else is asked, with the root's own records; once it was proven, proofs
//! are insisted on until the configuration is read again.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as HickoryDnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use sealwire_core::address::Domain;
use sealwire_core::dane::Tlsa;
use tokio::time::Instant;

use super::validated::{self, NoAnswer, Said};
use super::{Addresses, Answer, DnsError, Lookup, Resolver};

/// Between two tries whether answers are proven.
const TRY_AGAIN: Duration = Duration::from_secs(60);
/// The same where nobody answered. Meanwhile look-ups fail at once: each would wait in vain as long.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Aliases that are followed in one answer.
const ALIASES: usize = 16;

/// Whom to ask, and what to make of DNSSEC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Empty: as the system says.
    pub servers: Vec<SocketAddr>,
    /// Whether answers are to be proven.
    pub dnssec: Dnssec,
}

/// Whether answers are to be proven by DNSSEC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dnssec {
    /// Where the name servers are on this machine and validate.
    #[default]
    Auto,
    /// Always: where they do not, mail waits.
    Required,
    /// Never: no DANE.
    Off,
}

impl Dns {
    /// The name servers where all of them are on this machine: whoever is between us and another machine's could put their word
    /// in.
    fn local(&self) -> Result<Vec<SocketAddr>, String> {
        let servers = if self.servers.is_empty() { servers_of_system()? } else { self.servers.clone() };
        let local = !servers.is_empty() && servers.iter().all(|server| server.ip().is_loopback());
        Ok(if local { servers } else { Vec::new() })
    }

    /// What is wrong with it; None where it can be asked.
    pub fn problem(&self) -> Option<String> {
        match self.local() {
            Err(why) => Some(why),
            Ok(local) if self.dnssec == Dnssec::Required && local.is_empty() => Some(
                "dnssec = \"required\" needs a validating resolver on this machine, such as unbound: name its loopback \
                 address in servers"
                    .to_owned(),
            ),
            Ok(_) => None,
        }
    }
}

fn servers_of_system() -> Result<Vec<SocketAddr>, String> {
    let (config, _) = hickory_resolver::system_conf::read_system_conf()
        .map_err(|error| format!("/etc/resolv.conf cannot be used: {error}"))?;
    let address = |server: &NameServerConfig| {
        SocketAddr::new(server.ip, server.connections.first().map_or(53, |connection| connection.port))
    };
    Ok(config.name_servers().iter().map(address).collect())
}

/// Hickory, or validating servers on this machine.
pub struct SystemResolver {
    plain: TokioResolver,
    /// Empty: nothing can be proven.
    local: Vec<SocketAddr>,
    dnssec: Dnssec,
    proofs: Mutex<Proofs>,
    /// One try at a time.
    trying: tokio::sync::Mutex<()>,
}

/// Whether answers are proven.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Proofs {
    Untried,
    Come,
    /// Why not, and when that was found.
    DoNot(String, Instant),
    /// Nobody answered, so nothing is known; why, and when.
    Silence(String, Instant),
}

/// Records of the asked kind and the aliases that lead to them.
struct Found {
    records: Vec<Record>,
    /// The last owner, where it is not the asked name.
    alias_of: Option<String>,
    secure: bool,
}

impl SystemResolver {
    /// Asks these servers, or, if there are none, those of `/etc/resolv.conf`.
    pub fn new(dns: &Dns) -> Result<SystemResolver, String> {
        if let Some(why) = dns.problem() {
            return Err(why);
        }
        let builder = if dns.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|e| format!("/etc/resolv.conf cannot be used: {e}"))?
        } else {
            let config = ResolverConfig::from_parts(None, Vec::new(), dns.servers.iter().map(name_server).collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let plain = builder.build().map_err(|e| format!("the resolver cannot be built: {e}"))?;
        let local = if dns.dnssec == Dnssec::Off { Vec::new() } else { dns.local()? };
        let (proofs, trying) = (Mutex::new(Proofs::Untried), tokio::sync::Mutex::new(()));
        Ok(SystemResolver { plain, local, dnssec: dns.dnssec, proofs, trying })
    }

    /// Names are asked as fully qualified: search lists have no place in mail (RFC 5321 §5.1).
    async fn ask(&self, name: &str, kind: RecordType) -> Result<Found, DnsError> {
        let inconclusive = |why: String| DnsError::Inconclusive(format!("{name} {kind}: {why}"));
        let said = match self.tried().await {
            Proofs::DoNot(why, _) if self.dnssec == Dnssec::Required => {
                return Err(inconclusive(format!("it cannot be proven, and dns.dnssec is \"required\": {why}")));
            }
            Proofs::Silence(why, _) => return Err(inconclusive(why)),
            Proofs::DoNot(..) | Proofs::Untried => return self.ask_plainly(name, kind).await,
            Proofs::Come => validated::ask(&self.local, name, kind).await,
        };
        match said {
            Ok(Said { code: ResponseCode::NXDomain, .. }) => Err(DnsError::NoSuchName),
            Ok(Said { records, proven, .. }) => Ok(on_the_way(name, kind, records, proven)),
            Err(NoAnswer::Code(code)) => Err(inconclusive(code.to_string())),
            Err(NoAnswer::Silence(why)) => Err(inconclusive(why)),
        }
    }

    async fn ask_plainly(&self, name: &str, kind: RecordType) -> Result<Found, DnsError> {
        let inconclusive = |why: String| DnsError::Inconclusive(format!("{name} {kind}: {why}"));
        match self.plain.lookup(format!("{}.", name.trim_end_matches('.')), kind).await {
            Ok(lookup) => Ok(on_the_way(name, kind, lookup.answers().to_vec(), false)),
            Err(NetError::Dns(HickoryDnsError::NoRecordsFound(none))) => match none.response_code {
                ResponseCode::NoError => Ok(on_the_way(name, kind, Vec::new(), false)),
                ResponseCode::NXDomain => Err(DnsError::NoSuchName),
                code => Err(inconclusive(code.to_string())),
            },
            Err(error) => Err(inconclusive(error.to_string())),
        }
    }

    /// Whether answers are proven; tried where that is due.
    async fn tried(&self) -> Proofs {
        let is_due = |known: &Proofs| match known {
            Proofs::Untried => !self.local.is_empty(),
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
        let tried = validated::ask(&self.local, ".", RecordType::NS).await;
        let now = Instant::now();
        let found = match tried {
            Ok(Said { proven: true, .. }) => Proofs::Come,
            Ok(_) => Proofs::DoNot("the name servers do not validate: they vouch for no answer (AD)".into(), now),
            // Whoever knows of no root is no resolver; it answers for its own zones.
            Err(NoAnswer::Code(code @ (ResponseCode::Refused | ResponseCode::NotImp))) => {
                Proofs::DoNot(format!("the name servers do not validate: asked for the root they say {code}"), now)
            }
            // One that cannot reach the root, or cannot prove it, must not have mail go as if nobody had signed anything.
            Err(NoAnswer::Code(code)) => {
                Proofs::Silence(format!("asked for the root the name servers say {code}"), now)
            }
            Err(NoAnswer::Silence(why)) => Proofs::Silence(why, now),
        };
        if let Proofs::DoNot(why, _) = &found {
            tracing::warn!(%why, "the DNS proves nothing (DNSSEC), so TLSA records count for nothing");
        }
        *self.proofs.lock().unwrap_or_else(PoisonError::into_inner) = found.clone();
        found
    }

    fn known(&self) -> Proofs {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What an answer has for this name: its records, or its alias's, and nothing that somebody added.
fn on_the_way(name: &str, kind: RecordType, records: Vec<Record>, proven: bool) -> Found {
    let nothing = Found { records: Vec::new(), alias_of: None, secure: false };
    let Ok(asked) = Name::from_ascii(format!("{}.", name.trim_end_matches('.'))) else { return nothing };
    let mut owner = asked.clone();
    for _ in 0..ALIASES {
        let of_kind = |record: &&Record| record.name == owner && record.record_type() == kind;
        let found: Vec<Record> = records.iter().filter(of_kind).cloned().collect();
        if !found.is_empty() {
            let alias_of = (owner != asked).then(|| text_of(&owner));
            return Found { records: found, alias_of, secure: proven };
        }
        let alias = records.iter().find_map(|record| match &record.data {
            RData::CNAME(alias) if record.name == owner => Some(alias.0.clone()),
            _ => None,
        });
        let Some(alias) = alias else { return nothing };
        owner = alias;
    }
    nothing
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}

fn text_of(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

impl Resolver for SystemResolver {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, Answer<Vec<(u16, String)>>> {
        Box::pin(async move {
            let Found { records, secure, .. } = self.ask(domain.as_str(), RecordType::MX).await?;
            let exchange = |record: &Record| match &record.data {
                RData::MX(mx) => Some((mx.preference, text_of(&mx.exchange))),
                _ => None,
            };
            Ok(Answer { found: records.iter().filter_map(exchange).collect(), secure })
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
            let answers: Vec<&Found> = six.iter().chain(&four).filter(|found| !found.records.is_empty()).collect();
            let Some(first) = answers.first() else {
                return match (six, four) {
                    (Err(DnsError::Inconclusive(why)), _) | (_, Err(DnsError::Inconclusive(why))) => {
                        Err(DnsError::Inconclusive(why))
                    }
                    (Err(DnsError::NoSuchName), _) | (_, Err(DnsError::NoSuchName)) => Err(DnsError::NoSuchName),
                    _ => Ok(Addresses::default()),
                };
            };
            let found = answers.iter().flat_map(|found| &found.records).filter_map(address).collect();
            let secure = answers.iter().all(|found| found.secure);
            let alias_of = first.alias_of.clone();
            // RFC 7672 §2.2.2: a name that is proven to be an alias may have TLSA records, wherever it leads.
            let name_secure = match &alias_of {
                Some(_) if !secure => self.ask(host, RecordType::CNAME).await?.secure,
                _ => secure,
            };
            Ok(Addresses { answer: Answer { found, secure }, alias_of, name_secure })
        })
    }

    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Answer<Vec<Vec<u8>>>> {
        Box::pin(async move {
            let Found { records, secure, .. } = self.ask(name, RecordType::TXT).await?;
            let text = |record: &Record| match &record.data {
                RData::TXT(txt) => Some(txt.txt_data.concat()),
                _ => None,
            };
            Ok(Answer { found: records.iter().filter_map(text).collect(), secure })
        })
    }

    fn tlsa<'a>(&'a self, name: &'a str) -> Lookup<'a, Answer<Vec<Tlsa>>> {
        Box::pin(async move {
            let Found { records, secure, .. } = self.ask(name, RecordType::TLSA).await?;
            let tlsa = |record: &Record| match &record.data {
                RData::TLSA(tlsa) => Some(Tlsa {
                    usage: tlsa.cert_usage.into(),
                    selector: tlsa.selector.into(),
                    matching: tlsa.matching.into(),
                    data: tlsa.cert_data.clone(),
                }),
                _ => None,
            };
            Ok(Answer { found: records.iter().filter_map(tlsa).collect(), secure })
        })
    }

    fn dnssec(&self) -> String {
        match self.known() {
            _ if self.dnssec == Dnssec::Off => "off, as configured".to_owned(),
            _ if self.local.is_empty() => {
                "off: the name servers are not on this machine; DANE needs a validating resolver here".to_owned()
            }
            Proofs::Untried => "not tried yet".to_owned(),
            Proofs::Come => "on".to_owned(),
            Proofs::DoNot(why, _) => format!("off: {why}"),
            Proofs::Silence(why, _) => format!("not known, so whatever needs the DNS waits: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_resolver::proto::rr::rdata::{A, CNAME};

    use super::*;

    fn record(owner: &str, data: RData) -> Record {
        Record::from_rdata(Name::from_str(owner).expect("a name"), 60, data)
    }

    fn a(owner: &str, last: u8) -> Record {
        record(owner, RData::A(A::new(192, 0, 2, last)))
    }

    fn alias(owner: &str, to: &str) -> Record {
        record(owner, RData::CNAME(CNAME(Name::from_str(to).expect("a name"))))
    }

    /// Whatever else stands in an answer, whoever put it there: only the name's own records count, and its alias's.
    #[test]
    fn an_answer_is_what_the_asked_name_leads_to() {
        // (records, found by their last octet, the alias)
        type Row = (Vec<Record>, &'static [u8], Option<&'static str>);
        let rows: [Row; 8] = [
            (vec![a("mx.test.", 1), a("MX.test.", 2)], &[1, 2], None),
            (vec![a("mx.evil.", 9), a("mx.test.", 1)], &[1], None),
            (vec![a("mx.evil.", 9)], &[], None),
            (vec![alias("mx.test.", "b.test."), a("b.test.", 1), a("c.test.", 9)], &[1], Some("b.test")),
            (vec![a("c.test.", 1), alias("b.test.", "C.test."), alias("mx.test.", "b.test.")], &[1], Some("c.test")),
            (vec![alias("mx.test.", "b.test."), alias("x.evil.", "c.test."), a("c.test.", 9)], &[], None),
            (vec![alias("mx.test.", "b.test."), alias("b.test.", "mx.test.")], &[], None),
            (vec![], &[], None),
        ];
        for (records, octets, alias_of) in rows {
            let told = format!("{records:?}");
            let found = on_the_way("mx.test", RecordType::A, records, true);
            let last = |record: &Record| if let RData::A(a) = record.data { a.0.octets()[3] } else { 0 };
            assert_eq!(found.records.iter().map(last).collect::<Vec<_>>(), octets, "{told}");
            assert_eq!(found.alias_of.as_deref(), alias_of, "{told}");
            assert_eq!(found.secure, !octets.is_empty(), "{told}");
        }
    }
}
