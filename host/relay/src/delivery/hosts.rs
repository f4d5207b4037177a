//! The hosts of a next hop, in the order to ask them (RFC 5321 §5.1), and where each is, found out when its turn has come.
//!
//! A look-up that failed leaves a host that could not be asked, never one host fewer.

use std::net::IpAddr;
use std::time::Duration;

use sealwire_core::address::Domain;
use sealwire_core::outcome::Outcome;
use sealwire_core::plan::hosts::literal_address;
use sealwire_core::plan::{HostName, NextHop, RouteHost, Target, order_hosts, order_route_hosts};
use sealwire_core::reply::Reply;

use tokio::time::timeout;

use super::dane::{Dane, dane_of};
use crate::dns::{Answer, DnsError, Resolver};
use crate::world::World;

/// Most hosts asked in one round, and most addresses of one host: what a hostile zone may cost us.
const HOSTS_MAX: usize = 20;
const ADDRESSES_MAX: usize = 8;

/// How long the look-ups of one host may take.
const LOOK_UP_TIME: Duration = Duration::from_secs(60);

/// One host to ask.
pub(crate) struct HostToAsk {
    /// Its name, or its address where the operator or a literal gave one.
    pub(crate) host: HostName,
    pub(crate) port: u16,
    /// The domain whose MX records name it, where DNSSEC vouches for that.
    proven: Option<Domain>,
    /// An operator named it, in a route.
    by_operator: bool,
    /// Whose MTA-STS policy counts (RFC 8461 §3.4): the recipient's domain, or the smart host's name; None for an address.
    pub(crate) policy_domain: Option<Domain>,
}

/// A host that can be asked.
pub(crate) struct Located {
    pub(crate) addresses: Vec<IpAddr>,
    /// Why it may have addresses beside these: some could not be looked up, or it has too many.
    pub(crate) more: Option<String>,
    /// What it demands of a channel itself.
    pub(crate) dane: Option<Dane>,
}

/// A host that cannot be asked.
pub(crate) struct NotLocated {
    /// Behind the host's name.
    pub(crate) why: String,
    /// Its addresses are known, and the TLSA records of this name are not to be had.
    pub(crate) tlsa_base: Option<String>,
}

impl From<String> for NotLocated {
    fn from(why: String) -> NotLocated {
        NotLocated { why, tlsa_base: None }
    }
}

/// The hosts of this next hop; `me` are this relay's own names.
pub(crate) async fn hosts_of(
    next_hop: &NextHop,
    me: &[Domain],
    resolver: &dyn Resolver,
    world: &dyn World,
) -> Result<Vec<HostToAsk>, Outcome> {
    let hosts: Vec<HostToAsk> = match &next_hop.target {
        Target::Mx { domain, port } => {
            let Answer { found, secure } = mail_exchangers(domain, me, resolver, world).await?;
            let (proven, policy_domain) =
                (secure.then(|| domain.clone()), (!domain.is_literal()).then(|| domain.clone()));
            let to_ask = |host| HostToAsk {
                host,
                port: *port,
                proven: proven.clone(),
                by_operator: false,
                policy_domain: policy_domain.clone(),
            };
            found.into_iter().map(to_ask).collect()
        }
        Target::Hosts(hosts) => {
            let ordered = order_route_hosts(hosts, world.roll()).into_iter();
            let to_ask = |host: &RouteHost| {
                let policy_domain = if let HostName::Name(name) = &host.host { Some(name.clone()) } else { None };
                HostToAsk { host: host.host.clone(), port: host.port, proven: None, by_operator: true, policy_domain }
            };
            ordered.map(to_ask).collect()
        }
    };
    Ok(hosts.into_iter().take(HOSTS_MAX).collect())
}

impl HostToAsk {
    /// Nobody between us and the DNS could have put it there.
    pub(crate) fn is_proven(&self) -> bool {
        self.by_operator || self.proven.is_some()
    }

    /// Where it is and, `with_dane`, what it demands, looked up when its turn has come; or why that could not be found out.
    pub(crate) async fn locate(
        &self,
        resolver: &dyn Resolver,
        with_dane: bool,
        now: u64,
    ) -> Result<Located, NotLocated> {
        let late = || Err("its look-ups took too long".to_owned().into());
        timeout(LOOK_UP_TIME, self.look_up(resolver, with_dane, now)).await.unwrap_or_else(|_| late())
    }

    async fn look_up(&self, resolver: &dyn Resolver, with_dane: bool, now: u64) -> Result<Located, NotLocated> {
        let name = match &self.host {
            HostName::Address(address) => return Ok(Located { addresses: vec![*address], more: None, dane: None }),
            HostName::Name(name) => name,
        };
        let addresses = resolver.addresses(name.as_str()).await.map_err(|error| error.to_string())?;
        if addresses.answer.found.is_empty() {
            return Err("it has no address".to_owned().into());
        }
        let dane = match with_dane {
            true => dane_of(name, self.port, &addresses, self.proven.as_ref(), resolver, now).await,
            false => Ok(None),
        };
        #[cfg(test)]
        let dane = crate::simulation::planted::dane(dane);
        let dane = dane?;
        let found = addresses.answer.found;
        let too_many = || format!("it has {} addresses, and {ADDRESSES_MAX} are asked", found.len());
        let more = addresses.missed.map(|why| format!("not all of its addresses are known: {why}"));
        let more = more.or_else(|| (found.len() > ADDRESSES_MAX).then(too_many));
        Ok(Located { addresses: found.into_iter().take(ADDRESSES_MAX).collect(), more, dane })
    }
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

fn refused(reply: Reply) -> Outcome {
    Outcome::Refused { host: None, reply, by_peer: false }
}
