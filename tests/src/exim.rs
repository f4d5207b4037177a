//! A real Exim as next hop that keeps what it gets: private configuration, spool, log and Maildir; one loopback address.
//!
//! It runs from where `cargo xtask peers` has unpacked it, under the account that Debian's build insists on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::certs::Leaf;
use crate::process::Process;
use crate::{place, wait};

/// Runs it and owns what it writes.
const ACCOUNT: &str = "Debian-exim";

/// What an Exim shall be, before it is started.
#[derive(Debug)]
pub struct Setup {
    address: SocketAddr,
    settings: Vec<(String, String)>,
    /// Its files must live as long as Exim does, which opens them for every session.
    leaf: Option<Leaf>,
    authenticators: String,
}

impl Setup {
    /// Listen here instead of on a free port (a next hop found by MX needs port 25: `127.0.0.7:25`).
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// The name in its greeting, EHLO and Received lines.
    pub fn hostname(self, name: &str) -> Self {
        self.set("primary_hostname", name)
    }

    /// Take mail for these domains only.
    pub fn mailboxes_for(self, domains: &[&str]) -> Self {
        self.set("domainlist mailboxes", &domains.join(" : "))
    }

    /// Offer STARTTLS with this certificate.
    pub fn offer_tls(mut self, leaf: &Leaf) -> Self {
        self.leaf = Some(leaf.clone());
        let (cert, key) = (leaf.cert_file().display().to_string(), leaf.key_file().display().to_string());
        self.set("tls_advertise_hosts", "*").set("tls_certificate", &cert).set("tls_privatekey", &key)
    }

    /// Take mail inside TLS alone, after a login by this mechanism (`PLAIN`, `LOGIN`) as this user with this password.
    pub fn require_login(mut self, mechanism: &str, user: &str, password: &str) -> Self {
        let (prompts, name, secret) = match mechanism {
            "PLAIN" => (":", "$auth2", "$auth3"),
            _ => ("Username:: : Password::", "$auth1", "$auth2"),
        };
        self.authenticators = format!(
            "begin authenticators\nlogin:\n  driver = plaintext\n  public_name = {mechanism}\n  server_prompts = {prompts}\n  \
             server_condition = ${{if and {{{{eq{{{name}}}{{{user}}}}}{{eq{{{secret}}}{{{password}}}}}}}}}\n  \
             server_set_id = {name}\n"
        );
        self.set("auth_advertise_hosts", "${if eq{$tls_in_cipher}{}{}{*}}")
    }

    /// Any other main option; the last of a name counts. Versions and ciphers are `tls_require_ciphers`, in GnuTLS's words:
    /// `NORMAL:-VERS-ALL:+VERS-TLS1.2`.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(other, _)| other != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it greets.
    #[track_caller]
    pub fn start(self) -> Exim {
        place::require_root();
        let folder = place::folder();
        let config = self.write_to(folder.path());
        let mut exim = Command::new(program());
        // -bdf: a daemon in the foreground, so that it is our child to wait for.
        exim.arg("-C").arg(&config).arg("-bdf");
        let mut process = Process::start("Exim", &mut exim, &folder.path().join("log/mainlog"));
        process.ready_when("a greeting", || place::greeting(self.address));
        Exim { address: self.address, process, _leaf: self.leaf, folder }
    }

    /// The configuration, and every folder that Exim writes to.
    fn write_to(&self, folder: &Path) -> PathBuf {
        let owner = place::account(ACCOUNT);
        for part in ["spool", "log", "mail"] {
            place::make_folder(&folder.join(part), owner, 0o755);
        }
        // What it says before it knows its log goes there too.
        let log = folder.join("log/mainlog");
        place::write(&log, "");
        std::os::unix::fs::chown(&log, Some(owner.0), Some(owner.1)).expect("root gives away a file of its own");

        let at = folder.display();
        let mut config = format!(
            "local_interfaces = {}\ndaemon_smtp_ports = {}\nspool_directory = {at}/spool\nlog_file_path = {at}/log/%slog\n\
             pid_file_path = {at}/exim.pid\nexim_path = {}\n",
            self.address.ip(),
            self.address.port(),
            program().display(),
        );
        for (name, value) in &self.settings {
            config.push_str(&format!("{name} = {value}\n"));
        }
        let behaviour = BEHAVIOUR.replace("FOLDER", &at.to_string());
        match self.authenticators.as_str() {
            "" => config.push_str(&behaviour),
            authenticators => {
                config.push_str(&behaviour.replace("rcpt:\n", "rcpt:\n  deny !authenticated = *\n"));
                config.push_str(authenticators);
            }
        }
        let file = folder.join("exim.conf");
        place::write(&file, config);
        file
    }
}

