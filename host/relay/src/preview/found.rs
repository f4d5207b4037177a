//! What a preview has found: counts by hook, change, domain and policy, each with a few examples.
//!
//! Domains and addresses come from strangers, so there is a bound on how many rows are told apart; what goes beyond it is
//! counted and never left out.

use std::collections::BTreeMap;
use std::time::Duration;

use sealwire_core::outcome::Outcome;
use sealwire_policy::Replayed;
use serde::{Deserialize, Serialize};

use super::Span;
use super::compare::{Change, Group, Subject};

/// Rows told apart: more than a person reads.
const ROWS_MAX: usize = 1_000;
/// Examples of a row.
const EXAMPLES_MAX: usize = 3;
/// Octets of the words of an example.
const WORDS_MAX: usize = 300;
/// Reasons for which something is not replayable, told apart.
const WHY_MAX: usize = 100;

/// How a preview stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It goes on.
    Running,
    /// Everything was read.
    Done,
    /// It was stopped; what it found until then holds.
    Cancelled,
    /// Its time was over; what it found until then holds.
    OutOfTime,
    /// It could not be done.
    Failed,
}

/// A preview at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    /// Its number, to ask for it.
    pub id: u64,
    /// How it stands.
    pub state: State,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// How far back, and how long it may take.
    pub span: Span,
    /// Revision of the settings that were in force when it began.
    pub settings_revision: u64,
    /// Generation that was live when it began.
    pub generation: u64,
    /// Records the ledger has of these days, of every kind.
    pub total: u64,
    /// Of these, how many it has been through, the newest day first.
    pub done: u64,
    /// Decisions replayed.
    pub replayed: u64,
    /// Decisions that cannot be told.
    pub not_replayable: u64,
    /// Why not, and how many.
    pub why_not: BTreeMap<String, u64>,
    /// Decisions replayed in a second, on one core at low priority.
    pub per_second: u64,
    /// Microseconds that took.
    pub took_us: u64,
    /// What would have been another: by hook, change, domain and policy.
    pub differences: Vec<Difference>,
    /// Differences of further rows.
    pub beyond: u64,
}

/// One row of differences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// `receive`: messages; `plan`: recipients; `judge`: hosts.
    pub hook: String,
    /// In words: `accepted -> refused (R1)`, `+ TLS`.
    pub change: String,
    /// Of From on arrival, of the recipient later; empty where that is not known.
    pub domain: String,
    /// Whose decisions they are.
    pub policies: String,
    /// How many.
    pub count: u64,
    /// Of `plan`: later rounds of recipients, those counted and others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub later_rounds: u64,
    /// Of a demand more: whether the attempts that were made had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub had: Option<Had>,
    /// The first few.
    pub examples: Vec<Example>,
}

/// Whether attempts had what would have been demanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Had {
    /// It was there.
    pub yes: u64,
    /// It was not: they would have come back.
    pub no: u64,
    /// There was no attempt, or none that tells.
    pub unknown: u64,
}

/// One that would have been another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Example {
    /// Id of the message, for `sealwire explain`.
    pub message: String,
    /// Whose copy, or which host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// What it was.
    pub before: String,
    /// What it would have been.
    pub after: String,
}

impl Found {
    pub(crate) fn new(id: u64, span: Span, settings_revision: u64, generation: u64) -> Found {
        Found {
            id,
            state: State::Running,
            trouble: None,
            span,
            settings_revision,
            generation,
            total: 0,
            done: 0,
            replayed: 0,
            not_replayable: 0,
            why_not: BTreeMap::new(),
            per_second: 0,
            took_us: 0,
            differences: Vec::new(),
            beyond: 0,
        }
    }

    /// What is found most is read first.
    pub(crate) fn end(&mut self, state: State) {
        self.state = state;
        self.differences.sort_by(|one, other| {
            let rank = |row: &Difference| (order(&row.hook), std::cmp::Reverse(row.count));
            rank(one).cmp(&rank(other)).then_with(|| (&one.change, &one.domain).cmp(&(&other.change, &other.domain)))
        });
    }

    pub(crate) fn replayed(&mut self, again: &[Replayed], took: Duration) {
        self.took_us += u64::try_from(took.as_micros()).unwrap_or_default();
        for replayed in again {
            match replayed {
                Replayed::Decided(_) => self.replayed += 1,
                Replayed::NotReplayable(why) => {
                    self.not_replayable += 1;
                    let why = bounded(why);
                    let is_told = self.why_not.len() < WHY_MAX || self.why_not.contains_key(&why);
                    let why = if is_told { why } else { "for other reasons".to_owned() };
                    *self.why_not.entry(why).or_default() += 1;
                }
            }
        }
        self.per_second = (self.replayed * 1_000_000).checked_div(self.took_us).unwrap_or_default();
    }

    /// `attempts`: what became of those for the recipient that was planned for.
    pub(crate) fn count(&mut self, group: &Group, changes: Vec<Change>, attempts: &[Outcome]) {
        if changes.is_empty() {
            return;
        }
        let (domain, policies, hook) = (group.domain(), group.policies(), group.subject.hook());
        let (before, after) = group.words();
        for Change { words, demand } in changes {
            let Some(row) = self.row(hook, &words, &domain, &policies) else { continue };
            if matches!(group.subject, Subject::Plan { round: 2.., .. }) {
                row.later_rounds += 1;
                continue;
            }
            row.count += 1;
            if let Some(demand) = demand {
                let had = row.had.get_or_insert_default();
                // The last that tells: the one it was delivered by.
                match attempts.iter().rev().find_map(|outcome| outcome.had(&demand)) {
                    Some(true) => had.yes += 1,
                    Some(false) => had.no += 1,
                    None => had.unknown += 1,
                }
            }
            if row.examples.len() < EXAMPLES_MAX {
                row.examples.push(Example {
                    message: group.subject.message().to_owned(),
                    about: about(&group.subject),
                    before: bounded(&before),
                    after: bounded(&after),
                });
            }
        }
    }

    fn row(&mut self, hook: &str, change: &str, domain: &str, policies: &str) -> Option<&mut Difference> {
        let is = |row: &Difference| {
            row.hook == hook && row.change == change && row.domain == domain && row.policies == policies
        };
        let at = self.differences.iter().position(is);
        if at.is_none() && self.differences.len() >= ROWS_MAX {
            self.beyond += 1;
            return None;
        }
        let at = at.unwrap_or_else(|| {
            self.differences.push(Difference {
                hook: hook.to_owned(),
                change: change.to_owned(),
                domain: domain.to_owned(),
                policies: policies.to_owned(),
                count: 0,
                later_rounds: 0,
                had: None,
                examples: Vec::new(),
            });
            self.differences.len() - 1
        });
        self.differences.get_mut(at)
    }
}

fn about(subject: &Subject) -> String {
    match subject {
        Subject::Receive { .. } => String::new(),
        Subject::Plan { recipient, .. } => recipient.clone(),
        Subject::Judge { host, address, .. } => format!("{host} [{address}]"),
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// As mail goes.
fn order(hook: &str) -> u8 {
    match hook {
        "receive" => 0,
        "plan" => 1,
        _ => 2,
    }
}

fn bounded(words: &str) -> String {
    words[..words.floor_char_boundary(WORDS_MAX)].to_owned()
}
