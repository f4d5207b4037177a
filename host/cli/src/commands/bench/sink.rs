//! `bench-sink`: takes every message and says what came.
//!
//! Core's server machine on real sockets, in clear or with STARTTLS. Messages are counted and thrown away.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use sealwire_core::address::Domain;
use sealwire_core::reply::Reply;
use sealwire_core::smtp::server::{ClientIdentity, Disposition, Hosted, Limits, Server, ServerConfig, Step};
use sealwire_relay::tls::acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use super::letter::{Checksum, Claim};
use super::tally::{Account, Tally};
use crate::failure::Failure;
use crate::output::Output;

/// Octets read at a time.
const READ_OCTETS: usize = 64 * 1024;

#[derive(Args)]
#[command(after_help = "\
Takes everything and keeps nothing. SIGTERM or Ctrl-C ends it and prints the account: how many
messages came, and how many of those that bench-load sent are lost, doubled, damaged or came in
clear. Exit status 1 if any is; in clear counts where a certificate was given.

Examples:
  sealwire bench-sink --expect 5000
  sealwire bench-sink --certificate sink.pem --key sink.key --status 127.0.0.1:2600 --json
  sealwire bench-sink --final-delay 2000     a next hop that is slow to say 250")]
pub(crate) struct Sink {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:2600")]
    listen: SocketAddr,
    /// PEM file with a certificate chain: STARTTLS is offered
    #[arg(long, requires = "key", value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// PEM file with its private key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// How many messages were sent [default: as the highest number says]
    #[arg(long, value_name = "MESSAGES")]
    expect: Option<u64>,
    /// Whoever connects here is given the account so far, as JSON
    #[arg(long, value_name = "ADDRESS")]
    status: Option<SocketAddr>,
    /// Wait so many milliseconds before whatever is said
    #[arg(long, default_value_t = 0, value_name = "MS")]
    delay: u64,
    /// Wait so many milliseconds before the 250 to a message
    #[arg(long, default_value_t = 0, value_name = "MS")]
    final_delay: u64,
}

/// What every connection needs.
struct Shared {
    config: Arc<ServerConfig>,
    acceptor: Option<TlsAcceptor>,
    tally: Mutex<Tally>,
    expected: Option<u64>,
    delay: Duration,
    final_delay: Duration,
}

impl Sink {
    pub(crate) async fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        let cannot = |what: String| move |error: io::Error| Failure::Text(format!("{what}: {error}"));
        let shared = Arc::new(self.shared()?);
        let listener = TcpListener::bind(self.listen).await.map_err(cannot(format!("listen on {}", self.listen)))?;
        if let Some(address) = self.status {
            let status = TcpListener::bind(address).await.map_err(cannot(format!("listen on {address}")))?;
            tokio::spawn(answer(status, Arc::clone(&shared)));
        }
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            return Err(Failure::Text("signals cannot be received".to_owned()));
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let account = shared.account();
        output.either(&account, |account| tell(account, output));
        Ok(if account.is_clean(shared.acceptor.is_some()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn shared(&self) -> Result<Shared, Failure> {
        let files = self.certificate.as_ref().zip(self.key.as_ref());
        let acceptor = files.map(|(certificate, key)| acceptor(certificate, key)).transpose();
        let acceptor = acceptor.map_err(|error| error.to_string())?;
        let limits = Limits { message_size_max: u64::MAX / 4, transactions_max: usize::MAX, ..Limits::default() };
        let hostname = Domain::parse("sink.bench.test").map_err(|error| error.to_string())?;
        let config = ServerConfig { hostname, hosted: Hosted::default(), tls_available: acceptor.is_some(), limits };
        Ok(Shared {
            config: Arc::new(config),
            acceptor,
            tally: Mutex::default(),
            expected: self.expect,
            delay: Duration::from_millis(self.delay),
            final_delay: Duration::from_millis(self.final_delay),
        })
    }
}

impl Shared {
    fn account(&self) -> Account {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).account(self.expected)
    }

    fn count(&self, claim: Option<&Claim>, body: Checksum, over_tls: bool) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).count(claim, body, over_tls);
    }
}

async fn answer(status: TcpListener, shared: Arc<Shared>) {
    while let Ok((mut stream, _)) = status.accept().await {
        let account = serde_json::to_string(&shared.account()).unwrap_or_default();
        let _ = stream.write_all(account.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // Whoever finds it may send to anyone: everything ends here.
                    let client = ClientIdentity { address: peer.ip(), trusted: true };
                    // How a connection ends is its peer's affair; what came is counted already.
                    let _ = session(Server::new(Arc::clone(&shared.config), client), stream, &shared).await;
                });
            }
            // Out of file descriptors, most likely: others must close first.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn session(mut server: Server, mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    server.greet();
    let wants_tls = converse(&mut server, &mut stream, shared, false).await?;
    let Some(acceptor) = shared.acceptor.as_ref().filter(|_| wants_tls) else { return Ok(()) };
    let mut stream = acceptor.accept(stream).await?;
    server.tls_established();
    converse(&mut server, &mut stream, shared, true).await?;
    stream.shutdown().await
}

/// Speaks until the end (false) or until TLS shall begin (true).
async fn converse(
    server: &mut Server,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    shared: &Shared,
    over_tls: bool,
) -> io::Result<bool> {
    let (mut claim, mut body) = (None, Checksum::default());
    let mut buffer = vec![0; READ_OCTETS];
    loop {
        let step = server.poll();
        let output = std::mem::take(server.output());
        if !output.is_empty() {
            pause(shared.delay).await;
            stream.write_all(&output).await?;
            stream.flush().await?;
        }
        match step {
            Step::NeedInput => match stream.read(&mut buffer).await? {
                0 => return Ok(false),
                octets => server.input(&buffer[..octets]),
            },
            Step::Flush | Step::Refused(_) | Step::GivenUp => {}
            Step::StartTls => return Ok(true),
            Step::Header(header) => {
                (claim, body) = (Claim::read(&header.header), Checksum::default());
                server.header_judged(Disposition::Keep);
            }
            Step::Content(octets) => body.add(&octets),
            Step::EndOfData { .. } => {
                shared.count(claim.as_ref(), body, over_tls);
                pause(shared.final_delay).await;
                server.content_stored(Reply::new(250, (2, 0), "Counted"));
            }
            Step::Close => return Ok(false),
        }
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn tell(account: &Account, output: &Output) {
    output.pairs(&[
        ("came", format!("{}, {} over TLS, {} in clear", account.messages, account.over_tls, account.in_clear)),
        ("whole", account.distinct.to_string()),
        ("lost", account.lost.to_string()),
        ("doubled", account.doubled.to_string()),
        ("damaged", account.damaged.to_string()),
        ("strange", account.strange.to_string()),
    ]);
}
