//! The file of middling bodies: each lies in an extent of it, and the row of its entry names where.
//!
//! In the database such a body would be written three times over, page by page: into the log, from the log into its place, and
//! with zeros when it is gone. Here it is written once, in one piece.
//!
//! 1. The writing thread puts a body into a free extent ([`Extents::put`]) and syncs the file before the transaction
//!    commits ([`Extents::sync`]). Behind the body stands a number that its row has too: a database that was put back beside
//!    another file must not give anybody a stranger's mail.
//! 2. An extent that is free again still holds what was there, and is the first to be used again. What is not used again
//!    within a moment is overwritten by the thread that frees ([`Extents::sweep`]), which also shortens the file.
//! 3. At opening, what no row names is free, and swept like the rest.

mod spans;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FallocateFlags;

use crate::content::PIECE;
use crate::error::StoreError;
use crate::folder::{Free, ZEROS};
use spans::{Span, Spans};

/// Smallest body in octets that is put here. Smaller ones share pages of the database, and its one sync.
pub(crate) const EXTENT_MIN: usize = 16 * 1024;
/// Extents begin and end at multiples of this: a page of the cache that holds parts of two bodies would be written twice.
const GRAIN: u64 = 4096;
/// Octets of the number behind a body.
const TAG_OCTETS: u64 = 8;
/// A free end of the file of so many octets is given back to the disk.
const SPARE_END: u64 = 1024 * 1024;
/// Octets elsewhere that are given back, where the file system can make holes in files.
const SPARE: u64 = 128 * 1024;
/// Pieces that are overwritten for one sync.
const SWEPT_AT_ONCE: usize = 16;

/// Where a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Octets before it.
    pub(crate) at: u64,
    /// Octets of the body.
    pub(crate) octets: u64,
}

impl Extent {
    /// What it takes up.
    fn span(self) -> Span {
        Span { at: self.at, octets: (self.octets + TAG_OCTETS).div_ceil(GRAIN) * GRAIN }
    }
}

/// The file, shared by writers, readers and the thread that frees.
pub(crate) struct Extents {
    path: PathBuf,
    /// For bodies. The kernel tells each opening of a file once that a write behind it failed, so what sweeps has one of its
    /// own: its sync must not take away the news of a body that is lost.
    file: File,
    sweeping: File,
    map: Mutex<Map>,
    /// The last number that was given to a body; no earlier opening gave it.
    tags: AtomicU64,
    wake: Sender<Free>,
}

/// What is free; the rest up to the end is named by rows, or about to be.
#[derive(Default)]
struct Map {
    /// May hold what was there before.
    stale: Spans,
    /// Holds zeros.
    clean: Spans,
    end: u64,
    /// Bodies were put since the last sync.
    unsynced: bool,
    /// Those who read now, and what became free meanwhile: it must stay until they are through, for a reader whose entry
    /// is gone must not be given another's body.
    readers: usize,
    kept_for_readers: Vec<Span>,
    /// A sweep could not be synced: what reads as zeros may be none on the disk.
    unsure: bool,
}

impl Extents {
    /// Opens the file, which is created where it is missing; `named` is what rows name. Whenever there is something to sweep,
    /// `wake` is told.
    pub(crate) fn open(
        path: PathBuf,
        mut named: Vec<Extent>,
        opening: u64,
        wake: Sender<Free>,
    ) -> Result<Arc<Extents>, StoreError> {
        let open = || OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
        let failed = |error| StoreError::file("open", &path, &error);
        let (file, sweeping) = (open().map_err(failed)?, open().map_err(failed)?);
        let length = file.metadata().map_err(failed)?.len().next_multiple_of(GRAIN);
        let mut map = Map::default();
        named.sort_unstable_by_key(|extent| extent.at);
        for span in named.into_iter().map(Extent::span) {
            if span.at < map.end {
                let detail = format!("two messages name the octets behind {}", span.at);
                return Err(StoreError::Corrupt { path, detail });
            }
            map.free_between(map.end, span.at);
            map.end = span.at + span.octets;
        }
        map.free_between(map.end, length);
        map.end = map.end.max(length);
        let tags = AtomicU64::new(opening << 32);
        Ok(Arc::new(Extents { path, file, sweeping, map: Mutex::new(map), tags, wake }))
    }

