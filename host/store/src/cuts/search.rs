//! Cuts the power of a recorded run at one position after the other, and looks at what is left.
//!
//! First the states of the store are read: one behind every transaction, seen as a killed process leaves it. Whatever a
//! cut leaves must be one of these states, no older than the last answer before the cut and no newer than the
//! transaction under way, so that nothing is half there; and it must keep what the answers promise, so that nothing that
//! was answered is lost and nothing that was settled comes back.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::calls::Watch;
use super::disk::{Change, Disk, Fate, Image, materialise};
use super::model::Model;
use super::recorder::{Event, Recorder, Recording};
use super::seen::{Seen, look, look_twice};
use super::witness::Outcome;

/// How thoroughly to search.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) places: Where,
    /// Shuffled images at each.
    pub(super) shuffles: u64,
    /// Of so many images one is cut a second time, while the store opens.
    pub(super) twice: u64,
    /// Other seeds shuffle otherwise.
    pub(super) seed: u64,
    /// Whether an error may mean that a change was made all the same.
    pub(super) errors_leave_doubt: bool,
}

/// Where to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// At every so many writes, and at all that is no write: around each sync and each answer.
    Every(usize),
    /// Once a call has failed: at all answers, errors among them, and where files are freed.
    AfterFailure,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Positions there were.
    pub(super) events: u64,
    /// Positions at which the power was cut.
    pub(super) cuts: u64,
    /// Different disks that were opened.
    pub(super) images: u64,
    /// Of these, cut while another one was opened.
    pub(super) second: u64,
    /// States of the store, one behind every transaction.
    pub(super) states: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.events += other.events;
        self.cuts += other.cuts;
        self.images += other.images;
        self.second += other.second;
        self.states += other.states;
    }
}

/// Where the power was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cut {
    /// Events before it.
    pub(super) at: usize,
    pub(super) fate: Fate,
    /// A second cut while the store opened; `at` counts its events.
    pub(super) second: Option<(usize, Fate)>,
}

/// A cut that lost something.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) cut: Cut,
    pub(super) why: String,
}

/// Where images are opened.
pub(super) struct Bench {
    folder: tempfile::TempDir,
    root: PathBuf,
    next: AtomicU64,
    runtime: Runtime,
    _watch: Watch,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let folder = super::in_memory();
        let root = folder.path().canonicalize().expect("a path");
        let watch = Watch::over(&root, None);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Bench { folder, root, next: AtomicU64::new(1), runtime, _watch: watch }
    }

    fn place(&self) -> PathBuf {
        let place = self.root.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir(&place).expect("a folder");
        place
    }

    /// Opens an image and looks at it.
    pub(super) fn look(&self, image: &Image) -> Result<Seen, String> {
        self.open(image, false, None)
    }

    /// Opens an image; with a recorder, notes what opening does to it.
    fn open(&self, image: &Image, twice: bool, recorder: Option<&Arc<Recorder>>) -> Result<Seen, String> {
        let place = self.place();
        materialise(image, &place);
        let watch = recorder.map(|recorder| Watch::over(&place, Some(Arc::clone(recorder))));
        let store = place.join("store");
        let seen = if twice { look_twice(&store, &self.runtime) } else { look(&store, &self.runtime) };
        drop(watch);
        fs::remove_dir_all(&place).expect("removed");
        seen
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.folder.path());
    }
}

/// One search through one recording.
struct Search<'a> {
    bench: &'a Bench,
    recording: &'a Recording,
    plan: Plan,
    /// Events before it, and the state.
    states: Vec<(usize, Arc<Seen>)>,
    /// Where the first of them is read: the last answer before anything is cut.
    first: usize,
    /// The files that have been the database's log.
    logs: Vec<u32>,
    /// What the answers before the cut promise.
    model: Model,
    /// Images opened last: many cuts in a row leave the same.
    recent: Vec<(Image, Arc<Seen>)>,
    tally: Tally,
}

/// Searches a whole recording.
pub(super) fn search(bench: &Bench, recording: &Recording, plan: Plan) -> Result<Tally, Box<Found>> {
    let mut search = Search::begin(bench, recording, plan)?;
    let mut disk = recording.base.clone();
    for at in 0..=recording.events.len() {
        if search.is_worthwhile(at) {
            search.cut(&disk, at)?;
        }
        let Some(event) = recording.events.get(at) else { break };
        search.model.learn(event);
        if let Event::Changed(change) = event {
            disk.apply(change);
        }
    }
    Ok(search.tally)
}

