//! What the queue holds: an entry is ours and durable, from the 250 to its last settlement.
//!
//! The two flows meet only here. An entry is written once; afterwards only its recipients' progress changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Mailbox;
use crate::decision::RequireTls;
use crate::dsn::{Dsn, RecipientDsn};
use crate::facts::ClientFacts;
use crate::settle::Progress;

/// A message as it is put into the queue. Its body travels apart from it, as content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Stable from arrival to the last report; appears in the 250, in Received and in the ledger.
    pub id: String,
    /// Seconds since the Unix epoch.
    pub arrived_at: u64,
    /// None: the null reverse-path.
    pub envelope_sender: Option<Mailbox>,
    /// The Received field this relay adds, with its CR LF; sent before `header`. Empty for a report of our own.
    pub trace: String,
    /// Raw header octets as received, CR LF line ends, without the blank line that ends it.
    #[serde(skip)]
    pub header: Vec<u8>,
    /// The body has octets above 127 (RFC 6152).
    pub eight_bit: bool,
    /// From MAIL FROM SIZE=, octets.
    pub declared_size: Option<u64>,
    /// Octets of header and body.
    pub size: u64,
    /// None for a report of our own.
    pub client: Option<ClientFacts>,
    /// The client was on a trusted network or authenticated.
    pub sender_is_ours: bool,
    /// A report that this relay made (H5).
    pub is_report: bool,
    /// A report of a message that came by TLS (H6).
    pub report_of_tls: bool,
    /// It came with REQUIRETLS (RFC 8689), or reports on a message that did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_tls: bool,
    /// It came with SMTPUTF8 (RFC 6531): its header may be UTF-8.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub smtp_utf8: bool,
    /// What the sender asks to be told (RFC 3461).
    #[serde(default, skip_serializing_if = "Dsn::is_empty")]
    pub dsn: Dsn,
    /// Organizational unit, root first.
    pub unit: Vec<String>,
    /// Policies that asked for secure transport at arrival; nothing removes them (H4).
    pub flagged_by: Vec<String>,
    /// Generation of the arrival.
    pub generation: u64,
}

impl Entry {
    /// A message that this relay writes itself, to one recipient: from `<>`, and nobody is told of what becomes of it
    /// (RFC 3461 §6.1). `now` in seconds since the Unix epoch; `unit` and `generation` are the round's.
    pub fn of_our_own(id: &str, now: u64, unit: &[String], generation: u64, header: Vec<u8>, body: &[u8]) -> Entry {
        Entry {
            id: id.to_owned(),
            arrived_at: now,
            envelope_sender: None,
            trace: String::new(),
            size: (header.len() + 2 + body.len()) as u64,
            header,
            eight_bit: false,
            declared_size: None,
            client: None,
            sender_is_ours: true,
            is_report: true,
            report_of_tls: false,
            require_tls: false,
            smtp_utf8: false,
            dsn: Dsn { recipients: [(0, RecipientDsn::never())].into(), ..Dsn::default() },
            unit: unit.to_vec(),
            flagged_by: Vec::new(),
            generation,
        }
    }

    /// What its REQUIRETLS asks of a next hop.
    pub fn required_tls(&self) -> Option<RequireTls> {
        let asks = if self.envelope_sender.is_some() { RequireTls::Passed } else { RequireTls::TlsAlone };
        self.require_tls.then_some(asks)
    }

    /// Its header is UTF-8, as a sender with SMTPUTF8 may write it.
    pub fn is_international(&self) -> bool {
        self.smtp_utf8 && !self.header.is_ascii()
    }
}

/// One recipient of an entry, as the queue keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueuedRecipient {
    /// Position in the envelope, from 0.
    pub index: u32,
    /// Whose copy.
    pub mailbox: Mailbox,
    /// Where it stands.
    pub status: RecipientStatus,
    /// Seconds since the Unix epoch: the next round while queued, the expiry while held. While an operator holds it, when
    /// that ends, unless a round that was under way has moved it since.
    pub due_at: u64,
    /// What earlier rounds left.
    pub progress: Progress,
    /// An operator's hold that has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<OperatorHold>,
}

/// An operator's hold: as long as it lasts nothing is tried. It stands beside the status and takes nothing from it: what a
/// policy holds is held by it still when the operator's hold has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperatorHold {
    /// Why, in the operator's words. For operators alone: no sender is told.
    pub reason: String,
    /// Who asked, as the socket tells.
    pub by: String,
    /// When, seconds since the Unix epoch.
    pub at: u64,
    /// When the mail goes on by itself, seconds since the Unix epoch. None: it does not, and ends in a report at the
    /// message's own expiry.
    pub until: Option<u64>,
}

impl QueuedRecipient {
    /// Held, by a policy's fallback or an operator: once due it is looked at, and not tried.
    pub fn is_held(&self) -> bool {
        self.status == RecipientStatus::Held || self.hold.is_some()
    }

    /// It wants a round now: the next attempt, or the end of a hold. `now` in seconds since the Unix epoch.
    pub fn is_due(&self, now: u64) -> bool {
        matches!(self.status, RecipientStatus::Queued | RecipientStatus::Held) && self.due_at <= now
    }
}

/// Where a recipient stands. Every status but `Queued` and `Held` is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecipientStatus {
    /// Waits for `due_at`.
    Queued,
    /// A policy's fallback: waits for `queue retry` or its expiry.
    Held,
    /// The next hop has taken responsibility.
    Delivered,
    /// The sender was told, or, where there is none to tell (H5), the ledger was.
    Reported,
    /// An operator took it out.
    Removed,
}
