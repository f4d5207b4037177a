//! The recording of a run: every change of the disk, and between them what the store was asked and what it answered.
//!
//! A recorder can also spoil the run: let calls fail as a bad or a full disk would ([`Fault`]), or pretend that the
//! store forgot a sync ([`Lie`]), which is how the search for lost mail is itself tested.

use std::collections::BTreeMap;
use std::os::raw::{c_int, c_long};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::disk::{Change, Disk, Fate, Image, Node, is_memory};
use super::witness::{Ask, Outcome, Sent};

/// What happened, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Event {
    Changed(Change),
    Asked {
        request: u64,
        ask: Ask,
    },
    Answered {
        request: u64,
        outcome: Outcome,
    },
    /// A call was made to fail.
    Failed,
}

/// A whole run: the disk it found and what happened then.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Recording {
    pub(super) base: Disk,
    /// The entries on it.
    pub(super) found: Vec<Sent>,
    pub(super) events: Vec<Event>,
    /// Events of a process that was killed; its cuts are another recording's.
    pub(super) before: usize,
}

impl Recording {
    /// The disk after so many events.
    pub(super) fn disk_at(&self, at: usize) -> Disk {
        let mut disk = self.base.clone();
        for event in &self.events[..at] {
            if let Event::Changed(change) = event {
                disk.apply(change);
            }
        }
        disk
    }

    /// The disk at its end, as the running program sees it.
    pub(super) fn last(&self) -> Image {
        self.disk_at(self.events.len()).cut(Fate::Everything)
    }

    /// As if the process had been killed after so many events.
    pub(super) fn killed_at(&self, at: usize) -> Recording {
        Recording { events: self.events[..at].to_vec(), before: at, ..self.clone() }
    }
}

/// What an open descriptor stands for.
#[derive(Clone, Debug)]
pub(super) enum Opened {
    File(u32),
    Folder(String),
}

/// A sync that the store makes and the recording does not see: a planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// Of the database's log.
    Log,
    /// Of the file of bodies.
    Bodies,
    /// Of large contents.
    Content,
    /// Of the folder they lie in.
    ContentFolder,
    /// Of the folder in which the store's own folder lies.
    Parent,
}

/// Calls that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// How many calls of its kind go well before.
    pub(super) after: usize,
    /// How many fail.
    pub(super) count: usize,
}

/// How they fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FaultKind {
    /// Files cannot be made or written: no space is left. A first write still finds room for half of itself.
    NoSpace,
    /// Writes fail.
    Write,
    /// Syncs fail; Linux then forgets what was not written.
    Sync,
}

/// Notes what happens to one disk.
#[derive(Default)]
pub(super) struct Recorder {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    recording: Recording,
    /// All names as the running program sees them.
    names: BTreeMap<String, Node>,
    /// By what name each file was made.
    made_as: BTreeMap<u32, String>,
    requests: u64,
    fault: Option<Fault>,
    /// Calls of the fault's kind so far.
    met: usize,
    /// The last write for which there was room, if only for half of it.
    halved: bool,
    lie: Option<Lie>,
}

impl Recorder {
    /// Goes on where a recording ends: what is not synced then is not synced now.
    pub(super) fn resume(recording: Recording) -> Recorder {
        let recorder = Recorder::default();
        let mut state = recorder.state();
        state.names = recording.disk_at(recording.events.len()).names();
        let made = recording.events.iter().filter_map(|event| match event {
            Event::Changed(Change::Make { name, node: Node::File(file) }) => Some((*file, name.clone())),
            _ => None,
        });
        state.made_as = made.collect();
        for (name, node) in recording.base.names() {
            if let Node::File(file) = node {
                state.made_as.insert(file, name);
            }
        }
        state.requests = recording.events.len() as u64;
        state.recording = recording;
        drop(state);
        recorder
    }

    pub(super) fn lying(lie: Option<Lie>) -> Recorder {
        let recorder = Recorder::default();
        recorder.state().lie = lie;
        recorder
    }

    pub(super) fn failing(fault: Fault) -> Recorder {
        let recorder = Recorder::default();
        recorder.state().fault = Some(fault);
        recorder
    }

