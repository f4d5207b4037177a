//! Commit, claim, renew, settle: durable, exclusive, all or nothing.

use std::collections::HashSet;
use std::sync::Arc;

use sealwire_core::entry::RecipientStatus::{Delivered, Held, Queued, Reported};
use sealwire_core::settle::{Progress, UnmetWindow};

use super::*;
use crate::{Retry, StoreError};

pub(super) async fn run(fresh: &impl Fn() -> Box<dyn Place>) {
    what_is_committed_survives(&*fresh()).await;
    an_id_is_used_once(&*fresh().open()).await;
    a_claim_is_exclusive_until_its_end(&*fresh().open()).await;
    a_commit_may_claim_at_once(&*fresh()).await;
    opening_ends_leases(&*fresh()).await;
    progress_is_kept(&*fresh().open()).await;
    the_last_recipient_takes_the_entry_along(&*fresh().open()).await;
    a_settle_is_all_or_nothing(&*fresh().open()).await;
    a_lost_lease_writes_nothing(&*fresh().open()).await;
    a_settle_may_keep_its_claim(&*fresh().open()).await;
    held_mail_comes_back_at_its_expiry(&*fresh().open()).await;
    changes_are_told(&*fresh().open()).await;
    claims_never_overlap(fresh().open()).await;
    commits_share_transactions(fresh().open()).await;
}

async fn what_is_committed_survives(place: &dyn Place) {
    let store = place.open();
    let new = arrival("e1", &["B@x.example", "\"odd \\\" one\"@y.example"], b"body\r\n");
    let (entry, recipients) = (new.entry.clone(), new.recipients.clone());
    store.commit(new).await.expect("committed");
    drop(store);
    let store = place.open();
    let claim = claim_one(&*store, NOW).await;
    assert_eq!(claim.entry, entry);
    assert_eq!(claim.token.entry(), "e1");
    let kept: Vec<_> = claim.recipients.iter().map(|r| (r.index, r.mailbox.clone(), r.status, r.due_at)).collect();
    let [first, second] = &recipients[..] else { panic!("two recipients") };
    assert_eq!(kept, [(0, first.clone(), Queued, NOW), (1, second.clone(), Queued, NOW)]);
    assert!(claim.recipients.iter().all(|r| r.progress == Progress::default()));
    let body = store.body("e1").await.expect("body").read_to_end().await.expect("read");
    assert_eq!(body, b"body\r\n");
    assert_eq!(told(&*store, "e1").await, ["committed"]);
}

async fn an_id_is_used_once(store: &dyn Store) {
    commit(store, "e1", &["b@x.example"]).await;
    let again = store.commit(arrival("e1", &["c@x.example"], b"")).await;
    assert_eq!(again, Err(StoreError::Exists { id: "e1".into() }));
    assert_eq!(told(store, "e1").await, ["committed"]);
    assert!(matches!(store.commit(arrival("e2", &[], b"")).await, Err(StoreError::Refused(_))));
}

async fn a_claim_is_exclusive_until_its_end(store: &dyn Store) {
    assert_eq!(store.next_due().await, Ok(None));
    commit(store, "e1", &["b@x.example"]).await;
    assert_eq!(store.next_due().await, Ok(Some(NOW)));
    assert!(claim(store, NOW - 1).await.is_empty(), "not due yet");
    let first = claim_one(store, NOW).await;
    assert!(claim(store, NOW + LEASE - 1).await.is_empty(), "leased");
    assert_eq!(store.next_due().await, Ok(Some(NOW + LEASE)), "the end of the lease");
    assert_eq!(store.renew(&first.token, NOW + 2 * LEASE).await, Ok(true));
    assert!(claim(store, NOW + LEASE).await.is_empty(), "renewed");
    let second = claim_one(store, NOW + 2 * LEASE).await;
    assert_ne!(first.token, second.token);
    assert_eq!(store.renew(&first.token, NOW + 9 * LEASE).await, Ok(false), "lost");
    assert_eq!(store.next_due().await, Ok(Some(NOW + 3 * LEASE)));
    commit(store, "e2", &["b@x.example"]).await;
    commit(store, "e3", &["b@x.example"]).await;
    assert_eq!(ids(&store.claim(NOW, NOW + 1, 1).await.expect("claimed")), ["e2"], "no more than the limit");
}

