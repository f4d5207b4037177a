//! What a decision costs: a fresh sandbox against a call into a warm instance, with and without PAGEMAP_SCAN.
//!
//! `cargo bench -p sealwire-policy`. Budgets are ratios of one run: fresh at most 4 warm calls, three decisions of a
//! message at most 13, a list of 1,000,000 entries within 10% of one of 10. p50 of 20,000. Another component is measured
//! by `-- COMPONENT SETTINGS-JSON`; its settings may name the list `partners`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{always, destination, hop, message, policy, source};
use sealwire_policy::bench::{Ask, Warm, fresh};
use sealwire_policy::{Generation, PolicySource, Sandbox, SandboxConfig};

const ROUNDS: usize = 20_000;

#[expect(clippy::print_stdout, reason = "a bench speaks to a person")]
fn main() {
    let policy = policy_to_measure();
    println!("p50 of {ROUNDS}, in microseconds; {}", policy.name);
    println!("{:<34} {:>9} {:>9} {:>9} {:>7} {:>9} {:>7}", "", "warm", "fresh", "threaded", "ratio", "three", "/ warm");
    for (label, config) in [
        ("pool, PAGEMAP_SCAN", SandboxConfig::default()),
        ("pool", SandboxConfig { pagemap_scan: false, ..SandboxConfig::default() }),
        ("on demand", SandboxConfig { pooling: false, ..SandboxConfig::default() }),
    ] {
        let sandbox = Sandbox::start(config).expect("a sandbox");
        for entries in [10, 1_000_000] {
            let generation = Arc::new(generation(&sandbox, &policy, entries));
            let row = row(&sandbox, &generation);
            println!("{:<34} {row}", format!("{label}, {entries} entries"));
        }
    }
}

fn policy_to_measure() -> PolicySource {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let Some(path) = arguments.next() else { return policy("good", always("good")) };
    let component = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    PolicySource { settings: arguments.next().unwrap_or_else(|| "{}".to_owned()), ..policy("given", component.into()) }
}

fn generation(sandbox: &Sandbox, policy: &PolicySource, entries: usize) -> Generation {
    let mut list = String::from("partner.example\n");
    for n in 1..entries {
        list.push_str(&format!("user{n}@domain{}.example\n", n % 1_000));
    }
    sandbox.build(source(vec![policy.clone()], &list), None).expect("builds")
}

fn row(sandbox: &Sandbox, generation: &Arc<Generation>) -> String {
    let message = Arc::new(message("alice@partner.example"));
    let receive = Ask::receive(&message);
    let plan = Ask::plan(&message, &destination("bob@partner.example"));
    let judge = Ask::judge(&message, &hop());
    let mut kept = Warm::new(generation, &receive).expect("an instance");
    let warm = p50(|| assert!(kept.call(&receive)));
    let once = p50(|| assert!(fresh(sandbox, generation, &receive, 2_000)));
    let three = p50(|| assert!([&receive, &plan, &judge].iter().all(|ask| fresh(sandbox, generation, ask, 2_000))));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let threaded = p50(|| {
        runtime.block_on(sandbox.receive(generation, &message, 2_000));
    });
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    let (warm, once, three, threaded) = (us(warm), us(once), us(three), us(threaded));
    format!("{warm:>9.1} {once:>9.1} {threaded:>9.1} {:>7.1} {three:>9.1} {:>7.1}", once / warm, three / warm)
}

fn p50(mut work: impl FnMut()) -> Duration {
    for _ in 0..ROUNDS / 10 {
        work();
    }
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        work();
        times.push(started.elapsed());
    }
    times.sort_unstable();
    times[ROUNDS / 2]
}
