//! The resolver in service: hickory, asking the system's servers or those the configuration names.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as HickoryDnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};
use sealwire_core::address::Domain;

use super::{DnsError, Lookup, Resolver};

/// Hickory.
pub struct SystemResolver(TokioResolver);

impl SystemResolver {
    /// Asks these servers, or, if there are none, those of `/etc/resolv.conf`.
    pub fn new(servers: &[SocketAddr]) -> Result<SystemResolver, String> {
        let builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|e| format!("/etc/resolv.conf cannot be used: {e}"))?
        } else {
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(name_server).collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        builder.build().map(SystemResolver).map_err(|e| format!("the resolver cannot be built: {e}"))
    }

    /// Names are asked as fully qualified: search lists have no place in mail (RFC 5321 §5.1).
    async fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, DnsError> {
        match self.0.lookup(format!("{}.", name.trim_end_matches('.')), kind).await {
            Ok(lookup) => Ok(lookup.answers().iter().map(|record| record.data.clone()).collect()),
            Err(NetError::Dns(HickoryDnsError::NoRecordsFound(none))) => match none.response_code {
                ResponseCode::NoError => Ok(Vec::new()),
                ResponseCode::NXDomain => Err(DnsError::NoSuchName),
                code => Err(DnsError::Inconclusive(format!("{name} {kind}: {code}"))),
            },
            Err(error) => Err(DnsError::Inconclusive(format!("{name} {kind}: {error}"))),
        }
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}

impl Resolver for SystemResolver {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, Vec<(u16, String)>> {
        Box::pin(async move {
            let found = self.ask(domain.as_str(), RecordType::MX).await?;
            let exchange = |data: RData| match data {
                RData::MX(mx) => {
                    Some((mx.preference, mx.exchange.to_ascii().trim_end_matches('.').to_ascii_lowercase()))
                }
                _ => None,
            };
            Ok(found.into_iter().filter_map(exchange).collect())
        })
    }

    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Vec<IpAddr>> {
        Box::pin(async move {
            let (six, four) = tokio::join!(self.ask(host, RecordType::AAAA), self.ask(host, RecordType::A));
            let address = |data: RData| match data {
                RData::A(a) => Some(IpAddr::V4(a.0)),
                RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                _ => None,
            };
            // One family that could not be asked does not hide what the other answered.
            let found = |answer: &Result<Vec<RData>, DnsError>| -> Vec<IpAddr> {
                answer.iter().flatten().cloned().filter_map(address).collect()
            };
            let all: Vec<IpAddr> = found(&six).into_iter().chain(found(&four)).collect();
            match (all.is_empty(), six, four) {
                (false, ..) | (true, Ok(_), Ok(_)) => Ok(all),
                (true, Err(DnsError::Inconclusive(why)), _) | (true, _, Err(DnsError::Inconclusive(why))) => {
                    Err(DnsError::Inconclusive(why))
                }
                (true, ..) => Err(DnsError::NoSuchName),
            }
        })
    }
}
