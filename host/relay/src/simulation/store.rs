//! The store of a simulated relay: the engine in memory, behind errors, delays and the death of whoever asks.
//!
//! An answer takes a moment before the engine acts and a moment behind it, so that a crash may fall on either side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sealwire_core::audit::{AuditLine, Hash, Head, NewAudit, Verified};
use sealwire_core::entry::RecipientStatus;
use sealwire_core::ledger::LedgerRecord;
use sealwire_store::{
    Answer, AuditQuery, BodyReader, By, Claim, ClaimToken, ContentWriter, Held, Known, LedgerLine, LedgerQuery,
    MemoryPlace, MemoryStore, NewEntry, NewHold, NewRevision, Piece, QueueCounts, QueueFilter, QueueItem, Retried,
    Retry, Revision, Selection, Settled, Store, StoreError, StoreStatus,
};
use tokio::sync::watch;

use super::fault::Fault;
use super::scene::Scene;
use super::witness::CommitSeen;

/// One relay's store; the place behind it is the next one's too.
pub(super) struct FaultyStore {
    engine: MemoryStore,
    scene: Arc<Scene>,
    /// The relay that asked has died: nothing of it reaches the engine any more.
    dead: Arc<AtomicBool>,
}

fn failed() -> StoreError {
    StoreError::Engine { path: "simulation".into(), detail: "an error was asked for".into() }
}

impl FaultyStore {
    pub(super) fn open(place: &MemoryPlace, scene: Arc<Scene>, dead: Arc<AtomicBool>) -> FaultyStore {
        FaultyStore { engine: place.open(), scene, dead }
    }

    /// A moment passes, and the relay may be dead behind it.
    async fn moment(&self) {
        if self.scene.of_store.percent(30) {
            tokio::time::sleep(Duration::from_millis(1 + self.scene.of_store.below(40))).await;
        }
        if self.dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    fn strikes(&self) -> bool {
        self.scene.strikes(&self.scene.of_store, self.scene.odds.store)
    }

    /// Asks the engine between two moments. `before` strikes instead of it, `behind` though it was done.
    async fn ask<T>(
        &self,
        what: &str,
        before: Fault,
        behind: Option<Fault>,
        act: impl AsyncFnOnce(&MemoryStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.moment().await;
        let strikes = self.strikes();
        let behind = behind.filter(|_| strikes && self.scene.of_store.percent(50));
        if strikes && behind.is_none() {
            self.scene.witness.struck(before, what);
            return Err(failed());
        }
        let answer = act(&self.engine).await;
        self.moment().await;
        match (behind, &answer) {
            (Some(fault), Ok(_)) => {
                self.scene.witness.struck(fault, what);
                Err(failed())
            }
            _ => answer,
        }
    }

    fn error_about(&self, id: &str) {
        let at = self.scene.witness.now_ms();
        self.scene.witness.seen().store_errors.push((at, id.to_owned()));
    }
}

/// Of a message: what its Message-ID says.
fn token_of(header: &[u8]) -> String {
    let header = String::from_utf8_lossy(header);
    let field = header.lines().find(|line| line.to_ascii_lowercase().starts_with("message-id:")).unwrap_or_default();
    field.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(id, _)| id.to_owned()).unwrap_or_default()
}

impl Store for FaultyStore {
    fn begin_content(&self) -> Box<dyn ContentWriter> {
        let inner = self.engine.begin_content();
        Box::new(FaultyWriter { inner, fails: self.strikes().then(|| Arc::clone(&self.scene)) })
    }

    fn commit_claimed(&self, arrival: NewEntry, lease_until: Option<u64>) -> Answer<'_, Option<Claim>> {
        let id = arrival.entry.id.clone();
        let token = token_of(&arrival.entry.header);
        Box::pin(async move {
            let commits = || self.scene.witness.seen();
            let number = commits().commits.len();
            let seen = CommitSeen { token, id: id.clone(), written: false, answered_ok: false };
            commits().commits.push(seen);
            let act = async |engine: &MemoryStore| {
                let answer = engine.commit_claimed(arrival, lease_until).await;
                commits().commits[number].written = answer.is_ok();
                answer
            };
            let answer = self.ask(&id, Fault::CommitError, Some(Fault::CommitErrorThoughWritten), act).await;
            commits().commits[number].answered_ok = answer.is_ok();
            answer
        })
    }

