//! What the TLSA records of a host demand, asked in the order of RFC 7672 §2.2: addresses first, and TLSA records only where
//! DNSSEC vouches for these.
//!
//! A look-up that failed is a host that cannot be asked: were it one without TLSA records, whoever can break the look-up could
//! have the mail in clear.

use std::collections::BTreeSet;

use sealwire_core::address::Domain;
use sealwire_core::dane;
use sealwire_core::floor::{Demand, Source, Sourced};

use super::hosts::NotLocated;
use crate::dns::{Addresses, DnsError, Resolver};
use crate::tls::DaneCheck;

/// A host's own demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dane {
    /// To be joined to the floor of every message to it.
    pub(crate) demand: Sourced,
    /// How its certificate is checked; without records where none was usable.
    pub(crate) check: DaneCheck,
}

impl Dane {
    /// It says which certificate the host has; else it asks for TLS alone.
    pub(crate) fn authenticates(&self) -> bool {
        !self.check.records.is_empty()
    }

    /// In the contract's words: whether the channel met it, or RFC 8460's word for why that cannot be.
    pub(crate) fn verdict(&self) -> &'static str {
        if self.authenticates() { "valid" } else { "tlsa-invalid" }
    }
}

/// Looks them up for `host`, which has these addresses. `next_hop` is the domain whose MX records name it, where DNSSEC
/// vouches for that (§3.2.2); `now` is in seconds since the Unix epoch. Err: it could not be found out.
pub(crate) async fn dane_of(
    host: &Domain,
    port: u16,
    addresses: &Addresses,
    next_hop: Option<&Domain>,
    resolver: &dyn Resolver,
    now: u64,
) -> Result<Option<Dane>, NotLocated> {
    // §2.2.2: an alias is followed first, where that is proven, and the name itself counts where nothing stands there.
    let alias = addresses.alias_of.iter().filter(|_| addresses.answer.secure).map(String::as_str);
    let own = addresses.name_secure.then_some(host.as_str());
    for base in alias.chain(own) {
        let name = format!("_{port}._tcp.{base}");
        let answer = match resolver.tlsa(&name).await {
            Ok(answer) => answer,
            Err(DnsError::NoSuchName) => continue,
            Err(error @ DnsError::Inconclusive(_)) => {
                let why = format!("its TLSA records: {error}");
                return Err(NotLocated { why, tlsa_base: Some(base.to_owned()) });
            }
        };
        if !answer.secure {
            continue;
        }
        let Some(demand) = dane::demand(answer.found) else { continue };
        let records = if let Demand::Dane(records) = &demand { records.clone() } else { BTreeSet::new() };
        let mut names = vec![base.to_owned()];
        names.extend(next_hop.map(Domain::to_string));
        if base != host.as_str() {
            names.push(host.to_string());
        }
        let check = DaneCheck { records, base: base.to_owned(), names };
        return Ok(Some(Dane { demand: (demand, Source::Dane { name, looked_up_at: now }), check }));
    }
    Ok(None)
}
