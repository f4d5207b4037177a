//! The real peers that the tests talk to, installed with apt-get when one is missing (Debian and its kin).
//!
//! Installing must never start a server on the machine: while packages are unpacked a `policy-rc.d` that says 101 ("do
//! not start") stands in /usr/sbin, if none is there already, and Postfix is preseeded with "No configuration".
//!
//! Exim is not installed: Debian has one mail server at a time, and would remove Postfix for it. Its package is unpacked
//! below cargo's folder; only the libraries it needs, and the account it looks for, come to the machine.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::step::{self, Failure};

/// What must be on the machine: how to see that it is there, and the package that brings it.
const NEEDED: &[(Sign, &str)] = &[
    (Sign::Program("postfix"), "postfix"),
    (Sign::Program("swaks"), "swaks"),
    (Sign::PerlModule("Net::SSLeay"), "libnet-ssleay-perl"), // swaks speaks TLS through it
    (Sign::Program("nsd"), "nsd"),
    (Sign::Program("ldns-signzone"), "ldnsutils"),
    (Sign::Program("unbound"), "unbound"),
    (Sign::Program("nginx"), "nginx"),
    (Sign::Program("curl"), "curl"),
    (Sign::PythonModule("ensurepip"), "python3-venv"), // the tests make an environment with it for aiosmtpd
    (Sign::File("/etc/ssl/certs/ca-certificates.crt"), "ca-certificates"), // the system's roots
    (Sign::Program("faketime"), "faketime"),           // brings the library that sets a clock for one process
];

const POLICY_RC_D: &str = "/usr/sbin/policy-rc.d";

/// Exim's package. Its build has GnuTLS and Maildirs.
const EXIM: &str = "exim4-daemon-light";

/// The account that Debian's Exim looks for before it reads any configuration.
const EXIM_ACCOUNT: &str = "Debian-exim";

