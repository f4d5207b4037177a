//! The embedded engine: SQLite in a folder of its own, one writing thread, two reading threads.
//!
//! The folder belongs to one process, which a lock held while the store is open makes sure of; so what a former process
//! had claimed can be freed at opening. `sealwire.db` may be inspected and backed up with SQLite's own tools meanwhile.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Row};
use tokio::sync::watch;

use crate::api::StoreStatus;
use crate::error::StoreError;
use crate::extents::Extent;
use crate::folder::{Folder, Freeing};
use crate::numbers::natural;
use crate::reader::Reader;
use crate::writer::{Outside, Writer};
use crate::{pieces, schema, settings};

/// Statements kept prepared for each connection; more than this crate has.
const STATEMENTS: usize = 64;
/// How long SQLite waits where a backup tool holds the database.
pub(crate) const BUSY: Duration = Duration::from_secs(10);

/// For every connection: readers are not stopped by the writer (WAL), a commit is on the disk when it returns (H1), what
/// is deleted is overwritten. A log four times SQLite's usual length (16 MiB) has pages of mail that came and went copied into
/// the database once and not each time; a cache of 3 MiB holds a group of large bodies without writing them ahead of the
/// commit.
const EVERY: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
PRAGMA trusted_schema = OFF;
PRAGMA temp_store = MEMORY;
PRAGMA journal_size_limit = 67108864;
PRAGMA wal_autocheckpoint = 4096;
PRAGMA cache_size = -3072;
";

/// Queue, settings, ledger and knowledge in SQLite. Dropped, it finishes what was asked and closes the database.
pub struct SqliteStore {
    // In the order in which they end: the writer frees files, the lock outlives everything.
    pub(crate) writer: Writer,
    /// Reads for delivery: claims, bodies.
    pub(crate) delivery: Reader,
    /// Reads for people: lists, the ledger.
    pub(crate) people: Reader,
    _freeing: Freeing,
    pub(crate) folder: Arc<Folder>,
    pub(crate) queue: watch::Receiver<u64>,
    pub(crate) settings: watch::Receiver<u64>,
    opened: StoreStatus,
    _lock: File,
}

impl SqliteStore {
    /// Opens the store in the folder at `path`, which is created where it is missing. Brings an older schema up to date,
    /// ends the leases of the process before, and sweeps content that no entry names.
    pub fn open(path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        SqliteStore::open_keeping(path, 0)
    }

    /// The same, and [`Store::commit`](crate::Store::commit) is [`StoreError::Low`] where fewer than `free` octets are
    /// free. Nothing else asks: what is queued must be able to leave, and to say so takes a little space.
    pub fn open_keeping(path: impl AsRef<Path>, free: u64) -> Result<SqliteStore, StoreError> {
        let path = path.as_ref();
        let contents = path.join("content");
        let (found, holders) = (path.exists(), holders(path));
        // For this user only: the queue holds other people's mail.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&contents)
            .map_err(|error| StoreError::file("create", &contents, &error))?;
        let lock = lock(&path.join("lock"))?;
        let database = path.join("sealwire.db");
        create_private(&database)?;
        let mut connection = connect(&database)?;
        schema::migrate(&mut connection, &database)?;
        let failed = |error: rusqlite::Error| StoreError::sqlite(&database, &error);
        let recovered = recover(&mut connection).map_err(failed)?;
        let newest = settings::newest(&connection).map_err(failed)?;

        let bodies = (path.join("bodies"), recovered.extents);
        let (folder, freeing, files_swept) =
            Folder::open(contents, bodies, free, recovered.opening, |name| recovered.files.contains(name))?;
        let orphans_swept = files_swept + recovered.pieces_swept;
        sync_folder(path)?;
        for holder in holders {
            match sync_folder(&holder) {
                // Made by someone who may look there: it was for them to sync.
                Err(StoreError::ReadOnly(_)) if found => {}
                synced => synced?,
            }
        }
        let (queue_sender, queue) = watch::channel(0);
        let (settings_sender, settings) = watch::channel(newest);
        let outside = Outside { folder: Arc::clone(&folder), queue: queue_sender, settings: settings_sender };
        let opened = StoreStatus {
            engine: format!("SQLite {} in {}", rusqlite::version(), path.display()),
            schema: schema::NEWEST,
            orphans_swept,
            leases_cleared: recovered.leases,
            ..StoreStatus::default()
        };
        tracing::info!(engine = opened.engine, orphans_swept, leases_cleared = opened.leases_cleared, "store opened");
        Ok(SqliteStore {
            writer: Writer::start(connection, database.clone(), recovered.opening, outside)?,
            delivery: Reader::start("store-read", connect_reading(&database)?, database.clone())?,
            people: Reader::start("store-list", connect_reading(&database)?, database)?,
            _freeing: freeing,
            folder,
            queue,
            settings,
            opened,
            _lock: lock,
        })
    }

