//! A mail server to deliver to: takes everything, keeps it as a file, and remembers whether it came over TLS.
//!
//! Core's server machine on real sockets with real TLS. It never sends anything on.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sealwire_core::address::{Domain, Mailbox};
use sealwire_core::reply::Reply;
use sealwire_core::smtp::server::{ClientIdentity, Disposition, Hosted, Limits, Server, ServerConfig, Step};
use sealwire_relay::tls::acceptor;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::certificates::CertificateFiles;

/// A running one.
pub(super) struct NextHop {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

/// A message as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) recipients: Vec<Mailbox>,
    /// It came over TLS.
    pub(super) secured: bool,
    /// Header and body.
    pub(super) text: String,
}

impl NextHop {
    /// Listens on loopback; with a certificate it offers STARTTLS. Messages are kept in the folder.
    pub(super) async fn start(
        name: &'static str,
        certificate: Option<&CertificateFiles>,
        folder: &Path,
    ) -> io::Result<NextHop> {
        let acceptor = certificate.map(|files| acceptor(&files.certificate, &files.key)).transpose();
        let acceptor = acceptor.map_err(io::Error::other)?;
        let config = ServerConfig {
            hostname: Domain::parse(name).map_err(io::Error::other)?,
            hosted: Hosted::default(),
            tls_available: acceptor.is_some(),
            limits: Limits::default(),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let hop = NextHop { name, address: listener.local_addr()?, received: Arc::default() };
        let mailbox = Mailbag { name, folder: folder.to_owned(), received: Arc::clone(&hop.received) };
        let shared = Arc::new((Arc::new(config), acceptor, mailbox));
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let (config, acceptor, mailbag) = &*shared;
                    // All its clients are on loopback and may send to anyone.
                    let client = ClientIdentity { address: peer.ip(), trusted: true };
                    let _ = session(Server::new(Arc::clone(config), client), stream, acceptor, mailbag).await;
                });
            }
        });
        Ok(hop)
    }

    /// What it got so far.
    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().map(|received| received.clone()).unwrap_or_default()
    }
}

/// Where a next hop puts what it is given.
struct Mailbag {
    name: &'static str,
    folder: PathBuf,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Mailbag {
    fn put(&self, message: Received) -> io::Result<()> {
        let mut received = self.received.lock().map_err(|_| io::Error::other("a session died while it kept mail"))?;
        let number = received.len() + 1;
        fs::write(self.folder.join(format!("{}-{number}.eml", self.name)), &message.text)?;
        received.push(message);
        Ok(())
    }
}

async fn session(
    mut server: Server,
    mut stream: TcpStream,
    acceptor: &Option<TlsAcceptor>,
    mailbag: &Mailbag,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    server.greet();
    let wants_tls = converse(&mut server, &mut stream, mailbag).await?;
    let Some(acceptor) = acceptor.as_ref().filter(|_| wants_tls) else { return Ok(()) };
    let mut stream = acceptor.accept(stream).await?;
    server.tls_established();
    converse(&mut server, &mut stream, mailbag).await?;
    stream.shutdown().await
}

/// Speaks until the end (false) or until TLS shall begin (true).
async fn converse(
    server: &mut Server,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    mailbag: &Mailbag,
) -> io::Result<bool> {
    let mut message = Received { recipients: Vec::new(), secured: false, text: String::new() };
    let mut buffer = [0; 4096];
    loop {
        let step = server.poll();
        let output = std::mem::take(server.output());
        stream.write_all(&output).await?;
        stream.flush().await?;
        match step {
            Step::NeedInput => match stream.read(&mut buffer).await? {
                0 => return Ok(false),
                octets => server.input(&buffer[..octets]),
            },
            Step::Flush | Step::Refused(_) | Step::GivenUp => {}
            Step::StartTls => return Ok(true),
            Step::Header(header) => {
                let text = format!("{}\r\n", String::from_utf8_lossy(&header.header));
                message = Received { recipients: header.envelope.recipients, secured: header.secured, text };
                server.header_judged(Disposition::Keep);
            }
            Step::Content(octets) => message.text.push_str(&String::from_utf8_lossy(&octets)),
            Step::EndOfData { .. } => {
                let kept = mailbag.put(message.clone());
                server.content_stored(match kept {
                    Ok(()) => Reply::new(250, (0, 0), "Received by the demo"),
                    Err(_) => Reply::new(451, (3, 0), "The demo cannot keep mail in its folder"),
                });
            }
            Step::Close => return Ok(false),
        }
    }
}
