//! The tally of one attempt: what each host gave, and which outcome that leaves for each recipient.

use std::collections::BTreeMap;

use sealwire_core::address::Mailbox;
use sealwire_core::facts::{ChainVerdict, ChannelFacts, ChannelState, RevocationStatus};
use sealwire_core::floor::TlsProof;
use sealwire_core::outcome::{Delivery, FloorUnmet, HostUnmet, Outcome, TlsEvidence};
use sealwire_core::plan::{Attempt, HostName};
use sealwire_core::reply::Reply;
use sealwire_core::smtp::client::{MessageResult, RecipientResult};

use super::connection::Connection;
use super::published::Published;

/// Names of a certificate that are kept: of one for hundreds of hosts the first tell whose it is.
const NAMES_KEPT: usize = 10;

/// What the hosts asked so far have given.
pub(crate) struct Tally {
    remaining: Vec<(u32, Mailbox)>,
    outcomes: BTreeMap<u32, Outcome>,
    unmet: Vec<HostUnmet>,
    not_asked: Vec<(String, String)>,
    /// Of the host in turn: addresses that this machine has no way to.
    no_way: Vec<String>,
    /// Of a host that met the floor and then did not take the message; an ordinary retry follows.
    inconclusive: Option<Outcome>,
    /// By index, of the first host that met the floor and cannot be told the message at all: too large for it, no SMTPUTF8.
    cannot_take: BTreeMap<u32, Outcome>,
}

impl Tally {
    /// Of an attempt that has not begun.
    pub(crate) fn of(attempt: &Attempt) -> Tally {
        Tally {
            remaining: attempt.recipients.iter().map(|r| (r.index, r.mailbox.clone())).collect(),
            outcomes: BTreeMap::new(),
            unmet: Vec::new(),
            not_asked: Vec::new(),
            no_way: Vec::new(),
            inconclusive: None,
            cannot_take: BTreeMap::new(),
        }
    }

    /// Recipients without an outcome.
    pub(crate) fn remaining(&self) -> Vec<(u32, Mailbox)> {
        self.remaining.clone()
    }

    /// No further host need be asked.
    pub(crate) fn is_complete(&self) -> bool {
        self.remaining.is_empty()
    }

    /// This host did not get as far as answering EHLO.
    pub(crate) fn not_asked(&mut self, host: &HostName, why: String) {
        self.not_asked.push((host.to_string(), why));
    }

    /// This machine has no way to an address of the host in turn.
    pub(crate) fn no_way(&mut self, why: String) {
        self.no_way.push(why);
    }

    /// Where the tally stands before a host is asked.
    pub(crate) fn mark(&self) -> usize {
        self.unmet.len()
    }

    /// All addresses of a host have had their turn. What H9 asks is every address that this machine has a way to: a host is
    /// not left unasked for want of IPv6 here, if it answered by IPv4.
    pub(crate) fn host_done(&mut self, host: &HostName, unmet: usize) {
        let no_way = std::mem::take(&mut self.no_way);
        if self.unmet.len() == unmet {
            self.not_asked.extend(no_way.into_iter().map(|why| (host.to_string(), why)));
        }
    }

    /// This host's channel does not do, or a policy objects to it.
    pub(crate) fn unmet(&mut self, host: HostUnmet) {
        self.unmet.push(host);
    }

    /// This host's channel does, and it does not know us: an ordinary retry follows, whatever other hosts lack.
    pub(crate) fn not_logged_in(&mut self, host: &HostName, why: &str) {
        self.waits_for_us(host, format!("no login: {why}"));
    }

    /// What keeps mail from this host is a fault of ours: an ordinary retry follows, whatever other hosts lack.
    pub(crate) fn waits_for_us(&mut self, host: &HostName, why: String) {
        self.inconclusive = Some(inconclusive(&host.to_string(), why, None));
    }

    /// Everybody left has this outcome.
    pub(crate) fn settle_rest(&mut self, outcome: &Outcome) {
        for (index, _) in std::mem::take(&mut self.remaining) {
            self.outcomes.insert(index, outcome.clone());
        }
    }

    /// What became of a message at this host, for each of `recipients`.
    pub(crate) fn results(
        &mut self,
        recipients: &[(u32, Mailbox)],
        result: MessageResult,
        host: &HostName,
        connection: &Connection,
        published: &Published,
    ) {
        let evidence = evidence(&connection.proof);
        let host = host.to_string();
        let delivery = |reply| Delivery {
            host: host.clone(),
            address: connection.address.to_string(),
            reply,
            tls: evidence.clone(),
            in_clear: evidence.is_none().then(|| why_in_clear(connection)),
            dsn: connection.offers_dsn(),
            demanded: published.demands(),
            published: published.verdicts(&connection.channel),
        };
        for ((index, _), result) in recipients.iter().zip(result.recipients) {
            self.settle(*index, result, &host, &delivery);
        }
    }

