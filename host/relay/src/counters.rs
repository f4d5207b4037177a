//! What is counted: arrivals by protection and answer, deliveries by protection, unmet floors, decisions.
//!
//! Labels have few values each; which message it was stands in the ledger.

use sealwire_core::facts::MessageFacts;
use sealwire_core::ledger::DecisionRecord;
use sealwire_core::outcome::Outcome;
use sealwire_core::reply::Reply;
use serde::Serialize;

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
}

/// [`Counters`] at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
}

impl Counters {
    /// A message was answered 250.
    pub(crate) fn accepted(&self, secured: bool) {
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
        arrival(secured, word);
    }

    /// An attempt ended for one recipient.
    pub(crate) fn outcome(&self, outcome: &Outcome) {
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
        }
    }
}

fn arrival(secured: bool, answer: &'static str) {
    metrics::counter!("sealwire_arrivals_total", "channel" => channel(secured), "answer" => answer).increment(1);
}

fn channel(secured: bool) -> &'static str {
    if secured { "tls" } else { "clear" }
}
