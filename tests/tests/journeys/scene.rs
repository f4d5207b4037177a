//! A scene: one relay between senders and next hops, and the questions that journeys ask about it.
//!
//! [`given`] collects what the relay shall be, [`Given::start`] starts it and applies the settings as an operator would.
//! Reports to senders `...@sender.test` end at [`Scene::home`], a scripted peer that takes everything, by TLS if it may.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sealwire_tests::certs::{self, Authority};
use sealwire_tests::dialogue::Dialogue;
use sealwire_tests::fake_peer::{FakePeer, Received, Script};
use sealwire_tests::relay::{Ground, Relay, Said};
use sealwire_tests::swaks::{self, Transcript};
use sealwire_tests::{place, wait};
use serde_json::Value;

/// A sender whom no list names.
pub(super) const ALICE: &str = "alice@sender.test";

/// What the relay of a scene shall be.
#[derive(Default)]
pub(super) struct Given {
    top: String,
    schedule: String,
    dns: Option<SocketAddr>,
    routes: String,
    policies: String,
    settings: String,
    home: Option<SocketAddr>,
    authority: Option<Authority>,
}

/// The beginning of every scene.
pub(super) fn given() -> Given {
    Given::default()
}

/// A list of these entries, and a setting named alike that holds for it: `setting("partners", "outbound", &["partner.test"],
/// "validate-hostname = true")`. Several scopes are separated by blanks.
pub(super) fn setting(name: &str, scopes: &str, entries: &[&str], more: &str) -> String {
    let scopes: Vec<&str> = scopes.split(' ').collect();
    format!(
        "[lists.{name}]\nentries = {entries:?}\n[[policy.secure-transport.settings]]\ndescription = \"{name}\"\n\
         scopes = {scopes:?}\nlists = [\"{name}\"]\n{more}\n"
    )
}

impl Given {
    /// Mail of these domains goes to this host; `more` are further lines of its route, `tls = "required"` say.
    pub(super) fn route(self, name: &str, domains: &[&str], host: SocketAddr, more: &str) -> Self {
        self.hosts(name, domains, &[host], more)
    }

    /// Mail of these domains goes to these hosts, the first preferred.
    pub(super) fn hosts(self, name: &str, domains: &[&str], hosts: &[SocketAddr], more: &str) -> Self {
        let preferred = hosts.iter().enumerate().map(|(preference, host)| {
            format!("{{ host = \"{}\", port = {}, preference = {preference} }}", host.ip(), host.port())
        });
        self.route_to(name, domains, &preferred.collect::<Vec<_>>().join(", "), more)
    }

    /// Mail of these domains goes to the host of this name.
    pub(super) fn named_host(self, name: &str, domains: &[&str], host: &str, port: u16, more: &str) -> Self {
        self.route_to(name, domains, &format!("{{ host = \"{host}\", port = {port} }}"), more)
    }

    /// All other mail goes by MX, at this port.
    pub(super) fn mx(mut self, port: u16) -> Self {
        let _ = write!(self.routes, "[[route]]\nname = \"by-mx\"\nmx = true\nport = {port}\ndefault = true\n");
        self
    }

    /// Names are asked of this server. Without one, of a port where nobody answers.
    pub(super) fn dns(mut self, server: SocketAddr) -> Self {
        self.dns = Some(server);
        self
    }

    /// Lines of `[schedule]`.
    pub(super) fn schedule(mut self, lines: &str) -> Self {
        self.schedule = lines.to_owned();
        self
    }

    /// Top-level lines of the configuration.
    pub(super) fn config(mut self, lines: &str) -> Self {
        self.top = lines.to_owned();
        self
    }

    /// One more policy in the chain. Without any, the chain is the built-in one.
    pub(super) fn policy(mut self, name: &str, component: &str) -> Self {
        let _ = write!(self.policies, "[[policy]]\nname = \"{name}\"\ncomponent = \"{component}\"\n");
        self
    }

    /// The built-in policy, in a chain of several.
    pub(super) fn builtin(self) -> Self {
        self.policy("secure-transport", "builtin:secure-transport")
    }

