//! A preview as a job over a ledger of several days: what it reads, how it ends, that there is one at a time.

use arc_swap::ArcSwap;
use sealwire_core::ledger::{DecisionRecord, LedgerRecord, MadeFor};
use sealwire_policy::{Sandbox, SandboxConfig};
use sealwire_store::{MemoryPlace, Store};
use tokio::sync::Mutex as AsyncMutex;

use super::tests::{ALL_RULES, FIRST, built, recorded};
use super::*;
use crate::alerts::Alerts;
use crate::counters::Counters;
use crate::delivery::{Logins, Pool};
use crate::destinations::Destinations;
use crate::fresh::Fresh;
use crate::lanes::Lanes;
use crate::listener::Sessions;
use crate::live::Builtins;
use crate::probes::Probes;
use crate::settings::Edit;
use crate::sts::Policies;
use crate::tls_reports::{Received, Reports};
use crate::world::{ThisMachine, World};

/// A relay that takes no mail, by these settings.
async fn relay(settings: &str) -> Arc<Relay> {
    let sandbox = Sandbox::start(SandboxConfig::default()).expect("a sandbox");
    let live = built(&sandbox, settings, 1);
    let store: Arc<dyn Store> = Arc::new(MemoryPlace::default().open());
    let world: Arc<dyn World> = Arc::new(ThisMachine);
    Arc::new(Relay {
        started_at: world.now(),
        world,
        sandbox,
        sts: Policies::of_store(&*store).await.expect("none"),
        store,
        fresh: Fresh::default(),
        pool: Pool::default(),
        logins: Logins::default(),
        lanes: Arc::new(Lanes::new(1)),
        destinations: Destinations::default(),
        probes: Probes::default(),
        tls_reports: Reports::default(),
        tls_reports_received: Received::default(),
        sessions: Arc::new(Sessions::default()),
        live: ArcSwap::from_pointee(live),
        acceptors: ArcSwap::default(),
        builtins: Builtins::new(),
        configuration: None,
        evidence_key: "evidence.key".into(),
        listening: Vec::new(),
        building: AsyncMutex::new(()),
        alerts: Alerts::default(),
        counters: Counters::default(),
        previews: Previews::default(),
    })
}

/// All mail of the table, on each of these days, counted back from now; how many decisions each day has.
async fn happened(relay: &Relay, days_ago: &[u64]) -> u64 {
    let live = relay.live();
    let all = recorded(&relay.sandbox, &live, &live).await;
    for days_ago in days_ago {
        let at_ms = relay.world.now_ms() - days_ago * DAY_MS;
        let record = |asked: &Replayable| LedgerRecord {
            at_ms,
            message: asked.message.clone(),
            event: LedgerEvent::Decision(asked.record.clone()),
        };
        relay.store.append(all.iter().map(record).collect()).await.expect("appended");
    }
    all.len() as u64
}