async fn a_commit_may_claim_at_once(place: &dyn Place) {
    let store = place.open();
    let new = |id| arrival(id, &["b@x.example", "c@y.example"], b"body\r\n");
    let mut changes = store.queue_changes();
    changes.mark_unchanged();
    let first = store.commit_claimed(new("e1"), Some(NOW + LEASE)).await.expect("committed").expect("claimed");
    assert!(!changes.has_changed().expect("open"), "nobody else is to know");
    assert_eq!(first.body.as_deref(), Some(&b"body\r\n"[..]));
    assert!(claim(&*store, NOW).await.is_empty(), "leased");
    assert_eq!(store.next_due().await, Ok(Some(NOW + LEASE)));
    assert_eq!(store.renew(&first.token, NOW + 2 * LEASE).await, Ok(true));
    let again = store.commit_claimed(new("e1"), Some(NOW + LEASE)).await;
    assert_eq!(again, Err(StoreError::Exists { id: "e1".into() }));
    assert!(matches!(store.commit_claimed(new("e2"), Some(NOW)).await, Err(StoreError::Refused(_))), "no lease");
    assert_eq!(store.show("e2").await, Ok(None));
    drop(store);
    let store = place.open();
    assert_eq!(store.status().leases_cleared, 1);
    let second = claim_one(&*store, NOW).await;
    assert_eq!((&second.entry, &second.recipients, second.body), (&first.entry, &first.recipients, None));
    let lost = store.settle(settled(&first, moved(&first, Delivered, NOW))).await;
    assert_eq!(lost, Err(StoreError::LeaseLost { id: "e1".into() }));
}

async fn opening_ends_leases(place: &dyn Place) {
    let store = place.open();
    commit(&*store, "e1", &["b@x.example"]).await;
    let first = claim_one(&*store, NOW).await;
    drop(store);
    let store = place.open();
    assert_eq!(store.status().leases_cleared, 1);
    assert_eq!(store.next_due().await, Ok(Some(NOW)));
    let second = claim_one(&*store, NOW).await;
    assert_eq!(first.entry, second.entry);
    let lost = store.settle(settled(&first, moved(&first, Delivered, NOW))).await;
    assert_eq!(lost, Err(StoreError::LeaseLost { id: "e1".into() }));
}

async fn progress_is_kept(store: &dyn Store) {
    commit(store, "e1", &["b@x.example"]).await;
    let first = claim_one(store, NOW).await;
    let mut changed = moved(&first, Queued, NOW + 300);
    changed[0].progress = Progress {
        rounds: 2,
        unmet: Some(UnmetWindow { since: NOW, rounds: 1 }),
        last: "451 later \u{2026}".into(),
        ..Progress::default()
    };
    store.settle(settled(&first, changed.clone())).await.expect("settled");
    assert_eq!(store.next_due().await, Ok(Some(NOW + 300)));
    assert!(claim(store, NOW + 299).await.is_empty());
    assert_eq!(claim_one(store, NOW + 300).await.recipients, changed);
}

async fn the_last_recipient_takes_the_entry_along(store: &dyn Store) {
    commit(store, "e1", &["b@x.example", "c@x.example"]).await;
    let first = claim_one(store, NOW).await;
    let one = moved(&first, Delivered, NOW)[..1].to_vec();
    store.settle(settled(&first, one)).await.expect("settled");
    let second = claim_one(store, NOW).await;
    assert_eq!(second.recipients.iter().map(|r| r.status).collect::<Vec<_>>(), [Delivered, Queued]);
    store.settle(settled(&second, moved(&second, Delivered, NOW)[1..].to_vec())).await.expect("settled");
    assert_eq!(store.show("e1").await, Ok(None));
    assert_eq!(store.counts().await, Ok(crate::QueueCounts::default()));
    assert!(matches!(store.body("e1").await, Err(StoreError::NoEntry { .. })));
    assert_eq!(told(store, "e1").await, ["committed", "settled", "settled"], "the ledger stays");
    commit(store, "e1", &["b@x.example"]).await;
}

async fn a_settle_is_all_or_nothing(store: &dyn Store) {
    commit(store, "e1", &["b@x.example"]).await;
    commit(store, "taken", &["b@x.example"]).await;
    let claims = claim(store, NOW).await;
    let with = |reports| Settled { reports, ..settled(&claims[0], moved(&claims[0], Reported, NOW)) };
    let failed =
        store.settle(with(vec![arrival("r1", &["s@a.example"], b"r"), arrival("taken", &["s@a.example"], b"")]));
    assert_eq!(failed.await, Err(StoreError::Exists { id: "taken".into() }));
    assert_eq!(store.show("r1").await, Ok(None), "no report without its outcome");
    assert_eq!(told(store, "r1").await, [""; 0]);
    assert_eq!(told(store, "e1").await, ["committed"]);
    let item = store.show("e1").await.expect("shown").expect("still queued");
    assert_eq!((item.recipients[0].status, item.claimed), (Queued, true));
    let mut stranger = moved(&claims[0], Delivered, NOW);
    stranger[0].index = 7;
    assert!(matches!(store.settle(settled(&claims[0], stranger)).await, Err(StoreError::Refused(_))));

    store.settle(with(vec![arrival("r1", &["s@a.example"], b"report\r\n")])).await.expect("settled");
    assert_eq!(store.show("e1").await, Ok(None));
    let report = claim_one(store, NOW).await;
    assert_eq!(report.entry.id, "r1");
    let body = store.body("r1").await.expect("body").read_to_end().await.expect("read");
    assert_eq!(body, b"report\r\n");
}

