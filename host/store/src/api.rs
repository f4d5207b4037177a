//! The store as the rest of the relay sees it: queue, settings, ledger and knowledge behind one object-safe trait.
//!
//! Nothing here names SQL or a file. A second engine implements [`Store`] and must pass `conformance`, which runs in this crate's tests.
//! What an answer promises is durable when the answer arrives (H1): after power is lost it is still so.
//!
//! A future that is dropped before it is ready may still take effect: the request is on its way to the writer.
//! Times are seconds since the Unix epoch, or milliseconds where the name ends in `_ms`; the store has no clock.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use schemars::JsonSchema;
use sealwire_core::address::Mailbox;
use sealwire_core::audit::{AuditLine, Hash, Head, NewAudit, Verified};
use sealwire_core::entry::{Entry, QueuedRecipient, RecipientStatus};
use sealwire_core::ledger::LedgerRecord;
use sealwire_core::units::Within;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::audit::{AuditQuery, By};
use crate::content::{BodyReader, Content};
use crate::error::StoreError;
use crate::holds::{Held, NewHold, Selection};
use crate::knowledge::Known;
use crate::pieces::Piece;
use crate::settings::NewRevision;
pub use crate::status::StoreStatus;

/// What every method of the store gives: a future that can cross threads.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Queue, settings, ledger and knowledge of one relay.
pub trait Store: Send + Sync + 'static {
    /// Begins the body of a message that is still arriving. Opens nothing and holds no transaction: a slow client
    /// costs memory up to [`crate::CONTENT_INLINE_MAX`] and a file beyond it.
    fn begin_content(&self) -> Box<dyn ContentWriter>;

    /// Puts an entry into the queue, all its recipients due at `arrived_at`. Ready once it is durable (H1).
    /// [`StoreError::Exists`] if the id was used before and is still queued.
    ///
    /// With `lease_until` the entry is claimed in the same step, as [`Store::claim`] would claim it, and the claim brings
    /// the body along if that is small: whoever has just received a message need not read it back.
    fn commit_claimed(&self, arrival: NewEntry, lease_until: Option<u64>) -> Answer<'_, Option<Claim>>;

    /// [`Store::commit_claimed`] of an entry that nobody claims yet.
    fn commit(&self, arrival: NewEntry) -> Answer<'_, ()> {
        Box::pin(async move { self.commit_claimed(arrival, None).await.map(drop) })
    }

    /// Whether an arrival has room: [`StoreError::Low`] where what is free is kept for what is queued. Asked before a
    /// message is judged, and by `commit` again.
    fn room(&self) -> Result<(), StoreError>;

    /// Takes entries with at least one recipient that is due at `now` and no live lease, those due longest first.
    /// No two claims that live at the same moment hold the same entry. A lease ends at `lease_until`, at a settle
    /// that releases it, or when the store is opened again. Holds that have run out end here.
    fn claim(&self, now: u64, lease_until: u64, limit: usize) -> Answer<'_, Vec<Claim>>;

    /// Moves the end of a lease. False: the lease was lost, stop working on the entry.
    fn renew(&self, token: &ClaimToken, lease_until: u64) -> Answer<'_, bool>;

    /// Writes what became of a round, the reports of it and its ledger records, all or nothing (H5, H6).
    /// Once every recipient is final, entry, header and content are gone and `release` plays no part.
    /// [`StoreError::LeaseLost`]: nothing was written, reports included.
    fn settle(&self, settled: Settled) -> Answer<'_, ()>;

    /// The moment at which [`Store::claim`] next has something to give: the earliest due time, or the earliest end of
    /// a lease. None: nothing until [`Store::queue_changes`] tells otherwise.
    fn next_due(&self) -> Answer<'_, Option<u64>>;

    /// Counts up whenever something may have become due sooner than [`Store::next_due`] last said: a commit, a settle,
    /// a retry. The scheduler sleeps until this or its `next_due`, and never polls.
    fn queue_changes(&self) -> watch::Receiver<u64>;

    /// The body of a queued entry, as it was given to [`Store::begin_content`].
    fn body(&self, id: &str) -> Answer<'_, BodyReader>;

    /// Entries in the order of arrival, without their headers.
    fn list(&self, filter: QueueFilter) -> Answer<'_, Vec<QueueItem>>;

    /// One entry with its header.
    fn show(&self, id: &str) -> Answer<'_, Option<QueueItem>>;

    /// Makes recipients due at once; those that a policy holds are queued again, those that an operator holds are left as
    /// they are. Progress stays as it is. Each entry touched gets an `Operator` record in the ledger.
    fn retry(&self, which: Retry, now_ms: u64, by: By) -> Answer<'_, Retried>;

    /// Ids of the entries that a retry comes to, on hold or not, oldest first: to be retried some at a time.
    fn to_retry(&self, which: Retry) -> Answer<'_, Vec<String>>;

    /// Holds recipients that are queued or held, in the place of any earlier hold: see [`NewHold`]. A round that is under
    /// way goes on, and its settlement keeps the hold. Each entry touched gets an `Operator` record in the ledger.
    fn hold(&self, which: Selection, hold: NewHold, now_ms: u64, by: By) -> Answer<'_, Held>;

    /// Ends holds of operators: what is queued is due at once, what a policy holds besides is held on. Returns how many
    /// recipients; each entry touched gets an `Operator` record in the ledger.
    fn release(&self, which: Selection, now_ms: u64, by: By) -> Answer<'_, u64>;

    /// Takes an entry out of the queue, with an `Operator` record, telling no sender. False: there is none of that id.
    /// [`StoreError::InDelivery`] while it is claimed: what is on the wire cannot be called back.
    fn remove(&self, id: &str, now_ms: u64, by: By) -> Answer<'_, bool>;

    /// How much the queue holds.
    fn counts(&self) -> Answer<'_, QueueCounts>;

    /// Writes ledger records that belong to no commit and no settle: a refusal at the door, an alert.
    fn append(&self, records: Vec<LedgerRecord>) -> Answer<'_, ()>;

    /// Reads the ledger.
    fn ledger(&self, query: LedgerQuery) -> Answer<'_, Vec<LedgerLine>>;

    /// Forgets ledger records older than `before_ms`, a bounded number in each transaction; returns how many.
    fn prune(&self, before_ms: u64) -> Answer<'_, u64>;

    /// Adds a revision of the settings document; returns its number, counted from 1: see [`NewRevision`]. Revision, audit entry
    /// and the pieces it needs are there when this answers, or, with an error, no revision and no entry.
    fn put_settings(&self, new: NewRevision) -> Answer<'_, u64>;

    /// Pieces of settings documents, in the order of asking. [`StoreError::NoPiece`] where one is not there.
    fn pieces(&self, digests: Vec<Hash>) -> Answer<'_, Vec<Piece>>;

    /// A revision of the settings, the newest for None.
    fn settings(&self, revision: Option<u64>) -> Answer<'_, Option<Revision>>;

    /// The newest revisions, newest first, their documents left out.
    fn revisions(&self, limit: usize) -> Answer<'_, Vec<Revision>>;

    /// The number of the newest revision of the settings; 0 before the first.
    fn settings_changes(&self) -> watch::Receiver<u64>;

    /// Writes an entry of the audit log behind the last one; returns its number. Durable when it answers.
    fn audit(&self, act: NewAudit) -> Answer<'_, u64>;

    /// Reads the audit log.
    fn audit_log(&self, query: AuditQuery) -> Answer<'_, Vec<AuditLine>>;

    /// The last entry of the audit log; where all have been removed or there was none, what the next one follows.
    fn audit_head(&self) -> Answer<'_, Head>;

    /// What the log as it is kept begins behind: the last entry that was removed.
    fn audit_anchor(&self) -> Answer<'_, Head>;

    /// Walks along the whole audit log, a bounded number of entries at a time; `told` is a head that was kept elsewhere.
    fn audit_verify(&self, told: Option<Head>) -> Answer<'_, Verified>;

    /// Removes the entries before the first that is not older than `before_ms`; returns how many. What was removed last
    /// stands as the anchor that the rest follows, and `act` is written with it, its action [`sealwire_core::audit::PRUNE`] and
    /// its object the anchor, in the same transaction. Nothing to remove: nothing is written.
    fn audit_prune(&self, before_ms: u64, act: NewAudit) -> Answer<'_, u64>;

    /// Writes these, each in the place of what was known under its kind and key, in this order, all or nothing, with `act`.
    fn learn_with(&self, known: Vec<Known>, act: Option<NewAudit>) -> Answer<'_, ()>;

    /// [`Store::learn_with`] without an act.
    fn learn(&self, known: Vec<Known>) -> Answer<'_, ()> {
        self.learn_with(known, None)
    }

    /// Everything that is known of a kind, in the order of the keys' octets.
    fn known(&self, kind: &str) -> Answer<'_, Vec<Known>>;

    /// Forgets these keys of a kind, all or nothing; one that is not known is no error.
    fn forget(&self, kind: &str, keys: Vec<String>) -> Answer<'_, ()>;

    /// What the engine has done since it was opened.
    fn status(&self) -> StoreStatus;
}

