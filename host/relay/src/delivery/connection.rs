//! One connection to one address of one host: the client machine of core on a socket.
//!
//! 1. [`open`] connects, hears the greeting, says EHLO, and starts TLS where it is offered and wanted.
//! 2. What became of the channel is read off as facts and as a proof.
//! 3. [`Connection::send`] sends one message, for which it needs a permit (H2).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use sealwire_core::address::Domain;
use sealwire_core::auth::{AuthPermit, Credentials};
use sealwire_core::facts::{ChannelFacts, ChannelState};
use sealwire_core::floor::{ConnectionId, Permit, TlsProof};
use sealwire_core::plan::HostName;
use sealwire_core::reply::Reply;
use sealwire_core::smtp::client::{Awaiting, Client, ClientConfig, ClientStep, MessageResult, Misuse, Outgoing};
use sealwire_store::{BodyReader, StoreError};
use tokio::time::Instant;

use crate::lanes::Place;
use crate::socket::Socket;
use crate::stream::Stream;
use crate::tls::{Connector, DaneCheck, client_side};
use crate::world::World;

/// Time for a TCP connection to come about; RFC 5321 names none, and the system's own is minutes.
const CONNECT_TIME: Duration = Duration::from_secs(30);
/// Time for a TLS handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(60);

/// A body on its way out.
pub(crate) struct Body<'a> {
    pub(crate) reader: BodyReader,
    /// Of its attempt.
    pub(crate) place: &'a Place,
}

impl Body<'_> {
    /// The next piece; a large message's lets small ones by.
    async fn next(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, StoreError> {
        self.place.give_way().await;
        self.reader.next().await
    }
}

/// How to open a connection.
pub(crate) struct Opening<'a> {
    pub(crate) world: &'a dyn World,
    pub(crate) id: ConnectionId,
    pub(crate) hello_name: &'a Domain,
    pub(crate) host: &'a HostName,
    pub(crate) address: SocketAddr,
    pub(crate) connector: &'a Connector,
    /// What the host's TLSA records ask.
    pub(crate) dane: Option<&'a DaneCheck>,
    pub(crate) implicit_tls: bool,
    /// No earlier TLS session is resumed: the host has to present its chain of today.
    pub(crate) afresh: bool,
    /// No mail goes without a login.
    pub(crate) must_authenticate: bool,
    /// False only on the new connection after a failed handshake of opportunistic mail.
    pub(crate) want_tls: bool,
}

/// Why a connection cannot be used.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The host did not get as far as answering EHLO: uses nothing up (H9). With its last reply, if it gave one.
    NotAnswered(String, Option<Reply>),
    /// This machine has no way to addresses of this kind (IPv6, most often), today or later.
    NoWay(String),
    /// It answered, STARTTLS went ahead, and the handshake did not; `from` our own address.
    Handshake { state: ChannelState, detail: String, from: Option<IpAddr> },
}

/// An open connection, ready for a message.
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    stream: Stream,
    client: Client,
    pub(crate) channel: ChannelFacts,
    pub(crate) proof: TlsProof,
    pub(crate) address: SocketAddr,
    /// Our own address on it.
    pub(crate) from: Option<IpAddr>,
    /// It is in clear, and took the place of one whose handshake failed.
    pub(crate) anew: bool,
    /// Messages sent so far.
    pub(crate) sent: u32,
    opened: Instant,
}

/// Opens a connection and brings it to the point where a message may be sent.
pub(crate) async fn open(opening: Opening<'_>) -> Result<Connection, OpenError> {
    let stream = connect(opening.world, opening.address).await?;
    let config = ClientConfig {
        hello_name: opening.hello_name.clone(),
        connection: opening.id,
        implicit_tls: opening.implicit_tls,
        must_authenticate: opening.must_authenticate,
    };
    let mut connection = Connection {
        id: opening.id,
        from: stream.local_address(),
        stream: Stream::Clear(stream),
        client: Client::new(config),
        channel: ChannelFacts { state: ChannelState::NotOffered, detail: String::new(), handshake: None },
        proof: TlsProof::of_nothing(opening.id),
        address: opening.address,
        anew: !opening.want_tls,
        sent: 0,
        opened: Instant::now(),
    };
    if opening.implicit_tls {
        connection.handshake(&opening).await?;
    }
    connection.until_ready().await?;
    if opening.implicit_tls {
        connection.note_requiretls();
    }
    if !opening.implicit_tls && opening.want_tls && connection.client.extensions().starttls() {
        connection.start_tls(&opening).await?;
    }
    if let Some(channel) = connection.client.clear_channel() {
        connection.channel = channel;
    }
    Ok(connection)
}

async fn connect(world: &dyn World, address: SocketAddr) -> Result<Socket, OpenError> {
    match tokio::time::timeout(CONNECT_TIME, world.connect(address)).await {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(error)) => {
            let why = format!("connection to {address} failed: {error}");
            Err(if is_no_way(&error) { OpenError::NoWay(why) } else { OpenError::NotAnswered(why, None) })
        }
        Err(_) => Err(OpenError::NotAnswered(format!("connection to {address} timed out"), None)),
    }
}

