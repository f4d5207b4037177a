//! What a decision was and what it would have been, compared: the effect first, words where there is no other difference.
//!
//! All decisions on one thing stand together: of every policy and of every unit that is concerned. Where one of them cannot
//! be replayed, only that is told which holds whatever it would have been.

use std::collections::BTreeSet;

use sealwire_core::floor::Demand;
use sealwire_core::ledger::DecisionRecord;
use sealwire_core::reason::Reason;
use sealwire_policy::{Replayable, Replayed};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What was decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A message that arrives.
    Receive { message: String },
    /// One recipient's way out in one round.
    Plan { message: String, recipient: String, round: u32 },
    /// A host.
    Judge { message: String, host: String, address: String },
}

impl Subject {
    pub(crate) fn of(asked: &Replayable) -> Subject {
        let (message, record) = (asked.message.clone(), &asked.record);
        let text = |name: &str| fact::<String>(record, name).unwrap_or_default();
        match record.hook.as_str() {
            "plan" => Subject::Plan {
                message,
                recipient: text("destination.recipient"),
                round: fact(record, "destination.round").unwrap_or_default(),
            },
            "judge" => Subject::Judge { message, host: text("hop.host"), address: text("hop.address") },
            _ => Subject::Receive { message },
        }
    }

    pub(crate) fn hook(&self) -> &'static str {
        match self {
            Subject::Receive { .. } => "receive",
            Subject::Plan { .. } => "plan",
            Subject::Judge { .. } => "judge",
        }
    }

    pub(crate) fn message(&self) -> &str {
        match self {
            Subject::Receive { message } | Subject::Plan { message, .. } | Subject::Judge { message, .. } => message,
        }
    }
}

/// A fact that was read or was at hand.
fn fact<T: DeserializeOwned>(record: &DecisionRecord, name: &str) -> Option<T> {
    let value = record.facts.get(name).or_else(|| record.at_hand.get(name))?;
    T::deserialize(value).ok()
}

/// All decisions on one thing.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) subject: Subject,
    decisions: Vec<(DecisionRecord, Replayed)>,
}

/// One way in which it would have been another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change {
    /// Such as `accepted -> refused (R1)` or `+ TLS`.
    pub(crate) words: String,
    /// A demand more: an attempt may have met it.
    pub(crate) demand: Option<Demand>,
}

impl Change {
    fn of(words: impl Into<String>) -> Change {
        Change { words: words.into(), demand: None }
    }
}

/// What decisions come to together.
#[derive(Debug, Default)]
struct Sum<'a> {
    /// 0 accepted, 1 deferred or failed, 2 refused: as verdicts join. Of a judgement: an objection refuses.
    ruling: u8,
    failed: bool,
    /// Whose decision that is.
    rules: BTreeSet<String>,
    flags: BTreeSet<&'a str>,
    demands: BTreeSet<Demand>,
    route: Option<String>,
    fallback: Option<String>,
    reasons: Vec<&'a Reason>,
}

impl<'a> Sum<'a> {
    fn of(records: impl Iterator<Item = &'a DecisionRecord>) -> Sum<'a> {
        let mut sum = Sum::default();
        records.for_each(|record| sum.add(record));
        sum
    }

    fn add(&mut self, record: &'a DecisionRecord) {
        let is = |key: &str| record.result.get(key).is_some_and(|value| !value.is_null());
        let ruling = match () {
            () if is("reject") || is("objection") => 2,
            () if is("failed") || is("defer") => 1,
            () => 0,
        };
        self.failed |= is("failed");
        if ruling >= self.ruling && ruling > 0 {
            if ruling > self.ruling {
                self.rules.clear();
            }
            // What is only observed, or excepted, is no reason for it.
            let counts = |reason: &&Reason| !reason.rule.ends_with("-observed") && reason.rule != "exception";
            self.rules.extend(record.reasons.iter().filter(counts).map(|reason| reason.rule.clone()));
        }
        self.ruling = self.ruling.max(ruling);
        if record.result.get("require-secure-transport") == Some(&Value::Bool(true)) {
            self.flags.insert(&record.policy);
        }
        let demands = record.result.get("demands").and_then(|value| Vec::<(Demand, String)>::deserialize(value).ok());
        self.demands.extend(demands.into_iter().flatten().map(|(demand, _)| demand));
        let route = record.result.get("take-route").and_then(Value::as_str);
        self.route = self.route.take().or_else(|| route.map(ToOwned::to_owned));
        // The first policy that names one gives it whole.
        let steps = record.result.get("fallback").and_then(Value::as_array).filter(|steps| !steps.is_empty());
        self.fallback = self.fallback.take().or_else(|| steps.map(|steps| in_words(steps)));
        for reason in &record.reasons {
            if !self.reasons.contains(&reason) {
                self.reasons.push(reason);
            }
        }
    }

    /// In a few words, for an example.
    fn words(&self, subject: &Subject) -> String {
        let rules = || self.rules.iter().cloned().collect::<Vec<_>>().join(", ");
        let by = |word: &str| if self.rules.is_empty() { word.to_owned() } else { format!("{word} ({})", rules()) };
        match (subject, self.ruling) {
            (_, 1) if self.failed => "not decided".to_owned(),
            (Subject::Receive { .. }, 0) => "accepted".to_owned(),
            (Subject::Receive { .. }, 1) => by("deferred"),
            (Subject::Receive { .. }, _) => by("refused"),
            (Subject::Judge { .. }, 0) => "taken".to_owned(),
            (Subject::Judge { .. }, _) => by("objected to"),
            (Subject::Plan { .. }, _) => {
                let mut words: Vec<String> = self.demands.iter().map(ToString::to_string).collect();
                if words.is_empty() {
                    words.push("no demands".to_owned());
                }
                words.extend(self.route.iter().map(|route| format!("by route {route}")));
                words.extend(self.fallback.iter().map(|steps| format!("else {steps}")));
                words.join("; ")
            }
        }
    }
}

fn in_words(steps: &[Value]) -> String {
    let step = |step: &Value| match (step["step"].as_str(), step["route"].as_str()) {
        (Some("route"), Some(route)) => format!("route {route}"),
        (word, _) => word.unwrap_or_default().to_owned(),
    };
    steps.iter().map(step).collect::<Vec<_>>().join(", then ")
}

impl Group {
    pub(crate) fn of(subject: Subject, record: DecisionRecord, again: Replayed) -> Group {
        Group { subject, decisions: vec![(record, again)] }
    }

