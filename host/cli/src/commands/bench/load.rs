//! `bench-load`: sends messages as fast as they are taken, and says how fast that was.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use serde::Serialize;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::letter::Letter;
use super::sender::{Plan, Seen, run};
use crate::commands::trust::client_config;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Args)]
#[command(after_help = "\
Put it in front of the server and bench-sink behind it. Messages are numbered from 0 (or
--first) and carry a checksum; one that is not accepted is sent again until it is. Every
connection makes a full handshake. Exit status 1 if not every message was accepted.

Examples:
  sealwire bench-load 127.0.0.1:2525 --messages 5000
  sealwire bench-load 127.0.0.1:2525 --starttls mail.example.com --roots ca.pem --sessions 50
  sealwire bench-load 127.0.0.1:2525 --sessions 1000 --hold 10    opens sessions, sends nothing")]
pub(crate) struct Load {
    /// The server's address
    address: SocketAddr,
    /// How many sessions at once
    #[arg(long, default_value_t = 20)]
    sessions: usize,
    /// How many messages in all
    #[arg(long, default_value_t = 1000)]
    messages: u64,
    /// The number of the first message
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many messages go over one connection
    #[arg(long, default_value_t = 20)]
    per_connection: u64,
    /// Size of a message in octets
    #[arg(long, default_value_t = 4096)]
    size: usize,
    /// Use STARTTLS; the certificate must be for this name
    #[arg(long, value_name = "NAME", requires = "roots")]
    starttls: Option<String>,
    /// A PEM file with the authorities that the certificate must lead to
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// The sender, in envelope and header
    #[arg(long, default_value = "sender@bench.test")]
    from: String,
    /// The domain of the recipients
    #[arg(long, default_value = "bench.test")]
    domain: String,
    /// Spread the recipients over so many domains: 0.DOMAIN, 1.DOMAIN and so on
    #[arg(long)]
    domains: Option<u64>,
    /// Wait so many milliseconds after each message
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pause: u64,
    /// Open all sessions, send nothing, close them so many seconds after the last is open; 0: each at once
    #[arg(long, value_name = "SECONDS")]
    hold: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Report {
    accepted: u64,
    /// Of connections and messages; what failed was tried again.
    failures: u64,
    /// The first failure in the server's words.
    trouble: Option<String>,
    connections: usize,
    /// Milliseconds since 1970.
    started_at_ms: u64,
    seconds: f64,
    per_second: f64,
    /// From MAIL to the reply to the message.
    message_ms: Spread,
    /// From the first packet to the reply to EHLO.
    connect_ms: Spread,
}

#[derive(Serialize)]
struct Spread {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Load {
    pub(crate) async fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        let plan = Arc::new(self.plan()?);
        let started_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started = Instant::now();
        let mut sessions = JoinSet::new();
        for _ in 0..self.sessions {
            sessions.spawn(run(Arc::clone(&plan)));
        }
        let mut all = Seen::default();
        while let Some(ended) = sessions.join_next().await {
            all.join(ended.map_err(|error| Failure::Text(format!("a session died: {error}")))?);
        }
        let seconds = started.elapsed().as_secs_f64();
        let accepted = all.messages.len() as u64;
        let report = Report {
            accepted,
            failures: all.failures,
            trouble: all.trouble,
            connections: all.connects.len(),
            started_at_ms: u64::try_from(started_at.as_millis()).unwrap_or(0),
            seconds,
            per_second: accepted as f64 / seconds,
            message_ms: Spread::of(all.messages),
            connect_ms: Spread::of(all.connects),
        };
        output.either(&report, |report| tell(report, output));
        Ok(if all.gave_up { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn plan(&self) -> Result<Plan, Failure> {
        let tls = match (&self.starttls, &self.roots) {
            (Some(name), Some(roots)) => {
                let mut config = client_config(roots).map_err(|error| error.to_string())?;
                config.resumption = Resumption::disabled();
                let name = ServerName::try_from(name.clone()).map_err(|error| format!("{name}: {error}"))?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
            _ => None,
        };
        let to = format!("recipient@{}", self.domain);
        let recipients = match self.domains {
            None => vec![to.clone()],
            Some(domains) => (0..domains.max(1)).map(|n| format!("recipient@{n}.{}", self.domain)).collect(),
        };
        let envelope = |to: &String| format!("MAIL FROM:<{}>\r\nRCPT TO:<{to}>\r\nDATA\r\n", self.from).into_bytes();
        Ok(Plan {
            address: self.address,
            tls,
            per_connection: self.per_connection.max(1),
            letter: Letter::new(&self.from, &to, self.size),
            envelopes: recipients.iter().map(envelope).collect(),
            next: AtomicU64::new(self.first),
            end: self.first + self.messages,
            pause: Duration::from_millis(self.pause),
            hold: self.hold.map(Duration::from_secs),
            all_open: Barrier::new(self.sessions.max(1)),
        })
    }
}

impl Seen {
    fn join(&mut self, other: Seen) {
        self.messages.extend(other.messages);
        self.connects.extend(other.connects);
        self.failures += other.failures;
        self.trouble = self.trouble.take().or(other.trouble);
        self.gave_up |= other.gave_up;
    }
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Spread {
        times.sort_unstable();
        let at = |share: usize| times.get((times.len().saturating_sub(1)) * share / 100);
        let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
        Spread { p50: ms(at(50)), p99: ms(at(99)), max: ms(times.last()) }
    }
}

fn tell(report: &Report, output: &Output) {
    let spread = |s: &Spread| format!("p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms", s.p50, s.p99, s.max);
    output.pairs(&[
        ("accepted", format!("{} in {:.2} s, {:.0} a second", report.accepted, report.seconds, report.per_second)),
        ("messages", spread(&report.message_ms)),
        ("connects", format!("{}, {}", report.connections, spread(&report.connect_ms))),
        (
            "failures",
            report.trouble.as_ref().map_or("none".to_owned(), |t| format!("{}, the first: {t}", report.failures)),
        ),
    ]);
}
