//! aiosmtpd, a mail server in Python, as next hop with STARTTLS that takes every message and keeps it as it came.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use tempfile::TempDir;

use crate::certs::Leaf;
use crate::process::Process;
use crate::{place, python, wait};

const SERVER: &str = include_str!("aiosmtpd.py");

/// What an aiosmtpd shall be, before it is started.
#[derive(Debug)]
pub struct Setup {
    address: SocketAddr,
    hostname: String,
    leaf: Leaf,
    requiretls: bool,
}

impl Setup {
    /// Listen here instead of on a free port (a next hop found by MX needs port 25: `127.0.0.7:25`).
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// The name in its greeting and EHLO.
    pub fn hostname(mut self, name: &str) -> Self {
        name.clone_into(&mut self.hostname);
        self
    }

    /// Offer REQUIRETLS in TLS (RFC 8689), and take it as a parameter of MAIL.
    pub fn requiretls(mut self) -> Self {
        self.requiretls = true;
        self
    }

    /// Starts it and waits until it greets.
    #[track_caller]
    pub fn start(self) -> Aiosmtpd {
        let folder = place::folder();
        let script = folder.path().join("server.py");
        place::write(&script, SERVER);
        let settings = serde_json::json!({
            "ip": self.address.ip(),
            "port": self.address.port(),
            "hostname": self.hostname,
            "certificate": self.leaf.cert_file(),
            "key": self.leaf.key_file(),
            "requiretls": self.requiretls,
        });
        let mut python = Command::new(python::interpreter());
        python.current_dir(folder.path()).arg("-u").arg(&script).arg(settings.to_string());
        let mut process = Process::start("aiosmtpd", &mut python, &folder.path().join("aiosmtpd.log"));
        process.ready_when("a greeting", || place::greeting(self.address));
        Aiosmtpd { address: self.address, process, _leaf: self.leaf, folder }
    }
}

/// A running aiosmtpd; stops on drop.
#[derive(Debug)]
pub struct Aiosmtpd {
    address: SocketAddr,
    // The order matters: the process ends before its folder goes.
    process: Process,
    _leaf: Leaf,
    folder: TempDir,
}

/// One message, with the session it came in.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    /// The name in EHLO.
    pub ehlo: String,
    /// The envelope's sender, without angle brackets; empty for a report.
    pub from: String,
    /// The parameters of MAIL, in capitals: `SIZE=100`, `REQUIRETLS`.
    pub parameters: Vec<String>,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// The session's TLS, unless it came in clear.
    pub tls: Option<Tls>,
    /// Exactly what came as content, lines ending in CR LF, dots undone.
    #[serde(skip)]
    pub octets: Vec<u8>,
    file: PathBuf,
}

/// What OpenSSL says of a session.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Tls {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// Such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
}

impl Message {
    /// Its octets for reading.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.octets).into_owned()
    }
}

impl Aiosmtpd {
    /// A next hop that offers STARTTLS with this certificate, without REQUIRETLS.
    pub fn next_hop(leaf: &Leaf) -> Setup {
        let hostname = "mx.aiosmtpd.test".to_owned();
        Setup { address: place::free_address(), hostname, leaf: leaf.clone(), requiretls: false }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// What it has taken, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        let lines = std::fs::read_to_string(self.folder.path().join("messages.jsonl")).unwrap_or_default();
        let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| self.message(line)).collect()
    }

    /// Waits for the first message that contains `words`.
    #[track_caller]
    pub fn wait_for(&self, words: &str) -> Message {
        wait::until(wait::PATIENCE, &format!("a message with `{words}` at aiosmtpd"), || {
            self.messages().into_iter().find(|message| message.text().contains(words))
        })
    }

    fn message(&self, line: &str) -> Message {
        let message = serde_json::from_str(line).unwrap_or_else(|why| panic!("no message: {why}:\n{line}"));
        let octets = |message: &Message| std::fs::read(self.folder.path().join(&message.file));
        Message { octets: octets(&message).expect("its file was written before its line"), ..message }
    }
}
