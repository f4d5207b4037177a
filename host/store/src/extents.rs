//! The file of middling bodies: each lies in an extent of it, and the row of its entry names where.
//!
//! In the database such a body would be written three times over, page by page: into the log, from the log into its place, and
//! with zeros when it is gone. Here it is written once, in one piece.
//!
//! 1. The writing thread puts a body into a free extent ([`Extents::put`]) and syncs the file before the transaction
//!    commits ([`Extents::sync`]).
//! 2. An extent that is free again still holds what was there, and is the first to be used again. What is not used again
//!    within a moment is overwritten by the thread that frees ([`Extents::sweep`]), which also shortens the file.
//! 3. At opening, what no row names is free, and swept like the rest.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::content::PIECE;
use crate::error::StoreError;
use crate::folder::{Free, ZEROS};

/// Smallest body in octets that is put here. Smaller ones share pages of the database, and its one sync.
pub(crate) const EXTENT_MIN: usize = 16 * 1024;
/// Extents begin and end at multiples of this: a page of the cache that holds parts of two bodies would be written twice.
const GRAIN: u64 = 4096;
/// Free extents that are looked at before the file grows instead; a queue of years must not make each arrival slow.
const LOOKS: usize = 256;
/// A free end of the file of so many octets is given back to the disk.
const SPARE_END: u64 = 1024 * 1024;

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
        Span { at: self.at, octets: self.octets.div_ceil(GRAIN).max(1) * GRAIN }
    }
}

/// A part of the file, in whole grains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    at: u64,
    octets: u64,
}

/// The file, shared by writers, readers and the thread that frees.
pub(crate) struct Extents {
    path: PathBuf,
    /// For bodies. The kernel tells each opening of a file once that a write behind it failed, so what sweeps has one of its
    /// own: its sync must not take away the news of a body that is lost.
    file: File,
    sweeping: File,
    map: Mutex<Map>,
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
}

/// Spans that do not touch each other: lengths by beginnings.
#[derive(Default)]
struct Spans(BTreeMap<u64, u64>);

impl Spans {
    fn add(&mut self, span: Span) {
        let Span { mut at, mut octets } = span;
        if let Some((&before, &length)) =
            self.0.range(..at).next_back().filter(|(before, length)| *before + **length == at)
        {
            self.0.remove(&before);
            (at, octets) = (before, octets + length);
        }
        if let Some(length) = self.0.remove(&(at + octets)) {
            octets += length;
        }
        self.0.insert(at, octets);
    }

    /// So much of the first that is large enough.
    fn take(&mut self, octets: u64) -> Option<Span> {
        let (at, found) =
            self.0.iter().take(LOOKS).find(|(_, found)| **found >= octets).map(|(at, found)| (*at, *found))?;
        self.0.remove(&at);
        if found > octets {
            self.0.insert(at + octets, found - octets);
        }
        Some(Span { at, octets })
    }

    /// Any of them, or a part of so much.
    fn take_any(&mut self, most: u64) -> Option<Span> {
        let first = self.0.first_key_value().map(|(_, found)| most.min(*found))?;
        self.take(first)
    }
}

impl Extents {
    /// Opens the file, which is created where it is missing; `named` is what rows name. Whenever there is something to sweep,
    /// `wake` is told.
    pub(crate) fn open(path: PathBuf, mut named: Vec<Extent>, wake: Sender<Free>) -> Result<Arc<Extents>, StoreError> {
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
        Ok(Arc::new(Extents { path, file, sweeping, map: Mutex::new(map), wake }))
    }

    /// Writes a body where nothing is. It counts once a row names it and [`Extents::sync`] has returned.
    pub(crate) fn put(self: &Arc<Self>, body: &[u8]) -> Result<StagedExtent, StoreError> {
        let octets = body.len() as u64;
        let wanted = Extent { at: 0, octets }.span().octets;
        let at = self.map().take(wanted);
        let staged = StagedExtent { extents: Arc::clone(self), extent: Extent { at, octets }, owned: true };
        let slack = usize::try_from(wanted - octets).unwrap_or_default();
        let written = self.file.write_all_at(body, at).and_then(|()| {
            // The rest of the last grain may hold what was there before.
            self.file.write_all_at(&ZEROS[..slack], at + octets)
        });
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
        if map.stale.0.is_empty() {
            // A store that is closed no longer listens; the next opening sweeps it.
            let _ = self.wake.send(Free::Extents);
        }
        map.stale.add(span);
    }

    /// Whether something free may still hold what was there.
    pub(crate) fn is_stale(&self) -> bool {
        !self.map().stale.0.is_empty()
    }

    /// Octets of it.
    pub(crate) fn stale_octets(&self) -> u64 {
        self.map().stale.0.values().sum()
    }

    /// Overwrites one piece of what is free, and makes that durable; how many octets. What holds zeros already, as after an opening most does,
    /// is only read.
    pub(crate) fn sweep(&self) -> io::Result<u64> {
        let Some(span) = self.map().stale.take_any(PIECE as u64) else { return Ok(0) };
        let swept = self.overwrite(span);
        let mut map = self.map();
        match &swept {
            Ok(()) => map.clean.add(span),
            Err(_) => map.stale.add(span),
        }
        swept.map(|()| span.octets)
    }

    fn overwrite(&self, span: Span) -> io::Result<()> {
        let zeros = &ZEROS[..usize::try_from(span.octets).unwrap_or(PIECE)];
        let mut found = vec![0; zeros.len()];
        match self.sweeping.read_exact_at(&mut found, span.at) {
            Ok(()) if found == zeros => return Ok(()),
            Ok(()) => {}
            // The file's end, from a body that the disk had no room for.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error),
        }
        self.sweeping.write_all_at(zeros, span.at)?;
        self.sweeping.sync_data()
    }