    pub(crate) fn add(&mut self, record: DecisionRecord, again: Replayed) {
        self.decisions.push((record, again));
    }

    /// Whose mail it is: the domain of From on arrival, of the recipient later; empty where that is not known.
    pub(crate) fn domain(&self) -> String {
        let name = match self.subject {
            Subject::Receive { .. } => "message.header-from",
            Subject::Plan { .. } => "destination.recipient",
            Subject::Judge { .. } => "hop.recipients",
        };
        let first = self.decisions.iter().find_map(|(record, _)| match fact::<Value>(record, name)? {
            Value::String(mailbox) => Some(mailbox),
            Value::Array(all) => all.first()?.as_str().map(ToOwned::to_owned),
            _ => None,
        });
        first.and_then(|mailbox| Some(mailbox.rsplit_once('@')?.1.to_owned())).unwrap_or_default()
    }

    /// Policies that would have decided otherwise.
    pub(crate) fn policies(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for (before, again) in &self.decisions {
            let Replayed::Decided(after) = again else { continue };
            let differs = before.result != after.result || before.reasons != after.reasons;
            if differs && !names.contains(&before.policy.as_str()) {
                names.push(&before.policy);
            }
        }
        names.join(", ")
    }

    /// Before and after, in words.
    pub(crate) fn words(&self) -> (String, String) {
        let (before, after) = (self.before(), self.after());
        (before.words(&self.subject), after.words(&self.subject))
    }

    fn before(&self) -> Sum<'_> {
        Sum::of(self.decisions.iter().map(|(record, _)| record))
    }

    /// As far as it is known.
    fn after(&self) -> Sum<'_> {
        Sum::of(self.decisions.iter().filter_map(|(_, again)| match again {
            Replayed::Decided(record) => Some(&**record),
            Replayed::NotReplayable(_) => None,
        }))
    }

    fn is_whole(&self) -> bool {
        self.decisions.iter().all(|(_, again)| matches!(again, Replayed::Decided(_)))
    }

    /// Every way in which it would have been another.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let (before, after, whole) = (self.before(), self.after(), self.is_whole());
        let mut changes = Vec::new();
        let ruled = before.ruling != after.ruling || before.failed != after.failed;
        // A refusal stands whatever the rest would have said.
        if ruled && (whole || after.ruling == 2) {
            let is_plan = matches!(self.subject, Subject::Plan { .. });
            let words = |sum: &Sum<'_>| match is_plan && sum.ruling == 0 {
                true => "planned".to_owned(),
                false => sum.words(&self.subject),
            };
            changes.push(Change::of(format!("{} -> {}", words(&before), words(&after))));
        }
        for demand in after.demands.difference(&before.demands) {
            changes.push(Change { words: format!("+ {demand}"), demand: Some(demand.clone()) });
        }
        let flags = |these: &BTreeSet<&str>, than: &BTreeSet<&str>| {
            these.difference(than).map(|policy| format!("secure transport asked for by {policy}")).collect::<Vec<_>>()
        };
        changes.extend(flags(&after.flags, &before.flags).into_iter().map(|words| Change::of(format!("+ {words}"))));
        // A plan that did not come about demands nothing: what it lacks is told by that.
        if whole && !after.failed {
            for demand in before.demands.difference(&after.demands) {
                changes.push(Change::of(format!("- {demand}")));
            }
            let gone = flags(&before.flags, &after.flags);
            changes.extend(gone.into_iter().map(|words| Change::of(format!("- {words}"))));
            let or = |named: &Option<String>, none: &str| named.clone().unwrap_or_else(|| none.to_owned());
            if before.route != after.route {
                let (from, to) = (or(&before.route, "its own"), or(&after.route, "its own"));
                changes.push(Change::of(format!("route: {from} -> {to}")));
            }
            if before.fallback != after.fallback {
                let (from, to) = (or(&before.fallback, "none"), or(&after.fallback, "none"));
                changes.push(Change::of(format!("if no host does: {from} -> {to}")));
            }
            if changes.is_empty() && (before.reasons != after.reasons || before.rules != after.rules) {
                changes.push(Change::of("other reasons, the same effect"));
            }
        }
        changes
    }
}
