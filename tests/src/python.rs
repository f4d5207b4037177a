//! The Python that aiosmtpd and dkimpy live in: a virtual environment below cargo's folder, which the first test that wants it
//! makes with pip.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::place;

/// All that is in the environment besides pip; another list is another environment. dkimpy comes as source alone.
const PACKAGES: [&str; 5] =
    ["aiosmtpd==1.4.6", "atpublic==4.1.0", "attrs==23.2.0", "dkimpy==1.1.8", "dnspython==2.9.2"];

/// The interpreter.
pub(crate) fn interpreter() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let name = PACKAGES.join("-").replace("==", "-");
        environment(&name, &PACKAGES, &["--only-binary=:all:", "--no-binary=dkimpy"], "import aiosmtpd.smtp, dkim")
    })
}

/// The interpreter of an environment with these packages alone, made unless the program `probe` runs in it already.
pub(crate) fn environment(name: &str, packages: &[&str], flags: &[&str], probe: &str) -> PathBuf {
    let environments = place::target().join("peers");
    std::fs::create_dir_all(&environments).expect("cargo's folder is ours to write");
    let folder = environments.join(name);
    // Another test process may be making it.
    let lock = File::create(environments.join(format!("{name}.lock"))).expect("cargo's folder is ours to write");
    lock.lock().expect("a file of our own can be locked");
    let python = folder.join("bin/python");
    if !is_complete(&python, probe) {
        make_environment(&folder, &python, packages, flags);
        assert!(is_complete(&python, probe), "{} lacks a package, though pip says otherwise", python.display());
    }
    python
}

/// Runs this program with the octets as its input, and gives what it writes; it must end well.
#[track_caller]
pub(crate) fn run_on(program: &str, arguments: &[&str], octets: &[u8]) -> Vec<u8> {
    let mut command = Command::new(interpreter());
    command.arg("-c").arg(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("an interpreter of our own can be started");
    let mut input = child.stdin.take().expect("stdin was asked for");
    input.write_all(octets).expect("the program reads its input");
    drop(input);
    let output = child.wait_with_output().expect("a child of our own");
    assert!(output.status.success(), "{}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn make_environment(folder: &Path, python: &Path, packages: &[&str], flags: &[&str]) {
    run(Command::new(place::program("python3")).args(["-m", "venv", "--clear"]).arg(folder));
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    run(pip.args(flags).args(packages));
}

fn is_complete(python: &Path, probe: &str) -> bool {
    // None if there is no such interpreter, or no longer.
    let tried = Command::new(python).args(["-c", probe]).output();
    tried.is_ok_and(|output| output.status.success())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}