/// Takes the body of a message piece by piece. Dropped before `finish`, it leaves nothing behind.
pub trait ContentWriter: Send {
    /// Adds octets.
    fn write(&mut self, octets: Vec<u8>) -> Answer<'_, ()>;

    /// Ends the body. Large content is synced here, before any transaction begins. The content that comes out leaves
    /// nothing behind either, unless it is committed.
    fn finish(self: Box<Self>) -> Answer<'static, Content>;
}

/// An arrival, or a report, on its way into the queue.
#[derive(Debug)]
pub struct NewEntry {
    /// The entry with its header.
    pub entry: Entry,
    /// In the order of the envelope; at least one.
    pub recipients: Vec<Mailbox>,
    /// From [`Store::begin_content`], or [`Content::from`] octets in memory.
    pub content: Content,
    /// Committed with it.
    pub records: Vec<LedgerRecord>,
}

/// The right to work on one entry until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimToken {
    pub(crate) entry: String,
    pub(crate) lease: i64,
}

impl ClaimToken {
    /// Id of the entry it is for.
    pub fn entry(&self) -> &str {
        &self.entry
    }
}

/// An entry to work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// For renew and settle.
    pub token: ClaimToken,
    /// With its header.
    pub entry: Entry,
    /// All of the entry, final ones included, by index; see `status` and `due_at` for which are due. A held recipient's
    /// `due_at` is its expiry: an entry is claimed for it only then.
    pub recipients: Vec<QueuedRecipient>,
    /// The body, where [`Store::commit_claimed`] had it in memory; else it is read by [`Store::body`].
    pub body: Option<Bytes>,
}