/// Does one cut again.
pub(super) fn replay(bench: &Bench, recording: &Recording, plan: Plan, cut: Cut) -> Result<(), Box<Found>> {
    let mut search = Search::begin(bench, recording, plan)?;
    recording.events[..cut.at].iter().for_each(|event| search.model.learn(event));
    let image = recording.disk_at(cut.at).cut(cut.fate);
    match cut.second {
        None => search.judge(image, cut, true),
        Some((at, fate)) => {
            let opening = search.record_opening(&image, cut)?;
            search.judge(opening.disk_at(at).cut(fate), cut, true)
        }
    }
}

impl<'a> Search<'a> {
    fn begin(bench: &'a Bench, recording: &'a Recording, plan: Plan) -> Result<Search<'a>, Box<Found>> {
        let tally = Tally { events: recording.events.len() as u64, ..Tally::default() };
        let mut search = Search {
            bench,
            recording,
            plan,
            states: Vec::new(),
            first: 0,
            logs: logs(recording),
            model: Model::new(&recording.found, plan.errors_leave_doubt),
            recent: Vec::new(),
            tally,
        };
        let failed = recording.events.iter().position(|event| matches!(event, Event::Failed));
        search.first = search.synced_before_answer(match plan.places {
            Where::Every(_) => recording.before,
            Where::AfterFailure => failed.unwrap_or(recording.events.len()),
        });
        search.read_states()?;
        Ok(search)
    }

    /// Reads the states of the store.
    fn read_states(&mut self) -> Result<(), Box<Found>> {
        let mut disk = self.recording.base.clone();
        for at in 0..=self.recording.events.len() {
            if at >= self.first && self.ends_transaction(at) {
                let cut = Cut { at, fate: Fate::Everything, second: None };
                let seen = self.look(disk.cut(Fate::Everything)).map_err(|why| Box::new(Found { cut, why }))?;
                self.states.push((at, seen));
            }
            if let Some(Event::Changed(change)) = self.recording.events.get(at) {
                disk.apply(change);
            }
        }
        self.tally.states = self.states.len() as u64;
        Ok(())
    }

    /// All of a transaction is in the log when the log is synced, and nothing of the next one. It may be there as well when a
    /// call fails before that; then it was refused, and is in doubt as behind a sync that failed.
    fn ends_transaction(&self, at: usize) -> bool {
        use Change::{SyncFile, SyncFileFailed, SyncForgotten};
        match self.recording.events.get(at) {
            Some(Event::Changed(SyncFile { file } | SyncFileFailed { file } | SyncForgotten { file })) => {
                self.logs.contains(file)
            }
            Some(Event::Failed) => true,
            event => at == 0 || event.is_none(),
        }
    }

    fn is_worthwhile(&self, at: usize) -> bool {
        let events = &self.recording.events;
        let before = at.checked_sub(1).map(|before| &events[before]);
        match self.plan.places {
            Where::AfterFailure => {
                use Change::{Rename, Unlink};
                let matters =
                    |event| matches!(event, &Event::Answered { .. } | Event::Changed(Rename { .. } | Unlink { .. }));
                at >= self.first && (at == events.len() || before.is_some_and(matters))
            }
            Where::Every(stride) => {
                let matters =
                    |event: &Event| !matches!(event, Event::Changed(Change::Write { .. }) | Event::Asked { .. });
                at >= self.recording.before
                    && (at.is_multiple_of(stride) || events.get(at).is_none_or(matters) || before.is_some_and(matters))
            }
        }
    }

    /// Every fate at one position.
    fn cut(&mut self, disk: &Disk, at: usize) -> Result<(), Box<Found>> {
        self.tally.cuts += 1;
        let seed = |round: u64| Fate::Shuffled(self.plan.seed.wrapping_mul(1_000_003) ^ ((at as u64) << 20) ^ round);
        let shuffles = if disk.is_uncertain() { self.plan.shuffles } else { 0 };
        let shuffled: Vec<_> = (0..shuffles).map(seed).collect();
        for fate in [Fate::Nothing, Fate::Everything].into_iter().chain(shuffled) {
            let cut = Cut { at, fate, second: None };
            let image = disk.cut(fate);
            let images = self.tally.images;
            let cut_again = self.plan.twice > 0 && self.tally.images.is_multiple_of(self.plan.twice);
            self.judge(image.clone(), cut, cut_again)?;
            if cut_again && self.tally.images > images {
                self.cut_opening(&image, cut)?;
            }
        }
        Ok(())
    }

    /// Cuts once more while the store opens what the first cut left.
    fn cut_opening(&mut self, image: &Image, cut: Cut) -> Result<(), Box<Found>> {
        let opening = self.record_opening(image, cut)?;
        let length = opening.events.len();
        for part in 1..4 {
            let at = length * part / 4;
            let seed = self.plan.seed ^ ((cut.at as u64) << 24) ^ part as u64;
            for fate in [Fate::Nothing, Fate::Shuffled(seed)] {
                self.tally.second += 1;
                self.judge(opening.disk_at(at).cut(fate), Cut { second: Some((at, fate)), ..cut }, false)?;
            }
        }
        Ok(())
    }

    fn record_opening(&self, image: &Image, cut: Cut) -> Result<Recording, Box<Found>> {
        let recorder = Arc::new(Recorder::resume(Recording { base: Disk::of(image), ..Recording::default() }));
        self.bench.open(image, false, Some(&recorder)).map_err(|why| Box::new(Found { cut, why }))?;
        Ok(recorder.recording())
    }

    /// Opens what a cut left, and finds its state among those it may have.
    fn judge(&mut self, image: Image, cut: Cut, twice: bool) -> Result<(), Box<Found>> {
        let found = |why: String| Box::new(Found { cut, why });
        let seen = if twice {
            self.tally.images += 1;
            Arc::new(self.bench.open(&image, true, None).map_err(found)?)
        } else {
            self.look(image).map_err(found)?
        };
        self.model.check(&seen).map_err(found)?;
        let synced = self.synced_before_answer(cut.at);
        let oldest = self.states.iter().rposition(|(at, _)| *at <= synced);
        let newest = self.states.iter().position(|(at, _)| *at >= cut.at).unwrap_or(self.states.len() - 1);
        let allowed = &self.states[oldest.unwrap_or(0)..=newest];
        if allowed.iter().any(|(_, state)| *state == seen) {
            return Ok(());
        }
        let elsewhere = self.states.iter().rfind(|(_, state)| *state == seen);
        let as_of = elsewhere.map_or("at no time".to_owned(), |(at, _)| format!("after {at} events"));
        Err(found(format!(
            "the store is as it was {as_of}: {}; the last answer before the cut left {}",
            seen.summary(),
            allowed[0].1.summary()
        )))
    }

    /// Where the log was last synced before the last answer before a position.
    fn synced_before_answer(&self, at: usize) -> usize {
        let answer = self.recording.events[..at].iter().rposition(is_answer).unwrap_or(0);
        // A sync that failed ends a transaction too, yet promises nothing to an answer that came late for the one before.
        let failed = |at: usize| {
            matches!(self.recording.events[at], Event::Failed | Event::Changed(Change::SyncFileFailed { .. }))
        };
        (0..answer).rev().find(|at| self.ends_transaction(*at) && !failed(*at)).unwrap_or(0)
    }

    /// Opens an image, unless it was opened just now.
    fn look(&mut self, image: Image) -> Result<Arc<Seen>, String> {
        if let Some((_, seen)) = self.recent.iter().find(|(recent, _)| *recent == image) {
            return Ok(Arc::clone(seen));
        }
        self.tally.images += 1;
        let mut seen = self.bench.open(&image, false, None)?;
        if let Some((_, earlier)) = self.recent.last() {
            seen.share_bodies(earlier);
        }
        let seen = Arc::new(seen);
        self.recent.push((image, Arc::clone(&seen)));
        if self.recent.len() > 3 {
            self.recent.remove(0);
        }
        Ok(seen)
    }
}

fn is_answer(event: &Event) -> bool {
    matches!(event, Event::Answered { outcome: Outcome::Done(_), .. })
}

/// The files that have been the database's log.
fn logs(recording: &Recording) -> Vec<u32> {
    let made = recording.events.iter().filter_map(|event| match event {
        Event::Changed(Change::Make { name, node }) => Some((name, *node)),
        _ => None,
    });
    let there = recording.base.names();
    made.chain(there.iter().map(|(name, node)| (name, *node)))
        .filter(|(name, _)| name.ends_with("-wal"))
        .filter_map(|(_, node)| match node {
            super::disk::Node::File(file) => Some(file),
            super::disk::Node::Folder => None,
        })
        .collect()
}
