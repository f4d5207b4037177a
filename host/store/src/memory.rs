//! A second engine, in memory: for tests in virtual time, where an answer from another thread would come at any moment.
//!
//! It answers at once, keeps nothing beyond the process, and passes the same conformance run as SQLite. A
//! [`MemoryPlace`] outlives the stores opened on it, as a folder does: drop one and open another, and all leases have ended.

mod audit;
mod state;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealwire_core::audit::{AuditLine, Hash, Head, NewAudit, Verified, hexadecimal};
use sealwire_core::ledger::LedgerRecord;
use serde_json::json;
use tokio::sync::watch;

use crate::api::{
    Answer, Claim, ClaimToken, ContentWriter, LedgerLine, LedgerQuery, NewEntry, QueueCounts, QueueFilter, QueueItem,
    Retried, Retry, Revision, Settled, Store, StoreStatus,
};
use crate::audit::{AuditQuery, By, came_of};
use crate::content::{BodyReader, Content};
use crate::error::StoreError;
use crate::holds::{Held, NewHold, Selection};
use crate::knowledge::Known;
use crate::pieces::Piece;
use crate::queue::NO_LEASE;
use crate::settings::NewRevision;
use state::{Queued, State};

/// What a memory store keeps; clones are the same place.
#[derive(Clone, Default)]
pub struct MemoryPlace(Arc<Mutex<State>>);

/// A store opened on a [`MemoryPlace`].
pub struct MemoryStore {
    place: MemoryPlace,
    queue: watch::Sender<u64>,
    settings: watch::Sender<u64>,
    writes: AtomicU64,
    transactions: AtomicU64,
    leases_cleared: u64,
}

impl MemoryPlace {
    /// Opens it; a former store of the same place should have been dropped, and its leases have ended.
    pub fn open(&self) -> MemoryStore {
        let mut state = self.lock();
        let mut leases_cleared = 0;
        for queued in state.queue.values_mut() {
            leases_cleared += u64::from(queued.lease.take().is_some());
        }
        let settings = watch::Sender::new(state.newest());
        drop(state);
        MemoryStore {
            place: self.clone(),
            queue: watch::Sender::new(0),
            settings,
            writes: AtomicU64::new(0),
            transactions: AtomicU64::new(0),
            leases_cleared,
        }
    }

    /// No call panics half-way through a change, so a poisoned state is still whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStore {
    /// One request that writes: all of it, or, with an error, nothing.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, StoreError>,
        sooner: bool,
    ) -> Answer<'_, T> {
        let result = work(&mut self.place.lock());
        self.writes.fetch_add(1, Ordering::Relaxed);
        if result.is_ok() {
            self.transactions.fetch_add(1, Ordering::Relaxed);
            if sooner {
                self.queue.send_modify(|changes| *changes += 1);
            }
        }
        Box::pin(async { result })
    }

    fn read<T: Send + 'static>(&self, work: impl FnOnce(&State) -> Result<T, StoreError>) -> Answer<'_, T> {
        let result = work(&self.place.lock());
        Box::pin(async { result })
    }
}

impl Store for MemoryStore {
    fn begin_content(&self) -> Box<dyn ContentWriter> {
        Box::new(MemoryWriter(Vec::new()))
    }

