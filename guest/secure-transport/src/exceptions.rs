//! Exceptions: who a setting does not hold for, until a day that must be named.
//!
//! An exception narrows its own setting's match and nothing else: what other settings, other policies, the route or the host
//! demand stays. It stands in every decision it touches, as a reason.

use sealwire_sdk::settings::{Object, Problems};
use sealwire_sdk::{Host, OfDay, Reason};

use crate::rules::r10_needs_list;

/// The rule id of the reasons that tell of one.
pub const RULE_ID: &str = "exception";
const SENTENCE: &str = "A setting does not hold here, by an exception that ends.";

/// One of a setting's `exceptions`.
#[derive(Debug)]
pub struct Exception {
    /// Places in the settings' lists; one or more.
    pub lists: Vec<usize>,
    /// Seconds since the Unix epoch: from then on it is none.
    pub until: u64,
    /// Why, and until when, for the private part of reasons.
    pub detail: String,
}

impl Exception {
    /// Counts at that moment.
    pub fn counts(&self, now: u64) -> bool {
        now < self.until
    }

    /// Tells of itself.
    pub(crate) fn reason(&self, entry: String) -> Reason {
        Reason::new(RULE_ID, SENTENCE).matched(entry).detail(&*self.detail)
    }
}

/// Those of one setting. `known` gains lists that are new.
pub(crate) fn read(
    object: &mut Object<'_>,
    setting: &str,
    known: &mut Vec<String>,
    host: &impl Host,
    problems: &Problems,
) -> Vec<Exception> {
    object.objects("exceptions", |object| {
        let lists = r10_needs_list::read(object, known, host, problems);
        let reason = object.required_text("reason").unwrap_or_default();
        let written = object.required_text("until").unwrap_or_default();
        let until = if written.is_empty() { None } else { object.moment("until", OfDay::End) };
        let owner = object.text("owner").map(|owner| format!(", by {owner}")).unwrap_or_default();
        let detail = format!("{setting}, exception until {written}{owner}: {reason}");
        Some(Exception { lists, until: until.unwrap_or_default(), detail })
    })
}
