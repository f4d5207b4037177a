//! The resolver in service.
//!
//! Where the name servers are on this machine and validate (DNSSEC), they are asked directly and their word is taken for what is
//! proven ([`super::validated`]); else hickory asks the system's servers or those the configuration names, and nothing counts
//! as proven. Which of both is tried before anything else is asked, and time and again ([`super::proofs`]).

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as HickoryDnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use sealwire_core::address::Domain;
use sealwire_core::dane::Tlsa;
use tokio::time::Instant;

use super::proofs::{Proofs, State};
use super::validated::{self, NoAnswer, Said};
use super::{Addresses, Answer, DnsError, Lookup, Resolver};

/// Aliases that are followed in one answer.
const ALIASES: usize = 16;
/// Why an answer without a proof does not count where proofs came before.
const NO_LONGER: &str = "the DNS no longer proves what it says (DNSSEC)";

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
    dnssec: Dnssec,
    /// Of the servers on this machine.
    proofs: Proofs,
}

/// Records of the asked kind and the aliases that lead to them.
struct Found {
    records: Vec<Record>,
    /// The last owner, where it is not the asked name.
    alias_of: Option<String>,
    /// DNSSEC vouches for it; where there are no records, for their absence.
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
        Ok(SystemResolver { plain, dnssec: dns.dnssec, proofs: Proofs::of(local) })
    }

    /// Names are asked as fully qualified: search lists have no place in mail (RFC 5321 §5.1).
    async fn ask(&self, name: &str, kind: RecordType) -> Result<Found, DnsError> {
        let inconclusive = |why: String| DnsError::Inconclusive(format!("{name} {kind}: {why}"));
        match self.proofs.tried().await {
            State::Come => {}
            State::DoNot(why) if self.dnssec == Dnssec::Required => {
                return Err(inconclusive(format!("it cannot be proven, and dns.dnssec is \"required\": {why}")));
            }
            State::DoNot(_) | State::Untried => return self.ask_plainly(name, kind).await,
            State::Lost(why) => return Err(inconclusive(format!("{NO_LONGER}: {why}"))),
            State::Silence(why) => return Err(inconclusive(why)),
        }
        let Said { code, records, proven } = match validated::ask(self.proofs.servers(), name, kind).await {
            Ok(said) => said,
            Err(NoAnswer::Code(code)) => return Err(inconclusive(code.to_string())),
            Err(NoAnswer::Silence(why)) => return Err(inconclusive(why)),
        };
        // Nobody has signed it, or the servers have stopped to validate: their next word for the root tells.
        if !proven {
            match self.proofs.tried_since(Instant::now()).await {
                State::Come => {}
                State::Silence(why) => return Err(inconclusive(why)),
                State::Lost(why) | State::DoNot(why) => return Err(inconclusive(format!("{NO_LONGER}: {why}"))),
                State::Untried => return Err(inconclusive(NO_LONGER.to_owned())),
            }
        }
        match code {
            ResponseCode::NXDomain => Err(DnsError::NoSuchName),
            _ => Ok(on_the_way(name, kind, records, proven)),
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
}

/// What an answer has for this name: its records, or its alias's, and nothing that somebody added.
fn on_the_way(name: &str, kind: RecordType, records: Vec<Record>, proven: bool) -> Found {
    let nothing = |secure| Found { records: Vec::new(), alias_of: None, secure };
    let Ok(asked) = Name::from_ascii(format!("{}.", name.trim_end_matches('.'))) else { return nothing(false) };
    let mut owner = asked.clone();
    for followed in 0..ALIASES {
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
        // RFC 4035 §3.2.3: the word holds for absence too. With records of others beside it, it is not known what it is for.
        let Some(alias) = alias else { return nothing(proven && followed == records.len()) };
        owner = alias;
    }
    nothing(false)
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
            // One family that could not be asked does not hide what the other answered, and is told of.
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
            let missed = match (&six, &four) {
                (Err(DnsError::Inconclusive(why)), _) | (_, Err(DnsError::Inconclusive(why))) => Some(why.clone()),
                _ => None,
            };
            let found = answers.iter().flat_map(|found| &found.records).filter_map(address).collect();
            let secure = answers.iter().all(|found| found.secure);
            let alias_of = first.alias_of.clone();
            // RFC 7672 §2.2.2: a name that is proven to be an alias may have TLSA records, wherever it leads.
            let name_secure = match &alias_of {
                Some(_) if !secure => self.ask(host, RecordType::CNAME).await?.secure,
                _ => secure,
            };
            Ok(Addresses { answer: Answer { found, secure }, alias_of, name_secure, missed })
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
        match self.proofs.known() {
            _ if self.dnssec == Dnssec::Off => "off, as configured".to_owned(),
            _ if self.proofs.servers().is_empty() => {
                "off: the name servers are not on this machine; DANE needs a validating resolver here".to_owned()
            }
            State::Untried => "not tried yet".to_owned(),
            State::Come => "on".to_owned(),
            State::DoNot(why) => format!("off: {why}"),
            State::Lost(why) => format!("lost, so whatever needs the DNS waits: {why}"),
            State::Silence(why) => format!("not known, so whatever needs the DNS waits: {why}"),
        }
    }

    fn trouble(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(self.proofs.trouble())
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
        // (records, found by their last octet, the alias, whether the servers' word for the answer is one for that)
        type Row = (Vec<Record>, &'static [u8], Option<&'static str>, bool);
        let rows: [Row; 9] = [
            (vec![a("mx.test.", 1), a("MX.test.", 2)], &[1, 2], None, true),
            (vec![a("mx.evil.", 9), a("mx.test.", 1)], &[1], None, true),
            (vec![a("mx.evil.", 9)], &[], None, false),
            (vec![alias("mx.test.", "b.test."), a("b.test.", 1), a("c.test.", 9)], &[1], Some("b.test"), true),
            (
                vec![a("c.test.", 1), alias("b.test.", "C.test."), alias("mx.test.", "b.test.")],
                &[1],
                Some("c.test"),
                true,
            ),
            (vec![alias("mx.test.", "b.test."), alias("x.evil.", "c.test."), a("c.test.", 9)], &[], None, false),
            (vec![alias("mx.test.", "b.test."), alias("b.test.", "mx.test.")], &[], None, false),
            // Nothing of the kind, and that is proven.
            (vec![alias("mx.test.", "b.test.")], &[], None, true),
            (vec![], &[], None, true),
        ];
        for (records, octets, alias_of, secure) in rows {
            let told = format!("{records:?}");
            assert!(!on_the_way("mx.test", RecordType::A, records.clone(), false).secure, "{told}");
            let found = on_the_way("mx.test", RecordType::A, records, true);
            let last = |record: &Record| if let RData::A(a) = record.data { a.0.octets()[3] } else { 0 };
            assert_eq!(found.records.iter().map(last).collect::<Vec<_>>(), octets, "{told}");
            assert_eq!(found.alias_of.as_deref(), alias_of, "{told}");
            assert_eq!(found.secure, secure, "{told}");
        }
    }
}
