//! What the world publishes about one host, and what follows for its floor: DANE where it applies, else MTA-STS.
//!
//! RFC 8461 §2: MTA-STS never stands in for DANE that fails. Where TLSA records are there but none can be used, DANE asks for
//! TLS alone (RFC 7672 §2.2), and MTA-STS may ask for more beside it. For a message with REQUIRETLS either of them proves the
//! host's name (RFC 8689 §4.2.1).

use std::sync::Arc;

use sealwire_core::address::Domain;
use sealwire_core::facts::{ChainVerdict, ChannelFacts};
use sealwire_core::floor::{Demand, Source, Sourced, TlsFloor};
use sealwire_core::plan::HostName;
use sealwire_core::sts::Mode;

use super::dane::Dane;
use super::hosts::HostToAsk;
use crate::live::Live;
use crate::relay::Relay;
use crate::sts::{FetchFault, Fetching, Held, Sts};
use crate::tls::DaneCheck;
use crate::tls_test::StsTested;

/// What is published about one host.
pub(crate) struct Published {
    pub(super) dane: Option<Dane>,
    pub(super) sts: Option<OfPolicy>,
    /// DANE says which certificate a proven host has: the policy demands nothing beside it (RFC 8461 §2).
    pub(super) authenticated: bool,
    /// Why the host's name is not proven; None: it is.
    pub(super) unproven: Option<Unproven>,
}

/// A name that is an answer of the DNS, and no more.
#[derive(Clone, Copy)]
pub(super) struct Unproven {
    /// Nothing more can be found out now.
    conclusive: bool,
}

/// What stands between a message and a host, whatever its channel gives.
pub(crate) struct Barred {
    pub(crate) unmet: Vec<Sourced>,
    /// Behind the host's name.
    pub(crate) found: String,
    pub(crate) conclusive: bool,
}

/// A policy, seen from one host.
pub(super) enum OfPolicy {
    Held {
        domain: Domain,
        held: Arc<Held>,
        /// The policy lists the host.
        listed: bool,
    },
    /// It is not to be had.
    Fault(FetchFault),
}

/// Whose word counts for one message at one host.
pub(crate) struct Asked<'a> {
    pub(crate) host: &'a HostToAsk,
    /// Of the message, before anything of the host's joins it.
    pub(crate) floor: &'a TlsFloor,
    /// `TLS-Required: No` (RFC 8689 §4.1): what the recipient's side publishes is not asked for.
    pub(crate) tls_not_required: bool,
    /// Look at what does not matter for this message too.
    pub(crate) everything: bool,
}

impl Published {
    /// Looks the policy up where it can matter.
    pub(crate) async fn look(relay: &Relay, live: &Live, asked: Asked<'_>, dane: Option<Dane>) -> Published {
        let Asked { host, floor, tls_not_required, everything } = asked;
        let proof_wanted = floor.demands().any(|(demand, _)| *demand == Demand::RequireTls) && !host.is_proven();
        // Where nothing proves that it is the domain's host, it may be anybody's, with TLSA records of his own: the policy is asked.
        let authenticates = host.is_proven() && dane.as_ref().is_some_and(Dane::authenticates);
        let matters = everything || !authenticates || proof_wanted;
        let sts = if live.config.mta_sts.enabled && !tls_not_required && matters {
            policy_for(relay, live, host).await
        } else {
            None
        };
        #[cfg(test)]
        let sts = crate::simulation::planted::sts(sts);
        let unproven = (proof_wanted && !proven_by(sts.as_ref()))
            .then_some(Unproven { conclusive: !matches!(sts, Some(OfPolicy::Fault(_))) });
        Published { dane, sts, authenticated: authenticates, unproven }
    }

    /// How the host's certificate is checked by its TLSA records.
    pub(crate) fn dane_check(&self) -> Option<&DaneCheck> {
        self.dane.as_ref().map(|dane| &dane.check)
    }

    /// The floor of a message to this host, which can only be higher than the plan's.
    pub(crate) fn raise(&self, floor: &TlsFloor) -> TlsFloor {
        self.demands().into_iter().fold(floor.clone(), |floor, (demand, source)| floor.raised(demand, source))
    }

    /// What the host's side demands.
    pub(crate) fn demands(&self) -> Vec<Sourced> {
        let dane = self.dane.iter().map(|dane| dane.demand.clone());
        dane.chain(self.demands_of_policy()).collect()
    }