    /// All settings so far.
    pub(super) fn settings_so_far(&self) -> String {
        self.settings.clone()
    }

    /// More of the settings document.
    pub(super) fn settings(mut self, text: &str) -> Self {
        self.settings.push_str(text);
        self
    }

    /// The sender's mail server, instead of a scripted one.
    pub(super) fn home(mut self, address: SocketAddr) -> Self {
        self.home = Some(address);
        self
    }

    /// The relay believes this authority, which has made the peers' certificates.
    pub(super) fn believing(mut self, authority: Authority) -> Self {
        self.authority = Some(authority);
        self
    }

    /// Starts the relay and applies the settings.
    #[track_caller]
    pub(super) fn start(self) -> Scene {
        let authority = self.authority.unwrap_or_else(|| Authority::new("Test Authority"));
        let home = Script::tls(&certs::self_signed(&["home.sender.test"])).start();
        let leaf = authority.leaf(&["relay.test"]);
        let nobody = place::free_address();
        let written = Written {
            before_listener: format!(
                "hostname = \"relay.test\"\ndata-directory = \"data\"\nlog-level = \"info\"\n{}\n\
                 [tls]\nroots = \"{}\"\n[dns]\nservers = [\"{}\"]\n[schedule]\n{}\n",
                self.top,
                authority.file().display(),
                self.dns.unwrap_or(nobody),
                self.schedule,
            ),
            certificate: leaf.cert_file().to_owned(),
            key: leaf.key_file().to_owned(),
            routes: self.routes,
            policies: self.policies,
        };
        let home_address = self.home.unwrap_or(home.address());
        let written = Written { routes: format!("{}{}", home_route(home_address), written.routes), ..written };
        let relay = Relay::started(|ground| written.text(ground));
        let scene = Scene { relay, home, written, _authority: authority, _leaf: leaf };
        if !self.settings.is_empty() {
            let said = scene.apply(&self.settings);
            assert!(said.status.success(), "the settings were refused:\n{}{}", said.out, said.err);
        }
        scene
    }

    fn route_to(mut self, name: &str, domains: &[&str], hosts: &str, more: &str) -> Self {
        let route = format!("[[route]]\nname = \"{name}\"\nmatch = {domains:?}\nhosts = [{hosts}]\n{more}\n");
        self.routes.push_str(&route);
        self
    }
}

fn home_route(home: SocketAddr) -> String {
    format!(
        "[[route]]\nname = \"home\"\nmatch = [\"sender.test\"]\nhosts = [{{ host = \"{}\", port = {} }}]\n",
        home.ip(),
        home.port()
    )
}

/// The configuration, to be written again with another chain.
struct Written {
    before_listener: String,
    certificate: PathBuf,
    key: PathBuf,
    routes: String,
    policies: String,
}

impl Written {
    fn text(&self, ground: &Ground) -> String {
        format!(
            "{}[[listener]]\nname = \"main\"\naddress = \"{}\"\ncertificate = \"{}\"\nkey = \"{}\"\n{}{}",
            self.before_listener,
            ground.smtp,
            self.certificate.display(),
            self.key.display(),
            self.routes,
            self.policies,
        )
    }
}

/// A running relay and the sender's mailbox.
pub(super) struct Scene {
    pub(super) relay: Relay,
    pub(super) home: FakePeer,
    written: Written,
    _authority: Authority,
    _leaf: certs::Leaf,
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
        let reply = self.offer(from, to, &message(from, words));
        assert!(reply.starts_with("250 2.0.0"), "{words}: {reply}");
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
        let policies = chain
            .iter()
            .map(|(name, component)| format!("[[policy]]\nname = \"{name}\"\ncomponent = \"{component}\"\n"));
        self.written.policies = policies.collect();
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

    /// The number of the generation that is live.
    #[track_caller]
    pub(super) fn generation(&self) -> u64 {
        let status = self.relay.json(&["status"]);
        status["generation"]["number"].as_u64().unwrap_or_else(|| panic!("status has no generation: {status:#}"))
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
