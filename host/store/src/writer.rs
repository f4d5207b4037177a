//! The one thread that writes: it takes what waits, runs it in one transaction, syncs once, then answers everyone.
//!
//! Each request runs in a savepoint of its own, so that one that is refused does not fail its neighbours. Where the disk
//! fails or is full, the transaction is lost and all are told the same. While one sync is under way the next group
//! gathers, so the group grows with the load. Where several came together others are on their way, and a few milliseconds'
//! patience shares the sync with them; a settlement has such patience always ([`Need`]). What must happen outside the
//! database (files, notices) happens after the sync.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use crate::error::StoreError;
use crate::extents::StagedExtent;
use crate::folder::{Apart, Folder, StagedFile};
use crate::sqlite::BUSY;

/// Requests in one transaction: enough to share a sync, few enough to answer soon.
const GROUP_REQUESTS: usize = 256;
/// Octets in one transaction: keeps the log within a few times its usual size.
const GROUP_OCTETS: usize = 8 * 1024 * 1024;
/// How long arrivals wait for each other, once the group before held several.
const COMPANY_TIME: Duration = Duration::from_millis(3);
/// How long what nobody waits for at a socket waits for others.
const PATIENT_TIME: Duration = Duration::from_millis(5);
/// How long the log's shortening waits for readers, while everybody waits for it.
const SHORT_WAIT: Duration = Duration::from_millis(100);
/// Requests that may wait; beyond it whoever asks waits instead, which is how a slow disk slows the clients.
const WAITING: usize = 1024;

/// Runs in the transaction, or learns why there is none, and leaves what is to be done once its fate is known.
type Work = Box<dyn FnOnce(Result<&mut Turn<'_>, StoreError>) -> After + Send>;
/// Runs once the transaction's fate is known.
type After = Box<dyn FnOnce(&Outside, &Fate) + Send>;

/// What became of a transaction.
enum Fate {
    Committed,
    /// It was never asked to be committed, so nothing of it is anywhere.
    Lost(StoreError),
    /// It was asked, and an error told: after a failed sync nobody knows what a crash would bring back.
    Unknown(StoreError),
}

/// What a request needs of the disk before it is answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// A sync that may be shared with what comes within [`PATIENT_TIME`]: how a round ended. A crash before it repeats
    /// the round, as a crash a moment earlier would have.
    SharedSync,
    /// A sync: somebody waits (H1).
    Sync,
}

struct Request {
    octets: usize,
    need: Need,
    work: Work,
}

/// A request's view of the transaction.
pub(crate) struct Turn<'a> {
    /// For statements; never for transactions.
    pub(crate) connection: &'a Connection,
    /// What to do after the commit.
    pub(crate) effects: Effects,
    /// For contents outside the database.
    pub(crate) folder: &'a Folder,
    path: &'a Path,
    next_lease: &'a mut i64,
    /// Why the whole transaction is gone: SQLite rolls back by itself where it finds no space or cannot read.
    lost: Option<StoreError>,
}

impl Turn<'_> {
    /// A lease that was never given before, by this process or an earlier one.
    pub(crate) fn new_lease(&mut self) -> i64 {
        *self.next_lease += 1;
        *self.next_lease
    }

    /// Runs `work` in a savepoint: on an error nothing of it stays.
    fn attempt<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.run("SAVEPOINT request")?;
        let result = work(self);
        if self.connection.is_autocommit() {
            let error = result.err().unwrap_or(StoreError::Closed);
            self.lost = Some(error.clone());
            return Err(error);
        }
        if result.is_err() {
            self.run("ROLLBACK TO request")?;
        }
        self.run("RELEASE request")?;
        result
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        let ran = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        ran.map(drop).map_err(|error| self.failed(&error))
    }

    /// An error of the engine's, with the place.
    pub(crate) fn failed(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::sqlite(self.path, error)
    }
}

/// What a request wants done outside the database once it is durable.
#[derive(Default)]
pub(crate) struct Effects {
    /// Contents whose row is now committed.
    pub(crate) kept: Vec<Staged>,
    /// Contents whose row is now gone.
    pub(crate) freed: Vec<Apart>,
    /// Something may be due sooner than before.
    pub(crate) sooner: bool,
    /// The newest revision of the settings.
    pub(crate) revision: Option<u64>,
}

