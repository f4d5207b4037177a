//! The inner cargo: one package for `wasm32-unknown-unknown`, the same octets whoever calls and wherever the sources lie.
//!
//! What could change the result is taken away: inherited flags and profiles (a coverage run's RUSTFLAGS must not reach the
//! policy), compiler wrappers, and paths, which panic messages would carry into the image. How to reach the registry is
//! kept. The workspace's own release profile is left alone; the guest's is set here.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

const TARGET: &str = "wasm32-unknown-unknown";

/// Small and quick to start: no unwinding, no symbols, one unit with everything inlined across crates.
const PROFILE: [(&str, &str); 9] = [
    ("OPT_LEVEL", "3"),
    ("LTO", "fat"),
    ("CODEGEN_UNITS", "1"),
    ("PANIC", "abort"),
    ("STRIP", "symbols"),
    ("DEBUG", "false"),
    ("DEBUG_ASSERTIONS", "false"),
    ("OVERFLOW_CHECKS", "true"),
    ("INCREMENTAL", "false"),
];

/// 32 KiB: stack, statics and the heap's beginning then lie in the first 64 KiB, which a host keeps resident. The stack
/// is at the bottom, so that running over it traps.
const STACK: &str = "-Clink-arg=-zstack-size=32768";

/// Inherited variables that begin so could change the result.
const CLEARED: [&str; 4] = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC"];
/// Of those, these only say where cargo lives and how it downloads.
const KEPT: [&str; 6] =
    ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRY_", "CARGO_REGISTRIES_", "CARGO_SOURCE_"];

/// Builds and returns the core module's path.
pub(crate) fn build(workspace: &Path, package: &str, target_dir: &Path) -> Result<PathBuf, Error> {
    require_target(workspace, TARGET)?;
    // Inside a build script CARGO names the cargo that runs it; by hand there is one on the path.
    let mut command = clean(Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())), workspace);
    for (key, value) in PROFILE {
        command.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
    // Set, though empty: it outranks a wrapper named in a configuration file.
    command.env("RUSTC_WRAPPER", "").env("RUSTC_WORKSPACE_WRAPPER", "");
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(workspace, target_dir)?.join("\u{1f}"));
    command.args(["rustc", "--release", "--locked", "--lib", "--crate-type", "cdylib", "--target", TARGET]);
    command.arg("--package").arg(package).arg("--target-dir").arg(target_dir);
    run(command, &format!("building the policy {package}"))?;
    Ok(target_dir.join(TARGET).join("release").join(format!("{}.wasm", package.replace('-', "_"))))
}

/// Says which command is missing instead of letting rustc say that it cannot find `core`.
fn require_target(workspace: &Path, target: &str) -> Result<(), Error> {
    let library = rustc(workspace, &["--print", "target-libdir", "--target", target])?;
    if Path::new(&library).is_dir() { Ok(()) } else { Err(Error::NoTarget) }
}

/// The last prefix that matches wins, so the more special come later.
fn flags(workspace: &Path, target_dir: &Path) -> Result<Vec<String>, Error> {
    let mut flags = vec![STACK.to_owned()];
    let mut remap = |from: &Path, to: &str| flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    remap(workspace, "/sealwire");
    if let Some(home) = cargo_home() {
        remap(&home, "/cargo");
    }
    // With the component rust-src installed, rustc names std's sources by their place in the sysroot.
    let sysroot = rustc(workspace, &["--print", "sysroot"])?;
    remap(Path::new(&sysroot), "/rust");
    remap(target_dir, "/target");
    Ok(flags)
}

fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")))
}

fn rustc(workspace: &Path, arguments: &[&str]) -> Result<String, Error> {
    let mut command = clean(Command::new("rustc"), workspace);
    command.args(arguments);
    run(command, "asking rustc for its folders").map(|answer| answer.trim().to_owned())
}

/// In the workspace, where rust-toolchain.toml applies.
fn clean(mut command: Command, workspace: &Path) -> Command {
    command.current_dir(workspace);
    for (name, _) in env::vars_os() {
        if is_cleared(&name) {
            command.env_remove(name);
        }
    }
    command
}

fn is_cleared(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    CLEARED.iter().any(|prefix| name.starts_with(prefix)) && !KEPT.iter().any(|prefix| name.starts_with(prefix))
}

fn run(mut command: Command, what: &str) -> Result<String, Error> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| Error::Tool(tool, error))?;
    if !output.status.success() {
        return Err(Error::Failed(what.to_owned(), String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_change_the_result_is_not_inherited() {
        let rows = [
            ("RUSTFLAGS", true),
            ("CARGO_ENCODED_RUSTFLAGS", true),
            ("CARGO_BUILD_RUSTFLAGS", true),
            ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", true),
            ("CARGO_PROFILE_RELEASE_LTO", true),
            ("CARGO_TARGET_DIR", true),
            ("CARGO_MAKEFLAGS", true),
            ("RUSTC_WRAPPER", true),
            ("RUSTC_WORKSPACE_WRAPPER", true),
            ("RUSTC_BOOTSTRAP", true),
            ("RUSTC", true),
            ("CARGO_HOME", false),
            ("CARGO_NET_OFFLINE", false),
            ("CARGO_HTTP_PROXY", false),
            ("RUSTUP_HOME", false),
            ("RUSTUP_TOOLCHAIN", false),
            ("PATH", false),
            ("https_proxy", false),
        ];
        for (name, cleared) in rows {
            assert_eq!(is_cleared(OsStr::new(name)), cleared, "{name}");
        }
    }

    /// Tier 3: no toolchain has its library.
    #[test]
    fn a_missing_target_ends_in_the_one_command_that_mends_it() {
        let error = require_target(Path::new("."), "wasm64-unknown-unknown").expect_err("no library");
        assert!(error.to_string().contains("rustup target add wasm32-unknown-unknown"), "{error}");
    }
}