async fn a_lost_lease_writes_nothing(store: &dyn Store) {
    commit(store, "e1", &["b@x.example"]).await;
    let first = claim_one(store, NOW).await;
    let second = claim_one(store, NOW + LEASE).await;
    let late = Settled {
        reports: vec![arrival("r1", &["s@a.example"], b"r")],
        ..settled(&first, moved(&first, Reported, NOW))
    };
    assert_eq!(store.settle(late).await, Err(StoreError::LeaseLost { id: "e1".into() }));
    assert_eq!(store.show("r1").await, Ok(None));
    assert_eq!(told(store, "e1").await, ["committed"]);
    store.settle(settled(&second, moved(&second, Delivered, NOW))).await.expect("the other goes on");
    let gone = store.settle(settled(&second, moved(&second, Delivered, NOW))).await;
    assert_eq!(gone, Err(StoreError::LeaseLost { id: "e1".into() }));
}

async fn a_settle_may_keep_its_claim(store: &dyn Store) {
    commit(store, "e1", &["b@x.example", "c@x.example"]).await;
    let first = claim_one(store, NOW).await;
    let part = Settled { release: false, ..settled(&first, moved(&first, Delivered, NOW)[..1].to_vec()) };
    store.settle(part).await.expect("settled");
    assert!(claim(store, NOW).await.is_empty(), "still claimed");
    store.settle(settled(&first, moved(&first, Queued, NOW + 9)[1..].to_vec())).await.expect("settled");
    assert_eq!(store.next_due().await, Ok(Some(NOW + 9)));
}

async fn held_mail_comes_back_at_its_expiry(store: &dyn Store) {
    commit(store, "e1", &["b@x.example"]).await;
    let first = claim_one(store, NOW).await;
    store.settle(settled(&first, moved(&first, Held, NOW + 1000))).await.expect("settled");
    assert_eq!(store.next_due().await, Ok(Some(NOW + 1000)));
    let retried = store.retry(Retry::Held, (NOW + 5) * 1000, "root".into()).await.expect("retried");
    assert_eq!(retried.recipients, 1);
    let second = claim_one(store, NOW + 5).await;
    assert_eq!((second.recipients[0].status, second.recipients[0].due_at), (Queued, NOW + 5));
    store.settle(settled(&second, moved(&second, Held, NOW + 1000))).await.expect("settled");
    assert_eq!(claim_one(store, NOW + 1000).await.recipients[0].status, Held, "its expiry is looked at");
}

async fn changes_are_told(store: &dyn Store) {
    let mut changes = store.queue_changes();
    changes.mark_unchanged();
    commit(store, "e1", &["b@x.example"]).await;
    assert!(changes.has_changed().expect("open"), "commit");
    changes.mark_unchanged();
    let first = claim_one(store, NOW).await;
    assert!(!changes.has_changed().expect("open"), "a claim makes nothing due");
    store.settle(settled(&first, moved(&first, Queued, NOW + 9))).await.expect("settled");
    assert!(changes.has_changed().expect("open"), "settle");
    changes.mark_unchanged();
    store.retry(Retry::All, NOW * 1000, "root".into()).await.expect("retried");
    assert!(changes.has_changed().expect("open"), "retry");
}

async fn claims_never_overlap(store: Arc<dyn Store>) {
    const ENTRIES: usize = 60;
    for number in 0..ENTRIES {
        commit(&*store, &format!("e{number}"), &["b@x.example"]).await;
    }
    let claimants: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let claims = store.claim(NOW, NOW + LEASE, 3).await.expect("claimed");
                    if claims.is_empty() {
                        return mine;
                    }
                    mine.extend(claims.into_iter().map(|claim| claim.entry.id));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for claimant in claimants {
        all.extend(claimant.await.expect("claimant"));
    }
    assert_eq!(all.len(), ENTRIES);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), ENTRIES, "each entry to one claimant");
}

async fn commits_share_transactions(store: Arc<dyn Store>) {
    const COMMITS: u64 = 400;
    let before = store.status();
    let commits: Vec<_> = (0..COMMITS)
        .map(|number| {
            let store = Arc::clone(&store);
            // Every tenth is refused, which must not touch its neighbours.
            let id = if number % 10 == 9 { "e0".to_owned() } else { format!("e{number}") };
            tokio::spawn(async move { store.commit(arrival(&id, &["b@x.example"], b"body\r\n")).await })
        })
        .collect();
    let mut done = 0;
    for commit in commits {
        match commit.await.expect("task") {
            Ok(()) => done += 1,
            Err(error) => assert_eq!(error, StoreError::Exists { id: "e0".into() }),
        }
    }
    assert_eq!(done, COMMITS - COMMITS / 10);
    assert_eq!(store.counts().await.expect("counts").entries, done);
    let after = store.status();
    let (writes, transactions) = (after.writes - before.writes, after.transactions - before.transactions);
    assert_eq!(writes, COMMITS);
    assert!(transactions < COMMITS, "{transactions} transactions for {COMMITS} commits");
}
