//! Runs in which the power is cut: what a relay does to its store, group commits and all.
//!
//! Each is deterministic in what it asks; which requests share a transaction is left to the threads, as in life.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use sealwire_core::entry::RecipientStatus::{Delivered, Held, Queued, Reported};

use crate::conformance::{LEASE, NOW, act, alert, arrival, claim, known, moved, piece, put, settled};
use crate::extents::EXTENT_MIN;
use crate::{
    By, CONTENT_INLINE_MAX, NewEntry, NewHold, NewRevision, Piece, Retry, Selection, Settled, SqliteStore, Store,
};

use super::Recorded;
use super::witness::Sent;

/// What the audit log calls those acts, and the store what is learned by one.
pub(super) const ACT: &str = "an-act";
/// Pages in the log before SQLite moves them into the database: few, so that many cuts fall into a checkpoint.
const CHECKPOINT_PAGES: u32 = 24;

/// Has the log moved into the database every few pages.
pub(super) async fn checkpoint_often(store: &SqliteStore) {
    let often = |turn: &mut crate::writer::Turn<'_>| {
        turn.connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(|error| turn.failed(&error))
    };
    // On a failing disk it may not be granted; then fewer cuts fall into a checkpoint.
    let _ = store.writer.write(0, often).await;
}

/// Many clients at once; their commits share transactions, and the log is moved meanwhile. Some are claimed as they are
/// committed, and settled at once.
pub(super) async fn group_commits(place: &Recorded) {
    let store = place.open();
    checkpoint_often(store.store()).await;
    let clients: Vec<_> = (0..12)
        .map(|client| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 0..3 {
                    let body = vec![b'a' + client; 1_800 * usize::from(client + 1)];
                    let id = format!("e{client}-{number}");
                    let new = arrival(&id, &["b@x.example", "c@y.example"], &body);
                    let lease_until = (number == 1).then_some(NOW + LEASE);
                    let claim = store.commit_claimed(new, lease_until).await.expect("committed");
                    if let Some(claim) = claim {
                        store.settle(settled(&claim, moved(&claim, Delivered, NOW))).await.expect("settled");
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client");
    }
}

/// Contents in files: committed, given up, settled and freed, while small mail passes; a large settings document.
pub(super) async fn large_contents(place: &Recorded) {
    let store = place.open();
    checkpoint_often(store.store()).await;
    let large = |fill: u8, more: usize| vec![fill; CONTENT_INLINE_MAX + more];
    let write = async |body: Vec<u8>| {
        let mut writer = store.begin_content();
        for piece in body.chunks(100_000) {
            writer.write(piece.to_vec()).await.expect("written");
        }
        writer.finish().await.expect("finished")
    };
    for (id, fill, more) in [("l1", 1, 1), ("l2", 2, 70_000)] {
        let content = write(large(fill, more)).await;
        store.commit(NewEntry { content, ..arrival(id, &["b@x.example"], b"") }).await.expect("committed");
    }
    let given_up = write(large(3, 5)).await;
    let (third, small) = (large(4, 9), arrival("s1", &["b@x.example"], b"hi"));
    let in_memory = store.commit(arrival("l3", &["b@x.example"], &third));
    let (third, small) = tokio::join!(in_memory, store.commit(small));
    third.and(small).expect("committed");
    drop(given_up);
    store.learn(vec![known("sts", "x.example", "1", NOW), known("sts", "y.example", "1", NOW)]).await.expect("learned");
    let settings = "s".repeat(CONTENT_INLINE_MAX + 3);
    store.put_settings(put(settings, String::new(), None)).await.expect("put");
    for claim in claim(&*store, NOW).await {
        if claim.entry.id != "l1" {
            store.settle(settled(&claim, moved(&claim, Delivered, NOW))).await.expect("settled");
        }
    }
    drop(store);
    let store = place.open();
    let left = claim(&*store, NOW).await.remove(0);
    // A report that returns the whole message takes its place; its file must not take the name of one that is there.
    let reports = vec![arrival("r1", &["s@a.example"], &large(5, 3))];
    let outcome = Settled { reports, ..settled(&left, moved(&left, Reported, NOW)) };
    store.settle(outcome).await.expect("settled");
}

/// Bodies in the file that they share: committed together, freed, their places taken by others, given back at the close.
pub(super) async fn middling_contents(place: &Recorded) {
    let store = place.open();
    checkpoint_often(store.store()).await;
    let body = |fill: u8, more: usize| vec![fill; EXTENT_MIN + more];
    for (id, fill, more) in [("m1", 1, 0), ("m2", 2, 9_000), ("m3", 3, 1)] {
        store.commit(arrival(id, &["b@x.example"], &body(fill, more))).await.expect("committed");
    }
    for claim in claim(&*store, NOW).await {
        match claim.entry.id.as_str() {
            "m1" => {
                let reports = vec![arrival("r1", &["s@a.example"], &body(4, 500))];
                let told = Settled { reports, ..settled(&claim, moved(&claim, Reported, NOW)) };
                store.settle(told).await.expect("settled");
            }
            "m2" => store.settle(settled(&claim, moved(&claim, Delivered, NOW))).await.expect("settled"),
            _ => {}
        }
    }
    // In what m1 and m2 left, and beyond.
    let (one, two, small) =
        (arrival("m4", &["b@x.example"], &body(5, 7_000)), arrival("m5", &["b@x.example"], &body(6, 20_000)), b"hi");
    let small = store.commit(arrival("s1", &["b@x.example"], small));
    let (one, two, small) = tokio::join!(store.commit(one), store.commit(two), small);
    one.and(two).and(small).expect("committed");
    // Refused: its place is free again.
    store.commit(arrival("m4", &["b@x.example"], &body(7, 3))).await.expect_err("the id is taken");
    drop(store);
    let store = place.open();
    for claim in claim(&*store, NOW).await {
        if claim.entry.id != "m4" {
            store.settle(settled(&claim, moved(&claim, Delivered, NOW))).await.expect("settled");
        }
    }
    store.commit(arrival("m6", &["b@x.example"], &body(8, 11))).await.expect("committed");
}

/// Settling in all its forms, and what operators do meanwhile.
pub(super) async fn settling(place: &Recorded) {
    let store = place.open();
    checkpoint_often(store.store()).await;
    let two = ["b@x.example", "c@y.example"];
    for id in ["done", "part", "held", "told", "late"] {
        store.commit(arrival(id, &two, b"body\r\n")).await.expect("committed");
    }
    store.put_settings(put("one".into(), "note".into(), Some(0))).await.expect("put");
    for claim in claim(&*store, NOW).await {
        let with = |recipients| settled(&claim, recipients);
        let settled = match claim.entry.id.as_str() {
            "done" => with(moved(&claim, Delivered, NOW)),
            "part" => {
                let part = Settled { release: false, ..with(moved(&claim, Delivered, NOW)[..1].to_vec()) };
                store.settle(part).await.expect("settled");
                with(moved(&claim, Queued, NOW + 9)[1..].to_vec())
            }
            "held" => with(moved(&claim, Held, NOW + 1000)),
            "told" => {
                let reports =
                    ["r1", "r2"].map(|id| arrival(id, &["s@a.example"], &vec![b'r'; 9000])).into_iter().collect();
                Settled { reports, ..with(moved(&claim, Reported, NOW)) }
            }
            _ => with(moved(&claim, Queued, NOW + LEASE)),
        };
        store.settle(settled).await.expect("settled");
    }
    store.append(vec![alert("", NOW * 1000, "alone"), alert("", NOW * 1000 + 2, "too")]).await.expect("appended");
    store.retry(Retry::Held, NOW * 1000, "root".into()).await.expect("retried");
    let hold = NewHold { reason: "a test".into(), until: Some(NOW + 50), expire_after_secs: 1000 };
    store.hold(Selection::All, hold, NOW * 1000, "root".into()).await.expect("held");
    store.release(Selection::Entry("held".into()), NOW * 1000, "root".into()).await.expect("released");
    store.remove("late", NOW * 1000, "root".into()).await.expect("removed");
    let again = store.commit(arrival("done", &["again@x.example"], b"used again"));
    let two = store.put_settings(put("two".into(), String::new(), None));
    let (again, two) = tokio::join!(again, two);
    again.and(two.map(drop)).expect("both");
    store.prune(NOW * 1000 + 1).await.expect("pruned");
    drop(store);
    let store = place.open();
    store.put_settings(put("three".into(), String::new(), Some(2))).await.expect("put");
}

/// Revisions with pieces, some that are there already, some of a change that is refused, while mail comes in; the audit log
/// besides, its beginning removed.
pub(super) async fn revisions(place: &Recorded) {
    let store = place.open();
    checkpoint_often(store.store()).await;
    let revision = |name: &str, pieces: Vec<Piece>, needs: &[u8], expected| NewRevision {
        pieces,
        needs: needs.iter().map(|fill| [*fill; 32]).collect(),
        audit: Some(act(NOW * 1000, "settings-apply", name)),
        ..put(name.into(), String::new(), expected)
    };
    let pieces = |fills: &[u8]| fills.iter().map(|fill| piece(*fill, 300_000)).collect::<Vec<_>>();
    store.audit(act(1, "reload", "first")).await.expect("written");
    store.put_settings(revision("one", pieces(&[1, 2, 3, 4, 5]), &[1, 2, 3, 4, 5], Some(0))).await.expect("put");
    let (two, mail, told) = tokio::join!(
        store.put_settings(revision("two", pieces(&[6]), &[1, 2, 6], Some(1))),
        store.commit(arrival("e1", &["b@x.example"], &[b'e'; 9000])),
        store.audit(act(2, "queue-hold", "e1")),
    );
    two.and(told).map(drop).and(mail).expect("all of it");
    store.put_settings(revision("lacking", pieces(&[7, 8]), &[7, 9], None)).await.expect_err("9 is missing");
    let (one, other) = tokio::join!(
        store.put_settings(revision("left", pieces(&[10, 11]), &[10, 11], Some(2))),
        store.put_settings(revision("right", pieces(&[11, 12]), &[11, 12], Some(2))),
    );
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    drop(store);
    let store = place.open();
    store.audit_prune(NOW * 1000, act(NOW * 1000, "", "")).await.expect("pruned");
    store.put_settings(revision("four", pieces(&[7]), &[7, 1], Some(3))).await.expect("put");
}

/// Acts on the queue and on what is known, each with its audit entry. One names the other: the ledger has an act's name as who
/// did it, the audit log as what it touches, and so has the key of what is learned.
pub(super) async fn acts(place: &Recorded) {
    let store = place.open();
    checkpoint_often(store.store()).await;
    for id in ["e1", "e2", "e3"] {
        store.commit(arrival(id, &["b@x.example", "c@y.example"], b"body\r\n")).await.expect("committed");
    }
    let by = |name: &str| By { name: name.into(), audit: Some(act(NOW * 1000, ACT, name)) };
    let hold = || NewHold { reason: "a test".into(), until: None, expire_after_secs: 1000 };
    store.hold(Selection::All, hold(), NOW * 1000, by("act-hold")).await.expect("held");
    let one = |id: &str| Selection::Entry(id.into());
    let (released, known_too, removed) = tokio::join!(
        store.release(one("e1"), NOW * 1000, by("act-release")),
        store.learn_with(vec![known(ACT, "act-learn", "1", NOW)], Some(act(NOW * 1000, ACT, "act-learn"))),
        store.remove("e3", NOW * 1000, by("act-remove")),
    );
    assert_eq!((released, known_too, removed), (Ok(2), Ok(()), Ok(true)));
    store.retry(Retry::Entry("e1".into()), NOW * 1000, by("act-retry")).await.expect("retried");
    // Nothing is moved, and nothing told.
    assert_eq!(store.remove("e3", NOW * 1000, by("act-late")).await, Ok(false));
    assert_eq!(store.release(one("e1"), NOW * 1000, by("act-again")).await, Ok(0));
    store.hold(one("e2"), hold(), NOW * 1000, by("act-hold-2")).await.expect("held");
    store
        .learn_with(vec![known(ACT, "act-more", "1", NOW)], Some(act(NOW * 1000, ACT, "act-more")))
        .await
        .expect("learned");
}

/// Learning, learning again and forgetting, a call of many pages among them, while mail comes in.
pub(super) async fn knowledge(place: &Recorded) {
    let store = place.open();
    checkpoint_often(store.store()).await;
    let hosts = |numbers: Range<u64>, fill: &str| {
        let policy = |number| known("sts", &format!("h{number}.example"), &fill.repeat(700), NOW + number);
        numbers.map(policy).collect::<Vec<_>>()
    };
    let keys = |numbers: Range<u64>| hosts(numbers, "").into_iter().map(|known| known.key).collect();
    store.learn(hosts(0..30, "a")).await.expect("learned");
    store.learn(vec![known("tls", "h1.example", "1", NOW)]).await.expect("learned");
    let (again, mail, gone) = tokio::join!(
        store.learn(hosts(10..40, "b")),
        store.commit(arrival("e1", &["b@x.example"], &[b'e'; 9000])),
        store.forget("sts", keys(0..10)),
    );
    again.and(mail).and(gone).expect("all of it");
    let (one, other) = tokio::join!(store.learn(hosts(10..12, "c")), store.learn(hosts(11..13, "d")));
    one.and(other).expect("learned");
    store.forget("tls", vec!["h1.example".into()]).await.expect("forgotten");
    drop(store);
    let store = place.open();
    store.forget("sts", keys(11..25)).await.expect("forgotten");
    store.learn(hosts(5..15, "e")).await.expect("learned");
}

/// The first opening of all, and the first entry.
pub(super) async fn first_opening(place: &Recorded) {
    let store = place.open();
    store.commit(arrival("first", &["b@x.example"], b"hi")).await.expect("committed");
    drop(store);
    drop(place.open());
}

/// The start after a kill: all that is due is taken up, settled or put off, and more comes.
pub(super) async fn going_on(place: &Recorded) {
    let store = place.open();
    for (number, claim) in claim(&*store, NOW).await.into_iter().enumerate() {
        let status = if number.is_multiple_of(2) { Delivered } else { Queued };
        store.settle(settled(&claim, moved(&claim, status, NOW + 9))).await.expect("settled");
    }
    let large = vec![b'g'; CONTENT_INLINE_MAX + 7];
    store.commit(arrival("more", &["b@x.example"], &large)).await.expect("committed");
    store.learn(vec![known("sts", "x.example", "2", NOW + 1)]).await.expect("learned");
}

/// What an older program left: a claimed entry in the database and one in a file, with their records.
pub(super) fn make_older(store: &Path, version: usize) -> Vec<NewEntry> {
    fs::create_dir_all(store.join("content")).expect("a folder");
    let database = rusqlite::Connection::open(store.join("sealwire.db")).expect("opens");
    database.execute_batch("PRAGMA journal_mode = WAL").expect("a pragma");
    crate::schema::tests::at_version(&database, version);
    database.execute("UPDATE counters SET value = 1", []).expect("counted");
    let large = vec![b'l'; CONTENT_INLINE_MAX + 1];
    fs::write(store.join("content/1-1"), &large).expect("written");
    let entries = vec![arrival("small", &["b@x.example"], &[b's'; 5000]), arrival("large", &["b@x.example"], &large)];
    for (number, new) in (1..).zip(&entries) {
        let sent = Sent::of(new, &BTreeMap::new());
        let (body, file) = if number == 1 { (Some(&sent.body[..]), None) } else { (None, Some("1-1")) };
        let row = |sql, values: &[&dyn rusqlite::ToSql]| database.execute(sql, values).expect("an older row");
        row("INSERT INTO entries VALUES (?1, ?2, ?3, ?3 + 60, 1, ?3 + 60)", &[&number, &sent.id, &(NOW as i64)]);
        row(
            "INSERT INTO recipients (entry, position, local, domain, status, due_at, failing, progress)
               VALUES (?1, 0, 'b', 'x.example', 'queued', ?2, 0, NULL)",
            &[&number, &(NOW as i64)],
        );
        row(
            "INSERT INTO messages (entry, meta, octets, file, header, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            &[&number, &sent.meta, &(sent.body.len() as i64), &file, &sent.header, &body],
        );
        row(
            "INSERT INTO ledger (at_ms, message, event, recipients, record) VALUES (1, ?1, 'alert', '', ?2)",
            &[&sent.id, &sent.records[0]],
        );
    }
    entries
}

/// An older store with mail in it, brought up to date; then both go on.
pub(super) async fn migration(place: &Recorded) {
    let store = place.open();
    store.commit(arrival("new", &["b@x.example"], b"hi")).await.expect("committed");
    store.learn(vec![known("sts", "x.example", "{}", NOW)]).await.expect("learned");
    store.audit(act(NOW * 1000, "reload", "")).await.expect("written");
    for claim in claim(&*store, NOW).await {
        if claim.entry.id != "small" {
            store.settle(settled(&claim, moved(&claim, Delivered, NOW))).await.expect("settled");
        }
    }
}
