//! A real Postfix, as next hop that keeps what it gets, or as sender with a relay behind it. Private configuration,
//! queue, log and mailbox; one loopback address; never the machine's own Postfix.
//!
//! Every address that is local to it ends in one Maildir, read with [`Postfix::messages`]. A next hop takes every
//! domain for its own; a sender only those of [`Setup::mailboxes_for`], into which its own reports (NDRs) come back.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::certs::Leaf;
use crate::place;
use crate::process::Process;
use crate::wait;

/// Mail is written by this account, which owns nothing else.
const MAILBOX_OWNER: &str = "nobody";

/// What a Postfix shall be, before it is started.
#[derive(Debug)]
pub struct Setup {
    address: SocketAddr,
    settings: Vec<(String, String)>,
    /// What its program is run by.
    under: Vec<String>,
    /// Its files must live as long as Postfix does, which opens them with every new process.
    leaf: Option<Leaf>,
}

impl Setup {
    /// Listen here instead of on a free port (a next hop found by MX needs port 25: `127.0.0.7:25`).
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// The name in its greeting, EHLO and Received lines.
    pub fn hostname(self, name: &str) -> Self {
        self.set("myhostname", name)
    }

    /// Offer STARTTLS with this certificate.
    pub fn offer_tls(mut self, leaf: &Leaf) -> Self {
        self.leaf = Some(leaf.clone());
        let (cert, key) = (leaf.cert_file().display().to_string(), leaf.key_file().display().to_string());
        self.set("smtpd_tls_security_level", "may").set("smtpd_tls_cert_file", &cert).set("smtpd_tls_key_file", &key)
    }

    /// The TLS versions it takes part in as a server, in Postfix's words: `>=TLSv1.3`, `<=TLSv1.2`.
    pub fn tls_versions(self, versions: &str) -> Self {
        self.set("smtpd_tls_protocols", versions).set("smtpd_tls_mandatory_protocols", versions)
    }

    /// How it uses TLS as a client: `none`, `may` (the default of a sender here), `encrypt`.
    pub fn client_tls(self, level: &str) -> Self {
        self.set("smtp_tls_security_level", level)
    }

    /// The domains whose mail it keeps; mail for all others goes on.
    pub fn mailboxes_for(self, domains: &[&str]) -> Self {
        self.set("virtual_mailbox_domains", &domains.join(" "))
    }

    /// Any other line of main.cf; the last of a name counts.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(other, _)| other != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Run its program by this one, which ends in it (`strace -D ...`): a bench looks at it so.
    pub fn under(mut self, command: &[String]) -> Self {
        self.under = command.to_vec();
        self
    }

    /// Starts it and waits until it greets.
    pub fn start(self) -> Postfix {
        place::require_root();
        let folder = place::folder();
        let config = self.write_to(folder.path());
        // -d: as built; it is no setting of ours.
        let output = Command::new(place::program("postconf")).args(["-d", "-h", "daemon_directory"]).output();
        let daemons = String::from_utf8(output.expect("postconf can be started").stdout).expect("a path in UTF-8");
        let mut master = place::command_under(&self.under, &Path::new(daemons.trim()).join("master"));
        // -s: stay in the foreground of whoever started it, so that it is our child to wait for.
        master.arg("-c").arg(&config).arg("-s");
        let mut process = Process::start("Postfix", &mut master, &folder.path().join("mail.log"));
        process.ready_when("a greeting", || place::greeting(self.address));
        Postfix { address: self.address, config, process, _leaf: self.leaf, folder }
    }

    /// main.cf, master.cf and every folder. `postfix check` would make the queue's folders too, in half a second.
    fn write_to(&self, folder: &Path) -> PathBuf {
        let (postfix, postdrop) = (place::account("postfix").0, place::group("postdrop"));
        let (uid, gid) = place::account(MAILBOX_OWNER);
        let config = folder.join("config");
        place::make_folder(&config, (0, 0), 0o755);
        place::make_folder(&folder.join("data"), (postfix, 0), 0o700);
        place::make_folder(&folder.join("mail"), (uid, gid), 0o755);
        let queue = folder.join("queue");
        place::make_folder(&queue, (0, 0), 0o755);
        place::make_folder(&queue.join("pid"), (0, 0), 0o755);
        place::make_folder(&queue.join("maildrop"), (postfix, postdrop), 0o730);
        place::make_folder(&queue.join("public"), (postfix, postdrop), 0o710);
        for part in QUEUE_PARTS {
            place::make_folder(&queue.join(part), (postfix, 0), 0o700);
        }

        let at = folder.display();
        // A name that stands twice is a warning in the log of every process.
        let is_set = |line: &&str| self.settings.iter().any(|(name, _)| line.split(" =").next() == Some(name));
        let common: String = MAIN_CF.split_inclusive('\n').filter(|line| !is_set(line)).collect();
        let mut main = format!(
            "{common}queue_directory = {at}/queue\ndata_directory = {at}/data\nvirtual_mailbox_base = {at}/mail\n\
             maillog_file = {at}/mail.log\nmaillog_file_prefixes = {at}\n\
             virtual_uid_maps = static:{uid}\nvirtual_gid_maps = static:{gid}\n\
             inet_interfaces = 127.0.0.1\n",
        );
        for (name, value) in &self.settings {
            main.push_str(&format!("{name} = {value}\n"));
        }
        place::write(&config.join("main.cf"), main);
        place::make_old(&config.join("main.cf"));
        place::write(&config.join("master.cf"), format!("{} inet n - n - - smtpd\n{MASTER_CF}", self.address));
        config
    }
}

