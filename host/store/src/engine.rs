//! [`Store`] for [`SqliteStore`]: which request goes to which thread.
//!
//! Whatever formats or touches files happens here, in the task of whoever asks, before the request is sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sealwire_core::audit::{AuditLine, Hash, Head, NewAudit, Verified};
use sealwire_core::ledger::LedgerRecord;
use serde_json::json;
use tokio::sync::watch;

use crate::api::{
    Answer, Claim, ClaimToken, ContentWriter, LedgerLine, LedgerQuery, NewEntry, QueueCounts, QueueFilter, QueueItem,
    Retried, Retry, Revision, Settled, Store, StoreStatus,
};
use crate::audit::{AuditQuery, By};
use crate::content::{BodyReader, BodyWriter};
use crate::error::StoreError;
use crate::holds::{self, Held, NewHold, Selection};
use crate::knowledge::Known;
use crate::pieces::Piece;
use crate::settings::NewRevision;
use crate::sqlite::SqliteStore;
use crate::writer::{Need, Turn};
use crate::{audit, knowledge, ledger, operate, pieces, queue, retries, settings};

/// Octets a small request is taken to write.
const SMALL: usize = 1024;

/// Writes the audit entry of an act, in its transaction.
fn tell(turn: &Turn<'_>, act: Option<NewAudit>) -> Result<(), StoreError> {
    act.map_or(Ok(()), |act| audit::append(turn, &act).map(drop))
}

impl Store for SqliteStore {
    fn begin_content(&self) -> Box<dyn ContentWriter> {
        Box::new(BodyWriter::arriving(Arc::clone(&self.folder)))
    }

