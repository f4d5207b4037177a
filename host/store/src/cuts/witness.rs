//! A store that notes in the recording what it is asked and what it answers, and otherwise is the store behind it.
//!
//! Requests that change nothing a cut could take away (reads, claims, renewals) pass unnoted: opening ends all leases.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sealwire_core::audit::{AuditLine, Hash, Head, NewAudit, Verified, hexadecimal};
use sealwire_core::entry::{QueuedRecipient, RecipientStatus};
use sealwire_core::ledger::LedgerRecord;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::recorder::Recorder;
use crate::content::Kept;
use crate::{
    Answer, AuditQuery, By, Claim, ClaimToken, Content, ContentWriter, Held, Known, LedgerLine, LedgerQuery, NewEntry,
    NewHold, NewRevision, Piece, QueueCounts, QueueFilter, QueueItem, Retried, Retry, Revision, Selection, Settled,
    SqliteStore, Store, StoreStatus, rows,
};

/// A request that writes, as far as its traces can be found again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    Commit(Sent),
    Settle {
        id: String,
        /// None: where an operator's hold decides when it is due.
        recipients: Vec<(u32, Option<String>)>,
        reports: Vec<Sent>,
        records: Vec<String>,
    },
    /// A retry, a hold, a release.
    Move,
    Remove {
        id: String,
    },
    Append {
        records: Vec<String>,
    },
    Prune,
    Settings(Box<Put>),
    Audit {
        text: String,
    },
    AuditPrune,
    /// What is known at each place from then on; None: nothing.
    Knowledge {
        rows: BTreeMap<String, Option<String>>,
    },
}

/// A revision on its way in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Put {
    pub(super) row: String,
    /// By digest.
    pub(super) pieces: BTreeMap<String, String>,
    pub(super) needs: Vec<String>,
    pub(super) audit: Option<NewAudit>,
}

impl Put {
    fn of(new: &NewRevision) -> Put {
        let NewRevision { document, pieces, needs, by, note, now, audit, .. } = new;
        Put {
            row: format!("{now} {by} {note} {document}"),
            pieces: pieces.iter().map(|piece| (hexadecimal(&piece.digest), piece.text.clone())).collect(),
            needs: needs.iter().map(|digest| hexadecimal(digest)).collect(),
            audit: audit.clone(),
        }
    }
}

/// The place of what is known, in a word: no kind and no key here has a space.
fn place(kind: &str, key: &str) -> String {
    format!("{kind} {key}")
}

/// An entry on its way into the queue, its fields as their columns have them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) arrived_at: u64,
    pub(super) meta: String,
    pub(super) header: Vec<u8>,
    pub(super) body: Arc<[u8]>,
    pub(super) mailboxes: Vec<String>,
    pub(super) records: Vec<String>,
}

/// What was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// It is done; a revision's number, or how many were touched.
    Done(u64),
    /// In the error's words.
    Refused(String),
}

