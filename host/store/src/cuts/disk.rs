//! What a disk holds, and what it may hold after its power was cut.
//!
//! A change is certain once it was synced: a file's octets by a sync of the file, its name by a sync of the folder it
//! stands in. Of all other changes a cut leaves any subset, down to single sectors of one write; a file may have grown
//! without the octets that made it grow. Taken for granted, as SQLite takes it: a sector is written whole or not at all,
//! and octets beside it are not touched.
//!
//! A file's sync that failed leaves its octets in doubt for ever, whatever a later one says: Linux drops what it could
//! not write. A folder's that failed may be made again, for file systems keep names in a journal that either goes on or
//! refuses everything.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Octets a disk writes at once.
const SECTOR: u64 = 512;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Node {
    /// A file, by a number of its own: names come and go.
    File(u32),
    /// A folder.
    Folder,
}

/// One change of a disk. Names are paths seen from the top of what is recorded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Change {
    Make {
        name: String,
        node: Node,
    },
    Rename {
        from: String,
        to: String,
    },
    Unlink {
        name: String,
    },
    Write {
        file: u32,
        at: u64,
        octets: Arc<[u8]>,
    },
    Truncate {
        file: u32,
        length: u64,
    },
    SyncFile {
        file: u32,
    },
    SyncFolder {
        name: String,
    },
    /// A planted bug: there should have been a sync.
    SyncForgotten {
        file: u32,
    },
    /// The sync of a file failed: what waited for it is in doubt, and no later sync makes it certain.
    SyncFileFailed {
        file: u32,
    },
}

/// Whether a cut takes a change away.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Standing {
    /// Until the next sync.
    Waiting,
    /// For ever.
    Doubtful,
    /// Not any more.
    Certain,
}

#[derive(Clone, Serialize, Deserialize)]
struct Later {
    change: Change,
    standing: Standing,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct File {
    certain: Vec<u8>,
    later: Vec<Later>,
}

/// A disk with what is certain on it and what is not yet.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Disk {
    names: BTreeMap<String, Node>,
    later_names: Vec<Change>,
    files: BTreeMap<u32, File>,
}

/// What a cut does to all that is uncertain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fate {
    /// All is lost.
    Nothing,
    /// All is there: the process was killed, the power stayed.
    Everything,
    /// What this seed says.
    Shuffled(u64),
}

/// A disk after a cut; None is a folder.
pub(super) type Image = BTreeMap<String, Option<Vec<u8>>>;

impl Disk {
    /// A disk with nothing uncertain on it.
    pub(super) fn of(image: &Image) -> Disk {
        let mut disk = Disk::default();
        for (number, (name, octets)) in (0..).zip(image) {
            let node = octets.as_ref().map_or(Node::Folder, |_| Node::File(number));
            disk.names.insert(name.clone(), node);
            if let Some(octets) = octets {
                disk.files.insert(number, File { certain: octets.clone(), later: Vec::new() });
            }
        }
        disk
    }

    /// All names, certain or not.
    pub(super) fn names(&self) -> BTreeMap<String, Node> {
        let mut names = self.names.clone();
        self.later_names.iter().for_each(|change| rename(&mut names, change));
        names
    }

    /// Takes over one change.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Make { name, node } => {
                if let Node::File(file) = node {
                    self.files.insert(*file, File::default());
                }
                if !is_memory(name) {
                    self.later_names.push(change.clone());
                }
            }
            Change::Rename { .. } | Change::Unlink { .. } => {
                self.later_names.push(change.clone());
            }
            Change::Write { file, .. } | Change::Truncate { file, .. } => {
                let later = &mut self.files.entry(*file).or_default().later;
                later.push(Later { change: change.clone(), standing: Standing::Waiting });
            }
            Change::SyncFile { file } => self.files.entry(*file).or_default().sync(),
            Change::SyncFolder { name } => self.sync_folder(name),
            Change::SyncForgotten { .. } => {}
            Change::SyncFileFailed { file } => {
                let later = &mut self.files.entry(*file).or_default().later;
                let waiting = later.iter_mut().filter(|later| later.standing == Standing::Waiting);
                waiting.for_each(|later| later.standing = Standing::Doubtful);
            }
        }
    }

    fn sync_folder(&mut self, folder: &str) {
        let names = &mut self.names;
        self.later_names.retain(|change| {
            let waits = folder_of(change) != folder;
            if !waits {
                rename(names, change);
            }
            waits
        });
    }

    /// True if a cut would take anything away.
    pub(super) fn is_uncertain(&self) -> bool {
        !self.later_names.is_empty() || self.files.values().any(|file| !file.later.is_empty())
    }

    /// What is left after a cut.
    pub(super) fn cut(&self, fate: Fate) -> Image {
        let mut dice = Dice::of(fate);
        let mut names = self.names.clone();
        for change in &self.later_names {
            if dice.keeps_name() {
                rename(&mut names, change);
            }
        }
        let mut image = Image::new();
        for (name, node) in &names {
            // A file whose folder is gone is gone with it. Parents stand before their children.
            let parent = parent(name);
            if !parent.is_empty() && image.get(parent) != Some(&None) {
                continue;
            }
            let octets = match node {
                Node::Folder => None,
                Node::File(file) => Some(self.files.get(file).map(|file| file.cut(&mut dice)).unwrap_or_default()),
            };
            image.insert(name.clone(), octets);
        }
        image
    }
}

