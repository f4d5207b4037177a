//! Bodies: whole, durable, or gone.

use super::*;
use crate::{CONTENT_INLINE_MAX, StoreError};
use sealwire_core::entry::RecipientStatus::Delivered;

pub(super) async fn run(fresh: &impl Fn() -> Box<dyn Place>) {
    for octets in [0, 1, CONTENT_INLINE_MAX, CONTENT_INLINE_MAX + 1, 3 * CONTENT_INLINE_MAX + 7] {
        a_body_comes_back_whole(&*fresh(), octets).await;
        a_body_in_memory_comes_back_whole(&*fresh(), octets).await;
    }
    what_is_not_committed_leaves_nothing(&*fresh()).await;
    a_reader_keeps_what_it_reads(&*fresh().open()).await;
}

fn body(octets: usize) -> Vec<u8> {
    (0..octets).map(|at| (at % 251) as u8).collect()
}

async fn write(store: &dyn Store, body: &[u8]) -> Content {
    let mut writer = store.begin_content();
    for piece in body.chunks(10_007) {
        writer.write(piece.to_vec()).await.expect("written");
    }
    writer.finish().await.expect("finished")
}

async fn read(store: &dyn Store, id: &str) -> Vec<u8> {
    store.body(id).await.expect("body").read_to_end().await.expect("read")
}

async fn a_body_comes_back_whole(place: &dyn Place, octets: usize) {
    let (body, store) = (body(octets), place.open());
    let content = write(&*store, &body).await;
    assert_eq!(content.octets(), octets as u64);
    store.commit(NewEntry { content, ..arrival("e1", &["b@x.example"], b"") }).await.expect("committed");
    assert_eq!(read(&*store, "e1").await, body);
    drop(store);
    let store = place.open();
    assert_eq!(store.status().orphans_swept, 0);
    let reader = store.body("e1").await.expect("body");
    assert_eq!(reader.octets(), octets as u64);
    assert_eq!(read(&*store, "e1").await, body, "{octets} octets");
}

async fn a_body_in_memory_comes_back_whole(place: &dyn Place, octets: usize) {
    let (body, store) = (body(octets), place.open());
    store.commit(arrival("e1", &["b@x.example"], &body)).await.expect("committed");
    let first = claim_one(&*store, NOW).await;
    let reports = vec![arrival("r1", &["s@a.example"], &body)];
    store.settle(Settled { reports, ..settled(&first, moved(&first, Delivered, NOW)) }).await.expect("settled");
    assert!(matches!(store.body("e1").await, Err(StoreError::NoEntry { .. })));
    drop(store);
    let store = place.open();
    assert_eq!(read(&*store, "r1").await, body, "{octets} octets");
}

async fn what_is_not_committed_leaves_nothing(place: &dyn Place) {
    let (large, store) = (body(2 * CONTENT_INLINE_MAX), place.open());
    let mut unfinished = store.begin_content();
    unfinished.write(large.clone()).await.expect("written");
    drop(unfinished);
    drop(write(&*store, &large).await);
    commit(&*store, "e1", &["b@x.example"]).await;
    let content = write(&*store, &large).await;
    let refused = store.commit(NewEntry { content, ..arrival("e1", &["b@x.example"], b"") }).await;
    assert_eq!(refused, Err(StoreError::Exists { id: "e1".into() }));
    drop(store);
    let store = place.open();
    assert_eq!(store.status().orphans_swept, 0, "freed while the store was open");
    assert_eq!(read(&*store, "e1").await, b"body\r\n");
}

/// A claimant whose lease ran out while it sends must never send anything but the message.
async fn a_reader_keeps_what_it_reads(store: &dyn Store) {
    let large = body(2 * CONTENT_INLINE_MAX);
    store.commit(arrival("e1", &["b@x.example"], &large)).await.expect("committed");
    let mut reader = store.body("e1").await.expect("body");
    let mut whole = reader.next().await.expect("read").expect("octets").to_vec();
    let claim = claim_one(store, NOW).await;
    store.settle(settled(&claim, moved(&claim, Delivered, NOW))).await.expect("settled");
    whole.extend(reader.read_to_end().await.expect("read"));
    assert!(whole == large);
}
