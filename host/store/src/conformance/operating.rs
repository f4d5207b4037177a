//! What an operator does: list, show, retry, remove, counts.

use sealwire_core::entry::RecipientStatus::{Delivered, Held, Queued};
use sealwire_core::units::Within;
use serde_json::json;

use super::*;
use crate::{AuditQuery, By, NewHold, QueueCounts, QueueFilter, Retried, Retry, Selection, StoreError};

pub(super) async fn run(fresh: &impl Fn() -> Box<dyn Place>) {
    lists_by_what_is_asked(&*fresh().open()).await;
    retries_what_is_asked(&*fresh().open()).await;
    names_what_it_retries(&*fresh().open()).await;
    removes_what_nobody_delivers(&*fresh().open()).await;
    acts_come_with_their_audit_entry(&*fresh().open()).await;
}

/// Four entries: `queued`, `held`, `failing` and `claimed`, due long after now.
async fn four(store: &dyn Store) -> Claim {
    for id in ["queued", "held", "failing"] {
        commit(store, id, &[&format!("{id}@x.example")]).await;
    }
    for claim in claim(store, NOW).await {
        let mut changed = moved(&claim, Queued, NOW + 1000);
        match claim.entry.id.as_str() {
            "held" => changed[0].status = Held,
            "failing" => changed[0].progress.failing_since = Some(NOW),
            _ => {}
        }
        store.settle(settled(&claim, changed)).await.expect("settled");
    }
    commit(store, "claimed", &["Claimed@x.example", "other@y.example"]).await;
    claim_one(store, NOW).await
}

async fn lists_by_what_is_asked(store: &dyn Store) {
    four(store).await;
    let all = QueueFilter::default;
    let cases: &[(QueueFilter, &[&str])] = &[
        (all(), &["queued", "held", "failing", "claimed"]),
        (QueueFilter { limit: 2, ..all() }, &["queued", "held"]),
        (QueueFilter { after: Some("held".into()), ..all() }, &["failing", "claimed"]),
        (QueueFilter { status: Some(Held), ..all() }, &["held"]),
        (QueueFilter { status: Some(Delivered), ..all() }, &[]),
        (QueueFilter { recipient: Some("CLAIMED@x".into()), ..all() }, &["claimed"]),
        (QueueFilter { recipient: Some("y.example".into()), ..all() }, &["claimed"]),
        (QueueFilter { sender: Some("sender@A".into()), limit: 1, ..all() }, &["queued"]),
        (QueueFilter { sender: Some("nobody".into()), ..all() }, &[]),
    ];
    for (filter, expected) in cases {
        let items = store.list(filter.clone()).await.expect("listed");
        let ids: Vec<_> = items.iter().map(|item| item.entry.id.as_str()).collect();
        assert_eq!(ids, *expected, "{filter:?}");
        assert!(items.iter().all(|item| item.entry.header.is_empty()), "headers are left out");
        assert!(items.iter().all(|item| item.claimed == (item.entry.id == "claimed")));
    }
    let shown = store.show("held").await.expect("shown").expect("queued");
    assert!(shown.entry.header.starts_with(b"Subject: held"));
    assert_eq!(shown.recipients[0].status, Held);
    let expected = QueueCounts {
        entries: 4,
        claimed: 1,
        queued: 4,
        held: 1,
        on_hold: 0,
        failed_decisions: 1,
        oldest_arrived_at: Some(NOW),
    };
    assert_eq!(store.counts().await, Ok(expected));
}

async fn retries_what_is_asked(store: &dyn Store) {
    four(store).await;
    let cases: &[(Retry, u64, &[&str])] = &[
        (Retry::FailedDecisions, 1, &["failing"]),
        (Retry::Held, 1, &["held"]),
        (Retry::Entry("queued".into()), 1, &["queued"]),
        (Retry::Entry("nothing".into()), 0, &[]),
        (Retry::All, 5, &["queued", "held", "failing"]),
    ];
    for (which, count, due) in cases {
        let retried = Retried { recipients: *count, on_hold: 0 };
        assert_eq!(store.retry(which.clone(), NOW * 1000, "root".into()).await, Ok(retried), "{which:?}");
        let claims = claim(store, NOW).await;
        assert_eq!(ids(&claims), *due, "{which:?}; what is claimed stays with its claimant");
        for claim in claims {
            assert_eq!(claim.recipients[0].status, Queued);
            store.settle(settled(&claim, moved(&claim, Queued, NOW + 1000))).await.expect("settled");
        }
    }
    assert_eq!(
        told(store, "held").await,
        ["committed", "settled", "retry by root", "settled", "retry by root", "settled"]
    );
}