    /// The disk works again.
    pub(super) fn heal(&self) {
        self.state().fault = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was recorded so far.
    pub(super) fn recording(&self) -> Recording {
        self.state().recording.clone()
    }

    /// Calls so far that could have failed.
    pub(super) fn faults_met(&self) -> usize {
        self.state().met
    }

    pub(super) fn asked(&self, ask: Ask) -> u64 {
        let mut state = self.state();
        state.requests += 1;
        let request = state.requests;
        state.recording.events.push(Event::Asked { request, ask });
        request
    }

    pub(super) fn answered(&self, request: u64, outcome: Outcome) {
        self.state().recording.events.push(Event::Answered { request, outcome });
    }

    // Each of the following runs the real call, if it is to succeed, and notes it: `Err` is an error number.

    pub(super) fn open(
        &self,
        name: &str,
        flags: c_int,
        real: impl FnOnce() -> c_long,
    ) -> Result<(c_long, Option<Opened>), c_int> {
        if is_memory(name) {
            return Ok((real(), None));
        }
        let mut state = self.state();
        let found = state.names.get(name).copied();
        let makes = found.is_none() && flags & libc::O_CREAT != 0;
        if makes {
            state.fails(&[FaultKind::NoSpace])?;
        }
        let fd = real();
        if fd < 0 {
            return Ok((fd, None));
        }
        let opened = match found {
            Some(Node::Folder) => Opened::Folder(name.to_owned()),
            Some(Node::File(file)) => {
                if flags & libc::O_TRUNC != 0 {
                    state.note(Change::Truncate { file, length: 0 });
                }
                Opened::File(file)
            }
            None if makes => Opened::File(state.make_file(name)),
            None if name.is_empty() => Opened::Folder(String::new()),
            None => return Ok((fd, None)),
        };
        Ok((fd, Some(opened)))
    }

    pub(super) fn write(
        &self,
        file: u32,
        at: u64,
        octets: &[u8],
        real: impl FnOnce(usize) -> c_long,
    ) -> Result<c_long, c_int> {
        let mut state = self.state();
        let begins = state.fault.is_some_and(|fault| fault.kind == FaultKind::NoSpace && fault.after == state.met);
        let room = if begins && !state.halved && octets.len() > 1 {
            state.halved = true;
            octets.len() / 2
        } else {
            state.fails(&[FaultKind::NoSpace, FaultKind::Write])?;
            octets.len()
        };
        let written = real(room);
        if let Some(octets) = usize::try_from(written).ok().and_then(|written| octets.get(..written)) {
            state.note(Change::Write { file, at, octets: octets.into() });
        }
        Ok(written)
    }

    pub(super) fn truncate(&self, file: u32, length: u64, real: impl FnOnce() -> c_long) -> Result<c_long, c_int> {
        let mut state = self.state();
        state.fails(&[FaultKind::Write])?;
        let result = real();
        if result == 0 {
            state.note(Change::Truncate { file, length });
        }
        Ok(result)
    }

    /// There is no real call: nothing below a watched folder is worth a disk's time.
    pub(super) fn sync(&self, opened: &Opened) -> Result<(), c_int> {
        let mut state = self.state();
        if state.lies(opened) {
            if let Opened::File(file) = opened {
                state.note(Change::SyncForgotten { file: *file });
            }
            return Ok(());
        }
        let failed = state.fails(&[FaultKind::Sync]);
        match (opened, failed) {
            (Opened::File(file), Ok(())) => state.note(Change::SyncFile { file: *file }),
            (Opened::File(file), Err(_)) => state.note(Change::SyncFileFailed { file: *file }),
            (Opened::Folder(name), Ok(())) => state.note(Change::SyncFolder { name: name.clone() }),
            (Opened::Folder(_), Err(_)) => {}
        }
        failed
    }

    pub(super) fn make_folder(&self, name: &str, real: impl FnOnce() -> c_long) -> Result<c_long, c_int> {
        let mut state = self.state();
        if !state.names.contains_key(name) {
            state.fails(&[FaultKind::NoSpace])?;
        }
        let result = real();
        if result == 0 {
            state.names.insert(name.to_owned(), Node::Folder);
            state.note(Change::Make { name: name.to_owned(), node: Node::Folder });
        }
        Ok(result)
    }

    pub(super) fn unlink(&self, name: &str, real: impl FnOnce() -> c_long) -> c_long {
        let mut state = self.state();
        let result = real();
        if result == 0 && state.names.remove(name).is_some() {
            state.note(Change::Unlink { name: name.to_owned() });
        }
        result
    }

    pub(super) fn rename(&self, from: &str, to: &str, real: impl FnOnce() -> c_long) -> c_long {
        let mut state = self.state();
        let result = real();
        if result == 0
            && let Some(node) = state.names.remove(from)
        {
            state.names.insert(to.to_owned(), node);
            state.note(Change::Rename { from: from.to_owned(), to: to.to_owned() });
        }
        result
    }
}

impl State {
    fn note(&mut self, change: Change) {
        self.recording.events.push(Event::Changed(change));
    }

    fn make_file(&mut self, name: &str) -> u32 {
        let file = self.made_as.keys().next_back().map_or(0, |last| last + 1);
        self.made_as.insert(file, name.to_owned());
        self.names.insert(name.to_owned(), Node::File(file));
        self.note(Change::Make { name: name.to_owned(), node: Node::File(file) });
        file
    }

    /// Counts a call that can fail in these ways, and lets it.
    fn fails(&mut self, ways: &[FaultKind]) -> Result<(), c_int> {
        let Some(fault) = self.fault.filter(|fault| ways.contains(&fault.kind)) else { return Ok(()) };
        self.met += 1;
        let fails = self.met > fault.after && self.met - fault.after <= fault.count;
        if !fails {
            return Ok(());
        }
        self.recording.events.push(Event::Failed);
        match fault.kind {
            FaultKind::NoSpace => Err(libc::ENOSPC),
            FaultKind::Write | FaultKind::Sync => Err(libc::EIO),
        }
    }

    fn lies(&self, opened: &Opened) -> bool {
        let name = match opened {
            Opened::File(file) => self.made_as.get(file).map_or("", String::as_str),
            Opened::Folder(name) => name,
        };
        match self.lie {
            None => false,
            Some(Lie::Log) => name.ends_with("-wal"),
            Some(Lie::Bodies) => name.ends_with("bodies"),
            Some(Lie::Content) => name.contains("content/"),
            Some(Lie::ContentFolder) => name.ends_with("content"),
            Some(Lie::Parent) => name.is_empty(),
        }
    }
}
