//! The conformance run of both engines, and what is SQLite's alone: crashes, locks, and what an operator reads when the store will not open.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sealwire_core::audit::Fault::{self, Beginning, Changed, Missing, OtherHead};
use sealwire_core::entry::{QueuedRecipient, RecipientStatus};

use crate::conformance::{self, NOW, Place, arrival};
use crate::content::PIECE;
use crate::{AuditQuery, CONTENT_INLINE_MAX, MemoryPlace, NewRevision, Settled, SqliteStore, Store, StoreError};

impl Place for tempfile::TempDir {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.path()).expect("the store opens"))
    }
}

impl Place for MemoryPlace {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryPlace::open(self))
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_store_conforms() {
    conformance::run(|| Box::<MemoryPlace>::default()).await;
}

#[tokio::test]
async fn a_killed_process_loses_nothing_it_confirmed() {
    let place = fresh();
    let store = place.open();
    let large = vec![7; CONTENT_INLINE_MAX + 1];
    store.commit(conformance::arrival("small", &["b@x.example"], b"hi")).await.expect("committed");
    store.commit(conformance::arrival("large", &["b@x.example"], &large)).await.expect("committed");
    assert_eq!(store.claim(NOW, NOW + 60, 9).await.expect("claimed").len(), 2);
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
    assert_eq!(again.claim(NOW, NOW + 60, 9).await.expect("claimed").len(), 2);
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
    let store = place.open();
    store.commit(conformance::arrival("e2", &["b@x.example"], &large[..100_000])).await.expect("committed");
    store.commit(conformance::arrival("e3", &["b@x.example"], &large[..100_000])).await.expect("committed");
    assert_eq!(store.remove("e2", 0, "root".into()).await, Ok(true));
    drop(store);
    let bodies = fs::read(place.path().join("bodies")).expect("read");
    assert_eq!(bodies.iter().filter(|octet| **octet == 7).count(), 100_000, "what is deleted is overwritten");
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
    type Spoil<'a> = &'a dyn Fn(&Path);
    let cases: [(Spoil<'_>, &str); 4] = [
        (&newer, "was made by a newer sealwire: schema 7, this one knows 6"),
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

/// Keeps the writer busy until every request has been sent, so that they share one transaction.
async fn together<T>(store: &SqliteStore, requests: impl Future<Output = T>) -> T {
    let (started, has_started) = tokio::sync::oneshot::channel();
    let (sent, all_sent) = std::sync::mpsc::channel();
    let busy = store.writer.write(0, move |_| Ok((started.send(()).is_ok(), all_sent.recv().is_ok())));
    let rest = async {
        has_started.await.expect("the writer runs");
        tokio::join!(requests, async { sent.send(()).expect("the writer waits") }).0
    };
    let (busy, answers) = tokio::join!(busy, rest);
    assert_eq!(busy, Ok((true, true)));
    answers
}

#[tokio::test]
async fn what_waits_shares_one_sync_and_no_failure() {
    let place = fresh();
    let store = SqliteStore::open(place.path()).expect("opens");
    let commit = |id| store.commit(conformance::arrival(id, &["b@x.example"], b"hi"));
    let requests = async { tokio::join!(commit("e1"), commit("e1"), commit("e2"), store.claim(NOW, NOW + 60, 9)) };
    let (first, again, second, claims) = together(&store, requests).await;
    assert_eq!((first, again, second), (Ok(()), Err(StoreError::Exists { id: "e1".into() }), Ok(())));
    assert_eq!(claims.expect("claimed").len(), 2);
    let status = store.status();
    assert_eq!((status.writes, status.transactions), (5, 1), "the request that gathers them is one more");
}

#[tokio::test]
async fn a_full_disk_is_told_and_outlived() {
    let place = fresh();
    let store = SqliteStore::open(place.path()).expect("opens");
    // SQLite's own limit on pages stands in for the disk's end.
    let limit = |turn: &mut crate::writer::Turn<'_>| {
        turn.connection.pragma_update(None, "max_page_count", 40).map_err(|error| turn.failed(&error))
    };
    store.writer.write(0, limit).await.expect("limited");
    let commit = |id, body: &[u8]| store.commit(conformance::arrival(id, &["b@x.example"], body));
    let mut large = conformance::arrival("large", &["b@x.example"], b"hi");
    large.entry.header = vec![7; 200_000];
    let requests = async { tokio::join!(commit("e1", b"hi"), store.commit(large), commit("e2", b"hi")) };
    let (before, full, behind) = together(&store, requests).await;
    // SQLite gives up the whole transaction where space ends, so those who shared it are told the same.
    let error = StoreError::Full(place.path().join("sealwire.db"));
    assert_eq!((before, full, behind), (Err(error.clone()), Err(error.clone()), Err(error)));
    assert_eq!(store.status().transactions, 0);
    assert_eq!(commit("e1", b"hi").await, Ok(()), "there is room for this one");
    assert_eq!(store.counts().await.expect("counts").entries, 1);
}

#[tokio::test]
async fn a_lost_transaction_fails_everyone_in_it_and_is_swept() {
    let place = fresh();
    let store = SqliteStore::open(place.path()).expect("opens");
    let large = vec![7; CONTENT_INLINE_MAX + 1];
    let mut writer = store.begin_content();
    writer.write(large).await.expect("written");
    let content = writer.finish().await.expect("finished");
    let before = crate::NewEntry { content, ..conformance::arrival("e1", &["b@x.example"], b"") };
    // SQLite rolls back by itself where the disk fails; a ROLLBACK in a request looks the same to the writer.
    let lost = |turn: &mut crate::writer::Turn<'_>| match turn.connection.execute_batch("ROLLBACK") {
        Ok(()) => Err::<(), _>(StoreError::Refused("lost")),
        Err(error) => Err(turn.failed(&error)),
    };
    let behind = store.commit(conformance::arrival("e2", &["b@x.example"], b""));
    let requests = async { tokio::join!(store.commit(before), store.writer.write(0, lost), behind) };
    let (before, lost, behind) = together(&store, requests).await;
    let error = StoreError::Refused("lost");
    assert_eq!((before, lost, behind), (Err(error.clone()), Err(error.clone()), Err(error)));
    store.commit(conformance::arrival("e3", &["b@x.example"], b"hi")).await.expect("the writer goes on");
    assert_eq!(store.counts().await.expect("counts").entries, 1);
    drop(store);
    assert_eq!(contents(place.path()), 0, "no commit was asked for, so nothing can bring it back");
    let store = place.open();
    assert_eq!(store.status().orphans_swept, 0);
}

/// A row that is refused takes the others of its call with it, and nothing of its neighbours'.
#[tokio::test]
async fn what_cannot_be_learned_whole_is_not_learned() {
    let place = fresh();
    let store = SqliteStore::open(place.path()).expect("opens");
    let refuse = |turn: &mut crate::writer::Turn<'_>| {
        let when = "WHEN new.key = 'bad' BEGIN SELECT raise(FAIL, 'refused'); END";
        let sql = format!("CREATE TEMP TRIGGER refuse BEFORE INSERT ON known {when}");
        turn.connection.execute_batch(&sql).map_err(|error| turn.failed(&error))
    };
    store.writer.write(0, refuse).await.expect("refuses");
    let learn = |keys: &[&str]| store.learn(keys.iter().map(|key| conformance::known("sts", key, "{}", NOW)).collect());
    let requests = async { tokio::join!(learn(&["a"]), learn(&["a", "b", "bad", "c"]), learn(&["d"])) };
    let (before, refused, behind) = together(&store, requests).await;
    assert!(matches!(refused, Err(StoreError::Engine { .. })), "{refused:?}");
    assert_eq!((before, behind), (Ok(()), Ok(())));
    let known = store.known("sts").await.expect("read");
    assert_eq!(known, ["a", "d"].map(|key| conformance::known("sts", key, "{}", NOW)));
}

