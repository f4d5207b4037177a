//! Contents outside the database. Large ones have a folder with a file for each, named by the store, referred to by a row
//! once it is committed; middling ones share a file ([`Extents`]).
//!
//! A file without a row is an orphan. It is freed when its [`StagedFile`] is dropped, or, after a crash, swept at the
//! next opening. Freed files are overwritten before they are unlinked, on a thread of their own, and never while
//! someone still reads them: a reader whose lease ran out must not send zeros.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::content::PIECE;
use crate::error::StoreError;
use crate::extents::{Extent, Extents};

/// Ending of a file that is being freed. No row ever names one.
const GONE: &str = "gone";
/// How long a file that is being freed gives way to bodies that arrive, for each piece.
const GIVES_WAY: Duration = Duration::from_millis(100);
/// How long what is free in the file of bodies may still hold what was there.
const REST: Duration = Duration::from_secs(1);
/// How long a store that closes overwrites what is free; the rest is left to the next opening.
const CLOSE: Duration = Duration::from_secs(5);
/// Zeros written at once where something is overwritten.
pub(crate) static ZEROS: [u8; PIECE] = [0; PIECE];

/// Where a content lies outside the database.
pub(crate) enum Apart {
    /// In the file of this name.
    File(String),
    /// In the file of bodies.
    Extent(Extent),
}

/// The folder, shared by writers, readers and the thread that frees.
pub(crate) struct Folder {
    path: PathBuf,
    pub(crate) extents: Arc<Extents>,
    /// Octets to be kept free.
    free: u64,
    /// Counts the openings of the store: names never repeat.
    opening: u64,
    next: AtomicU64,
    readers: Mutex<Readers>,
    closing: AtomicBool,
    freeing: Sender<Free>,
    /// Large bodies are written and synced piece by piece, in turns. Hundreds of megabytes that are synced at once keep the
    /// disk from everything else, and the commit of a small message would wait behind them for half a second.
    turn: Arc<Semaphore>,
}

#[derive(Default)]
struct Readers {
    open: HashMap<String, usize>,
    doomed: HashSet<String>,
}

pub(crate) enum Free {
    File(String),
    /// Something in the file of bodies.
    Extents,
    Stop,
}

