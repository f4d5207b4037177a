//! `cargo xtask ci-checks`: what CI asks besides the tests. All checks run, also after one has failed, so that a
//! person sees everything at once.

use crate::deny;
use crate::step::{self, Failure};

/// One check: its title and the arguments to cargo.
const CARGO_CHECKS: &[(&str, &[&str])] = &[
    ("rustfmt", &["fmt", "--all", "--check"]),
    ("clippy", &["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    // The committed-to promise of the guest: the same source gives the same component, octet for octet.
    (
        "the built-in policy is reproducible",
        &["run", "--locked", "-p", "guest-build", "--", "--verify", "secure-transport"],
    ),
];

/// Runs every check.
pub(crate) fn run() -> Result<(), Failure> {
    let mut failed = Vec::new();
    for (what, args) in CARGO_CHECKS {
        note(&mut failed, what, step::run(what, &mut step::cargo(args)));
    }
    note(&mut failed, "cargo-deny", deny::check());
    if failed.is_empty() { Ok(()) } else { Err(Failure::Several { failed }) }
}

fn note(failed: &mut Vec<String>, what: &str, outcome: Result<(), Failure>) {
    if let Err(why) = outcome {
        eprintln!("xtask: {why}");
        failed.push(what.to_owned());
    }
}
