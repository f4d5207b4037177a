//! Disks that fail while the power stays: no space, no writing, no syncing, at each call in turn.
//!
//! The store runs on. What it answered as done must be there, what it refused must not, a full disk is called full, and
//! once the disk works again so does the store. Then the power is cut after all: a failed sync leaves in doubt what
//! waited for it, and only that.

use std::sync::Arc;

use sealwire_core::entry::RecipientStatus::{Delivered, Held, Reported};

use super::model::Model;
use super::recorder::{Fault, FaultKind, Recorder};
use super::scenarios::checkpoint_often;
use super::search::{Bench, Plan, Where};
use super::witness::Witness;
use super::{Recorded, plan, runtime, search_all};
use crate::conformance::{NOW, act, alert, arrival, known, moved, piece, put, settled};
use crate::extents::EXTENT_MIN;
use crate::{CONTENT_INLINE_MAX, NewEntry, NewRevision, Retry, Settled, Store, StoreError};

/// How often an opening or a last commit is tried: more often than calls fail.
const TRIES: usize = 8;
/// Calls fail until somebody mends the disk.
const UNTIL_MENDED: usize = usize::MAX;

/// One run on a failing disk: the errors it met, in order.
#[derive(Default)]
struct Met(Vec<StoreError>);

impl Met {
    fn note<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    fn open(&mut self, place: &Recorded) -> Arc<Witness> {
        let opened = (0..TRIES).find_map(|_| self.note(place.try_open())).or_else(|| {
            place.recorder.heal();
            self.note(place.try_open())
        });
        opened.unwrap_or_else(|| panic!("the store opens once the disk works again: {:?}", self.0))
    }

    /// Asks for everything once, and takes errors as they come.
    async fn everything(&mut self, place: &Recorded, mended: bool) {
        let store = self.open(place);
        checkpoint_often(store.store()).await;
        let large = vec![b'l'; CONTENT_INLINE_MAX + 3000];
        for (id, octets) in [("e1", 3000), ("e2", 3000), ("m1", EXTENT_MIN + 1000)] {
            self.note(store.commit(arrival(id, &["b@x.example"], &vec![b'e'; octets])).await);
        }
        let mut writer = store.begin_content();
        if self.note(writer.write(large.clone()).await).is_some()
            && let Some(content) = self.note(writer.finish().await)
        {
            self.note(store.commit(NewEntry { content, ..arrival("l1", &["b@x.example"], b"") }).await);
        }
        let (one, two, three) = tokio::join!(
            store.commit(arrival("l2", &["b@x.example"], &large)),
            store.commit(arrival("e3", &["b@x.example"], b"hi")),
            store.put_settings(NewRevision {
                pieces: vec![piece(1, 20_000), piece(2, 20_000)],
                needs: vec![[1; 32], [2; 32]],
                audit: Some(act(NOW * 1000, "settings-apply", "one")),
                ..put("one".into(), String::new(), None)
            }),
        );
        let _ = (self.note(one), self.note(two), self.note(three));
        for claim in self.note(store.claim(NOW, NOW + 60, 9).await).unwrap_or_default() {
            let outcome = match claim.entry.id.as_str() {
                "e1" => Settled {
                    reports: vec![arrival("r1", &["s@a.example"], &large[..2 * EXTENT_MIN])],
                    ..settled(&claim, moved(&claim, Reported, NOW))
                },
                "e2" => settled(&claim, moved(&claim, Held, NOW + 1000)),
                _ => settled(&claim, moved(&claim, Delivered, NOW)),
            };
            self.note(store.settle(outcome).await);
        }
        self.note(store.audit(act(NOW * 1000, "reload", "")).await);
        self.note(store.append(vec![alert("", NOW * 1000, "alone")]).await);
        let both = [known("sts", "x.example", "{}", NOW), known("sts", "y.example", "{}", NOW)];
        self.note(store.learn(both.to_vec()).await);
        self.note(store.forget("sts", vec!["y.example".into()]).await);
        self.note(store.retry(Retry::Held, NOW * 1000, "root".into()).await);
        self.note(store.remove("e2", (NOW + 60) * 1000, "root".into()).await);
        if mended {
            place.recorder.heal();
        }
        let id = if mended { "at-once" } else { "perhaps" };
        let at_once = self.note(store.commit(arrival(id, &["b@x.example"], b"")).await);
        assert!(!mended || at_once.is_some(), "the store goes on at once: {:?}", self.0);
        drop(store);
        let store = self.open(place);
        let mut done = None;
        for number in 0..TRIES {
            let last = arrival(&format!("last{number}"), &["b@x.example"], b"");
            done = done.or(self.note(store.commit(last).await));
        }
        assert!(done.is_some(), "the store goes on once the disk works again: {:?}", self.0);
    }
}

/// How many calls a run makes that can fail so.
fn calls(kind: FaultKind) -> usize {
    let place = Recorded::new(Recorder::failing(Fault { kind, after: usize::MAX, count: 0 }));
    let mut met = Met::default();
    runtime().block_on(met.everything(&place, false));
    assert_eq!(met.0, [], "nothing has failed yet");
    place.recorder.faults_met()
}

/// Lets one call after the other fail, as many as `count` in a row; one in `usual`, where no long search is asked for.
fn fails(kind: FaultKind, count: usize, usual: usize, may_say: fn(&StoreError) -> bool) {
    let (calls, bench, runtime) = (calls(kind), Bench::new(), runtime());
    let step = if std::env::var_os("SEALWIRE_CUTS").is_some() { 1 } else { usual };
    let (mut runs, mut told) = (0, 0);
    let recordings = (0..calls).step_by(step).map(|after| {
        let fault = Fault { kind, after, count };
        let place = Recorded::new(Recorder::failing(fault));
        let mut met = Met::default();
        runtime.block_on(met.everything(&place, count == UNTIL_MENDED));
        (runs, told) = (runs + 1, told + met.0.len());
        if let Some(error) = met.0.iter().find(|error| !may_say(error)) {
            panic!("{fault:?}: {error}");
        }
        let recording = place.end();
        let mut model = Model::new(&[], false);
        recording.events.iter().for_each(|event| model.learn(event));
        let checked = bench.look(&recording.last()).and_then(|seen| model.check(&seen));
        checked.unwrap_or_else(|why| panic!("{fault:?}, answered {:?}: {why}", met.0));
        recording
    });
    let plan = Plan { places: Where::AfterFailure, errors_leave_doubt: true, twice: 0, ..plan() };
    search_all(&format!("{kind:?} fails at one of {calls} calls"), recordings, plan);
    assert!(told > runs / 2, "{kind:?}: {told} errors in {runs} runs");
    eprintln!("{kind:?}: {runs} runs met {told} errors");
}

#[test]
fn a_full_disk() {
    // SQLite does not say why it could not open its log; where there is room again when that is asked, rights are blamed.
    fails(FaultKind::NoSpace, 3, 23, |error| matches!(error, StoreError::Full(_) | StoreError::ReadOnly(_)));
}

#[test]
fn a_disk_that_stays_full() {
    fails(FaultKind::NoSpace, UNTIL_MENDED, 23, |error| matches!(error, StoreError::Full(_)));
}

#[test]
fn a_disk_that_does_not_write() {
    fails(FaultKind::Write, 2, 23, |error| matches!(error, StoreError::Engine { .. } | StoreError::File { .. }));
}

#[test]
fn a_disk_that_does_not_sync() {
    fails(FaultKind::Sync, 1, 1, |error| matches!(error, StoreError::Engine { .. } | StoreError::File { .. }));
}
