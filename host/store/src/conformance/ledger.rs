//! The ledger: in the order of writing, found by what is asked, forgotten by time.

use sealwire_core::ledger::ArrivalRecord;
use sealwire_core::reason::Reason;
use sealwire_core::reply::Reply;

use super::*;

pub(super) async fn run(fresh: &impl Fn() -> Box<dyn Place>) {
    finds_what_is_asked(&*fresh().open()).await;
    forgets_by_time_and_reuses_no_number(&*fresh()).await;
}

fn turned_away(at_ms: u64, recipient: &str) -> LedgerRecord {
    let arrival = ArrivalRecord {
        unit: vec!["root".into()],
        client: Some("192.0.2.1".into()),
        tls: None,
        envelope_sender: None,
        recipients: vec![mailbox(recipient), mailbox("second@y.example")],
        header_from: Vec::new(),
        generation: 1,
        flagged_by: Vec::new(),
        size: None,
        noted: Vec::new(),
    };
    let reply = Reply::new(550, (7, 10), "Encryption required");
    // A text that looks like the reason of another rule.
    let (policy, rule, text) = ("p".to_owned(), "R1".to_owned(), "not \"rule\":\"R2\"".to_owned());
    let reasons = vec![Reason { policy, rule, text, matched: None, detail: None }];
    LedgerRecord { at_ms, message: String::new(), event: LedgerEvent::TurnedAway { arrival, reply, reasons } }
}

async fn finds_what_is_asked(store: &dyn Store) {
    let records = vec![
        alert("m1", 10, "one"),
        turned_away(20, "Bob@x.example"),
        alert("m2", 30, "three"),
        alert("m1", 25, "four"),
    ];
    store.append(records.clone()).await.expect("appended");
    let all = LedgerQuery::default;
    let cases: &[(LedgerQuery, &[usize])] = &[
        (all(), &[0, 1, 2, 3]),
        (LedgerQuery { message: Some("m1".into()), ..all() }, &[0, 3]),
        (LedgerQuery { since_ms: Some(20), ..all() }, &[1, 2, 3]),
        (LedgerQuery { since_ms: Some(20), until_ms: Some(30), ..all() }, &[1, 3]),
        (LedgerQuery { recipient: Some("bob@X.example".into()), ..all() }, &[1]),
        (LedgerQuery { recipient: Some("y.exam".into()), ..all() }, &[1]),
        (LedgerQuery { rule: Some("R1".into()), ..all() }, &[1]),
        (LedgerQuery { rule: Some("R1".into()), last: true, limit: 1, ..all() }, &[1]),
        (LedgerQuery { rule: Some("R1".into()), events: vec!["alert".into()], ..all() }, &[]),
        (LedgerQuery { rule: Some("R2".into()), ..all() }, &[]),
        (LedgerQuery { rule: Some("R".into()), ..all() }, &[]),
        (LedgerQuery { events: vec!["turned-away".into()], ..all() }, &[1]),
        (LedgerQuery { events: vec!["alert".into(), "turned-away".into()], limit: 2, ..all() }, &[0, 1]),
        (LedgerQuery { last: true, limit: 2, ..all() }, &[2, 3]),
        (LedgerQuery { message: Some("m3".into()), ..all() }, &[]),
    ];
    for (query, expected) in cases {
        let lines = store.ledger(query.clone()).await.expect("ledger");
        let found: Vec<_> = lines.into_iter().map(|line| line.record).collect();
        let expected: Vec<_> = expected.iter().map(|at| records[*at].clone()).collect();
        assert_eq!(found, expected, "{query:?}");
    }
    let first = store.ledger(LedgerQuery { limit: 1, ..all() }).await.expect("ledger").remove(0);
    let rest = store.ledger(LedgerQuery { after: Some(first.number), ..all() }).await.expect("ledger");
    assert_eq!(rest.len(), 3);
    assert!(rest.windows(2).all(|pair| pair[0].number < pair[1].number));
}

async fn forgets_by_time_and_reuses_no_number(place: &dyn Place) {
    let store = place.open();
    store.append(vec![alert("m1", 10, "one"), alert("m1", 20, "two")]).await.expect("appended");
    assert_eq!(store.prune(20).await, Ok(1));
    assert_eq!(told(&*store, "m1").await, ["two"]);
    let last = store.ledger(LedgerQuery::default()).await.expect("ledger").remove(0).number + 2500;
    let many = (0..2500).map(|at_ms| alert("m2", at_ms, "many")).collect();
    store.append(many).await.expect("appended");
    assert_eq!(store.prune(u64::MAX).await, Ok(2501), "however many there are");
    drop(store);
    let store = place.open();
    store.append(vec![alert("m1", 30, "three")]).await.expect("appended");
    assert!(store.ledger(LedgerQuery::default()).await.expect("ledger")[0].number > last);
}