/// With the store closed anybody who may write there can; the next walk tells what he did.
#[tokio::test]
async fn tampering_with_the_audit_log_is_found() {
    let rows: Vec<(&str, Vec<Fault>)> = vec![
        ("SELECT 1", vec![]),
        ("UPDATE audit SET record = replace(record, 'ann', 'bob') WHERE number = 3", vec![Changed { number: 3 }]),
        ("UPDATE audit SET record = record || ' ' WHERE number = 3", vec![Changed { number: 3 }]),
        ("UPDATE audit SET record = 'gone' WHERE number = 3", vec![Changed { number: 3 }]),
        ("UPDATE audit SET at_ms = 7 WHERE number = 3", vec![Changed { number: 3 }]),
        ("UPDATE audit SET hash = x'00' WHERE number = 3", vec![Changed { number: 3 }, Changed { number: 4 }]),
        ("DELETE FROM audit WHERE number = 3", vec![Missing { from: 3, to: 3 }]),
        ("DELETE FROM audit WHERE number > 3", vec![Missing { from: 4, to: 5 }]),
        ("DELETE FROM audit WHERE number < 3", vec![Missing { from: 1, to: 2 }]),
        (
            "DELETE FROM audit WHERE number < 3;
             UPDATE audit_anchor SET number = 2, hash = (SELECT hash FROM audit WHERE number = 3)",
            vec![Changed { number: 3 }, Beginning { number: 2 }],
        ),
        (
            "UPDATE audit SET number = -2 WHERE number = 2; UPDATE audit SET number = 2 WHERE number = 3;
             UPDATE audit SET number = 3 WHERE number = -2",
            vec![Changed { number: 2 }, Changed { number: 3 }, Changed { number: 4 }],
        ),
        (
            "UPDATE audit SET number = number + 100 WHERE number > 3; UPDATE audit SET number = number - 99 WHERE number > 3;
             INSERT INTO audit SELECT 4, at_ms, record, hash FROM audit WHERE number = 3",
            vec![Changed { number: 4 }, OtherHead { number: 5 }],
        ),
    ];
    for (tamper, expected) in rows {
        let place = fresh();
        let store = place.open();
        for number in 1..=5 {
            store.audit(conformance::act(number, "reload", &number.to_string())).await.expect("written");
        }
        let head = store.audit_head().await.expect("a head");
        drop(store);
        let database = rusqlite::Connection::open(place.path().join("sealwire.db")).expect("opens");
        database.execute_batch(tamper).expect(tamper);
        drop(database);
        let store = place.open();
        let faults = store.audit_verify(Some(head)).await.expect("verified").faults;
        assert_eq!(faults, expected, "{tamper}");
        let found = store.audit_log(AuditQuery { action: Some("reload".into()), ..AuditQuery::default() }).await;
        assert!(found.expect(tamper).len() >= 3, "what is damaged hides nothing else");
    }
}

