//! `cargo xtask bench`: builds sealwire and the bench's driver for release, then lets the driver measure.

use std::process::Command;

use crate::peers;
use crate::step::{self, Failure};

/// Every argument is the driver's (`tests/bench/main.rs`).
pub(crate) fn run(arguments: &[&str]) -> Result<(), Failure> {
    peers::install()?;
    // The whole workspace, as the tests do: one selection, one set of features, nothing compiled twice.
    step::run("build for release", &mut step::cargo(&["build", "--release", "--locked", "--workspace"]))?;
    let mut driver = Command::new(step::target().join("release").join("sealwire-bench"));
    driver.args(arguments).current_dir(step::root());
    step::run("bench", &mut driver)
}
