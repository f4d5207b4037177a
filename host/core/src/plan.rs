//! Plan: what leaves together. Recipients with equal next hop, floor and fallback share an attempt, hence a transaction.
//!
//! The route table ([`route`]) says by which way a recipient's mail goes, [`hosts`] in which order its hosts are asked.
//! Nothing here looks up a name or opens a connection, and nothing lowers a floor.

pub mod hosts;
pub mod route;

pub use hosts::{HostName, MxProblem, order_hosts, order_route_hosts};
pub use route::{DomainPattern, Route, RouteHost, RouteProblem, RouteTable, RouteTarget};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::{Domain, Mailbox};
use crate::decision::FallbackStep;
use crate::facts::RouteKind;
use crate::floor::TlsFloor;
use crate::reason::Reason;

/// Most recipients in one attempt: what every server must accept (RFC 5321 §4.5.3.1.8).
pub const ATTEMPT_RECIPIENTS_MAX: usize = 100;

/// Where an attempt goes, before any name is looked up. Connections are shared by equality of this, among others (H7).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NextHop {
    /// Name of the route.
    pub route: String,
    /// Kind of the route.
    pub kind: RouteKind,
    /// Whose hosts.
    pub target: Target,
    /// TLS from the first octet (RFC 8314 §3); else STARTTLS.
    pub implicit_tls: bool,
}

/// Whose hosts take the message further.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Those that the domain's MX records name (RFC 5321 §5.1), or the address of a literal.
    Mx {
        /// The recipient's.
        domain: Domain,
        /// 25 but in tests.
        port: u16,
    },
    /// Those an operator named.
    Hosts(Vec<RouteHost>),
}

/// One recipient with its finished plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRecipient {
    /// Position in the envelope, from 0.
    pub index: u32,
    /// Whose copy.
    pub mailbox: Mailbox,
    /// Where it goes.
    pub next_hop: NextHop,
    /// What the channel must give.
    pub floor: TlsFloor,
    /// Of the first plan.
    pub fallback: Vec<FallbackStep>,
    /// Of the plan.
    pub reasons: Vec<Reason>,
    /// By which settings, as numbers: hosts are judged by the same.
    pub settings: Vec<u32>,
}

/// One next hop, one floor, one fallback, one set of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Where it goes.
    pub next_hop: NextHop,
    /// What the channel must give.
    pub floor: TlsFloor,
    /// Of the first plan.
    pub fallback: Vec<FallbackStep>,
    /// Of all its recipients.
    pub settings: Vec<u32>,
    /// At least one, at most [`ATTEMPT_RECIPIENTS_MAX`], in the envelope's order.
    pub recipients: Vec<AttemptRecipient>,
}

/// One recipient of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecipient {
    /// Position in the envelope, from 0.
    pub index: u32,
    /// Whose copy.
    pub mailbox: Mailbox,
    /// Of its plan.
    pub reasons: Vec<Reason>,
}

/// Groups recipients into attempts, in a stable order.
pub fn group(planned: Vec<PlannedRecipient>) -> Vec<Attempt> {
    type Key = (NextHop, TlsFloor, Vec<FallbackStep>, Vec<u32>);
    let mut groups: BTreeMap<Key, Vec<AttemptRecipient>> = BTreeMap::new();
    for PlannedRecipient { index, mailbox, next_hop, floor, fallback, reasons, settings } in planned {
        let recipient = AttemptRecipient { index, mailbox, reasons };
        groups.entry((next_hop, floor, fallback, settings)).or_default().push(recipient);
    }
    let attempts = groups.into_iter().flat_map(|((next_hop, floor, fallback, settings), mut recipients)| {
        recipients.sort_by_key(|recipient| recipient.index);
        let attempt = move |recipients: &[AttemptRecipient]| Attempt {
            next_hop: next_hop.clone(),
            floor: floor.clone(),
            fallback: fallback.clone(),
            settings: settings.clone(),
            recipients: recipients.to_vec(),
        };
        recipients.chunks(ATTEMPT_RECIPIENTS_MAX).map(attempt).collect::<Vec<_>>()
    });
    attempts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::{Demand, Source};

    fn planned(index: u32, domain: &str, demands: &[Demand], fallback: &[FallbackStep]) -> PlannedRecipient {
        let domain = Domain::parse(domain).expect("a domain");
        let sourced = demands.iter().map(|demand| (demand.clone(), Source::Report));
        PlannedRecipient {
            index,
            mailbox: Mailbox::new(format!("user{index}"), domain.clone()),
            next_hop: NextHop {
                route: "mx".into(),
                kind: RouteKind::Mx,
                target: Target::Mx { domain, port: 25 },
                implicit_tls: false,
            },
            floor: TlsFloor::of_finished_chain(sourced),
            fallback: fallback.to_vec(),
            reasons: Vec::new(),
            settings: vec![0],
        }
    }

    fn indexes(attempts: &[Attempt]) -> Vec<Vec<u32>> {
        let mut groups: Vec<Vec<u32>> =
            attempts.iter().map(|attempt| attempt.recipients.iter().map(|r| r.index).collect()).collect();
        groups.sort();
        groups
    }

    #[test]
    fn equal_next_hop_floor_and_fallback_share_an_attempt() {
        let (tls, chain, bounce) = ([Demand::Tls], [Demand::Tls, Demand::TrustedChain], [FallbackStep::Bounce]);
        let attempts = group(vec![
            planned(5, "a.example", &[], &[]),
            planned(1, "a.example", &tls, &bounce),
            planned(2, "b.example", &tls, &bounce),
            planned(3, "a.example", &tls, &bounce),
            planned(4, "a.example", &chain, &bounce),
            planned(0, "a.example", &[], &[]),
            planned(6, "a.example", &tls, &[]),
            PlannedRecipient { settings: vec![0, 1], ..planned(7, "a.example", &tls, &[]) },
        ]);
        assert_eq!(indexes(&attempts), [vec![0, 5], vec![1, 3], vec![2], vec![4], vec![6], vec![7]]);
        assert!(group(Vec::new()).is_empty());
    }

    #[test]
    fn an_attempt_has_at_most_a_hundred_recipients_and_none_is_lost() {
        let attempts = group((0..250).map(|index| planned(index, "a.example", &[], &[])).collect());
        let groups = indexes(&attempts);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(groups.concat(), (0..250).collect::<Vec<u32>>());
    }
}
