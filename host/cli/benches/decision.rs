//! What a decision of the built-in policy costs: `cargo bench` prints the decision rows of the budgets.
//!
//! Budgets are ratios of figures of one run: a fresh sandbox costs at most 4 warm calls, the three decisions of a message
//! (receive, plan, judge) at most 13, and a list of 1,000,000 entries at most 10% more than one of 10. Each case runs
//! with PAGEMAP_SCAN and without it. Warm is `receive` in an instance that is kept; nothing in service keeps one.

use sealwire_policy::bench::{Ask, example, fresh};
use sealwire_policy::{Generation, Sandbox, SandboxConfig};

const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/secure-transport.wasm"));

#[expect(clippy::print_stdout, reason = "a bench speaks to a person")]
fn main() {
    println!(
        "median of {} calls, microseconds; one listed From in clear text, refused by R1 with its reason",
        example::CALLS
    );
    println!("{:<34}{:>8}{:>8}{:>14}{:>12}{:>16}", "", "warm", "fresh", "fresh / warm", "3 decisions", "3 / warm");
    for (label, pagemap_scan) in [("with pagemap_scan", true), ("without pagemap_scan", false)] {
        let sandbox = Sandbox::start(SandboxConfig { pagemap_scan, ..SandboxConfig::default() }).expect("a sandbox");
        let mut of_ten = None;
        for entries in [10, 1_000_000] {
            let row = Row::measure(
                &sandbox,
                &example::generation(&sandbox, COMPONENT, entries).expect("the built-in policy builds"),
            );
            let growth = of_ten.map_or(String::new(), |ten| {
                format!("  fresh against 10 entries: {:+.1}%", (row.fresh / ten - 1.0) * 100.0)
            });
            of_ten.get_or_insert(row.fresh);
            println!(
                "{:<34}{:>8.1}{:>8.1}{:>14.1}{:>12.1}{:>16.1}{growth}",
                format!("{label}, {entries} entries"),
                row.warm,
                row.fresh,
                row.fresh / row.warm,
                row.three,
                row.three / row.warm
            );
        }
    }
    println!("budgets: fresh / warm <= 4, 3 / warm <= 13, 1,000,000 entries within 10% of 10");
}

struct Row {
    warm: f64,
    fresh: f64,
    three: f64,
}

impl Row {
    fn measure(sandbox: &Sandbox, generation: &Generation) -> Row {
        let asks = example::asks();
        let fresh = |ask: &Ask| assert!(fresh(sandbox, generation, ask, example::NOW));
        Row {
            warm: example::warm_call(generation).expect("an instance"),
            fresh: example::median(|| fresh(&asks[0])),
            three: example::median(|| asks.iter().for_each(fresh)),
        }
    }
}
