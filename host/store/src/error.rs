//! What can go wrong in the store: who erred, where, and how to mend it.
//!
//! Errors are cloned: where one sync fails, every request that shared it fails with the same words.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Why the store could not do what was asked. Unless a variant says otherwise nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// No space is left where the store lives.
    Full(PathBuf),
    /// Less is free where the store lives than is kept for what is queued; arrivals alone are told.
    Low(PathBuf),
    /// The store may not be written to.
    ReadOnly(PathBuf),
    /// The database is damaged, or is none.
    Corrupt {
        /// The database.
        path: PathBuf,
        /// In the engine's words.
        detail: String,
    },
    /// Made by a later program than this.
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema this program knows.
        known: u32,
    },
    /// Another process has it open.
    Locked(PathBuf),
    /// A file or folder of the store could not be used.
    File {
        /// What was tried: `create`, `sync`.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// In the system's words.
        detail: String,
    },
    /// The engine refused for another reason.
    Engine {
        /// The database.
        path: PathBuf,
        /// In the engine's words.
        detail: String,
    },
    /// A row does not read back as what was written.
    Unreadable {
        /// Which row.
        what: String,
        /// Why not.
        detail: String,
    },
    /// The claim has run out or was taken over; someone else may be at work on the entry.
    LeaseLost {
        /// Of the entry.
        id: String,
    },
    /// The entry is claimed just now.
    InDelivery {
        /// Of the entry.
        id: String,
    },
    /// No such entry is queued.
    NoEntry {
        /// Of the entry.
        id: String,
    },
    /// An entry of that id is queued already.
    Exists {
        /// Of the entry.
        id: String,
    },
    /// Someone else changed the settings first.
    Conflict {
        /// The revision the change was made from.
        expected: u64,
        /// The newest revision.
        found: u64,
    },
    /// A piece that a settings document refers to is not there.
    NoPiece {
        /// Of the piece, hexadecimal.
        digest: String,
    },
    /// What was asked makes no sense, such as an entry without recipients.
    Refused(&'static str),
    /// The store was closed.
    Closed,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Full(path) => {
                write!(f, "no space is left for {}: free some, or move the store to a larger disk", path.display())
            }
            StoreError::Low(path) => write!(
                f,
                "less is free for {} than limits.free-space keeps for what is queued: free some, or lower it",
                path.display()
            ),
            StoreError::ReadOnly(path) => {
                write!(f, "{} cannot be written: give the relay's user the right to write there", path.display())
            }
            StoreError::Corrupt { path, detail } => {
                write!(f, "{} is damaged ({detail}): stop the relay and restore it from a backup", path.display())
            }
            StoreError::Newer { path, found, known } => write!(
                f,
                "{} was made by a newer sealwire: schema {found}, this one knows {known}; run the newer program",
                path.display()
            ),
            StoreError::Locked(path) => write!(
                f,
                "{} is in use by another process: stop that relay first, or give this one a store of its own",
                path.display()
            ),
            StoreError::File { doing, path, detail } => {
                write!(f, "cannot {doing} {}: {detail}; check that it exists and its rights", path.display())
            }
            StoreError::Engine { path, detail } => write!(f, "{}: the database refused: {detail}", path.display()),
            StoreError::Unreadable { what, detail } => {
                write!(f, "{what} does not read back ({detail}): it was written by another program, or is damaged")
            }
            StoreError::LeaseLost { id } => {
                write!(f, "the claim on entry {id} was lost: its lease ran out; nothing was written")
            }
            StoreError::InDelivery { id } => {
                write!(f, "entry {id} is being delivered just now: try again when this round has ended")
            }
            StoreError::NoEntry { id } => write!(f, "no entry {id} is queued: see `sealwire queue list`"),
            StoreError::Exists { id } => write!(f, "an entry {id} is queued already: ids must not repeat"),
            StoreError::Conflict { expected, found } => write!(
                f,
                "the settings were changed meanwhile: this change was made from revision {expected}, \
                 the newest is {found}; look at it and apply again"
            ),
            StoreError::NoPiece { digest } => write!(
                f,
                "the settings need a piece {digest} that is not there: put it with them, or restore the store from a backup"
            ),
            StoreError::Refused(why) => write!(f, "the store refused: {why}"),
            StoreError::Closed => f.write_str("the store is closed: the relay is stopping, or its writer failed"),
        }
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    /// From SQLite, about the database at `path`.
    pub(crate) fn sqlite(path: &Path, error: &rusqlite::Error) -> StoreError {
        use rusqlite::ErrorCode;
        let path = path.to_owned();
        let detail = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full(path),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly(path),
            Some(ErrorCode::CannotOpen) => unopened(path),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt { path, detail },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked(path),
            _ => StoreError::Engine { path, detail },
        }
    }

    /// From the file system, while `doing` something to `path`.
    pub(crate) fn file(doing: &'static str, path: &Path, error: &std::io::Error) -> StoreError {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full(path.to_owned()),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly(path.to_owned()),
            _ => StoreError::File { doing, path: path.to_owned(), detail: error.to_string() },
        }
    }
}

/// SQLite does not say why it could not open a file, such as its log; making another beside it does.
fn unopened(path: PathBuf) -> StoreError {
    let probe = path.with_extension("probe");
    match File::create(&probe).map(|_| fs::remove_file(&probe)) {
        Err(error) => StoreError::file("create", &path, &error),
        Ok(_) => StoreError::ReadOnly(path),
    }
}