enum Sign {
    Program(&'static str),
    PerlModule(&'static str),
    PythonModule(&'static str),
    File(&'static str),
}

/// Installs the packages whose sign is missing; afterwards every sign is there, or this is an error.
pub(crate) fn install() -> Result<(), Failure> {
    let missing = missing();
    if missing.is_empty() && exim_runs() {
        eprintln!("==> real peers: all here");
        return Ok(());
    }
    if !is_there(&Sign::Program("apt-get")) {
        let what = if missing.is_empty() { EXIM.to_owned() } else { missing.join(", ") };
        let mend = "This machine has no apt-get: install the packages' like by hand, then run this again.".to_owned();
        return Err(Failure::Missing { what, mend });
    }
    let _still = Stillness::new()?;
    step::run("apt-get update", as_root("apt-get").args(["-q", "-o", "Acquire::Retries=3", "update"]))?;
    if missing.contains(&"postfix") {
        preseed_postfix()?;
    }
    if !missing.is_empty() {
        step::run(&format!("apt-get install {}", missing.join(" ")), apt_get("install").args(&missing))?;
    }
    if !exim_runs() {
        unpack_exim()?;
    }
    let mut left = self::missing();
    left.extend((!exim_runs()).then_some(EXIM));
    if left.is_empty() {
        return Ok(());
    }
    Err(Failure::Missing {
        what: left.join(", "),
        mend: "apt-get said it was installed, yet its command is nowhere on the PATH, or does not run.".to_owned(),
    })
}

/// `apt-get` that brings packages, nothing asked and nothing recommended.
fn apt_get(verb: &str) -> Command {
    let mut apt = as_root("env");
    apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "Acquire::Retries=3"]);
    apt.args([verb, "--no-install-recommends"]);
    apt
}

fn missing() -> Vec<&'static str> {
    NEEDED.iter().filter(|(sign, _)| !is_there(sign)).map(|(_, package)| *package).collect()
}

fn is_there(sign: &Sign) -> bool {
    match sign {
        Sign::Program(name) => {
            // Daemons live in sbin, which is not on everybody's PATH.
            let path = std::env::var_os("PATH").unwrap_or_default();
            let sbin = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
            std::env::split_paths(&path).chain(sbin).any(|folder| folder.join(name).is_file())
        }
        Sign::File(path) => Path::new(path).is_file(),
        Sign::PerlModule(name) => {
            let mut perl = Command::new("perl");
            perl.arg(format!("-M{name}")).args(["-e", "1"]).stderr(Stdio::null());
            perl.status().is_ok_and(|status| status.success())
        }
        Sign::PythonModule(name) => {
            let mut python = Command::new("python3");
            python.args(["-c", &format!("import {name}")]).stderr(Stdio::null());
            python.status().is_ok_and(|status| status.success())
        }
    }
}

/// Where Exim's package is unpacked; the tests look for `usr/sbin/exim4` in it.
fn exim_folder() -> PathBuf {
    step::target().join("peers/exim")
}

/// Whether Exim is there with its libraries and its account: without one of them it does not even tell its version.
fn exim_runs() -> bool {
    let mut exim = Command::new(exim_folder().join("usr/sbin/exim4"));
    exim.args(["-C", "/dev/null", "-bV"]).stdout(Stdio::null()).stderr(Stdio::null());
    exim.status().is_ok_and(|status| status.success())
}

/// Brings Exim beside whichever mail server the machine has. Apt's lists must be fresh.
fn unpack_exim() -> Result<(), Failure> {
    let (folder, part) = (exim_folder(), step::target().join("peers/exim.part"));
    for old in [&folder, &part] {
        if old.exists() {
            fs::remove_dir_all(old).map_err(|why| unwritten(old, why))?;
        }
    }
    fs::create_dir_all(&part).map_err(|why| unwritten(&part, why))?;
    let mut download = Command::new("apt-get");
    // Apt's own account may not be let into the folder.
    download.args(["-q", "-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User=root", "download", EXIM]);
    step::run(&format!("apt-get download {EXIM}"), download.current_dir(&part))?;
    let mut files = fs::read_dir(&part).map_err(|why| unwritten(&part, why))?.flatten().map(|file| file.path());
    let Some(package) = files.find(|file| file.extension().is_some_and(|end| end == "deb")) else {
        let mend = "apt-get said it was downloaded, yet there is no file of it.".to_owned();
        return Err(Failure::Missing { what: EXIM.to_owned(), mend });
    };

    let mut depends = Command::new("dpkg-deb");
    depends.arg("--field").arg(&package).arg("Depends");
    let mut needed = String::new();
    step::run_reading("what Exim needs", &mut depends, |line| needed.push_str(line))?;
    // Not its configuration and its tools, which would make it the machine's mail server.
    let libraries = needed.split(',').map(str::trim).filter(|needed| needed.starts_with("lib"));
    step::run("Exim's libraries", apt_get("satisfy").args(libraries))?;
    if !fs::read_to_string("/etc/passwd").unwrap_or_default().contains(&format!("{EXIM_ACCOUNT}:")) {
        let mut account = as_root("useradd");
        account.args(["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]);
        step::run("Exim's account", account.args(["--shell", "/usr/sbin/nologin", EXIM_ACCOUNT]))?;
    }

    step::run("unpack Exim", Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&part))?;
    // Packed with the right to become root.
    let program = part.join("usr/sbin/exim4");
    let harmless = fs::set_permissions(&program, fs::Permissions::from_mode(0o755));
    harmless.and_then(|()| fs::rename(&part, &folder)).map_err(|why| unwritten(&folder, why))
}

fn unwritten(path: &Path, why: std::io::Error) -> Failure {
    Failure::Missing { what: EXIM.to_owned(), mend: format!("{} cannot be written: {why}.", path.display()) }
}

fn preseed_postfix() -> Result<(), Failure> {
    let answers = step::target().join("postfix.debconf");
    let text = "postfix postfix/main_mailer_type select No configuration\n";
    let written = fs::create_dir_all(step::target()).and_then(|()| fs::write(&answers, text));
    written.map_err(|why| Failure::NotStarted { program: "debconf-set-selections".to_owned(), why })?;
    step::run("preseed Postfix: no configuration", as_root("debconf-set-selections").arg(&answers))
}

/// `program`, through sudo where we are not root.
fn as_root(program: &str) -> Command {
    if am_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.arg(program);
    sudo
}

fn am_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// While this lives, installed packages do not start their services.
struct Stillness {
    placed: bool,
}

impl Stillness {
    fn new() -> Result<Self, Failure> {
        if Path::new(POLICY_RC_D).exists() {
            return Ok(Self { placed: false });
        }
        let script = step::target().join("policy-rc.d");
        let written = fs::create_dir_all(step::target())
            .and_then(|()| fs::write(&script, "#!/bin/sh\nexit 101\n"))
            .and_then(|()| fs::set_permissions(&script, fs::Permissions::from_mode(0o755)));
        written.map_err(|why| Failure::NotStarted { program: POLICY_RC_D.to_owned(), why })?;
        step::run("keep services from starting", as_root("install").args(["-m", "755"]).arg(&script).arg(POLICY_RC_D))?;
        Ok(Self { placed: true })
    }
}

impl Drop for Stillness {
    fn drop(&mut self) {
        if self.placed && step::run("let services start again", as_root("rm").args(["-f", POLICY_RC_D])).is_err() {
            eprintln!(
                "xtask: {POLICY_RC_D} is still there; remove it by hand, or no service will start after installing"
            );
        }
    }
}