/// A running Exim; stops on drop.
#[derive(Debug)]
pub struct Exim {
    address: SocketAddr,
    // The order matters: the process ends before its folder goes.
    process: Process,
    _leaf: Option<Leaf>,
    folder: TempDir,
}

impl Exim {
    /// A next hop that takes mail for every domain and keeps it, each message once for each recipient.
    pub fn next_hop() -> Setup {
        let settings = COMMON.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Setup { address: place::free_address(), settings, leaf: None, authenticators: String::new() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// What has been delivered to its mailbox, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        let Ok(files) = std::fs::read_dir(self.folder.path().join("mail/new")) else { return Vec::new() };
        let files = files.filter_map(|file| Some(file.ok()?.path()));
        let read = files.filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, std::fs::read(&file).ok()?)));
        let mut read: Vec<_> = read.collect();
        read.sort();
        read.into_iter().map(|(_, octets)| Message { octets }).collect()
    }

    /// Waits for the first delivered message that contains `words`.
    #[track_caller]
    pub fn wait_for(&self, words: &str) -> Message {
        wait::until(wait::PATIENCE, &format!("a message with `{words}` in Exim's mailbox"), || {
            self.messages().into_iter().find(|message| message.text().contains(words))
        })
    }
}

/// One message in the Maildir, its lines ending in LF, with what Exim put on top.
#[derive(Clone, Debug)]
pub struct Message {
    /// The whole message.
    pub octets: Vec<u8>,
}

impl Message {
    /// Its octets for reading.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.octets).into_owned()
    }

    /// The envelope's sender, without angle brackets; empty for a report.
    pub fn sender(&self) -> String {
        self.header("Return-path").trim_matches(['<', '>']).to_owned()
    }

    /// The envelope's recipient.
    pub fn recipient(&self) -> String {
        self.header("Envelope-to")
    }

    /// What Exim says of how it came: `from ... with esmtps (TLS1.3) tls CIPHER ...`; `with esmtp` in clear.
    pub fn received(&self) -> String {
        self.header("Received")
    }

    /// The first header field of this name as one line with single spaces, empty if there is none.
    pub fn header(&self, name: &str) -> String {
        let text = self.text();
        let header = text.split_once("\n\n").map_or(text.as_str(), |(header, _)| header);
        let unfolded = header.replace("\n\t", " ").replace("\n ", " ");
        let fields = unfolded.lines().filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        values.next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// # Panics
/// When it is not there, saying how to get it.
fn program() -> PathBuf {
    let program = place::target().join("peers/exim/usr/sbin/exim4");
    assert!(program.is_file(), "Exim is not unpacked, and no test is skipped: run `cargo xtask peers`");
    program
}

/// Main options of every Exim of ours, unless set otherwise: no DNS, nothing waits for a queue runner, which there is not.
const COMMON: &[(&str, &str)] = &[
    ("primary_hostname", "mx.exim.test"),
    ("domainlist mailboxes", "*"),
    ("tls_advertise_hosts", ""),
    ("disable_ipv6", "true"),
    ("host_lookup", ""),
    ("dkim_verify_signers", ""),
    ("keep_environment", ""),
    ("smtp_accept_max", "0"),
    ("smtp_accept_queue_per_connection", "0"),
    ("deliver_drop_privilege", "true"), // it neither can nor need be another
];

/// What is refused, and where the rest goes.
const BEHAVIOUR: &str = "\
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  accept domains = +mailboxes
  deny message = relay not permitted
begin routers
keep:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  directory = FOLDER/mail
  maildir_format
  return_path_add
  envelope_to_add
";
