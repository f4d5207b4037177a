//! Counting: one record of the ledger after the other, and nothing kept of it but numbers under words.
//!
//! Words come from strangers too (addresses, hosts, certificates), so there is a bound on how many are told apart; what goes
//! beyond it is counted as `others`, and never left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::{Domain, Mailbox};
use crate::floor::{Demand, Source};
use crate::ledger::{ArrivalRecord, LedgerEvent};
use crate::outcome::{Delivery, FloorUnmet, Outcome, TlsEvidence};
use crate::reason::Reason;
use crate::reply::Reply;

/// Words told apart in one table: more than a person reads, less than a stranger can make.
const WORDS_MAX: usize = 200;
/// Octets of a word.
const WORD_MAX: usize = 500;
/// Names of a certificate in its word; there it is told by its digest.
const NAMES_TOLD: usize = 3;

/// How often each word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// By word.
    pub counts: BTreeMap<String, u64>,
    /// Of further words.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub others: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    fn add(&mut self, word: impl Into<String>) {
        let mut word = word.into();
        word.truncate(word.floor_char_boundary(WORD_MAX));
        let full = self.counts.len() >= WORDS_MAX;
        match self.counts.get_mut(&word) {
            Some(count) => *count += 1,
            None if full => self.others += 1,
            None => drop(self.counts.insert(word, 1)),
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.others
    }
}

/// Messages of the domain that came to the door: those whose header From names it, and those without one whose envelope does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inbound {
    /// Accepted and durable.
    pub accepted: u64,
    /// Of these, in clear.
    pub accepted_in_clear: u64,
    /// The others, by TLS version.
    pub tls_versions: Counts,
    /// And by cipher suite.
    pub cipher_suites: Counts,
    /// Refused for good at the door.
    pub refused: u64,
    /// Of these, in clear.
    pub refused_in_clear: u64,
    /// Put off at the door.
    pub deferred: u64,
    /// Reasons that policies gave and accepted it all the same, by rule: exceptions, settings that are observed only.
    #[serde(default)]
    pub accepted_with: Counts,
    /// What was refused or put off: by rule and policy, or by the reply's codes where no policy gave a reason.
    pub turned_away_by: Counts,
    /// Policies that asked for secure transport on every later hop.
    pub flagged_by: Counts,
    /// Addresses of clients.
    pub clients: Counts,
}

impl Inbound {
    /// Takes a record of the ledger. False: it is none of a message of this domain.
    pub fn count(&mut self, domain: &Domain, event: &LedgerEvent) -> bool {
        let (arrival, turned_away) = match event {
            LedgerEvent::Accepted(arrival) => (arrival, None),
            LedgerEvent::TurnedAway { arrival, reply, reasons } => (arrival, Some((reply, reasons))),
            _ => return false,
        };
        // A report of our own comes from nobody.
        let Some(client) = arrival.client.as_ref().filter(|_| is_of(domain, arrival)) else { return false };
        self.clients.add(client);
        arrival.flagged_by.iter().for_each(|policy| self.flagged_by.add(policy));
        match turned_away {
            None => self.accepted(arrival),
            Some((reply, reasons)) => self.turned_away(arrival, reply, reasons),
        }
        true
    }

    fn accepted(&mut self, arrival: &ArrivalRecord) {
        self.accepted += 1;
        arrival.noted.iter().for_each(|reason| self.accepted_with.add(rule(reason)));
        match arrival.tls.as_deref() {
            None => self.accepted_in_clear += 1,
            Some(tls) => {
                let (version, suite) = tls.split_once(' ').unwrap_or((tls, "unknown"));
                self.tls_versions.add(version);
                self.cipher_suites.add(suite);
            }
        }
    }

    fn turned_away(&mut self, arrival: &ArrivalRecord, reply: &Reply, reasons: &[Reason]) {
        match reply.code {
            500.. => {
                self.refused += 1;
                self.refused_in_clear += u64::from(arrival.tls.is_none());
            }
            _ => self.deferred += 1,
        }
        match reasons {
            [] => self.turned_away_by.add(codes(reply)),
            reasons => reasons.iter().for_each(|reason| self.turned_away_by.add(rule(reason))),
        }
    }
}

fn is_of(domain: &Domain, arrival: &ArrivalRecord) -> bool {
    let names = |mailbox: &Mailbox| mailbox.domain == *domain;
    match &arrival.header_from[..] {
        [] => arrival.envelope_sender.as_ref().is_some_and(names),
        from => from.iter().any(names),
    }
}