    /// Writes a body where nothing is. It counts once a row names it and [`Extents::sync`] has returned.
    pub(crate) fn put(self: &Arc<Self>, body: &[u8]) -> Result<StagedExtent, StoreError> {
        let octets = body.len() as u64;
        let wanted = Extent { at: 0, octets }.span().octets;
        let at = self.map().take(wanted);
        let tag = self.tags.fetch_add(1, Ordering::Relaxed) + 1;
        let staged = StagedExtent { extents: Arc::clone(self), extent: Extent { at, octets }, tag, owned: true };
        // The rest of the last grain may hold what was there before.
        let mut rest = vec![0; usize::try_from(wanted - octets).unwrap_or_default()];
        rest[..TAG_OCTETS as usize].copy_from_slice(&tag.to_be_bytes());
        let written = self.file.write_all_at(body, at).and_then(|()| self.file.write_all_at(&rest, at + octets));
        written.map_err(|error| StoreError::file("write", &self.path, &error))?;
        Ok(staged)
    }

    /// Makes durable what was put; nothing to do where nothing was.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        if !std::mem::take(&mut self.map().unsynced) {
            return Ok(());
        }
        self.file.sync_data().map_err(|error| StoreError::file("sync", &self.path, &error))
    }

    /// From now on until it is dropped nothing is overwritten that a row names now.
    pub(crate) fn reading(&self) -> Reading<'_> {
        self.map().readers += 1;
        Reading(self)
    }

    /// Frees what no row names any longer.
    pub(crate) fn free(&self, extent: Extent) {
        let mut map = self.map();
        if map.readers > 0 {
            map.kept_for_readers.push(extent.span());
        } else {
            self.stale(&mut map, extent.span());
        }
    }

    fn stale(&self, map: &mut Map, span: Span) {
        if map.stale.is_empty() {
            // A store that is closed no longer listens; the next opening sweeps it.
            let _ = self.wake.send(Free::Extents);
        }
        map.stale.add(span);
    }

    /// Whether something free may still hold what was there.
    pub(crate) fn is_stale(&self) -> bool {
        !self.map().stale.is_empty()
    }

    /// Octets that may still hold what was there.
    pub(crate) fn stale_octets(&self) -> u64 {
        self.map().stale.by_place.values().sum()
    }

    /// Overwrites some of what is free, and makes that durable; how many octets. What cannot be overwritten is left for the next
    /// time, and holds up nothing else. What holds zeros already, as after an opening most does, is only read.
    pub(crate) fn sweep(&self) -> io::Result<u64> {
        let taken: Vec<Span> = {
            let mut map = self.map();
            std::iter::from_fn(|| map.stale.take_any(PIECE as u64)).take(SWEPT_AT_ONCE).collect()
        };
        let unsure = self.map().unsure;
        let overwritten: Vec<io::Result<bool>> = taken.iter().map(|span| self.overwrite(*span, unsure)).collect();
        let any = overwritten.iter().any(|any| matches!(any, Ok(true)));
        let synced = if any { self.sweeping.sync_data() } else { Ok(()) };
        let mut map = self.map();
        map.unsure |= synced.is_err();
        let (mut clean, mut failed) = (Vec::new(), None);
        for (span, overwritten) in taken.into_iter().zip(overwritten) {
            match overwritten {
                Ok(_) if synced.is_ok() => {
                    map.clean.add(span);
                    clean.push(span);
                }
                Ok(_) => map.stale.add(span),
                Err(error) => {
                    map.stale.add(span);
                    failed = Some(error);
                }
            }
        }
        // All that was written while it was unsure has been written again and synced.
        map.unsure &= !(synced.is_ok() && failed.is_none() && map.stale.is_empty());
        drop(map);
        synced?;
        self.make_holes(&clean);
        failed.map_or_else(|| Ok(clean.iter().map(|span| span.octets).sum()), Err)
    }

    /// Whether there was anything to overwrite.
    fn overwrite(&self, span: Span, unsure: bool) -> io::Result<bool> {
        let zeros = &ZEROS[..usize::try_from(span.octets).unwrap_or(PIECE)];
        if !unsure {
            let mut found = vec![0; zeros.len()];
            match self.sweeping.read_exact_at(&mut found, span.at) {
                Ok(()) if found == zeros => return Ok(false),
                Ok(()) => {}
                // The file's end, from a body that the disk had no room for.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(error),
            }
        }
        self.sweeping.write_all_at(zeros, span.at).map(|()| true)
    }

    /// Gives the space of what holds zeros on the disk back to it, unless somebody uses it again already. Where that cannot be
    /// done it is kept for bodies to come.
    fn make_holes(&self, swept: &[Span]) {
        let map = self.map();
        for span in swept.iter().filter(|span| span.octets >= SPARE) {
            let still_free = map.clean.by_place.range(..=span.at).next_back();
            if still_free.is_some_and(|(at, octets)| at + octets >= span.end()) {
                let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                let _ = rustix::fs::fallocate(&self.sweeping, how, span.at, span.octets);
            }
        }
    }

    /// Gives a free end of the file back to the disk, once it holds zeros; at the close however short it is.
    pub(crate) fn shorten(&self, at_close: bool) -> io::Result<()> {
        let mut map = self.map();
        let Some(last) = map.clean.last() else { return Ok(()) };
        if last.end() == map.end && (at_close || last.octets >= SPARE_END) {
            self.sweeping.set_len(last.at)?;
            map.clean.remove(last);
            map.end = last.at;
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Nothing is left half done where a thread panicked.
    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Map {
    /// The beginning of so many free octets, which are free no longer.
    fn take(&mut self, octets: u64) -> u64 {
        self.unsynced = true;
        if let Some(span) = self.stale.take(octets).or_else(|| self.clean.take(octets)) {
            return span.at;
        }
        let at = self.end;
        self.end += octets;
        at
    }

    fn free_between(&mut self, from: u64, to: u64) {
        if to > from {
            self.stale.add(Span { at: from, octets: to - from });
        }
    }
}

/// Somebody who reads; see [`Extents::reading`].
pub(crate) struct Reading<'a>(&'a Extents);

impl Reading<'_> {
    /// The body of an entry whose row was looked at since, and names it by this number.
    pub(crate) fn read(&self, extent: Extent, tag: u64) -> Result<Vec<u8>, StoreError> {
        let mut body = vec![0; usize::try_from(extent.octets + TAG_OCTETS).unwrap_or_default()];
        let read = self.0.file.read_exact_at(&mut body, extent.at);
        read.map_err(|error| StoreError::file("read", &self.0.path, &error))?;
        if body.split_off(extent.octets as usize) != tag.to_be_bytes() {
            let detail =
                format!("what lies at {} is another message's: it is not the file of this database", extent.at);
            return Err(StoreError::Corrupt { path: self.0.path.clone(), detail });
        }
        Ok(body)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut map = self.0.map();
        map.readers -= 1;
        if map.readers == 0 {
            for span in std::mem::take(&mut map.kept_for_readers) {
                self.0.stale(&mut map, span);
            }
        }
    }
}

/// An extent that no row names yet; free again when dropped.
pub(crate) struct StagedExtent {
    extents: Arc<Extents>,
    extent: Extent,
    tag: u64,
    owned: bool,
}

impl StagedExtent {
    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    /// The number that its row must have.
    pub(crate) fn tag(&self) -> u64 {
        self.tag
    }

    /// Leaves it as it is: its row is committed, or nobody can know whether it is. In the latter case the next opening knows.
    pub(crate) fn leave(mut self) {
        self.owned = false;
    }
}

impl Drop for StagedExtent {
    fn drop(&mut self) {
        if self.owned {
            self.extents.free(self.extent);
        }
    }
}

#[cfg(test)]
mod tests;
