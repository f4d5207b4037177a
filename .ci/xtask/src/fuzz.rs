//! The fuzzer's half of `cargo xtask soak`: each target of `tests/fuzz` for ten minutes, or for `SEALWIRE_FUZZ_SECS`.
//!
//! What the fuzzer finds worth keeping goes to `target/fuzz/corpus`; `docs/reliability.md` says how it gets from there
//! into the repository. What breaks a property goes to `tests/fuzz/libfuzzer/artifacts`.

use std::fs;
use std::process::Command;

use crate::step::{self, Failure};
use crate::tool;

const VERSION: &str = "0.13.2";
const SECS: u64 = 600;

/// Targets, and whether they need the sandbox; those that do not are built in a minute, so they come first.
const TARGETS: [(&str, bool); 9] = [
    ("line", false),
    ("command", false),
    ("reply", false),
    ("header_from", false),
    ("sts", false),
    ("tlsrpt", false),
    ("settings", true),
    ("configuration", true),
    ("component", true),
];

/// Runs every target, also after one has failed.
pub(crate) fn run() -> Result<(), Failure> {
    let mut failed = Vec::new();
    let program = tool::program("cargo-fuzz", VERSION)?;
    let secs = std::env::var("SEALWIRE_FUZZ_SECS").ok().and_then(|secs| secs.parse().ok()).unwrap_or(SECS);
    for (target, sandbox) in TARGETS {
        let what = format!("fuzz {target} for {secs} s");
        let found = step::target().join("fuzz/corpus").join(target);
        // The fuzzer says nothing useful where the folder is missing.
        let made = fs::create_dir_all(&found).map_err(|why| eprintln!("xtask: {}: {why}", found.display()));
        let mut fuzz = Command::new(&program);
        fuzz.current_dir(step::root()).args(["fuzz", "run", "--fuzz-dir", "tests/fuzz/libfuzzer"]);
        // No address sanitizer: the targets run no unsafe code of ours, and the stable compiler has none.
        fuzz.args(["--sanitizer", "none", "--target-dir"]).arg(step::target().join("fuzz"));
        if sandbox {
            fuzz.args(["--features", "sandbox"]);
        }
        fuzz.arg(target).arg(&found).arg(format!("tests/fuzz/corpus/{target}"));
        fuzz.arg("--").arg(format!("-max_total_time={secs}")).args(["-timeout=60", "-print_final_stats=1"]);
        fuzz.arg(format!("-dict=tests/fuzz/dict/{target}.dict"));
        if made.is_err() || step::run(&what, &mut fuzz).is_err() {
            failed.push(what);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(Failure::Several { failed }) }
}