/// The system's own word, before anything is sent: no route, or no such protocol here.
fn is_no_way(error: &io::Error) -> bool {
    /// Of Linux, for a socket of a protocol that is switched off.
    const EAFNOSUPPORT: i32 = 97;
    matches!(error.kind(), io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable)
        || error.raw_os_error() == Some(EAFNOSUPPORT)
}

impl Connection {
    async fn start_tls(&mut self, opening: &Opening<'_>) -> Result<(), OpenError> {
        let from = self.from;
        let failed = |state, detail| OpenError::Handshake { state, detail, from };
        if let Err(misuse) = self.client.start_tls() {
            return Err(failed(ChannelState::Failed, misuse.to_string()));
        }
        match self.step().await {
            ClientStep::StartTls => {
                self.handshake(opening).await?;
                // RFC 3207 §4.2: what was heard before is forgotten; EHLO is said again.
                self.client.tls_established();
                self.until_ready().await?;
                self.note_requiretls();
                Ok(())
            }
            // RFC 3207 §4.1: refused, and the session goes on in clear; whether mail may is for the floor.
            ClientStep::Ready => Ok(()),
            ClientStep::Failed(failure) => Err(failed(failure.channel_state(), failure.to_string())),
            _ => Err(failed(ChannelState::Inconclusive, "the host ended the session".into())),
        }
    }

