//! Revisions of the settings: counted, kept, and never overwritten by someone who did not see the newest.

use std::sync::Arc;

use sealwire_core::audit::{Hash, NewAudit, hexadecimal};

use super::*;
use crate::{AuditQuery, Piece, Revision, StoreError};

pub(super) async fn run(fresh: &impl Fn() -> Box<dyn Place>) {
    revisions_are_counted_and_kept(&*fresh()).await;
    one_of_two_wins(fresh().open()).await;
    pieces_are_shared_by_revisions(&*fresh()).await;
    a_revision_and_its_audit_entry_are_one(&*fresh()).await;
}

async fn revisions_are_counted_and_kept(place: &dyn Place) {
    let store = place.open();
    let mut changes = store.settings_changes();
    assert_eq!(*changes.borrow_and_update(), 0);
    assert_eq!(store.settings(None).await, Ok(None));
    let put_one = |document: &str, expected| {
        store.put_settings(super::put(document.into(), format!("note on {document}"), expected))
    };
    assert_eq!(put_one("one", Some(0)).await, Ok(1));
    assert_eq!(put_one("two", None).await, Ok(2));
    assert_eq!(*changes.borrow_and_update(), 2);
    assert_eq!(put_one("late", Some(1)).await, Err(StoreError::Conflict { expected: 1, found: 2 }));
    assert_eq!(put_one("early", Some(3)).await, Err(StoreError::Conflict { expected: 3, found: 2 }));
    assert!(!changes.has_changed().expect("open"), "nothing was written");
    assert_eq!(put_one("three", Some(2)).await, Ok(3));
    let large = "a list of thousands\n".repeat(20_000);
    assert_eq!(store.put_settings(put(large.clone(), "large".into(), None)).await, Ok(4));
    let late = store.put_settings(put(large.clone(), "late".into(), Some(3))).await;
    assert_eq!(late, Err(StoreError::Conflict { expected: 3, found: 4 }));
    drop(store);

    let store = place.open();
    assert_eq!((*store.settings_changes().borrow(), store.status().orphans_swept), (4, 0));
    let revision = |revision, document: &str, whole: bool| Revision {
        revision,
        at: NOW,
        by: "root".into(),
        note: format!("note on {document}"),
        document: if whole { document.into() } else { String::new() },
    };
    let newest = store.settings(None).await.expect("read").expect("there");
    assert!((newest.revision, newest.document) == (4, large));
    assert_eq!(store.settings(Some(3)).await, Ok(Some(revision(3, "three", true))));
    assert_eq!(store.settings(Some(1)).await, Ok(Some(revision(1, "one", true))));
    assert_eq!(store.settings(Some(5)).await, Ok(None));
    let newest = store.revisions(3).await.expect("read");
    assert_eq!(newest[1..], [revision(3, "three", false), revision(2, "two", false)]);
}

async fn one_of_two_wins(store: Arc<dyn Store>) {
    let put = |by: &str| {
        let (store, by) = (Arc::clone(&store), by.to_owned());
        tokio::spawn(async move { store.put_settings(super::put(by, String::new(), Some(0))).await })
    };
    let (first, second) = (put("first"), put("second"));
    let results = [first.await.expect("task"), second.await.expect("task")];
    assert!(results.contains(&Ok(1)), "{results:?}");
    assert!(results.contains(&Err(StoreError::Conflict { expected: 0, found: 1 })), "{results:?}");
}

async fn pieces_are_shared_by_revisions(place: &dyn Place) {
    let store = place.open();
    let many: Vec<_> = (0..12).map(|fill| piece(fill, 100_000)).collect();
    let digests: Vec<_> = many.iter().map(|piece| piece.digest).collect();
    let with = |revision: NewRevision, pieces: &[Piece], needs: &[Hash]| NewRevision {
        pieces: pieces.to_vec(),
        needs: needs.to_vec(),
        ..revision
    };
    let one = with(put("one".into(), String::new(), Some(0)), &many, &digests);
    assert_eq!(store.put_settings(one).await, Ok(1));
    // Brought again with another text it stays as it is; what nobody needs goes with the next opening.
    let (again, unneeded) = (Piece { text: "other".into(), ..many[3].clone() }, piece(50, 10));
    let two = with(put("two".into(), String::new(), Some(1)), &[again, unneeded.clone()], &digests[3..4]);
    assert_eq!(store.put_settings(two).await, Ok(2));
    let lost = piece(60, 10);
    let missing = || Err(StoreError::NoPiece { digest: hexadecimal(&lost.digest) });
    let lacking = with(put("lacking".into(), String::new(), None), &[piece(61, 10)], &[digests[0], lost.digest]);
    assert_eq!(store.put_settings(lacking).await, missing());
    let conflict = with(put("late".into(), String::new(), Some(1)), std::slice::from_ref(&lost), &[lost.digest]);
    assert_eq!(store.put_settings(conflict).await, Err(StoreError::Conflict { expected: 1, found: 2 }));
    assert_eq!(*store.settings_changes().borrow(), 2, "nothing else was written");
    let backwards: Vec<_> = digests.iter().rev().copied().collect();
    let expected: Vec<_> = many.iter().rev().cloned().collect();
    assert_eq!(store.pieces(backwards.clone()).await, Ok(expected.clone()));
    assert_eq!(store.pieces(vec![digests[0], lost.digest]).await.map(drop), missing().map(drop));
    assert_eq!(store.pieces(vec![]).await, Ok(vec![]));
    let large = piece(70, crate::PIECE_MAX + 1);
    let refused = store.put_settings(with(put("large".into(), String::new(), None), &[large], &[])).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    drop(store);

    drop(place.open());
    let store = place.open();
    assert_eq!(store.status().orphans_swept, 0, "the opening before has swept");
    assert_eq!(store.pieces(backwards).await, Ok(expected));
    assert!(store.pieces(vec![unneeded.digest]).await.is_err());
    // What is there already need not be brought.
    let three = with(put("three".into(), String::new(), Some(2)), &[], &digests[..2]);
    assert_eq!(store.put_settings(three).await, Ok(3));
}

async fn a_revision_and_its_audit_entry_are_one(place: &dyn Place) {
    let store = place.open();
    let audited = |document: &str, expected| NewRevision {
        audit: Some(act(NOW * 1000, "settings-apply", document)),
        ..put(document.into(), String::new(), expected)
    };
    assert_eq!(store.put_settings(audited("one", Some(0))).await, Ok(1));
    assert!(store.put_settings(audited("late", Some(0))).await.is_err());
    let lacking = NewRevision { needs: vec![[9; 32]], ..audited("lacking", None) };
    assert!(store.put_settings(lacking).await.is_err());
    assert_eq!(store.put_settings(audited("two", None)).await, Ok(2));
    let lines = store.audit_log(AuditQuery::default()).await.expect("audit log");
    let told: Vec<_> = lines.iter().map(|line| line.record().expect("a record")).collect();
    let expected = ["one", "two"].map(|document| act(NOW * 1000, "settings-apply", document));
    let expected: Vec<_> =
        (1..).zip(expected).map(|(revision, act)| NewAudit { revision: Some(revision), ..act }).collect();
    assert_eq!(told, expected);
}
