//! The real peers that the tests talk to, installed with apt-get when one is missing (Debian and its kin).
//!
//! Installing must never start a mail server or a name server on the machine: while packages are unpacked a
//! `policy-rc.d` that says 101 ("do not start") stands in /usr/sbin, if none is there already, and Postfix is
//! preseeded with "No configuration".

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
    (Sign::File("/etc/ssl/certs/ca-certificates.crt"), "ca-certificates"), // the system's roots
    (Sign::Program("faketime"), "faketime"), // brings the library that sets a clock for one process
];

const POLICY_RC_D: &str = "/usr/sbin/policy-rc.d";

enum Sign {
    Program(&'static str),
    PerlModule(&'static str),
    File(&'static str),
}

/// Installs the packages whose sign is missing; afterwards every sign is there, or this is an error.
pub(crate) fn install() -> Result<(), Failure> {
    let missing = missing();
    if missing.is_empty() {
        eprintln!("==> real peers: all here");
        return Ok(());
    }
    if !is_there(&Sign::Program("apt-get")) {
        let mend = "This machine has no apt-get: install the packages' like by hand, then run this again.".to_owned();
        return Err(Failure::Missing { what: missing.join(", "), mend });
    }
    let _still = Stillness::new()?;
    step::run("apt-get update", as_root("apt-get").args(["-q", "-o", "Acquire::Retries=3", "update"]))?;
    if missing.contains(&"postfix") {
        preseed_postfix()?;
    }
    let mut apt = as_root("env");
    apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "Acquire::Retries=3"]);
    apt.args(["install", "--no-install-recommends"]).args(&missing);
    step::run(&format!("apt-get install {}", missing.join(" ")), &mut apt)?;
    match self::missing() {
        none if none.is_empty() => Ok(()),
        left => Err(Failure::Missing {
            what: left.join(", "),
            mend: "apt-get said it was installed, yet its command is nowhere on the PATH.".to_owned(),
        }),
    }
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
    }
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