    async fn handshake(&mut self, opening: &Opening<'_>) -> Result<(), OpenError> {
        let from = self.from;
        let failed = |state, detail| OpenError::Handshake { state, detail, from };
        let name = server_name(opening.host);
        let Some(stream) = self.stream.take_clear() else {
            return Err(failed(ChannelState::Failed, "TLS was started twice".into()));
        };
        // RFC 7672 §8.1: the name that the TLSA records are found at.
        let base = opening.dane.and_then(|dane| ServerName::try_from(dane.base.clone()).ok());
        let tls = if opening.afresh { opening.connector.tls_afresh() } else { opening.connector.tls() };
        let handshake = tls.connect(base.unwrap_or_else(|| name.clone()), stream);
        let stream = match tokio::time::timeout(HANDSHAKE_TIME, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let (state, detail) = handshake_fault(&error);
                return Err(failed(state, detail));
            }
            Err(_) => return Err(failed(ChannelState::Inconclusive, "the TLS handshake timed out".into())),
        };
        let (session, now) = (stream.get_ref().1, opening.world.now());
        let proof = Arc::new(client_side(opening.connector, session, &name, opening.dane, opening.implicit_tls, now));
        self.proof = TlsProof::of_handshake(opening.id, Arc::clone(&proof));
        self.channel = ChannelFacts { state: ChannelState::Secured, detail: String::new(), handshake: Some(proof) };
        self.stream = Stream::Client(Box::new(stream));
        Ok(())
    }

    /// What EHLO inside TLS says of REQUIRETLS is part of the proof.
    fn note_requiretls(&mut self) {
        self.proof = self.proof.clone().offering_requiretls(self.client.extensions().requiretls());
    }

    /// Greeting and EHLO.
    async fn until_ready(&mut self) -> Result<(), OpenError> {
        match self.step().await {
            ClientStep::Ready => Ok(()),
            // TLS was there and the session broke behind it: the host answered, and nothing more is known.
            ClientStep::Failed(failure) if self.client.answered_hello() && !failure.is_the_hosts_word() => {
                let (state, detail) = (ChannelState::Inconclusive, failure.to_string());
                Err(OpenError::Handshake { state, detail, from: self.from })
            }
            ClientStep::Failed(failure) => Err(OpenError::NotAnswered(failure.to_string(), failure.reply)),
            _ => Err(OpenError::NotAnswered("the host ended the session".into(), None)),
        }
    }

    /// EHLO keywords with their parameters, as offered last.
    pub(crate) fn extensions(&self) -> Vec<String> {
        self.client.extensions().lines().to_vec()
    }

    /// RFC 3461.
    pub(crate) fn offers_dsn(&self) -> bool {
        self.client.extensions().dsn()
    }

    /// The host knows us: see [`Connection::authenticate`].
    pub(crate) fn is_authenticated(&self) -> bool {
        self.client.is_authenticated()
    }

    /// Logs in. Err: why that did not come about; the connection is of no use then.
    pub(crate) async fn authenticate(&mut self, permit: AuthPermit, login: &Credentials) -> Result<(), String> {
        self.client.authenticate(permit, login).map_err(|misuse| misuse.to_string())?;
        match self.step().await {
            ClientStep::Authenticated => Ok(()),
            ClientStep::NotAuthenticated(failure) => Err(failure.to_string()),
            ClientStep::Failed(failure) => Err(failure.to_string()),
            _ => Err("the host ended the session".into()),
        }
    }

    /// Sends one message: `head`, then what `body` gives.
    pub(crate) async fn send(
        &mut self,
        permit: Permit,
        message: &Outgoing,
        head: &[u8],
        body: &mut Body<'_>,
    ) -> Result<MessageResult, Misuse> {
        self.sent += 1;
        self.client.send(permit, message)?;
        loop {
            match self.step().await {
                ClientStep::SendContent => self.send_content(head, body).await,
                ClientStep::Finished(result) => return Ok(result),
                // The machine settles every message before it ends; the arm keeps a mistake there from hanging us.
                ClientStep::Failed(_) | ClientStep::Closed => return Err(Misuse::NotReady),
                ClientStep::Ready
                | ClientStep::StartTls
                | ClientStep::Authenticated
                | ClientStep::NotAuthenticated(_)
                | ClientStep::NeedInput => {}
            }
        }
    }

    /// A fault on the way is told to the machine, which settles the message by it.
    async fn send_content(&mut self, head: &[u8], body: &mut Body<'_>) {
        if self.client.content(head).is_err() {
            return;
        }
        loop {
            match body.next().await {
                Ok(Some(piece)) => {
                    if self.client.content(piece.as_ref()).is_err() {
                        return;
                    }
                    if let Err(error) = self.flush(Awaiting::DataBlock).await {
                        return self.client.lost(&in_words(&error));
                    }
                }
                Ok(None) => break,
                Err(error) => return self.client.lost(&format!("the content cannot be read: {error}")),
            }
        }
        // A bare line end ends the session in the machine itself (H11).
        let _ = self.client.content_end();
    }

    /// An earlier TLS session was resumed.
    pub(crate) fn is_resumed(&self) -> bool {
        self.proof.handshake().is_some_and(|handshake| handshake.resumed)
    }

    /// How long ago it was opened.
    pub(crate) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// The session is idle and another message may follow.
    pub(crate) async fn is_ready(&mut self) -> bool {
        matches!(self.step().await, ClientStep::Ready)
    }

    /// So many messages went over it: the session is ready anew as it is behind each.
    #[cfg(test)]
    pub(crate) fn served(&mut self, messages: u32) {
        self.sent = messages;
        self.client.reset().expect("it is ready");
    }

    /// QUIT, without waiting for the answer longer than a moment.
    pub(crate) async fn quit(mut self) {
        self.client.quit();
        let mut octets = std::mem::take(self.client.output());
        let _ = self.stream.write(&mut octets, Duration::from_secs(2)).await;
        self.stream.close().await;
    }

    async fn flush(&mut self, awaiting: Awaiting) -> io::Result<()> {
        let mut octets = std::mem::take(self.client.output());
        self.stream.write(&mut octets, Duration::from_secs(awaiting.timeout_secs())).await
    }

    /// Runs the machine to its next step that is not about octets.
    async fn step(&mut self) -> ClientStep {
        let mut awaited: Option<(Awaiting, Instant)> = None;
        loop {
            match self.client.poll() {
                ClientStep::NeedInput => {
                    let awaiting = self.client.awaiting();
                    let (_, deadline) =
                        *awaited.insert(awaited.filter(|(earlier, _)| *earlier == awaiting).unwrap_or_else(|| {
                            (awaiting, Instant::now() + Duration::from_secs(awaiting.timeout_secs()))
                        }));
                    if let Err(error) = self.exchange(awaiting, deadline).await {
                        self.client.lost(&in_words(&error));
                    }
                }
                step => return step,
            }
        }
    }

    /// Sends what is to be sent and feeds what comes back. The deadline is the reply's, not the octet's: a peer that
    /// trickles gains no time.
    async fn exchange(&mut self, awaiting: Awaiting, deadline: Instant) -> io::Result<()> {
        self.flush(awaiting).await?;
        let heard = self.stream.hear(deadline.saturating_duration_since(Instant::now())).await?;
        if heard.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.client.input(&heard);
        Ok(())
    }
}

/// The name that SNI carries and the certificate is checked against.
fn server_name(host: &HostName) -> ServerName<'static> {
    match host {
        HostName::Address(address) => ServerName::IpAddress((*address).into()),
        HostName::Name(name) => ServerName::try_from(name.as_str().to_owned())
            // An underscore is fine in the DNS and in no certificate: such a name matches none.
            .unwrap_or_else(|_| ServerName::try_from("invalid.invalid").expect("a valid name")),
    }
}

/// An alert or a protocol error is an answer; a time-out or a reset leaves the question open (mox#365).
fn handshake_fault(error: &io::Error) -> (ChannelState, String) {
    let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return (ChannelState::Inconclusive, format!("the TLS handshake was cut short: {}", in_words(error)));
    };
    use rustls::AlertDescription as A;
    let none_in_common = matches!(
        fault,
        rustls::Error::AlertReceived(A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity)
            | rustls::Error::PeerIncompatible(_)
    );
    let words = if none_in_common { "no common TLS version or cipher" } else { "the TLS handshake failed" };
    (ChannelState::Failed, format!("{words} ({fault})"))
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "the peer did not answer in time".into(),
        io::ErrorKind::UnexpectedEof => "the peer closed the connection".into(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "the peer reset the connection".into(),
        _ => error.to_string(),
    }
}
