//! The hosts of a next hop with their addresses, in the order to ask them (RFC 5321 §5.1).
//!
//! A look-up that failed leaves a host that could not be asked, never one host fewer.

use std::net::IpAddr;

use sealwire_core::address::Domain;
use sealwire_core::outcome::Outcome;
use sealwire_core::plan::hosts::literal_address;
use sealwire_core::plan::{HostName, NextHop, Target, order_hosts, order_route_hosts};
use sealwire_core::reply::Reply;

use crate::dns::{DnsError, Resolver};
use crate::world::World;

/// Most hosts asked in one round, and most addresses of one host: what a hostile zone may cost us.
const HOSTS_MAX: usize = 20;
const ADDRESSES_MAX: usize = 8;

/// One host to ask.
pub(crate) struct HostToAsk {
    /// Its name, or its address where the operator or a literal gave one.
    pub(crate) host: HostName,
    pub(crate) port: u16,
    /// Where it is, or why that could not be found out.
    pub(crate) addresses: Result<Vec<IpAddr>, String>,
}

/// The hosts of this next hop; `me` are this relay's own names.
pub(crate) async fn hosts_of(
    next_hop: &NextHop,
    me: &[Domain],
    resolver: &dyn Resolver,
    world: &dyn World,
) -> Result<Vec<HostToAsk>, Outcome> {
    let names: Vec<(HostName, u16)> = match &next_hop.target {
        Target::Mx { domain, port } => {
            let names = mail_exchangers(domain, me, resolver, world).await?;
            names.into_iter().map(|name| (name, *port)).collect()
        }
        Target::Hosts(hosts) => {
            order_route_hosts(hosts, world.roll()).into_iter().map(|h| (h.host.clone(), h.port)).collect()
        }
    };
    let mut hosts = Vec::new();
    for (host, port) in names.into_iter().take(HOSTS_MAX) {
        let addresses = addresses_of(&host, resolver).await;
        hosts.push(HostToAsk { host, port, addresses });
    }
    Ok(hosts)
}

async fn mail_exchangers(
    domain: &Domain,
    me: &[Domain],
    resolver: &dyn Resolver,
    world: &dyn World,
) -> Result<Vec<HostName>, Outcome> {
    if domain.is_literal() {
        let unusable = || refused(Reply::new(550, (1, 2), "the address literal names no host"));
        return literal_address(domain).map(|a| vec![HostName::Address(a)]).ok_or_else(unusable);
    }
    let records = match resolver.mx(domain).await {
        Ok(records) => records,
        // RFC 5321 §5.1: a domain that does not exist is an error at once.
        Err(DnsError::NoSuchName) => {
            return Err(refused(Reply::new(550, (1, 2), format!("the domain {domain} does not exist"))));
        }
        // A failure of the DNS is never "no MX".
        Err(DnsError::Inconclusive(why)) => {
            return Err(Outcome::Inconclusive { host: None, why: format!("DNS: {why}"), reply: None });
        }
    };
    let hosts = order_hosts(domain, &records, me, world.roll()).map_err(|problem| refused(problem.reply()))?;
    Ok(hosts.into_iter().map(HostName::Name).collect())
}

async fn addresses_of(host: &HostName, resolver: &dyn Resolver) -> Result<Vec<IpAddr>, String> {
    let name = match host {
        HostName::Address(address) => return Ok(vec![*address]),
        HostName::Name(name) => name,
    };
    match resolver.addresses(name.as_str()).await {
        Ok(addresses) if addresses.is_empty() => Err("it has no address".into()),
        Ok(addresses) => Ok(addresses.into_iter().take(ADDRESSES_MAX).collect()),
        Err(error) => Err(error.to_string()),
    }
}

fn refused(reply: Reply) -> Outcome {
    Outcome::Refused { host: None, reply, by_peer: false }
}
