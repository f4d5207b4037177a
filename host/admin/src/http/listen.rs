//! The TCP socket of the API: accepts, takes TLS, and speaks HTTP/1.1, within bounds for each connection.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::ServiceExt;

use super::{Api, Peer};

/// Connections at a time: an operator's pages and scripts, many times over.
const CONNECTIONS_MAX: usize = 512;
/// Of one address.
const CONNECTIONS_OF_ADDRESS_MAX: usize = 128;
/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may stand still between requests, and a request's head may take.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Octets of a request's head.
const HEAD_MAX: usize = 64 << 10;
/// How long requests may go on when the relay stops.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// Why the socket cannot be had.
#[derive(Debug)]
pub struct NotBound(SocketAddr, io::Error);

impl Listener {
    /// Binds it; with port 0 the system chooses.
    pub async fn bind(address: SocketAddr) -> Result<Listener, NotBound> {
        let socket = TcpListener::bind(address).await.map_err(|why| NotBound(address, why))?;
        let address = socket.local_addr().map_err(|why| NotBound(address, why))?;
        Ok(Listener { socket, address })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is true; requests under way are given some time.
    pub async fn run(self, api: Api, mut stop: watch::Receiver<bool>) {
        let router = super::network_router(&api);
        // For as long as the socket is bound: what others reach never speaks in clear, whatever a reload takes away.
        let with_tls = api.relay.live().api_acceptor().is_some();
        let (open, mut connections) = (Arc::new(Open::default()), tokio::task::JoinSet::new());
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
                // What has ended is not kept.
                Some(_) = connections.join_next() => continue,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: others must close before we can accept again.
                    tracing::error!(%error, "the API cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            // A connection too many is closed at once: an answer would cost what is scarce.
            let Some(place) = Place::take(&open, peer.ip().to_canonical()) else { continue };
            let (api, router, stop) = (api.clone(), router.clone(), stop.clone());
            connections.spawn(async move {
                converse(api, router, stream, (place.address, with_tls), stop).await;
                drop(place);
            });
        }
        let _ = tokio::time::timeout(STOPS_WITHIN, async { while connections.join_next().await.is_some() {} }).await;
    }
}

async fn converse(
    api: Api,
    router: Router,
    stream: TcpStream,
    (peer, with_tls): (IpAddr, bool),
    stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let live = api.relay.live();
    if live.config.api.is_none() {
        return tracing::debug!(%peer, "the API has been switched off");
    }
    if !with_tls {
        return speak(router, stream, peer, false, stop).await;
    }
    // Of what is live now: a reload brings a new certificate.
    let Some(acceptor) = live.api_acceptor().cloned() else {
        return tracing::warn!(%peer, "the API has no certificate any more, and this socket does not speak in clear");
    };
    drop(live);
    match tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => speak(router, stream, peer, true, stop).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS with a client of the API"),
        Err(_) => tracing::debug!(%peer, "a client of the API was too slow in its handshake"),
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    router: Router,
    stream: S,
    peer: IpAddr,
    is_tls: bool,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer::Remote { address: peer, is_tls });
        let answered = router.clone().oneshot(request);
        async move { answered.await.map(|response| strict(response, is_tls)) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_MAX);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Who is at the other end of a request's connection.
pub(super) fn peer(request: &Request) -> Option<Peer> {
    request.extensions().get::<Peer>().cloned()
}

/// What every answer says to browsers: it is data for whoever asked, and nothing else. An endpoint of a page has a policy of its own.
fn strict(mut response: Response, is_tls: bool) -> Response {
    const DATA: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    const STRICT: [(HeaderName, &str); 4] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(DATA);
    for (name, value) in STRICT {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_tls {
        // RFC 6797 §7.2: over TLS alone.
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

/// Open connections by address.
#[derive(Default)]
struct Open(Mutex<HashMap<IpAddr, usize>>);

/// One connection's place among them; given back when dropped.
struct Place {
    open: Arc<Open>,
    address: IpAddr,
}

impl Place {
    fn take(open: &Arc<Open>, address: IpAddr) -> Option<Place> {
        let mut all = open.0.lock().ok()?;
        let of_this = all.get(&address).copied().unwrap_or(0);
        if of_this >= CONNECTIONS_OF_ADDRESS_MAX || all.values().sum::<usize>() >= CONNECTIONS_MAX {
            return None;
        }
        all.insert(address, of_this + 1);
        Some(Place { open: Arc::clone(open), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Ok(mut all) = self.open.0.lock() else { return };
        match all.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(all.remove(&self.address)),
        }
    }
}

impl fmt::Display for NotBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotBound(address, why) = self;
        write!(f, "the API cannot listen on {address}: {why}; set another address under [api]")
    }
}

impl std::error::Error for NotBound {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places() {
        let open = Arc::new(Open::default());
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut places: Vec<_> =
            (0..CONNECTIONS_OF_ADDRESS_MAX).filter_map(|_| Place::take(&open, address(1))).collect();
        assert_eq!(places.len(), CONNECTIONS_OF_ADDRESS_MAX);
        assert!(Place::take(&open, address(1)).is_none(), "it has its share");
        places.extend(
            (2..5)
                .flat_map(|last| (0..CONNECTIONS_OF_ADDRESS_MAX).map(move |_| last))
                .filter_map(|last| Place::take(&open, address(last))),
        );
        assert_eq!(places.len(), CONNECTIONS_MAX);
        assert!(Place::take(&open, address(9)).is_none(), "there are no more");
        places.pop();
        assert!(Place::take(&open, address(9)).is_some());
    }
}