/// A content outside the database that no row names yet; freed when dropped.
pub(crate) enum Staged {
    File(StagedFile),
    Extent(StagedExtent),
}

impl Staged {
    fn leave(self) {
        match self {
            Staged::File(file) => file.leave(),
            Staged::Extent(extent) => extent.leave(),
        }
    }
}

/// What lies outside the database: contents and those who wait for a change.
pub(crate) struct Outside {
    pub(crate) folder: Arc<Folder>,
    pub(crate) queue: watch::Sender<u64>,
    pub(crate) settings: watch::Sender<u64>,
}

impl Effects {
    fn take(self, outside: &Outside) {
        self.kept.into_iter().for_each(Staged::leave);
        self.freed.into_iter().for_each(|content| outside.folder.free(content));
        if self.sooner {
            outside.queue.send_modify(|changes| *changes += 1);
        }
        if let Some(revision) = self.revision {
            outside.settings.send_replace(revision);
        }
    }

    /// After a failed commit nobody knows what a crash would bring back: contents stay until the next opening.
    fn abandon(self) {
        self.kept.into_iter().for_each(Staged::leave);
    }
}

/// Counts for the status.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) requests: AtomicU64,
    pub(crate) transactions: AtomicU64,
    /// Octets that are free inside the database: what has left the queue is used again and not given back.
    pub(crate) reusable: AtomicU64,
}

/// The door to the writing thread; dropped, it finishes what waits and ends.
pub(crate) struct Writer {
    requests: Option<mpsc::Sender<Request>>,
    pub(crate) written: Arc<Written>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        path: PathBuf,
        opening: u64,
        outside: Outside,
    ) -> Result<Writer, StoreError> {
        let (requests, waiting) = mpsc::channel(WAITING);
        let written = Arc::new(Written::default());
        // 2^32 leases for each opening; both fit into SQLite's integer for longer than disks last.
        let next_lease = i64::try_from(opening << 32).unwrap_or(i64::MAX >> 1);
        let thread_path = path.clone();
        let page_octets = connection.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap_or(0);
        let mut group = Group { connection, path, outside, next_lease, written: Arc::clone(&written), page_octets };
        group.look_inside();
        let thread = std::thread::Builder::new()
            .name("store-write".into())
            .spawn(move || group.run(waiting))
            .map_err(|error| StoreError::file("start a thread for", &thread_path, &error))?;
        Ok(Writer { requests: Some(requests), written, thread: Some(thread) })
    }

    /// Has `work` done in a transaction; ready once that is durable. `octets` is about what it writes.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        octets: usize,
        work: impl FnOnce(&mut Turn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_with(Need::Sync, octets, work).await
    }

    /// The same, with another need.
    pub(crate) async fn write_with<T: Send + 'static>(
        &self,
        need: Need,
        octets: usize,
        work: impl FnOnce(&mut Turn<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |turn| {
            let (result, effects) = match turn {
                Ok(turn) => (turn.attempt(work), std::mem::take(&mut turn.effects)),
                Err(error) => (Err(error), Effects::default()),
            };
            Box::new(move |outside, fate| {
                let committed = match fate {
                    Fate::Committed => Ok(()),
                    Fate::Lost(error) | Fate::Unknown(error) => Err(error.clone()),
                };
                match (fate, result.is_ok()) {
                    (Fate::Committed, true) => effects.take(outside),
                    // Rolled back for certain: what it staged is freed as it drops.
                    (Fate::Committed, false) | (Fate::Lost(_), _) => {}
                    (Fate::Unknown(_), _) => effects.abandon(),
                }
                // Whoever asked may have gone; the work is done all the same.
                let _ = answer.send(result.and_then(|value| committed.map(|()| value)));
            })
        });
        let requests = self.requests.as_ref().ok_or(StoreError::Closed)?;
        requests.send(Request { octets, need, work }).await.map_err(|_| StoreError::Closed)?;
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The writing thread's own.
struct Group {
    connection: Connection,
    path: PathBuf,
    outside: Outside,
    next_lease: i64,
    written: Arc<Written>,
    /// Size of a page of the database; it stays what it was made with.
    page_octets: i64,
}

