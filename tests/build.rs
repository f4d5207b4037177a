//! Builds the example policies that journeys run in a chain or swap in.

use std::process::ExitCode;

fn main() -> ExitCode {
    for package in ["flag-subject", "refuse-everything"] {
        if let Err(error) = guest_build::from_build_script(package) {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
