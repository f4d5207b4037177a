//! Unbound, a real validating resolver, on a loopback port, which proves by the root of a test and asks no other server.

use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use crate::nsd::{Nsd, answers};
use crate::place;
use crate::process::{Process, Signal};

/// A running Unbound; stops on drop.
#[derive(Debug)]
pub struct Unbound {
    address: SocketAddr,
    // The order matters: the process ends before its folder goes.
    process: Process,
    folder: TempDir,
}

/// What it does with an answer, in its configuration's words.
const VALIDATING: &str = "module-config: \"validator iterator\"";
const ITERATING: &str = "module-config: \"iterator\"";

impl Unbound {
    /// Resolves and proves what this server with a signed root has.
    pub fn start(nsd: &Nsd) -> Self {
        let (folder, address) = (place::folder(), place::free_address());
        let config = folder.path().join("unbound.conf");
        place::write(
            &config,
            format!(
                "server:\n  interface: {}@{}\n  do-ip6: no\n  do-daemonize: no\n  num-threads: 1\n  username: \"\"\n  \
                 chroot: \"\"\n  directory: \"{}\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n  verbosity: 1\n  \
                 {VALIDATING}\n  trust-anchor-file: \"{}\"\n  do-not-query-localhost: no\n  \
                 access-control: 127.0.0.0/8 allow\n  target-fetch-policy: \"0 0 0 0 0\"\n  val-log-level: 2\n  local-zone: \"test.\" nodefault\n\
                 stub-zone:\n  name: \".\"\n  stub-addr: {}@{}\nremote-control:\n  control-enable: no\n",
                address.ip(),
                address.port(),
                folder.path().display(),
                nsd.trust_anchor().display(),
                nsd.address().ip(),
                nsd.address().port(),
            ),
        );
        // A copy: where AppArmor watches over the installed one, that may not read our folder.
        let program = folder.path().join("unbound");
        std::fs::copy(place::program("unbound"), &program).expect("a program can be copied");
        let process = run(&folder, address);
        Self { address, process, folder }
    }

    /// Starts it anew at the same address: proving what it says, or passing on whatever it hears.
    pub fn restart(&mut self, validating: bool) {
        let config = self.folder.path().join("unbound.conf");
        let text = std::fs::read_to_string(&config).expect("its configuration was written");
        let (from, to) = if validating { (ITERATING, VALIDATING) } else { (VALIDATING, ITERATING) };
        assert!(text.contains(from), "it already does so: {text}");
        place::write(&config, text.replace(from, to));
        self.process.signal(Signal::Term);
        self.process.wait();
        self.process = run(&self.folder, self.address);
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Runs what lies in the folder until it answers.
fn run(folder: &TempDir, address: SocketAddr) -> Process {
    let mut unbound = Command::new(folder.path().join("unbound"));
    unbound.arg("-d").arg("-c").arg(folder.path().join("unbound.conf"));
    let mut process = Process::start("Unbound", &mut unbound, &folder.path().join("unbound.log"));
    process.ready_when("an answer for the root", || answers(address, ".").then_some(()));
    process
}
