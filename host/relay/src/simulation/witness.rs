//! What the peers of a relay saw: the only evidence the oracle trusts besides the store.
//!
//! Peers, names, store and senders tell it here as it happens. Every line also goes into a trace, by which two runs of
//! one seed are compared and a failure is read.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::fault::{Fault, Struck};

/// What was seen so far.
pub(super) struct Witness {
    began: Instant,
    seen: Mutex<Seen>,
}

/// Everything seen in one run. Times are milliseconds since its beginning.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) trace: Vec<String>,
    pub(super) struck: Struck,
    /// What is wrong whatever else happens.
    pub(super) violations: Vec<String>,
    pub(super) submissions: BTreeMap<String, Submission>,
    pub(super) connections: Vec<ConnectionSeen>,
    pub(super) copies: Vec<CopySeen>,
    pub(super) commits: Vec<CommitSeen>,
    pub(super) crashes: Vec<u64>,
    /// An error of the store about an entry: when, and which.
    pub(super) store_errors: Vec<(u64, String)>,
    /// Settlements that were answered: when, of which entry, whose copy is delivered.
    pub(super) delivered: Vec<(u64, String, String)>,
}

/// A message that a sender gave, by its token.
#[derive(Clone, Default)]
pub(super) struct Submission {
    pub(super) sender: Option<String>,
    pub(super) recipients: Vec<String>,
    /// Header and body.
    pub(super) content: Vec<u8>,
    /// Of its Subject: what the steering policy is told.
    pub(super) subject: String,
    pub(super) by_tls: bool,
    /// It came with REQUIRETLS.
    pub(super) required: bool,
    /// The answer to the end of the data, with the entry's id behind 250.
    pub(super) answer: Option<(u16, Option<String>)>,
    /// Recipients that got 250 at RCPT.
    pub(super) accepted: Vec<String>,
}

/// What a host gave on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelSeen {
    /// It did not come to an answer to EHLO.
    Unanswered,
    /// EHLO was answered without STARTTLS.
    NotOffered,
    /// STARTTLS was offered, and not asked for or not answered.
    Offered,
    /// 454.
    Deferred,
    /// 5xx to STARTTLS.
    Refused,
    /// 220 and no TLS, or octets behind it.
    Broken,
    /// TLS.
    Secured,
}

/// One connection to a next hop.
#[derive(Clone, Debug)]
pub(super) struct ConnectionSeen {
    pub(super) address: String,
    pub(super) opened_ms: u64,
    pub(super) channel: ChannelSeen,
    /// A fault struck on it.
    pub(super) faulty: bool,
}

/// A message that a host took, for one recipient.
#[derive(Clone, Debug)]
pub(super) struct CopySeen {
    pub(super) token: String,
    pub(super) recipient: String,
    pub(super) at_ms: u64,
    pub(super) connection: usize,
    pub(super) by_tls: bool,
    /// The relay spoke again on the connection, so it has heard the 250.
    pub(super) confirmed: bool,
}

/// A commit that reached the store.
#[derive(Clone, Debug)]
pub(super) struct CommitSeen {
    pub(super) token: String,
    pub(super) id: String,
    pub(super) written: bool,
    pub(super) answered_ok: bool,
}

impl Witness {
    pub(super) fn new() -> Witness {
        Witness { began: Instant::now(), seen: Mutex::default() }
    }

    /// Milliseconds since the beginning.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of the trace.
    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        let at = self.now_ms();
        self.seen().trace.push(format!("{at:>9} {}", line()));
    }

    /// A fault strikes.
    pub(super) fn struck(&self, fault: Fault, place: &str) {
        self.seen().struck.add(fault);
        self.note(|| format!("FAULT {fault:?} {place}"));
    }

    /// Something that must never happen.
    pub(super) fn violation(&self, what: String) {
        self.note(|| format!("VIOLATION {what}"));
        self.seen().violations.push(what);
    }

    /// A connection was made to this address; its number.
    pub(super) fn connected(&self, address: &str) -> usize {
        let opened_ms = self.now_ms();
        let mut seen = self.seen();
        seen.connections.push(ConnectionSeen {
            address: address.to_owned(),
            opened_ms,
            channel: ChannelSeen::Unanswered,
            faulty: false,
        });
        seen.connections.len() - 1
    }

    /// A fault strikes on a connection to a next hop.
    pub(super) fn struck_on(&self, connection: usize, fault: Fault) {
        self.seen().connections[connection].faulty = true;
        self.struck(fault, &format!("on connection {connection}"));
    }
}