/// What is retried by lots is named beforehand, and nothing else moves with a lot.
async fn names_what_it_retries(store: &dyn Store) {
    four(store).await;
    let among = |ids: &[&str], which| Retry::Among(ids.iter().map(|id| (*id).to_owned()).collect(), Box::new(which));
    let cases: &[(Retry, &[&str], u64)] = &[
        (Retry::FailedDecisions, &["failing"], 1),
        (Retry::Held, &["held"], 1),
        (Retry::Entry("nothing".into()), &[], 0),
        (among(&["held", "nothing"], Retry::All), &["held"], 1),
        (among(&["held"], Retry::FailedDecisions), &[], 0),
        (among(&["failing"], Retry::Within(Within::new(vec![vec!["nowhere".into()]]), Box::new(Retry::All))), &[], 0),
        (among(&[], Retry::All), &[], 0),
    ];
    for (which, named, count) in cases {
        assert_eq!(
            store.to_retry(which.clone()).await.as_deref(),
            Ok(&named.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()[..]),
            "{which:?}"
        );
        let retried = store.retry(which.clone(), NOW * 1000, "root".into()).await;
        assert_eq!(retried.map(|retried| retried.recipients), Ok(*count), "{which:?}");
    }
    let all = store.to_retry(Retry::All).await.expect("named");
    let listed = store.list(QueueFilter::default()).await.expect("listed");
    assert_eq!(all, listed.iter().map(|item| item.entry.id.clone()).collect::<Vec<_>>(), "oldest first");
}

/// With what came of it; an act that moves nothing is told of by whoever asked.
async fn acts_come_with_their_audit_entry(store: &dyn Store) {
    four(store).await;
    let at = NOW * 1000;
    let by = |name: &str| By { name: name.into(), audit: Some(NewAudit { after: json!(null), ..act(at, name, "it") }) };
    let one = || Selection::Entry("queued".into());
    let hold = NewHold { reason: "a test".into(), until: None, expire_after_secs: 1000 };
    store.hold(one(), hold.clone(), at, by("hold")).await.expect("held");
    store.hold(Selection::Entry("nothing".into()), hold, at, by("hold-nothing")).await.expect("held");
    store.retry(Retry::Entry("queued".into()), at, by("retry-nothing")).await.expect("retried");
    store.release(one(), at, by("release")).await.expect("released");
    store.release(one(), at, by("release-nothing")).await.expect("released");
    store.retry(Retry::Held, at, by("retry")).await.expect("retried");
    store.remove("queued", at, by("remove")).await.expect("removed");
    store.remove("queued", at, by("remove-nothing")).await.expect("there is none");
    store.remove("claimed", at, by("remove-claimed")).await.expect_err("it is being delivered");
    store.learn_with(vec![known("token", "t", "1", NOW)], by("learn").audit).await.expect("learned");
    let lines = store.audit_log(AuditQuery::default()).await.expect("audit log");
    let told: Vec<_> = lines.iter().map(|line| line.record().expect("a record")).collect();
    let told: Vec<_> = told.into_iter().map(|act| (act.action, act.after)).collect();
    let expected = [
        ("hold", json!({ "recipients": 1, "in-delivery": 0, "expire-before": 0 })),
        ("release", json!({ "recipients": 1 })),
        ("retry", json!({ "recipients": 1, "on-hold": 0 })),
        ("remove", json!({ "removed": "queued" })),
        ("learn", json!(null)),
    ];
    assert_eq!(told, expected.map(|(action, after)| (action.to_owned(), after)));
}

async fn removes_what_nobody_delivers(store: &dyn Store) {
    let claimed = four(store).await;
    let remove = |id: &'static str, at: u64| store.remove(id, at * 1000, "root".into());
    assert_eq!(remove("queued", NOW).await, Ok(true));
    assert_eq!(remove("queued", NOW).await, Ok(false));
    assert_eq!(store.show("queued").await, Ok(None));
    assert_eq!(told(store, "queued").await, ["committed", "settled", "remove by root"]);
    assert_eq!(remove("claimed", NOW).await, Err(StoreError::InDelivery { id: "claimed".into() }));
    assert_eq!(remove("claimed", NOW + LEASE).await, Ok(true), "a lease that ran out protects nothing");
    let late = store.settle(settled(&claimed, moved(&claimed, Delivered, NOW))).await;
    assert_eq!(late, Err(StoreError::LeaseLost { id: "claimed".into() }));
}
