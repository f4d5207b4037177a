//! The names: a table of mail exchangers and addresses, with look-ups that fail while faults last.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sealwire_core::address::Domain;
use sealwire_core::dane::Tlsa;

use super::fault::Fault;
use super::hop::{DANE, STS};
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
            Ok(Answer { found, secure: domain.as_str() == DANE })
        })
    }

    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Addresses> {
        Box::pin(async move {
            self.trouble(host, Fault::AddressesInconclusive, Fault::AddressesNoSuchName).await?;
            let found = self.addresses.get(host).map(|address| vec![*address]).ok_or(DnsError::NoSuchName)?;
            let secure = host.ends_with(DANE);
            Ok(Addresses { answer: Answer { found, secure }, name_secure: secure, ..Addresses::default() })
        })
    }

    /// Whatever becomes of the record, the policy in hand holds.
    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Answer<Vec<Vec<u8>>>> {
        Box::pin(async move {
            if name != format!("_mta-sts.{STS}") {
                return Err(DnsError::NoSuchName);
            }
            self.trouble(name, Fault::TxtInconclusive, Fault::TxtChanged).await?;
            let changed = self.scene.strikes(&self.scene.of_names, self.scene.odds.names);
            if changed {
                self.scene.witness.struck(Fault::TxtChanged, name);
            }
            let id = if changed { "2" } else { "1" };
            Ok(Answer { found: vec![format!("v=STSv1; id={id};").into_bytes()], secure: false })
        })
    }

    /// Of signed names only; a record that cannot be looked up is never one that is not there.
    fn tlsa<'a>(&'a self, name: &'a str) -> Lookup<'a, Answer<Vec<Tlsa>>> {
        Box::pin(async move {
            if !name.ends_with(DANE) {
                return Err(DnsError::NoSuchName);
            }
            let chance = &self.scene.of_names;
            if self.scene.strikes(chance, self.scene.odds.names) {
                self.scene.witness.struck(Fault::TlsaInconclusive, name);
                return Err(DnsError::Inconclusive("SERVFAIL".into()));
            }
            Ok(Answer { found: vec![self.scene.shared.good_tlsa.clone()], secure: true })
        })
    }

    fn dnssec(&self) -> String {
        "off: these names are not signed".to_owned()
    }
}
