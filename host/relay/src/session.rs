//! One inbound connection: the server machine of core on a socket, from greeting to close.
//!
//! The machine knows SMTP, [`crate::spine::admit`] knows what to do with a message; this file only carries octets
//! between them, starts TLS when told to, and keeps the clock.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sealwire_core::facts::{ChannelFacts, ChannelState, ClientFacts};
use sealwire_core::reply::Reply;
use sealwire_core::smtp::server::{ClientIdentity, Disposition, HeaderReady, Server, ServerConfig, Step};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::relay::Relay;
use crate::socket::Socket;
use crate::spine::{Admission, admit};
use crate::stream::Stream;
use crate::tls::server_side;

/// Time for a client's handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(60);

/// What a session needs to know of its listener and client.
pub(crate) struct SessionParts {
    pub(crate) relay: Arc<Relay>,
    pub(crate) listener: String,
    pub(crate) acceptor: Option<TlsAcceptor>,
    pub(crate) peer: SocketAddr,
    pub(crate) idle: Duration,
    /// Becomes true when the relay stops.
    pub(crate) stopping: watch::Receiver<bool>,
}

struct Session {
    parts: SessionParts,
    server: Server,
    /// What the server goes by.
    config: Arc<ServerConfig>,
    stream: Stream,
    channel: ChannelFacts,
    admission: Option<Admission>,
}

/// Serves one connection to its end.
pub(crate) async fn serve(parts: SessionParts, stream: Socket) {
    let (config, client) = parts.live();
    let mut server = Server::new(Arc::clone(&config), client);
    server.greet();
    let peer = parts.peer;
    let channel = ChannelFacts { state: ChannelState::NotOffered, detail: String::new(), handshake: None };
    let mut session = Session { parts, server, config, stream: Stream::Clear(stream), channel, admission: None };
    if let Err(error) = session.run().await {
        tracing::debug!(%peer, %error, "session ended early");
    }
    session.stream.close().await;
}

impl SessionParts {
    /// What is live for this client.
    fn live(&self) -> (Arc<ServerConfig>, ClientIdentity) {
        let live = self.relay.live();
        let address = self.peer.ip();
        let trusted = live.scopes.units().of_client(address).is_some();
        (Arc::clone(live.servers.of_session(self.acceptor.is_some())), ClientIdentity { address, trusted })
    }
}

impl Session {
    async fn run(&mut self) -> io::Result<()> {
        loop {
            self.renew();
            match self.server.poll() {
                Step::NeedInput => self.read().await?,
                Step::Flush => self.flush().await?,
                Step::StartTls => self.start_tls().await?,
                Step::GivenUp => {
                    if let Some(admission) = self.admission.take() {
                        admission.give_up();
                    }
                }
                Step::Header(header) => {
                    self.flush().await?;
                    let disposition = self.judge(*header).await;
                    self.server.header_judged(disposition);
                }
                Step::Content(octets) => {
                    if let Some(admission) = &mut self.admission {
                        admission.write(octets).await;
                    }
                }
                Step::EndOfData { size, eight_bit } => {
                    let reply = match self.admission.take() {
                        Some(admission) => admission.finish(size, eight_bit).await,
                        // The machine asks only for what was admitted; a mistake there must not leave a client waiting.
                        None => Reply::new(451, (3, 0), "The message was not admitted; try again later"),
                    };
                    self.server.content_stored(reply);
                }
                Step::Refused(reply) => {
                    if let Some(admission) = self.admission.take() {
                        admission.turn_away(reply);
                    }
                }
                Step::Close => return self.flush().await,
            }
        }
    }

    /// The next transaction goes by what is live when it begins, however long the session has been open.
    fn renew(&mut self) {
        let live = self.parts.relay.live();
        if !self.server.in_transaction()
            && !Arc::ptr_eq(live.servers.of_session(self.parts.acceptor.is_some()), &self.config)
        {
            let (config, client) = self.parts.live();
            self.config = Arc::clone(&config);
            self.server.renew(config, client);
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        self.flush().await?;
        let heard = tokio::select! {
            biased;
            _ = self.parts.stopping.wait_for(|stopping| *stopping), if !self.server.in_transaction() => {
                self.server.on_shutdown();
                return Ok(());
            }
            heard = self.stream.hear(self.parts.idle) => heard,
        };
        match heard {
            Ok(octets) if octets.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(octets) => {
                let heard = &octets[..];
                #[cfg(test)]
                let heard = crate::simulation::planted::heard(heard);
                self.server.input(heard);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.server.on_timeout();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let mut octets = std::mem::take(self.server.output());
        self.stream.write(&mut octets, self.parts.idle).await
    }

    async fn start_tls(&mut self) -> io::Result<()> {
        self.flush().await?;
        let (Some(acceptor), Some(stream)) = (&self.parts.acceptor, self.stream.take_clear()) else {
            return Err(io::Error::other("TLS cannot be started"));
        };
        // A failed handshake ends the connection without a word: nothing more may be said in clear (RFC 3207 §4.1).
        let stream = tokio::time::timeout(HANDSHAKE_TIME, acceptor.accept(stream))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let handshake = server_side(stream.get_ref().1);
        self.channel =
            ChannelFacts { state: ChannelState::Secured, detail: String::new(), handshake: Some(Arc::new(handshake)) };
        self.stream = Stream::Server(Box::new(stream));
        self.server.tls_established();
        #[cfg(test)]
        self.server.input(&crate::simulation::planted::kept());
        Ok(())
    }

    async fn judge(&mut self, header: HeaderReady) -> Disposition {
        let client = ClientFacts {
            // A client behind a dual-stack socket is known by its IPv4 address, as everybody writes it.
            address: self.parts.peer.ip().to_canonical(),
            greeting_name: header.greeting.name.clone(),
            authenticated_as: None,
            listener: self.parts.listener.clone(),
            channel: self.channel.clone(),
        };
        match admit(&self.parts.relay, client, self.server.client().trusted, header).await {
            Ok(admission) => {
                self.admission = Some(admission);
                Disposition::Keep
            }
            Err(reply) => Disposition::Refuse(reply),
        }
    }
}
