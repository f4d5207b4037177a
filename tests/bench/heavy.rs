//! 20 sessions with messages of 50 MiB at once: how much memory they take, and what small mail beside them feels of it.
//!
//! A gigabyte that is made, summed and counted on the same machine costs more CPU than the relay uses for it. So the load of
//! large messages and the sink give way to everything else: what small mail feels is the relay's.

use std::thread;
use std::time::Duration;

use crate::Extent;
use crate::ends::{Load, Sink};
use crate::relays::{Kind, Surroundings};
use crate::table::{Budget, Figures, Row, say};

const SESSIONS: usize = 20;
const SIZE: usize = 50 * MIB;
const MIB: usize = 1024 * 1024;
/// Small mail: sessions that pause, so that a delay is not its own.
const SMALL: Load = Load {
    sessions: 10,
    messages: 0,
    first: 0,
    per_connection: 1_000,
    size: 4096,
    pause_ms: 50,
    hold_secs: None,
    domains: None,
    gives_way: false,
};
/// Between looks at the memory.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) fn measure(extent: &Extent) -> Vec<Row> {
    let (mut memory, mut times, mut calm_p99, mut beside_p99) = Default::default();
    for run in 1..=extent.runs.min(3) {
        say(&format!("{SESSIONS} messages of 50 MiB at once, run {run}"));
        once(extent, [&mut memory, &mut times, &mut calm_p99, &mut beside_p99]);
    }
    let row = |what: &str, unit, sealwire, budget| Row { what: what.to_owned(), unit, postfix: None, sealwire, budget };
    vec![
        row("most memory with 20 sessions of 50 MiB messages", "MiB", memory, Budget::AtMost(150.0)),
        row("p99 of 4 KiB mail beside them, in its own without them", "times", times, Budget::AtMost(2.0)),
        row("p99 of 4 KiB mail without them", "ms", calm_p99, Budget::None),
        row("p99 of 4 KiB mail beside them", "ms", beside_p99, Budget::None),
    ]
}

fn once(extent: &Extent, [memory, times, calm_p99, beside_p99]: [&mut Figures; 4]) {
    let around = Surroundings::new(false);
    let relay = around.start(Kind::Sealwire);
    let small = extent.messages.min(1_000);
    // Enough for each session to be busy for longer than the small mail takes.
    let heavy = SESSIONS as u64 * if extent.quick { 2 } else { 5 };
    let sink = Sink::start_at(&around, around.sink, 2 * small + heavy, &[], true);
    let calm = Load { messages: small, ..SMALL }.run(relay.address(), &around);
    let mut sending = Load {
        sessions: SESSIONS,
        messages: heavy,
        first: 2 * small,
        size: SIZE,
        per_connection: heavy,
        gives_way: true,
        ..Load::default()
    }
    .start(relay.address(), &around);
    let (beside, most, outlasted) = thread::scope(|threads| {
        let load = Load { messages: small, first: small, ..SMALL };
        let beside = threads.spawn({
            let (relay, around) = (&relay, &around);
            move || load.run(relay.address(), around)
        });
        let mut most = 0.0_f64;
        while !beside.is_finished() {
            most = most.max(relay.memory());
            thread::park_timeout(LOOK);
        }
        let outlasted = !sending.has_ended();
        (beside.join().expect("nothing panics there"), most, outlasted)
    });
    assert!(outlasted || extent.quick, "the run is void: the large messages were sent before the small ones");
    let sent = sending.finish();
    sink.wait_for(2 * small + heavy);
    sink.assert_clean(0);
    assert_eq!((calm.failures, beside.failures, sent.failures), (0, 0, 0), "the run is void: {:?}", sent.trouble);
    memory.add(most / MIB as f64);
    times.add(beside.message_ms.p99 / calm.message_ms.p99);
    calm_p99.add(calm.message_ms.p99);
    beside_p99.add(beside.message_ms.p99);
}
