//! The facts a policy read, for the ledger (H8): a decision can be explained and replayed from them.
//!
//! Each is kept once, by the method's name and its argument. The number and the octets of the arguments are bounded, so
//! a policy cannot fill the ledger by asking.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::Value;

use crate::limits;
use crate::state::over;

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
}

impl Reads {
    /// A fact without an argument.
    pub(crate) fn plain(&mut self, whose: &'static str, name: &'static str, value: impl FnOnce() -> Value) {
        if !self.plain.iter().any(|known| known.1 == name && known.0 == whose) {
            self.plain.push((whose, name, value()));
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
        let (asked, octets) = (self.with.len(), self.argument_octets + argument.len());
        let Entry::Vacant(place) = self.with.entry((argument, whose, name)) else { return Ok(()) };
        if asked >= limits::READS || octets > limits::READ_OCTETS {
            return Err(over(format!("it read more than {} facts in one decision", limits::READS)));
        }
        place.insert(value());
        self.argument_octets = octets;
        Ok(())
    }

    /// As the ledger keeps them.
    pub(crate) fn into_json(self) -> Value {
        let dot = |whose: &str| if whose.is_empty() { "" } else { "." };
        let plain = self.plain.into_iter().map(|(whose, name, value)| (format!("{whose}{}{name}", dot(whose)), value));
        let with = self.with.into_iter();
        let with =
            with.map(|((argument, whose, name), value)| (format!("{whose}{}{name}({argument})", dot(whose)), value));
        Value::Object(plain.chain(with).collect())
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
