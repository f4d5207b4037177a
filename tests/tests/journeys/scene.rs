//! A scene: one relay between senders and next hops, and the questions that journeys ask about it.
//!
//! [`given`] collects what the relay shall be, `start` starts it and applies the settings as an operator would.
//! Reports to senders `...@sender.test` end at [`Scene::home`], a scripted peer that takes everything, by TLS if it may.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{FakePeer, Received};
use sealwire_tests::relay::{Relay, Said};
use sealwire_tests::swaks::{self, Transcript};
use sealwire_tests::{place, wait};
use serde_json::Value;

pub(super) use super::given::{BUILTIN, Given, REFUSING_VARIABLE, given, setting};
use super::given::{Written, policy_table};

/// A sender whom no list names.
pub(super) const ALICE: &str = "alice@sender.test";

/// A running relay and the sender's mailbox.
pub(super) struct Scene {
    pub(super) relay: Relay,
    pub(super) home: FakePeer,
    pub(super) written: Written,
    pub(super) authority: Authority,
    pub(super) _leaf: certs::Leaf,
}

/// What became of a message to one recipient.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    Delivered(Received),
    Reported(Report),
}

impl Fate {
    /// In a word, for tables.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Fate::Delivered(received) if received.by_tls => "by TLS",
            Fate::Delivered(_) => "in clear",
            Fate::Reported(_) => "reported",
        }
    }
}

impl Scene {
    /// Hands in a short message in clear; it must be accepted. Subject and text are `words`.
    #[track_caller]
    pub(super) fn submit(&self, from: &str, to: &[&str], words: &str) {
        self.hand_in(from, to, &message(from, words));
    }

    /// Hands in this content in clear; it must be accepted.
    #[track_caller]
    pub(super) fn hand_in(&self, from: &str, to: &[&str], content: &str) {
        let reply = self.offer(from, to, content);
        assert!(reply.starts_with("250 2.0.0"), "{reply}:\n{content}");
    }

    /// Hands in this content in clear; the reply to its end.
    #[track_caller]
    pub(super) fn offer(&self, from: &str, to: &[&str], content: &str) -> String {
        let mut dialogue = Dialogue::open(self.relay.smtp()).expect("the relay greets");
        dialogue.submit(from, to, content).expect("the relay answers")
    }

    /// The same by swaks, over TLS where `more` holds `--tls`.
    pub(super) fn swaks(&self, from: &str, to: &str, more: &[&str]) -> Transcript {
        swaks::send(self.relay.smtp(), from, to, more)
    }

    /// Runs `sealwire settings apply` with this text.
    pub(super) fn apply(&self, settings: &str) -> Said {
        self.apply_and(settings, &[])
    }

    /// The same with more arguments.
    pub(super) fn apply_and(&self, settings: &str, more: &[&str]) -> Said {
        let file = self.relay.ground().path("settings.toml");
        place::write(&file, settings);
        self.relay.run(&[&["settings", "apply", &file.display().to_string()], more].concat())
    }

    /// Rewrites the configuration with another chain of policies; it counts from the next reload or start.
    pub(super) fn configure_chain(&mut self, chain: &[(&str, &str)]) {
        let policies: String = chain.iter().map(|(name, component)| policy_table(name, component)).collect();
        self.configure_policies(&policies);
    }

    /// The same with these `[[policy]]` tables.
    pub(super) fn configure_policies(&mut self, tables: &str) {
        self.written.policies = tables.to_owned();
        self.relay.configure(|ground| self.written.text(ground));
    }

    /// Waits until the message to `recipient` has been delivered to one of `peers`, or reported at home.
    #[track_caller]
    pub(super) fn fate(&self, peers: &[&FakePeer], recipient: &str) -> Fate {
        let to = format!("<{recipient}>");
        wait::until(wait::PATIENCE, &format!("a fate of the message to {recipient}"), || {
            let mut received = peers.iter().flat_map(|peer| peer.messages());
            let delivered = received.find(|message| message.recipients.iter().any(|other| other.starts_with(&to)));
            delivered.map(Fate::Delivered).or_else(|| self.report_now(recipient).map(Fate::Reported))
        })
    }

    /// Waits for the report of `recipient` at home.
    #[track_caller]
    pub(super) fn report(&self, recipient: &str) -> Report {
        let what = format!("a report of {recipient}");
        wait::until(wait::PATIENCE, &what, || self.report_now(recipient))
    }

    /// The report of `recipient`, if it has come home.
    pub(super) fn report_now(&self, recipient: &str) -> Option<Report> {
        let reports = self.home.messages().into_iter().map(|message| Report { data: message.data });
        let named = format!("Final-Recipient: rfc822; {recipient}\r\n");
        let mut of_recipient = reports.filter(|report| report.data.contains(&named));
        of_recipient.next()
    }