    fn claim(&self, now: u64, lease_until: u64, limit: usize) -> Answer<'_, Vec<Claim>> {
        Box::pin(async move {
            let act = async |engine: &MemoryStore| engine.claim(now, lease_until, limit).await;
            self.ask("", Fault::ClaimError, Some(Fault::ClaimErrorThoughWritten), act).await
        })
    }

    fn renew(&self, token: &ClaimToken, lease_until: u64) -> Answer<'_, bool> {
        let token = token.clone();
        Box::pin(async move {
            let act = async |engine: &MemoryStore| engine.renew(&token, lease_until).await;
            let answer = self.ask(token.entry(), Fault::RenewError, None, act).await;
            if answer.is_err() {
                self.error_about(token.entry());
            }
            answer
        })
    }

    fn settle(&self, settled: Settled) -> Answer<'_, ()> {
        Box::pin(async move {
            let id = settled.token.entry().to_owned();
            let delivered = settled.recipients.iter().filter(|r| r.status == RecipientStatus::Delivered);
            let delivered: Vec<String> = delivered.map(|r| r.mailbox.to_string()).collect();
            let act = async |engine: &MemoryStore| engine.settle(settled).await;
            let answer = self.ask(&id, Fault::SettleError, Some(Fault::SettleErrorThoughWritten), act).await;
            match &answer {
                Ok(()) => {
                    let at = self.scene.witness.now_ms();
                    let rows = delivered.into_iter().map(|mailbox| (at, id.clone(), mailbox));
                    self.scene.witness.seen().delivered.extend(rows);
                }
                Err(_) => self.error_about(&id),
            }
            answer
        })
    }

    fn next_due(&self) -> Answer<'_, Option<u64>> {
        Box::pin(async { self.ask("", Fault::NextDueError, None, async |engine| engine.next_due().await).await })
    }

    fn queue_changes(&self) -> watch::Receiver<u64> {
        self.engine.queue_changes()
    }

    fn body(&self, id: &str) -> Answer<'_, BodyReader> {
        let id = id.to_owned();
        Box::pin(async move { self.ask(&id, Fault::BodyError, None, async |engine| engine.body(&id).await).await })
    }

    fn list(&self, filter: QueueFilter) -> Answer<'_, Vec<QueueItem>> {
        self.engine.list(filter)
    }

    fn show(&self, id: &str) -> Answer<'_, Option<QueueItem>> {
        self.engine.show(id)
    }

    fn to_retry(&self, which: Retry) -> Answer<'_, Vec<String>> {
        self.engine.to_retry(which)
    }

    fn retry(&self, which: Retry, now_ms: u64, by: By) -> Answer<'_, Retried> {
        self.engine.retry(which, now_ms, by)
    }

    fn hold(&self, which: Selection, hold: NewHold, now_ms: u64, by: By) -> Answer<'_, Held> {
        self.engine.hold(which, hold, now_ms, by)
    }

    fn release(&self, which: Selection, now_ms: u64, by: By) -> Answer<'_, u64> {
        self.engine.release(which, now_ms, by)
    }

    fn remove(&self, id: &str, now_ms: u64, by: By) -> Answer<'_, bool> {
        self.engine.remove(id, now_ms, by)
    }

    fn counts(&self) -> Answer<'_, QueueCounts> {
        self.engine.counts()
    }

    fn append(&self, records: Vec<LedgerRecord>) -> Answer<'_, ()> {
        Box::pin(
            async move { self.ask("", Fault::AppendError, None, async |engine| engine.append(records).await).await },
        )
    }

    fn ledger(&self, query: LedgerQuery) -> Answer<'_, Vec<LedgerLine>> {
        self.engine.ledger(query)
    }

    fn prune(&self, before_ms: u64) -> Answer<'_, u64> {
        self.engine.prune(before_ms)
    }

    fn put_settings(&self, new: NewRevision) -> Answer<'_, u64> {
        self.engine.put_settings(new)
    }

    fn pieces(&self, digests: Vec<Hash>) -> Answer<'_, Vec<Piece>> {
        self.engine.pieces(digests)
    }

    fn audit(&self, act: NewAudit) -> Answer<'_, u64> {
        self.engine.audit(act)
    }

    fn audit_log(&self, query: AuditQuery) -> Answer<'_, Vec<AuditLine>> {
        self.engine.audit_log(query)
    }

    fn audit_head(&self) -> Answer<'_, Head> {
        self.engine.audit_head()
    }

    fn audit_anchor(&self) -> Answer<'_, Head> {
        self.engine.audit_anchor()
    }

    fn audit_verify(&self, told: Option<Head>) -> Answer<'_, Verified> {
        self.engine.audit_verify(told)
    }

    fn audit_prune(&self, before_ms: u64, act: NewAudit) -> Answer<'_, u64> {
        self.engine.audit_prune(before_ms, act)
    }

    fn settings(&self, revision: Option<u64>) -> Answer<'_, Option<Revision>> {
        self.engine.settings(revision)
    }

    fn revisions(&self, limit: usize) -> Answer<'_, Vec<Revision>> {
        self.engine.revisions(limit)
    }

    fn settings_changes(&self) -> watch::Receiver<u64> {
        self.engine.settings_changes()
    }

    fn learn_with(&self, known: Vec<Known>, act: Option<NewAudit>) -> Answer<'_, ()> {
        self.engine.learn_with(known, act)
    }

    fn known(&self, kind: &str) -> Answer<'_, Vec<Known>> {
        self.engine.known(kind)
    }

    fn forget(&self, kind: &str, keys: Vec<String>) -> Answer<'_, ()> {
        self.engine.forget(kind, keys)
    }

    fn room(&self) -> Result<(), StoreError> {
        self.engine.room()
    }

    fn status(&self) -> StoreStatus {
        self.engine.status()
    }
}

/// A body on its way in, of which a piece may not be taken.
struct FaultyWriter {
    inner: Box<dyn ContentWriter>,
    fails: Option<Arc<Scene>>,
}

impl ContentWriter for FaultyWriter {
    fn write(&mut self, octets: Vec<u8>) -> Answer<'_, ()> {
        match self.fails.take() {
            Some(scene) => {
                scene.witness.struck(Fault::ContentError, "");
                Box::pin(async { Err(failed()) })
            }
            None => self.inner.write(octets),
        }
    }

    fn finish(self: Box<Self>) -> Answer<'static, sealwire_store::Content> {
        self.inner.finish()
    }
}