/// However long the log is, it is walked along and removed some entries at a time.
#[tokio::test]
async fn a_long_audit_log_is_read_and_removed_in_pieces() {
    let place = fresh();
    let store = place.open();
    let writers: Vec<_> = (1..=2500)
        .map(|at_ms| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.audit(conformance::act(at_ms, "reload", "")).await })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer").expect("written");
    }
    let head = store.audit_head().await.expect("a head");
    let verified = store.audit_verify(Some(head)).await.expect("verified");
    assert_eq!((verified.entries, verified.faults, verified.head), (2500, vec![], head));
    assert_eq!(store.audit_prune(u64::MAX, conformance::act(9, "", "")).await, Ok(2500));
    drop(store);
    let database = rusqlite::Connection::open(place.path().join("sealwire.db")).expect("opens");
    let left: i64 = database.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).expect("counted");
    assert_eq!(left, 1);
}

/// What was written ahead of a revision that never came is gone with the next opening, and nothing else is.
#[tokio::test]
async fn pieces_of_a_change_that_was_cut_off_are_swept() {
    let place = fresh();
    let store = place.open();
    let needed = NewRevision {
        pieces: vec![conformance::piece(1, 9)],
        needs: vec![[1; 32]],
        ..conformance::put("one".into(), String::new(), None)
    };
    store.put_settings(needed.clone()).await.expect("put");
    let refused = NewRevision { pieces: vec![conformance::piece(2, 9)], needs: vec![[3; 32]], ..needed };
    store.put_settings(refused).await.expect_err("3 is missing");
    let killed = as_if_killed(place.path());
    let again = killed.open();
    assert_eq!(again.status().orphans_swept, 1);
    assert_eq!(again.pieces(vec![[1; 32]]).await, Ok(vec![conformance::piece(1, 9)]));
    assert!(again.pieces(vec![[2; 32]]).await.is_err());
}

/// What must be kept free is kept free of arrivals, large and small; what is queued still leaves, its report with it.
#[tokio::test]
async fn arrivals_leave_room_for_what_is_queued() {
    let place = fresh();
    let open = |free| SqliteStore::open_keeping(place.path(), free).expect("opens");
    let store = open(0);
    store.commit(arrival("a", &["x@b.example"], b"body\r\n")).await.expect("there is room");
    drop(store);
    // More than any disk has.
    let store = open(u64::MAX);
    assert!(matches!(store.room(), Err(StoreError::Low(_))));
    let refused = store.commit(arrival("b", &["x@b.example"], b"body\r\n")).await;
    assert!(matches!(refused, Err(StoreError::Low(_))), "{refused:?}");
    let mut large = store.begin_content();
    large.write(vec![0; CONTENT_INLINE_MAX]).await.expect("in memory still");
    let refused = large.write(vec![0; PIECE - CONTENT_INLINE_MAX]).await;
    assert!(matches!(refused, Err(StoreError::Low(_))), "{refused:?}");

    let claim = store.claim(NOW, NOW + 60, 10).await.expect("claimed").remove(0);
    let recipients =
        claim.recipients.iter().map(|r| QueuedRecipient { status: RecipientStatus::Reported, ..r.clone() });
    let (recipients, reports) =
        (recipients.collect(), vec![arrival("report", &["x@a.example"], &[b'x'; CONTENT_INLINE_MAX + 1])]);
    let settled = Settled { token: claim.token, recipients, reports, records: Vec::new(), release: true };
    store.settle(settled).await.expect("a settlement has room");
    assert!(store.show("report").await.expect("answers").is_some());
}