    /// Waits until nothing is queued.
    #[track_caller]
    pub(super) fn until_queue_is_empty(&self) {
        wait::until(wait::PATIENCE, "an empty queue", || self.queue().is_empty().then_some(()));
    }

    /// The queue, one value an entry.
    #[track_caller]
    pub(super) fn queue(&self) -> Vec<Value> {
        items(&self.relay, &["queue", "list"])
    }

    /// How many entries of the queue are for this recipient.
    #[track_caller]
    pub(super) fn queued_for(&self, recipient: &str) -> usize {
        items(&self.relay, &["queue", "list", "--recipient", recipient]).len()
    }

    /// The ledger's records that these arguments of `log` ask for.
    #[track_caller]
    pub(super) fn log(&self, asked: &[&str]) -> Vec<Value> {
        items(&self.relay, &[&["log", "--limit", "1000"], asked].concat())
    }

    /// The ledger's records of one kind about one recipient.
    #[track_caller]
    pub(super) fn ledger(&self, event: &str, recipient: &str) -> Vec<Value> {
        self.log(&["--event", event, "--recipient", recipient])
    }

    /// Waits until a round for this recipient is in the ledger, and gives all of them.
    #[track_caller]
    pub(super) fn rounds(&self, recipient: &str, at_least: usize) -> Vec<Value> {
        wait::until(wait::PATIENCE, &format!("{at_least} round(s) for {recipient}"), || {
            let rounds = self.ledger("attempted", recipient);
            (rounds.len() >= at_least).then_some(rounds)
        })
    }

    /// A counter of `status`.
    #[track_caller]
    pub(super) fn total(&self, name: &str) -> u64 {
        let status = self.relay.json(&["status"]);
        status["totals"][name].as_u64().unwrap_or_else(|| panic!("status has no total `{name}`: {status:#}"))
    }

    /// What `status` says of proofs by DNSSEC.
    #[track_caller]
    pub(super) fn dnssec(&self) -> String {
        let status = self.relay.json(&["status"]);
        status["dnssec"].as_str().unwrap_or_else(|| panic!("status says nothing of DNSSEC: {status:#}")).to_owned()
    }

    /// The number of the generation that is live.
    #[track_caller]
    pub(super) fn generation(&self) -> u64 {
        let status = self.relay.json(&["status"]);
        status["generation"]["number"].as_u64().unwrap_or_else(|| panic!("status has no generation: {status:#}"))
    }

    /// What a scraper of metrics reads.
    #[track_caller]
    pub(super) fn metrics(&self) -> String {
        let socket = self.relay.ground().path("data/admin/socket");
        let asked = UnixStream::connect(&socket).and_then(|mut stream| {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")?;
            std::io::read_to_string(stream)
        });
        let answer = asked.unwrap_or_else(|why| panic!("{}: {why}", socket.display()));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }

    /// Whether these octets stand in any file of the relay's store.
    pub(super) fn is_spooled(&self, octets: &str) -> bool {
        holds(&self.relay.ground().path("data"), octets.as_bytes())
    }
}

/// A message from this mailbox whose Subject and text are `words`.
pub(super) fn message(from: &str, words: &str) -> String {
    format!("From: <{from}>\nSubject: {words}\n\n{words}\n")
}

/// What a command lists.
#[track_caller]
fn items(relay: &Relay, command: &[&str]) -> Vec<Value> {
    match relay.json(command) {
        Value::Array(items) => items,
        other => panic!("sealwire {} gives no list: {other:#}", command.join(" ")),
    }
}

fn holds(path: &Path, octets: &[u8]) -> bool {
    let Ok(entries) = std::fs::read_dir(path) else {
        let content = std::fs::read(path).unwrap_or_default();
        return content.windows(octets.len()).any(|window| window == octets);
    };
    entries.flatten().any(|entry| holds(&entry.path(), octets))
}

/// A report as it came home.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) data: String,
}

impl Report {
    /// Asserts that it says this, however its lines are wrapped.
    #[track_caller]
    pub(super) fn assert_says(&self, sentence: &str) {
        assert!(self.says(sentence), "the report does not say `{sentence}`:\n{}", self.data);
    }

    /// Whether it says this, however its lines are wrapped.
    pub(super) fn says(&self, sentence: &str) -> bool {
        says(&self.data, sentence)
    }
}

/// Whether `text` holds `sentence`, blanks and line ends being one.
pub(super) fn says(text: &str, sentence: &str) -> bool {
    let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    joined(text).contains(&joined(sentence))
}