async fn ended(relay: &Arc<Relay>, document: &str, span: Span) -> Found {
    let begun = relay.begin_preview(Change::Document(document.to_owned()), span).await.expect("it begins");
    loop {
        let found = relay.preview(begun.id).expect("the newest");
        if found.state != State::Running {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_goes_while_it_is_being_built_leaves_no_job_behind() {
    let relay = relay("").await;
    let building = relay.building.lock().await;
    let mut begun = Box::pin(relay.begin_preview(Change::Document(FIRST.to_owned()), Span::default()));
    assert!(futures_util::poll!(&mut begun).is_pending(), "another change is being built");
    assert_eq!(relay.preview(1).expect("it has a number").state, State::Running);
    drop(begun);
    assert_eq!(relay.preview(1).expect("still").state, State::Failed);
    drop(building);
    assert_eq!(ended(&relay, FIRST, Span::default()).await.state, State::Done);
}

#[tokio::test]
async fn the_days_that_were_asked_for_are_read_and_no_others() {
    let relay = relay("").await;
    let decisions = happened(&relay, &[9, 3, 0]).await;
    assert!(decisions > AT_ONCE as u64, "more than one piece: {decisions}");
    for (days, times) in [(1, 1), (7, 2)] {
        let found = ended(&relay, FIRST, Span { days, ..Span::default() }).await;
        assert_eq!(found.state, State::Done);
        assert_eq!((found.replayed, found.not_replayable), (decisions * times, 0), "{days} days");
        assert_eq!((found.done, found.total), (decisions * times, decisions * times), "{days} days");
        let of = |change: &str| -> u64 {
            found.differences.iter().filter(|row| row.change == change).map(|row| row.count).sum()
        };
        // As in the table, once for each day: nothing is counted twice where one piece ends.
        let counts = ["accepted -> refused (R1)", "+ TLS", "if no host does: none -> bounce"].map(of);
        assert_eq!(counts, [36 * times, 24 * times, 24 * times], "{days} days");
        assert!(found.differences.iter().all(|row| row.examples.len() <= 3));
        let had = found.differences.iter().find_map(|row| row.had).expect("a demand more");
        assert!(had.unknown > 0 && had.yes + had.no == 0, "there was no attempt: {had:?}");
    }
}

/// Edits of what is in force come to the same as the document they make, and whoever watches hears of every step.
#[tokio::test]
async fn edits_are_foreseen_like_the_document_they_make() {
    let relay = relay("").await;
    happened(&relay, &[0]).await;
    let edits = serde_json::json!([
        { "edit": "put-list", "list": "partners", "entries": [{ "text": "other.test" }] },
        { "edit": "put-setting", "policy": "secure-transport", "id": "partners", "value": {
            "description": "partners", "scopes": ["inbound"], "lists": ["partners"] } },
    ]);
    let edits: Vec<Edit> = serde_json::from_value(edits).expect("edits");
    let begun = relay.begin_preview(Change::Edits(edits), Span::default()).await.expect("it begins");
    let mut watched = relay.watch_preview(begun.id).expect("the newest");
    let mut seen = Vec::new();
    while watched.borrow_and_update().state == State::Running {
        watched.changed().await.expect("it ends first");
        seen.push(watched.borrow().done);
    }
    assert!(seen.is_sorted() && seen.len() > 1, "{seen:?}");
    let by_edits = watched.borrow().clone();
    let document = "[lists.partners]\nentries = [\"other.test\"]\n[[policy.secure-transport.settings]]\nid = \"partners\"\n\
                    description = \"partners\"\nscopes = [\"inbound\"]\nlists = [\"partners\"]\n";
    let by_document = ended(&relay, document, Span::default()).await;
    assert!(!by_document.differences.is_empty());
    assert_eq!(by_edits.differences, by_document.differences);
    let none = Change::Edits(vec![Edit::RemoveList { list: "nobody's".to_owned() }]);
    let refused = relay.begin_preview(none, Span::default()).await;
    assert!(matches!(refused, Err(Refused::Change(ChangeError::Edit(_)))));
}

/// A decision on arrival of mail that [`FIRST`] would refuse.
fn listed_in_clear(all: &[Replayable]) -> &DecisionRecord {
    let listed = |asked: &&Replayable| {
        asked.record.hook == "receive"
            && asked.record.at_hand["message.header-from"] == serde_json::json!(["z@other.test"])
            && asked.record.at_hand["client.channel.state"] == "not-offered"
    };
    &all.iter().find(listed).expect("in the table").record
}

/// Two units concern the message: its decisions are one thing, wherever a piece ends.
#[tokio::test]
async fn what_belongs_together_is_counted_as_one_across_pieces() {
    let relay = relay("").await;
    let live = relay.live();
    let all = recorded(&relay.sandbox, &live, &live).await;
    let decision = listed_in_clear(&all);
    let of_sales = DecisionRecord { unit: vec!["root".into(), "sales".into()], ..decision.clone() };
    let record = |message: String, decision: &DecisionRecord| LedgerRecord {
        at_ms: relay.world.now_ms(),
        message,
        event: LedgerEvent::Decision(decision.clone()),
    };
    let mut records: Vec<_> = (1..AT_ONCE).map(|number| record(format!("m{number}"), decision)).collect();
    records.extend([record("last".into(), decision), record("last".into(), &of_sales)]);
    relay.store.append(records).await.expect("appended");
    let found = ended(&relay, FIRST, Span::default()).await;
    assert_eq!(found.replayed, AT_ONCE as u64 + 1);
    let counts: Vec<_> = found.differences.iter().map(|row| (row.change.as_str(), row.count)).collect();
    assert_eq!(counts, [("accepted -> refused (R1)", AT_ONCE as u64)]);
}

/// Units with equal settings are asked for once; those that a change gives others to have theirs foreseen all the same.
#[tokio::test]
async fn a_decision_for_several_units_is_foreseen_for_each() {
    let relay = relay("").await;
    let live = relay.live();
    let all = recorded(&relay.sandbox, &live, &live).await;
    let decision = listed_in_clear(&all);
    let it = MadeFor { unit: vec!["root".into(), "it".into()], internal: false };
    let event = LedgerEvent::Decision(DecisionRecord { also_for: vec![it], ..decision.clone() });
    let record = LedgerRecord { at_ms: relay.world.now_ms(), message: "m".into(), event };
    relay.store.append(vec![record]).await.expect("appended");
    let of_it = format!("[units.it]\ndomains = [\"it.test\"]\n{FIRST}unit = \"it\"\n");
    let found = ended(&relay, &of_it, Span::default()).await;
    let counts: Vec<_> = found.differences.iter().map(|row| (row.change.as_str(), row.count)).collect();
    assert_eq!(counts, [("accepted -> refused (R1)", 1)], "{found:?}");
}

/// A domain that moves is foreseen by the settings of the unit it moves to.
#[tokio::test]
async fn a_domain_that_moves_has_the_settings_of_its_new_unit() {
    // R1 holds for mail that comes in to `it`.
    let units = |sales: &str, it: &str| {
        format!("[units.sales]\ndomains = [{sales}]\n[units.it]\ndomains = [{it}]\n{FIRST}unit = \"it\"\n")
    };
    let (moves, other) = ("\"moves.test\"", "\"other.test\"");
    // With no setting at all every fact is at hand.
    let bare = relay("").await;
    let all = recorded(&bare.sandbox, &bare.live(), &bare.live()).await;
    let relay = relay(&units(moves, other)).await;
    let decision = listed_in_clear(&all);
    let sales = vec!["root".to_owned(), "sales".to_owned()];
    let mut record = DecisionRecord { unit: sales, internal: false, ..decision.clone() };
    record.at_hand.insert("message.recipients".into(), serde_json::json!(["ann@moves.test"]));
    let event = LedgerEvent::Decision(record);
    let record = LedgerRecord { at_ms: relay.world.now_ms(), message: "m".into(), event };
    relay.store.append(vec![record]).await.expect("appended");
    // What would be in force, and what would differ.
    let both = format!("{moves}, {other}");
    let rows = [(units(moves, other), vec![]), (units("", &both), vec![("accepted -> refused (R1)", 1)])];
    for (document, expected) in rows {
        let found = ended(&relay, &document, Span::default()).await;
        let counts: Vec<_> = found.differences.iter().map(|row| (row.change.as_str(), row.count)).collect();
        assert_eq!(counts, expected, "{document}: {found:?}");
    }
}

#[tokio::test]
async fn it_ends_where_it_is_told_to_and_says_how_far_it_came() {
    let relay = relay(ALL_RULES).await;
    happened(&relay, &[0]).await;
    let found = ended(&relay, FIRST, Span { within: 0, ..Span::default() }).await;
    assert_eq!((found.state, found.done, found.replayed), (State::OutOfTime, 0, 0));
    assert!(found.total > 0);

    let document = || Change::Document(FIRST.to_owned());
    // On this one thread it has not begun to read when it is stopped.
    let begun = relay.begin_preview(document(), Span::default()).await.expect("it begins");
    assert_eq!(begun.state, State::Running);
    let refused = relay.begin_preview(document(), Span::default()).await;
    let Err(Refused::Running(id)) = refused else { panic!("two at a time") };
    assert_eq!(id, begun.id);
    assert!(relay.cancel_preview(begun.id + 1).is_none() && relay.preview(begun.id - 1).is_none());
    relay.cancel_preview(begun.id).expect("it runs");
    while relay.preview(begun.id).expect("the newest").state == State::Running {
        tokio::task::yield_now().await;
    }
    let found = relay.preview(begun.id).expect("the newest");
    assert!(found.state == State::Cancelled && found.done < found.total, "{found:?}");

    // What is refused leaves room for the next, and nothing came into force.
    let wrong = relay.begin_preview(Change::Document(FIRST.replace("inbound", "up")), Span::default()).await;
    assert!(matches!(wrong, Err(Refused::Change(ChangeError::Refused(_)))));
    for span in [Span { days: 0, ..Span::default() }, Span { within: 3_601, ..Span::default() }] {
        assert!(matches!(relay.begin_preview(document(), span).await, Err(Refused::Asked(_))));
    }
    let same = ended(&relay, ALL_RULES, Span::default()).await;
    assert_eq!((same.state, same.differences.len(), same.not_replayable), (State::Done, 0, 0));
    assert_eq!((relay.live().generation.number(), relay.live().settings_revision), (1, 1));
}
