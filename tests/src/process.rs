//! A program under test: its output goes to a log file, it ends with its value, and its log is shown when the test fails.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::wait;

/// How long a program gets to end after SIGTERM before it is killed on drop.
const GRACE: Duration = Duration::from_secs(10);

/// The signals that tests send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Reload the configuration.
    Hup,
    /// End in order.
    Term,
    /// End at once, as a power cut would.
    Kill,
}

/// A running program with its log.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`, both its outputs appended to the file `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("a log in a folder of our own");
        let twin = || file.try_clone().expect("a file can be had twice");
        let mut spawn = || command.stdin(Stdio::null()).stdout(twin()).stderr(twin()).spawn();
        // A program that was just copied is busy while a child of another thread, not yet its own program, has it open.
        let spawned = wait::until(wait::PATIENCE, &format!("{name} to start"), || match spawn() {
            Err(why) if why.kind() == ErrorKind::ExecutableFileBusy => None,
            spawned => Some(spawned),
        });
        let child = spawned.unwrap_or_else(|why| panic!("{name} cannot be started ({command:?}): {why}"));
        Self { name: name.to_owned(), child, log: log.to_owned(), ended: None }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child of our own can be waited for");
        }
        self.ended
    }

    /// Sends `signal`; nothing happens if it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_some() {
            return;
        }
        let name = match signal {
            Signal::Hup => "HUP",
            Signal::Term => "TERM",
            Signal::Kill => "KILL",
        };
        // The shell's own `kill`: signals from Rust would need unsafe code or one more dependency.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -s {name} {}", self.child.id())).status();
        sent.expect("every machine has sh");
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let what = format!("{} to end", self.name);
        wait::until(wait::PATIENCE, &what, || self.ended())
    }

    /// Waits for `ready`, and panics at once, with the log, if the program ends before.
    #[track_caller]
    pub fn ready_when<T>(&mut self, what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
        let name = self.name.clone();
        wait::until(wait::PATIENCE, &format!("{name}: {what}"), || {
            if let Some(answer) = ready() {
                return Some(answer);
            }
            if let Some(status) = self.ended() {
                panic!("{name} ended before it was ready ({status}); its log:\n{}", self.log());
            }
            None
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::Term);
        if wait::within(GRACE, || self.ended()).is_none() {
            self.signal(Signal::Kill);
            wait::within(GRACE, || self.ended());
        }
        if std::thread::panicking() {
            eprintln!("---- log of {} ----\n{}", self.name, self.log());
        }
    }
}