/// A running Postfix; stops on drop.
#[derive(Debug)]
pub struct Postfix {
    address: SocketAddr,
    config: PathBuf,
    // The order matters: the process ends before its folder goes.
    process: Process,
    _leaf: Option<Leaf>,
    folder: TempDir,
}

impl Postfix {
    /// A next hop that takes mail for every domain and keeps it.
    pub fn next_hop() -> Setup {
        Setup { address: place::free_address(), settings: Vec::new(), under: Vec::new(), leaf: None }
            .hostname("mx.next-hop.test")
            .set("virtual_mailbox_domains", "static:all")
    }

    /// A sender that hands everything to `relay`, by TLS where offered, and retries within seconds.
    pub fn sender(relay: SocketAddr) -> Setup {
        Setup { address: place::free_address(), settings: Vec::new(), under: Vec::new(), leaf: None }
            .hostname("out.sender.test")
            .mailboxes_for(&["sender.test"])
            .set("relayhost", &format!("[{}]:{}", relay.ip(), relay.port()))
            .client_tls("may")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id of its master; all others are its children.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Hands in a message as a local program would (`sendmail`). `message` is headers, an empty line, text; lines end in LF.
    pub fn submit(&self, from: &str, to: &[&str], message: &str) {
        let mut sendmail = Command::new(place::program("sendmail"));
        sendmail.arg("-C").arg(&self.config).args(["-i", "-f", from, "--"]).args(to);
        let mut child = sendmail.stdin(Stdio::piped()).spawn().expect("sendmail can be started");
        let mut input = child.stdin.take().expect("stdin was asked for");
        input.write_all(message.as_bytes()).expect("sendmail reads its message");
        drop(input);
        assert!(child.wait().expect("a child of our own").success(), "sendmail refused the message:\n{}", self.log());
    }

    /// What has been delivered to its mailbox, oldest first.
    pub fn messages(&self) -> Vec<Delivered> {
        let Ok(files) = std::fs::read_dir(self.folder.path().join("mail/inbox/new")) else { return Vec::new() };
        let files = files.filter_map(|file| Some(file.ok()?.path()));
        let read = files.filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, std::fs::read(&file).ok()?)));
        let mut read: Vec<_> = read.collect();
        read.sort();
        read.into_iter().map(|(_, octets)| Delivered { text: String::from_utf8_lossy(&octets).into_owned() }).collect()
    }

    /// Waits for the first delivered message that contains `words`.
    #[track_caller]
    pub fn wait_for(&self, words: &str) -> Delivered {
        wait::until(wait::PATIENCE, &format!("a message with `{words}` in Postfix's mailbox"), || {
            self.messages().into_iter().find(|message| message.text.contains(words))
        })
    }

    /// Waits until its log contains `words`, and gives the line.
    #[track_caller]
    pub fn wait_for_log(&self, words: &str) -> String {
        wait::until(wait::PATIENCE, &format!("`{words}` in Postfix's log"), || {
            self.log().lines().find(|line| line.contains(words)).map(str::to_owned)
        })
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("mail.log")).unwrap_or_default()).into_owned()
    }

    /// Its queue, one JSON object a line (`postqueue -j`).
    pub fn queue(&self) -> String {
        let output = postfix_tool("postqueue", &self.config).arg("-j").output().expect("postqueue can be started");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// One message in the Maildir, its lines ending in LF, with what Postfix put on top.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The whole message.
    pub text: String,
}

impl Delivered {
    /// The envelope's sender, without angle brackets; empty for a report.
    pub fn sender(&self) -> &str {
        self.header("Return-Path").trim_matches(['<', '>'])
    }

    /// The envelope's recipient.
    pub fn recipient(&self) -> &str {
        self.header("X-Original-To")
    }

    /// The first line of the first header field of this name, empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let fields = self.text.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
        values.next().unwrap_or_default()
    }
}

fn postfix_tool(name: &str, config: &Path) -> Command {
    let mut command = Command::new(place::program(name));
    command.arg("-c").arg(config);
    command
}

/// The queue's folders that are nobody's but Postfix's.
const QUEUE_PARTS: &[&str] =
    &["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"];

/// What every Postfix of ours has in common: loopback, no DNS, no aliases, TLS told in the log and in Received.
const MAIN_CF: &str = "\
compatibility_level = 3.6
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtp_host_lookup = native
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtp_tls_loglevel = 1
virtual_mailbox_maps = static:inbox/
virtual_minimum_uid = 1
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
";

/// The services a small Postfix needs; none in a chroot, so that nothing has to be copied into the queue's folder.
const MASTER_CF: &str = "\
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
tlsproxy unix - - n - 0 tlsproxy
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";