/// The store under test.
pub(super) struct Witness {
    store: SqliteStore,
    recorder: Arc<Recorder>,
    /// What lies in files, by the files' names.
    staged: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Witness {
    pub(super) fn of(store: SqliteStore, recorder: Arc<Recorder>) -> Witness {
        Witness { store, recorder, staged: Arc::default() }
    }

    /// The store itself, for what is SQLite's alone.
    pub(super) fn store(&self) -> &SqliteStore {
        &self.store
    }

    fn noted<'a, T: Send + 'a>(&self, ask: Ask, answer: Answer<'a, T>, count: fn(&T) -> u64) -> Answer<'a, T> {
        let recorder = Arc::clone(&self.recorder);
        Box::pin(async move {
            let request = recorder.asked(ask);
            let result = answer.await;
            let outcome = match &result {
                Ok(value) => Outcome::Done(count(value)),
                Err(error) => Outcome::Refused(error.to_string()),
            };
            recorder.answered(request, outcome);
            result
        })
    }

    fn sent(&self, new: &NewEntry) -> Sent {
        Sent::of(new, &self.staged.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sent {
    /// From what is to be committed; `staged` has what lies in files.
    pub(super) fn of(new: &NewEntry, staged: &BTreeMap<String, Vec<u8>>) -> Sent {
        let body = match &new.content.kept {
            Kept::Memory(octets) => &octets[..],
            Kept::File(file) => staged.get(file.name()).expect("staged by this store"),
        };
        Sent {
            id: new.entry.id.clone(),
            arrived_at: new.entry.arrived_at,
            meta: rows::meta(&new.entry).expect("an entry is written as JSON"),
            header: new.entry.header.clone(),
            body: body.into(),
            mailboxes: new.recipients.iter().map(|m| format!("{}@{}", m.local, m.domain.as_str())).collect(),
            records: texts(&new.records),
        }
    }
}

fn texts(records: &[LedgerRecord]) -> Vec<String> {
    records.iter().map(|record| serde_json::to_string(record).expect("a record is written as JSON")).collect()
}

/// A recipient's columns that change.
fn changed(id: &str, recipient: &QueuedRecipient) -> (u32, Option<String>) {
    let progress = rows::progress(id, &recipient.progress).expect("progress is written as JSON");
    if recipient.hold.is_some() && recipient.status == RecipientStatus::Queued {
        return (recipient.index, None);
    }
    (recipient.index, Some(format!("{} {} {progress:?}", rows::word(recipient.status), recipient.due_at)))
}

/// A body on its way in, remembered for whoever commits it.
struct Remembering {
    inner: Box<dyn ContentWriter>,
    octets: Vec<u8>,
    staged: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl ContentWriter for Remembering {
    fn write(&mut self, octets: Vec<u8>) -> Answer<'_, ()> {
        self.octets.extend_from_slice(&octets);
        self.inner.write(octets)
    }

    fn finish(self: Box<Self>) -> Answer<'static, Content> {
        let Remembering { inner, octets, staged } = *self;
        Box::pin(async move {
            let content = inner.finish().await?;
            if let Kept::File(file) = &content.kept {
                staged.lock().unwrap_or_else(PoisonError::into_inner).insert(file.name().to_owned(), octets);
            }
            Ok(content)
        })
    }
}

impl Store for Witness {
    fn begin_content(&self) -> Box<dyn ContentWriter> {
        let staged = Arc::clone(&self.staged);
        Box::new(Remembering { inner: self.store.begin_content(), octets: Vec::new(), staged })
    }

    fn commit_claimed(&self, arrival: NewEntry, lease_until: Option<u64>) -> Answer<'_, Option<Claim>> {
        let ask = Ask::Commit(self.sent(&arrival));
        self.noted(ask, self.store.commit_claimed(arrival, lease_until), |_| 1)
    }

    fn settle(&self, settled: Settled) -> Answer<'_, ()> {
        let id = settled.token.entry().to_owned();
        let recipients = settled.recipients.iter().map(|recipient| changed(&id, recipient)).collect();
        let reports = settled.reports.iter().map(|report| self.sent(report)).collect();
        let ask = Ask::Settle { id, recipients, reports, records: texts(&settled.records) };
        self.noted(ask, self.store.settle(settled), |()| 1)
    }

    fn to_retry(&self, which: Retry) -> Answer<'_, Vec<String>> {
        self.store.to_retry(which)
    }

    fn retry(&self, which: Retry, now_ms: u64, by: By) -> Answer<'_, Retried> {
        self.noted(Ask::Move, self.store.retry(which, now_ms, by), |retried| retried.recipients)
    }

