//! What is SQLite's alone: the conformance run, crashes, locks, and what an operator reads when the store will not open.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::conformance::{self, Place};
use crate::{CONTENT_INLINE_MAX, SqliteStore, Store, StoreError};

impl Place for tempfile::TempDir {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.path()).expect("the store opens"))
    }
}

fn fresh() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A store of which another copy is open cannot be told from one whose process was killed at this moment.
fn as_if_killed(from: &Path) -> tempfile::TempDir {
    let to = fresh();
    fs::create_dir(to.path().join("content")).expect("a folder");
    for name in ["sealwire.db", "sealwire.db-wal"] {
        fs::copy(from.join(name), to.path().join(name)).expect("copied");
    }
    for file in fs::read_dir(from.join("content")).expect("read") {
        let file = file.expect("read");
        fs::copy(file.path(), to.path().join("content").join(file.file_name())).expect("copied");
    }
    to
}

fn contents(place: &Path) -> usize {
    fs::read_dir(place.join("content")).expect("read").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    conformance::run(|| Box::new(fresh())).await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_it_confirmed() {
    let place = fresh();
    let store = place.open();
    let large = vec![7; CONTENT_INLINE_MAX + 1];
    store.commit(conformance::arrival("small", &["b@x.example"], b"hi")).await.expect("committed");
    store.commit(conformance::arrival("large", &["b@x.example"], &large)).await.expect("committed");
    assert_eq!(store.claim(conformance::NOW, conformance::NOW + 60, 9).await.expect("claimed").len(), 2);
    let mut unfinished = store.begin_content();
    unfinished.write(large.clone()).await.expect("written");
    let uncommitted = unfinished.finish().await.expect("finished");
    assert_eq!(contents(place.path()), 2);

    let killed = as_if_killed(place.path());
    let again = killed.open();
    let status = again.status();
    assert_eq!((status.leases_cleared, status.orphans_swept), (2, 1));
    assert_eq!(contents(killed.path()), 1);
    for (id, body) in [("small", &b"hi"[..]), ("large", &large)] {
        assert_eq!(again.body(id).await.expect("body").read_to_end().await.expect("read"), body);
    }
    assert_eq!(again.claim(conformance::NOW, conformance::NOW + 60, 9).await.expect("claimed").len(), 2);
    drop(uncommitted);
}

#[tokio::test]
async fn contents_are_freed_with_their_entries() {
    let place = fresh();
    let store = place.open();
    let large = vec![7; CONTENT_INLINE_MAX + 1];
    store.commit(conformance::arrival("e1", &["b@x.example"], &large)).await.expect("committed");
    assert_eq!(contents(place.path()), 1);
    assert_eq!(store.remove("e1", 0, "root".into()).await, Ok(true));
    drop(store.begin_content());
    drop(store);
    assert_eq!(contents(place.path()), 0);
    let database = fs::read(place.path().join("sealwire.db")).expect("read");
    assert!(!database.windows(11).any(|octets| octets == b"Subject: e1"), "what is deleted is overwritten");
}

#[test]
fn one_process_at_a_time() {
    let place = fresh();
    let store = place.open();
    let second = SqliteStore::open(place.path()).err().expect("it is open already");
    assert_eq!(second, StoreError::Locked(place.path().to_owned()));
    drop(store);
    drop(place.open());
}

#[test]
fn what_will_not_open_says_why() {
    let newer = |place: &Path| {
        drop(SqliteStore::open(place).expect("opens"));
        let database = rusqlite::Connection::open(place.join("sealwire.db")).expect("opens");
        database.pragma_update(None, "user_version", 7).expect("pragma");
    };
    let garbage = |place: &Path| fs::write(place.join("sealwire.db"), vec![b'x'; 8192]).expect("written");
    let stray = |place: &Path| fs::create_dir_all(place.join("content/folder")).expect("created");
    let file = |place: &Path| fs::write(place.join("content"), b"").expect("written");
    let cases: [(&dyn Fn(&Path), &str); 4] = [
        (&newer, "was made by a newer sealwire: schema 7, this one knows 2"),
        (&garbage, "is damaged"),
        (&stray, "cannot sweep"),
        (&file, "cannot create"),
    ];
    for (spoil, why) in cases {
        let place = fresh();
        spoil(place.path());
        let error = SqliteStore::open(place.path()).err().expect(why).to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_request_and_nothing_else() {
    let place = fresh();
    drop(place.open());
    let store = SqliteStore::open(place.path()).expect("opens");
    // SQLite's own limit on pages stands in for the disk's end.
    store
        .writer
        .write(0, |turn| Ok(turn.connection.pragma_update(None, "max_page_count", 40).is_ok()))
        .await
        .expect("set");
    let full = store.commit(conformance::arrival("large", &["b@x.example"], &vec![7; 200_000])).await;
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    store.commit(conformance::arrival("small", &["b@x.example"], b"hi")).await.expect("there is room for this one");
    assert_eq!(store.counts().await.expect("counts").entries, 1);
}
