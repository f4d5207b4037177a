//! Builds the built-in policy into a component, which `src/builtins.rs` embeds. No host crate depends on a guest crate:
//! the component is a file like any vendor's.

use std::process::ExitCode;

fn main() -> ExitCode {
    match guest_build::from_build_script("secure-transport") {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
