//! Tools of cargo's that are no dependency of ours, built into the target folder if they are not there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::step::{self, Failure};

/// The program of this very version.
pub(crate) fn program(name: &str, version: &str) -> Result<PathBuf, Failure> {
    let root = step::target().join("tools");
    let program = root.join("bin").join(name);
    if !has_version(&program, version) {
        // Unoptimised: it builds in a quarter of the time and runs for seconds.
        let mut install = step::cargo(&["install", name, "--locked", "--debug", "--force", "--version", version]);
        step::run(&format!("build {name}"), install.arg("--root").arg(&root))?;
    }
    Ok(program)
}

fn has_version(program: &Path, version: &str) -> bool {
    let output = Command::new(program).arg("--version").stderr(Stdio::null()).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(version))
}
