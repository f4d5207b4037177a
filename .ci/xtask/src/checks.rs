//! `cargo xtask ci-checks`: what CI asks besides the tests. All checks run, also after one has failed, so that a
//! person sees everything at once.

use crate::deny;
use crate::step::{self, Failure};

/// One check: its title and the arguments to cargo.
const CARGO_CHECKS: &[(&str, &[&str])] = &[
    ("rustfmt", &["fmt", "--all", "--check"]),
    ("clippy", &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]),
];

/// Runs every check.
pub(crate) fn run() -> Result<(), Failure> {
    let mut failed = Vec::new();
    let build = ["test", "--locked", "--workspace", "--no-run"];
    note(&mut failed, "build", step::run("build", &mut step::cargo(&build)));
    for (what, args) in CARGO_CHECKS {
        note(&mut failed, what, step::run(what, &mut step::cargo(args)));
    }
    // The promise of the built-in policy: the same source gives the same component, octet for octet. The binary is the
    // one the tests have built; asking cargo for this package alone would compile its dependencies with other features.
    let what = "the built-in policy is reproducible";
    let mut verify = step::built("guest-build");
    verify.args(["--verify", "secure-transport"]);
    note(&mut failed, what, step::run(what, &mut verify));
    note(&mut failed, "cargo-deny", deny::check());
    if failed.is_empty() { Ok(()) } else { Err(Failure::Several { failed }) }
}

fn note(failed: &mut Vec<String>, what: &str, outcome: Result<(), Failure>) {
    if let Err(why) = outcome {
        eprintln!("xtask: {why}");
        failed.push(what.to_owned());
    }
}