    fn commit_claimed(&self, arrival: NewEntry, lease_until: Option<u64>) -> Answer<'_, Option<Claim>> {
        Box::pin(async move {
            self.room()?;
            let entry = lease_until.map(|_| arrival.entry.clone());
            let arrival = queue::Arrival::of(arrival, &self.folder).await?;
            let claim = entry.map(|entry| arrival.claim(entry));
            let weight = arrival.weight();
            let work = move |turn: &mut Turn<'_>| queue::commit(turn, arrival, lease_until);
            let token = self.writer.write(weight, work).await?;
            Ok(claim.zip(token).map(|(claim, token)| claim(token)))
        })
    }

    fn room(&self) -> Result<(), StoreError> {
        self.folder.has_room(self.writer.written.reusable.load(Ordering::Relaxed))
    }

    fn claim(&self, now: u64, lease_until: u64, limit: usize) -> Answer<'_, Vec<Claim>> {
        Box::pin(async move {
            let leased = self.writer.write(SMALL, move |turn| queue::claim(turn, now, lease_until, limit)).await?;
            if leased.is_empty() {
                return Ok(Vec::new());
            }
            self.delivery.read(|connection| queue::read_claims(connection, leased)).await
        })
    }

    fn renew(&self, token: &ClaimToken, lease_until: u64) -> Answer<'_, bool> {
        let token = token.clone();
        Box::pin(async move { self.writer.write(SMALL, move |turn| queue::renew(turn, &token, lease_until)).await })
    }

    fn settle(&self, settled: Settled) -> Answer<'_, ()> {
        Box::pin(async move {
            let settled = queue::Settlement::of(settled, &self.folder).await?;
            let weight = settled.weight();
            let work = move |turn: &mut Turn<'_>| queue::settle(turn, settled);
            self.writer.write_with(Need::SharedSync, weight, work).await
        })
    }

    fn next_due(&self) -> Answer<'_, Option<u64>> {
        Box::pin(self.delivery.read(queue::next_due))
    }

    fn queue_changes(&self) -> watch::Receiver<u64> {
        self.queue.clone()
    }

    fn body(&self, id: &str) -> Answer<'_, BodyReader> {
        let (id, folder) = (id.to_owned(), Arc::clone(&self.folder));
        Box::pin(self.delivery.read(move |connection| operate::body(connection, &folder, &id)))
    }

    fn list(&self, filter: QueueFilter) -> Answer<'_, Vec<QueueItem>> {
        Box::pin(self.people.read(move |connection| operate::list(connection, &filter)))
    }

    fn show(&self, id: &str) -> Answer<'_, Option<QueueItem>> {
        let id = id.to_owned();
        Box::pin(self.people.read(move |connection| operate::item(connection, &id, true)))
    }

    fn to_retry(&self, which: Retry) -> Answer<'_, Vec<String>> {
        Box::pin(self.people.read(move |connection| retries::entries(connection, &which)))
    }

    fn retry(&self, which: Retry, now_ms: u64, by: By) -> Answer<'_, Retried> {
        let work = move |turn: &mut Turn<'_>| {
            let retried = retries::retry(turn, &which, now_ms, &by.name)?;
            tell(turn, audit::came_of(by.audit, retried.recipients > 0, retried))?;
            Ok(retried)
        };
        Box::pin(self.writer.write(SMALL, work))
    }

    fn hold(&self, which: Selection, hold: NewHold, now_ms: u64, by: By) -> Answer<'_, Held> {
        let work = move |turn: &mut Turn<'_>| {
            let held = holds::hold(turn, &which, &hold, now_ms, &by.name)?;
            tell(turn, audit::came_of(by.audit, held.recipients > 0, held))?;
            Ok(held)
        };
        Box::pin(self.writer.write(SMALL, work))
    }

    fn release(&self, which: Selection, now_ms: u64, by: By) -> Answer<'_, u64> {
        let work = move |turn: &mut Turn<'_>| {
            let recipients = holds::release(turn, &which, now_ms, &by.name)?;
            tell(turn, audit::came_of(by.audit, recipients > 0, json!({ "recipients": recipients })))?;
            Ok(recipients)
        };
        Box::pin(self.writer.write(SMALL, work))
    }

    fn remove(&self, id: &str, now_ms: u64, by: By) -> Answer<'_, bool> {
        let id = id.to_owned();
        let work = move |turn: &mut Turn<'_>| {
            let removed = operate::remove(turn, &id, now_ms, &by.name)?;
            tell(turn, audit::came_of(by.audit, removed, json!({ "removed": id })))?;
            Ok(removed)
        };
        Box::pin(self.writer.write(SMALL, work))
    }

    fn counts(&self) -> Answer<'_, QueueCounts> {
        Box::pin(self.people.read(operate::counts))
    }

    fn append(&self, records: Vec<LedgerRecord>) -> Answer<'_, ()> {
        Box::pin(async move {
            let rows = ledger::rows(records)?;
            self.writer.write(SMALL * rows.len(), move |turn| ledger::append(turn, &rows)).await
        })
    }

    fn ledger(&self, query: LedgerQuery) -> Answer<'_, Vec<LedgerLine>> {
        Box::pin(self.people.read(move |connection| ledger::query(connection, &query)))
    }

    fn prune(&self, before_ms: u64) -> Answer<'_, u64> {
        Box::pin(async move {
            let mut pruned = 0;
            loop {
                let some = self.writer.write(SMALL, move |turn| ledger::prune(turn, before_ms)).await?;
                pruned += some;
                if some < ledger::PRUNED_AT_ONCE {
                    return Ok(pruned);
                }
            }
        })
    }

    fn put_settings(&self, mut new: NewRevision) -> Answer<'_, u64> {
        Box::pin(async move {
            let expected = new.expected.filter(|_| !new.pieces.is_empty());
            if let Some(expected) = expected {
                // What has lost already writes nothing ahead; who loses meanwhile is told below.
                let found = self.people.read(|connection| Ok(settings::newest(connection)?)).await?;
                if found != expected {
                    return Err(StoreError::Conflict { expected, found });
                }
            }
            for batch in pieces::batches(std::mem::take(&mut new.pieces))? {
                let octets = batch.iter().map(|piece| SMALL + piece.text.len()).sum();
                self.writer.write(octets, move |turn| pieces::write_ahead(turn, &batch)).await?;
            }
            let ready = settings::Ready::of(new, &self.folder).await?;
            self.writer.write(SMALL + ready.octets(), move |turn| settings::put(turn, ready)).await
        })
    }

    fn pieces(&self, digests: Vec<Hash>) -> Answer<'_, Vec<Piece>> {
        Box::pin(self.people.read(move |connection| pieces::get(connection, &digests)))
    }

    fn audit(&self, act: NewAudit) -> Answer<'_, u64> {
        Box::pin(self.writer.write(SMALL, move |turn| audit::append(turn, &act)))
    }

    fn audit_log(&self, query: AuditQuery) -> Answer<'_, Vec<AuditLine>> {
        Box::pin(self.people.read(move |connection| audit::query(connection, &query)))
    }

    fn audit_head(&self) -> Answer<'_, Head> {
        Box::pin(self.people.read(|connection| Ok(audit::head(connection)?)))
    }

    fn audit_anchor(&self) -> Answer<'_, Head> {
        Box::pin(self.people.read(|connection| Ok(audit::anchor(connection)?)))
    }

    fn audit_verify(&self, told: Option<Head>) -> Answer<'_, Verified> {
        Box::pin(audit::verify(told, |after| self.people.read(move |connection| audit::next(connection, after))))
    }

    fn audit_prune(&self, before_ms: u64, act: NewAudit) -> Answer<'_, u64> {
        Box::pin(async move {
            self.writer.write(SMALL, move |turn| audit::move_anchor(turn, before_ms, act)).await?;
            let mut pruned = 0;
            loop {
                let some = self.writer.write(SMALL, audit::remove_some).await?;
                pruned += some;
                if some < ledger::PRUNED_AT_ONCE {
                    return Ok(pruned);
                }
            }
        })
    }

    fn settings(&self, revision: Option<u64>) -> Answer<'_, Option<Revision>> {
        let folder = Arc::clone(&self.folder);
        Box::pin(self.people.read(move |connection| settings::get(connection, &folder, revision)))
    }

    fn revisions(&self, limit: usize) -> Answer<'_, Vec<Revision>> {
        Box::pin(self.people.read(move |connection| settings::list(connection, limit)))
    }

    fn settings_changes(&self) -> watch::Receiver<u64> {
        self.settings.clone()
    }

    fn learn_with(&self, known: Vec<Known>, act: Option<NewAudit>) -> Answer<'_, ()> {
        let octets = known.iter().map(|known| SMALL + known.value.len()).sum();
        let work = move |turn: &mut Turn<'_>| knowledge::learn(turn, &known).and_then(|()| tell(turn, act));
        Box::pin(self.writer.write(octets, work))
    }

    fn known(&self, kind: &str) -> Answer<'_, Vec<Known>> {
        let kind = kind.to_owned();
        Box::pin(self.delivery.read(move |connection| knowledge::of_kind(connection, &kind)))
    }

    fn forget(&self, kind: &str, keys: Vec<String>) -> Answer<'_, ()> {
        let kind = kind.to_owned();
        Box::pin(self.writer.write(SMALL * keys.len(), move |turn| knowledge::forget(turn, &kind, &keys)))
    }

    fn status(&self) -> StoreStatus {
        self.counted()
    }
}
