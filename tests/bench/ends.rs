//! The load before a relay and the sink behind it: `sealwire bench-load` and `sealwire bench-sink` as processes.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sealwire_tests::process::Process;
use sealwire_tests::{place, relay, wait};
use serde::Deserialize;
use tempfile::TempDir;

use crate::relays::{RELAY, Surroundings};

/// All messages must have come so long after the load has ended, on a machine with other work.
const DRAIN_TIME: Duration = Duration::from_secs(300);

/// What is sent.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) sessions: usize,
    pub(crate) messages: u64,
    pub(crate) first: u64,
    pub(crate) per_connection: u64,
    pub(crate) size: usize,
    pub(crate) pause_ms: u64,
    pub(crate) hold_secs: Option<u64>,
    /// Over how many domains the recipients are spread.
    pub(crate) domains: Option<u64>,
    /// It gives way to everything else on the machine.
    pub(crate) gives_way: bool,
}

impl Default for Load {
    fn default() -> Load {
        Load {
            sessions: 20,
            messages: 0,
            first: 0,
            per_connection: 20,
            size: 4096,
            pause_ms: 0,
            hold_secs: None,
            domains: None,
            gives_way: false,
        }
    }
}

/// What the load says of itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Sent {
    pub(crate) accepted: u64,
    pub(crate) failures: u64,
    pub(crate) trouble: Option<String>,
    pub(crate) started_at_ms: u64,
    pub(crate) message_ms: Spread,
    pub(crate) connect_ms: Spread,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Spread {
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Load {
    /// Sends it all and waits for the end.
    pub(crate) fn run(&self, to: SocketAddr, around: &Surroundings) -> Sent {
        self.start(to, around).finish()
    }

    /// Starts sending.
    pub(crate) fn start(&self, to: SocketAddr, around: &Surroundings) -> Sending {
        let mut command = command(self.gives_way);
        command.args(["bench-load", "--json"]).arg(to.to_string());
        let numbers = [
            ("--sessions", self.sessions as u64),
            ("--messages", self.messages),
            ("--first", self.first),
            ("--per-connection", self.per_connection),
            ("--size", self.size as u64),
            ("--pause", self.pause_ms),
        ];
        for (name, number) in numbers {
            command.arg(name).arg(number.to_string());
        }
        if let Some(seconds) = self.hold_secs {
            command.arg("--hold").arg(seconds.to_string());
        }
        if let Some(domains) = self.domains {
            command.arg("--domains").arg(domains.to_string());
        }
        if around.secured {
            command.args(["--starttls", RELAY]).arg("--roots").arg(around.authority.file());
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Sending { child: child.expect("a built binary can be started") }
    }
}

/// A load under way.
pub(crate) struct Sending {
    child: Child,
}

impl Sending {
    /// Waits until every session that holds is open.
    pub(crate) fn wait_until_open(&mut self) {
        let mut line = String::new();
        let said = self.child.stderr.as_mut().expect("standard error was asked for");
        BufReader::new(said).read_line(&mut line).expect("a line");
        assert!(line.contains("all sessions are open"), "bench-load: {line}");
    }

    /// Whether it is over.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child of our own").is_some()
    }

    /// The same for so long and no longer; None: it was not over, and is ended.
    pub(crate) fn finish_within(mut self, time: Duration) -> Option<Sent> {
        if wait::within(time, || self.has_ended().then_some(())).is_none() {
            self.child.kill().and_then(|()| self.child.wait()).expect("a child of our own");
            return None;
        }
        Some(self.finish())
    }

    /// Waits for its end. Every message was accepted, or this is no measurement.
    pub(crate) fn finish(self) -> Sent {
        let output = self.child.wait_with_output().expect("a child of our own");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "bench-load: {}: {text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_str(&text).expect("bench-load --json")
    }
}

/// `sealwire`, which may be one that gives way to everything else.
fn command(gives_way: bool) -> Command {
    let way = if gives_way { vec!["nice".to_owned(), "-n".to_owned(), "19".to_owned()] } else { Vec::new() };
    place::command_under(&way, &relay::binary())
}

/// The sink; stops on drop.
pub(crate) struct Sink {
    status: SocketAddr,
    secured: bool,
    _process: Process,
    _folder: TempDir,
}

/// What came.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Account {
    pub(crate) messages: u64,
    pub(crate) distinct: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) damaged: u64,
    pub(crate) strange: u64,
    pub(crate) in_clear: u64,
    pub(crate) last_at_ms: Option<u64>,
}

impl Sink {
    /// A sink where the surroundings say, that expects so many messages.
    pub(crate) fn start(around: &Surroundings, expected: u64) -> Sink {
        Sink::start_at(around, around.sink, expected, &[], false)
    }

    /// The same elsewhere, with more arguments, giving way to everything else on the machine.
    pub(crate) fn start_at(
        around: &Surroundings,
        listen: SocketAddr,
        expected: u64,
        more: &[&str],
        gives_way: bool,
    ) -> Sink {
        let (folder, status) = (place::folder(), place::free_address());
        let mut command = command(gives_way);
        command.args(["bench-sink", "--json", "--expect", &expected.to_string()]);
        command.args(more).arg("--listen").arg(listen.to_string()).arg("--status").arg(status.to_string());
        if around.secured {
            command.arg("--certificate").arg(around.sink_leaf.cert_file());
            command.arg("--key").arg(around.sink_leaf.key_file());
        }
        let mut process = Process::start("the sink", &mut command, &folder.path().join("sink.log"));
        process.ready_when("a greeting", || place::greeting(listen));
        Sink { status, secured: around.secured, _process: process, _folder: folder }
    }

    /// The account so far.
    pub(crate) fn account(&self) -> Account {
        let mut text = String::new();
        let mut stream = TcpStream::connect(self.status).expect("the sink answers");
        stream.read_to_string(&mut text).expect("the sink answers");
        serde_json::from_str(&text).expect("the sink's account")
    }

    /// Waits until so many messages have come, whatever they are.
    pub(crate) fn wait_for(&self, messages: u64) -> Account {
        wait::until(DRAIN_TIME, &format!("{messages} messages at the sink"), || {
            Some(self.account()).filter(|account| account.messages >= messages)
        })
    }

    /// Nothing lost, doubled, damaged, nothing but `strange` others, nothing in clear under TLS. The run is void else.
    pub(crate) fn assert_clean(&self, strange: u64) -> Account {
        let account = self.account();
        let faults = account.lost + account.doubled + account.damaged;
        let in_clear = if self.secured { account.in_clear } else { 0 };
        assert!(faults == 0 && in_clear == 0 && account.strange == strange, "the run is void: {account:?}");
        account
    }
}
