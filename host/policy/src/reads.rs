//! The facts a policy read, for the ledger (H8): a decision can be explained and replayed from them.
//!
//! Each is kept once, by the method's name and its argument. The number and the octets of the arguments are bounded, so
//! a policy cannot fill the ledger by asking. In a replay nothing can be read but what is on record; lists and routes are the
//! generation's own, and are always there. In an explanation of what is on record they must say what they said then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealwire_core::ledger::DecisionRecord;
use serde_json::Value;

use crate::limits;
use crate::state::{misuse, over};

/// Facts read so far.
#[derive(Default)]
pub(crate) struct Reads {
    /// Whose (of a channel; else empty), name such as `message.id`, value. A few dozen exist.
    plain: Vec<(&'static str, &'static str, Value)>,
    /// The same with an argument: as many as a policy asks for, so in order.
    with: BTreeMap<(String, &'static str, &'static str), Value>,
    argument_octets: usize,
    /// SHA-256 of the lists asked, by name.
    pub(crate) lists: BTreeMap<String, String>,
    /// In a replay: the facts there are.
    on_record: Option<Arc<BTreeSet<String>>>,
    /// In a replay: the one that was asked for and is not on record.
    pub(crate) missing: Option<String>,
    /// In an explanation: what the decision found in lists and routes.
    found: Option<Found>,
    /// In an explanation: the look-up that says another thing now, or was not made then.
    pub(crate) changed: Option<String>,
}

/// What lists and routes said in a decision.
struct Found {
    /// By the method's name and its argument.
    facts: Value,
    /// SHA-256 of the lists asked, by name.
    lists: BTreeMap<String, String>,
}

impl Reads {
    /// Of a replay: no fact but these.
    pub(crate) fn of_record(names: Arc<BTreeSet<String>>) -> Reads {
        Reads { on_record: Some(names), ..Reads::default() }
    }

    /// Of the explanation of a decision: no fact but these, and of lists and routes what it found there.
    pub(crate) fn of_decision(names: Arc<BTreeSet<String>>, record: &DecisionRecord) -> Reads {
        let found = Found { facts: record.facts.clone(), lists: record.lists.clone() };
        Reads { found: Some(found), ..Reads::of_record(names) }
    }

    /// Nothing has been read yet.
    pub(crate) fn begin(&mut self) {
        *self = Reads { on_record: self.on_record.take(), ..Reads::default() };
    }

    /// A fact without an argument.
    pub(crate) fn plain(
        &mut self,
        whose: &'static str,
        name: &'static str,
        value: impl FnOnce() -> Value,
    ) -> wasmtime::Result<()> {
        if !self.plain.iter().any(|known| known.1 == name && known.0 == whose) {
            self.must_be_on_record(|| of(whose, name))?;
            self.plain.push((whose, name, value()));
        }
        Ok(())
    }

    /// A fact with an argument.
    pub(crate) fn with(
        &mut self,
        whose: &'static str,
        name: &'static str,
        argument: String,
        value: impl FnOnce() -> Value,
    ) -> wasmtime::Result<()> {
        // Written down in a replay alone: the mail path has no use for it.
        let key = self.on_record.as_ref().map(|_| format!("{}({argument})", of(whose, name)));
        let checked = |reads: &mut Reads| reads.must_be_on_record(|| key.unwrap_or_default()).map(|()| value());
        self.note(whose, name, argument, checked)
    }

    /// What the lists or routes of the generation say, with what was asked.
    pub(crate) fn of_generation(
        &mut self,
        name: &'static str,
        argument: String,
        value: impl FnOnce() -> Value,
    ) -> wasmtime::Result<()> {
        let key = self.found.as_ref().map(|_| (format!("{name}({argument})"), argument.clone()));
        self.note("", name, argument, |reads| {
            let value = value();
            if let Some((key, argument)) = key {
                reads.must_be_as_found(name, key, &argument, &value)?;
            }
            Ok(value)
        })
    }