/// Rounds for recipients of the domain: a message to two of them counts twice, and each time that it was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outbound {
    /// The next hop took it.
    pub delivered: u64,
    /// Of these, in clear.
    pub delivered_in_clear: u64,
    /// The others, by TLS version.
    pub tls_versions: Counts,
    /// By cipher suite.
    pub cipher_suites: Counts,
    /// `ca-and-name`: a chain to a trusted root and the host's name; `dane`: a TLSA record; `not-verified`: neither.
    pub verified: Counts,
    /// Hosts that took it.
    pub hosts: Counts,
    /// Certificates that they presented: SHA-256, and the first names.
    pub certificates: Counts,
    /// Routes of all rounds.
    pub routes: Counts,
    /// What was demanded in all rounds, and by whom.
    pub demanded: Counts,
    /// Reasons that policies gave for it, by rule; exceptions and settings that are observed only among them.
    pub reasons: Counts,
    /// Rounds in which no host met what was demanded, and none of it was sent.
    pub floor_unmet: u64,
    /// What the hosts of these lacked, and who demanded it; or which rule objected.
    pub unmet: Counts,
    /// The next hop, or nobody that could be reached, refused it for good: by the reply's codes.
    pub refused: Counts,
    /// Nothing was settled, and it was tried again or reported.
    pub inconclusive: u64,
    /// A policy could not decide, and it waited.
    pub failed_decisions: u64,
    /// Recipients of whom the sender was told that the message did not arrive.
    pub reported: u64,
}

impl Outbound {
    /// Takes a record of the ledger. False: it is none of a recipient of this domain.
    pub fn count(&mut self, domain: &Domain, event: &LedgerEvent) -> bool {
        match event {
            LedgerEvent::Attempted { recipient, route, floor, reasons, result, .. } if recipient.domain == *domain => {
                self.routes.add(route);
                floor.iter().for_each(|sourced| self.demanded.add(demanded(sourced)));
                reasons.iter().for_each(|reason| self.reasons.add(rule(reason)));
                self.outcome(result);
                true
            }
            LedgerEvent::Reported { recipients, .. } => {
                let of_domain = recipients.iter().filter(|recipient| recipient.domain == *domain).count() as u64;
                self.reported += of_domain;
                of_domain > 0
            }
            _ => false,
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Delivered(delivery) => self.delivered(delivery),
            Outcome::Refused { reply, .. } => self.refused.add(codes(reply)),
            Outcome::FloorUnmet(unmet) => self.unmet(unmet),
            Outcome::Inconclusive { .. } => self.inconclusive += 1,
            Outcome::FailedDecision(_) => self.failed_decisions += 1,
        }
    }

    fn delivered(&mut self, delivery: &Delivery) {
        self.delivered += 1;
        self.hosts.add(&delivery.host);
        delivery.demanded.iter().for_each(|sourced| self.demanded.add(demanded(sourced)));
        let Some(tls) = &delivery.tls else {
            self.delivered_in_clear += 1;
            return;
        };
        self.tls_versions.add(&tls.version);
        self.cipher_suites.add(&tls.cipher_suite);
        self.verified.add(verified(tls));
        let names = tls.names.iter().take(NAMES_TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
        self.certificates.add(format!("{} {names}", tls.sha256));
    }

    fn unmet(&mut self, unmet: &FloorUnmet) {
        self.floor_unmet += 1;
        for host in &unmet.hosts {
            host.unmet.iter().for_each(|sourced| self.unmet.add(demanded(sourced)));
            if let Some((_, reasons)) = &host.objection {
                reasons.iter().for_each(|reason| self.unmet.add(format!("objection, by {}", rule(reason))));
            }
        }
    }
}

fn verified(tls: &TlsEvidence) -> &'static str {
    match (tls.dane.is_some(), tls.chain == "trusted" && tls.name_matches) {
        (_, true) => "ca-and-name",
        (true, false) => "dane",
        (false, false) => "not-verified",
    }
}

fn codes(reply: &Reply) -> String {
    match reply.enhanced {
        Some(enhanced) => format!("{} {enhanced}", reply.code),
        None => reply.code.to_string(),
    }
}

fn rule(Reason { policy, rule, .. }: &Reason) -> String {
    if rule.is_empty() { format!("policy {policy}") } else { format!("rule {rule} of policy {policy}") }
}

/// Without the time at which an MTA-STS policy was fetched: it is one policy.
fn demanded((demand, source): &(Demand, Source)) -> String {
    match source {
        Source::MtaSts { domain, id, .. } => format!("{demand}, by MTA-STS policy {id} of {domain}"),
        source => format!("{demand}, by {source}"),
    }
}