    fn settle(&mut self, index: u32, result: RecipientResult, host: &str, delivery: &dyn Fn(Reply) -> Delivery) {
        let outcome = match result {
            RecipientResult::Delivered(reply) => Outcome::Delivered(delivery(reply)),
            RecipientResult::Refused { reply, by_peer } => {
                let refused = Outcome::Refused { host: Some(host.to_owned()), reply, by_peer };
                // RFC 6531 §3.2, RFC 1870 §6.1: what this host does not offer another one may.
                if !by_peer {
                    self.cannot_take.entry(index).or_insert(refused);
                    return;
                }
                refused
            }
            // The host may have the message: asking another now would double it for certain.
            RecipientResult::Unanswered { why, maybe_delivered: true } => inconclusive(host, why, None),
            // RFC 5321 §5.1: the next host may do better; if none does, this stands.
            RecipientResult::Deferred(reply) => {
                self.inconclusive = Some(inconclusive(host, "it deferred the message".into(), Some(reply)));
                return;
            }
            RecipientResult::Unanswered { why, maybe_delivered: false } => {
                self.inconclusive = Some(inconclusive(host, why, None));
                return;
            }
        };
        self.outcomes.insert(index, outcome);
        self.remaining.retain(|(other, _)| *other != index);
    }

    /// The outcomes, by index.
    pub(crate) fn into_outcomes(mut self) -> Vec<(u32, Outcome)> {
        let last_word_due = self.last_word_due();
        for (index, refused) in std::mem::take(&mut self.cannot_take) {
            if let Some(at) = self.remaining.iter().position(|(other, _)| *other == index) {
                self.remaining.remove(at);
                self.outcomes.insert(index, last_word_due.clone().unwrap_or(refused));
            }
        }
        if !self.remaining.is_empty() {
            let rest = self.of_the_rest();
            self.settle_rest(&rest);
        }
        self.outcomes.into_iter().collect()
    }

    /// Of a host that has not said its last word: what others cannot take it may. An ordinary retry follows.
    fn last_word_due(&self) -> Option<Outcome> {
        let not_asked = self.not_asked.last().map(|(host, why)| (host, why));
        let unmet = || self.unmet.iter().find(|host| !host.conclusive).map(|host| (&host.host, &host.found));
        let due = not_asked.or_else(unmet).map(|(host, why)| inconclusive(host, why.clone(), None));
        self.inconclusive.clone().or(due)
    }

    fn of_the_rest(&mut self) -> Outcome {
        if let Some(outcome) = self.inconclusive.take() {
            return outcome;
        }
        if !self.unmet.is_empty() {
            return Outcome::FloorUnmet(FloorUnmet {
                hosts: std::mem::take(&mut self.unmet),
                not_asked: std::mem::take(&mut self.not_asked),
            });
        }
        let (host, why) = self.not_asked.pop().map_or((None, "no host was found".to_owned()), |(h, w)| (Some(h), w));
        Outcome::Inconclusive { host, why, reply: None }
    }
}

/// Behind "the host ...": the proof is of nothing, the channel says why.
fn why_in_clear(connection: &Connection) -> String {
    let found = found_in_words(&connection.channel);
    if connection.anew { format!("{found}; it was connected anew") } else { found }
}

/// What is kept of a proof for years.
fn evidence(proof: &TlsProof) -> Option<Box<TlsEvidence>> {
    let handshake = proof.handshake()?;
    let leaf = handshake.certificates.first();
    Some(Box::new(TlsEvidence {
        version: handshake.version.name(),
        cipher_suite: handshake.cipher_suite.clone(),
        key_exchange: handshake.key_exchange.clone(),
        chain: handshake.chain.as_str().to_owned(),
        name_matches: handshake.name_matches,
        names: leaf.map(|leaf| leaf.dns_names.iter().take(NAMES_KEPT).cloned().collect()).unwrap_or_default(),
        sha256: leaf.map(|leaf| hexadecimal(&leaf.sha256)).unwrap_or_default(),
        resumed: handshake.resumed,
        requiretls: proof.offers_requiretls(),
        dane: handshake.dane.clone(),
        revocation: handshake.revocation.as_str().to_owned(),
    }))
}

pub(crate) fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn inconclusive(host: &str, why: String, reply: Option<Reply>) -> Outcome {
    Outcome::Inconclusive { host: Some(host.to_owned()), why, reply }
}

/// What a channel gave, behind "the host ...".
pub(crate) fn found_in_words(channel: &ChannelFacts) -> String {
    let with_detail = |words: &str| match channel.detail.as_str() {
        "" => words.to_owned(),
        detail => format!("{words}: {detail}"),
    };
    match (channel.state, &channel.handshake) {
        (ChannelState::NotOffered, _) => "did not offer STARTTLS".into(),
        (ChannelState::Refused, _) => with_detail("refused to start a secure (TLS) connection"),
        (ChannelState::Failed, _) => with_detail("failed to set up a secure (TLS) connection"),
        (ChannelState::Inconclusive, _) => with_detail("could not be asked for a secure (TLS) connection"),
        (ChannelState::Secured, None) => "is secured".into(),
        (ChannelState::Secured, Some(handshake)) => {
            let chain = match handshake.chain {
                _ if handshake.revocation == RevocationStatus::Revoked => {
                    "a certificate that its issuer has withdrawn".to_owned()
                }
                ChainVerdict::Trusted => "a certificate signed by a trusted CA".to_owned(),
                verdict => format!("a certificate that was judged {}", verdict.as_str()),
            };
            let names =
                handshake.certificates.first().map(|c| c.dns_names.join(", ")).filter(|names| !names.is_empty());
            let name = match (handshake.name_matches, names) {
                (true, _) => "naming the host".to_owned(),
                (false, Some(names)) => format!("naming {names} and not the host"),
                (false, None) => "naming no host".to_owned(),
            };
            format!("offered {} with {chain}, {name}", handshake.version.name())
        }
    }
}