    /// Gives a free end of the file back to the disk, once it holds zeros; at the close however short it is.
    pub(crate) fn shorten(&self, at_close: bool) -> io::Result<()> {
        let mut map = self.map();
        let Some((&at, &octets)) = map.clean.0.last_key_value() else { return Ok(()) };
        if at + octets == map.end && (at_close || octets >= SPARE_END) {
            self.sweeping.set_len(at)?;
            map.clean.0.remove(&at);
            map.end = at;
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
    /// The body of an entry whose row was looked at since.
    pub(crate) fn read(&self, extent: Extent) -> Result<Vec<u8>, StoreError> {
        let mut body = vec![0; usize::try_from(extent.octets).unwrap_or_default()];
        let read = self.0.file.read_exact_at(&mut body, extent.at);
        read.map_err(|error| StoreError::file("read", &self.0.path, &error))?;
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
    owned: bool,
}

impl StagedExtent {
    pub(crate) fn extent(&self) -> Extent {
        self.extent
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
mod tests {
    use super::*;

    struct Place {
        folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Place {
            Place { folder: tempfile::tempdir().expect("a folder") }
        }

        fn open(&self, named: &[Extent]) -> Arc<Extents> {
            Extents::open(self.path(), named.to_vec(), std::sync::mpsc::channel().0).expect("opens")
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("bodies")
        }

        fn octets(&self) -> Vec<u8> {
            std::fs::read(self.path()).expect("read")
        }
    }

    fn put(extents: &Arc<Extents>, fill: u8, octets: usize) -> Extent {
        let staged = extents.put(&vec![fill; octets]).expect("put");
        extents.sync().expect("synced");
        let extent = staged.extent();
        staged.leave();
        extent
    }

    fn free_octets(extents: &Extents) -> u64 {
        let map = extents.map();
        map.stale.0.values().chain(map.clean.0.values()).sum()
    }

    fn sweep_all(extents: &Extents) {
        while extents.is_stale() {
            extents.sweep().expect("swept");
        }
        extents.shorten(true).expect("shortened");
    }

    #[test]
    fn what_is_free_is_used_again_and_holds_nothing_of_before() {
        let place = Place::new();
        let extents = place.open(&[]);
        let (one, two, three) = (put(&extents, 1, 20_000), put(&extents, 2, 20_000), put(&extents, 3, 5));
        assert_eq!([one.at, two.at, three.at], [0, 20_480, 40_960]);
        extents.free(two);
        extents.free(one);
        assert_eq!(free_octets(&extents), 40_960);
        // Both in one, and so much of it as is needed.
        let four = put(&extents, 4, 20_481);
        assert_eq!((four.at, free_octets(&extents)), (0, 40_960 - 24_576));
        assert!(place.octets()[20_481..24_576].iter().all(|octet| *octet == 0), "the slack of a used grain");
        sweep_all(&extents);
        let expected = [vec![4; 20_481], vec![0; 40_960 - 20_481], vec![3; 5], vec![0; 4_091]].concat();
        assert!(place.octets() == expected);
        for (extent, fill) in [(four, 4), (three, 3)] {
            assert_eq!(extents.reading().read(extent).expect("read"), vec![fill; extent.octets as usize]);
        }
        extents.free(three);
        sweep_all(&extents);
        assert!(place.octets() == [vec![4; 20_481], vec![0; 4_095]].concat(), "the end is given back");
    }

    #[test]
    fn what_was_not_committed_is_free_again() {
        let place = Place::new();
        let extents = place.open(&[]);
        drop(extents.put(&[7; 9_000]).expect("put"));
        assert_eq!(free_octets(&extents), 12_288);
        sweep_all(&extents);
        assert!(place.octets().is_empty());
    }

    #[test]
    fn at_opening_all_that_no_row_names_is_swept() {
        let place = Place::new();
        let extents = place.open(&[]);
        let all: Vec<Extent> = (1..=5).map(|fill| put(&extents, fill, 10_000)).collect();
        drop(extents);
        let extents = place.open(&[all[3], all[1]]);
        sweep_all(&extents);
        let (gap, tail) = (vec![0; 12_288], vec![0; 2_288]);
        let expected = [&gap, &vec![2; 10_000], &tail, &gap, &vec![4; 10_000], &tail].map(|part| &part[..]).concat();
        assert!(place.octets() == expected);
        let overlapping = Extent { at: all[1].at + GRAIN, octets: 1 };
        let error = Extents::open(place.path(), vec![all[1], overlapping], std::sync::mpsc::channel().0)
            .err()
            .expect("it is damaged");
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    }

    /// An entry that is gone while its body is read: the reader has the body whole, and not the one that takes its place.
    #[test]
    fn nothing_takes_the_place_of_what_is_being_read() {
        let place = Place::new();
        let extents = place.open(&[]);
        let one = put(&extents, 1, 20_000);
        let reading = extents.reading();
        extents.free(one);
        let two = put(&extents, 2, 20_000);
        sweep_all(&extents);
        assert_ne!(one.at, two.at);
        assert_eq!(reading.read(one).expect("read"), vec![1; 20_000]);
        drop(reading);
        assert_eq!(put(&extents, 3, 20_000).at, one.at);
    }

    #[test]
    fn a_file_that_is_shorter_than_its_rows_say_is_no_body() {
        let place = Place::new();
        let extents = place.open(&[Extent { at: 0, octets: 20_000 }]);
        let error = extents.reading().read(Extent { at: 0, octets: 20_000 }).expect_err("it is not there");
        assert!(matches!(error, StoreError::File { doing: "read", .. }), "{error}");
    }
}