    pub(crate) fn counted(&self) -> StoreStatus {
        let written = &self.writer.written;
        StoreStatus {
            writes: written.requests.load(Ordering::Relaxed),
            transactions: written.transactions.load(Ordering::Relaxed),
            ..self.opened.clone()
        }
    }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = file.map_err(|error| StoreError::file("create", path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(path.parent().unwrap_or(path).to_owned())),
        Err(TryLockError::Error(error)) => Err(StoreError::file("lock", path, &error)),
    }
}

/// SQLite gives its log the rights of the database, and the database those it finds.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    file.map(drop).map_err(|error| StoreError::file("create", path, &error))
}

/// The folders that hold the name of the store's own folder and of those that must be made above it. A store whose folder
/// has no durable name is lost whole, however well its files are synced; and since a process before this one may have
/// made the folder and been killed, the first is always among them.
fn holders(path: &Path) -> Vec<PathBuf> {
    let mut holders = Vec::new();
    for holder in path.ancestors().skip(1) {
        holders.push(if holder.as_os_str().is_empty() { PathBuf::from(".") } else { holder.to_owned() });
        if holders.last().is_some_and(|holder| holder.exists()) {
            break;
        }
    }
    holders
}

/// Makes the names in a folder durable.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| StoreError::file("sync", path, &error))
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(EVERY)?;
        // Else a statement whose plan might hang on what is bound is compiled again whenever something is bound to it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    };
    open().map_err(|error| StoreError::sqlite(path, &error))
}

/// A reading connection must be able to write the log's index, yet never the database.
fn connect_reading(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true).map_err(|error| StoreError::sqlite(path, &error))?;
    Ok(connection)
}

/// What opening finds.
struct Recovered {
    opening: u64,
    leases: u64,
    pieces_swept: u64,
    files: HashSet<String>,
    extents: Vec<Extent>,
}

/// Ends all leases, and makes what they covered due as its recipients say; sweeps pieces whose revision never came.
fn recover(connection: &mut Connection) -> rusqlite::Result<Recovered> {
    let transaction = connection.transaction()?;
    let opening: i64 = transaction.query_row(
        "UPDATE counters SET value = value + 1 WHERE name = 'openings' RETURNING value",
        [],
        |row| row.get(0),
    )?;
    let leases = transaction.execute(
        "UPDATE entries SET lease = NULL, lease_until = NULL, ready_at =
           (SELECT min(due_at) FROM recipients WHERE entry = number AND status IN ('queued', 'held'))
         WHERE lease IS NOT NULL",
        [],
    )?;
    let pieces_swept = pieces::sweep(&transaction)?;
    let files = {
        let mut statement = transaction.prepare(
            "SELECT file FROM messages WHERE file IS NOT NULL UNION ALL SELECT file FROM settings WHERE file IS NOT NULL",
        )?;
        statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    let extents = {
        let mut statement = transaction.prepare("SELECT at, octets FROM messages WHERE at IS NOT NULL")?;
        let extent = |row: &Row<'_>| Ok(Extent { at: natural(row.get(0)?), octets: natural(row.get(1)?) });
        statement.query_map([], extent)?.collect::<Result<_, _>>()?
    };
    transaction.commit()?;
    Ok(Recovered { extents, opening: natural(opening), leases: leases as u64, pieces_swept, files })
}
