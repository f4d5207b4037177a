//! The file of bodies: what is free, what is swept, what is whose.

use super::*;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().expect("a folder") }
    }

    fn open(&self, named: &[Extent]) -> Arc<Extents> {
        Extents::open(self.path(), named.to_vec(), 1, std::sync::mpsc::channel().0).expect("opens")
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

/// Of the so-manieth body that was put.
fn tag(number: u8) -> u64 {
    (1 << 32) + u64::from(number)
}

fn free_octets(extents: &Extents) -> u64 {
    let map = extents.map();
    map.stale.by_place.values().chain(map.clean.by_place.values()).sum()
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
    assert!(place.octets()[20_489..24_576].iter().all(|octet| *octet == 0), "the slack of a used grain");
    sweep_all(&extents);
    let body = |fill: u8, octets: usize| [vec![fill; octets], tag(fill).to_be_bytes().to_vec()].concat();
    let grains = |mut octets: Vec<u8>| {
        octets.resize(octets.len().next_multiple_of(4096), 0);
        octets
    };
    let expected = [grains(body(4, 20_481)), vec![0; 40_960 - 24_576], grains(body(3, 5))].concat();
    assert!(place.octets() == expected);
    for (extent, fill) in [(four, 4), (three, 3)] {
        assert_eq!(extents.reading().read(extent, tag(fill)).expect("read"), vec![fill; extent.octets as usize]);
    }
    extents.free(three);
    sweep_all(&extents);
    assert!(place.octets() == grains(body(4, 20_481)), "the end is given back");
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
    let gap = vec![0; 12_288];
    let body = |fill: u8| [vec![fill; 10_000], tag(fill).to_be_bytes().to_vec(), vec![0; 2_280]].concat();
    let expected = [&gap[..], &body(2), &gap, &body(4)].concat();
    assert!(place.octets() == expected);
    let overlapping = Extent { at: all[1].at + GRAIN, octets: 1 };
    let error = Extents::open(place.path(), vec![all[1], overlapping], 1, std::sync::mpsc::channel().0)
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
    assert_eq!(reading.read(one, tag(1)).expect("read"), vec![1; 20_000]);
    drop(reading);
    assert_eq!(put(&extents, 3, 20_000).at, one.at);
}

#[test]
fn a_file_that_is_shorter_than_its_rows_say_is_no_body() {
    let place = Place::new();
    let extents = place.open(&[Extent { at: 0, octets: 20_000 }]);
    let named = Extent { at: 0, octets: 20_000 };
    let error = extents.reading().read(named, tag(1)).expect_err("it is not there");
    assert!(matches!(error, StoreError::File { doing: "read", .. }), "{error}");
    put(&extents, 1, 5);
    for wrong in [tag(1), tag(7)] {
        let error = extents.reading().read(named, wrong).expect_err("it is not there");
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    }
}

/// A database that was put back beside a newer file names what is another's by now.
#[test]
fn a_body_of_another_number_is_nobodys() {
    let place = Place::new();
    let extents = place.open(&[]);
    let one = put(&extents, 1, 20_000);
    extents.free(one);
    let two = put(&extents, 2, 20_000);
    assert_eq!(one, two);
    let error = extents.reading().read(one, tag(1)).expect_err("it is another's");
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

/// Small ones between those that stay must not make the file grow for ever.
#[test]
fn what_is_cut_off_stays_of_use() {
    let place = Place::new();
    let extents = place.open(&[]);
    let sizes = [16_384, 30_000, 17_000, 60_000, 25_000, 100_000, 20_000];
    let mut there = Vec::new();
    for round in 0..2_000_usize {
        there.push(put(&extents, 1, sizes[round % sizes.len()]));
        // One in ten stays.
        if there.len() > 12 && round % 10 != 0 {
            extents.free(there.remove(round % 12));
        }
    }
    let used: u64 = there.iter().map(|extent| extent.span().octets).sum();
    let end = extents.map().end;
    assert!(end < used * 3 / 2, "{end} octets for {used}");
}
