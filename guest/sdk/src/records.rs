//! The contract's records, shared by components and native tests, with constructors that keep rule code short.

pub use crate::bindings::exports::sealwire::policy::explanation::Tried;
pub use crate::bindings::exports::sealwire::policy::hooks::Problem;
pub use crate::bindings::sealwire::policy::decisions::{Reason, Reply};
pub use crate::bindings::sealwire::policy::facts::{Header, Mailbox};

impl Mailbox {
    /// Splits at the last `@`; without one, all of it is the local part (RFC 5321 §4.5.1: `Postmaster` needs no domain).
    pub fn new(address: &str) -> Mailbox {
        let (local_part, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        Mailbox { local_part: local_part.to_owned(), domain: domain.to_owned() }
    }
}

impl Reply {
    /// A 4xx or 5xx with the enhanced code that agrees with it; the text is printable ASCII, 1 to 400 octets.
    pub fn new(code: u16, enhanced: &str, text: impl Into<String>) -> Reply {
        Reply { code, enhanced: enhanced.to_owned(), text: text.into() }
    }
}

impl Reason {
    /// Both are public: reply, report, log and console carry the same words.
    pub fn new(rule: &str, text: impl Into<String>) -> Reason {
        Reason { rule: rule.to_owned(), text: text.into(), matched: None, detail: None }
    }

    /// What matched, such as the entry of a list. For ledger and console only.
    #[must_use]
    pub fn matched(self, matched: impl Into<String>) -> Reason {
        Reason { matched: Some(matched.into()), ..self }
    }

    /// Anything else the operator wants to know. For ledger and console only.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Reason {
        Reason { detail: Some(detail.into()), ..self }
    }
}

impl Problem {
    /// The path is a JSON Pointer into the settings (RFC 6901).
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Problem {
        Problem { path: path.into(), text: text.into() }
    }
}

impl Tried {
    /// A rule that has nothing to say on these facts, and why. The setting in the words of [`Reason::detail`]; empty: the policy
    /// as a whole.
    pub fn in_vain(setting: &str, rule: &str, why: impl Into<String>) -> Tried {
        Tried { setting: setting.to_owned(), rule: rule.to_owned(), holds: false, why: why.into() }
    }

    /// A rule that has something to say.
    pub fn holds(setting: &str, rule: &str, why: impl Into<String>) -> Tried {
        Tried { holds: true, ..Tried::in_vain(setting, rule, why) }
    }
}
