//! Unbound, a real validating resolver, on a loopback port, which proves by the root of a test and asks no other server.

use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use crate::nsd::{Nsd, answers};
use crate::place;
use crate::process::Process;

/// A running Unbound; stops on drop.
#[derive(Debug)]
pub struct Unbound {
    address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

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
                 module-config: \"validator iterator\"\n  trust-anchor-file: \"{}\"\n  do-not-query-localhost: no\n  \
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
        let mut unbound = Command::new(&program);
        unbound.arg("-d").arg("-c").arg(&config);
        let mut process = Process::start("Unbound", &mut unbound, &folder.path().join("unbound.log"));
        process.ready_when("an answer for the root", || answers(address, ".").then_some(()));
        Self { address, _process: process, _folder: folder }
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
