//! What is counted: arrivals by protection and answer, deliveries by protection, unmet floors, decisions.
//!
//! The metrics' labels have few values each; the figures for each domain are in `status` alone, which message it was
//! stands in the ledger.

mod domains;

use schemars::JsonSchema;
use sealwire_core::address::Mailbox;
use sealwire_core::facts::MessageFacts;
use sealwire_core::ledger::DecisionRecord;
use sealwire_core::outcome::Outcome;
use sealwire_core::reply::Reply;
use serde::Serialize;

use domains::ByDomain;
pub use domains::{Domains, Inbound, Outbound};

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted since the start; the same figures as the metrics.
#[derive(Default)]
pub(crate) struct Counters {
    received_tls: AtomicU64,
    received_clear: AtomicU64,
    refused: AtomicU64,
    deferred: AtomicU64,
    delivered_tls: AtomicU64,
    delivered_clear: AtomicU64,
    tls_required_but_unavailable: AtomicU64,
    reported: AtomicU64,
    decisions: AtomicU64,
    failed_decisions: AtomicU64,
    by_domain: ByDomain,
}

/// [`Counters`] at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Totals {
    /// Messages accepted over TLS.
    pub received_tls: u64,
    /// Messages accepted in clear.
    pub received_clear: u64,
    /// Messages answered 5xx by a policy.
    pub refused: u64,
    /// Messages answered 4xx by a policy or because one could not decide.
    pub deferred: u64,
    /// Recipients delivered over TLS.
    pub delivered_tls: u64,
    /// Recipients delivered in clear.
    pub delivered_clear: u64,
    /// Rounds in which a floor was not met by any host.
    pub tls_required_but_unavailable: u64,
    /// Recipients whose sender was told.
    pub reported: u64,
    /// Calls of policies.
    pub decisions: u64,
    /// Of these, without a decision.
    pub failed_decisions: u64,
    /// The same for each domain, as far as a domain has a part in it.
    pub domains: Domains,
}

impl Counters {
    /// A message was answered 250. It is counted for each domain in `senders`.
    pub(crate) fn accepted(&self, senders: &[Mailbox], secured: bool) {
        self.by_domain.inbound(senders, |counts| {
            *if secured { &mut counts.received_tls } else { &mut counts.received_clear } += 1;
        });
        let counter = if secured { &self.received_tls } else { &self.received_clear };
        counter.fetch_add(1, Ordering::Relaxed);
        arrival(secured, "accepted");
    }

    /// A message was answered 4xx or 5xx because of a policy.
    pub(crate) fn turned_away(&self, facts: &MessageFacts, reply: &Reply) {
        let secured = facts.client.as_ref().is_some_and(|c| c.channel.handshake.is_some());
        let (counter, word) =
            if reply.is_permanent() { (&self.refused, "refused") } else { (&self.deferred, "deferred") };
        counter.fetch_add(1, Ordering::Relaxed);
        self.by_domain.inbound(senders_of(facts.header_from.as_slice(), facts.envelope_sender.as_ref()), |counts| {
            *if reply.is_permanent() { &mut counts.refused } else { &mut counts.deferred } += 1;
            // X.7.10: encryption needed (registry of RFC 5248).
            let needs_tls = reply.enhanced.is_some_and(|code| (code.1, code.2) == (7, 10));
            counts.tls_required_but_unavailable += u64::from(needs_tls);
        });
        arrival(secured, word);
    }

    /// An attempt ended for one recipient.
    pub(crate) fn outcome(&self, recipient: &Mailbox, outcome: &Outcome) {
        self.by_domain.outbound(recipient, |counts| match outcome {
            Outcome::Delivered(delivery) => {
                *if delivery.tls.is_some() { &mut counts.delivered_tls } else { &mut counts.delivered_clear } += 1;
            }
            Outcome::FloorUnmet(_) => counts.tls_required_but_unavailable += 1,
            Outcome::Refused { .. } | Outcome::Inconclusive { .. } | Outcome::FailedDecision(_) => {}
        });
        let word = match outcome {
            Outcome::Delivered(delivery) => {
                let secured = delivery.tls.is_some();
                let counter = if secured { &self.delivered_tls } else { &self.delivered_clear };
                counter.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("sealwire_delivered_total", "channel" => channel(secured)).increment(1);
                "delivered"
            }
            Outcome::Refused { .. } => "refused",
            Outcome::FloorUnmet(_) => {
                self.tls_required_but_unavailable.fetch_add(1, Ordering::Relaxed);
                "floor-unmet"
            }
            Outcome::Inconclusive { .. } => "inconclusive",
            Outcome::FailedDecision(_) => "failed-decision",
        };
        metrics::counter!("sealwire_outcomes_total", "outcome" => word).increment(1);
    }

    /// The sender was told of so many recipients.
    pub(crate) fn reported(&self, recipients: usize) {
        let recipients = u64::try_from(recipients).unwrap_or(u64::MAX);
        self.reported.fetch_add(recipients, Ordering::Relaxed);
        metrics::counter!("sealwire_reported_total").increment(recipients);
    }

    pub(crate) fn decisions(&self, records: &[DecisionRecord]) {
        for record in records {
            self.decisions.fetch_add(1, Ordering::Relaxed);
            let failed = record.result.get("failed").is_some();
            if failed {
                self.failed_decisions.fetch_add(1, Ordering::Relaxed);
            }
            let result = if failed { "failed" } else { "decided" };
            metrics::counter!("sealwire_decisions_total", "policy" => record.policy.clone(), "hook" => record.hook.clone(), "result" => result)
                .increment(1);
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            received_tls: get(&self.received_tls),
            received_clear: get(&self.received_clear),
            refused: get(&self.refused),
            deferred: get(&self.deferred),
            delivered_tls: get(&self.delivered_tls),
            delivered_clear: get(&self.delivered_clear),
            tls_required_but_unavailable: get(&self.tls_required_but_unavailable),
            reported: get(&self.reported),
            decisions: get(&self.decisions),
            failed_decisions: get(&self.failed_decisions),
            domains: self.by_domain.totals(),
        }
    }
}

/// Whose domains an arrival is counted for: those of From, as the policies see them; without one, the envelope sender's.
pub(crate) fn senders_of<'a>(header_from: &'a [Mailbox], envelope_sender: Option<&'a Mailbox>) -> &'a [Mailbox] {
    match envelope_sender {
        Some(sender) if header_from.is_empty() => std::slice::from_ref(sender),
        _ => header_from,
    }
}

fn arrival(secured: bool, answer: &'static str) {
    metrics::counter!("sealwire_arrivals_total", "channel" => channel(secured), "answer" => answer).increment(1);
}

fn channel(secured: bool) -> &'static str {
    if secured { "tls" } else { "clear" }
}
