//! cargo-deny: bans, licences and sources of the whole tree, by deny.toml.
//!
//! Advisories are asked only where their database can be had: it is a git repository on the network, and a run
//! must not fail, nor pass, because of somebody else's server.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::step::{self, Failure};
use crate::tool;

/// Reads Cargo.lock v4 and today's package ids; the prebuilt 0.14.2 wheel on PyPI panics on them.
const VERSION: &str = "0.20.2";

const ADVISORY_DATABASE: &str = "https://github.com/rustsec/advisory-db";

/// Checks the tree with cargo-deny, building it into the target folder first if it is not there.
pub(crate) fn check() -> Result<(), Failure> {
    let program = tool::program("cargo-deny", VERSION)?;
    step::run("cargo-deny: bans, licences, sources", deny(&program).args(["bans", "licenses", "sources"]))?;
    if !database_can_be_had() {
        eprintln!("==> cargo-deny: advisories not asked, {ADVISORY_DATABASE} cannot be reached from here");
        return Ok(());
    }
    step::run("cargo-deny: advisories", deny(&program).arg("advisories"))
}

fn deny(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    command.args(["--all-features", "--locked", "check", "--hide-inclusion-graph"]).current_dir(step::root());
    command
}

fn database_can_be_had() -> bool {
    let mut git = Command::new("git");
    git.args(["ls-remote", "--exit-code", ADVISORY_DATABASE, "HEAD"]).env("GIT_TERMINAL_PROMPT", "0");
    git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    git.status().is_ok_and(|status| status.success())
}