    /// RFC 8461 §4.1, §4.2: a listed host, with a chain and its own name.
    fn demands_of_policy(&self) -> Vec<Sourced> {
        let Some(OfPolicy::Held { domain, held, listed }) = &self.sts else { return Vec::new() };
        if held.policy.mode != Mode::Enforce || self.authenticated {
            return Vec::new();
        }
        let source = Source::MtaSts { domain: domain.to_string(), id: held.id.clone(), fetched_at: held.fetched_at };
        let mut demands = vec![Demand::Tls, Demand::TrustedChain, Demand::MatchingName];
        demands.extend((!listed).then_some(Demand::ListedHost));
        demands.into_iter().map(|demand| (demand, source.clone())).collect()
    }

    /// What no channel can mend: the policy does not list the host, or REQUIRETLS asks for a name that is proven.
    pub(crate) fn barred(&self) -> Option<Barred> {
        let missing = self.demands_of_policy().into_iter().find(|(demand, _)| *demand == Demand::ListedHost);
        let unproven = self.unproven.map(|_| (Demand::ProvenHost, Source::RequireTls));
        let found = match (&missing, &self.sts) {
            (Some(_), Some(OfPolicy::Held { domain, .. })) => {
                format!("is not listed in the MTA-STS policy of {domain} and was not connected")
            }
            _ => {
                "was found by an answer of the DNS that neither DNSSEC nor MTA-STS proves, and was not connected".into()
            }
        };
        let unmet: Vec<Sourced> = missing.into_iter().chain(unproven).collect();
        let conclusive = self.unproven.is_none_or(|unproven| unproven.conclusive);
        (!unmet.is_empty()).then_some(Barred { unmet, found, conclusive })
    }

    /// The policy lists the host; None where there is none.
    pub(crate) fn is_listed(&self) -> Option<bool> {
        match &self.sts {
            Some(OfPolicy::Held { listed, .. }) => Some(*listed),
            _ => None,
        }
    }

    /// As far as that was asked for.
    pub(crate) fn is_proven(&self) -> bool {
        self.unproven.is_none()
    }

    /// Its records in use; `unusable` where it has others only.
    pub(crate) fn tlsa(&self) -> Vec<String> {
        let Some(dane) = &self.dane else { return Vec::new() };
        if !dane.authenticates() {
            return vec!["unusable".to_owned()];
        }
        dane.check.records.iter().map(ToString::to_string).collect()
    }

    /// The policy, for a test of the destination.
    pub(crate) fn sts_tested(&self, domain: Option<&Domain>) -> Option<StsTested> {
        let none = |mode: String| StsTested {
            domain: domain.map(ToString::to_string).unwrap_or_default(),
            mode,
            id: None,
            mx: Vec::new(),
            fetched_at: None,
            ends_at: None,
        };
        match self.sts.as_ref()? {
            OfPolicy::Fault(fault) => Some(none(fault.word().to_owned())),
            OfPolicy::Held { domain, held, .. } => Some(StsTested {
                domain: domain.to_string(),
                mode: if held.policy.mode == Mode::Enforce { "enforce" } else { "testing" }.to_owned(),
                id: Some(held.id.clone()),
                mx: held.policy.mx.iter().map(ToString::to_string).collect(),
                fetched_at: Some(held.fetched_at),
                ends_at: Some(held.ends_at()),
            }),
        }
    }

    /// For policies, as (kind, verdict) of the contract: `valid`, `testing-valid`, or RFC 8460's word for what is wrong.
    pub(crate) fn verdicts(&self, channel: &ChannelFacts) -> Vec<(String, String)> {
        let dane = self.dane.iter().map(|dane| ("dane".to_owned(), dane.verdict().to_owned()));
        let sts = self
            .sts
            .iter()
            .filter(|_| !self.authenticated)
            .map(|sts| ("mta-sts".to_owned(), sts.verdict(channel).to_owned()));
        dane.chain(sts).collect()
    }
}

/// Of whose policy counts (RFC 8461 §3.4).
async fn policy_for(relay: &Relay, live: &Live, host: &HostToAsk) -> Option<OfPolicy> {
    let (Some(domain), HostName::Name(name)) = (&host.policy_domain, &host.host) else { return None };
    let fetching = Fetching::of(relay, live);
    match relay.sts.look(domain, &fetching, &*relay.store, relay.world.now()).await {
        Sts::None => None,
        Sts::Fault(fault) => Some(OfPolicy::Fault(fault)),
        Sts::Policy(held) => {
            let listed = held.policy.covers(name);
            Some(OfPolicy::Held { domain: domain.clone(), held, listed })
        }
    }
}

/// The domain itself said so, over HTTPS; a policy that tests is its word as much as one that enforces.
fn proven_by(sts: Option<&OfPolicy>) -> bool {
    matches!(sts, Some(OfPolicy::Held { listed: true, .. }))
}

impl OfPolicy {
    fn verdict(&self, channel: &ChannelFacts) -> &'static str {
        let (held, listed) = match self {
            OfPolicy::Fault(fault) => return fault.word(),
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
