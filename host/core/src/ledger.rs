//! The ledger's vocabulary: every decision, every refusal at the door, every delivery and every report leaves one record.
//!
//! Records are written once and never changed; `sealwire log` reads them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::{Domain, Mailbox};
use crate::decision::FallbackStep;
use crate::floor::Sourced;
use crate::outcome::Outcome;
use crate::reason::Reason;
use crate::reply::Reply;
use crate::tlsrpt::received::ReceivedReport;
use crate::units::Within;
use crate::units::within::{is_root, root};

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerRecord {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Id of the message; empty where there is none.
    pub message: String,
    /// What happened.
    #[serde(flatten)]
    pub event: LedgerEvent,
}

/// What a record tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum LedgerEvent {
    /// One call of one policy (H8).
    Decision(DecisionRecord),
    /// Accepted at the door and durable.
    Accepted(ArrivalRecord),
    /// Refused or deferred at the door; nothing was stored.
    TurnedAway {
        /// What arrived.
        #[serde(flatten)]
        arrival: ArrivalRecord,
        /// The reply given.
        reply: Reply,
        /// Why.
        reasons: Vec<Reason>,
    },
    /// One attempt's outcome for one recipient.
    Attempted {
        /// Organizational unit of the message, root first.
        #[serde(default = "root", skip_serializing_if = "is_root")]
        unit: Vec<String>,
        /// Whose copy.
        recipient: Mailbox,
        /// Generation of the round.
        generation: u64,
        /// 1 for the first.
        round: u32,
        /// Name of the route.
        route: String,
        /// What was demanded, and by whom.
        floor: Vec<Sourced>,
        /// What the plan would do if it is not met.
        fallback: Vec<FallbackStep>,
        /// The plan's reasons.
        reasons: Vec<Reason>,
        /// What became of it.
        result: Outcome,
        /// Delivered, retry at, held, report: what settle made of it, in words.
        settlement: String,
        /// Milliseconds the attempt took.
        took_ms: u64,
    },
    /// A report was put into the queue, in the same transaction as the outcome it tells of.
    Reported {
        /// Organizational unit of the message, root first.
        #[serde(default = "root", skip_serializing_if = "is_root")]
        unit: Vec<String>,
        /// Id of the report's own entry; None where there was nobody to tell (H5).
        report: Option<String>,
        /// Whose copies it tells of.
        recipients: Vec<Mailbox>,
        /// The report's text part, for the operator.
        text: String,
    },
    /// The sender is told of recipients whose mail is late, or was handed to a host that does not report itself; in the same
    /// transaction as the outcome.
    Notified {
        /// Organizational unit of the message, root first.
        #[serde(default = "root", skip_serializing_if = "is_root")]
        unit: Vec<String>,
        /// Id of the report's own entry.
        report: String,
        /// Whose copies are late.
        delayed: Vec<Mailbox>,
        /// Whose copies were handed on.
        relayed: Vec<Mailbox>,
    },
    /// A TLS report (RFC 8460) was taken by one of its destinations, or was given up there.
    TlsReport {
        /// Whose sessions it tells of.
        about: Domain,
        /// `mailto:MAILBOX` or `https://HOST/PATH`; empty where the domain's record could not be had.
        to: String,
        /// Id of the report and what became of it, in words.
        result: String,
    },
    /// A TLS report of another about domains of ours has arrived, as this message.
    TlsReportReceived {
        /// Whose DKIM signature it bears; None: no good one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signed_by: Option<Domain>,
        /// What it says; None: it cannot be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report: Option<ReceivedReport>,
        /// What is wrong with it, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<String>,
    },
    /// An operator acted on an entry: retry, hold, release, remove.
    Operator {
        /// Organizational unit of the message, root first.
        #[serde(default = "root", skip_serializing_if = "is_root")]
        unit: Vec<String>,
        /// What was done.
        action: String,
        /// Who asked, as the socket tells.
        by: String,
        /// Why: of a hold.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Seconds since the Unix epoch: until when a hold lasts; None: until the message's expiry, or it is no hold.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<u64>,
    },
    /// Something an operator should look at.
    Alert {
        /// In words.
        text: String,
    },
}

impl LedgerEvent {
    /// Organizational unit of what the record tells of, root first: a message's, of a decision that whose settings it went by.
    /// What is of no message, and what was written before records had one, is the root's.
    pub fn unit(&self) -> Vec<String> {
        match self {
            LedgerEvent::Decision(decision) => decision.unit.clone(),
            LedgerEvent::Accepted(arrival) | LedgerEvent::TurnedAway { arrival, .. } => arrival.unit.clone(),
            LedgerEvent::Attempted { unit, .. }
            | LedgerEvent::Reported { unit, .. }
            | LedgerEvent::Notified { unit, .. }
            | LedgerEvent::Operator { unit, .. } => unit.clone(),
            LedgerEvent::TlsReport { .. } | LedgerEvent::TlsReportReceived { .. } | LedgerEvent::Alert { .. } => root(),
        }
    }

