//! The audit log's vocabulary: who changed what, when, from where, and who tried to.
//!
//! Entries are written once and never changed. Each bears the SHA-256 of the hash before it and of its own record's octets,
//! so that one that was changed, taken out or put in breaks the chain ([`Walk`] finds where). Who can write to the store can
//! make a whole new chain; a [`Head`] that was kept elsewhere tells that too.

mod walk;

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::canonical::canonical;

pub use walk::{Fault, Verified, Walk};

/// Octets of a hash.
pub type Hash = [u8; 32];

/// What the record of a prune is called; a log whose beginning was removed must have it.
pub const PRUNE: &str = "audit-prune";

/// One act, as it is to be written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NewAudit {
    /// Milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who: `ann (uid 1000)`, `token NAME`, `admin NAME`, `relay` for what it does by itself.
    pub by: String,
    /// Where that came from: `socket`, an IP address, `file`, `upkeep`.
    pub from: String,
    /// What was done, in a word: `settings-apply`, `reload`, `queue-hold`, `login`.
    pub action: String,
    /// What it touched, in words; empty where the action says all.
    pub object: String,
    /// How that was before; null where there is nothing to say.
    pub before: Value,
    /// How it is afterwards; null likewise.
    pub after: Value,
    /// What for, in the words of who did it.
    pub note: String,
    /// Revision of the settings that came of it. [`NewAudit`]s that are put with a revision get its number.
    pub revision: Option<u64>,
    /// The generation that is live afterwards.
    pub generation: Option<u64>,
    /// What came of it.
    #[serde(flatten)]
    pub result: AuditResult,
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum AuditResult {
    /// It was done.
    Done,
    /// It was not.
    Refused {
        /// Why not, in words.
        reason: String,
    },
}

impl NewAudit {
    /// The record's text: what is hashed.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_value(self).map(|value| canonical(&value))
    }
}

/// The hash of an entry behind another.
pub fn chain(previous: &Hash, record: &str) -> Hash {
    Sha256::new().chain_update(previous).chain_update(record).finalize().into()
}

/// The last entry's number and hash: what a log is held against later. Number 0 and zeros: nothing was ever written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub struct Head {
    /// Of the entry.
    pub number: u64,
    /// Of the entry.
    pub hash: Hash,
}

/// `NUMBER:HASH`, the hash in hexadecimal.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, hexadecimal(&self.hash))
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Head, String> {
        let head = text
            .split_once(':')
            .and_then(|(number, hash)| Some(Head { number: number.parse().ok()?, hash: from_hexadecimal(hash)? }));
        head.ok_or_else(|| format!("{text:?} is no head of the audit log: write NUMBER:HASH, the hash in 64 digits"))
    }
}

impl From<Head> for String {
    fn from(head: Head) -> String {
        head.to_string()
    }
}

impl TryFrom<String> for Head {
    type Error = String;

    fn try_from(text: String) -> Result<Head, String> {
        text.parse()
    }
}

/// An entry of the log. As JSON `{"number", "hash", "record"}`, which is also a line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "Wire", try_from = "Wire")]
pub struct AuditLine {
    /// From 1, each one more than the one before.
    pub number: u64,
    /// SHA-256 of the previous hash and of `text`.
    pub hash: Hash,
    /// The record as it was written.
    pub text: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wire {
    number: u64,
    hash: String,
    record: Value,
}

impl AuditLine {
    /// What the record says.
    pub fn record(&self) -> Result<NewAudit, String> {
        serde_json::from_str(&self.text).map_err(|error| format!("audit entry {} cannot be read: {error}", self.number))
    }

    /// What a later entry's chain begins from.
    pub fn head(&self) -> Head {
        Head { number: self.number, hash: self.hash }
    }
}

impl From<AuditLine> for Wire {
    fn from(line: AuditLine) -> Wire {
        // What is no JSON is shown as it stands; it is none of ours, and `Walk` says so.
        let record = serde_json::from_str(&line.text).unwrap_or(Value::String(line.text));
        Wire { number: line.number, hash: hexadecimal(&line.hash), record }
    }
}

impl TryFrom<Wire> for AuditLine {
    type Error = String;

    fn try_from(wire: Wire) -> Result<AuditLine, String> {
        let hash = from_hexadecimal(&wire.hash).ok_or_else(|| format!("hash: {:?} is no SHA-256", wire.hash))?;
        // Spaces and order are lost on the way through other programs; the text has only one form.
        Ok(AuditLine { number: wire.number, hash, text: canonical(&wire.record) })
    }
}

/// Octets in hexadecimal, lower case.
pub fn hexadecimal(octets: &[u8]) -> String {
    use fmt::Write;
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// Reads what [`hexadecimal`] writes of 32 octets, in either case.
pub fn from_hexadecimal(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    for (at, octet) in hash.iter_mut().enumerate() {
        *octet = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(hash)
}