    /// What was not looked up then may be looked up now in a list that is the same, and whether a list is there.
    fn must_be_as_found(&mut self, name: &str, key: String, argument: &str, value: &Value) -> wasmtime::Result<()> {
        let Some(found) = &self.found else { return Ok(()) };
        let list = argument.split_once(", ").map_or(argument, |(list, _)| list);
        let same_list = || self.lists.get(list).is_some_and(|digest| found.lists.get(list) == Some(digest));
        let is_as_found = match found.facts.get(&key) {
            Some(known) => known == value,
            None => name == "get-list" || (name == "find" && same_list()),
        };
        if is_as_found {
            return Ok(());
        }
        let error = misuse(format!("{key} is not what it was"));
        self.changed = Some(key);
        Err(error)
    }

    fn note(
        &mut self,
        whose: &'static str,
        name: &'static str,
        argument: String,
        value: impl FnOnce(&mut Reads) -> wasmtime::Result<Value>,
    ) -> wasmtime::Result<()> {
        let (asked, octets) = (self.with.len(), self.argument_octets + argument.len());
        let key = (argument, whose, name);
        if self.with.contains_key(&key) {
            return Ok(());
        }
        if asked >= limits::READS || octets > limits::READ_OCTETS {
            return Err(over(format!("it read more than {} facts in one decision", limits::READS)));
        }
        let value = value(self)?;
        self.with.insert(key, value);
        self.argument_octets = octets;
        Ok(())
    }

    fn must_be_on_record(&mut self, name: impl FnOnce() -> String) -> wasmtime::Result<()> {
        let Some(on_record) = &self.on_record else { return Ok(()) };
        let name = name();
        if on_record.contains(&name) {
            return Ok(());
        }
        let error = misuse(format!("{name} is not on record"));
        self.missing = Some(name);
        Err(error)
    }

    /// As the ledger keeps them; afterwards there are none.
    pub(crate) fn take_json(&mut self) -> Value {
        let plain = std::mem::take(&mut self.plain).into_iter().map(|(whose, name, value)| (of(whose, name), value));
        let with = std::mem::take(&mut self.with).into_iter();
        let with = with.map(|((argument, whose, name), value)| (format!("{}({argument})", of(whose, name)), value));
        Value::Object(plain.chain(with).collect())
    }
}

/// A method's name as the ledger has it.
fn of(whose: &str, name: &str) -> String {
    if whose.is_empty() { name.to_owned() } else { format!("{whose}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_kept_once_under_its_name_and_argument() {
        let mut reads = Reads::default();
        reads.plain("", "message.id", || "a".into()).expect("live");
        reads.plain("", "message.id", || unreachable!("it is known")).expect("live");
        reads.plain("client", "channel.state", || "secured".into()).expect("live");
        reads.with("", "message.header", "subject".into(), || vec!["hi"].into()).expect("within limits");
        let expected = serde_json::json!({
            "message.id": "a", "client.channel.state": "secured", "message.header(subject)": ["hi"],
        });
        assert_eq!(reads.take_json(), expected);
    }

    #[test]
    fn asking_without_end_is_stopped() {
        let mut reads = Reads::default();
        let asked =
            (0..).take_while(|n| reads.with("", "message.header", n.to_string(), || Value::Null).is_ok()).count();
        assert_eq!(asked, limits::READS);
        let mut reads = Reads::default();
        let asked = (0..)
            .take_while(|n| reads.with("", "message.header", format!("{n:0>998}"), || Value::Null).is_ok())
            .count();
        assert_eq!(asked, limits::READ_OCTETS / 998);
    }

    #[test]
    fn a_replay_reads_what_is_on_record_and_asks_lists_whatever_it_likes() {
        let names = Arc::new(BTreeSet::from(["message.id".to_owned(), "message.header(subject)".to_owned()]));
        let mut reads = Reads::of_record(names);
        reads.plain("", "message.id", || "a".into()).expect("on record");
        reads.with("", "message.header", "subject".into(), || Value::Null).expect("on record");
        reads.of_generation("find", "partners, a@b.example".into(), || Value::Null).expect("the generation's own");
        reads.begin();
        let error =
            reads.with("", "message.header", "date".into(), || unreachable!("nobody knows")).expect_err("missing");
        assert_eq!(error.to_string(), "message.header(date) is not on record");
        assert_eq!(reads.missing.as_deref(), Some("message.header(date)"));
        assert!(reads.plain("hop", "channel.state", || unreachable!("nobody knows")).is_err());
        assert_eq!(reads.missing.as_deref(), Some("hop.channel.state"));
    }
}
