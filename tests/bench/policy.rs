//! What one policy more costs a message in service: sealwire with the built-in policy once and five times in its chain.
//!
//! A relay without any policy does not exist, so the cost is the slope: four policies more, each with its three decisions
//! (receive, plan, judge), the way to a decision thread and back, and their records in the ledger. What a decision costs
//! by itself is `cargo bench`. Processors differ, and so does one from hour to hour: the budget is in calls into an instance that
//! is kept, measured in between.

use sealwire_policy::bench::example;
use sealwire_policy::{Sandbox, SandboxConfig};

use crate::Extent;
use crate::flow::{Flow, Measured, sealwire_with};
use crate::table::{Budget, Figures, Row, say};

const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/secure-transport.wasm"));
const MORE: usize = 4;
const FLOW: Flow = Flow { what: "policy", secured: false, size: 4096, per_connection: 20 };

pub(crate) fn measure(extent: &Extent) -> Vec<Row> {
    let (mut one, mut five) = (Measured::default(), Measured::default());
    let (mut slope, mut warm, mut calls) = (Figures::default(), Figures::default(), Figures::default());
    for run in 1..=extent.runs {
        for (policies, measured) in [(1, &mut one), (1 + MORE, &mut five)] {
            say(&format!("{policies} in the chain, run {run} of {}", extent.runs));
            sealwire_with(&FLOW, extent.messages, &chain(policies), measured);
        }
        slope.add((five.cpu.last() - one.cpu.last()) / MORE as f64 * 1e3);
        warm.add(warm_call());
        calls.add(slope.last() / warm.last());
    }
    let row = |what: &str, unit, sealwire, budget| Row { what: what.to_owned(), unit, postfix: None, sealwire, budget };
    vec![
        row("CPU that a policy adds to a message, in service", "us", slope, Budget::None),
        row("a call into an instance that is kept", "us", warm, Budget::None),
        row("CPU that a policy adds to a message, in such calls", "calls", calls, Budget::AtMost(13.0)),
    ]
}

fn warm_call() -> f64 {
    let sandbox = Sandbox::start(SandboxConfig::default()).expect("a sandbox");
    let generation = example::generation(&sandbox, COMPONENT, 10).expect("the built-in policy builds");
    example::warm_call(&generation).expect("an instance")
}

fn chain(policies: usize) -> String {
    let policy = |n| format!("[[policy]]\nname = \"number-{n}\"\ncomponent = \"builtin:secure-transport\"\n");
    (0..policies).map(policy).collect()
}
