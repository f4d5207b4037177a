//! The names: a table of mail exchangers and addresses, with look-ups that fail while faults last.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sealwire_core::address::Domain;
use sealwire_core::dane::Tlsa;

use super::fault::Fault;
use super::scene::Scene;
use crate::dns::{Addresses, Answer, DnsError, Lookup, Resolver};

/// The resolver of a simulated relay.
pub(super) struct Names {
    scene: Arc<Scene>,
    addresses: BTreeMap<String, IpAddr>,
}

impl Names {
    pub(super) fn new(scene: Arc<Scene>) -> Names {
        let addresses = scene.hops.iter().map(|hop| (hop.name.clone(), hop.address)).collect();
        Names { scene, addresses }
    }

    /// One of these faults, now and then.
    async fn trouble(&self, name: &str, failure: Fault, absence: Fault) -> Result<(), DnsError> {
        let chance = &self.scene.of_names;
        tokio::time::sleep(Duration::from_millis(chance.below(2_000))).await;
        if !self.scene.strikes(chance, self.scene.odds.names) {
            return Ok(());
        }
        if chance.percent(75) {
            self.scene.witness.struck(failure, name);
            Err(DnsError::Inconclusive("SERVFAIL".into()))
        } else {
            self.scene.witness.struck(absence, name);
            Err(DnsError::NoSuchName)
        }
    }
}

impl Resolver for Names {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, Answer<Vec<(u16, String)>>> {
        Box::pin(async move {
            self.trouble(domain.as_str(), Fault::MxInconclusive, Fault::MxNoSuchName).await?;
            let hosts = [("mx1", 10), ("mx2", self.scene.second_preference)];
            let found = hosts.map(|(host, preference)| (preference, format!("{host}.{domain}"))).to_vec();
            Ok(Answer { found, secure: false })
        })
    }

    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Addresses> {
        Box::pin(async move {
            self.trouble(host, Fault::AddressesInconclusive, Fault::AddressesNoSuchName).await?;
            let found = self.addresses.get(host).map(|address| vec![*address]).ok_or(DnsError::NoSuchName)?;
            Ok(Addresses { answer: Answer { found, secure: false }, ..Addresses::default() })
        })
    }

    fn txt<'a>(&'a self, _: &'a str) -> Lookup<'a, Answer<Vec<Vec<u8>>>> {
        Box::pin(async { Err(DnsError::NoSuchName) })
    }

    fn tlsa<'a>(&'a self, _: &'a str) -> Lookup<'a, Answer<Vec<Tlsa>>> {
        Box::pin(async { Err(DnsError::NoSuchName) })
    }

    fn dnssec(&self) -> String {
        "off: these names are not signed".to_owned()
    }
}
