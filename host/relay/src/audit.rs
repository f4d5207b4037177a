//! The audit log: who acts on the relay says so here, whatever came of it.
//!
//! What the store itself does (settings, the queue, tokens, administrators) it writes in the same transaction ([`Relay::act`] is
//! part of the revision, [`Relay::by`] of an act on the queue); everything else is written right behind the act
//! ([`Relay::audit`]). An act is not undone for an entry that cannot be written: an alert
//! tells of it.

use sealwire_core::audit::{AuditResult, NewAudit, hexadecimal};
use sealwire_store::By;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::config::Problem;
use crate::relay::Relay;

/// Octets of an object or a note, and of a reason: what a person reads, and a settings document with a fault in every line
/// must not fill the log.
const WORDS_MAX: usize = 4 * 1024;
const REASON_MAX: usize = 16 * 1024;
/// Octets of what was before or is afterwards, as JSON; of more the digest stands there.
const VALUE_MAX: usize = 64 * 1024;

/// Who acts, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `ann (uid 1000)`, `token NAME`, `admin NAME`, `relay` for what it does by itself.
    pub by: String,
    /// `socket`, an IP address, `file`, `signal`, `upkeep`.
    pub from: String,
}

impl Actor {
    /// In these words.
    pub fn new(by: impl Into<String>, from: impl Into<String>) -> Actor {
        Actor { by: by.into(), from: from.into() }
    }
}

/// What somebody does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Act {
    /// A word, such as `queue-hold`.
    pub action: String,
    /// What it touches, in words.
    pub object: String,
    /// How that was before; null where there is nothing to say.
    pub before: Value,
    /// How it is afterwards, likewise.
    pub after: Value,
    /// What for, in the words of who did it.
    pub note: String,
    /// Why it was not done; None: it was.
    pub refused: Option<String>,
}

impl Act {
    /// Done, without more to say.
    pub fn of(action: &str, object: impl Into<String>) -> Act {
        Act { action: action.to_owned(), object: object.into(), ..Act::default() }
    }

    /// What for.
    #[must_use]
    pub fn noting(self, note: impl Into<String>) -> Act {
        Act { note: note.into(), ..self }
    }

    /// How it was, and how it is.
    #[must_use]
    pub fn changing(self, before: Value, after: Value) -> Act {
        Act { before, after, ..self }
    }

    /// It was not done.
    #[must_use]
    pub fn refused(self, reason: impl Into<String>) -> Act {
        Act { refused: Some(reason.into()), ..self }
    }
}

/// Problems as the reason of a refusal.
pub(crate) fn reason(problems: &[Problem]) -> String {
    let mut reason = String::new();
    for (at, problem) in problems.iter().enumerate() {
        let line = problem.to_string();
        if reason.len() + line.len() > REASON_MAX - 64 && at > 0 {
            reason.push_str(&format!("\nand {} problems more", problems.len() - at));
            break;
        }
        reason.push_str(if at > 0 { "\n" } else { "" });
        reason.push_str(&line);
    }
    reason
}

/// Whole, or its beginning and how much there was.
fn bounded(text: String, octets: usize) -> String {
    if text.len() <= octets {
        return text;
    }
    let end = text.floor_char_boundary(octets - 64);
    format!("{} ... ({} octets)", &text[..end], text.len())
}

fn bounded_value(value: Value) -> Value {
    match value.to_string() {
        text if text.len() <= VALUE_MAX => value,
        text => json!({ "octets": text.len(), "sha-256": digest(text.as_bytes()) }),
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(octets: &[u8]) -> String {
    hexadecimal(&Sha256::digest(octets))
}

impl Relay {
    /// An entry of the log, of `generation` if that is not the live one.
    pub(crate) fn entry(&self, actor: &Actor, act: Act, generation: Option<u64>) -> NewAudit {
        let reason = |reason| AuditResult::Refused { reason: bounded(reason, REASON_MAX) };
        NewAudit {
            at_ms: self.world.now_ms(),
            by: bounded(actor.by.clone(), WORDS_MAX),
            from: bounded(actor.from.clone(), WORDS_MAX),
            action: act.action,
            object: bounded(act.object, WORDS_MAX),
            before: bounded_value(act.before),
            after: bounded_value(act.after),
            note: bounded(act.note, WORDS_MAX),
            revision: None,
            generation: Some(generation.unwrap_or_else(|| self.live().generation.number())),
            result: act.refused.map_or(AuditResult::Done, reason),
        }
    }

    /// The same of what is done now, for the store to write it in the transaction of the act itself.
    pub fn act(&self, actor: &Actor, act: Act) -> NewAudit {
        self.entry(actor, act, None)
    }

    /// Who acts on the queue, with the entry of it.
    pub fn by(&self, actor: &Actor, act: Act) -> By {
        By { name: actor.by.clone(), audit: Some(self.act(actor, act)) }
    }

    /// Writes in the audit log what `actor` did, or was refused, and waits until it is there.
    pub async fn audit(&self, actor: &Actor, act: Act) {
        let entry = self.entry(actor, act, None);
        let what = format!("{} by {}", entry.action, entry.by);
        if let Err(error) = self.store.audit(entry).await {
            self.alert_once("audit", format!("an entry could not be written to the audit log, of {what}: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_make_long_is_cut() {
        let rows = [("short", 200, "short".to_owned()), ("", 200, String::new())];
        for (text, octets, expected) in rows {
            assert_eq!(bounded(text.to_owned(), octets), expected);
        }
        let cut = bounded("é".repeat(5_000), 1_000);
        assert!(cut.len() <= 1_000 && cut.ends_with("é ... (10000 octets)"), "{cut}");
        let long = json!(["x".repeat(VALUE_MAX)]);
        let digest = digest(long.to_string().as_bytes());
        assert_eq!(bounded_value(long), json!({ "octets": VALUE_MAX + 4, "sha-256": digest }));
        assert_eq!(bounded_value(json!({"a": 1})), json!({"a": 1}));
    }

    #[test]
    fn all_problems_are_the_reason_as_far_as_they_fit() {
        let problems =
            |many: usize| (0..many).map(|n| Problem::new("lists", format!("{n} is wrong"))).collect::<Vec<_>>();
        let few = reason(&problems(3));
        assert_eq!(few.lines().count(), 3, "{few}");
        let many = reason(&problems(100_000));
        assert!(many.len() <= REASON_MAX, "{}", many.len());
        let told = many.lines().count() - 1;
        assert!(many.ends_with(&format!("and {} problems more", 100_000 - told)), "{many}");
        let long = vec![Problem::new("lists", "x".repeat(2 * REASON_MAX))];
        assert!(reason(&long).len() > REASON_MAX, "it is cut where it is written");
    }
}
