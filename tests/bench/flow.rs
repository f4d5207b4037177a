//! The delivery rows: messages through a relay, what they cost, how fast they went, how much memory that took.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::Extent;
use crate::ends::{Load, Sink};
use crate::relays::{Surroundings, UnderTest};
use crate::table::{Budget, Figures, Row, say};

/// Sent first and not counted: processes are started, connections and pages are warm.
pub(crate) const WARM_UP: u64 = 200;
/// Between looks at the memory.
const LOOK: Duration = Duration::from_millis(100);
const MIB: f64 = 1024.0 * 1024.0;

/// One kind of mail.
pub(crate) struct Flow {
    pub(crate) what: &'static str,
    pub(crate) secured: bool,
    pub(crate) size: usize,
    pub(crate) per_connection: u64,
}

/// One figure of each run, of one relay.
#[derive(Default)]
pub(crate) struct Measured {
    /// CPU seconds per 1,000 messages.
    pub(crate) cpu: Figures,
    /// Messages per second, from the first packet in to the last message out.
    pub(crate) rate: Figures,
    /// The most memory, MiB.
    pub(crate) memory: Figures,
}

/// The CPU row of a flow; budget: one so-manieth of Postfix.
pub(crate) fn cpu(flow: &Flow, part: f64, extent: &Extent) -> Vec<Row> {
    let [postfix, sealwire] = both(flow, extent);
    vec![cpu_row(flow, part, &postfix, &sealwire)]
}

/// The CPU row, and from the same runs messages per second and the most memory.
pub(crate) fn cpu_rate_and_memory(flow: &Flow, part: f64, extent: &Extent) -> Vec<Row> {
    let [postfix, sealwire] = both(flow, extent);
    vec![
        cpu_row(flow, part, &postfix, &sealwire),
        Row {
            what: "end to end, STARTTLS, 20 sessions".to_owned(),
            unit: "messages/s",
            postfix: Some(postfix.rate),
            sealwire: sealwire.rate,
            budget: Budget::TimesPostfix(5.0),
        },
        Row {
            what: "most memory meanwhile".to_owned(),
            unit: "MiB",
            postfix: Some(postfix.memory),
            sealwire: sealwire.memory,
            budget: Budget::PartOfPostfix(3.0),
        },
    ]
}

fn cpu_row(flow: &Flow, part: f64, postfix: &Measured, sealwire: &Measured) -> Row {
    Row {
        what: flow.what.to_owned(),
        unit: "CPU s per 1,000",
        postfix: Some(postfix.cpu.clone()),
        sealwire: sealwire.cpu.clone(),
        budget: Budget::PartOfPostfix(part),
    }
}

/// Both relays in turn.
fn both(flow: &Flow, extent: &Extent) -> [Measured; 2] {
    let mut measured = [Measured::default(), Measured::default()];
    for run in 1..=extent.runs {
        for &kind in extent.relays() {
            say(&format!("{}, {kind:?}, run {run} of {}", flow.what, extent.runs));
            let around = Surroundings::new(flow.secured);
            let relay = around.start(kind);
            once(flow, extent.messages, &around, &relay, &mut measured[kind as usize]);
        }
    }
    measured
}

/// One run through a relay that has just been started.
pub(crate) fn once(flow: &Flow, messages: u64, around: &Surroundings, relay: &UnderTest, measured: &mut Measured) {
    let sink = Sink::start(around, WARM_UP + messages);
    let load = Load { size: flow.size, per_connection: flow.per_connection, ..Load::default() };
    Load { messages: WARM_UP, ..load.clone() }.run(relay.address(), around);
    sink.wait_for(WARM_UP);
    let before = relay.cpu_seconds_at_rest();
    let ended = AtomicBool::new(false);
    let (sent, account, most) = thread::scope(|threads| {
        let watch = threads.spawn(|| {
            let mut most = 0.0_f64;
            while !ended.load(Ordering::Relaxed) {
                most = most.max(relay.memory());
                thread::park_timeout(LOOK);
            }
            most
        });
        let sent = Load { messages, first: WARM_UP, ..load }.run(relay.address(), around);
        let account = sink.wait_for(WARM_UP + messages);
        ended.store(true, Ordering::Relaxed);
        (sent, account, watch.join().expect("nothing panics there"))
    });
    let used = relay.cpu_seconds_at_rest() - before;
    sink.assert_clean(0);
    assert_eq!((sent.accepted, sent.failures), (messages, 0), "the run is void: {:?}", sent.trouble);
    let millis = account.last_at_ms.unwrap_or(0).saturating_sub(sent.started_at_ms);
    measured.cpu.add(used / messages as f64 * 1e3);
    measured.rate.add(messages as f64 / (millis as f64 / 1e3));
    measured.memory.add(most / MIB);
}

/// CPU seconds per 1,000 messages of sealwire with more configuration.
pub(crate) fn sealwire_with(flow: &Flow, messages: u64, more: &str, measured: &mut Measured) {
    let around = Surroundings::new(flow.secured);
    let relay = around.sealwire_with(more);
    once(flow, messages, &around, &relay, measured);
}
