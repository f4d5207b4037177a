//! One recorder for all three decisions: what was called, in order, in the words of the contract.

use std::cell::RefCell;

use crate::{Decision, Floor, Objections, Reason, Reply, Verdict};

/// Verdict, floor and objections in one, recorded. A call that would trap in the host panics.
#[derive(Default, Debug)]
pub struct Calls {
    lines: RefCell<Vec<String>>,
    replies: RefCell<Vec<Reply>>,
    reasons: RefCell<Vec<Reason>>,
}

impl Calls {
    /// Every call as a line, such as `require-minimum-version 0x0303`, `fallback route vpn`, `because R2`.
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// The replies of `reject`, `defer` and `object`, in order.
    pub fn replies(&self) -> Vec<Reply> {
        self.replies.borrow().clone()
    }

    /// The reasons of `because`, in order.
    pub fn reasons(&self) -> Vec<Reason> {
        self.reasons.borrow().clone()
    }

    /// The decision would count: `conclude` was called, once, and nothing after it.
    pub fn concluded(&self) -> bool {
        let lines = self.lines.borrow();
        lines.iter().position(|line| line == "conclude").is_some_and(|at| at + 1 == lines.len())
    }

    fn note(&self, line: impl Into<String>) {
        self.lines.borrow_mut().push(line.into());
    }

    fn answer(&self, call: &str, classes: &[u16], reply: &Reply) {
        let class = reply.code / 100;
        assert!(
            classes.contains(&class) && reply.code != 421,
            "{call} with {reply:?}: the host would trap on this code"
        );
        assert!(
            reply.enhanced.starts_with(&format!("{class}.")),
            "{call} with {reply:?}: the host would trap, the codes do not agree"
        );
        let printable = reply.text.bytes().all(|octet| (b' '..=b'~').contains(&octet));
        assert!(
            printable && (1..=400).contains(&reply.text.len()),
            "{call} with {reply:?}: the host would trap, the text must be printable ASCII of 1 to 400 octets"
        );
        self.note(format!("{call} {} {}", reply.code, reply.enhanced));
        self.replies.borrow_mut().push(reply.clone());
    }
}

impl Decision for Calls {
    fn because(&self, reason: &Reason) {
        self.note(format!("because {}", reason.rule));
        self.reasons.borrow_mut().push(reason.clone());
    }

    fn conclude(&self) {
        self.note("conclude");
    }
}

impl Verdict for Calls {
    fn reject(&self, reply: &Reply) {
        self.answer("reject", &[5], reply);
    }

    fn defer(&self, reply: &Reply) {
        self.answer("defer", &[4], reply);
    }

    fn require_secure_transport(&self) {
        self.note("require-secure-transport");
    }
}

impl Floor for Calls {
    fn require_tls(&self) {
        self.note("require-tls");
    }

    fn require_minimum_version(&self, version: u16) {
        assert!(matches!(version, 0x0303 | 0x0304), "the host would trap on version {version:#06x}");
        self.note(format!("require-minimum-version {version:#06x}"));
    }

    fn require_trusted_chain(&self) {
        self.note("require-trusted-chain");
    }

    fn require_matching_name(&self) {
        self.note("require-matching-name");
    }

    fn require_unrevoked_certificate(&self) {
        self.note("require-unrevoked-certificate");
    }

    fn require_pin(&self, kind: &str, digests: &[Vec<u8>]) {
        assert!(matches!(kind, "certificate-sha256" | "spki-sha256"), "the host would trap on pin kind {kind}");
        assert!(!digests.is_empty() && digests.iter().all(|d| d.len() == 32), "the host would trap on these digests");
        self.note(format!("require-pin {kind} {}", digests.len()));
    }

    fn require_cipher_suite(&self, names: &[String]) {
        assert!(!names.is_empty(), "the host would trap on an empty list of cipher suites");
        self.note(format!("require-cipher-suite {}", names.join(" ")));
    }

    fn take_route(&self, name: &str) {
        self.note(format!("take-route {name}"));
    }

    fn fallback(&self, step: &str, name: Option<&str>) {
        assert!(matches!(step, "route" | "hold" | "bounce"), "the host would trap on step {step}");
        assert_eq!(step == "route", name.is_some(), "a route has a name, no other step has");
        self.note(name.map_or_else(|| format!("fallback {step}"), |name| format!("fallback {step} {name}")));
    }
}

impl Objections for Calls {
    fn object(&self, reply: &Reply) {
        self.answer("object", &[4, 5], reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_counts_if_conclude_is_its_last_word() {
        let rows: &[(&[&str], bool)] = &[
            (&["conclude"], true),
            (&["require-tls", "conclude"], true),
            (&[], false),
            (&["require-tls"], false),
            (&["conclude", "require-tls"], false),
            (&["conclude", "conclude"], false),
        ];
        for (lines, counts) in rows {
            let calls = Calls::default();
            lines.iter().for_each(|line| calls.note(*line));
            assert_eq!(calls.concluded(), *counts, "{lines:?}");
        }
    }

    #[test]
    fn what_would_trap_panics() {
        let rows = [
            (421, "4.7.0", "later"),
            (250, "2.0.0", "fine"),
            (550, "4.7.0", "classes differ"),
            (550, "5.7.0", ""),
            (550, "5.7.0", "two\r\nlines"),
        ];
        for (code, enhanced, text) in rows {
            let reply = Reply::new(code, enhanced, text);
            let objection = std::panic::catch_unwind(|| Calls::default().object(&reply));
            assert!(objection.is_err(), "{reply:?}");
        }
    }
}
