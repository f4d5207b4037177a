//! What one policy more costs a message in service: sealwire with the built-in policy once and five times in its chain.
//!
//! A relay without any policy does not exist, so the cost is the slope: four policies more, each with its three decisions
//! (receive, plan, judge), the way to a decision thread and back, and their records in the ledger. What a decision costs
//! by itself is `cargo bench`.

use crate::Extent;
use crate::flow::{Flow, Measured, sealwire_with};
use crate::table::{Budget, Figures, Row, say};

const MORE: usize = 4;
const FLOW: Flow = Flow { what: "policy", secured: false, size: 4096, per_connection: 20 };

pub(crate) fn measure(extent: &Extent) -> Vec<Row> {
    let (mut one, mut five) = (Measured::default(), Measured::default());
    let mut slope = Figures::default();
    for run in 1..=extent.runs {
        for (policies, measured) in [(1, &mut one), (1 + MORE, &mut five)] {
            say(&format!("{policies} in the chain, run {run} of {}", extent.runs));
            sealwire_with(&FLOW, extent.messages, &chain(policies), measured);
        }
        slope.add((five.cpu.last() - one.cpu.last()) / MORE as f64 * 1e3);
    }
    vec![Row {
        what: "CPU that a policy adds to a message, in service".to_owned(),
        unit: "us",
        postfix: None,
        sealwire: slope,
        budget: Budget::AtMost(60.0),
    }]
}

fn chain(policies: usize) -> String {
    let policy = |n| format!("[[policy]]\nname = \"number-{n}\"\ncomponent = \"builtin:secure-transport\"\n");
    (0..policies).map(policy).collect()
}
