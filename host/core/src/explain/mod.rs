//! Why a message met the end it met, in lines, from the ledger's records alone: as the command and the API tell it.

use serde_json::Value;

use crate::address::Mailbox;
use crate::floor::Sourced;
use crate::ledger::{ArrivalRecord, DecisionRecord, LedgerEvent, LedgerRecord};
use crate::time::rfc3339;
use crate::visible::visible;

pub mod derivation;
mod tried;

pub use tried::{RulesTried, Tried};

/// Of the message as a whole, or of this recipient's copy.
pub fn concerns(event: &LedgerEvent, recipient: &str) -> bool {
    let is = |mailbox: &str| mailbox.eq_ignore_ascii_case(recipient);
    match event {
        LedgerEvent::Decision(decision) => {
            let fact = |name: &str| decision.facts.get(name).or_else(|| decision.at_hand.get(name));
            match decision.hook.as_str() {
                "plan" => fact("destination.recipient").and_then(Value::as_str).is_none_or(is),
                // What is not on record may concern anyone.
                "judge" => fact("hop.recipients")
                    .and_then(Value::as_array)
                    .is_none_or(|all| all.iter().filter_map(Value::as_str).any(is)),
                _ => true,
            }
        }
        LedgerEvent::Attempted { recipient: whose, .. } => is(&whose.to_string()),
        LedgerEvent::Reported { recipients, .. } => recipients.iter().any(|whose| is(&whose.to_string())),
        LedgerEvent::Notified { delayed, relayed, .. } => {
            delayed.iter().chain(relayed).any(|whose| is(&whose.to_string()))
        }
        _ => true,
    }
}

/// One record in lines, its time before the first; none where there is nothing to explain.
pub fn lines(record: &LedgerRecord) -> Vec<String> {
    let at = rfc3339(record.at_ms / 1000);
    let mut told = told(&record.event).into_iter();
    let first = told.next().map(|first| format!("{at}  {first}"));
    first.into_iter().chain(told).collect()
}

fn told(event: &LedgerEvent) -> Vec<String> {
    match event {
        LedgerEvent::Decision(decision) => decided(decision),
        LedgerEvent::Accepted(arrival) => vec![format!("accepted {}", arrived(arrival))],
        LedgerEvent::TurnedAway { arrival, reply, reasons } => {
            let mut lines = vec![format!("turned away {}: {}", arrived(arrival), visible(&reply.to_string()))];
            lines.extend(reasons.iter().flat_map(derivation::rule));
            lines
        }
        LedgerEvent::Attempted { recipient, round, route, floor, result, settlement, .. } => {
            let to = visible(&recipient.to_string());
            let mut lines = vec![format!("attempt for {to} by route {}, round {round}", visible(route))];
            lines.extend(floor_lines(floor));
            lines.push(format!("  outcome: {}", visible(&result.to_string())));
            lines.push(format!("  so: {}", visible(settlement)));
            lines
        }
        LedgerEvent::Reported { report, recipients, .. } => {
            let whose: Vec<String> = recipients.iter().map(|whose| visible(&whose.to_string())).collect();
            let by = report.as_ref().map_or_else(|| "to nobody".to_owned(), |report| format!("by message {report}"));
            vec![format!("reported for {}, {by}", whose.join(", "))]
        }
        LedgerEvent::Operator { action, by, .. } => vec![format!("operator: {} by {}", visible(action), visible(by))],
        LedgerEvent::Alert { text } => vec![format!("alert: {}", visible(text))],
        _ => Vec::new(),
    }
}

/// Whose copy, or which host, and how the policy came to it.
fn decided(decision: &DecisionRecord) -> Vec<String> {
    let fact = |name: &str| {
        let value = decision.facts.get(name).or_else(|| decision.at_hand.get(name));
        value.and_then(Value::as_str).map(visible)
    };
    let about = match decision.hook.as_str() {
        "plan" => fact("destination.recipient").map(|to| format!("to {to}: ")),
        "judge" => fact("hop.host").map(|host| format!("host {host}: ")),
        _ => None,
    };
    let mut lines = derivation::lines(decision);
    if let (Some(about), Some(first)) = (about, lines.first_mut()) {
        first.insert_str(0, &about);
    }
    lines
}

fn floor_lines(floor: &[Sourced]) -> Vec<String> {
    if floor.is_empty() {
        return vec!["  floor: none, TLS is used where it works (R9)".to_owned()];
    }
    floor.iter().map(|(demand, source)| format!("  floor: {demand}, by {}", visible(&source.to_string()))).collect()
}

fn arrived(arrival: &ArrivalRecord) -> String {
    let mailboxes =
        |all: &[Mailbox]| all.iter().map(|mailbox| visible(&mailbox.to_string())).collect::<Vec<_>>().join(", ");
    let sender =
        arrival.envelope_sender.as_ref().map_or_else(|| "<>".to_owned(), |sender| visible(&sender.to_string()));
    let client = arrival.client.as_deref().unwrap_or("this relay");
    let channel = arrival.tls.as_deref().unwrap_or("in clear");
    let from = mailboxes(&arrival.header_from);
    format!("from {sender} (From: {from}) to {}, by {client} ({})", mailboxes(&arrival.recipients), visible(channel))
}

#[cfg(test)]
mod tests;
