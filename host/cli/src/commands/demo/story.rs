//! What became of one message, read from the ledger as it is written: accepted or turned away, attempted, reported.

use std::sync::Arc;
use std::time::Duration;

use sealwire_core::floor::{Demand, Source, Sourced};
use sealwire_core::ledger::{LedgerEvent, LedgerRecord};
use sealwire_core::outcome::{Delivery, FloorUnmet, Outcome};
use sealwire_core::reason::Reason;
use sealwire_core::reply::Reply;
use sealwire_store::{LedgerQuery, Store, StoreError};
use tokio::time::{Instant, sleep};

/// How long a message of the demo may take: a hundred times what it takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);
/// The ledger is asked again after this.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Follows the ledger, one message after the other.
pub(super) struct Follower {
    store: Arc<dyn Store>,
    read_to: u64,
}

/// One message's.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// Its id.
    pub(super) message: String,
    /// TLS by which it arrived.
    pub(super) arrived_by: Option<String>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) end: Option<End>,
    /// When it ended.
    pub(super) ended_at_ms: u64,
}

/// One attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) route: String,
    pub(super) floor: Vec<Sourced>,
    pub(super) reasons: Vec<Reason>,
    pub(super) result: Outcome,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    /// At the door.
    TurnedAway {
        reply: Reply,
        reasons: Vec<Reason>,
    },
    Delivered(Box<Delivery>),
    /// With the report's text.
    Reported(String),
}

impl Follower {
    /// Follows from the ledger's beginning.
    pub(super) fn new(store: Arc<dyn Store>) -> Follower {
        Follower { store, read_to: 0 }
    }

    /// The story of the message to this recipient that is sent now; without an end if it takes too long.
    pub(super) async fn story(&mut self, recipient: &str) -> Result<Story, StoreError> {
        let mut story = Story::default();
        let deadline = Instant::now() + PATIENCE;
        while story.end.is_none() && Instant::now() < deadline {
            let query = LedgerQuery { after: Some(self.read_to), ..LedgerQuery::default() };
            for line in self.store.ledger(query).await? {
                self.read_to = line.number;
                story.goes_on(line.record, recipient);
            }
            sleep(ASK_EVERY).await;
        }
        Ok(story)
    }
}

impl Story {
    fn goes_on(&mut self, record: LedgerRecord, to: &str) {
        let LedgerRecord { at_ms, message, event } = record;
        let is_to = |recipients: &[_]| recipients.iter().any(|recipient: &_| is(recipient, to));
        match event {
            LedgerEvent::Accepted(arrival) if is_to(&arrival.recipients) => {
                (self.message, self.arrived_by) = (message, arrival.tls);
            }
            LedgerEvent::TurnedAway { arrival, reply, reasons } if is_to(&arrival.recipients) => {
                (self.message, self.ended_at_ms) = (message, at_ms);
                self.end = Some(End::TurnedAway { reply, reasons });
            }
            LedgerEvent::Attempted { recipient, route, floor, reasons, result, .. } if is(&recipient, to) => {
                if let Outcome::Delivered(delivery) = &result {
                    (self.end, self.ended_at_ms) = (Some(End::Delivered(Box::new(delivery.clone()))), at_ms);
                }
                self.attempts.push(Attempt { route, floor, reasons, result });
            }
            LedgerEvent::Reported { recipients, text, .. } if is_to(&recipients) => {
                (self.end, self.ended_at_ms) = (Some(End::Reported(text)), at_ms);
            }
            _ => {}
        }
    }

    /// Ids of the rules behind it: of the refusal, of the demands that were not met, or of those that were.
    pub(super) fn rules(&self) -> Vec<String> {
        let mut rules: Vec<String> = match (&self.end, self.attempts.last()) {
            (Some(End::TurnedAway { reasons, .. }), _) => reasons.iter().map(|reason| reason.rule.clone()).collect(),
            (Some(End::Delivered(_)), Some(last)) => rules_of(&last.floor),
            (_, Some(Attempt { result: Outcome::FloorUnmet(unmet), .. })) => rules_of(&first_unmet(unmet)),
            _ => Vec::new(),
        };
        rules.dedup();
        rules
    }

    /// The public sentence of a rule, as a policy gave it.
    pub(super) fn sentence(&self, rule: &str) -> Option<&str> {
        let attempted = self.attempts.iter().flat_map(|attempt| &attempt.reasons);
        let refused = match &self.end {
            Some(End::TurnedAway { reasons, .. }) => reasons.as_slice(),
            _ => &[],
        };
        attempted.chain(refused).find(|reason| reason.rule == rule).map(|reason| reason.text.as_str())
    }
}

/// Ids of the rules that made these demands, in the demands' order.
fn rules_of(floor: &[Sourced]) -> Vec<String> {
    let id = |(_, source): &Sourced| match source {
        Source::Rule { rule, .. } if !rule.is_empty() => Some(rule.clone()),
        _ => None,
    };
    floor.iter().filter_map(id).collect()
}

/// What the first host lacked; where it lacks TLS, what else it lacks follows from that.
fn first_unmet(unmet: &FloorUnmet) -> Vec<Sourced> {
    let unmet = unmet.hosts.first().map(|host| host.unmet.clone()).unwrap_or_default();
    let tls: Vec<Sourced> = unmet.iter().filter(|(demand, _)| *demand == Demand::Tls).cloned().collect();
    if tls.is_empty() { unmet } else { tls }
}

fn is(mailbox: &sealwire_core::address::Mailbox, text: &str) -> bool {
    mailbox.to_string() == text
}
