//! Organizational units: who asks for some of them is shown, and moves, nothing else.

use std::collections::BTreeSet;

use sealwire_core::ledger::{ArrivalRecord, DecisionRecord, MadeFor};
use sealwire_core::units::Within;

use super::*;
use crate::{LedgerLine, NewHold, QueueFilter, Retry, Selection};

/// Ids of four entries, each after its unit; the last name's quote must not end the text it stands in.
const UNITS: [&str; 4] = ["root", "root/a", "root/a/x", "root/a\"b"];

pub(super) async fn run(fresh: &impl Fn() -> Box<dyn Place>) {
    let cases: &[(&[&str], &[&str])] = &[
        (&["root"], &UNITS),
        (&["root/a"], &["root/a", "root/a/x"]),
        (&["root/a/x", "root/a\"b"], &["root/a/x", "root/a\"b"]),
        (&["root/b"], &[]),
        (&[], &[]),
    ];
    for (units, expected) in cases {
        asks_for(&*fresh().open(), units, expected).await;
    }
    a_decision_for_several_units_is_shown_to_each(&*fresh().open()).await;
}

/// And names none that whoever looks does not look after.
async fn a_decision_for_several_units_is_shown_to_each(store: &dyn Store) {
    let made_for = |unit: &str| MadeFor { unit: path(unit), internal: unit == "root/b" };
    let mut record = decided("root/a");
    if let LedgerEvent::Decision(decision) = &mut record.event {
        decision.also_for = vec![made_for("root/b"), made_for("root/c"), made_for("root/c/x")];
    }
    store.append(vec![record, decided("root/d")]).await.expect("appended");
    // Who looks after what, and the units that the decision is shown to have been made for, whether of internal mail first.
    let rows: &[(&[&str], &[&str], bool)] = &[
        (&["root"], &["root/a", "root/b", "root/c", "root/c/x"], false),
        (&["root/a"], &["root/a"], false),
        (&["root/b"], &["root/b"], true),
        (&["root/c"], &["root/c", "root/c/x"], false),
        (&["root/c/x", "root/a"], &["root/a", "root/c/x"], false),
        (&["root/c/y"], &[], false),
    ];
    for (units, expected, internal) in rows {
        let within = Some(Within::new(units.iter().map(|text| path(text)).collect()));
        let query = LedgerQuery { within, message: Some("root/a".into()), ..LedgerQuery::default() };
        let lines = store.ledger(query).await.expect("ledger");
        let shown = lines.into_iter().flat_map(|line| match line.record.event {
            LedgerEvent::Decision(decision) => {
                assert_eq!(decision.internal, *internal, "{units:?}");
                std::iter::once(decision.unit).chain(decision.also_for.into_iter().map(|other| other.unit))
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(shown.map(|unit| unit.join("/")).collect::<Vec<_>>(), *expected, "{units:?}");
    }
}

fn path(text: &str) -> Vec<String> {
    text.split('/').map(ToOwned::to_owned).collect()
}

async fn asks_for(store: &dyn Store, units: &[&str], expected: &[&str]) {
    for id in UNITS {
        let mut new = arrival(id, &["a@x.example"], b"body\r\n");
        new.entry.unit = path(id);
        store.commit(new).await.expect("committed");
        store.append(vec![accepted(id)]).await.expect("appended");
    }
    let within = Within::new(units.iter().map(|text| path(text)).collect());
    let count = expected.len() as u64;

    let filter = QueueFilter { within: Some(within.clone()), ..QueueFilter::default() };
    let listed = store.list(filter).await.expect("listed");
    assert_eq!(listed.iter().map(|item| item.entry.id.as_str()).collect::<Vec<_>>(), expected, "{units:?}");

    let query = LedgerQuery { within: Some(within.clone()), events: vec!["accepted".into()], ..LedgerQuery::default() };
    let lines = store.ledger(query).await.expect("ledger");
    assert_eq!(lines.iter().map(|line| line.record.message.as_str()).collect::<Vec<_>>(), expected, "{units:?}");

    let hold = || NewHold { reason: "why".into(), until: None, expire_after_secs: 1000 };
    let of_units = |which| Selection::Within(within.clone(), Box::new(which));
    let held = store.hold(of_units(Selection::All), hold(), NOW * 1000, "root".into()).await.expect("held");
    assert_eq!(held.recipients, count, "{units:?}");
    for id in UNITS {
        let one = store.hold(of_units(Selection::Entry(id.into())), hold(), NOW * 1000, "root".into()).await;
        assert_eq!(one.map(|held| held.recipients), Ok(u64::from(expected.contains(&id))), "{units:?} {id}");
    }
    assert_eq!(store.release(of_units(Selection::All), NOW * 1000, "root".into()).await, Ok(count), "{units:?}");

    let retry = Retry::Within(within.clone(), Box::new(Retry::All));
    let retried = store.retry(retry, NOW * 1000, "root".into()).await.expect("retried");
    assert_eq!(retried.recipients, count, "{units:?}");
    told(store, within, expected).await;
}

/// What was decided on a message, and what operators did to it, is of its unit, whoever did it.
async fn told(store: &dyn Store, within: Within, expected: &[&str]) {
    let of_before = store.ledger(LedgerQuery { last: true, limit: 1, ..LedgerQuery::default() }).await.expect("ledger");
    store.append(UNITS.map(decided).to_vec()).await.expect("appended");
    let new = NewHold { reason: "why".into(), until: None, expire_after_secs: 1000 };
    store.hold(Selection::All, new, NOW * 1000, "root".into()).await.expect("held");
    store.release(Selection::All, NOW * 1000, "root".into()).await.expect("released");
    store.retry(Retry::All, NOW * 1000, "root".into()).await.expect("retried");
    for id in UNITS {
        assert_eq!(store.remove(id, NOW * 1000, "root".into()).await, Ok(true), "{id}");
    }
    let after = of_before.first().map(|line| line.number);
    let lines =
        store.ledger(LedgerQuery { within: Some(within), after, ..LedgerQuery::default() }).await.expect("ledger");
    let word = |line: LedgerLine| match line.record.event {
        LedgerEvent::Operator { action, .. } => (line.record.message, action),
        _ => (line.record.message, "decided".to_owned()),
    };
    let told: BTreeSet<_> = lines.into_iter().map(word).collect();
    let acts = ["decided", "hold", "release", "retry", "remove"];
    let all = expected.iter().flat_map(|id| acts.map(|act| ((*id).to_owned(), act.to_owned())));
    assert_eq!(told, all.collect::<BTreeSet<_>>());
}

fn decided(id: &str) -> LedgerRecord {
    let decision = DecisionRecord {
        hook: "plan".into(),
        policy: "p".into(),
        generation: 1,
        revision: 1,
        revision_at: 0,
        unit: path(id),
        internal: false,
        also_for: Vec::new(),
        component: String::new(),
        settings: String::new(),
        lists: Default::default(),
        facts: Default::default(),
        at_hand: Default::default(),
        result: Default::default(),
        reasons: Vec::new(),
        took_us: 1,
    };
    LedgerRecord { at_ms: 1, message: id.into(), event: LedgerEvent::Decision(decision) }
}

fn accepted(id: &str) -> LedgerRecord {
    let arrival = ArrivalRecord {
        noted: Vec::new(),
        unit: path(id),
        client: None,
        tls: None,
        envelope_sender: None,
        recipients: Vec::new(),
        header_from: Vec::new(),
        generation: 1,
        flagged_by: Vec::new(),
        size: None,
    };
    LedgerRecord { at_ms: 1, message: id.into(), event: LedgerEvent::Accepted(arrival) }
}