/// What became of a round.
#[derive(Debug)]
pub struct Settled {
    /// Of the claim.
    pub token: ClaimToken,
    /// The recipients that changed, as they are now. A held recipient's `due_at` must be its expiry.
    pub recipients: Vec<QueuedRecipient>,
    /// Entries to be queued in the same transaction.
    pub reports: Vec<NewEntry>,
    /// Committed with it.
    pub records: Vec<LedgerRecord>,
    /// True ends the claim; false keeps it, to settle the other recipients later.
    pub release: bool,
}

/// Which recipients to try again at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// Every queued and every held recipient.
    All,
    /// Those of one entry.
    Entry(String),
    /// Those that wait because a policy could not decide.
    FailedDecisions,
    /// Those that a policy's fallback holds.
    Held,
    /// Of these, those of messages of some organizational units.
    #[serde(skip)]
    Within(Within, Box<Retry>),
    /// Of these, those of entries of these ids.
    #[serde(skip)]
    Among(Vec<String>, Box<Retry>),
}

/// What a retry came to, in recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Retried {
    /// Due at once.
    pub recipients: u64,
    /// Asked for and left, for an operator holds them.
    pub on_hold: u64,
}

/// Which entries to list; the default is the first hundred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueFilter {
    /// Part of a recipient's mailbox, any case.
    pub recipient: Option<String>,
    /// Part of the envelope sender, any case.
    pub sender: Option<String>,
    /// At least one recipient stands so.
    pub status: Option<RecipientStatus>,
    /// An operator holds at least one recipient.
    pub on_hold: bool,
    /// Of these organizational units and what is below them; None: of all.
    #[serde(skip)]
    pub within: Option<Within>,
    /// Entries behind this one; for the next page.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

impl Default for QueueFilter {
    fn default() -> QueueFilter {
        QueueFilter {
            limit: 100,
            recipient: None,
            sender: None,
            status: None,
            on_hold: false,
            within: None,
            after: None,
        }
    }
}

/// One entry as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueItem {
    /// Header filled in by `show` alone, and left out when serialised.
    pub entry: Entry,
    /// All, by index.
    pub recipients: Vec<QueuedRecipient>,
    /// A lease is on it; it may have run out.
    pub claimed: bool,
}

/// How much the queue holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct QueueCounts {
    /// Messages.
    pub entries: u64,
    /// Of these, under a lease.
    pub claimed: u64,
    /// Recipients waiting for their next round.
    pub queued: u64,
    /// Recipients held by a policy's fallback.
    pub held: u64,
    /// Recipients held by operators; counted in `queued` or `held` too.
    pub on_hold: u64,
    /// Recipients that wait because a policy could not decide; counted in `queued` or `held` too.
    pub failed_decisions: u64,
    /// Arrival of the oldest entry.
    pub oldest_arrived_at: Option<u64>,
}

/// What to read from the ledger; the default is the first thousand records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerQuery {
    /// Records of this message.
    pub message: Option<String>,
    /// Not before.
    pub since_ms: Option<u64>,
    /// Before.
    pub until_ms: Option<u64>,
    /// Part of a recipient's mailbox, any case.
    pub recipient: Option<String>,
    /// Records with a reason of this rule, by its whole id.
    pub rule: Option<String>,
    /// Kinds as the ledger writes them: `decision`, `turned-away`, `attempted`...; empty: all.
    pub events: Vec<String>,
    /// Of these organizational units and what is below them; None: of all.
    #[serde(skip)]
    pub within: Option<Within>,
    /// Only records with a greater number; to follow the ledger.
    pub after: Option<u64>,
    /// At most so many.
    pub limit: usize,
    /// The last `limit` that match instead of the first. The answer is in the order of writing either way.
    pub last: bool,
}

impl Default for LedgerQuery {
    fn default() -> LedgerQuery {
        LedgerQuery {
            message: None,
            since_ms: None,
            until_ms: None,
            recipient: None,
            rule: None,
            events: Vec::new(),
            within: None,
            after: None,
            limit: 1000,
            last: false,
        }
    }
}

/// A record with its place in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerLine {
    /// Grows with every record and is never used twice.
    pub number: u64,
    /// As it was written.
    #[serde(flatten)]
    pub record: LedgerRecord,
}

/// One revision of the settings document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// From 1.
    pub revision: u64,
    /// Seconds since the Unix epoch.
    pub at: u64,
    /// Who put it.
    pub by: String,
    /// What for.
    pub note: String,
    /// The whole document; empty where a list of revisions was asked for.
    pub document: String,
}
