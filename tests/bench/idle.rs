//! Memory of a TLS session that has said EHLO and is silent: many are opened, and the difference is shared out.

use crate::Extent;
use crate::ends::Load;
use crate::relays::{Kind, Surroundings, UnderTest};
use crate::table::{Budget, Figures, Row, say};

/// The budget is for a relay with many; Postfix has a process for each and 100 at most by default.
const SESSIONS: [usize; 2] = [50, 1000];
const HOLD_SECS: u64 = 8;
/// Opened and closed before: what the first sessions cost the process once is not theirs.
const WARM_UP_SESSIONS: usize = 20;

pub(crate) fn measure(extent: &Extent) -> Vec<Row> {
    let mut measured = [Figures::default(), Figures::default()];
    for run in 1..=extent.runs {
        for &kind in extent.relays() {
            let sessions = SESSIONS[kind as usize];
            say(&format!("{sessions} idle sessions, {kind:?}, run {run} of {}", extent.runs));
            let around = Surroundings::new(true);
            let relay = around.start(kind);
            measured[kind as usize].add(once(&around, &relay, kind, sessions));
        }
    }
    let [postfix, sealwire] = measured;
    vec![Row {
        what: "memory of an idle TLS session".to_owned(),
        unit: "KiB",
        postfix: Some(postfix),
        sealwire,
        budget: Budget::AtMost(20.0),
    }]
}

fn once(around: &Surroundings, relay: &UnderTest, kind: Kind, sessions: usize) -> f64 {
    if kind == Kind::Sealwire {
        Load { sessions: WARM_UP_SESSIONS, hold_secs: Some(0), ..Load::default() }.run(relay.address(), around);
    }
    relay.cpu_seconds_at_rest();
    let before = relay.memory();
    let load = Load { sessions, hold_secs: Some(HOLD_SECS), ..Load::default() };
    let mut sending = load.start(relay.address(), around);
    sending.wait_until_open();
    relay.cpu_seconds_at_rest();
    let during = relay.memory();
    let sent = sending.finish();
    assert_eq!(sent.failures, 0, "the run is void: {:?}", sent.trouble);
    (during - before) / sessions as f64 / 1024.0
}
