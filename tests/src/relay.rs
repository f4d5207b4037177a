//! The built `sealwire`, run as its operator runs it: a configuration file, a process, signals, subcommands.
//!
//! The harness knows nothing of the configuration's format: a test writes the text, from the addresses and the folder
//! of its [`Ground`]. Folder and addresses stay the same over restarts, so that a test can kill the relay and look again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use tempfile::TempDir;

use crate::place;
use crate::process::{Process, Signal};

/// What a configuration is written from: a folder of its own, two loopback addresses, a place for the admin's socket.
#[derive(Debug)]
pub struct Ground {
    folder: TempDir,
    /// Where the relay shall take mail.
    pub smtp: SocketAddr,
    /// A second free address, for whatever else listens (metrics, a second listener).
    pub other: SocketAddr,
}

impl Ground {
    /// The private folder; every user may enter it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A relay with its ground: not yet started, running, or stopped. Stops on drop.
#[derive(Debug)]
pub struct Relay {
    // The order matters: the process ends before its folder goes.
    process: Option<Process>,
    under: Vec<String>,
    ground: Ground,
}

/// What a subcommand said.
#[derive(Debug)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Relay {
    /// A relay with this configuration, not yet started: `Relay::new(|ground| format!("...{}...", ground.smtp))`.
    pub fn new(config: impl FnOnce(&Ground) -> String) -> Self {
        let ground = Ground { folder: place::folder(), smtp: place::free_address(), other: place::free_address() };
        let relay = Self { process: None, under: Vec::new(), ground };
        relay.configure(config);
        relay
    }

    /// A relay with this configuration, ready to take mail.
    #[track_caller]
    pub fn started(config: impl FnOnce(&Ground) -> String) -> Self {
        let mut relay = Self::new(config);
        relay.start();
        relay
    }

    /// From its next start on it runs under this command, which must end in running what follows it in its own place, as
    /// `prlimit --nofile=64` does. Its folder is the current one.
    pub fn under(&mut self, command: &[&str]) {
        self.under = command.iter().map(|word| (*word).to_owned()).collect();
    }

    /// The process, while it runs.
    #[track_caller]
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("the relay has been started and not stopped").id()
    }

    /// SIGTERM, and does not wait.
    #[track_caller]
    pub fn ask_to_stop(&mut self) {
        self.process().signal(Signal::Term);
    }

    /// Rewrites the configuration file; it counts from the next [`start`](Self::start) or [`reload`](Self::reload).
    pub fn configure(&self, config: impl FnOnce(&Ground) -> String) {
        place::write(&self.config_file(), config(&self.ground));
    }

    /// Starts it and waits until it greets on [`Ground::smtp`].
    #[track_caller]
    pub fn start(&mut self) {
        self.launch();
        let smtp = self.ground.smtp;
        self.process().ready_when(&format!("a greeting at {smtp}"), || place::greeting(smtp));
    }

    /// Starts it and waits for it to end by itself, as with a configuration it refuses.
    #[track_caller]
    pub fn start_in_vain(&mut self) -> ExitStatus {
        self.launch();
        self.ended()
    }

    /// SIGHUP: asks it to read its configuration again. Wait for the effect, which comes when it is ready.
    pub fn reload(&mut self) {
        self.process().signal(Signal::Hup);
    }

    /// Waits until it has ended by itself, as after [`ask_to_stop`](Self::ask_to_stop).
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let status = self.process().wait();
        self.process = None;
        status
    }

    /// SIGTERM, and waits until it has ended.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.end(Signal::Term)
    }

    /// SIGKILL, and waits until it is gone: a crash.
    #[track_caller]
    pub fn kill(&mut self) {
        self.end(Signal::Kill);
    }

    /// Runs `sealwire --config FILE ARGS` beside it.
    pub fn run(&self, args: &[&str]) -> Said {
        let output = self.command(args).stdin(Stdio::null()).output().expect("a built binary can be started");
        Said {
            status: output.status,
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts `sealwire --config FILE ARGS` beside it; what it says is its log.
    pub fn spawn(&self, args: &[&str]) -> Process {
        Process::start("a command", &mut self.command(args), &self.ground.path("command.log"))
    }

    /// Runs `sealwire --config FILE ARGS --json`, which must end well, and reads what it says.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let said = self.run(&[args, &["--json"]].concat());
        assert!(said.status.success(), "sealwire {}: {}\n{}", args.join(" "), said.status, said.err);
        serde_json::from_str(&said.out)
            .unwrap_or_else(|why| panic!("sealwire {}: {why}:\n{}", args.join(" "), said.out))
    }

    /// Where it takes mail.
    pub fn smtp(&self) -> SocketAddr {
        self.ground.smtp
    }

    /// Its folder and addresses.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.ground.path("sealwire.toml")
    }

    /// Its log, over all starts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--config").arg(self.config_file()).args(args).current_dir(self.ground.folder());
        command
    }

    fn log_file(&self) -> PathBuf {
        self.ground.path("sealwire.log")
    }

    fn launch(&mut self) {
        assert!(self.process.is_none(), "the relay is running already");
        let mut command = place::command_under(&self.under, &binary());
        command.arg("serve").arg("--config").arg(self.config_file()).current_dir(self.ground.folder());
        self.process = Some(Process::start("sealwire", &mut command, &self.log_file()));
    }

    #[track_caller]
    fn end(&mut self, signal: Signal) -> ExitStatus {
        self.process().signal(signal);
        self.ended()
    }

    #[track_caller]
    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the relay has been started and not stopped")
    }
}

/// The `sealwire` built beside this program: `target/PROFILE/deps/main-HASH` -> `target/PROFILE/sealwire`.
///
/// # Panics
/// When it has not been built. It is not built from here: cargo holds its lock while tests run.
pub fn binary() -> PathBuf {
    let this = std::env::current_exe().expect("a program knows its own path");
    let mut beside = this.ancestors().skip(1).take(2).map(|folder| folder.join("sealwire"));
    beside.find(|binary| binary.is_file()).unwrap_or_else(|| {
        panic!("no sealwire near {}: `cargo build -p sealwire` first (`cargo xtask test` does)", this.display())
    })
}