#[cfg(test)]
mod tests {
    use sealwire_core::decision::{PlanCall, Standing, join_plans};
    use sealwire_core::facts::RouteKind;
    use sealwire_core::plan::{AttemptRecipient, NextHop, Target};

    use super::*;

    fn tally() -> Tally {
        let call = PlanCall {
            policy: "test".into(),
            demands: Vec::new(),
            take_route: None,
            fallback: Vec::new(),
            reasons: Vec::new(),
        };
        let plan = join_plans(&Standing::default(), vec![Ok(call)]).expect("no failure");
        let mailbox = Mailbox::parse("bob@partner.test").expect("a mailbox");
        let kind = RouteKind::Mx;
        Tally::of(&Attempt {
            settings: vec![0],
            next_hop: NextHop { route: "mx".into(), kind, target: Target::Hosts(Vec::new()), implicit_tls: false },
            floor: plan.floor,
            fallback: Vec::new(),
            recipients: vec![AttemptRecipient { index: 0, mailbox, reasons: Vec::new() }],
        })
    }

    fn unmet(host: &str, conclusive: bool) -> HostUnmet {
        HostUnmet {
            host: host.into(),
            address: "192.0.2.1:25".into(),
            channel: ChannelState::NotOffered,
            unmet: Vec::new(),
            objection: None,
            withdrawn: false,
            found: "did not offer STARTTLS".into(),
            conclusive,
        }
    }

    /// RFC 6531 §3.2: what one host cannot be told the next one may; if none may, the first one's answer stands, unless some host
    /// has not said its last word. Each row: what the other host came to, and the outcome's word.
    #[test]
    fn what_one_host_cannot_take_another_may() {
        type Other = fn(&mut Tally);
        let rows: [(&str, Other, &str); 6] = [
            ("nothing", |_| {}, "5.6.7"),
            ("taken", |tally| tally.settle_rest(&inconclusive("b", "settled".into(), None)), "settled"),
            ("deferred", |tally| tally.not_logged_in(&"b".parse().expect("a name"), "why"), "no login: why"),
            ("not asked", |tally| tally.not_asked(&"b".parse().expect("a name"), "away".into()), "away"),
            ("not now", |tally| tally.unmet(unmet("b", false)), "did not offer STARTTLS"),
            ("no TLS", |tally| tally.unmet(unmet("b", true)), "5.6.7"),
        ];
        for (what, other, expected) in rows {
            for other_first in [false, true] {
                if other_first && what == "taken" {
                    continue;
                }
                let mut tally = tally();
                if other_first {
                    other(&mut tally);
                }
                let reply = Reply::new(554, (6, 7), "no SMTPUTF8");
                tally.settle(0, RecipientResult::Refused { reply, by_peer: false }, "a", &|_| unreachable!());
                assert!(!tally.is_complete(), "{what}: the next host is asked");
                if !other_first {
                    other(&mut tally);
                }
                let outcomes = tally.into_outcomes();
                let [(0, outcome)] = outcomes.as_slice() else { panic!("{what}: {outcomes:?}") };
                assert!(outcome.to_string().contains(expected), "{what}: {outcome}");
            }
        }
    }

    /// H9: a host to whose IPv6 address there is no way here was asked, if it answered for good by IPv4; an address that did not
    /// answer may have given TLS; another host's answer is its own.
    #[test]
    fn every_address_is_asked_that_there_is_a_way_to() {
        // (the other address, of the same host, the answer is for good, whether all were asked)
        let rows = [
            ("no way", true, true, true),
            ("no way", true, false, false),
            ("no way", false, true, false),
            ("timed out", true, true, false),
        ];
        for (other, same_host, conclusive, expected) in rows {
            let (mut tally, host) = (tally(), "mx.test".parse().expect("a name"));
            let mut mark = tally.mark();
            match other {
                "no way" => tally.no_way("network is unreachable".into()),
                _ => tally.not_asked(&host, "timed out".into()),
            }
            if !same_host {
                tally.host_done(&host, mark);
                mark = tally.mark();
            }
            tally.unmet(unmet("mx.test", conclusive));
            tally.host_done(&host, mark);
            let outcomes = tally.into_outcomes();
            let [(0, Outcome::FloorUnmet(unmet))] = outcomes.as_slice() else { panic!("{outcomes:?}") };
            assert_eq!(unmet.is_conclusive(), expected, "{other}, same host: {same_host}, conclusive: {conclusive}");
        }
    }
}
