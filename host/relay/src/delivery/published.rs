//! What the world publishes about one host, and what follows for its floor: DANE where it applies, else MTA-STS.
//!
//! RFC 8461 §2: MTA-STS never stands in for DANE that fails. Where TLSA records are there but none can be used, DANE asks for
//! TLS alone (RFC 7672 §2.2), and MTA-STS may ask for more beside it.

use std::sync::Arc;

use sealwire_core::address::Domain;
use sealwire_core::facts::{ChainVerdict, ChannelFacts};
use sealwire_core::floor::{Demand, Source, Sourced, TlsFloor};
use sealwire_core::plan::HostName;
use sealwire_core::sts::Mode;

use super::dane::Dane;
use crate::live::Live;
use crate::relay::Relay;
use crate::sts::{Fetching, Held, Sts};
use crate::tls::DaneCheck;

/// What is published about one host.
pub(crate) struct Published {
    dane: Option<Dane>,
    sts: Option<OfPolicy>,
}

/// A policy, seen from one host.
enum OfPolicy {
    Held {
        domain: Domain,
        held: Arc<Held>,
        /// The policy lists the host.
        listed: bool,
    },
    /// It is not to be had, by RFC 8460's word.
    Fault(&'static str),
}

impl Published {
    /// Looks the policy up where it can matter. `domain` is whose policy counts (RFC 8461 §3.4), None where nobody's does.
    pub(crate) async fn look(
        relay: &Relay,
        live: &Live,
        host: &HostName,
        domain: Option<&Domain>,
        dane: Option<Dane>,
    ) -> Published {
        let authenticates = dane.as_ref().is_some_and(Dane::authenticates);
        let (Some(domain), HostName::Name(host), true, false) = (domain, host, live.config.mta_sts.enabled, authenticates)
        else {
            return Published { dane, sts: None };
        };
        let fetching = Fetching::of(relay, live);
        let sts = match relay.sts.look(domain, &fetching, &*relay.store, relay.world.now()).await {
            Sts::None => None,
            Sts::Fault(fault) => Some(OfPolicy::Fault(fault.word())),
            Sts::Policy(held) => {
                let listed = held.policy.covers(host);
                Some(OfPolicy::Held { domain: domain.clone(), held, listed })
            }
        };
        Published { dane, sts }
    }

    /// How the host's certificate is checked by its TLSA records.
    pub(crate) fn dane_check(&self) -> Option<&DaneCheck> {
        self.dane.as_ref().map(|dane| &dane.check)
    }

    /// The floor of a message to this host, which can only be higher than the plan's.
    pub(crate) fn raise(&self, floor: &TlsFloor) -> TlsFloor {
        let mut floor = floor.clone();
        let dane = self.dane.iter().map(|dane| dane.demand.clone());
        for (demand, source) in dane.chain(self.demands_of_policy()) {
            floor = floor.raised(demand, source);
        }
        floor
    }

    /// RFC 8461 §4.1, §4.2: a listed host, with a chain and its own name.
    fn demands_of_policy(&self) -> Vec<Sourced> {
        let Some(OfPolicy::Held { domain, held, listed }) = &self.sts else { return Vec::new() };
        if held.policy.mode != Mode::Enforce {
            return Vec::new();
        }
        let source =
            Source::MtaSts { domain: domain.to_string(), id: held.id.clone(), fetched_at: held.fetched_at };
        let mut demands = vec![Demand::Tls, Demand::TrustedChain, Demand::MatchingName];
        demands.extend((!listed).then_some(Demand::ListedHost));
        demands.into_iter().map(|demand| (demand, source.clone())).collect()
    }

    /// The policy whose list the host is missing from, if that keeps mail from it: no connection can mend that.
    pub(crate) fn unlisted_by(&self) -> Option<(Sourced, &Domain)> {
        let missing = self.demands_of_policy().into_iter().find(|(demand, _)| *demand == Demand::ListedHost)?;
        match &self.sts {
            Some(OfPolicy::Held { domain, .. }) => Some((missing, domain)),
            _ => None,
        }
    }

    /// For policies, as (kind, verdict) of the contract: `valid`, `testing-valid`, or RFC 8460's word for what is wrong.
    pub(crate) fn verdicts(&self, channel: &ChannelFacts) -> Vec<(String, String)> {
        let dane = self.dane.iter().map(|dane| ("dane".to_owned(), dane.verdict().to_owned()));
        let sts = self.sts.iter().map(|sts| ("mta-sts".to_owned(), sts.verdict(channel).to_owned()));
        dane.chain(sts).collect()
    }
}

impl OfPolicy {
    fn verdict(&self, channel: &ChannelFacts) -> &'static str {
        let (held, listed) = match self {
            OfPolicy::Fault(word) => return word,
            OfPolicy::Held { held, listed, .. } => (held, *listed),
        };
        match &channel.handshake {
            None => "starttls-not-supported",
            Some(handshake) if handshake.chain != ChainVerdict::Trusted => handshake.chain.as_str(),
            Some(handshake) if !handshake.name_matches => "certificate-host-mismatch",
            Some(_) if !listed => "validation-failure",
            Some(_) if held.policy.mode == Mode::Testing => "testing-valid",
            Some(_) => "valid",
        }
    }
}
