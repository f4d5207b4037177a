//! Listeners: accept, count, refuse what is too much, hand over to a session.
//!
//! Configuration is read for every connection anew, so that a reload takes effect without a restart; only addresses are
//! bound once.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealwire_core::reply::Reply;
use sealwire_core::smtp::server::{Limits, ServerConfig};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::config::Problem;
use crate::config::{self, Config};
use crate::relay::Relay;
use crate::scopes::Scopes;
use crate::session::{SessionParts, serve};
use crate::socket::Socket;
use crate::tls::acceptor;

/// Connections that may wait to be accepted; the system's own bound (`net.core.somaxconn`) may be lower.
const BACKLOG: u32 = 4096;

/// A bound listener.
pub(crate) struct Bound {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    socket: TcpListener,
}

/// What opens TLS to the clients of each listener that has a certificate, by its name; replaced on reload.
pub(crate) type Acceptors = HashMap<String, TlsAcceptor>;

/// Binds every listener of the configuration.
pub(crate) fn bind(listeners: &[config::Listener]) -> Result<Vec<Bound>, Vec<Problem>> {
    let (mut bound, mut problems) = (Vec::new(), Vec::new());
    for listener in listeners {
        let opened = listen(listener.address).and_then(|socket| {
            let address = socket.local_addr()?;
            Ok(Bound { name: listener.name.clone(), address, socket })
        });
        match opened {
            Ok(listener) => bound.push(listener),
            Err(error) => problems.push(Problem::of_file(
                format!("listener {}", listener.name),
                format!("cannot listen on {}: {error}", listener.address),
            )),
        }
    }
    if problems.is_empty() { Ok(bound) } else { Err(problems) }
}

/// With a queue that a burst of clients fits into. Beyond it the system drops what would complete a connection, and the client,
/// which believes it is connected, waits for a greeting until the system tries again, seconds or a minute later.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As the usual way to listen has it: a relay that is started again finds its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Reads the listeners' certificates.
pub(crate) fn acceptors(config: &Config) -> Result<Acceptors, Vec<Problem>> {
    let (mut acceptors, mut problems) = (HashMap::new(), Vec::new());
    for listener in &config.listeners {
        let Some(files) = &listener.certificate else { continue };
        match acceptor(&files.certificate, &files.key) {
            Ok(acceptor) => drop(acceptors.insert(listener.name.clone(), acceptor)),
            Err(error) => problems.push(Problem::of_file(format!("listener {}", listener.name), error.to_string())),
        }
    }
    if problems.is_empty() { Ok(acceptors) } else { Err(problems) }
}

/// What every session is told, with TLS and without; made with each generation.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    with_tls: Arc<ServerConfig>,
    in_clear: Arc<ServerConfig>,
}

impl Servers {
    pub(crate) fn of(config: &Config, scopes: &Scopes) -> Servers {
        let server = |tls_available| ServerConfig {
            hostname: config.hostname.clone(),
            hosted: scopes.hosted(),
            tls_available,
            limits: Limits {
                message_size_max: config.limits.message_size,
                recipients_max: usize::try_from(config.limits.recipients).unwrap_or(usize::MAX),
                ..Limits::default()
            },
        };
        Servers { with_tls: Arc::new(server(true)), in_clear: Arc::new(server(false)) }
    }

    /// What a session is told at a listener that has a certificate, or none.
    pub(crate) fn of_session(&self, tls_available: bool) -> &Arc<ServerConfig> {
        if tls_available { &self.with_tls } else { &self.in_clear }
    }
}

/// Accepts until the relay stops.
pub(crate) async fn accept(relay: Arc<Relay>, bound: Bound, mut stopping: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = bound.socket.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match accepted {
            Ok((stream, peer)) => welcome(&relay, &bound, stream, peer, &stopping),
            Err(error) => {
                // Out of file descriptors, most likely: others must close before we can accept again.
                tracing::error!(listener = %bound.name, %error, "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn welcome(relay: &Arc<Relay>, bound: &Bound, stream: TcpStream, peer: SocketAddr, stopping: &watch::Receiver<bool>) {
    let live = relay.live();
    let trusted = live.scopes.units().of_client(peer.ip()).is_some();
    let acceptor = relay.acceptors.load().get(&bound.name).cloned();
    let limits = live.config.limits;
    let Some(place) = Place::take(&relay.sessions, peer.ip(), trusted, limits) else {
        let reply = Reply::new(421, (7, 0), "Too many connections; try again later");
        tokio::spawn(turn_away(stream, reply));
        return;
    };
    // Small writes wait for nothing: replies are all small.
    let _ = stream.set_nodelay(true);
    let parts = SessionParts {
        relay: Arc::clone(relay),
        listener: bound.name.clone(),
        acceptor,
        peer,
        idle: Duration::from_secs(limits.idle_secs),
        stopping: stopping.clone(),
    };
    tokio::spawn(async move {
        serve(parts, Socket::Tcp(stream)).await;
        drop(place);
    });
}

async fn turn_away(stream: TcpStream, reply: Reply) {
    let mut octets = Vec::new();
    reply.write(&mut octets);
    let mut stream = crate::stream::Stream::Clear(Socket::Tcp(stream));
    let _ = stream.write(&mut octets, Duration::from_secs(5)).await;
    stream.close().await;
}

/// Open sessions, in all and by address.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<IpAddr, u32>>);

impl Sessions {
    /// How many are open.
    pub(crate) fn open(&self) -> u32 {
        self.0.lock().map_or(0, |sessions| sessions.values().sum())
    }
}

/// One session's place among the open ones; given back when dropped.
struct Place {
    sessions: Arc<Sessions>,
    address: IpAddr,
}

impl Place {
    fn take(sessions: &Arc<Sessions>, address: IpAddr, trusted: bool, limits: config::Limits) -> Option<Place> {
        let mut open = sessions.0.lock().ok()?;
        let of_this = open.get(&address).copied().unwrap_or(0);
        let all: u32 = open.values().sum();
        if all >= limits.connections || (!trusted && of_this >= limits.connections_per_address) {
            return None;
        }
        open.insert(address, of_this + 1);
        Some(Place { sessions: Arc::clone(sessions), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Ok(mut open) = self.sessions.0.lock() else { return };
        match open.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.address)),
        }
    }
}
