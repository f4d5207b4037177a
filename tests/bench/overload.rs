//! More sessions than a relay needs to be busy, as fast as they can: how much of what it accepted it had delivered when
//! the last message was accepted. A relay that takes mail faster than it gets rid of it fills its queue.

use crate::Extent;
use crate::ends::{Load, Sink};
use crate::relays::Surroundings;
use crate::table::{Budget, Figures, Row, say};

const SESSIONS: usize = 100;
/// As many runs' messages in one: a queue needs time to grow.
const TIMES_MESSAGES: u64 = 4;

pub(crate) fn measure(extent: &Extent) -> Vec<Row> {
    let mut measured = [Figures::default(), Figures::default()];
    for run in 1..=extent.runs.min(3) {
        for &kind in extent.relays() {
            say(&format!("overload, {kind:?}, run {run}"));
            let messages = extent.messages * TIMES_MESSAGES;
            let around = Surroundings::new(true);
            let relay = around.start(kind);
            let sink = Sink::start(&around, messages);
            let sent = Load { sessions: SESSIONS, messages, ..Load::default() }.run(relay.address(), &around);
            measured[kind as usize].add(sink.account().distinct as f64 / sent.accepted as f64);
            sink.wait_for(messages);
            sink.assert_clean(0);
        }
    }
    let [postfix, sealwire] = measured;
    vec![Row {
        what: format!("delivered of what was accepted, at the end of a load of {SESSIONS} sessions"),
        unit: "share",
        postfix: Some(postfix),
        sealwire,
        budget: Budget::AtLeast(0.99),
    }]
}
