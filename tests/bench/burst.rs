//! 1,000 clients connect at once, shake hands under TLS, say EHLO and QUIT: how long until the last was answered.
//!
//! Postfix lets a connection that finds its queue of them full wait for TCP's repeats, which come ever more slowly; a run
//! in which it has not served all within a minute is told as `inf`.

use std::time::Duration;

use crate::Extent;
use crate::ends::Load;
use crate::relays::Surroundings;
use crate::table::{Budget, Figures, Row, say};

const CLIENTS: usize = 1_000;
/// After so long a relay has not served them.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure(extent: &Extent) -> Vec<Row> {
    let (mut last, mut failures) = ([Figures::default(), Figures::default()], [Figures::default(), Figures::default()]);
    for run in 1..=extent.runs {
        for &kind in extent.relays() {
            say(&format!("{CLIENTS} clients at once, {kind:?}, run {run} of {}", extent.runs));
            let around = Surroundings::new(true);
            let relay = around.start(kind);
            let load = Load { sessions: CLIENTS, hold_secs: Some(0), ..Load::default() };
            let sent = load.start(relay.address(), &around).finish_within(PATIENCE);
            last[kind as usize].add(sent.as_ref().map_or(f64::INFINITY, |sent| sent.connect_ms.max / 1e3));
            failures[kind as usize].add(sent.map_or(f64::INFINITY, |sent| sent.failures as f64));
        }
    }
    let row = |what: &str, unit, [postfix, sealwire]: [Figures; 2], budget| Row {
        what: what.to_owned(),
        unit,
        postfix: Some(postfix),
        sealwire,
        budget,
    };
    vec![
        row("1,000 TLS connects at once, until the last is served", "s", last, Budget::AtMost(1.0)),
        row("of these, failed at first", "connections", failures, Budget::AtMost(0.0)),
    ]
}