impl File {
    fn sync(&mut self) {
        for later in &mut self.later {
            if later.standing == Standing::Waiting {
                later.standing = Standing::Certain;
            }
        }
        if self.later.iter().all(|later| later.standing == Standing::Certain) {
            for later in std::mem::take(&mut self.later) {
                change_octets(&mut self.certain, &later.change);
            }
        }
    }

    fn cut(&self, dice: &mut Dice) -> Vec<u8> {
        let mut octets = self.certain.clone();
        dice.next_file();
        for later in &self.later {
            match &later.change {
                change if later.standing == Standing::Certain => change_octets(&mut octets, change),
                Change::Write { at, octets: written, .. } => tear(&mut octets, *at, written, dice),
                change if dice.keeps_octets() => change_octets(&mut octets, change),
                _ => {}
            }
        }
        octets
    }
}

/// Keeps some sectors of a write.
fn tear(octets: &mut Vec<u8>, mut at: u64, mut written: &[u8], dice: &mut Dice) {
    if dice.whole {
        if dice.keeps_octets() {
            put(octets, at, written);
        }
        return;
    }
    while !written.is_empty() {
        let until_next = usize::try_from(SECTOR - at % SECTOR).unwrap_or(usize::MAX).min(written.len());
        let (sector, rest) = written.split_at(until_next);
        let end = at as usize + sector.len();
        if dice.keeps_octets() {
            put(octets, at, sector);
        } else if let (Some(stale), true) = (dice.stale, end > octets.len()) {
            // The file has grown, its octets have not come.
            octets.resize(end, stale);
        }
        at += sector.len() as u64;
        written = rest;
    }
}

fn put(octets: &mut Vec<u8>, at: u64, written: &[u8]) {
    let at = at as usize;
    if octets.len() < at + written.len() {
        octets.resize(at + written.len(), 0);
    }
    octets[at..at + written.len()].copy_from_slice(written);
}

fn change_octets(octets: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, octets: written, .. } => put(octets, *at, written),
        Change::Truncate { length, .. } => octets.resize(*length as usize, 0),
        _ => {}
    }
}

fn rename(names: &mut BTreeMap<String, Node>, change: &Change) {
    match change {
        Change::Make { name, node } => drop(names.insert(name.clone(), *node)),
        Change::Unlink { name } => drop(names.remove(name)),
        Change::Rename { from, to } => {
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
            }
        }
        _ => {}
    }
}

/// The folder whose sync makes a name certain.
fn folder_of(change: &Change) -> &str {
    match change {
        Change::Make { name, .. } | Change::Unlink { name } | Change::Rename { to: name, .. } => parent(name),
        _ => "",
    }
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// SQLite's index of the log is shared memory that happens to have a name; it is made anew at opening.
pub(super) fn is_memory(name: &str) -> bool {
    name.ends_with("-shm")
}

/// Decides for every uncertain change. The same seed decides the same.
struct Dice {
    state: u64,
    /// Of eight names, of eight writes, how many stay.
    names: u64,
    octets: u64,
    /// Whole writes or single sectors.
    whole: bool,
    /// What a sector holds that belongs to a file and was not written.
    stale: Option<u8>,
    shuffled: bool,
}

impl Dice {
    fn of(fate: Fate) -> Dice {
        let all = |share| Dice { state: 0, names: share, octets: share, whole: true, stale: None, shuffled: false };
        let Fate::Shuffled(seed) = fate else { return all(if fate == Fate::Everything { 8 } else { 0 }) };
        let mut dice = Dice { state: seed, shuffled: true, ..all(0) };
        dice.names = dice.share();
        dice.whole = dice.roll().is_multiple_of(2);
        dice.stale = [None, Some(0), Some(0xa5)][(dice.roll() % 3) as usize];
        dice
    }

    /// SplitMix64: short, and good enough to tell changes apart.
    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// None, few, half, most, all: each as likely.
    fn share(&mut self) -> u64 {
        [0, 1, 4, 7, 8][(self.roll() % 5) as usize]
    }

    /// Each file has a share of its own, so that one may be whole and another empty.
    fn next_file(&mut self) {
        if self.shuffled {
            self.octets = self.share();
        }
    }

    fn keeps_name(&mut self) -> bool {
        self.roll() % 8 < self.names
    }

    fn keeps_octets(&mut self) -> bool {
        self.roll() % 8 < self.octets
    }
}

/// Writes an image into a folder that is there and empty.
pub(super) fn materialise(image: &Image, place: &Path) {
    for (name, octets) in image {
        let path = place.join(name);
        match octets {
            None => fs::create_dir(path).expect("a folder"),
            Some(octets) => fs::write(path, octets).expect("written"),
        }
    }
}

/// Reads a folder as an image.
pub(super) fn read(place: &Path) -> Image {
    fn walk(place: &Path, prefix: &str, image: &mut Image) {
        for file in fs::read_dir(place).expect("read") {
            let file = file.expect("read");
            let name = format!("{prefix}{}", file.file_name().to_str().expect("a plain name"));
            if file.file_type().expect("read").is_dir() {
                image.insert(name.clone(), None);
                walk(&file.path(), &format!("{name}/"), image);
            } else if !is_memory(&name) {
                image.insert(name, Some(fs::read(file.path()).expect("read")));
            }
        }
    }
    let mut image = Image::new();
    walk(place, "", &mut image);
    image
}