    /// As who looks after these units sees it; None: it is none of his. A decision that was made for several units is shown to
    /// each of them, as made for those that he looks after, and names no other.
    #[must_use]
    pub fn seen_from(self, within: &Within) -> Option<LedgerEvent> {
        let LedgerEvent::Decision(mut decision) = self else { return Some(self).filter(|it| within.holds(&it.unit())) };
        decision.also_for.retain(|other| within.holds(&other.unit));
        if !within.holds(&decision.unit) {
            if decision.also_for.is_empty() {
                return None;
            }
            MadeFor { unit: decision.unit, internal: decision.internal } = decision.also_for.remove(0);
        }
        Some(LedgerEvent::Decision(decision))
    }
}

/// A message at the door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArrivalRecord {
    /// Organizational unit, root first.
    #[serde(default = "root", skip_serializing_if = "is_root")]
    pub unit: Vec<String>,
    /// The client's address; None for a report of our own.
    pub client: Option<String>,
    /// TLS version and cipher suite; None: in clear.
    pub tls: Option<String>,
    /// None: the null reverse-path.
    pub envelope_sender: Option<Mailbox>,
    /// Of the envelope.
    pub recipients: Vec<Mailbox>,
    /// Mailboxes of the header From.
    pub header_from: Vec<Mailbox>,
    /// Generation of the arrival.
    pub generation: u64,
    /// Policies that asked for secure transport.
    pub flagged_by: Vec<String>,
    /// Octets; None where the data was refused before its end.
    pub size: Option<u64>,
    /// Reasons that policies gave and accepted it all the same: an exception, a setting that is observed only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noted: Vec<Reason>,
}

/// One call of one policy with every fact it read (H8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionRecord {
    /// `receive`, `plan` or `judge`.
    pub hook: String,
    /// Name of the policy.
    pub policy: String,
    /// Generation it belonged to.
    pub generation: u64,
    /// Revision of the settings; 0: of none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
    /// When that revision was made, seconds since the Unix epoch: so old is what its rules demand.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision_at: u64,
    /// The organizational unit whose settings it went by, root first.
    #[serde(default = "root", skip_serializing_if = "is_root")]
    pub unit: Vec<String>,
    /// It went by the settings for mail whose client and recipient are both ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
    /// Other units, and kinds of mail, whose settings are the same, and which it was made for as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_for: Vec<MadeFor>,
    /// SHA-256 of the component, hexadecimal.
    pub component: String,
    /// SHA-256 of the settings document given to it, hexadecimal.
    pub settings: String,
    /// SHA-256 of each list it asked, by name.
    pub lists: BTreeMap<String, String>,
    /// Every fact read, by the method's name, with arguments where there are any.
    pub facts: serde_json::Value,
    /// Facts under the same names that were at hand and not read: what other settings would have asked first. With them a
    /// replay can tell what those would have done.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub at_hand: serde_json::Map<String, serde_json::Value>,
    /// What it decided, or why the decision failed.
    pub result: serde_json::Value,
    /// Reasons given.
    pub reasons: Vec<Reason>,
    /// Microseconds from instantiation to drop.
    pub took_us: u64,
}

/// Whose settings a decision went by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeFor {
    /// The organizational unit, root first.
    pub unit: Vec<String>,
    /// For mail whose client and recipient are both ours.
    pub internal: bool,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_are_of_their_unit_and_old_ones_of_the_root() {
        let operator = json!({ "event": "operator", "action": "retry", "by": "ann" });
        let notified = json!({ "event": "notified", "report": "r", "delayed": [], "relayed": [] });
        let reported = json!({ "event": "reported", "report": null, "recipients": [], "text": "" });
        let decision = json!({
            "event": "decision", "hook": "plan", "policy": "p", "generation": 1, "component": "", "settings": "", "lists": {},
            "facts": {}, "result": {}, "reasons": [], "took_us": 1,
        });
        for old in [operator, notified, reported, decision] {
            let read =
                |event: &serde_json::Value| -> LedgerEvent { serde_json::from_value(event.clone()).expect("read") };
            assert_eq!(read(&old).unit(), ["root"], "{old}");
            let again = serde_json::to_value(read(&old)).expect("written");
            assert!(again.get("unit").is_none(), "the root's is not written: {again}");
            let mut new = old.clone();
            new["unit"] = json!(["root", "sales"]);
            assert_eq!(read(&new).unit(), ["root", "sales"], "{new}");
            assert_eq!(serde_json::to_value(read(&new)).expect("written")["unit"], new["unit"], "{new}");
        }
        let alert = LedgerEvent::Alert { text: String::new() };
        assert_eq!(alert.unit(), ["root"]);
    }
}