    fn hold(&self, which: Selection, hold: NewHold, now_ms: u64, by: By) -> Answer<'_, Held> {
        self.noted(Ask::Move, self.store.hold(which, hold, now_ms, by), |held| held.recipients)
    }

    fn release(&self, which: Selection, now_ms: u64, by: By) -> Answer<'_, u64> {
        self.noted(Ask::Move, self.store.release(which, now_ms, by), |released| *released)
    }

    fn remove(&self, id: &str, now_ms: u64, by: By) -> Answer<'_, bool> {
        let ask = Ask::Remove { id: id.to_owned() };
        self.noted(ask, self.store.remove(id, now_ms, by), |removed| u64::from(*removed))
    }

    fn append(&self, records: Vec<LedgerRecord>) -> Answer<'_, ()> {
        let ask = Ask::Append { records: texts(&records) };
        self.noted(ask, self.store.append(records), |()| 1)
    }

    fn prune(&self, before_ms: u64) -> Answer<'_, u64> {
        self.noted(Ask::Prune, self.store.prune(before_ms), |pruned| *pruned)
    }

    fn put_settings(&self, new: NewRevision) -> Answer<'_, u64> {
        let ask = Ask::Settings(Box::new(Put::of(&new)));
        self.noted(ask, self.store.put_settings(new), |revision| *revision)
    }

    fn audit(&self, act: NewAudit) -> Answer<'_, u64> {
        let ask = Ask::Audit { text: act.text().expect("an act is written as JSON") };
        self.noted(ask, self.store.audit(act), |number| *number)
    }

    fn audit_prune(&self, before_ms: u64, act: NewAudit) -> Answer<'_, u64> {
        self.noted(Ask::AuditPrune, self.store.audit_prune(before_ms, act), |pruned| *pruned)
    }

    fn learn_with(&self, known: Vec<Known>, act: Option<NewAudit>) -> Answer<'_, ()> {
        let row = |known: &Known| (place(&known.kind, &known.key), Some(format!("{} {}", known.at, known.value)));
        let ask = Ask::Knowledge { rows: known.iter().map(row).collect() };
        self.noted(ask, self.store.learn_with(known, act), |()| 1)
    }

    fn forget(&self, kind: &str, keys: Vec<String>) -> Answer<'_, ()> {
        let ask = Ask::Knowledge { rows: keys.iter().map(|key| (place(kind, key), None)).collect() };
        self.noted(ask, self.store.forget(kind, keys), |()| 1)
    }

    // Passed on as they are.

    fn claim(&self, now: u64, lease_until: u64, limit: usize) -> Answer<'_, Vec<Claim>> {
        self.store.claim(now, lease_until, limit)
    }

    fn renew(&self, token: &ClaimToken, lease_until: u64) -> Answer<'_, bool> {
        self.store.renew(token, lease_until)
    }

    fn next_due(&self) -> Answer<'_, Option<u64>> {
        self.store.next_due()
    }

    fn queue_changes(&self) -> watch::Receiver<u64> {
        self.store.queue_changes()
    }

    fn body(&self, id: &str) -> Answer<'_, crate::BodyReader> {
        self.store.body(id)
    }

    fn list(&self, filter: QueueFilter) -> Answer<'_, Vec<QueueItem>> {
        self.store.list(filter)
    }

    fn show(&self, id: &str) -> Answer<'_, Option<QueueItem>> {
        self.store.show(id)
    }

    fn counts(&self) -> Answer<'_, QueueCounts> {
        self.store.counts()
    }

    fn ledger(&self, query: LedgerQuery) -> Answer<'_, Vec<LedgerLine>> {
        self.store.ledger(query)
    }

    fn settings(&self, revision: Option<u64>) -> Answer<'_, Option<Revision>> {
        self.store.settings(revision)
    }

    fn revisions(&self, limit: usize) -> Answer<'_, Vec<Revision>> {
        self.store.revisions(limit)
    }

    fn settings_changes(&self) -> watch::Receiver<u64> {
        self.store.settings_changes()
    }

    fn pieces(&self, digests: Vec<Hash>) -> Answer<'_, Vec<Piece>> {
        self.store.pieces(digests)
    }

    fn audit_log(&self, query: AuditQuery) -> Answer<'_, Vec<AuditLine>> {
        self.store.audit_log(query)
    }

    fn audit_head(&self) -> Answer<'_, Head> {
        self.store.audit_head()
    }

    fn audit_anchor(&self) -> Answer<'_, Head> {
        self.store.audit_anchor()
    }

    fn audit_verify(&self, told: Option<Head>) -> Answer<'_, Verified> {
        self.store.audit_verify(told)
    }

    fn known(&self, kind: &str) -> Answer<'_, Vec<Known>> {
        self.store.known(kind)
    }

    fn room(&self) -> Result<(), crate::StoreError> {
        self.store.room()
    }

    fn status(&self) -> StoreStatus {
        self.store.status()
    }
}