    fn commit_claimed(&self, arrival: NewEntry, lease_until: Option<u64>) -> Answer<'_, Option<Claim>> {
        let commit = |state: &mut State| {
            state.check(std::slice::from_ref(&arrival))?;
            if lease_until.is_some_and(|until| until <= arrival.entry.arrived_at) {
                return Err(NO_LEASE);
            }
            let number = state.add(arrival);
            Ok(lease_until.and_then(|until| state.lease(number, until, true)))
        };
        self.write(commit, lease_until.is_none())
    }

    fn claim(&self, now: u64, lease_until: u64, limit: usize) -> Answer<'_, Vec<Claim>> {
        self.write(|state| state.claim(now, lease_until, limit), false)
    }

    fn renew(&self, token: &ClaimToken, lease_until: u64) -> Answer<'_, bool> {
        let renew = |state: &mut State| {
            let held = state.queue.values_mut().find(|queued| queued.is_held_by(token));
            let lease = held.and_then(|queued| queued.lease.as_mut());
            Ok(lease.map(|lease| lease.until = lease_until).is_some())
        };
        self.write(renew, false)
    }

    fn settle(&self, settled: Settled) -> Answer<'_, ()> {
        self.write(|state| state.settle(settled), true)
    }

    fn next_due(&self) -> Answer<'_, Option<u64>> {
        self.read(|state| Ok(state.queue.values().filter_map(Queued::ready_at).min()))
    }

    fn queue_changes(&self) -> watch::Receiver<u64> {
        self.queue.subscribe()
    }

    fn body(&self, id: &str) -> Answer<'_, BodyReader> {
        let gone = || StoreError::NoEntry { id: id.to_owned() };
        self.read(|state| state.of_id(id).map(|queued| BodyReader::memory(queued.body.clone())).ok_or_else(gone))
    }

    fn list(&self, filter: QueueFilter) -> Answer<'_, Vec<QueueItem>> {
        self.read(|state| Ok(state.list(&filter)))
    }

    fn show(&self, id: &str) -> Answer<'_, Option<QueueItem>> {
        self.read(|state| Ok(state.of_id(id).map(|queued| queued.item(true))))
    }

    fn to_retry(&self, which: Retry) -> Answer<'_, Vec<String>> {
        self.read(|state| Ok(state.to_retry(&which)))
    }

    fn retry(&self, which: Retry, now_ms: u64, by: By) -> Answer<'_, Retried> {
        let retry = |state: &mut State| {
            let retried = state.retry(&which, now_ms, &by.name);
            state.act(came_of(by.audit, retried.recipients > 0, retried))?;
            Ok(retried)
        };
        self.write(retry, true)
    }

    fn hold(&self, which: Selection, hold: NewHold, now_ms: u64, by: By) -> Answer<'_, Held> {
        let work = |state: &mut State| {
            let held = state.hold(&which, &hold, now_ms, &by.name);
            state.act(came_of(by.audit, held.recipients > 0, held))?;
            Ok(held)
        };
        self.write(work, true)
    }

    fn release(&self, which: Selection, now_ms: u64, by: By) -> Answer<'_, u64> {
        let release = |state: &mut State| {
            let recipients = state.release(&which, now_ms, &by.name);
            state.act(came_of(by.audit, recipients > 0, json!({ "recipients": recipients })))?;
            Ok(recipients)
        };
        self.write(release, true)
    }

    fn remove(&self, id: &str, now_ms: u64, by: By) -> Answer<'_, bool> {
        let remove = |state: &mut State| {
            let removed = state.remove(id, now_ms, &by.name)?;
            state.act(came_of(by.audit, removed, json!({ "removed": id })))?;
            Ok(removed)
        };
        self.write(remove, false)
    }

    fn counts(&self) -> Answer<'_, QueueCounts> {
        self.read(|state| Ok(state.counts()))
    }

    fn append(&self, records: Vec<LedgerRecord>) -> Answer<'_, ()> {
        let append = |state: &mut State| {
            state.tell(records);
            Ok(())
        };
        self.write(append, false)
    }

    fn ledger(&self, query: LedgerQuery) -> Answer<'_, Vec<LedgerLine>> {
        self.read(|state| Ok(state.lines(&query)))
    }

    fn prune(&self, before_ms: u64) -> Answer<'_, u64> {
        let prune = |state: &mut State| {
            let before = state.ledger.len();
            state.ledger.retain(|line| line.record.at_ms >= before_ms);
            Ok((before - state.ledger.len()) as u64)
        };
        self.write(prune, false)
    }

    fn put_settings(&self, new: NewRevision) -> Answer<'_, u64> {
        let put = |state: &mut State| {
            let revision = state.put_settings(new)?;
            self.settings.send_replace(revision);
            Ok(revision)
        };
        self.write(put, false)
    }

    fn pieces(&self, digests: Vec<Hash>) -> Answer<'_, Vec<Piece>> {
        let piece = |state: &State, digest: Hash| match state.pieces.get(&digest) {
            Some(text) => Ok(Piece { digest, text: text.clone() }),
            None => Err(StoreError::NoPiece { digest: hexadecimal(&digest) }),
        };
        self.read(|state| digests.into_iter().map(|digest| piece(state, digest)).collect())
    }

    fn audit(&self, act: NewAudit) -> Answer<'_, u64> {
        self.write(|state| state.audit.append(&act), false)
    }

    fn audit_log(&self, query: AuditQuery) -> Answer<'_, Vec<AuditLine>> {
        self.read(|state| Ok(state.audit.lines(&query)))
    }

    fn audit_head(&self) -> Answer<'_, Head> {
        self.read(|state| Ok(state.audit.head()))
    }

    fn audit_anchor(&self) -> Answer<'_, Head> {
        self.read(|state| Ok(state.audit.anchor))
    }

    fn audit_verify(&self, told: Option<Head>) -> Answer<'_, Verified> {
        self.read(|state| Ok(state.audit.verify(told)))
    }

    fn audit_prune(&self, before_ms: u64, act: NewAudit) -> Answer<'_, u64> {
        self.write(|state| state.audit.prune(before_ms, act), false)
    }

    fn settings(&self, revision: Option<u64>) -> Answer<'_, Option<Revision>> {
        let asked = move |state: &State| {
            let number = revision.unwrap_or_else(|| state.newest());
            Ok(state.settings.iter().find(|revision| revision.revision == number).cloned())
        };
        self.read(asked)
    }

    fn revisions(&self, limit: usize) -> Answer<'_, Vec<Revision>> {
        let without_document = |revision: &Revision| Revision { document: String::new(), ..revision.clone() };
        self.read(|state| Ok(state.settings.iter().rev().take(limit).map(without_document).collect()))
    }

    fn settings_changes(&self) -> watch::Receiver<u64> {
        self.settings.subscribe()
    }

    fn learn_with(&self, known: Vec<Known>, act: Option<NewAudit>) -> Answer<'_, ()> {
        let learn = |state: &mut State| {
            state.act(act)?;
            state.known.extend(known.into_iter().map(|known| ((known.kind.clone(), known.key.clone()), known)));
            Ok(())
        };
        self.write(learn, false)
    }

    fn known(&self, kind: &str) -> Answer<'_, Vec<Known>> {
        self.read(|state| Ok(state.known.values().filter(|known| known.kind == kind).cloned().collect()))
    }

    fn forget(&self, kind: &str, keys: Vec<String>) -> Answer<'_, ()> {
        let forget = |state: &mut State| {
            for key in keys {
                state.known.remove(&(kind.to_owned(), key));
            }
            Ok(())
        };
        self.write(forget, false)
    }

    fn room(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn status(&self) -> StoreStatus {
        StoreStatus {
            engine: "memory".into(),
            schema: 0,
            writes: self.writes.load(Ordering::Relaxed),
            transactions: self.transactions.load(Ordering::Relaxed),
            orphans_swept: 0,
            leases_cleared: self.leases_cleared,
        }
    }
}

/// A body in memory, of any size.
struct MemoryWriter(Vec<u8>);

impl ContentWriter for MemoryWriter {
    fn write(&mut self, octets: Vec<u8>) -> Answer<'_, ()> {
        self.0.extend_from_slice(&octets);
        Box::pin(async { Ok(()) })
    }

    fn finish(self: Box<Self>) -> Answer<'static, Content> {
        Box::pin(async { Ok(Content::from(self.0)) })
    }
}
