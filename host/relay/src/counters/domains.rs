//! Counters for each domain and direction: inbound by the sender's domain, outbound by the recipient's.
//!
//! Anyone can make domains up, so each direction holds a bounded number of them and counts the rest together; the two
//! directions are bounded apart, because strangers choose the senders and our own users the recipients. Never persisted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use sealwire_core::address::Mailbox;
use serde::Serialize;

/// Domains counted by name in each direction: some hundred kilobytes, and more than an operator reads.
const DOMAINS_MAX: usize = 1_000;
/// Stands for all further ones; no domain has parentheses.
const OTHERS: &str = "(other)";

/// Counted since the start.
#[derive(Default)]
pub(super) struct ByDomain(Mutex<Domains>);

/// Figures for each domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Domains {
    /// By the domain of From; of the envelope sender where there is none.
    pub inbound: BTreeMap<String, Inbound>,
    /// By the recipient's domain.
    pub outbound: BTreeMap<String, Outbound>,
}

/// Messages from a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Inbound {
    /// Accepted over TLS.
    pub received_tls: u64,
    /// Accepted in clear.
    pub received_clear: u64,
    /// Answered 5xx by a policy.
    pub refused: u64,
    /// Answered 4xx by a policy or because one could not decide.
    pub deferred: u64,
    /// Of the refused and deferred ones, those that needed TLS and came without.
    pub tls_required_but_unavailable: u64,
}

/// Recipients in a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outbound {
    /// Delivered over TLS.
    pub delivered_tls: u64,
    /// Delivered in clear.
    pub delivered_clear: u64,
    /// Rounds in which no host met the floor.
    pub tls_required_but_unavailable: u64,
}

impl ByDomain {
    /// Counts one message for each domain among its senders, once.
    pub(super) fn inbound(&self, senders: &[Mailbox], count: impl Fn(&mut Inbound)) {
        let domains: BTreeSet<&str> = senders.iter().map(|sender| sender.domain.as_str()).collect();
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        domains.into_iter().for_each(|domain| count(of_domain(&mut counted.inbound, domain)));
    }

    /// Counts one recipient.
    pub(super) fn outbound(&self, recipient: &Mailbox, count: impl Fn(&mut Outbound)) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        count(of_domain(&mut counted.outbound, recipient.domain.as_str()));
    }

    pub(super) fn totals(&self) -> Domains {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn of_domain<'a, T: Default>(counts: &'a mut BTreeMap<String, T>, domain: &str) -> &'a mut T {
    let known = counts.contains_key(domain) || counts.len() < DOMAINS_MAX;
    counts.entry(if known { domain } else { OTHERS }.to_owned()).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).expect("a mailbox")
    }

    #[test]
    fn a_message_counts_once_for_each_domain_among_its_senders() {
        let counters = ByDomain::default();
        let senders = ["a@one.test", "b@ONE.test", "c@two.test"].map(mailbox);
        counters.inbound(&senders, |counts| counts.refused += 1);
        counters.outbound(&mailbox("d@one.test"), |counts| counts.delivered_tls += 1);
        let Domains { inbound, outbound } = counters.totals();
        let refused: Vec<_> = inbound.iter().map(|(domain, counts)| (domain.as_str(), counts.refused)).collect();
        assert_eq!(refused, [("one.test", 1), ("two.test", 1)]);
        assert_eq!(outbound["one.test"].delivered_tls, 1);
    }

    #[test]
    fn domains_made_up_by_strangers_are_counted_together_and_crowd_out_no_recipient() {
        let counters = ByDomain::default();
        for number in 0..DOMAINS_MAX + 20 {
            counters.inbound(&[mailbox(&format!("x@d{number}.test"))], |counts| counts.received_clear += 1);
        }
        counters.inbound(&[mailbox("x@d7.test")], |counts| counts.received_clear += 1);
        counters.outbound(&mailbox("x@d1015.test"), |counts| counts.delivered_clear += 1);
        let Domains { inbound, outbound } = counters.totals();
        assert_eq!((inbound.len(), inbound[OTHERS].received_clear), (DOMAINS_MAX + 1, 20));
        assert_eq!((inbound["d7.test"].received_clear, outbound["d1015.test"].delivered_clear), (2, 1));
    }
}
