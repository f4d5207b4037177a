//! `bench-load` and `bench-sink`: what they say of lost, doubled and damaged messages, and of mail in clear, is so.
//!
//! The faults are made by hand, with a checksum of this file's own, so that the two commands cannot agree on a mistake.

use std::net::SocketAddr;
use std::process::{Command, ExitStatus};

use sealwire_tests::certs::{Authority, Leaf};
use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::process::{Process, Signal};
use sealwire_tests::{place, relay};
use serde_json::Value;
use tempfile::TempDir;

const HOST: &str = "sink.test";

struct Sink {
    address: SocketAddr,
    process: Process,
    _folder: TempDir,
}

impl Sink {
    fn start(expected: u64, leaf: &Leaf, more: &[&str]) -> Sink {
        let (address, folder) = (place::free_address(), place::folder());
        let mut command = Command::new(relay::binary());
        command.args(["bench-sink", "--json", "--listen", &address.to_string(), "--expect", &expected.to_string()]);
        command.arg("--certificate").arg(leaf.cert_file()).arg("--key").arg(leaf.key_file()).args(more);
        let mut process = Process::start("bench-sink", &mut command, &folder.path().join("sink.log"));
        process.ready_when("a greeting", || place::greeting(address));
        Sink { address, process, _folder: folder }
    }

    fn end(mut self) -> (ExitStatus, Value) {
        self.process.signal(Signal::Term);
        let status = self.process.wait();
        (status, serde_json::from_str(&self.process.log()).expect("the account"))
    }
}

/// A message of this number as `bench-load` writes it, its lines ending in LF; `said` is the number in its header.
fn message(said: u64, number: u64) -> String {
    let body = format!(".a dot\n{number:010}\n");
    let sum = body
        .replace('\n', "\r\n")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, octet| (sum ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3));
    format!("X-Sealwire-Bench: {said:010} {sum:016x}\n\n.{body}")
}

#[test]
fn the_sink_counts_lost_doubled_damaged_strange_and_in_clear() {
    let authority = Authority::new("Test CA");
    let sink = Sink::start(5, &authority.leaf(&[HOST]), &[]);
    let mut dialogue = Dialogue::open(sink.address).expect("a session");
    let damaged = message(2, 2).replace("a dot", "a dog");
    let strange = "Subject: not of the bench\n\ntext\n".to_owned();
    for content in [message(0, 0), message(1, 1), message(1, 1), damaged, message(3, 3), strange] {
        let reply = dialogue.submit("ann@a.test", &["bob@b.test"], &content).expect("a session");
        assert!(reply.starts_with("250"), "{reply}");
    }
    let (status, account) = sink.end();
    let counted = ["messages", "distinct", "lost", "doubled", "damaged", "strange", "over-tls", "in-clear"];
    let counted = counted.map(|key| account[key].as_u64().expect("a number"));
    assert_eq!(counted, [6, 3, 2, 1, 1, 1, 0, 6], "{account}");
    assert!(!status.success(), "and it says that something was wrong");
}

#[test]
fn a_load_over_starttls_arrives_whole_and_over_tls() {
    let authority = Authority::new("Test CA");
    let sink = Sink::start(60, &authority.leaf(&[HOST]), &["--final-delay", "1"]);
    let mut load = Command::new(relay::binary());
    load.args(["bench-load", "--json", &sink.address.to_string(), "--starttls", HOST, "--sessions", "3"]);
    load.args(["--messages", "60", "--per-connection", "7", "--size", "9000"]).arg("--roots").arg(authority.file());
    let output = load.output().expect("a built binary can be started");
    let sent: Value = serde_json::from_slice(&output.stdout).expect("the load's report");
    assert!(output.status.success() && sent["accepted"] == 60 && sent["failures"] == 0, "{sent}");
    let (status, account) = sink.end();
    assert_eq!((&account["distinct"], &account["over-tls"]), (&60.into(), &60.into()), "{account}");
    assert!(status.success(), "{account}");
}
