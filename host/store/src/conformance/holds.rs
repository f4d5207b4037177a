//! What an operator holds: who is meant, until when, and that neither a round nor a retry undoes it.

use sealwire_core::address::Domain;
use sealwire_core::entry::OperatorHold;
use sealwire_core::entry::RecipientStatus::{Held as ByPolicy, Queued};

use super::*;
use crate::{Held, NewHold, QueueFilter, Retried, Retry, Selection, Sender};

/// Seconds from arrival to expiry here.
const EXPIRE: u64 = 1000;

pub(super) async fn run(fresh: &impl Fn() -> Box<dyn Place>) {
    holds_who_is_meant(fresh).await;
    a_hold_lasts_until_its_end(&*fresh().open()).await;
    a_hold_without_an_end_lasts_until_the_expiry(&*fresh().open()).await;
    a_round_under_way_keeps_the_hold(&*fresh().open()).await;
    what_a_round_moves_is_where_the_operator_wants_it_by_then(fresh).await;
    a_policys_hold_outlives_an_operators(&*fresh().open()).await;
    a_hold_is_kept_when_the_store_is_opened_again(&*fresh()).await;
}

fn new(until: Option<u64>) -> NewHold {
    NewHold { reason: "why".into(), until, expire_after_secs: EXPIRE }
}

async fn hold(store: &dyn Store, which: Selection, until: Option<u64>) -> Held {
    store.hold(which, new(until), NOW * 1000, "root".into()).await.expect("held")
}

fn matching(domain: Option<&str>, sender: Option<Sender>) -> Selection {
    Selection::Matching { domain: domain.map(|domain| Domain::parse(domain).expect("a domain")), sender }
}

/// Mailboxes on hold, in the order of the queue.
async fn on_hold(store: &dyn Store) -> Vec<String> {
    let items = store.list(QueueFilter { on_hold: true, ..QueueFilter::default() }).await.expect("listed");
    let recipients = items.into_iter().flat_map(|item| item.recipients);
    recipients.filter(|recipient| recipient.hold.is_some()).map(|recipient| recipient.mailbox.to_string()).collect()
}

async fn holds_who_is_meant(fresh: &impl Fn() -> Box<dyn Place>) {
    let domain = |text| Domain::parse(text).expect("a domain");
    let cases: &[(Selection, &[&str])] = &[
        (Selection::All, &["a@x.example", "b@y.example", "c@x.example"]),
        (Selection::Entry("two".into()), &["c@x.example"]),
        (Selection::Entry("none".into()), &[]),
        (matching(Some("X.example"), None), &["a@x.example", "c@x.example"]),
        (matching(Some("example"), None), &[]),
        (matching(None, Some(Sender::OfDomain(domain("a.example")))), &["a@x.example", "b@y.example"]),
        (matching(None, Some(Sender::OfDomain(domain("example")))), &[]),
        (matching(None, Some(Sender::Mailbox(mailbox("Sender@a.example")))), &["a@x.example", "b@y.example"]),
        (matching(None, Some(Sender::Mailbox(mailbox("sender@a.example")))), &[]),
        (matching(None, Some(Sender::Null)), &["c@x.example"]),
        (matching(Some("x.example"), Some(Sender::OfDomain(domain("a.example")))), &["a@x.example"]),
        (matching(Some("y.example"), Some(Sender::Null)), &[]),
    ];
    for (which, expected) in cases {
        let place = fresh();
        let store = &*place.open();
        commit(store, "one", &["a@x.example", "b@y.example"]).await;
        let mut two = arrival("two", &["c@x.example"], b"body\r\n");
        two.entry.envelope_sender = None;
        store.commit(two).await.expect("committed");
        let held = hold(store, which.clone(), None).await;
        assert_eq!(held, Held { recipients: expected.len() as u64, ..Held::default() }, "{which:?}");
        assert_eq!(on_hold(store).await, *expected, "{which:?}");
        assert_eq!(store.counts().await.expect("counts").on_hold, expected.len() as u64, "{which:?}");
        assert_eq!(store.release(which.clone(), NOW * 1000, "root".into()).await, Ok(expected.len() as u64));
        assert!(on_hold(store).await.is_empty(), "{which:?}");
        assert_eq!(claim(store, NOW).await.len(), 2, "{which:?}: what is released is due at once");
    }
}

/// A round that finds a recipient on hold moves it to the hold's end, of which it knows what its claim said.
async fn what_a_round_moves_is_where_the_operator_wants_it_by_then(fresh: &impl Fn() -> Box<dyn Place>) {
    for (again, expected) in [(None, NOW), (Some(NOW + 50), NOW + 50)] {
        let place = fresh();
        let store = &*place.open();
        commit(store, "one", &["a@x.example", "b@y.example"]).await;
        hold(store, matching(Some("x.example"), None), None).await;
        let claim = claim_one(store, NOW).await;
        assert!(claim.recipients[0].hold.is_some());
        match again {
            None => drop(store.release(Selection::All, NOW * 1000, "root".into()).await.expect("released")),
            Some(until) => drop(hold(store, matching(Some("x.example"), None), Some(until)).await),
        }
        let moved = QueuedRecipient { due_at: NOW + EXPIRE, ..claim.recipients[0].clone() };
        store.settle(Settled { release: true, ..settled(&claim, vec![moved]) }).await.expect("settled");
        let item = store.show("one").await.expect("shown").expect("there");
        assert_eq!(item.recipients[0].due_at, expected, "{again:?}");
    }
}

