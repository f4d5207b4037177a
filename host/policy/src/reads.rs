//! The facts a policy read, for the ledger (H8): a decision can be explained and replayed from them.
//!
//! Each is kept once, by the method's name and its argument. The number and the octets of the arguments are bounded, so
//! a policy cannot fill the ledger by asking.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::limits;
use crate::state::over;

/// Facts read so far.
#[derive(Default)]
pub(crate) struct Reads {
    facts: Vec<Fact>,
    argument_octets: usize,
    /// SHA-256 of the lists asked, by name.
    pub(crate) lists: BTreeMap<String, String>,
}

struct Fact {
    /// Such as `message.header`.
    name: &'static str,
    /// Of a channel: whose; else empty.
    whose: &'static str,
    argument: Option<String>,
    value: Value,
}

impl Reads {
    /// A fact without an argument.
    pub(crate) fn plain(&mut self, whose: &'static str, name: &'static str, value: impl FnOnce() -> Value) {
        let known = |fact: &Fact| fact.argument.is_none() && fact.name == name && fact.whose == whose;
        if !self.facts.iter().any(known) {
            self.facts.push(Fact { name, whose, argument: None, value: value() });
        }
    }

    /// A fact with an argument.
    pub(crate) fn with(
        &mut self,
        whose: &'static str,
        name: &'static str,
        argument: String,
        value: impl FnOnce() -> Value,
    ) -> wasmtime::Result<()> {
        let known = |fact: &Fact| fact.argument.as_ref() == Some(&argument) && fact.name == name && fact.whose == whose;
        if self.facts.iter().any(known) {
            return Ok(());
        }
        self.argument_octets += argument.len();
        if self.facts.len() >= limits::READS || self.argument_octets > limits::READ_OCTETS {
            return Err(over(format!("it read more than {} facts in one decision", limits::READS)));
        }
        self.facts.push(Fact { name, whose, argument: Some(argument), value: value() });
        Ok(())
    }

    /// As the ledger keeps them.
    pub(crate) fn into_json(self) -> Value {
        let mut facts = Map::new();
        for Fact { name, whose, argument, value } in self.facts {
            let dot = if whose.is_empty() { "" } else { "." };
            let key = match argument {
                Some(argument) => format!("{whose}{dot}{name}({argument})"),
                None => format!("{whose}{dot}{name}"),
            };
            facts.insert(key, value);
        }
        Value::Object(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_kept_once_under_its_name_and_argument() {
        let mut reads = Reads::default();
        reads.plain("", "message.id", || "a".into());
        reads.plain("", "message.id", || unreachable!("it is known"));
        reads.plain("client", "channel.state", || "secured".into());
        reads.with("", "message.header", "subject".into(), || vec!["hi"].into()).expect("within limits");
        let expected = serde_json::json!({
            "message.id": "a", "client.channel.state": "secured", "message.header(subject)": ["hi"],
        });
        assert_eq!(reads.into_json(), expected);
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
}
