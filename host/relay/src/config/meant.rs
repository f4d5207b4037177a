//! The configuration as meant: defaults filled in, names resolved, contradictions gone. The relay reads only this.
//!
//! Nothing here was read from a file it names: certificates, roots and components are opened by who uses them, and
//! beforehand by `super::check`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::plan::{RouteProblem, RouteTable};
use sealwire_core::schedule::Schedule;
use sealwire_core::tlsrpt::{Destination, Submitter};
use sealwire_core::units::Units;
use serde::Serialize;

use super::api::ApiListener;
use super::login::Login;
use super::problem::Problem;
use super::routes::Routes;
use crate::dns::Dns;
use crate::tls::Roots;
use sealwire_core::network::Network;

/// Everything that is read at start and on reload.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name this relay gives itself in greeting, EHLO, Received and reports.
    pub hostname: Domain,
    /// Holds the store; made at start if absent.
    pub data_directory: PathBuf,
    /// The Unix socket the commands speak to; its folder is made with mode 0700.
    pub admin_socket: PathBuf,
    /// The HTTP API on a TCP socket; None: there is none.
    pub api: Option<ApiListener>,
    /// Clients in these may send to any domain.
    pub trusted_networks: Vec<Network>,
    /// Anyone may send to these.
    pub hosted_domains: BTreeSet<Domain>,
    /// At least one.
    pub listeners: Vec<Listener>,
    /// Bounds on what peers may ask for.
    pub limits: Limits,
    /// By which way a recipient's mail goes.
    pub routes: RouteTable,
    /// Roots that next hops' certificates must lead to.
    pub roots: Roots,
    /// Revocation lists that they are judged by.
    pub crl: Option<PathBuf>,
    /// What connections of the routes of these names need besides.
    pub route_channels: BTreeMap<String, RouteChannel>,
    /// Who is asked for names, and what is made of DNSSEC.
    pub dns: Dns,
    /// What is made of MTA-STS.
    pub mta_sts: MtaSts,
    /// How TLS reports are sent (RFC 8460); None: nothing is counted, and none is.
    pub tls_reports: Option<TlsReports>,
    /// Mailboxes where reports of others about domains of ours are read.
    pub tls_reports_at: BTreeSet<Mailbox>,
    /// The chain, at least one.
    pub policies: Vec<Policy>,
    /// Where alerts go.
    pub alerts: AlertsTo,
    /// Whose TLS is looked at ahead of mail.
    pub probes: ProbesOf,
    /// How long records are kept.
    pub keep: Keep,
    /// When to try again and when to give up.
    pub schedule: Schedule,
    /// Least level written to the log.
    pub log_level: LogLevel,
    /// Where what files are named for was written, by a key in words.
    pub(super) places: BTreeMap<String, Problem>,
}

/// Where alerts go, besides log, ledger, `status` and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertsTo {
    /// Mailboxes and webhooks.
    pub to: Vec<Destination>,
    /// The same alert goes out once in so long.
    pub repeat_after_secs: u64,
    /// What is refused at the door because of a list is an alert too.
    pub refusals: bool,
}

/// Whose TLS is looked at ahead of mail, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbesOf {
    /// Names of lists in the settings.
    pub lists: Vec<String>,
    /// From one probe of a domain to the next.
    pub every_secs: u64,
}

/// How long records are kept, in seconds; None: forever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Those of the ledger.
    pub ledger_secs: Option<u64>,
    /// Entries of the audit log.
    pub audit_secs: Option<u64>,
}

impl Config {
    /// A problem with a file the configuration names, where it names it. `key` is such as `tls.roots`, `tls.crl`,
    /// `api.certificate`, `route NAME: crl`, `tls-reports.dkim-key`, `listener NAME: certificate`, `route NAME: roots`,
    /// `route NAME: auth-password-file`,
    /// `route NAME: client-certificate`, `policy NAME: component`.
    pub fn problem(&self, key: &str, text: impl Into<String>) -> Problem {
        match self.places.get(key) {
            Some(place) => Problem { text: text.into(), ..place.clone() },
            None => Problem::new(key, text),
        }
    }
}

