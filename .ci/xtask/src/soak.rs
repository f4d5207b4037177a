//! `cargo xtask soak [PROOF ...]`: the long proofs, all of them or those that are named. What each shows stands in
//! docs/reliability.md.
//!
//! Seeds are ones that nobody has chosen; each is printed, and `SEALWIRE_SEED=N` repeats it. A proof that fails does not stop
//! the others.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::step::{self, Failure};
use crate::{fuzz, peers};

/// One row of the table of proofs.
struct Proof {
    name: &'static str,
    run: fn(u64) -> Result<(), Failure>,
}

const PROOFS: &[Proof] = &[
    Proof { name: "kills", run: kills },
    Proof { name: "swaps", run: swaps },
    Proof { name: "cuts", run: cuts },
    Proof { name: "virtual-time", run: virtual_time },
    Proof { name: "fuzz", run: |_| fuzz::run() },
];

/// Runs of the crash journey; 10 kills and 300 messages in each.
const RUNS: u64 = 100;
/// Swaps of settings and components under load.
const SWAPS: &str = "1000";
/// Disks shuffled by chance at each position at which the power is cut.
const SHUFFLES: &str = "5";
/// Seeds in virtual time, unless SEALWIRE_SEEDS says otherwise.
const SEEDS: &str = "1000000";

/// Runs the proofs of these names; of none: all.
pub(crate) fn run(names: &[&str]) -> Result<(), Failure> {
    if let Some(unknown) = names.iter().find(|name| PROOFS.iter().all(|proof| proof.name != **name)) {
        let known = PROOFS.iter().map(|proof| proof.name).collect::<Vec<_>>().join(", ");
        return Err(Failure::Missing {
            what: format!("a proof called `{unknown}`"),
            mend: format!("There are: {known}."),
        });
    }
    peers::install()?;
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut failed = Vec::new();
    for proof in PROOFS.iter().filter(|proof| names.is_empty() || names.contains(&proof.name)) {
        if let Err(why) = (proof.run)(seed) {
            eprintln!("xtask: {}: {why}", proof.name);
            failed.push(proof.name.to_owned());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::Several { failed }) }
}

/// The relay is killed under load at moments that chance chooses; nothing that got its 250 may be lost.
fn kills(seed: u64) -> Result<(), Failure> {
    let mut failed = Vec::new();
    for run in 0..RUNS {
        let seed = seed.wrapping_mul(1_000).wrapping_add(run);
        let what = format!("kill -9 under load, run {} of {RUNS}, SEALWIRE_SEED={seed}", run + 1);
        if let Err(why) = step::run(&what, journey("journeys::crash").env("SEALWIRE_SEED", seed.to_string())) {
            eprintln!("xtask: {why}");
            failed.push(what);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::Several { failed }) }
}

/// Settings and components are swapped under load, broken ones among them.
fn swaps(_: u64) -> Result<(), Failure> {
    let mut swaps = journey("journeys::swaps");
    step::run(&format!("{SWAPS} swaps under load"), swaps.env("SEALWIRE_SWAPS", SWAPS))
}

/// The store loses its power at each write in turn, or a call of its own fails; nothing that was answered may be lost.
fn cuts(seed: u64) -> Result<(), Failure> {
    let mut cuts = step::cargo(&["test", "--locked", "-p", "sealwire-store", "cuts::", "--", "--nocapture"]);
    cuts.env("SEALWIRE_CUTS", SHUFFLES).env("SEALWIRE_SEED", seed.to_string());
    step::run(&format!("power cuts, SEALWIRE_CUTS={SHUFFLES} SEALWIRE_SEED={seed}"), &mut cuts)
}

/// The whole relay in virtual time, among faults. Optimised, but with the assertions of a development build.
fn virtual_time(_: u64) -> Result<(), Failure> {
    let seeds = std::env::var("SEALWIRE_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let mut search = step::cargo(&["test", "--locked", "--config", "profile.dev.opt-level=2", "--workspace", "--lib"]);
    search.args(["simulation::promises_hold", "--", "--nocapture"]);
    step::run(&format!("virtual time, {seeds} seeds"), search.env("SEALWIRE_SEEDS", seeds))
}

/// A journey test, by itself and with what it says.
fn journey(name: &str) -> std::process::Command {
    step::cargo(&["test", "--locked", "--workspace", "--test", "main", name, "--", "--nocapture"])
}
