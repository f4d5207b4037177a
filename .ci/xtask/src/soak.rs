//! `cargo xtask soak`: the long proofs. The kills: the relay is killed under load at moments that chance chooses, and
//! nothing that got its 250 may be lost. The cuts: the store loses its power at each write in turn, or a call of its own
//! fails, and nothing that was answered may be lost. Each run prints its seed; `SEALWIRE_SEED=N` repeats it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::peers;
use crate::step::{self, Failure};

/// 10 kills in each, 300 messages in each.
const RUNS: u64 = 20;
/// Disks shuffled by chance at each position at which the power is cut.
const SHUFFLES: &str = "5";

/// Runs both with seeds nobody has chosen.
pub(crate) fn run() -> Result<(), Failure> {
    peers::install()?;
    let first = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut failed = Vec::new();
    for run in 0..RUNS {
        let seed = first.wrapping_mul(1_000).wrapping_add(run);
        let what = format!("kill -9 under load, run {} of {RUNS}, SEALWIRE_SEED={seed}", run + 1);
        let mut journey = step::cargo(&["test", "--locked", "--workspace", "--test", "main", "journeys::crash"]);
        if let Err(why) = step::run(&what, journey.env("SEALWIRE_SEED", seed.to_string())) {
            eprintln!("xtask: {why}");
            failed.push(what);
        }
    }
    let what = format!("power cuts, SEALWIRE_CUTS={SHUFFLES} SEALWIRE_SEED={first}");
    let mut cuts = step::cargo(&["test", "--locked", "-p", "sealwire-store", "cuts::", "--", "--nocapture"]);
    if let Err(why) = step::run(&what, cuts.env("SEALWIRE_CUTS", SHUFFLES).env("SEALWIRE_SEED", first.to_string())) {
        eprintln!("xtask: {why}");
        failed.push(what);
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::Several { failed }) }
}
