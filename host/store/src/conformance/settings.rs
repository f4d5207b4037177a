//! Revisions of the settings: counted, kept, and never overwritten by someone who did not see the newest.

use std::sync::Arc;

use super::*;
use crate::{Revision, StoreError};

pub(super) async fn run(fresh: &impl Fn() -> Box<dyn Place>) {
    revisions_are_counted_and_kept(&*fresh()).await;
    one_of_two_wins(fresh().open()).await;
}

async fn revisions_are_counted_and_kept(place: &dyn Place) {
    let store = place.open();
    let mut changes = store.settings_changes();
    assert_eq!(*changes.borrow_and_update(), 0);
    assert_eq!(store.settings(None).await, Ok(None));
    let put = |document: &str, expected| {
        store.put_settings(document.into(), "root".into(), format!("note on {document}"), NOW, expected)
    };
    assert_eq!(put("one", Some(0)).await, Ok(1));
    assert_eq!(put("two", None).await, Ok(2));
    assert_eq!(*changes.borrow_and_update(), 2);
    assert_eq!(put("late", Some(1)).await, Err(StoreError::Conflict { expected: 1, found: 2 }));
    assert_eq!(put("early", Some(3)).await, Err(StoreError::Conflict { expected: 3, found: 2 }));
    assert!(!changes.has_changed().expect("open"), "nothing was written");
    assert_eq!(put("three", Some(2)).await, Ok(3));
    let large = "a list of thousands\n".repeat(20_000);
    assert_eq!(store.put_settings(large.clone(), "root".into(), "large".into(), NOW, None).await, Ok(4));
    let late = store.put_settings(large.clone(), "root".into(), "late".into(), NOW, Some(3)).await;
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
        tokio::spawn(async move { store.put_settings(by.clone(), by, String::new(), NOW, Some(0)).await })
    };
    let (first, second) = (put("first"), put("second"));
    let results = [first.await.expect("task"), second.await.expect("task")];
    assert!(results.contains(&Ok(1)), "{results:?}");
    assert!(results.contains(&Err(StoreError::Conflict { expected: 0, found: 1 })), "{results:?}");
}