impl Group {
    fn run(&mut self, mut waiting: mpsc::Receiver<Request>) {
        let mut company = false;
        while let Some(first) = waiting.blocking_recv() {
            let group = gather(first, company, &mut waiting);
            company = group.iter().filter(|request| request.need == Need::Sync).count() > 1;
            self.written.requests.fetch_add(group.len() as u64, Ordering::Relaxed);
            self.commit(group);
        }
    }

    fn commit(&mut self, group: Vec<Request>) {
        let changes = self.connection.total_changes();
        let mut answers: Vec<After> = Vec::with_capacity(group.len());
        let fate = self.transact(group, &mut answers);
        if let Fate::Lost(error) | Fate::Unknown(error) = &fate {
            tracing::error!(%error, requests = answers.len(), "a transaction failed");
            if !self.connection.is_autocommit() {
                let _ = self.execute("ROLLBACK");
            }
        } else if self.connection.total_changes() > changes {
            self.written.transactions.fetch_add(1, Ordering::Relaxed);
            self.look_inside();
        }
        for answer in answers {
            answer(&self.outside, &fate);
        }
    }

    /// Reads what is free inside, after a commit; it stands on a page that the commit has just touched.
    fn look_inside(&self) {
        let free = self.connection.prepare_cached("PRAGMA freelist_count");
        let pages = free.and_then(|mut free| free.query_row([], |row| row.get::<_, i64>(0))).unwrap_or(0);
        let reusable = pages.saturating_mul(self.page_octets).try_into().unwrap_or(0);
        self.written.reusable.store(reusable, Ordering::Relaxed);
        if self.outside.folder.has_room(reusable).is_err() {
            self.shorten_log();
        }
    }

    /// Gives back the space of the log where space is short, if readers let it; else the next commit tries again.
    fn shorten_log(&self) {
        let shorten = || {
            self.connection.busy_timeout(SHORT_WAIT)?;
            let shortened = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            self.connection.busy_timeout(BUSY)?;
            shortened
        };
        if let Err(error) = shorten() {
            tracing::warn!(%error, "the store's log could not be shortened");
        }
    }

    fn transact(&mut self, group: Vec<Request>, answers: &mut Vec<After>) -> Fate {
        let mut state = self.execute("BEGIN IMMEDIATE");
        for request in group {
            if let Err(error) = &state {
                answers.push((request.work)(Err(error.clone())));
                continue;
            }
            let Group { connection, path, next_lease, outside, .. } = self;
            let folder = &*outside.folder;
            let mut turn = Turn { connection, effects: Effects::default(), folder, path, next_lease, lost: None };
            answers.push((request.work)(Ok(&mut turn)));
            state = turn.lost.take().map_or(Ok(()), Err);
        }
        // What the rows name is durable before they are (H1).
        if let Err(error) = state.and_then(|()| self.outside.folder.extents.sync()) {
            return Fate::Lost(error);
        }
        self.execute("COMMIT").map_or_else(Fate::Unknown, |()| Fate::Committed)
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        let ran = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        ran.map(drop).map_err(|error| StoreError::sqlite(&self.path, &error))
    }
}

/// What goes into one transaction with `first`: what waits already, and what comes as long as the group has patience.
fn gather(first: Request, company: bool, waiting: &mut mpsc::Receiver<Request>) -> Vec<Request> {
    let began = Instant::now();
    let (mut octets, mut need) = (first.octets, first.need);
    let mut group = vec![first];
    while group.len() < GROUP_REQUESTS && octets < GROUP_OCTETS {
        if let Ok(next) = waiting.try_recv() {
            octets += next.octets;
            need = need.max(next.need);
            group.push(next);
            continue;
        }
        let patience = match need {
            Need::SharedSync => PATIENT_TIME,
            Need::Sync if company => COMPANY_TIME,
            Need::Sync => Duration::ZERO,
        };
        match patience.checked_sub(began.elapsed()) {
            // Whoever sends wakes us; a door that closes is seen a moment later.
            Some(left) if !left.is_zero() && !waiting.is_closed() => thread::park_timeout(left),
            _ => break,
        }
    }
    group
}
