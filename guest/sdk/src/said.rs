//! A decision that nobody has asked for, for explanations: what a hook says on it is what the policy would say.

use std::cell::RefCell;

use crate::{Decision, Floor, Objections, Reason, Reply, Tried, Verdict};

/// Takes every call and keeps the reasons. An explanation that runs its hook on it cannot disagree with the decision.
#[derive(Default, Debug)]
pub struct Said(RefCell<Vec<Reason>>);

impl Said {
    /// A reason names this setting in its detail.
    pub fn tells_of(&self, setting: &str) -> bool {
        self.0.borrow().iter().any(|reason| reason.detail.as_deref() == Some(setting))
    }

    /// The rules that hold: one for each reason, in order.
    pub fn tried(self) -> Vec<Tried> {
        let tried = |reason: Reason| {
            let Reason { rule, text, matched, detail } = reason;
            let why = matched.map_or_else(|| text.clone(), |matched| format!("{text} Matched: {matched}"));
            Tried::holds(&detail.unwrap_or_default(), &rule, why)
        };
        self.0.into_inner().into_iter().map(tried).collect()
    }
}

impl Decision for Said {
    fn because(&self, reason: &Reason) {
        self.0.borrow_mut().push(reason.clone());
    }

    fn conclude(&self) {}
}

impl Verdict for Said {
    fn reject(&self, _: &Reply) {}
    fn defer(&self, _: &Reply) {}
    fn require_secure_transport(&self) {}
}

impl Floor for Said {
    fn require_tls(&self) {}
    fn require_minimum_version(&self, _: u16) {}
    fn require_trusted_chain(&self) {}
    fn require_matching_name(&self) {}
    fn require_unrevoked_certificate(&self) {}
    fn require_pin(&self, _: &str, _: &[Vec<u8>]) {}
    fn require_cipher_suite(&self, _: &[String]) {}
    fn take_route(&self, _: &str) {}
    fn fallback(&self, _: &str, _: Option<&str>) {}
}

impl Objections for Said {
    fn object(&self, _: &Reply) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_rule_that_holds() {
        let said = Said::default();
        said.require_tls();
        said.because(&Reason::new("R2", "Over TLS only.").matched("bank.example").detail("setting \"Banks\""));
        said.because(&Reason::new("FLAG", "Flagged."));
        said.conclude();
        let expected = [
            Tried::holds("setting \"Banks\"", "R2", "Over TLS only. Matched: bank.example"),
            Tried::holds("", "FLAG", "Flagged."),
        ];
        assert_eq!(said.tried(), expected);
    }
}
