//! The hosts of a next hop with their addresses, in the order to ask them (RFC 5321 §5.1).
//!
//! A look-up that failed leaves a host that could not be asked, never one host fewer.

use std::net::IpAddr;

use sealwire_core::address::Domain;
use sealwire_core::outcome::Outcome;
use sealwire_core::plan::hosts::literal_address;
use sealwire_core::plan::{HostName, NextHop, Target, order_hosts, order_route_hosts};
use sealwire_core::reply::Reply;

use super::dane::{Dane, dane_of};
use crate::dns::{Answer, DnsError, Resolver};
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
    /// What it demands of a channel itself.
    pub(crate) dane: Option<Dane>,
}

/// The hosts of this next hop; `me` are this relay's own names.
pub(crate) async fn hosts_of(
    next_hop: &NextHop,
    me: &[Domain],
    resolver: &dyn Resolver,
    world: &dyn World,
) -> Result<Vec<HostToAsk>, Outcome> {
    let (names, proven): (Vec<(HostName, u16)>, Option<&Domain>) = match &next_hop.target {
        Target::Mx { domain, port } => {
            let Answer { found, secure } = mail_exchangers(domain, me, resolver, world).await?;
            (found.into_iter().map(|name| (name, *port)).collect(), secure.then_some(domain))
        }
        Target::Hosts(hosts) => {
            let ordered = order_route_hosts(hosts, world.roll()).into_iter();
            (ordered.map(|host| (host.host.clone(), host.port)).collect(), None)
        }
    };
    let mut hosts = Vec::new();
    for (host, port) in names.into_iter().take(HOSTS_MAX) {
        let (addresses, dane) = match look_up(&host, port, proven, resolver).await {
            Ok((addresses, dane)) => (Ok(addresses), dane),
            Err(why) => (Err(why), None),
        };
        hosts.push(HostToAsk { host, port, addresses, dane });
    }
    Ok(hosts)
}

async fn mail_exchangers(
    domain: &Domain,
    me: &[Domain],
    resolver: &dyn Resolver,
    world: &dyn World,
) -> Result<Answer<Vec<HostName>>, Outcome> {
    if domain.is_literal() {
        let unusable = || refused(Reply::new(550, (1, 2), "the address literal names no host"));
        let address = literal_address(domain).ok_or_else(unusable)?;
        return Ok(Answer { found: vec![HostName::Address(address)], secure: false });
    }
    let Answer { found, secure } = match resolver.mx(domain).await {
        Ok(answer) => answer,
        // RFC 5321 §5.1: a domain that does not exist is an error at once.
        Err(DnsError::NoSuchName) => {
            return Err(refused(Reply::new(550, (1, 2), format!("the domain {domain} does not exist"))));
        }
        // A failure of the DNS is never "no MX".
        Err(DnsError::Inconclusive(why)) => {
            return Err(Outcome::Inconclusive { host: None, why: format!("DNS: {why}"), reply: None });
        }
    };
    let hosts = order_hosts(domain, &found, me, world.roll()).map_err(|problem| refused(problem.reply()))?;
    Ok(Answer { found: hosts.into_iter().map(HostName::Name).collect(), secure })
}

/// Its addresses, and what it demands.
async fn look_up(
    host: &HostName,
    port: u16,
    next_hop: Option<&Domain>,
    resolver: &dyn Resolver,
) -> Result<(Vec<IpAddr>, Option<Dane>), String> {
    let name = match host {
        HostName::Address(address) => return Ok((vec![*address], None)),
        HostName::Name(name) => name,
    };
    let addresses = resolver.addresses(name.as_str()).await.map_err(|error| error.to_string())?;
    if addresses.answer.found.is_empty() {
        return Err("it has no address".into());
    }
    let dane = dane_of(name, port, &addresses, next_hop, resolver).await?;
    Ok((addresses.answer.found.into_iter().take(ADDRESSES_MAX).collect(), dane))
}

fn refused(reply: Reply) -> Outcome {
    Outcome::Refused { host: None, reply, by_peer: false }
}
