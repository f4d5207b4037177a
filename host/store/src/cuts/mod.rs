//! Power cuts: the store on a disk that forgets what was not synced.
//!
//! A run of the store is recorded once, call by call ([`calls`], [`recorder`]), with what was asked and answered in
//! between ([`witness`]). Then the power is cut at its writes, one after the other ([`search`]): the disks a cut may
//! leave are made ([`disk`]): without anything unsynced, with all of it, and with any part of it, torn and reordered.
//! On each the store is opened ([`seen`]) and held against the answers ([`model`]). The conformance suite is recorded,
//! and runs of our own ([`scenarios`]).
//!
//! As it is, every sync, answer, and change of a name is cut at, every `STRIDE`th of the other writes, with one shuffle
//! each. `SEALWIRE_CUTS=N` cuts at every write, with N shuffles, and `SEALWIRE_SEED` chooses others. A cut that loses
//! something is written to a file, which `SEALWIRE_CUT=file` does again, alone.

mod calls;
mod disk;
mod faults;
mod model;
mod recorder;
mod scenarios;
mod search;
mod seen;
mod witness;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use self::calls::Watch;
use self::disk::Disk;
use self::recorder::{Lie, Recorder, Recording};
use self::search::{Bench, Cut, Found, Plan, Tally, Where};
use self::witness::{Sent, Witness};
use crate::conformance::{self, Place};
use crate::{NewEntry, SqliteStore, Store, StoreError};

/// Of the writes between two syncs, one in so many is cut at, where nothing else is asked for.
const STRIDE: usize = 16;

/// A folder in memory, where there is such a thing: images are made and thrown away by the thousand.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// A folder whose every change is recorded.
struct Recorded {
    root: PathBuf,
    recorder: Arc<Recorder>,
    watch: Watch,
    folder: tempfile::TempDir,
}

impl Recorded {
    fn new(recorder: Recorder) -> Recorded {
        let folder = in_memory();
        let root = folder.path().canonicalize().expect("a path");
        let recorder = Arc::new(recorder);
        let watch = Watch::over(&root, Some(Arc::clone(&recorder)));
        Recorded { root, recorder, watch, folder }
    }

    /// Begins with a store that `make` has made, all of it synced and all of its entries known.
    fn over(make: impl FnOnce(&Path) -> Vec<NewEntry>) -> Recorded {
        let folder = in_memory();
        let root = folder.path().canonicalize().expect("a path");
        let entries = make(&root.join("store"));
        let found = entries.iter().map(|new| Sent::of(new, &Default::default())).collect();
        let base = Disk::of(&disk::read(&root));
        let recorder = Arc::new(Recorder::resume(Recording { base, found, ..Recording::default() }));
        let watch = Watch::over(&root, Some(Arc::clone(&recorder)));
        Recorded { root, recorder, watch, folder }
    }

    /// Goes on where a process was killed.
    fn after_kill(recording: Recording) -> Recorded {
        let folder = in_memory();
        let root = folder.path().canonicalize().expect("a path");
        disk::materialise(&recording.last(), &root);
        let recorder = Arc::new(Recorder::resume(recording));
        let watch = Watch::over(&root, Some(Arc::clone(&recorder)));
        Recorded { root, recorder, watch, folder }
    }

    fn open(&self) -> Arc<Witness> {
        self.try_open().expect("the store opens")
    }

    fn try_open(&self) -> Result<Arc<Witness>, StoreError> {
        let store = SqliteStore::open(self.root.join("store"))?;
        Ok(Arc::new(Witness::of(store, Arc::clone(&self.recorder))))
    }

    /// Ends the recording, and makes sure that it has seen everything.
    fn end(self) -> Recording {
        let recording = self.recorder.recording();
        drop(self.watch);
        assert!(recording.last() == disk::read(self.folder.path()), "a call that changes the disk was overlooked");
        recording
    }
}

impl Place for Arc<Recorded> {
    fn open(&self) -> Arc<dyn Store> {
        Recorded::open(self)
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime")
}

/// Records one run.
fn record(place: Recorded, run: impl AsyncFnOnce(&Recorded)) -> Recording {
    runtime().block_on(run(&place));
    place.end()
}

/// The whole conformance suite, each check in a recording of its own.
fn record_conformance() -> Vec<Recording> {
    let places: Mutex<Vec<Arc<Recorded>>> = Mutex::default();
    runtime().block_on(conformance::run(|| {
        let place = Arc::new(Recorded::new(Recorder::default()));
        places.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&place));
        Box::new(place)
    }));
    let places = places.into_inner().unwrap_or_else(PoisonError::into_inner);
    places.into_iter().map(|place| Arc::into_inner(place).expect("every check has ended").end()).collect()
}

/// What the environment asks for, or what a test run can afford.
fn plan() -> Plan {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let seed = number("SEALWIRE_SEED").unwrap_or(1);
    let usual = Plan { places: Where::Every(STRIDE), shuffles: 1, twice: 40, seed, errors_leave_doubt: false };
    match number("SEALWIRE_CUTS") {
        Some(shuffles) => Plan { places: Where::Every(1), shuffles, twice: 10, ..usual },
        None => usual,
    }
}

/// A cut that lost something, with all that is needed to do it again.
#[derive(Serialize, Deserialize)]
struct Case {
    name: String,
    cut: Cut,
    errors_leave_doubt: bool,
    recording: Recording,
}

