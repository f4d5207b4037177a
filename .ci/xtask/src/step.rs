//! A step is one command that a chore runs: announced before, timed after, its failure told in one sentence.
//!
//! Never runs a shell: arguments go to the program as they are.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Why a chore did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The program could not be started.
    NotStarted { program: String, why: std::io::Error },
    /// The program ran and said no.
    Unsuccessful { what: String, status: String },
    /// Several steps of one chore failed; each has been told already.
    Several { failed: Vec<String> },
    /// A tool is missing and could not be installed.
    Missing { what: String, mend: String },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted { program, why } => write!(f, "`{program}` could not be started: {why}. Is it installed?"),
            Self::Unsuccessful { what, status } => write!(f, "{what}: failed ({status}); its own words stand above"),
            Self::Several { failed } => write!(f, "{} failed: {}", failed.len(), failed.join(", ")),
            Self::Missing { what, mend } => write!(f, "{what} is missing. {mend}"),
        }
    }
}

/// Runs `command` under the title `what`; its output goes where the chore's own goes.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<(), Failure> {
    let started = announce(what);
    let status = command.stdin(Stdio::null()).status().map_err(|why| not_started(command, why))?;
    conclude(what, started, status)
}

/// Runs `command` like [`run`], and hands every line of its standard output to `each` besides showing it.
pub(crate) fn run_reading(what: &str, command: &mut Command, mut each: impl FnMut(&str)) -> Result<(), Failure> {
    let started = announce(what);
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|why| not_started(command, why))?;
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output);
        let mut line = Vec::new();
        // Bytes, not `lines()`: one octet of a test's output that is not UTF-8 must not end the reading.
        while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line);
            eprint!("{text}");
            each(text.trim_end());
            line.clear();
        }
    }
    let status = child.wait().map_err(|why| not_started(command, why))?;
    conclude(what, started, status)
}

/// Cargo as the person called it (`cargo +toolchain xtask` included), from the workspace's root.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// A program of the workspace that an earlier step has built, from the workspace's root.
pub(crate) fn built(name: &str) -> Command {
    let mut command = Command::new(target().join("debug").join(name));
    command.current_dir(root());
    command
}

/// The workspace's root: two folders above this crate, which lives in `.ci/xtask`.
pub(crate) fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map(PathBuf::from).unwrap_or(here)
}

/// Where cargo builds to, and where tools of our own are kept.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn announce(what: &str) -> Instant {
    eprintln!("\n==> {what}");
    Instant::now()
}

fn conclude(what: &str, started: Instant, status: std::process::ExitStatus) -> Result<(), Failure> {
    let took = started.elapsed().as_secs_f32();
    if status.success() {
        eprintln!("==> {what}: ok, {took:.1} s");
        return Ok(());
    }
    eprintln!("==> {what}: FAILED, {took:.1} s");
    Err(Failure::Unsuccessful { what: what.to_owned(), status: status.to_string() })
}

fn not_started(command: &Command, why: std::io::Error) -> Failure {
    Failure::NotStarted { program: command.get_program().to_string_lossy().into_owned(), why }
}
