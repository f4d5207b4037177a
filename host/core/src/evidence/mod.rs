//! Evidence for a partner: what the ledger has of the mail with one domain in one month, counted, as one document.
//!
//! 1. [`Month`] says which records; whoever reads the ledger gives them to [`Inbound::count`] and [`Outbound::count`] one by one.
//! 2. [`Evidence`] is the document; [`Signed`] is what is handed on: the document, the key, and the key's signature over the
//!    document's canonical text ([`Signed::signed_octets`]). Signing and verifying is the relay's business.
//! 3. [`Signed::html`] shows the same document to people.

mod counts;
mod html;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Domain;
use crate::audit::Head;
use crate::canonical::canonical;
use crate::time::{parse_rfc3339, rfc3339};

pub use counts::{Counts, Inbound, Outbound};
pub use html::style_hash;

/// What the document is, and its version; also what separates its signature from one over anything else.
pub const FORMAT: &str = "sealwire-evidence-1";

/// A month of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Month {
    year: u64,
    /// 1 to 12.
    month: u64,
}

impl Month {
    /// Its first second, since the Unix epoch.
    pub fn begins(self) -> u64 {
        // Both are of a month that was parsed.
        parse_rfc3339(&format!("{self}-01T00:00:00Z")).unwrap_or(0)
    }

    /// The first second behind it.
    pub fn ends(self) -> u64 {
        let (year, month) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        Month { year, month }.begins()
    }
}

/// `2026-11`.
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Month, String> {
        let parts = text.split_once('-').and_then(|(year, month)| Some((year.parse().ok()?, month.parse().ok()?)));
        let month = parts.map(|(year, month)| Month { year, month }).filter(|month| month.to_string() == text);
        // The last year whose next one is four digits long too.
        let known = month.filter(|month| (1970..9999).contains(&month.year) && (1..=12).contains(&month.month));
        known.ok_or_else(|| format!("{text:?} is no month; write one such as 2026-11"))
    }
}

impl From<Month> for String {
    fn from(month: Month) -> String {
        month.to_string()
    }
}

impl TryFrom<String> for Month {
    type Error = String;

    fn try_from(text: String) -> Result<Month, String> {
        text.parse()
    }
}

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Evidence {
    /// [`FORMAT`].
    pub format: String,
    /// Who tells: the relay's own name.
    pub relay: String,
    /// Of the mail with which domain; those below it are others.
    pub domain: Domain,
    /// In which month, of UTC.
    pub month: Month,
    /// When it was made (RFC 3339).
    pub made_at: String,
    /// What it was made of.
    pub covers: Covers,
    /// Messages of the domain, at the door.
    pub inbound: Inbound,
    /// Rounds for recipients of the domain.
    pub outbound: Outbound,
    /// The settings in force in the month, in the order of time: the one that it began with, and each that came in it.
    pub settings: Vec<InForce>,
    /// Number and hash of the last entry of the audit log when this was made.
    pub audit_head: Head,
}

/// Which records were counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Covers {
    /// Of the ledger, that were counted.
    pub records: u64,
    /// Numbers of the first and the last of these; None: there are none.
    pub numbers: Option<(u64, u64)>,
    /// False: records that may be of this month are kept no longer, and it counts less than there was.
    pub whole: bool,
    /// False: the month was not over when this was made.
    pub month_is_over: bool,
}

/// A revision of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct InForce {
    /// Its number.
    pub revision: u64,
    /// Since when (RFC 3339).
    pub since: String,
    /// Who put it.
    pub by: String,
    /// What for.
    pub note: String,
    /// SHA-256 of the document, hexadecimal.
    pub sha_256: String,
}

impl InForce {
    /// Of a revision put at `at`, seconds since the Unix epoch.
    pub fn of(revision: u64, at: u64, by: String, note: String, sha_256: String) -> InForce {
        InForce { revision, since: rfc3339(at), by, note, sha_256 }
    }
}

/// The document with its signature: what is handed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignedEvidence")]
pub struct Signed {
    /// As JSON, whatever a later version may add to it: the signature is over all of it.
    pub evidence: serde_json::Value,
    /// The public key, as [`FORMAT`]'s signers write it: `ed25519:` and base64.
    pub key: String,
    /// Of the key, over [`Signed::signed_octets`]; base64.
    pub signature: String,
}

impl Signed {
    /// What is signed: the format's name, a line end, and the document's canonical text.
    pub fn signed_octets(evidence: &serde_json::Value) -> Vec<u8> {
        format!("{FORMAT}\n{}", canonical(evidence)).into_bytes()
    }

    /// The document. Err: it is of another format, or none.
    pub fn evidence(&self) -> Result<Evidence, String> {
        let evidence: Evidence = serde_json::from_value(self.evidence.clone())
            .map_err(|error| format!("it is no evidence that this program can read: {error}"))?;
        match evidence.format == FORMAT {
            true => Ok(evidence),
            false => Err(format!("it is of format {:?}, and not {FORMAT}", evidence.format)),
        }
    }

    /// The same for people: one page, no script, nothing from elsewhere.
    pub fn html(&self) -> Result<String, String> {
        Ok(html::page(&self.evidence()?, &self.key, &self.signature))
    }
}