impl Case {
    fn write(&self, path: &Path) {
        fs::write(path, serde_json::to_vec(self).expect("written as JSON")).expect("written");
    }

    fn read(path: &Path) -> Case {
        serde_json::from_slice(&fs::read(path).expect("read")).expect("a case")
    }

    fn replay(&self) -> Result<(), Box<Found>> {
        let plan = Plan { errors_leave_doubt: self.errors_leave_doubt, ..plan() };
        search::replay(&Bench::new(), &self.recording, plan, self.cut)
    }
}

/// Searches recordings; what is found is written down and ends the test.
fn search_all(name: &str, recordings: impl IntoIterator<Item = Recording>, plan: Plan) -> Tally {
    let (bench, begun) = (Bench::new(), Instant::now());
    let mut total = Tally::default();
    for recording in recordings {
        match search::search(&bench, &recording, plan) {
            Ok(tally) => total += tally,
            Err(found) => {
                let file = format!("sealwire-cut-{}-{}.json", name.replace(' ', "-"), std::process::id());
                let path = std::env::temp_dir().join(file);
                let Found { cut, why } = *found;
                let errors_leave_doubt = plan.errors_leave_doubt;
                Case { name: name.into(), cut, errors_leave_doubt, recording }.write(&path);
                panic!(
                    "{name}, {cut:?}, seed {}: {why}\nagain: SEALWIRE_CUT={} cargo test -p sealwire-store cuts::replays",
                    plan.seed,
                    path.display()
                );
            }
        }
    }
    eprintln!("{name}: {total:?} in {:.1} s", begun.elapsed().as_secs_f32());
    total
}

fn survives(name: &str, place: Recorded, run: impl AsyncFnOnce(&Recorded)) {
    let tally = search_all(name, [record(place, run)], plan());
    assert!(tally.images > 20 && tally.states > 2, "{name} was hardly cut: {tally:?}");
}

fn fresh() -> Recorded {
    Recorded::new(Recorder::default())
}

#[test]
fn first_opening() {
    survives("first opening", fresh(), scenarios::first_opening);
}

#[test]
fn group_commits() {
    survives("group commits", fresh(), scenarios::group_commits);
}

#[test]
fn large_contents() {
    survives("large contents", fresh(), scenarios::large_contents);
}

#[test]
fn middling_contents() {
    survives("middling contents", fresh(), scenarios::middling_contents);
}

#[test]
fn settling() {
    survives("settling", fresh(), scenarios::settling);
}

#[test]
fn knowledge() {
    survives("knowledge", fresh(), scenarios::knowledge);
}

#[test]
fn acts() {
    survives("acts", fresh(), scenarios::acts);
}

#[test]
fn revisions() {
    survives("revisions", fresh(), scenarios::revisions);
}

#[test]
fn migration() {
    for version in 1..crate::schema::NEWEST as usize {
        let older = Recorded::over(|store| scenarios::make_older(store, version));
        survives("migration", older, scenarios::migration);
    }
}

/// A killed process leaves writes that nobody will sync; the next one builds on them, and then the power is cut.
#[test]
fn killed_and_then_cut() {
    let killed = record(fresh(), scenarios::large_contents);
    let kills = if std::env::var_os("SEALWIRE_CUTS").is_some() { 100 } else { 12 };
    let recordings = (1..=kills).map(|kill| {
        let place = Recorded::after_kill(killed.killed_at(killed.events.len() * kill / kills));
        record(place, scenarios::going_on)
    });
    let tally = search_all("killed, then cut", recordings, Plan { twice: 0, ..plan() });
    assert!(tally.images > 20 && tally.states > 2, "{tally:?}");
}

#[test]
fn the_conformance_suite() {
    let tally = search_all("conformance", record_conformance(), plan());
    assert!(tally.images > 20 && tally.states > 2, "{tally:?}");
}

/// A store that forgets a sync must not pass: these bugs are planted, and each must be found.
#[test]
fn forgotten_syncs_are_found() {
    for lie in [Lie::Log, Lie::Bodies, Lie::Content, Lie::ContentFolder, Lie::Parent] {
        let lying = Recorded::new(Recorder::lying(Some(lie)));
        let recording = match lie {
            Lie::Bodies => record(lying, scenarios::middling_contents),
            _ => record(lying, scenarios::large_contents),
        };
        let found = search::search(&Bench::new(), &recording, plan());
        let found = found.expect_err(&format!("{lie:?} was not found"));
        eprintln!("{lie:?}: {:?}: {}", found.cut, found.why);
    }
}

/// `SEALWIRE_CUT` names the case to do again; without it, a planted bug is found, written down and found again.
#[test]
fn replays() {
    if let Some(path) = std::env::var_os("SEALWIRE_CUT") {
        let case = Case::read(Path::new(&path));
        return case.replay().unwrap_or_else(|found| panic!("{}, {:?}: {}", case.name, found.cut, found.why));
    }
    let recording = record(Recorded::new(Recorder::lying(Some(Lie::Log))), scenarios::first_opening);
    let found = search::search(&Bench::new(), &recording, plan()).expect_err("a planted bug");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("case.json");
    Case { name: "planted".into(), cut: found.cut, errors_leave_doubt: false, recording }.write(&path);
    let again = Case::read(&path).replay().expect_err("the same bug");
    assert_eq!((again.cut, &again.why), (found.cut, &found.why));
}