impl Folder {
    /// Opens the folder and frees every file that `is_known` does not claim; returns how many there were.
    pub(crate) fn open(
        path: PathBuf,
        (bodies, named): (PathBuf, Vec<Extent>),
        free: u64,
        opening: u64,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<(Arc<Folder>, Freeing, u64), StoreError> {
        let failed = |error| StoreError::file("read", &path, &error);
        let mut swept = 0;
        for file in fs::read_dir(&path).map_err(failed)? {
            let file = file.map_err(failed)?;
            if file.file_name().to_str().is_some_and(&is_known) {
                continue;
            }
            overwrite(&file.path(), || ()).map_err(|error| StoreError::file("sweep", &file.path(), &error))?;
            swept += 1;
        }
        let (freeing, requests) = channel();
        let extents = Extents::open(bodies, named, opening, freeing.clone())?;
        let readers = Mutex::new(Readers::default());
        let (next, turn) = (AtomicU64::new(1), Arc::new(Semaphore::new(1)));
        let folder = Arc::new(Folder {
            path,
            extents,
            free,
            opening,
            next,
            readers,
            closing: AtomicBool::new(false),
            freeing,
            turn,
        });
        let shared = Arc::clone(&folder);
        let thread = std::thread::Builder::new()
            .name("store-free".into())
            .spawn(move || shared.free_all(&requests))
            .map_err(|error| StoreError::file("start a thread for", &folder.path, &error))?;
        let freeing = Freeing { folder: Arc::clone(&folder), thread: Some(thread) };
        Ok((folder, freeing, swept))
    }

    /// Whether there is room for more than what must be kept free; `reusable` octets are free inside the database, which
    /// grows and does not shrink. Where a file system does not say, writing will tell.
    pub(crate) fn has_room(&self, reusable: u64) -> Result<(), StoreError> {
        match rustix::fs::statvfs(&self.path) {
            Ok(system) if system.f_bavail.saturating_mul(system.f_frsize).saturating_add(reusable) < self.free => {
                Err(StoreError::Low(self.path.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Creates a file that nothing refers to yet.
    pub(crate) async fn stage(self: &Arc<Folder>) -> Result<StagedFile, StoreError> {
        let name = format!("{}-{}", self.opening, self.next.fetch_add(1, Ordering::Relaxed));
        let (folder, path) = (Arc::clone(self), self.path.join(&name));
        apart(move || {
            let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let file = created.map_err(|error| StoreError::file("create", &path, &error))?;
            Ok(StagedFile { folder, name, path, file, owned: true })
        })
        .await
    }

    /// Makes the names of new files durable.
    pub(crate) async fn sync(&self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let sync = move || {
            let synced = File::open(&path).and_then(|folder| folder.sync_all());
            synced.map_err(|error| StoreError::file("sync", &path, &error))
        };
        apart(sync).await
    }

    /// Opens a committed file. None: it was freed meanwhile.
    pub(crate) fn read(self: &Arc<Folder>, name: &str) -> Result<Option<(File, OpenFile)>, StoreError> {
        let path = self.path.join(name);
        // Under the lock, so that freeing either sees this reader or has renamed the file.
        let mut readers = self.readers();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::file("open", &path, &error)),
        };
        *readers.open.entry(name.to_owned()).or_default() += 1;
        Ok(Some((file, OpenFile { folder: Arc::clone(self), name: name.to_owned(), path })))
    }

    /// A committed file that is a text.
    pub(crate) fn read_text(self: &Arc<Folder>, name: &str) -> Result<String, StoreError> {
        let mut text = String::new();
        let read = match self.read(name)? {
            Some((mut file, _open)) => file.read_to_string(&mut text),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        read.map(|_| text).map_err(|error| StoreError::file("read", &self.path.join(name), &error))
    }

    /// Frees what no row names any longer.
    pub(crate) fn free(&self, content: Apart) {
        match content {
            Apart::Extent(extent) => self.extents.free(extent),
            // A store that is closed no longer listens; the next opening sweeps the file.
            Apart::File(name) => drop(self.freeing.send(Free::File(name))),
        }
    }

    fn free_all(&self, requests: &Receiver<Free>) {
        let mut sweep_at = Instant::now() + REST;
        loop {
            let rest = if self.extents.is_stale() { sweep_at.duration_since(Instant::now()) } else { Duration::MAX };
            match requests.recv_timeout(rest) {
                Ok(Free::File(name)) => self.warn_of(&self.path, self.free_now(name)),
                Ok(Free::Extents) => sweep_at = Instant::now() + REST,
                Ok(Free::Stop) | Err(RecvTimeoutError::Disconnected) => break self.sweep_extents(true),
                Err(RecvTimeoutError::Timeout) => {
                    self.sweep_extents(false);
                    sweep_at = Instant::now() + REST;
                }
            }
        }
    }

    /// Overwrites what is free in the file of bodies, some at a time.
    fn sweep_extents(&self, at_close: bool) {
        let began = Instant::now();
        let goes_on = || if at_close { began.elapsed() < CLOSE } else { !self.closing.load(Ordering::Relaxed) };
        let sweep = || {
            // What becomes free meanwhile has its own time.
            let mut left = self.extents.stale_octets();
            while left > 0 && goes_on() {
                let _turn = self.gives_way();
                let swept = self.extents.sweep()?;
                left = if swept == 0 { 0 } else { left.saturating_sub(swept) };
            }
            self.extents.shorten(at_close)
        };
        self.warn_of(self.extents.path(), sweep());
    }

    fn warn_of(&self, path: &Path, freed: io::Result<()>) {
        if let Err(error) = freed {
            tracing::warn!(path = %path.display(), %error, "content was not freed; it is tried again, at the next start too");
        }
    }

    fn free_now(&self, name: String) -> io::Result<()> {
        let gone = self.path.join(format!("{name}.{GONE}"));
        {
            let mut readers = self.readers();
            if readers.open.contains_key(&name) {
                readers.doomed.insert(name);
                return Ok(());
            }
            fs::rename(self.path.join(&name), &gone)?;
        }
        overwrite(&gone, || self.gives_way())
    }

    /// A turn when nobody who arrives waits for one, or when that takes too long.
    fn gives_way(&self) -> Option<SemaphorePermit<'_>> {
        let began = Instant::now();
        loop {
            match self.turn.try_acquire() {
                Ok(turn) => return Some(turn),
                Err(_) if began.elapsed() > GIVES_WAY => return None,
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that no row refers to yet; freed when dropped.
pub(crate) struct StagedFile {
    folder: Arc<Folder>,
    name: String,
    path: PathBuf,
    file: File,
    owned: bool,
}

/// Does what waits for the disk on a thread that may wait.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
}

impl StagedFile {
    /// Adds a piece and syncs it. Where nobody waits for it any more the file is freed behind it, and not under it.
    pub(crate) async fn grow(mut self, piece: Vec<u8>) -> Result<StagedFile, StoreError> {
        let turn = Arc::clone(&self.folder.turn).acquire_owned().await;
        apart(move || {
            let failed = |error| StoreError::file("write", &self.path, &error);
            self.file.write_all(&piece).and_then(|()| self.file.sync_all()).map_err(failed)?;
            drop(turn);
            Ok(self)
        })
        .await
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Leaves the file where it is: its row is committed, or nobody can know whether it is. In the latter case the next
    /// opening knows and sweeps.
    pub(crate) fn leave(mut self) {
        self.owned = false;
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if self.owned {
            self.folder.free(Apart::File(std::mem::take(&mut self.name)));
        }
    }
}

/// A file that is being read.
pub(crate) struct OpenFile {
    folder: Arc<Folder>,
    name: String,
    path: PathBuf,
}

impl OpenFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let mut readers = self.folder.readers();
        let left = readers.open.get(&self.name).copied().unwrap_or(1) - 1;
        if left > 0 {
            readers.open.insert(self.name.clone(), left);
            return;
        }
        readers.open.remove(&self.name);
        if readers.doomed.remove(&self.name) {
            self.folder.free(Apart::File(std::mem::take(&mut self.name)));
        }
    }
}

/// The thread that frees; dropped, it finishes what it was asked and ends.
pub(crate) struct Freeing {
    folder: Arc<Folder>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Freeing {
    fn drop(&mut self) {
        self.folder.closing.store(true, Ordering::Relaxed);
        let _ = self.folder.freeing.send(Free::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Overwrites a file, makes that durable, and unlinks it. Where the file system copies on write this cannot reach the
/// old blocks; encrypt the disk there. Each piece waits for its turn.
fn overwrite<T>(path: &Path, turn: impl Fn() -> T) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_file() {
        let mut file = OpenOptions::new().write(true).open(path)?;
        let mut left = file.metadata()?.len();
        while left > 0 {
            let _turn = turn();
            let piece = left.min(ZEROS.len() as u64);
            file.write_all(&ZEROS[..usize::try_from(piece).unwrap_or(ZEROS.len())])?;
            file.sync_data()?;
            left -= piece;
        }
        return fs::remove_file(path);
    }
    Err(io::Error::other("it is no file; nothing but content belongs into this folder"))
}
