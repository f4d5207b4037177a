//! Builds the policies that journeys run in a chain or swap in: the examples, one that fails and one that plans on demand; and
//! the built-in one, of which the bench measures a call.

use std::process::ExitCode;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=guests");
    for package in ["secure-transport", "flag-subject", "refuse-everything", "fail-by-subject", "steer-by-subject"] {
        if let Err(error) = guest_build::from_build_script(package) {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