impl Config {
    /// The same with what the settings add: who is ours, and ways out.
    pub(crate) fn with(&self, units: &Units, added: &Routes) -> Result<Config, Vec<RouteProblem>> {
        // An explicit default has a channel of its own; the implicit one gives way.
        let default = added.default.as_deref();
        let two = default.filter(|_| self.route_channels.contains_key(self.routes.default_name()));
        let mut problems: Vec<RouteProblem> =
            two.map(|name| RouteProblem::SecondDefault(name.to_owned())).into_iter().collect();
        match self.routes.with(added.routes.clone(), added.rules.clone(), default) {
            Ok(routes) if problems.is_empty() => {
                let channels = added.channels.iter().map(|(name, channel)| (name.clone(), channel.clone()));
                Ok(Config {
                    routes,
                    route_channels: self.route_channels.clone().into_iter().chain(channels).collect(),
                    trusted_networks: units.networks().iter().map(|(network, _)| *network).collect(),
                    hosted_domains: units.domains().keys().cloned().collect(),
                    ..self.clone()
                })
            }
            Ok(_) => Err(problems),
            Err(found) => {
                problems.extend(found);
                Err(problems)
            }
        }
    }
}

/// What a route's connections need beside its demands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteChannel {
    /// Instead of [`Config::roots`].
    pub roots: Option<Roots>,
    /// Besides [`Config::crl`].
    pub crl: Option<PathBuf>,
    /// Who the relay is there.
    pub login: Option<Login>,
    /// What it presents to hosts that ask for a certificate.
    pub client_certificate: Option<CertificateFiles>,
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Listener {
    /// Policies and the ledger call it so.
    pub name: String,
    /// Port 0: the system chooses.
    pub address: SocketAddr,
    /// None: STARTTLS is not offered.
    pub certificate: Option<CertificateFiles>,
}

/// A certificate chain and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CertificateFiles {
    /// The chain, end-entity first.
    pub certificate: PathBuf,
    /// PKCS#8, SEC1 or PKCS#1.
    pub key: PathBuf,
}

/// Bounds on what peers may ask for; each has a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Limits {
    /// Octets of one message, announced as SIZE (RFC 1870).
    pub message_size: u64,
    /// Of one transaction (RFC 5321 §4.5.3.1.8 asks for 100 at least).
    pub recipients: u32,
    /// Open sessions of all listeners.
    pub connections: u32,
    /// Open sessions from one address that is not trusted.
    pub connections_per_address: u32,
    /// Seconds a client may be silent (RFC 5321 §4.5.3.2.7 asks for 300 at least).
    pub idle_secs: u64,
    /// Sessions to next hops at the same time.
    pub deliveries: u32,
    /// Sessions to one destination, and messages under way to it, at the same time.
    pub deliveries_per_destination: u32,
    /// Octets that must be free where the data directory is; below it mail is deferred at the door, so that what is
    /// queued can still leave.
    pub free_space: u64,
}

/// What is made of the policies that domains publish by MTA-STS (RFC 8461).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MtaSts {
    /// They join the floor of mail to these domains.
    pub enabled: bool,
    /// Where policies are fetched.
    pub port: u16,
}

/// How domains are told of the TLS that mail to them found (RFC 8460).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsReports {
    /// Who reports.
    pub submitter: Submitter,
    /// What reports by mail need; None: they go by HTTPS alone.
    pub mail: Option<ReportsByMail>,
}

/// From whom reports by mail are, and how they are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportsByMail {
    /// Of the header.
    pub from: Mailbox,
    /// Of the signature; that of `from`, or one above it.
    pub dkim_domain: Domain,
    /// Its public half stands at `SELECTOR._domainkey.DOMAIN`.
    pub dkim_selector: String,
    /// PEM, RSA or Ed25519.
    pub dkim_key: PathBuf,
}

/// One policy of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// Settings, replies and the ledger call it so.
    pub name: String,
    /// What is run.
    pub component: Component,
    /// How much time it may take.
    pub profile: Profile,
}

/// Where a policy's component comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// Part of the program, by name.
    Builtin(String),
    /// A file.
    File(PathBuf),
}

/// The limits a component runs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Compiled languages: Rust, C.
    Native,
    /// Languages that bring their interpreter: JavaScript, Python.
    Scripted,
}

/// Least level written to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Only what an operator must act on.
    Error,
    /// And what may become so.
    Warn,
    /// And one line for each message and attempt.
    Info,
    /// And each step.
    Debug,
    /// And each line on the wire.
    Trace,
}

impl LogLevel {
    /// As written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}
