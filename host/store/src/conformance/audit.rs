//! The audit log: one chain, in the order of writing, found by what is asked, its beginning alone forgotten.

use std::sync::Arc;

use sealwire_core::audit::{Fault, Head, PRUNE, Verified, Walk};

use super::*;
use crate::AuditQuery;

pub(super) async fn run(fresh: &impl Fn() -> Box<dyn Place>) {
    finds_what_is_asked(&*fresh().open()).await;
    is_one_chain(&*fresh()).await;
    writers_share_one_chain(fresh().open()).await;
    forgets_its_beginning_and_says_so(&*fresh()).await;
}

async fn finds_what_is_asked(store: &dyn Store) {
    let other = |act: NewAudit| NewAudit { by: "token Backup".into(), from: "192.0.2.7".into(), ..act };
    let refused = AuditResult::Refused { reason: "line 7: no such\nlist".into() };
    let acts = [
        act(10, "reload", ""),
        other(act(20, "queue-hold", "entry E1")),
        NewAudit { result: refused, ..act(30, "settings-apply", "revision 4") },
        other(act(25, "reload", "")),
    ];
    for (number, act) in (1..).zip(acts.clone()) {
        assert_eq!(store.audit(act).await, Ok(number));
    }
    let all = AuditQuery::default;
    let cases: &[(AuditQuery, &[usize])] = &[
        (all(), &[0, 1, 2, 3]),
        (AuditQuery { since_ms: Some(20), ..all() }, &[1, 2, 3]),
        (AuditQuery { since_ms: Some(20), until_ms: Some(30), ..all() }, &[1, 3]),
        (AuditQuery { by: Some("BACKUP".into()), ..all() }, &[1, 3]),
        (AuditQuery { action: Some("reload".into()), ..all() }, &[0, 3]),
        (AuditQuery { action: Some("relo".into()), ..all() }, &[]),
        (AuditQuery { object: Some("e1".into()), ..all() }, &[1]),
        (AuditQuery { text: Some("No such".into()), ..all() }, &[2]),
        (AuditQuery { text: Some("192.0.2.7".into()), action: Some("reload".into()), ..all() }, &[3]),
        (AuditQuery { after: Some(1), limit: 2, ..all() }, &[1, 2]),
        (AuditQuery { last: true, limit: 2, ..all() }, &[2, 3]),
    ];
    for (query, expected) in cases {
        let lines = store.audit_log(query.clone()).await.expect("audit log");
        let found: Vec<_> = lines.iter().map(|line| line.record().expect("a record")).collect();
        let expected: Vec<_> = expected.iter().map(|at| acts[*at].clone()).collect();
        assert_eq!(found, expected, "{query:?}");
    }
}

async fn is_one_chain(place: &dyn Place) {
    let store = place.open();
    assert_eq!(store.audit_head().await, Ok(Head::default()));
    assert_eq!(store.audit_verify(None).await, Ok(Verified::default()));
    for number in 1..=3 {
        store.audit(act(number, "reload", "")).await.expect("written");
    }
    drop(store);
    let store = place.open();
    let head = store.audit_head().await.expect("a head");
    assert_eq!(store.audit(act(4, "reload", "")).await, Ok(4));
    let verified = store.audit_verify(Some(head)).await.expect("verified");
    assert_eq!((verified.first, verified.last, verified.entries), (Some(1), Some(4), 4));
    assert_eq!((verified.faults, verified.head), (vec![], store.audit_head().await.expect("a head")));
    let later = Head { number: 9, hash: [1; 32] };
    let faults = store.audit_verify(Some(later)).await.expect("verified").faults;
    assert_eq!(faults, [Fault::Missing { from: 5, to: 9 }]);
}

async fn writers_share_one_chain(store: Arc<dyn Store>) {
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 0..5 {
                    store.audit(act(number, "reload", &format!("by {writer}"))).await.expect("written");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer");
    }
    let verified = store.audit_verify(None).await.expect("verified");
    assert_eq!((verified.entries, verified.faults), (40, vec![]));
}

async fn forgets_its_beginning_and_says_so(place: &dyn Place) {
    let store = place.open();
    let prune = async |before_ms| store.audit_prune(before_ms, act(9_000, "", "")).await;
    assert_eq!(prune(u64::MAX).await, Ok(0));
    assert_eq!(store.audit_head().await, Ok(Head::default()), "nothing to tell of");
    // The clock went back: what stands behind an entry that is to be kept is kept.
    for at_ms in (0..10).chain([400, 5]) {
        store.audit(act(at_ms, "reload", "")).await.expect("written");
    }
    let first = store.audit_head().await.expect("a head");
    assert_eq!(prune(7).await, Ok(7));
    assert_eq!(prune(7).await, Ok(0));
    assert_eq!(prune(300).await, Ok(3));
    let anchor = store.audit_anchor().await.expect("an anchor");
    assert_eq!(anchor.number, 10);
    let lines = store.audit_log(AuditQuery::default()).await.expect("audit log");
    let told: Vec<_> = lines.iter().map(|line| (line.number, line.record().expect("a record"))).collect();
    let acts: Vec<_> = told.iter().map(|(number, act)| (*number, act.action.as_str(), act.at_ms)).collect();
    assert_eq!(acts, [(11, "reload", 400), (12, "reload", 5), (13, PRUNE, 9000), (14, PRUNE, 9000)]);
    assert_eq!(told[3].1.object, anchor.to_string());
    assert_eq!(store.audit_verify(Some(first)).await.expect("verified").faults, []);
    let mut part = Walk::of_part(anchor, None);
    lines.iter().for_each(|line| part.step(line));
    assert_eq!(part.end().faults, [], "as a file");
    assert_eq!(prune(u64::MAX).await, Ok(4), "all of it, and that is written");
    drop(store);
    let store = place.open();
    let verified = store.audit_verify(None).await.expect("verified");
    assert_eq!((verified.first, verified.entries, verified.faults), (Some(15), 1, vec![]));
    assert_eq!(store.audit(act(9_001, "reload", "")).await, Ok(16));
}