async fn a_hold_lasts_until_its_end(store: &dyn Store) {
    commit(store, "one", &["a@x.example", "b@y.example"]).await;
    hold(store, matching(Some("x.example"), None), Some(NOW + 100)).await;
    let first = claim_one(store, NOW).await;
    let hold_of = |recipient: &QueuedRecipient| recipient.hold.clone();
    let expected = OperatorHold { reason: "why".into(), by: "root".into(), at: NOW, until: Some(NOW + 100) };
    assert_eq!(first.recipients.iter().map(hold_of).collect::<Vec<_>>(), [Some(expected), None]);
    assert_eq!(first.recipients.iter().map(|r| r.is_due(NOW)).collect::<Vec<_>>(), [false, true]);
    store.settle(settled(&first, vec![first.recipients[1].clone()])).await.expect("settled");
    let again = claim_one(store, NOW).await;
    let retried = store.retry(Retry::Entry("one".into()), NOW * 1000, "root".into()).await;
    assert_eq!(retried, Ok(Retried { recipients: 1, on_hold: 1 }), "a retry undoes no hold");
    let later = QueuedRecipient { due_at: NOW + 500, ..again.recipients[1].clone() };
    store.settle(settled(&again, vec![later])).await.expect("settled");
    assert_eq!(store.next_due().await, Ok(Some(NOW + 100)));
    assert!(claim(store, NOW + 99).await.is_empty());
    let ended = claim_one(store, NOW + 100).await;
    assert_eq!(ended.recipients[0].hold, None, "what has run out is no hold");
    assert!(ended.recipients[0].is_due(NOW + 100));
    assert_eq!(store.counts().await.expect("counts").on_hold, 0);
    let until = format!("hold by root, why, until {:?}", Some(NOW + 100));
    assert_eq!(told(store, "one").await, ["committed", &until, "settled", "retry by root", "settled"]);
}

async fn a_hold_without_an_end_lasts_until_the_expiry(store: &dyn Store) {
    for (id, until) in [("none", None), ("behind", Some(NOW + EXPIRE))] {
        commit(store, id, &["a@x.example"]).await;
        let held = hold(store, Selection::Entry(id.into()), until).await;
        assert_eq!(held.expire_before, u64::from(until.is_some()), "{id}: whoever names a time is told of it");
        assert_eq!(store.next_due().await, Ok(Some(NOW + EXPIRE)), "{id}");
        let expired = claim_one(store, NOW + EXPIRE).await;
        let hold = expired.recipients[0].hold.as_ref().expect("it holds still: nothing is tried at the expiry");
        assert_eq!(hold.until, None, "{id}");
        store.settle(settled(&expired, moved(&expired, RecipientStatus::Reported, NOW))).await.expect("settled");
        assert_eq!(store.show(id).await, Ok(None));
    }
}

async fn a_round_under_way_keeps_the_hold(store: &dyn Store) {
    commit(store, "one", &["a@x.example"]).await;
    let under_way = claim_one(store, NOW).await;
    assert_eq!(hold(store, Selection::All, None).await, Held { recipients: 1, in_delivery: 1, expire_before: 0 });
    store.settle(settled(&under_way, moved(&under_way, Queued, NOW + 7))).await.expect("settled");
    let found = store.show("one").await.expect("shown").expect("queued");
    assert!(found.recipients[0].hold.is_some());
    assert_eq!(claim_one(store, NOW + 7).await.recipients[0].hold, found.recipients[0].hold, "the round is told");
    // A lease that ran out is no delivery.
    let late = store.hold(Selection::All, new(None), (NOW + 7 + LEASE) * 1000, "root".into()).await;
    assert_eq!(late, Ok(Held { recipients: 1, ..Held::default() }));
}

async fn a_policys_hold_outlives_an_operators(store: &dyn Store) {
    commit(store, "one", &["a@x.example"]).await;
    let round = claim_one(store, NOW).await;
    store.settle(settled(&round, moved(&round, ByPolicy, NOW + EXPIRE))).await.expect("settled");
    hold(store, Selection::All, Some(NOW + 10)).await;
    let retried = store.retry(Retry::Held, NOW * 1000, "root".into()).await;
    assert_eq!(retried, Ok(Retried { recipients: 0, on_hold: 1 }));
    assert_eq!(store.release(Selection::All, NOW * 1000, "root".into()).await, Ok(1));
    let found = store.show("one").await.expect("shown").expect("queued");
    assert_eq!((found.recipients[0].status, found.recipients[0].due_at), (ByPolicy, NOW + EXPIRE));
    hold(store, Selection::All, Some(NOW + 10)).await;
    assert!(claim(store, NOW + 11).await.is_empty(), "its end frees nothing that a policy holds");
    assert!(on_hold(store).await.is_empty());
}

async fn a_hold_is_kept_when_the_store_is_opened_again(place: &dyn Place) {
    let store = place.open();
    commit(&*store, "one", &["a@x.example"]).await;
    hold(&*store, Selection::All, Some(NOW + 10)).await;
    let before = store.show("one").await;
    drop(store);
    let store = place.open();
    assert_eq!(store.show("one").await, before);
    assert!(claim(&*store, NOW).await.is_empty());
}
